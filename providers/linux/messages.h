/* SPDX-License-Identifier: MIT */
/*
 * The messages of XenStore's protocol on a stream (Xen's io/xs_wire.h): a header
 * of four words, then as many bytes as the header says.
 */
#pragma once

#include "pvblk/linux.h"

namespace pvblk
{

/* xs_wire.h: enum xsd_sockmsg_type */
enum class XenbusOp : uint32_t {
    Directory = 1,
    Read = 2,
    Watch = 4,
    Unwatch = 5,
    Write = 11,
    Remove = 13,
    WatchEvent = 15,
    Error = 16,
};

/* xs_wire.h: struct xsd_sockmsg */
struct XenbusHeader {
    XenbusOp op{};
    uint32_t request{0}; /* the answer repeats it */
    uint32_t transaction{0};
    uint32_t length{0}; /* of the body */
};
static_assert(sizeof(XenbusHeader) == 16);

class XenbusMessages
{
public:
    explicit XenbusMessages(LinuxFile stream) : stream_(std::move(stream)) {}
    int fd() const { return stream_.fd(); }

    /* The parts become the body, one after the other. */
    Status send(XenbusOp op, uint32_t request, std::initializer_list<std::string_view> parts);
    /* True: a whole message is here. Without `wait`, false: there is none yet. */
    Result<bool> receive(bool wait);

    /* Of the last message, until the next receive(). */
    const XenbusHeader &header() const { return header_; }
    std::string_view body() const { return {body_.data(), header_.length}; }

private:
    /* Reads up to here in the message. False: not all of it has come. */
    Result<bool> fill(size_t end, bool wait);
    Error broken(const char *what);

    /* xs_wire.h: XENSTORE_PAYLOAD_MAX. Linux sends no more than this with the
     * header, and receives as much without it. */
    static constexpr size_t kMost = 4096;

    LinuxFile stream_;
    XenbusHeader header_{};
    std::array<char, kMost> body_{};
    std::array<char, kMost> out_{};
    size_t have_{0}; /* bytes of the message that is arriving */
    bool whole_{false};
    std::optional<Error> broken_{}; /* nobody knows where the next message begins */
};

} // namespace pvblk
