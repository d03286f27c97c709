/* SPDX-License-Identifier: MIT */
/*
 * XenBus, for both ends: the states, and how to read a node's text.
 *
 * Clauses: xenbus.h "enum xenbus_state". Never compare states by number. (OVMF's
 * XenPvBlkWaitForBackendState does, and takes Closing for "further than
 * Connected".)
 */
#pragma once

#include "pvblk/result.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace pvblk
{

enum class XenbusState : uint8_t {
    Unknown = 0,
    Initialising = 1,
    InitWait = 2,
    Initialised = 3,
    Connected = 4,
    Closing = 5,
    Closed = 6,
    Reconfiguring = 7,
    Reconfigured = 8,
};
inline constexpr uint32_t kXenbusStates = 9;
const char *xenbus_state_name(XenbusState s);

/* Strictly decimal, no sign, no blanks, fits in 64 bits. */
std::optional<uint64_t> parse_decimal(std::string_view text);
/* A missing or unreadable state node is Unknown; a value outside 0…8 is an
 * error (xenbus:state). */
Result<XenbusState> parse_xenbus_state(std::string_view text);

} // namespace pvblk
