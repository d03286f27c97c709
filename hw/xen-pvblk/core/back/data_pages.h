/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: the segments of each request on a ring, the frontend's pages
 * that they name, and these pages as the storage takes them.
 *
 * Segments are copied once, from the request or from the pages of an indirect
 * one. Sized by start(); nothing is allocated until stop().
 */
#pragma once

#include "back/check.h"
#include "back/counters.h"
#include "back/hooked_grants.h"

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
    /* Unmaps the pages of persistent grants. Before this, unmap() every slot. */
    void stop();

    /* Copies the segments of a request that passed check_request(). */
    Checked collect(uint32_t slot, const WireRequest &wire);
    /* Maps the pages that the segments name, all or nothing. `to_read`: the
     * storage writes to the pages. */
    Checked map(uint32_t slot, const WireRequest &wire, bool to_read);
    void unmap(uint32_t slot, const WireRequest &wire);

    std::span<WireSegment> segments(uint32_t slot);
    /* The mapped data: before merge() one iovec for each segment. */
    std::span<struct iovec> iov(uint32_t slot);
    std::span<const Mapping> mappings(uint32_t slot) const;
    /* Merges the first `count` vectors: those that touch in memory become one. */
    std::span<struct iovec> merge(uint32_t slot, size_t count);
    /* The most segments of a request that are read. */
    uint32_t max_segments() const;
    /* Pages that stay mapped. Exact only while nothing else runs. */
    uint32_t kept() const { return maps_ ? maps_->kept() : 0; }

private:
    struct Slot {
        uint32_t segments{0}, mapped{0}, vectors{0};
    };
    Checked collect_indirect(uint32_t slot, const WireRequest &wire);
    Refusal map_failed(const Error &error, GrantRef ref);

    const BackConfig &config_;
    QueueCounters &counters_;
    HookedGrants grants_;
    std::unique_ptr<PersistentMaps> maps_{};
    bool persistent_{false};
    std::vector<Slot> slots_{};
    std::vector<WireSegment> segments_{}; /* max_segments() a slot; so are: */
    std::vector<Mapping> mappings_{};
    std::vector<struct iovec> iov_{};
};

} // namespace pvblk
