/* SPDX-License-Identifier: MIT */
/*
 * Layer `xenbus`: the states of both ends and the one table that says what
 * the frontend does when the backend's state changes, a deadline passes or
 * its owner asks for something. Knows nothing of blocks.
 *
 * Clauses: blkif.h "STATE DIAGRAMS", xenbus.h "enum xenbus_state". The order
 * of states is never compared numerically (OVMF's XenPvBlkWaitForBackendState
 * does, and takes Closing for "further than Connected").
 */
#pragma once

#include "pvblk/result.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace pvblk {

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

/* The frontend's life cycle. In brackets: what our own state node says. */
enum class FrontState : uint8_t {
    Idle,       /* not started [Initialising or none] */
    WaitInit,   /* [Initialising] waiting for the backend's InitWait */
    Connecting, /* [Initialised] waiting for the backend's Connected */
    Connected,  /* [Connected] */
    Draining,   /* [Connected] no new requests; those in flight finish */
    Closing,    /* [Closing] waiting for the backend to follow */
    Closed,     /* [Closed] waiting for the backend to follow */
    Lost,       /* [as before] backend gone; requests wait for it */
    Broken,     /* [Closed] sticky until Reconnect */
    Stopped,    /* [Closed] the end */
};
inline constexpr uint32_t kFrontStates = 10;
const char *front_state_name(FrontState s);

/* The first nine are the backend's states, in XenbusState's order. */
enum class FrontEvent : uint8_t {
    BackUnknown,
    BackInitialising,
    BackInitWait,
    BackInitialised,
    BackConnected,
    BackClosing,
    BackClosed,
    BackReconfiguring,
    BackReconfigured,
    Drained,   /* nothing is in flight any more */
    Deadline,  /* the deadline of the current wait passed */
    Violation, /* the peer broke a rule; reason is with the caller */
    Start,     /* owner: connect */
    Reconnect, /* owner: close and connect again */
    Stop,      /* owner: close for good */
};
inline constexpr uint32_t kFrontEvents = 15;

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
 * The table. `stopping` says that the session is being closed for good
 * rather than to connect again; it picks the way out of Draining, Closing
 * and Closed, nothing else.
 */
FrontStep front_step(FrontState state, FrontEvent event, bool stopping);

} // namespace pvblk
