/* SPDX-License-Identifier: MIT */
/*
 * Scenarios: all that a backend may do by blkif.h. A frontend that does not go on
 * with one of these breaks the clause.
 */
#include "frontends/scenario.h"

namespace pvblk::conformance
{

namespace
{

struct Row {
    const char *id, *clause;
    Level level;
    Kind kind;
    const char *what;
    const char *config;
    const char *plan{""};
    uint8_t then{kGoesOn};
    Act act{Act::None};
    Pace pace{Pace::AtOnce};
};

using enum Level;
constexpr Kind kV = Kind::Valid, kB = Kind::Boundary, kL = Kind::Liveness;

constexpr Row kRows[] = {
    /* ---- what is offered */
    {"front/offer/all", "blkif:nodes", Must, kV, "The backend offers all that it has.",
     "discard-secure=on,max-queues=4,max-indirect-segments=256"},
    {"front/offer/nothing", "blkif:default", Must, kV,
     "The backend offers nothing that is optional.",
     "flush=off,barrier=off,discard=off,persistent=off,max-queues=1,max-ring-page-order=0,"
     "max-indirect-segments=0"},
    {"front/offer/no-flush", "blkif:feature-flush-cache", Must, kV,
     "The backend offers barriers, and no flush.", "flush=off"},
    {"front/offer/no-barrier", "blkif:feature-barrier", Must, kV,
     "The backend offers a flush, and no barriers.", "barrier=off"},
    {"front/offer/no-cache", "blkif:feature-flush-cache", Must, kV,
     "The backend offers neither a flush nor barriers: there is no cache.",
     "flush=off,barrier=off"},
    {"front/offer/flush-withdrawn", "blkif:feature-loss", Should, kV,
     "The backend offers a flush and barriers, and supports no flush.", "",
     "at before-work op=flush always: features/unsupported", kGoesOn | kIoError},
    {"front/offer/no-discard", "blkif:feature-discard", Must, kV, "The backend offers no discard.",
     "discard=off"},
    {"front/offer/secure-discard", "blkif:discard-secure", Must, kV,
     "The backend offers secure discards.", "discard-secure=on"},
    {"front/offer/no-persistent", "blkif:feature-persistent", Must, kV,
     "The backend offers no persistent grants.", "persistent=off"},
    {"front/offer/persistent-1", "blkif:persistent-limit", Must, kB,
     "The backend offers persistent grants, and keeps one.", "max-persistent=1"},
    {"front/offer/persistent-0", "blkif:persistent-limit", Must, kB,
     "The backend offers persistent grants, and keeps none.", "max-persistent=0"},
    {"front/offer/no-indirect", "blkif:feature-max-indirect-segments", Must, kV,
     "The backend knows no indirect requests.", "max-indirect-segments=0"},
    {"front/offer/indirect-1", "blkif:indirect-limit", Must, kB,
     "Indirect requests may have one segment: fewer than direct ones.", "max-indirect-segments=1"},
    {"front/offer/indirect-11", "blkif:indirect-limit", Must, kB,
     "Indirect requests may have 11 segments: as many as direct ones.", "max-indirect-segments=11"},
    {"front/offer/indirect-12", "blkif:indirect-limit", Must, kB,
     "Indirect requests may have 12 segments: one more than direct ones.",
     "max-indirect-segments=12"},
    {"front/offer/indirect-37", "blkif:indirect-limit", Must, kB,
     "Indirect requests may have an odd number of segments.", "max-indirect-segments=37"},
    {"front/offer/indirect-513", "blkif:indirect-pages", Must, kB,
     "Indirect requests may have one segment more than a page of them holds.",
     "max-indirect-segments=513"},
    {"front/offer/indirect-4096", "blkif:indirect-pages", Must, kB,
     "Indirect requests may have as many segments as blkif allows.", "max-indirect-segments=4096"},
    {"front/offer/ring-1-page", "blkif:max-ring-page-order", Must, kV, "A ring has one page.",
     "max-ring-page-order=0"},
    {"front/offer/ring-2-pages", "blkif:max-ring-page-order", Must, kV,
     "A ring may have two pages.", "max-ring-page-order=1"},
    {"front/offer/ring-16-pages", "blkif:max-ring-page-order", Must, kV,
     "A ring may have 16 pages.", "max-ring-page-order=4"},
    {"front/offer/only-order", "blkif:ring-schemes", Must, kV,
     "Large rings are offered by max-ring-page-order alone.", "",
     "at publish-node name=max-ring-pages always: store/node-missing"},
    {"front/offer/only-pages", "blkif:ring-schemes", Must, kV,
     "Large rings are offered by max-ring-pages alone.", "",
     "at publish-node name=max-ring-page-order always: store/node-missing"},
    {"front/offer/queues-1", "blkif:multi-queue-max-queues", Must, kV,
     "The backend offers one queue.", "max-queues=1"},
    {"front/offer/queues-1-by-node", "blkif:multi-queue-max-queues", Must, kB,
     "multi-queue-max-queues says 1.", "max-queues=2",
     "at publish-node name=multi-queue-max-queues always: store/node-value \"1\""},
    {"front/offer/queues-2", "blkif:multi-queue-max-queues", Must, kV,
     "The backend offers two queues.", "max-queues=2"},
    {"front/offer/queues-16", "blkif:multi-queue-max-queues", Must, kV,
     "The backend offers 16 queues.", "max-queues=16"},
    /* ---- nodes that have a default, or come late */
    {"front/node/no-type", "blkif:type", Practice, kV, "The node type is missing.", "",
     "at publish-node name=type always: store/node-missing"},
    {"front/node/no-dev", "blkif:extra-nodes", Practice, kV, "The node dev is missing.", "",
     "at publish-node name=dev always: store/node-missing"},
    {"front/node/no-params", "blkif:params", Practice, kV, "The node params is missing.", "",
     "at publish-node name=params always: store/node-missing"},
    {"front/node/no-removable", "blkif:extra-nodes", Practice, kV, "The node removable is missing.",
     "", "at publish-node name=removable always: store/node-missing"},
    {"front/node/no-granularity", "blkif:discard-granularity", Must, kV,
     "discard-granularity is missing: it is sector-size.", "",
     "at publish-node name=discard-granularity always: store/node-missing"},
    {"front/node/no-alignment", "blkif:discard-alignment", Must, kV,
     "discard-alignment is missing: it is 0.", "",
     "at publish-node name=discard-alignment always: store/node-missing"},
    {"front/node/no-physical-sector-size", "blkif:physical-sector-size", Must, kV,
     "physical-sector-size is missing: it is sector-size.", "",
     "at publish-node name=physical-sector-size always: store/node-missing"},
    {"front/node/size-when-connected", "xenbus:states", Must, kV,
     "The backend writes sectors only before it is Connected.", "",
     "at publish-node name=sectors once: store/node-missing"},
    {"front/node/sector-size-when-connected", "xenbus:states", Must, kV,
     "The backend writes sector-size only before it is Connected.", "",
     "at publish-node name=sector-size once: store/node-missing"},
    {"front/node/info-when-connected", "xenbus:states", Must, kV,
     "The backend writes info only before it is Connected.", "",
     "at publish-node name=info once: store/node-missing"},
    {"front/node/info-unknown-bits", "blkif:info", Must, kB, "info has bits that blkif.h lacks.",
     "", "at publish-node name=info always: store/node-value \"48\""},
    /* ---- states */
    {"front/state/init-wait-twice", "xenbus:init-wait", Must, kV,
     "The backend says InitWait twice.", "",
     "at set-state state=InitWait once: store/state-repeated"},
    {"front/state/connected-twice", "xenbus:states", Must, kV, "The backend says Connected twice.",
     "", "at set-state state=Connected once: store/state-repeated"},
    {"front/state/closes", "xenbus:closing", Must, kV,
     "The backend asks to close, and the frontend follows. It may come back.", "", "",
     kGivesUp | kGoesOn, Act::Close},
    /* ---- the disk */
    {"front/disk/sector-4096", "blkif:sector-size", Must, kV, "Sectors have 4096 bytes.",
     "logical_block_size=4096,physical_block_size=4096"},
    {"front/disk/physical-4096", "blkif:physical-sector-size", Must, kV,
     "Sectors have 512 bytes, and physical ones 4096.", "physical_block_size=4096"},
    {"front/disk/read-only", "blkif:read-only", Must, kV, "The disk is read-only.", "read-only=on"},
    {"front/disk/cdrom", "blkif:info", Must, kV, "The disk is a CD-ROM.", "cdrom=on", "",
     kGoesOn | kGivesUp},
    {"front/disk/removable", "blkif:info", Must, kV, "The disk is removable.", "removable=on"},
    {"front/disk/granules", "blkif:discard-granularity", Must, kB,
     "Discards have granules of 8192 bytes.", "",
     "at publish-node name=discard-granularity always: store/node-value \"8192\""},
    {"front/disk/grows", "blkif:resize", Practice, kV, "The disk becomes larger in use.", "", "",
     kGoesOn, Act::Grow},
    {"front/disk/shrinks", "blkif:resize", Practice, kV,
     "The disk becomes smaller in use; no I/O is beyond its new end.", "", "", kGoesOn,
     Act::Shrink},
    /* ---- time */
    {"front/time/late", "ring:rsp-event", Must, kL, "Each request takes the disk a while.", "", "",
     kGoesOn, Act::None, Pace::Late},
    {"front/time/reversed", "ring:rsp-id", Must, kL,
     "Requests that are in flight together end in the opposite order.", "", "", kGoesOn, Act::None,
     Pace::Reversed},
    {"front/time/spurious-events", "evtchn:spurious", Must, kL, "Events come for no reason.", "",
     "at tick always: notify/spurious"},
    {"front/time/event-storm", "evtchn:storm", Should, kL, "A hundred events come for each.", "",
     "at notify always: notify/storm 100"},
};

} // namespace

std::vector<Scenario> variations()
{
    std::vector<Scenario> all;
    for (const Row &r : kRows)
        all.push_back({{r.id, r.clause, r.level, r.kind, r.what, nullptr},
                       r.config,
                       r.plan,
                       r.then,
                       0,
                       r.act,
                       r.pace});
    return all;
}

} // namespace pvblk::conformance
