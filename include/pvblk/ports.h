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

/* One event channel from the frontend to its backend. */
class Events {
public:
    virtual Result<Port> open() = 0;
    virtual Status notify() = 0;
    virtual void close() = 0;

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

/* What a backend stores on. Units: 512-byte sectors and bytes. */
class Storage {
public:
    virtual uint64_t sectors() const = 0;
    virtual bool read(Sector at, std::span<std::byte> out) = 0;
    virtual bool write(Sector at, std::span<const std::byte> in) = 0;
    virtual bool flush() = 0;
    virtual bool discard(Sector at, uint64_t sectors) = 0;

protected:
    ~Storage() = default;
};

} // namespace pvblk
