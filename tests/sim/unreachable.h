/* SPDX-License-Identifier: MIT */
/*
 * Cells of the table fault group × frontend state that cannot be. The simulator
 * fails both if one that can be stays empty, and if one of these does not.
 */
#pragma once

#include "tally.h"

namespace pvblk::sim
{

/* nullptr: it can be. */
constexpr const char *why_unreachable(uint32_t group, FrontState state)
{
    if (kFaultGroups[group] == "data" && state == FrontState::Idle)
        return "data moves for a request, and a front that never started has sent none";
    return nullptr;
}

} // namespace pvblk::sim
