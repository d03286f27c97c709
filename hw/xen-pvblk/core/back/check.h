/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: checks a request against blkif.h before any of it is done: pure
 * functions over a copy of the request. Serves struct blkif_request,
 * blkif_request_discard, blkif_request_indirect. A refusal names the broken
 * clause, so that each one can be traced and counted.
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
    bool nothing{false}; /* it is done without the storage */
};

/* The answer to a request that is not done, and the reason. */
struct Refusal {
    RspStatus status{RspStatus::Error};
    Error why{};
};
using Checked = Result<Ok, Refusal>;

/* The request breaks a clause: ERROR. */
inline Refusal refusal(const char *clause, const char *what, uint64_t value)
{
    return {RspStatus::Error, {ErrorKind::PeerViolation, clause, what, value}};
}
/* It asks for what was not offered: EOPNOTSUPP. */
inline Refusal unsupported(const char *clause, const char *what, uint64_t value = 0)
{
    return {RspStatus::EOpNotSupp, {ErrorKind::PeerViolation, clause, what, value}};
}

/* The disk, as far as requests are checked against it. */
struct Disk {
    const BackConfig &config;
    uint64_t sectors;
};

/* The number of segments that a request says it has. */
uint32_t segment_count(const WireRequest &wire);

/* Checks all but the segments themselves. Okay: do it as `task` says. */
Checked check_request(const Disk &disk, const WireRequest &wire, Task &task);
/* Checks the segments, and adds the place of their data to `task`. */
Checked check_segments(const Disk &disk, const WireRequest &wire,
                       std::span<const WireSegment> segments, Task &task);

} // namespace pvblk
