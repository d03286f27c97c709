/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: whether a request keeps blkif.h, before any of it is done: pure
 * functions over a copy of it. Serves struct blkif_request,
 * blkif_request_discard, blkif_request_indirect.
 */
#pragma once

#include "proto/wire.h"
#include "pvblk/back.h"

#include <span>

namespace pvblk
{

/* What a request comes to. Units: 512-byte sectors. */
struct Task {
    StorageOp op{StorageOp::Read};
    bool data{false};    /* it has segments, which check_segments() is for */
    bool barrier{false}; /* in order with all others */
    uint64_t sector{0}, sectors{0};
};

/* The disk, as far as requests are checked against it. */
struct Disk {
    const BackConfig &config;
    uint64_t sectors;
};

/* All but the segments. Okay: it may be done, as `task` says. */
RspStatus check_request(const Disk &disk, const WireRequest &wire, Task &task);
/* The segments, and where on the disk their data goes. */
RspStatus check_segments(const Disk &disk, const WireRequest &wire,
                         std::span<const WireSegment> segments, Task &task);

} // namespace pvblk
