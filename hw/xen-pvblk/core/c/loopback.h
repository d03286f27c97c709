/* SPDX-License-Identifier: MIT */
/* What is behind pvblk_loopback (c/loopback.h), for loopback.cc and for tests that look inside. */
#pragma once

#include "pvblk/c/loopback.h"
#include "pvblk/fault.h"
#include "pvblk/loopback.h"

struct pvblk_loopback {
    explicit pvblk_loopback(uint64_t disk_sectors);

    pvblk::LoopbackHub hub;
    pvblk::BackFaults faults;               /* of the backend, which goes before it */
    std::unique_ptr<pvblk::BlockBack> back; /* none: killed */
};
