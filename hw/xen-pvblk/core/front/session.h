/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: what a Connection opens, uses and closes, and knows nothing
 * else of. Transfer is one; tests have others.
 */
#pragma once

#include "front/turn.h"

#include <cstdint>

namespace pvblk
{

/* What the backend's nodes come to so far. */
enum class Offer : uint8_t {
    Incomplete, /* it is still writing them */
    Unsized,    /* neither size nor sector-size: they are for later */
    Complete,   /* or wrong, which publish() will say */
};

class Session
{
public:
    virtual Offer offer() const = 0;
    /* Rings, event channels, and our nodes but for the state. */
    virtual Status publish() = 0;
    /* The backend is Connected: its nodes are final. */
    virtual Status attach() = 0;
    /* It says so once more: they may be others. */
    virtual Status refresh() = 0;
    /* Undoes publish(), or as much of it as there was. What is in flight waits
     * for the next one. `given_up`: there is none. */
    virtual void tear_down(bool given_up) = 0;
    /* Completes everything that was accepted, as failed. */
    virtual void fail_all() = 0;

    /* Takes what was answered, and sends what there is to send if it may. */
    virtual Turn turn(const Permit &permit) = 0;
    virtual void end_batch() = 0;

    virtual uint32_t in_flight() const = 0;
    virtual uint32_t orphans() const = 0; /* of them, cancelled */
    virtual int64_t oldest_ns(int64_t now_ns) const = 0;

protected:
    ~Session() = default;
};

} // namespace pvblk
