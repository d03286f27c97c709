/* SPDX-License-Identifier: MIT */
/*
 * Scenarios: every fault of the catalogue at each of its points. A backend that
 * does so breaks a clause. A good frontend loses its disk over it, at worst: it
 * does not crash, it does not hang where it can tell, and it hands on no wrong
 * byte where it can tell.
 */
#include "frontends/scenario.h"

#include "pvblk/fault.h"

#include <iterator>
#include <memory>

namespace pvblk::conformance
{

namespace
{

using enum FaultKind;

struct Lie {
    FaultKind kind;
    const char *clause;
    const char *param;
    uint8_t then;
    uint8_t traits{0};
    const char *where{""}; /* conditions of the rule, beside those of its point */
};

constexpr uint8_t kAny = kGoesOn | kIoError | kGivesUp;
/* What a frontend without a time-out cannot tell from a slow backend. */
constexpr uint8_t kMayWait = kAny | kWaits;
constexpr uint8_t kMayWaitForEver = kMayWait | kWaitsForEver;
constexpr uint8_t kRefuses = kGivesUp | kIoError;

constexpr Lie kFaultLies[] = {
    {ProducerAhead, "ring:rsp-unpublished", "1", kMayWait, kSpoilsRing},
    {ProducerBeyondRing, "ring:rsp-prod", "1", kMayWait, kSpoilsRing},
    {ProducerHalfWay, "ring:rsp-prod", "", kMayWait, kSpoilsRing},
    {ProducerBackwards, "ring:rsp-prod", "2", kMayWait, kSpoilsRing},
    {ProducerFrozen, "ring:rsp-prod", "", kMayWait},
    {ProducerFlicker, "ring:rsp-prod", "1", kMayWait, kSpoilsRing},
    {RequestProducerOverwritten, "ring:own-index", "1", kMayWaitForEver, kSpoilsRing},
    {ResponseId, "ring:rsp-id", "12345678901", kMayWaitForEver, kSpoilsRing | kShows},
    {ResponseUnknownId, "ring:rsp-id", "", kMayWaitForEver, kSpoilsRing | kShows},
    {ResponseFinishedId, "ring:rsp-id", "", kMayWaitForEver, kSpoilsRing | kShows},
    {ResponseReplayed, "ring:rsp-id", "", kMayWaitForEver, kSpoilsRing},
    {ResponseUnpublishedId, "ring:rsp-id", "", kMayWaitForEver, kSpoilsRing | kShows},
    {ResponseDuplicate, "ring:rsp-prod", "1", kMayWaitForEver, kSpoilsRing},
    {ResponseReordered, "ring:rsp-id", "", kMayWait},
    {ResponseUnasked, "ring:rsp-unpublished", "", kMayWaitForEver, kSpoilsRing},
    {ResponseLost, "ring:answer", "", kMayWaitForEver},
    {ResponseLate, "ring:answer", "2", kMayWait},
    {ResponseOperation, "ring:rsp-op", "99", kMayWaitForEver, kShows},
    {ResponseStatus, "blkif:status", "-1", kIoError | kGivesUp},
    {ResponseRewritten, "ring:copy", "-1", kMayWaitForEver, kLies},
    {ResponseRefused, "blkif:status", "", kIoError | kGivesUp, 0, " op=read|write"},
    {DataSkipped, "blkif:op", "", kAny, kLies},
    {DataShort, "blkif:op", "1", kAny, kLies},
    {DataFlipped, "blkif:op", "77", kAny, kLies},
    {DataPoisoned, "blkif:op", "170", kAny, kLies},
    {DataAfterResponse, "grant:end-access", "", kMayWait, kLies | kKeepsPages},
    {NotifyLost, "evtchn:lost", "", kMayWait},
    {NotifySpurious, "evtchn:spurious", "", kGoesOn},
    {NotifyStorm, "evtchn:storm", "1000", kGoesOn},
    {NotifyBeforePublish, "ring:publish", "", kMayWait},
    {NotifyAfterClose, "evtchn:spurious", "", kAny},
    {NotifyOtherQueue, "ring:rsp-event", "1", kMayWait},
    {RspEventAhead, "ring:rsp-event", "3", kMayWait, kSpoilsRing},
    {RspEventBehind, "ring:rsp-event", "3", kMayWait, kSpoilsRing},
    {RearmSkipped, "ring:req-event", "", kMayWait},
    {RearmAhead, "ring:req-event", "3", kMayWait},
    {MapFails, "blkif:gref", "", kAny},
    {MapLate, "grant:end-access", "", kAny, kLies},
    {MapStray, "blkif:gref", "9", kGoesOn},
    {MapWritable, "grant:readonly", "", kAny},
    {MapForEver, "grant:end-access", "", kMayWait, kKeepsPages},
    {UnmapEarly, "grant:lifetime", "", kAny, kLies},
    {PersistentRefused, "blkif:persistent-limit", "", kGoesOn},
    {NodeMissing, "blkif:default", "", kMayWait},
    {NodeLate, "blkif:nodes", "", kMayWait},
    {NodeValue, "xenbus:decimal", "\"7x\"", kMayWait},
    {NodeChanged, "xenbus:reread", "\"3\"", kMayWait},
    {NodeEmpty, "xenbus:decimal", "", kMayWait},
    {NodeNotANumber, "xenbus:decimal", "", kMayWait},
    {NodeHuge, "blkif:width", "", kMayWait},
    {NodeNegative, "xenbus:decimal", "", kMayWait},
    {NodeLong, "xenbus:decimal", "4096", kMayWait},
    {StateSkipped, "xenbus:waits", "", kMayWait},
    {StateRepeated, "xenbus:state", "", kAny},
    {StateReversed, "xenbus:no-order", "", kMayWait},
    {StateValue, "xenbus:state", "\"9\"", kMayWait},
    {StateMissing, "xenbus:state", "", kMayWait},
    {SectorSizeZero, "blkif:sector-size", "", kRefuses},
    {SectorSizeUneven, "blkif:sector-size", "", kRefuses},
    {SectorSizeAbovePage, "blkif:sector-size", "", kRefuses},
    {SectorSizeChanged, "blkif:sector-size", "0", kAny},
    {SizeZero, "blkif:sectors", "", kMayWait},
    {SizeOverflow, "blkif:sectors", "", kAny},
    {SizeShrinks, "blkif:resize", "8000", kAny},
    {SizeGrows, "blkif:resize", "8", kAny},
    {FeatureUnsupported, "blkif:eopnotsupp", "", kAny},
    {IndirectLimitZero, "blkif:feature-max-indirect-segments", "", kGoesOn},
    {IndirectLimitHuge, "blkif:feature-max-indirect-segments", "", kAny},
    {QueuesZero, "blkif:multi-queue-max-queues", "", kAny},
    {QueuesHuge, "blkif:multi-queue-max-queues", "", kAny},
    {RingOrderHuge, "blkif:max-ring-page-order", "", kAny},
    {Closing, "xenbus:closing", "", kAny},
    {ClosedAtOnce, "xenbus:restart", "", kMayWait},
    {Unplug, "xenbus:closing", "", kAny},
    {Vanish, "xenbus:return", "", kMayWaitForEver},
    {Migrate, "xenbus:return", "", kMayWaitForEver},
    {Restart, "xenbus:restart", "", kMayWaitForEver},
    {Stall, "ring:answer", "", kMayWaitForEver},
    {ConnectRefused, "xenbus:deadline", "", kMayWait},
    {ConnectSilent, "xenbus:deadline", "", kMayWait},
};

constexpr bool all_are_here()
{
    if (std::size(kFaultLies) != kFaultKinds)
        return false;
    for (uint32_t i = 0; i < kFaultKinds; i++)
        if (static_cast<uint32_t>(kFaultLies[i].kind) != i)
            return false;
    return true;
}
static_assert(all_are_here());

/* Nodes for the faults of any node: what a frontend reads first, a size, a switch, a limit. */
constexpr const char *kNodes[] = {"sectors",
                                  "sector-size",
                                  "info",
                                  "feature-flush-cache",
                                  "feature-persistent",
                                  "feature-max-indirect-segments",
                                  "max-ring-page-order",
                                  "multi-queue-max-queues",
                                  "discard-granularity"};

/* When it happens: after the frontend's first look at the disk, where that is possible. */
std::string when(FaultPoint p)
{
    switch (p) {
    case FaultPoint::PublishNode: return " always";
    case FaultPoint::SetState: return " state=Connected once";
    case FaultPoint::Connect: return " once";
    case FaultPoint::Map: return " nth=3";
    case FaultPoint::Unmap: return " name=data nth=3";
    case FaultPoint::Data: return " nth=2";
    case FaultPoint::Tick: return " state=Connected nth=4";
    default: return " nth=3";
    }
}

/* The registry's cases have literals; these live as long as the program. */
const char *keep(std::string text)
{
    static std::vector<std::unique_ptr<std::string>> all;
    all.push_back(std::make_unique<std::string>(std::move(text)));
    return all.back()->c_str();
}

/* `node`: the point's name=, a node or a page's use. */
Scenario scenario(const Lie &lie, FaultPoint p, const std::string &node)
{
    const FaultInfo &fault = fault_info(lie.kind);
    const FaultPointInfo &point = fault_point_info(p);
    std::string id =
        "front/" + std::string(fault.name) + "/" + (node.empty() ? std::string(point.name) : node);
    std::string plan = "at " + std::string(point.name);
    if (!node.empty())
        plan += " name=" + node;
    plan += lie.where + (node == "ring" || node == "indirect" ? " once" : when(p)) + ": " +
            std::string(fault.name);
    if (*lie.param)
        plan += std::string(" ") + lie.param;
    std::string what = "At " + std::string(point.name) +
                       (node.empty() ? std::string() : " of " + node) + ": " +
                       std::string(fault.what) + ".";
    return {{keep(id), lie.clause, Level::Should, Kind::Hostile, keep(what), nullptr},
            "",
            plan,
            lie.then,
            lie.traits,
            Act::None,
            Pace::AtOnce};
}

} // namespace

std::vector<Scenario> lies()
{
    std::vector<Scenario> all;
    for (const Lie &lie : kFaultLies)
        for (uint32_t p = 0; p < kFaultPoints; p++) {
            const FaultInfo &fault = fault_info(lie.kind);
            if (!(fault.points >> p & 1))
                continue;
            auto point = static_cast<FaultPoint>(p);
            if (point == FaultPoint::PublishNode && fault.node.empty())
                for (const char *node : kNodes)
                    all.push_back(scenario(lie, point, node));
            else if (point == FaultPoint::Map)
                for (const char *use : {"data", "ring", "indirect"}) {
                    if (fault.ops && std::string_view(use) == "ring")
                        continue; /* it is of no request */
                    all.push_back(scenario(lie, point, use));
                }
            else
                all.push_back(scenario(lie, point, ""));
        }
    return all;
}

} // namespace pvblk::conformance
