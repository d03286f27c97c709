/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: checks a request against blkif.h before any of it is done: pure
 * functions over a copy of the request. Serves struct blkif_request,
 * blkif_request_discard, blkif_request_indirect.
 */
#pragma once

#include "proto/wire.h"
#include "pvblk/back.h"

#include <span>

namespace pvblk
{

/* A checked request. Units: 512-byte sectors. */
struct Task {
    StorageOp op{StorageOp::Read};
    bool data{false};    /* it has segments: call check_segments() */
    bool barrier{false}; /* in order with all others */
    uint64_t sector{0}, sectors{0};
};

/* The disk, as far as requests are checked against it. */
struct Disk {
    const BackConfig &config;
    uint64_t sectors;
};

/* Checks all but the segments. Okay: do it as `task` says. */
RspStatus check_request(const Disk &disk, const WireRequest &wire, Task &task);
/* Checks the segments, and adds the place of their data to `task`. */
RspStatus check_segments(const Disk &disk, const WireRequest &wire,
                         std::span<const WireSegment> segments, Task &task);

} // namespace pvblk
