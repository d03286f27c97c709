/* SPDX-License-Identifier: MIT */
/*
 * What a backend needs from the world besides Store and Storage (ports.h).
 * Threads and ownership as there, but for what BackQueue (back_queue.h) calls:
 * map(), unmap() and notify() come from the queue's thread.
 */
#pragma once

#include "pvblk/ports.h"

#include <cstddef>

namespace pvblk
{

/* The frontend's pages, as its grants allow. */
class BackGrants
{
public:
    /* Map a page for reading only or for reading and writing. Fails if the
     * grant does not exist, ended, or does not allow this. */
    virtual Result<std::byte *> map(GrantRef ref, bool readonly) = 0;
    virtual void unmap(GrantRef ref, std::byte *page) = 0;

protected:
    ~BackGrants() = default;
};

/* The backend's ends of the event channels that a frontend opened, one a
 * queue: 0 … kMaxQueues - 1. */
class BackEvents
{
public:
    virtual Status bind(uint32_t queue, Port remote) = 0;
    virtual Status notify(uint32_t queue) = 0;
    /* An event that comes from nobody: BlockBack::event_received() is called
     * soon, not from inside. For what one call leaves undone. */
    virtual void again(uint32_t queue) = 0;
    /* No call of BlockBack::event_received() for it is under way any more when
     * this returns, and none follows. It, bind() and Storage::drain() may let
     * other calls of BlockBack happen while they wait. */
    virtual void pause(uint32_t queue) = 0;
    virtual void unbind(uint32_t queue) = 0;
    /* BlockBack::later() is called soon, from inside of no other call: for what
     * a change of the store left undone, and for a fault plan. */
    virtual void later() = 0;

protected:
    ~BackEvents() = default;
};

/* Who wants to know what a frontend did. Called as often as it errs: up to
 * once a connection and ring. */
class BackOwner
{
public:
    /* A frontend was refused, or its ring halted. Any of the backend's threads. */
    virtual void fault(const Error &error) = 0;

protected:
    ~BackOwner() = default;
};

struct BackPorts {
    Store &store; /* as dom0 */
    BackGrants &grants;
    BackEvents &events;
    Storage &storage;
    BackOwner *owner{nullptr}; /* may be nobody */
};

} // namespace pvblk
