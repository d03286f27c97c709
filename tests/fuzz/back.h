/* SPDX-License-Identifier: MIT */
/*
 * Target `back`: a hostile frontend against BlockBack. Nodes, states, rings,
 * grants, requests and lists of segments are the input's, and so is what
 * happens while the backend works: on each page that it maps, the frontend may
 * change a ring, a list, a producer or a grant, as another vCPU would; the
 * storage may answer late and in any order.
 *
 * Oracles: nothing outside the disk is asked of the storage; a read-only disk
 * and sectors that no request named keep their contents; the storage works on
 * mapped pages only, and nothing passes a barrier; each published request is
 * answered exactly once, on its ring and with an event there, with its
 * operation, and with the status that its rules demand; nothing is unmapped
 * that was not mapped, and all of it is unmapped when the connection ends; the
 * work for one event is bounded.
 */
#pragma once

#include "pvblk/back.h"

namespace pvblk::fuzz
{

enum class BackOp : uint8_t {
    Run,     /* deliver up to a queued events and watches; 0: all */
    Connect, /* the frontend closes, and connects anew as shape_of(a);
                wrong: with node b being c, or without closing before */
    Request, /* a request that keeps all rules, see hostile_front.cc; wrong: or not */
    Publish, /* the producer of queue a - 1 is shown, 0: of all; wrong: without an event */
    State,   /* the frontend's state node is a % 9; wrong: text b */
    Node,    /* a node of the frontend's is text b or number c; wrong: removed */
    Grant,   /* frame a is granted again, b & 1: with other access; wrong: access ends */
    Index,   /* ring index a % 4 of queue a / 4 moves by b; wrong: to the edge c */
    Ring,    /* b bytes of the input's text lie at a on the ring of queue c */
    Data,    /* the byte c lies at b in guest frame a */
    Meddle,  /* at the (b % 8)th map from now: a, see back.cc */
    Push,    /* a % 40 more requests are published while the backend works */
    Storage, /* a: the disk fails, works or is late; its size changes */
    Owner,   /* a: start, close, vanish, resized, or a new backend */
    Finish,  /* what waits at the storage as number a ends; wrong: all of it */
    Count
};
inline constexpr const char *kBackOps[] = {"run",    "connect", "request", "publish", "state",
                                           "node",   "grant",   "index",   "ring",    "data",
                                           "meddle", "push",    "storage", "owner",   "finish"};
static_assert(std::size(kBackOps) == static_cast<size_t>(BackOp::Count));

struct BackOutcome {
    uint64_t published{0}, okays{0}, refusals{0};
    uint64_t max_work{0}; /* requests looked at in one call */
    uint64_t reads{0}, writes{0}, stable_writes{0}, flushes{0}, discards{0},
        secure_discards{0};  /* of the storage */
    uint64_t late{0};        /* most requests that waited there */
    BackCounters counters{}; /* of the last backend */
    uint64_t connects{0};    /* of all */
    BackPlan plan{};
    XenbusState state{XenbusState::Unknown};
    bool halted{false};
    std::string error{}; /* the clause */
};

BackOutcome play_back(const uint8_t *data, size_t size);

} // namespace pvblk::fuzz
