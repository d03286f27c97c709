/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: a session: Connection opens, uses and closes it, and knows no
 * more of it. Transfer is one; tests have others.
 */
#pragma once

#include "front/turn.h"

#include <cstdint>

namespace pvblk
{

/* The backend's nodes so far. */
enum class Offer : uint8_t {
    Incomplete, /* it is still writing them */
    Unsized,    /* neither size nor sector-size: they come later */
    Complete,   /* complete, or wrong: publish() will say so */
};

class Session
{
public:
    virtual Offer offer() const = 0;
    /* Makes rings and event channels, and writes our nodes, except the state. */
    virtual Status publish() = 0;
    /* The backend is Connected: its nodes are final. */
    virtual Status attach() = 0;
    /* The backend wrote Connected again: its nodes may have changed. */
    virtual Status refresh() = 0;
    /* Undoes publish(), even a part of it. Requests in flight wait for the next
     * session. `given_up`: there is no next one. */
    virtual void tear_down(bool given_up) = 0;
    /* Completes every accepted request as failed. */
    virtual void fail_all() = 0;

    /* Takes answers, and sends requests if `permit` allows it. */
    virtual Turn turn(const Permit &permit) = 0;
    virtual void end_batch() = 0;

    virtual uint32_t in_flight() const = 0;
    virtual uint32_t orphans() const = 0; /* of them, cancelled */
    virtual int64_t oldest_ns(int64_t now_ns) const = 0;

protected:
    ~Session() = default;
};

} // namespace pvblk
