/* SPDX-License-Identifier: MIT */
/*
 * Plays a scenario on a LoopbackHub: our backend with its plan and its judge on
 * one side, a frontend in this process on the other. One thread, no waiting, and
 * the same run each time.
 */
#pragma once

#include "frontends/facts.h"
#include "frontends/in_process.h"

#include <functional>

namespace pvblk::conformance
{

struct PlayedFrontend {
    std::function<std::unique_ptr<InProcess>(LoopbackHub &)> make{};
    FrontPolicy policy{}; /* how large the hub's pools have to be */
    /* Nodes of a toolstack that this frontend reads, relative to each end's directory. */
    std::map<std::string, std::string> front_nodes{}, back_nodes{};
    /* It follows a resize, its flush and its discard reach the disk, and it makes no mistake
     * with the grant table. */
    bool strict{false};
};

Facts play(const Scenario &s, const PlayedFrontend &frontend);

} // namespace pvblk::conformance
