/* SPDX-License-Identifier: MIT */
/* Layer `back`: segments, and the pages that they name. */
#include "back/data_pages.h"

#include <algorithm>

namespace pvblk
{

DataPages::DataPages(BackGrants &grants, const BackConfig &config, QueueCounters &counters,
                     HookedQueue &queue, HooksPointer hooks)
    : config_(config), counters_(counters), grants_(grants, queue, hooks)
{
}

void DataPages::start(uint32_t slots, bool persistent)
{
    uint32_t room = std::min(slots * max_segments(), config_.max_segments_in_flight);
    slots_.assign(slots, Slot{});
    room_.start(room, slots);
    segments_.resize(room);
    mappings_.resize(room);
    iov_.resize(room);
    persistent_ = persistent;
    maps_ = std::make_unique<PersistentMaps>(grants_, persistent ? config_.max_persistent : 0);
}

void DataPages::stop()
{
    /* Not clear(), nor {}: these keep the memory. */
    slots_ = std::vector<Slot>();
    segments_ = std::vector<WireSegment>();
    mappings_ = std::vector<Mapping>();
    iov_ = std::vector<struct iovec>();
    maps_.reset();
}

bool DataPages::reserve(uint32_t slot, uint32_t count)
{
    auto at = room_.take(count);
    if (at)
        slots_[slot] = {*at, count};
    return at.has_value();
}

std::span<WireSegment> DataPages::segments(uint32_t slot)
{
    return std::span(segments_).subspan(slots_[slot].at, slots_[slot].segments);
}

std::span<struct iovec> DataPages::iov(uint32_t slot)
{
    return std::span(iov_).subspan(slots_[slot].at, slots_[slot].vectors);
}

std::span<const Mapping> DataPages::mappings(uint32_t slot) const
{
    return std::span(mappings_).subspan(slots_[slot].at, slots_[slot].mapped);
}

Checked DataPages::collect(uint32_t slot, const WireRequest &wire)
{
    if (wire.op == Op::Indirect)
        return collect_indirect(slot, wire);
    std::span<WireSegment> segments = this->segments(slot);
    std::copy_n(wire.seg.begin(), segments.size(), segments.begin());
    return Ok{};
}

/* Copies the segments out of the frontend's pages, once. */
Checked DataPages::collect_indirect(uint32_t slot, const WireRequest &wire)
{
    const PageUse use{"indirect", &wire};
    std::span<WireSegment> left = segments(slot);
    grants_.about(use);
    for (uint32_t page = 0; !left.empty(); page++) {
        auto m = maps_->take(wire.indirect[page], false);
        if (!m)
            return map_failed(m.error(), wire.indirect[page]);
        size_t n = std::min<size_t>(left.size(), kSegmentsPerPage);
        get_segments(m.value().page, left.first(n));
        grants_.give_back(use, m.value(), maps_.get());
        left = left.subspan(n);
    }
    return Ok{};
}

/* Whatever the reason, the frontend's grant does not allow it. */
Refusal DataPages::map_failed(const Error &error, GrantRef ref)
{
    counters_.map_failures++;
    return {grants_.map_failed(), {error.kind, "blkif:gref", error.what, ref.value}};
}

/* What we write to the disk we only read from the frontend. */
Checked DataPages::map(uint32_t slot, const WireRequest &wire, bool to_read)
{
    Slot &s = slots_[slot];
    /* blkif.h feature-persistent: mapped for reading and writing, since both
     * come to use the page for either. */
    bool write = persistent_ || to_read;
    uint64_t hits = maps_->hits();
    grants_.about({"data", &wire});
    for (const WireSegment &segment : segments(slot)) {
        auto m = maps_->take(segment.gref, write);
        if (!m) {
            Refusal answer = map_failed(m.error(), segment.gref);
            unmap(slot, wire);
            return answer;
        }
        size_t bytes = size_t(segment.last_sect - segment.first_sect + 1u) * config_.unit();
        iov_[s.at + s.vectors++] = {m.value().page + segment.first_sect * config_.unit(), bytes};
        mappings_[s.at + s.mapped++] = m.value();
    }
    counters_.persistent_hits.add(maps_->hits() - hits);
    counters_.segments.add(s.segments);
    return Ok{};
}

std::span<struct iovec> DataPages::merge(uint32_t slot, size_t count)
{
    std::span<struct iovec> all = iov(slot).first(count);
    uint32_t merged = 0;
    for (const struct iovec &v : all) {
        struct iovec *last = merged ? &all[merged - 1] : nullptr;
        if (last && static_cast<std::byte *>(last->iov_base) + last->iov_len == v.iov_base)
            last->iov_len += v.iov_len;
        else
            all[merged++] = v;
    }
    slots_[slot].vectors = merged;
    return all.first(merged);
}

void DataPages::unmap(uint32_t slot, const WireRequest &wire)
{
    for (const Mapping &m : mappings(slot))
        grants_.give_back({"data", &wire}, m, maps_.get());
    slots_[slot].mapped = slots_[slot].vectors = 0;
}

void DataPages::release(uint32_t slot, const WireRequest &wire)
{
    unmap(slot, wire);
    if (slots_[slot].segments)
        room_.give_back(slots_[slot].at, slots_[slot].segments);
    slots_[slot] = {};
}

} // namespace pvblk
