/* SPDX-License-Identifier: MIT */
/*
 * The frontend's domain on a LoopbackHub, for another project's driver: its
 * XenStore, grants, event channel and pages, behind driver_seam.h.
 *
 * The world goes on one delivery with each call that the driver makes into
 * it: XenStore, event, fence. So a driver that waits lets time pass, and one
 * that waits for what will never come is seen: nothing is left to deliver.
 *
 * There is one world at a time, since the driver's calls name none.
 */
#pragma once

#include "frontends/driver_seam.h"
#include "proto/wire.h"
#include "pvblk/loopback.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace pvblk::conformance
{

class DriverWorld
{
public:
    /* Adds the frontend's nodes of a toolstack that are not there yet. */
    explicit DriverWorld(LoopbackHub &on);
    ~DriverWorld();
    DriverWorld(const DriverWorld &) = delete;
    DriverWorld &operator=(const DriverWorld &) = delete;

    std::string front_node(const std::string &name) const;
    /* The driver said a line with these words. */
    bool said(const std::string &words) const;
    /* The frontend's ring, as long as it is granted; requests ever pushed. */
    SharedRing ring() const;
    uint32_t pushed() const { return ring().load(SringField::ReqProd).value; }

    /* Pages that are not the driver's own: its callers' buffers. nullptr: there
     * are no more. */
    std::byte *take_buffer(size_t bytes);
    void give_buffer(std::byte *at, size_t bytes);

    /* Asked where the driver waits and nothing is left to deliver, as InProcess::idle. */
    std::function<bool()> idle{};

    LoopbackHub &hub;
    uint32_t grants_made{0};
    uint32_t grants_stuck{0};                    /* ended while the backend had them mapped */
    uint32_t freed_while_granted{0};             /* pages given back too early (XSA-396) */
    std::string front_states{};                  /* written by the driver, one digit each */
    std::vector<WorldStatus> transaction_ends{}; /* instead of success, in order */
    uint32_t transactions{0};
    size_t pages_of_driver{0};

    /* What the functions of driver_seam.h with these names do. */
    WorldStatus xs_read(const std::string &path, std::span<char> out);
    WorldStatus xs_write(const std::string &path, const char *value);
    void transaction_start() { transaction_.emplace(); }
    WorldStatus transaction_end(bool abort);
    WorldStatus watch(const std::string &path);
    bool wait();
    uint32_t grant(uint64_t frame, bool readonly);
    bool end_access(uint32_t ref);
    uint32_t open_port();
    bool notify(uint32_t port);
    bool poll();
    void *take_pages(size_t n);
    void free_pages(void *at, size_t n);
    void log(const char *line) { log_.emplace_back(line); }

private:
    struct Write {
        std::string path, value;
    };
    struct Grant {
        enum class Use : uint8_t { Free, Open, Stuck };
        uint64_t page{0};
        Use use{Use::Free};
    };
    bool apply(const Write &w);
    std::optional<uint64_t> page_of(uint64_t frame) const;

    uint32_t watch_events_{0};
    uint32_t idle_polls_{0};
    uint32_t port_{0};
    std::optional<std::vector<Write>> transaction_{};
    std::vector<Grant> grants_;
    std::vector<bool> pages_; /* of guest RAM: taken */
    std::vector<std::string> log_{};
};

} // namespace pvblk::conformance
