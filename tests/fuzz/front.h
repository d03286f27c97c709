/* SPDX-License-Identifier: MIT */
/*
 * Target `front`: a hostile backend against BlockFront. Nodes, states, rings,
 * grants and events are the input's; so are what the backend offers, time, the
 * guest's requests, and what the owner asks for in between.
 *
 * Oracles: each accepted request is completed exactly once, and "okay" only
 * if an okay of the backend stands behind it; its buffer is not touched after
 * that; Broken is left only when the owner asks; the work for one upcall and
 * the lines in the log are bounded; requests on the rings are well-formed, and
 * no more than was offered;
 * nothing is written outside the frontend's own nodes or into memory that no
 * request names; no page is reused while it is mapped; at the end nothing is
 * granted, mapped or open.
 */
#pragma once

#include "pvblk/front.h"

namespace pvblk::fuzz
{

enum class FrontOp : uint8_t {
    Run,    /* deliver up to a queued events and watches; 0: all */
    Submit, /* a request of the guest, see front.cc */
    Follow, /* the backend does the next step of the handshake */
    Serve,  /* the backend does and answers all that is on the ring */
    Take,   /* the backend copies 1 + a % 8 requests of each ring */
    Answer, /* ... and answers taken request a with status b; wrong: c */
    Event,  /* the backend sends an event on each ring; wrong: on that of a alone */
    Map,    /* the backend maps the pages of taken request a; wrong: grant b */
    Poke,   /* ... writes the byte c at b into mapped page a */
    Unmap,  /* ... unmaps page a; wrong: all */
    State,  /* the backend's state node is a % 9; wrong: text b */
    Node,   /* a node of the backend's is text b or number c; wrong: removed */
    Leave,  /* the backend lets go of rings and ports; a & 1: but not of kept
               pages; wrong: its nodes go, too */
    Index,  /* ring index a % 4 of queue a / 4 is b, or the edge c */
    Ring,   /* b bytes of the input's text lie at a on the ring of queue c */
    Fail,   /* the b-th port call of kind a fails c times */
    Time,   /* time passes: 2^(a % 36) ns */
    Cancel, /* queue a % 4; wrong: all of them */
    Owner,  /* a: reconnect, stop, start, or a new front */
    Offer,  /* the backend offers Offer::of(a) from its next InitWait on; wrong: now */
    Count
};
inline constexpr const char *kFrontOps[] = {
    "run",   "submit", "follow", "serve", "take", "answer", "event", "map",    "poke",  "unmap",
    "state", "node",   "leave",  "index", "ring", "fail",   "time",  "cancel", "owner", "offer"};
static_assert(std::size(kFrontOps) == static_cast<size_t>(FrontOp::Count));

struct FrontOutcome {
    uint64_t connects{0}; /* times that the front reached Connected */
    uint64_t accepted{0}, ok{0}, error{0}, unsupported{0}, cancelled{0};
    uint64_t attaches{0};              /* times that the backend mapped the rings */
    uint64_t indirect{0}, barriers{0}; /* that it took */
    uint64_t kept_hits{0};             /* pages that it had mapped already */
    uint64_t max_work{0};              /* port calls and traces of one upcall */
    FrontCounters counters{};
    Plan plan{};
    FrontState state{FrontState::Idle};
    const char *broken{""}; /* the clause */
    uint32_t quarantined{0};
    bool made{false};
};

FrontOutcome play_front(const uint8_t *data, size_t size);

} // namespace pvblk::fuzz
