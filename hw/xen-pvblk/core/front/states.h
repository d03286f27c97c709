/* SPDX-License-Identifier: MIT */
/*
 * The one table of the frontend's actions when the backend's state changes, a
 * deadline passes or its owner asks for something. It does not know blocks.
 * Clauses: blkif.h "STATE DIAGRAMS".
 */
#pragma once

#include "pvblk/front.h"

namespace pvblk
{

constexpr FrontEvent back_event(XenbusState s)
{
    return static_cast<FrontEvent>(s);
}

enum class FrontAction : uint8_t {
    None,
    Begin,       /* write Initialising; look at the backend; arm the deadline */
    Publish,     /* negotiate, set up the ring, write our nodes, Initialised */
    Attach,      /* re-read the nodes, write Connected, send what waited */
    Refresh,     /* the backend re-wrote Connected: read the size again */
    Drain,       /* stop publishing; arm the deadline if the backend closes */
    SendClosing, /* write Closing */
    SendClosed,  /* write Closed */
    Restart,     /* the old session is over: tear down, then Begin */
    Lose,        /* the backend is gone: tear down, Initialising, wait */
    End,         /* tear down, write Closed: Stopped */
    Break,       /* tear down, fail everything, write Closed: Broken */
};
const char *front_action_name(FrontAction a);

struct FrontStep {
    FrontState next;
    FrontAction action;
};

/*
 * The table. `stopping`: the session closes for good, and does not connect
 * again. It only picks the way out of Draining, Closing and Closed.
 */
FrontStep front_step(FrontState state, FrontEvent event, bool stopping);

} // namespace pvblk
