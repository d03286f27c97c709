/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: what is known of the backend besides its state: whether it
 * has a session, and whether its nodes are all there. From both follows what a
 * state of its means. Knows nothing of our own states.
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

    /* Once is enough. */
    Status watch();

    /* What the state that was seen means. `waiting`: we have no session. */
    XenbusState interpret(XenbusState seen, bool waiting);
    /* It is in a session that is not ours: one of a frontend that died. */
    bool in_old_session();

    /* It was told of our rings, or nobody looks at it any more. */
    void session_begins() { fresh_ = false; }
    /* It closed the last one. */
    void session_over() { fresh_ = true; }
    /* It had its time to write its size: Wait::Nodes is over. */
    void settled() { settled_ = true; }
    /* The next one gets a moment of its own. */
    void unsettle();

private:
    bool nodes_complete();

    FrontNodes &nodes_;
    const Session &session_;
    Deadlines &deadlines_;
    bool watching_{false};
    /* It has no session: it was seen without one, or closed the last, since it
     * was told of our rings. Counts while we wait for it. */
    bool fresh_{false};
    bool settled_{false};
};

} // namespace pvblk
