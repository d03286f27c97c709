/* SPDX-License-Identifier: MIT */
/* Layer `front`: the meaning of a backend's state. */
#include "front/peer.h"

namespace pvblk
{

namespace
{

/* Time for a backend to write its nodes, after InitWait without the first node. */
constexpr int64_t kSettleNs = 100'000'000;

/* In these a backend may be using a ring. */
bool in_session(XenbusState s)
{
    return s == XenbusState::Initialised || s == XenbusState::Connected ||
           s == XenbusState::Closing;
}

} // namespace

Status Peer::watch()
{
    if (watching_)
        return Ok{};
    auto s = nodes_.watch();
    watching_ = s.ok();
    return s;
}

/* xenbus.h: a backend without wishes goes from Initialising to Initialised at
 * once. One that is Initialised is that, or it has a session with a frontend
 * that died; see fresh_. */
XenbusState Peer::interpret(XenbusState seen, bool waiting)
{
    if (waiting) {
        /* Reconfiguring and Reconfigured are states of a session, too. */
        fresh_ |= !in_session(seen) && seen < XenbusState::Reconfiguring;
        if (seen == XenbusState::Initialised && fresh_)
            seen = XenbusState::InitWait;
    }
    if (seen != XenbusState::InitWait)
        unsettle();
    else if (!nodes_complete())
        return XenbusState::Initialising;
    return seen;
}

/* What the backend offers can be read at InitWait; how large its disk is, then
 * or when it is Connected. Without both nodes: one is for later, or the backend is
 * QEMU's, which shows InitWait first and its nodes after (one that connects in
 * between fails and is not tried again); so they are given a moment. */
bool Peer::nodes_complete()
{
    Offer offer = session_.offer();
    if (offer != Offer::Unsized || settled_)
        return offer != Offer::Incomplete;
    deadlines_.start(Wait::Nodes, kSettleNs);
    return false;
}

void Peer::unsettle()
{
    settled_ = false;
    deadlines_.stop(Wait::Nodes);
}

bool Peer::in_old_session()
{
    auto seen = nodes_.backend_state();
    if (!seen || !in_session(seen.value()))
        return false;
    if (seen.value() != XenbusState::Initialised)
        return true;
    auto ours = nodes_.our_state();
    fresh_ |=
        ours && (ours.value() == XenbusState::Unknown || ours.value() == XenbusState::Initialising);
    return !fresh_;
}

} // namespace pvblk
