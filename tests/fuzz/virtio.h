/* SPDX-License-Identifier: MIT */
/*
 * Target `virtio`: a hostile virtio-blk driver against VirtioBlkShim, on a
 * BlockFront that is connected to an honest BlockBack.
 *
 * Oracles: each element that was taken comes back exactly once, given back or
 * forgotten; `written` is the size of its in side, or 0 where it has no status
 * byte; the status is one that virtio defines, and OK where all rules were
 * kept; data arrives; no byte of guest memory changes outside the in sides of
 * elements that are with the device; the honest pair breaks no rule.
 */
#pragma once

#include "virtio/shim.h"

#include <iterator>

namespace pvblk::fuzz
{

enum class VirtioOp : uint8_t {
    Take,     /* an element, see virtio.cc; wrong: its shape */
    Pump,     /* the device sends what it took */
    Run,      /* deliver up to a queued events and watches; 0: all */
    Data,     /* the driver fills the memory of element place a with pattern b */
    Reset,    /* the device; wrong: queue a alone */
    Features, /* DRIVER_OK with features a | b << 16 */
    Cache,    /* write cache: a & 1 */
    Config,   /* the driver reads the configuration */
    Time,     /* time passes: 2^(a % 36) ns */
    Resize,   /* the disk gets another size */
    Count
};
inline constexpr const char *kVirtioOps[] = {"take",     "pump",  "run",    "data", "reset",
                                             "features", "cache", "config", "time", "resize"};
static_assert(std::size(kVirtioOps) == static_cast<size_t>(VirtioOp::Count));

struct VirtioOutcome {
    uint64_t taken{0}, returned{0}, forgotten{0}, refused{0}; /* refused: no room */
    uint64_t ok{0}, io_error{0}, unsupported{0};
    uint64_t compared{0}; /* requests whose data was looked at */
    ShimCounters counters{};
    FrontCounters front{};
};

VirtioOutcome play_virtio(const uint8_t *data, size_t size);

} // namespace pvblk::fuzz
