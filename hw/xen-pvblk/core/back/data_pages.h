/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: the segments of each request on a ring, the frontend's pages
 * that they name, and these pages as the storage takes them.
 *
 * Segments are copied once, from the request or from the pages of an indirect
 * one. There is room for so many at a time, of all requests together, as
 * BackConfig says: a request reserves its own first. Sized by start(); nothing
 * is allocated until stop().
 */
#pragma once

#include "back/check.h"
#include "back/config_check.h"
#include "back/counters.h"
#include "back/hooked_grants.h"
#include "back/room.h"

#include <memory>
#include <vector>

namespace pvblk
{

class DataPages
{
public:
    DataPages(BackGrants &grants, const BackConfig &config, QueueCounters &counters,
              HookedQueue &queue, HooksPointer hooks);

    void start(uint32_t slots, bool persistent);
    /* Unmaps the pages of persistent grants. Before this, release() every slot. */
    void stop();

    /* Takes room for the segments of a request that passed check_request(). False:
     * earlier requests have the room; try again when one is released. */
    bool reserve(uint32_t slot, uint32_t count);
    /* Copies the segments of a request that has its room. */
    Checked collect(uint32_t slot, const WireRequest &wire);
    /* Maps the pages that the segments name, all or nothing. `to_read`: the
     * storage writes to the pages. */
    Checked map(uint32_t slot, const WireRequest &wire, bool to_read);
    /* Unmaps the pages, and gives the room back. */
    void release(uint32_t slot, const WireRequest &wire);

    std::span<WireSegment> segments(uint32_t slot);
    /* The mapped data: before merge() one iovec for each segment. */
    std::span<struct iovec> iov(uint32_t slot);
    std::span<const Mapping> mappings(uint32_t slot) const;
    /* Merges the first `count` vectors: those that touch in memory become one. */
    std::span<struct iovec> merge(uint32_t slot, size_t count);
    /* The most segments of a request that are read. */
    uint32_t max_segments() const { return most_segments(config_); }
    /* Pages that stay mapped. Exact only while nothing else runs. */
    uint32_t kept() const { return maps_ ? maps_->kept() : 0; }

private:
    struct Slot {
        uint32_t at{0}, segments{0}; /* its room */
        uint32_t mapped{0}, vectors{0};
    };
    Checked collect_indirect(uint32_t slot, const WireRequest &wire);
    Refusal map_failed(const Error &error, GrantRef ref);
    void unmap(uint32_t slot, const WireRequest &wire);

    const BackConfig &config_;
    QueueCounters &counters_;
    HookedGrants grants_;
    std::unique_ptr<PersistentMaps> maps_{};
    bool persistent_{false};
    std::vector<Slot> slots_{};
    Room room_{}; /* in these three: */
    std::vector<WireSegment> segments_{};
    std::vector<Mapping> mappings_{};
    std::vector<struct iovec> iov_{};
};

} // namespace pvblk
