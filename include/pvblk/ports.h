/* SPDX-License-Identifier: MIT */
/*
 * What the frontend and the backend need from the world, and nothing else.
 * Two providers exist: QEMU's Xen emulation (C glue behind c_api.h) and the
 * in-process loopback (loopback.h).
 *
 * Threads: all calls come from the one thread that drives the front or back;
 * a provider calls back on that same thread. Ownership: a port outlives the
 * object that was given it.
 */
#pragma once

#include "pvblk/result.h"
#include "pvblk/types.h"

#include <span>
#include <string_view>
#include <sys/uio.h>

namespace pvblk {

/* XenStore, seen by one domain. Paths are absolute. */
class Store {
public:
    /* Copies the value to `out` (no terminator) and returns its full length,
     * which may be more than out.size(): then the value was cut. */
    virtual Result<size_t> read(std::string_view path, std::span<char> out) = 0;
    virtual Status write(std::string_view path, std::string_view value) = 0;
    virtual void remove(std::string_view path) = 0;
    /* One watch per object: a change at or below `path` leads to a call of
     * the owner's store_changed(). Fires once at registration, too. */
    virtual Status watch(std::string_view path) = 0;
    virtual void unwatch() = 0;

protected:
    ~Store() = default;
};

/*
 * A block of grant references that this frontend owns, numbered 0 … count-1
 * here and first()+i on the wire. The entry's domid is always the backend's.
 */
class Grants {
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
class Events {
public:
    virtual Result<Port> open(uint32_t queue) = 0;
    virtual Status notify(uint32_t queue) = 0;
    virtual void close(uint32_t queue) = 0;

protected:
    ~Events() = default;
};

/* Private pages, kPageSize bytes each, that exist as long as the port. They
 * need no address in the guest. */
class Memory {
public:
    virtual uint32_t pages() const = 0;
    virtual std::byte *page(PageIndex index) = 0;

protected:
    ~Memory() = default;
};

/* Nanoseconds of a monotonic clock (QEMU: the virtual clock). */
class Clock {
public:
    virtual int64_t now_ns() = 0;
    /* One deadline at a time: the owner's deadline_passed() is called at or
     * after `at_ns`. A new call replaces the old deadline; < 0 disarms. */
    virtual void set_deadline(int64_t at_ns) = 0;

protected:
    ~Clock() = default;
};

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

class StorageClient {
public:
    virtual void storage_done(uint64_t tag, bool ok) = 0;

protected:
    ~StorageClient() = default;
};

/* What a backend stores on: any number of requests at a time, done in any
 * order. */
class Storage {
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

} // namespace pvblk
