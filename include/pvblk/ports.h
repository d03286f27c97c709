/* SPDX-License-Identifier: MIT */
/*
 * What a frontend and a backend need from the world, and nothing else. A
 * frontend has Store, Grants, Events, Memory, Clock; a backend has Store,
 * BackGrants, BackEvents, Storage. Owners (FrontOwner, BackOwner) are told what
 * happens. Providers are QEMU's Xen emulation (C glue behind c/device.h and
 * c/back.h), the in-process loopback (loopback.h), and whatever a program of C
 * has behind c/front.h and c/back.h.
 *
 * No port calls back from inside a call, except Storage: submit() may report
 * the end at once. BackEvents says what may happen while some of it wait.
 *
 * Threads: all calls come from the one thread that drives the front or back; a
 * provider calls back on that same thread. Of a backend, map(), unmap(),
 * notify() and submit() come from the thread of a queue's events, which may be
 * another one (back.h). Ownership: a port outlives the object that was given it.
 */
#pragma once

#include "pvblk/result.h"
#include "pvblk/types.h"

#include <cstddef>
#include <span>
#include <string_view>
#include <sys/uio.h>

namespace pvblk
{

/* XenStore, seen by one domain. Paths are absolute. */
class Store
{
public:
    /* Copies the value to `out` (no terminator) and returns its full length,
     * which may be more than out.size(): then the value was cut.
     * ErrorKind::Missing: there is no such node. Any other error is a failure
     * of XenStore. */
    virtual Result<size_t> read(std::string_view path, std::span<char> out) = 0;
    virtual Status write(std::string_view path, std::string_view value) = 0;
    virtual void remove(std::string_view path) = 0;
    /* The same for a backend's own node `state`, of which its host may have a
     * copy to keep in step (QEMU's xen-bus). */
    virtual Status write_state(std::string_view path, std::string_view value)
    {
        return write(path, value);
    }
    virtual void remove_state(std::string_view path) { remove(path); }
    /* One watch per object: a change at or below `path` leads to a call of
     * store_changed() of the front or back. A new watch also counts as a
     * change. */
    virtual Status watch(std::string_view path) = 0;
    virtual void unwatch() = 0;

protected:
    ~Store() = default;
};

/* ---- a frontend's ----------------------------------------------------------- */

/*
 * A block of grant references that this frontend owns, numbered 0 … count-1
 * here, and ref(i) on the wire. The entry's domid is always the backend's.
 */
class Grants
{
public:
    virtual uint32_t count() const = 0;
    virtual GrantRef ref(uint32_t index) const = 0;
    /* Grant a page of guest memory. */
    virtual Status grant_frame(uint32_t index, Gfn gfn, bool readonly) = 0;
    /* Grant one of the Memory port's private pages. */
    virtual Status grant_page(uint32_t index, PageIndex page, bool readonly) = 0;
    /* End access. ErrorKind::Busy: the peer still has it mapped. No new
     * mapping succeeds, but the page must not be reused; call again later. */
    virtual Status revoke(uint32_t index) = 0;

protected:
    ~Grants() = default;
};

/* Event channels from the frontend to its backend, one a queue: 0 …
 * kMaxQueues - 1. */
class Events
{
public:
    /* A new unbound port, for the backend's domain to bind. */
    virtual Result<Port> open(uint32_t queue) = 0;
    virtual Status notify(uint32_t queue) = 0;
    virtual void close(uint32_t queue) = 0;

protected:
    ~Events() = default;
};

/* Private pages, kPageSize bytes each and zeroed at first, that exist as long
 * as the port. They need no address in the guest. */
class Memory
{
public:
    virtual uint32_t pages() const = 0;
    virtual std::byte *page(PageIndex index) = 0;

protected:
    ~Memory() = default;
};

/* Nanoseconds of a monotonic clock (QEMU: the virtual clock). */
class Clock
{
public:
    virtual int64_t now_ns() = 0;
    /* One deadline at a time: the owner's deadline_passed() is called at or
     * after `at_ns`. A new call replaces the old deadline; < 0 disarms. */
    virtual void set_deadline(int64_t at_ns) = 0;

protected:
    ~Clock() = default;
};

/* What a frontend stands on. */
struct FrontPorts {
    Store &store;
    Grants &grants;
    Events &events;
    Memory &memory;
    Clock &clock;
};

/* ---- a backend's ------------------------------------------------------------ */

enum class StorageOp : uint8_t {
    Read,
    Write,
    WriteStable, /* done only once it is on stable storage */
    Flush,
    Discard,
    SecureDiscard, /* what was there cannot be read by anybody any more */
};

/* `data` is borrowed until the request is done; its lengths sum up to
 * `sectors`. Units: 512-byte sectors. */
struct StorageRequest {
    StorageOp op{StorageOp::Read};
    Sector at{};
    uint64_t sectors{0};
    std::span<const struct iovec> data{};
    uint64_t tag{0}; /* the client's */
};

class StorageClient
{
public:
    virtual void storage_done(uint64_t tag, bool ok) = 0;

protected:
    ~StorageClient() = default;
};

/* What a backend stores on: any number of requests at a time, done in any
 * order. */
class Storage
{
public:
    virtual uint64_t sectors() const = 0;
    /* The client hears of its end exactly once, on the thread that submitted,
     * possibly before this returns. */
    virtual void submit(const StorageRequest &req, StorageClient &client) = 0;
    /* Returns when everything that was submitted is done. */
    virtual void drain() = 0;

protected:
    ~Storage() = default;
};

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

/* Who wants to know what a frontend did wrong. Called as often as that is: up
 * to once a connection and ring. */
class BackOwner
{
public:
    /* A frontend was refused, or its ring halted. Any of the backend's threads. */
    virtual void violation(const Error &error) = 0;

protected:
    ~BackOwner() = default;
};

/* What a backend stands on. */
struct BackPorts {
    Store &store; /* as dom0 */
    BackGrants &grants;
    BackEvents &events;
    Storage &storage;
    BackOwner *owner{nullptr}; /* may be nobody */
};

} // namespace pvblk
