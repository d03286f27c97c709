/* SPDX-License-Identifier: MIT */
/* A block device of this domain through BlockFront, and requests that are waited for. */
#pragma once

#include "pvblk/linux.h"

#include <array>
#include <functional>

/* Says why, and ends the program. */
[[noreturn, gnu::format(printf, 1, 2)]] void fail(const char *format, ...);

class Disk final : public pvblk::FrontOwner
{
public:
    /* Requests at a time, each with a slice of the memory of its own. */
    static constexpr uint32_t kSlots = 4;
    static constexpr uint32_t kSlotPages = 33;
    static constexpr uint64_t kMostSectors =
        (kSlotPages - 1) * uint64_t{pvblk::kPageSize} / pvblk::kSectorSize;

    explicit Disk(pvblk::LinuxFrontConfig config);

    pvblk::BlockFront &front() { return linux_->front(); }
    void connect();
    /* Closes the connection with what is in flight finished, and makes a new one. */
    void reconnect();
    void stop();

    /* The data of a slot's request, `offset` bytes into its memory. */
    std::byte *data(uint32_t slot, bool write, uint64_t offset) const;
    /* Gives the front a request; its data has to be there. */
    void submit(uint32_t slot, pvblk::IoRequest request, uint64_t offset);
    /* Until all that was submitted is done, without an error. */
    void finish();

private:
    void completed(void *cookie, uint32_t queue, pvblk::IoStatus status) override;
    void batch_done() override {}
    void plan_changed() override {}
    void log(const char *text) override;
    void trace(const pvblk::Trace &) override {}
    void run(const char *what, const std::function<bool()> &done);

    struct Slot {
        uint64_t gpa{0};
        struct iovec iov{};
        bool busy{false};
    };
    std::array<Slot, kSlots> slots_{};
    std::unique_ptr<pvblk::LinuxFront> linux_{};
};
