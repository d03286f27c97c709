/* SPDX-License-Identifier: MIT */
/* See config_check.h. */
#include "back/config_check.h"

#include <algorithm>
#include <bit>

namespace pvblk
{

namespace
{

constexpr uint32_t kMaxRingPageOrder = 4;
static_assert(1u << kMaxRingPageOrder == kMaxRingPages);

Status check_sectors(const BackConfig &c)
{
    auto refused = [](const char *clause, const char *what, uint64_t value) {
        return Error{ErrorKind::OutOfRange, clause, what, value};
    };
    if (!std::has_single_bit(c.sector_size) || c.sector_size < kSectorSize ||
        c.sector_size > kPageSize)
        return refused("blkif:sector-size", "sector_size is not a power of two from 512 to 4096",
                       c.sector_size);
    uint32_t physical = c.physical_sector_size;
    if (physical && (!std::has_single_bit(physical) || physical < c.sector_size))
        return refused("blkif:physical-sector-size",
                       "physical_sector_size is not sector_size times a power of two", physical);
    if (c.discard_granularity % c.sector_size)
        return refused("blkif:discard-granularity",
                       "discard_granularity is not a multiple of sector_size",
                       c.discard_granularity);
    uint32_t granularity = c.discard_granularity ? c.discard_granularity : c.sector_size;
    if (c.discard_alignment >= granularity || c.discard_alignment % c.sector_size)
        return refused(
            "blkif:discard-alignment",
            "discard_alignment is not a multiple of sector_size below discard_granularity",
            c.discard_alignment);
    return Ok{};
}

Status check_limits(const BackConfig &c)
{
    const struct {
        uint32_t value, least, most;
        const char *clause, *what;
    } limits[] = {
        {c.max_ring_page_order, 0, kMaxRingPageOrder, "blkif:max-ring-page-order",
         "max_ring_page_order is more than 4 (a ring of 16 pages)"},
        {c.max_queues, 1, kMaxQueues, "blkif:multi-queue-max-queues",
         "max_queues is not between 1 and 16"},
        {c.max_indirect_segments, 0, kMaxIndirectSegments, "blkif:feature-max-indirect-segments",
         "max_indirect_segments is more than 4096"},
        {c.max_segments_in_flight, most_segments(c), kMaxSegmentsInFlight, "ring:in-flight",
         "max_segments_in_flight is less than one request's segments, or more than 262144"},
    };
    for (const auto &l : limits)
        if (l.value < l.least || l.value > l.most)
            return Error{ErrorKind::OutOfRange, l.clause, l.what, l.value};
    return Ok{};
}

} // namespace

uint32_t most_segments(const BackConfig &config)
{
    return std::max(kMaxDirectSegments, config.max_indirect_segments);
}

Status check_config(const BackConfig &config)
{
    auto sectors = check_sectors(config);
    return sectors ? check_limits(config) : sectors;
}

} // namespace pvblk
