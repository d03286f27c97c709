/* SPDX-License-Identifier: MIT */
/*
 * FrontPolicy: what a frontend offers to do. Plan: what frontend and backend
 * then do together.
 */
#pragma once

#include "pvblk/protocol.h"
#include "pvblk/result.h"

#include <optional>

namespace pvblk
{

/*
 * The unit of `sectors`, sector_number, first_sect and last_sect.
 * Bytes512: blkif.h of 2024 and all backends but QEMU's and Windows'.
 * Device: units of sector-size, by the text of 2019, which QEMU 10 follows; a
 * quirk, which works only together with feature-large-sector-size=1.
 */
enum class SectorUnits : uint8_t { Bytes512, Device };

/* Bytes of that unit, on a disk of this sector-size. */
constexpr uint32_t unit_bytes(SectorUnits units, uint32_t sector_size)
{
    return units == SectorUnits::Device ? sector_size : kSectorSize;
}

/* The most that this frontend does; a backend may offer less. */
struct FrontPolicy {
    Abi abi{kNativeAbi};
    SectorUnits large_sector_units{SectorUnits::Bytes512}; /* if sector-size > 512 */
    /* If both are off, the disk counts as one without a cache. */
    bool use_flush{true};
    bool use_barrier{true};
    bool use_discard{true};
    bool use_secure_discard{true};
    /* Keep grants, and copy all data. Off: grant the guest's own pages. */
    bool use_persistent{false};
    /* False: the backend sees only private pages, with a request's data and
     * zeros, whatever the node `trusted` says. */
    bool trusted{true};
    uint32_t max_ring_pages{kMaxRingPages};
    uint32_t max_queues{1};
    uint32_t max_indirect_segments{32}; /* up to 11: no indirect requests */

    /* The values above, cut to the limits of blkif.h. */
    uint32_t ring_pages() const;
    uint32_t queues() const;
    uint32_t segments() const; /* of the largest request */
    uint32_t ring_entries() const;
};

struct Plan {
    Abi abi{kNativeAbi};
    uint32_t queues{1};
    uint32_t ring_pages{1};                     /* of each queue; a power of two */
    uint32_t max_segments{kMaxDirectSegments};  /* more than that: by Op::Indirect */
    uint32_t sector_size{kSectorSize};          /* bytes; 512 … 4096 */
    uint32_t physical_sector_size{kSectorSize}; /* bytes */
    uint64_t sectors{0};                        /* capacity, 512-byte sectors */
    /* False: the backend has not yet written sectors and sector-size (it may
     * wait until Connected). The three sizes above are then 512, 512 and 0. */
    bool sized{true};
    SectorUnits units{SectorUnits::Bytes512};
    bool read_only{false};
    bool cdrom{false};
    bool removable{false};
    bool flush{false};
    bool barrier{false};
    bool discard{false};
    bool discard_secure{false};
    bool persistent{false};
    bool trusted{true};
    uint32_t discard_granularity{0}; /* bytes, a multiple of sector_size */
    uint32_t discard_alignment{0};   /* bytes, < discard_granularity */
    /* Why we do without the discard that the backend offers. */
    std::optional<Error> no_discard{};

    uint32_t ring_entries() const;
    /* By FLUSH_DISKCACHE or else by WRITE_BARRIER. */
    bool can_flush() const { return flush || barrier; }
};

} // namespace pvblk
