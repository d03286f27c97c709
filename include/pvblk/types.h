/* SPDX-License-Identifier: MIT */
/*
 * Named value types: the type of a number says its unit.
 *
 * Sectors are 512 bytes everywhere in this library (blkif.h since Xen commit
 * 221f2748e8da). Only the wire may use another unit: SectorUnits::Device, see
 * plan.h.
 */
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace pvblk
{

/* An integer that converts to nothing else. */
template <class Tag, class Int>
struct Named {
    Int value{};

    constexpr Named() = default;
    constexpr explicit Named(Int v) : value(v) {}
    constexpr auto operator<=>(const Named &) const = default;
};

/* Number of a 512-byte sector; a count of them if the name says so. */
using Sector = Named<struct SectorTag, uint64_t>;
/* Entry in the frontend's grant table. */
using GrantRef = Named<struct GrantRefTag, uint32_t>;
/* Guest frame number: guest-physical address >> 12. */
using Gfn = Named<struct GfnTag, uint64_t>;
/* Event channel port of the frontend's domain. */
using Port = Named<struct PortTag, uint32_t>;
/* blkif_request.id: chosen by the frontend, echoed by the backend. */
using RequestId = Named<struct RequestIdTag, uint64_t>;
/* Index of one of the frontend's private pages (ring pages first, then
 * bounce pages); see Memory in ports.h. */
using PageIndex = Named<struct PageIndexTag, uint32_t>;

/*
 * Free-running ring index. Indices wrap at 2^32. Only their differences have a
 * meaning, so subtraction is the only arithmetic between two of them.
 */
struct RingIndex {
    uint32_t value{};

    constexpr RingIndex() = default;
    constexpr explicit RingIndex(uint32_t v) : value(v) {}
    constexpr bool operator==(const RingIndex &) const = default;
    constexpr RingIndex operator+(uint32_t n) const { return RingIndex(value + n); }
    constexpr uint32_t operator-(RingIndex o) const { return value - o.value; }
};

inline constexpr uint32_t kPageSize = 4096;
inline constexpr uint32_t kPageShift = 12;
inline constexpr uint32_t kSectorSize = 512;
inline constexpr uint32_t kSectorShift = 9;
/* Rings of one device; each has an event channel of its own. */
inline constexpr uint32_t kMaxQueues = 16;

} // namespace pvblk
