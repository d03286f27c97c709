/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: our knowledge of the backend besides its state: whether it has a
 * session, and whether all its nodes exist. Both decide the meaning of its
 * state. It does not know our own states.
 */
#pragma once

#include "front/deadlines.h"
#include "front/nodes.h"
#include "front/session.h"

namespace pvblk
{

class Peer
{
public:
    Peer(FrontNodes &nodes, const Session &session, Deadlines &deadlines)
        : nodes_(nodes), session_(session), deadlines_(deadlines)
    {
    }

    /* Watches once; later calls do nothing. */
    Status watch();

    /* The meaning of the backend's state. `waiting`: we have no session. */
    XenbusState interpret(XenbusState seen, bool waiting);
    /* The backend is in the session of another frontend, which died. */
    bool in_old_session();

    /* It was told of our rings, or we no longer look at it. */
    void session_begins() { fresh_ = false; }
    /* It closed the last one. */
    void session_over() { fresh_ = true; }
    /* It had its time to write its size: Wait::Nodes is over. */
    void settled() { settled_ = true; }
    /* The next backend gets its own time to write its size. */
    void unsettle();

private:
    bool nodes_complete();

    FrontNodes &nodes_;
    const Session &session_;
    Deadlines &deadlines_;
    bool watching_{false};
    /* It has no session: since it was told of our rings, it was seen without one,
     * or closed the last one. Counts while we wait for it. */
    bool fresh_{false};
    bool settled_{false};
};

} // namespace pvblk
