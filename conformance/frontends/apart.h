/* SPDX-License-Identifier: MIT */
/*
 * Plays a scenario in a child process. A frontend that crashes, or never comes back,
 * takes the child along, and the next scenario goes on.
 */
#pragma once

#include "frontends/player.h"

namespace pvblk::conformance
{

Facts play_apart(const Scenario &s, const PlayedFrontend &frontend);

} // namespace pvblk::conformance
