/* SPDX-License-Identifier: MIT */
/*
 * The ports: everything that a frontend and a backend need from outside. A
 * frontend has Store, Grants, Events, Memory, Clock; a backend has Store,
 * BackGrants, BackEvents, Storage. FrontOwner and BackOwner are told of events.
 * Providers are QEMU's Xen emulation (C glue behind c/device.h and c/back.h),
 * the in-process loopback (loopback.h), and any program in C behind c/front.h
 * and c/back.h.
 *
 * No port calls back from inside a call, with one exception: Storage::submit()
 * may report the end at once. BackEvents says which calls may wait, and what
 * may happen meanwhile.
 *
 * Threads: all calls come from the one thread that drives the front or back; a
 * provider calls back on that same thread. Exception: a backend calls map(),
 * unmap(), notify() and submit() on the thread that delivers the queue's
 * events, which may be another one (back.h). Ownership: a port outlives the
 * object that uses it.
 */
#pragma once

#include "pvblk/protocol.h"
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
    /* Copies the value to `out` (no terminator) and returns its full length. If
     * that is more than out.size(), the value was cut.
     * ErrorKind::Missing: there is no such node. Any other error is a failure
     * of XenStore. */
    virtual Result<size_t> read(std::string_view path, std::span<char> out) = 0;
    virtual Status write(std::string_view path, std::string_view value) = 0;
    virtual void remove(std::string_view path) = 0;
    /* The same for a backend's own node `state`. A host with a copy of the state
     * (QEMU's xen-bus) updates the copy here. */
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

/* Event channels from the frontend to its backend, one per queue: 0 …
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

/* Private pages of kPageSize bytes, zeroed at first. They live as long as the
 * port, and need no address in the guest. */
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

/* All ports of a frontend. */
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
    SecureDiscard, /* nobody can read the old data any more */
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

/* The disk of a backend. It takes any number of requests at a time, and does
 * them in any order. */
class Storage
{
public:
    /* The most vectors of one request. QEMU's block layer takes IOV_MAX, 1024, and
     * adds up to two of its own when it pads a request. */
    static constexpr size_t kMaxVectors = 1022;

    virtual uint64_t sectors() const = 0;
    /* Calls storage_done() exactly once, on the submitting thread, possibly
     * before this returns. */
    virtual void submit(const StorageRequest &req, StorageClient &client) = 0;
    /* Returns when every submitted request is done. */
    virtual void drain() = 0;

protected:
    ~Storage() = default;
};

/* Access to the frontend's pages, as its grants allow. */
class BackGrants
{
public:
    /* Map a page for reading, or for reading and writing. Fails if the grant
     * does not exist, has ended, or does not allow it. */
    virtual Result<std::byte *> map(GrantRef ref, bool readonly) = 0;
    virtual void unmap(GrantRef ref, std::byte *page) = 0;

protected:
    ~BackGrants() = default;
};

/* The backend's ends of the event channels that a frontend opened, one per
 * queue: 0 … kMaxQueues - 1. */
class BackEvents
{
public:
    virtual Status bind(uint32_t queue, Port remote) = 0;
    virtual Status notify(uint32_t queue) = 0;
    /* An event without a sender: call BlockBack::event_received() soon, but not
     * from inside this call. For work that one call leaves undone. */
    virtual void again(uint32_t queue) = 0;
    /* Stop the events of a queue: when this returns, no event_received() for the
     * queue is running, and none follows. While pause(), bind() or
     * Storage::drain() wait, other calls of BlockBack may happen. */
    virtual void pause(uint32_t queue) = 0;
    virtual void unbind(uint32_t queue) = 0;
    /* Call BlockBack::later() soon, but from inside no other call. For work that
     * a change of the store left undone, and for fault plans. */
    virtual void later() = 0;

protected:
    ~BackEvents() = default;
};

/* A refused request: `why` has the clause that it broke. */
struct RefusedRequest {
    uint32_t queue{0};
    RequestId id{};
    Op op{Op::Read}; /* as on the wire */
    RspStatus status{RspStatus::Error};
    Error why{};
};

/* Is told of a frontend's mistakes, on any of the backend's threads. */
class BackOwner
{
public:
    /* The backend refused a frontend, halted its ring, or could not send it an
     * event. Called at most once for each of these per connection and ring. */
    virtual void violation(const Error &error) = 0;
    /* Called as often as the frontend wants: not for a log. */
    virtual void refused(const RefusedRequest &) {}

protected:
    ~BackOwner() = default;
};

/* All ports of a backend. */
struct BackPorts {
    Store &store; /* as dom0 */
    BackGrants &grants;
    BackEvents &events;
    Storage &storage;
    BackOwner *owner{nullptr}; /* optional */
};

} // namespace pvblk
