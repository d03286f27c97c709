/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: the one table that says what the backend does when the
 * frontend's state changes, or its owner wants it to go. Knows nothing of
 * blocks. Clauses: blkif.h "STATE DIAGRAMS". The frontend's is front/states.h.
 */
#pragma once

#include "pvblk/xenbus.h"

namespace pvblk
{

/* The first nine are the frontend's states, in XenbusState's order; one that
 * does not exist counts as Unknown. */
enum class BackEvent : uint8_t {
    FrontUnknown,
    FrontInitialising,
    FrontInitWait,
    FrontInitialised,
    FrontConnected,
    FrontClosing,
    FrontClosed,
    FrontReconfiguring,
    FrontReconfigured,
    Close, /* owner: ask the frontend to close */
};
inline constexpr uint32_t kBackEvents = 10;

constexpr BackEvent front_event(XenbusState s)
{
    return static_cast<BackEvent>(s);
}

enum class BackAction : uint8_t {
    None,
    Restart, /* unless a toolstack says no: let go of the rings, publish, InitWait */
    Connect, /* read the frontend's nodes and map its rings: Connected, or Closing */
    Renew,   /* the same, if its nodes are others than those of this connection */
    Close,   /* write Closing */
    End,     /* let go of the rings, write Closed */
};
const char *back_action_name(BackAction a);

/*
 * The table. A backend that was not started, or is gone, is Unknown, and does
 * nothing. Of all the states it is only in that, InitWait, Connected, Closing
 * and Closed.
 */
BackAction back_action(XenbusState state, BackEvent event);

} // namespace pvblk
