/* SPDX-License-Identifier: MIT */
/*
 * A case: one thing that a frontend does to a backend, and what the backend may
 * make of it. Cases are tables of constants in cases/, one file an area; the
 * registry has them all. `--list`, `--coverage` and the manual come from here.
 */
#pragma once

#include "domain.h"

#include <span>
#include <string_view>

namespace pvblk::conformance
{

class Bench;

/* How strongly the clause asks for it. */
enum class Level : uint8_t {
    Must,
    Should,
    May,
    Practice, /* no text asks for it, but frontends rely on it */
};

enum class Kind : uint8_t {
    Valid,      /* what any frontend does */
    Boundary,   /* the last value that is allowed, and the first that is not */
    Hostile,    /* what no honest frontend does */
    Liveness,   /* whether the backend goes on */
    Regression, /* a bug that some backend had */
};

/* What a case needs beside a disk that it may write to. */
enum Need : uint32_t {
    kNothing = 0,
    /* Of the provider: the bits of Ability. */
    kNeedsQuiet = kSeesQuiet,
    kNeedsMaps = kSeesMaps,
    kNeedsGrantsToAny = kGrantsToAny,
    kNeedsHold = kDefersStorage,
    kNeedsResize = kResizes,
    kNeedsRestart = kRemoves,
    kNeedsNoRam = kNoRam,
    /* Of the backend: what its nodes offer. */
    kNeedsFlush = 1 << 8,
    kNeedsBarrier = 1 << 9,
    kNeedsDiscard = 1 << 10,
    kNeedsSecureDiscard = 1 << 11,
    kNeedsPersistent = 1 << 12,
    kNeedsIndirect = 1 << 13,
    kNeedsPages = 1 << 14,  /* rings of more than one page */
    kNeedsQueues = 1 << 15, /* more than one ring */
    /* Rings of more than one page by the scheme of max-ring-pages. */
    kNeedsRingPages = 1 << 22,
    /* ... and what they do not offer. */
    kNeedsNoFlush = 1 << 16,
    kNeedsNoBarrier = 1 << 17,
    kNeedsNoDiscard = 1 << 18,
    kNeedsNoSecureDiscard = 1 << 19,
    kNeedsNoIndirect = 1 << 20,
    kNeedsNoPersistent = 1 << 21,
    kNeedsLongLists = 1 << 23, /* indirect requests with more than one page of segments */
    /* Of the vbds that the user named. */
    kNeedsReadOnly = 1 << 24,     /* a read-only disk: the case is run on it */
    kNeedsLargeSectors = 1 << 25, /* a disk of 4096-byte sectors: likewise */
    kNeedsSmallSectors = 1 << 26, /* the usual disk has 512-byte sectors */
    /* Discards of whole granules leave most of the disk alone. */
    kNeedsGranules = 1 << 27,
};
/* The first needs of these bits that `has` lacks, as words: "" if none. */
std::string_view missing_need(uint32_t needs, uint32_t has);
inline constexpr uint32_t kNeedBits = 32;
/* "flush", "no flush", …; "" for a bit that means nothing. */
std::string_view need_name(uint32_t bit);

/* Axes along which a case is repeated: one more run for each that the backend
 * offers, whose ID has a suffix: ~x86_32, ~pages, ~queues, ~persistent. */
enum Axis : uint8_t { kPlain = 0, kAbi = 1, kPages = 2, kQueues = 4, kPersistent = 8 };
inline constexpr uint8_t kAllAxes = kAbi | kPages | kQueues | kPersistent;

/* Where the body begins. */
enum class Start : uint8_t {
    Connected, /* with rings of the run's shape */
    Waiting,   /* the backend is in InitWait, and the frontend's directory is as new */
};
/* What has to work after the body. */
enum class After : uint8_t {
    GoesOn,     /* a READ and a WRITE on the same connection */
    Reconnects, /* the ring may have halted: the same after a reconnect */
    MayEnd,     /* likewise. Some backends are gone for good: such cases run last */
};

struct Case {
    const char *id;     /* area/clause/case: never changes, never used again */
    const char *clause; /* an ID of docs/protocol.rst */
    Level level;
    Kind kind;
    const char *what; /* a sentence: "A READ of …" */
    void (*body)(Bench &);
    uint32_t needs{kNothing};
    uint8_t axes{kPlain};
    Start start{Start::Connected};
    After after{After::GoesOn};
    const char *since{"0.1.0"};
};

const char *level_name(Level l); /* "MUST" */
const char *kind_name(Kind k);   /* "valid" */

} // namespace pvblk::conformance
