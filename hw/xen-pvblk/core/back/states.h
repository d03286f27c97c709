/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: the one table of the backend's actions when the frontend's state
 * changes, or when its owner closes it. It does not know blocks. Clauses:
 * blkif.h "STATE DIAGRAMS". The frontend's table is in front/states.h.
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
    Return,  /* Restart and look again, if this frontend begins another session */
    Connect, /* read the frontend's nodes and map its rings: Connected, or Closing */
    Renew,   /* Connect, if its nodes or its rings are not those of this connection */
    Replace, /* the same, or if the backend took a request in this connection */
    Close,   /* write Closing */
    End,     /* let go of the rings, write Closed */
};
const char *back_action_name(BackAction a);

/*
 * The table. A backend that was not started, or is gone, is Unknown, and does
 * nothing. The backend uses only the states Unknown, InitWait, Connected, Closing
 * and Closed.
 */
BackAction back_action(XenbusState state, BackEvent event);

} // namespace pvblk
