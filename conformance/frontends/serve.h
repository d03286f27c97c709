/* SPDX-License-Identifier: MIT */
/*
 * --serve: a judging backend on Linux's own Xen devices, for the frontend of any
 * guest. A toolstack has made the vbd's nodes; docs/conformance-frontends.rst
 * says how.
 */
#pragma once

#include "frontends/facts.h"
#include "pvblk/fault.h"
#include "pvblk/linux_back.h"

namespace pvblk::conformance
{

struct ServeOptions {
    DomId domain{};
    uint32_t vdev{0};
    std::string image{}; /* a file; "": memory, which is empty at first */
    BackConfig back{};
    FaultPlan plan{};
};

/* Serves until "quit" on standard input, SIGINT or SIGTERM. Error: `problem` is a
 * sentence, and nothing was served. */
std::optional<Facts> serve(ServeOptions options, std::string &problem);

} // namespace pvblk::conformance
