/* SPDX-License-Identifier: MIT */
/*
 * The domain of the suite's frontend: everything that a case needs of Xen. A
 * provider is one child: LoopbackDomain has our backend in the same process,
 * LinuxDomain stands on /dev/xen of any Linux domain, on real or emulated Xen.
 *
 * One thread. All paths of XenStore are absolute.
 */
#pragma once

#include "pvblk/ports.h"

#include <chrono>
#include <optional>
#include <string>

namespace pvblk::conformance
{

/* A page that the backend may map: we own it until unshare(). */
struct SharedPage {
    std::byte *at{nullptr}; /* kPageSize bytes; nullptr: none */
    GrantRef ref{};
    bool readonly{false}; /* for the backend */
};

/* Whom a page is granted to. */
enum class Grantee : uint8_t { Backend, Nobody /* a domain that does not exist */ };

/* How a wait ended. */
enum class Woken : uint8_t {
    Event,  /* at least one event of a ring came */
    Store,  /* the backend's state may have changed */
    Quiet,  /* nothing can come any more: the backend has done all it will do */
    TimeUp, /* nothing came for as long as we wait; something may still come */
};

/* What a provider can do beyond the ports. A case names what it needs, so that
 * `--list` knows in advance which cases a provider skips. */
enum Ability : uint32_t {
    kSeesQuiet = 1,     /* wait() says Quiet */
    kSeesMaps = 2,      /* mapped() knows what the backend has mapped */
    kGrantsToAny = 4,   /* share() may name a domain other than the backend's */
    kDefersStorage = 8, /* hold(), release() */
    kResizes = 16,      /* resize() */
    kRemoves = 32,      /* restart() */
    kNoRam = 64,        /* share_no_ram() */
};

class Domain
{
public:
    Domain() = default;
    Domain(const Domain &) = delete;
    Domain &operator=(const Domain &) = delete;
    virtual ~Domain() = default;

    virtual uint32_t abilities() const = 0;
    /* Directories of the two ends. */
    virtual const std::string &frontend() const = 0;
    virtual const std::string &backend() const = 0;

    /* XenStore as our domain may use it. The watch on the backend's state is the
     * provider's: see wait(). */
    virtual Store &store() = 0;
    virtual Events &events() = 0;
    /* A zeroed page. Error: no page or grant is left. */
    virtual Result<SharedPage> share(bool readonly, Grantee to = Grantee::Backend) = 0;
    /* The backend may not map it any more. What it has mapped stays with it. */
    virtual void unshare(const SharedPage &page) = 0;

    /* Until something happens, or `patience` has passed. */
    virtual Woken wait(std::chrono::milliseconds patience) = 0;
    /* A monotonic clock, for the times in a report. */
    virtual std::chrono::microseconds now() = 0;

    /* ---- only with the ability of that name */
    /* Pages that the backend has mapped at this moment. */
    virtual uint32_t mapped() { return 0; }
    /* From now on, the disk answers nothing. release() lets it go on, with the latest
     * request first: what may pass another one does. */
    virtual void hold() {}
    virtual void release() {}
    virtual void resize(uint64_t /* sectors */) {}
    /* The backend goes without a word, and comes back. */
    virtual void restart() {}
    /* Starts a wedged backend anew as the toolstack would. False: it cannot be done from here. */
    virtual bool revive() { return false; }
    /* A grant of a frame that is no RAM. */
    virtual Result<GrantRef> share_no_ram()
    {
        return Error{ErrorKind::Io, "grant:table", "this provider has no such frame", 0};
    }
};

/* The value of a node; nothing: it is missing. */
std::optional<std::string> read_node(Store &store, const std::string &path);

} // namespace pvblk::conformance
