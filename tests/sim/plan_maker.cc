/* SPDX-License-Identifier: MIT */
/* See plan_maker.h. */
#include "plan_maker.h"

#include "front/negotiation.h"

#include <algorithm>

namespace pvblk::sim
{

namespace
{

std::string number(Random &random, const FaultParam &param)
{
    /* Small ones most of the time: they are the ones that nearly fit. */
    uint64_t n = random.one_in(3) ? random.next() : random.below(40);
    if (param.min < 0 && random.one_in(2)) {
        int64_t span = -param.min;
        return std::to_string(-static_cast<int64_t>(n % static_cast<uint64_t>(span)) - 1);
    }
    uint64_t least = param.min > 0 ? static_cast<uint64_t>(param.min) : 0;
    uint64_t span = param.max - least;
    return std::to_string(least + (span == UINT64_MAX ? n : n % (span + 1)));
}

std::string text(Random &random)
{
    return random.pick({"\"0\"", "\"1\"", "\"4\"", "\"5\"", "\"6\"", "\"9\"", "\"512\"", "\"4096\"",
                        "\"100000\"", "\"\"", "\"-1\"", "\" 4\"", "\"r\"", "\"w\"", "\"\\x00\""});
}

/* Names that the fault's point has; "" where it has none. */
std::string name(Random &random, const FaultInfo &fault, const FaultPointInfo &point)
{
    if (!point.has_name || !fault.node.empty() || random.one_in(3))
        return "";
    if (point.names.empty())
        return node_name(static_cast<Node>(random.below(kBackendNodes)));
    std::string names(point.names);
    size_t words = static_cast<size_t>(std::count(names.begin(), names.end(), ' ')) + 1;
    size_t from = 0;
    for (uint32_t skip = random.below(words); skip > 0; skip--)
        from = names.find(' ', from) + 1;
    return names.substr(from, names.find(' ', from) - from);
}

std::string how_often(Random &random)
{
    switch (random.below(5)) {
    case 0: return " once";
    case 1: return " nth=" + std::to_string(random.below(30));
    case 2: {
        std::string every = " every=" + std::to_string(1 + random.below(20));
        return every + " times=" + std::to_string(1 + random.below(5));
    }
    case 3: return random.pick({" probability=0.02 always", " probability=0.3 always"});
    default: return random.one_in(4) ? " always" : " times=2";
    }
}

std::string make_rule(Random &random, const FaultInfo &fault)
{
    uint32_t at = random.below(kFaultPoints);
    while (!(fault.points >> at & 1))
        at = (at + 1) % kFaultPoints;
    const FaultPointInfo &point = kFaultPointTable[at];
    std::string rule = "at " + std::string(point.name);
    if (std::string n = name(random, fault, point); !n.empty())
        rule += " name=" + n;
    rule += how_often(random) + ": " + std::string(fault.name);
    if (fault.param.type == FaultParam::Number)
        rule += " " + number(random, fault.param);
    else if (fault.param.type == FaultParam::Text)
        rule += " " + text(random);
    return rule + "\n";
}

/* The state that the frontend sees, under load: the backend tells it anew, and
 * says something else than it is in. */
std::string unsteady(Random &random)
{
    std::string plan = "at tick state=Connected every=" + std::to_string(1 + random.below(30));
    return plan +
           " times=3: geometry/size-grows 8\n"
           "at set-state state=Connected nth=1 every=1 times=2: " +
           random.pick({"store/state-missing", "store/state-value \"1\"", "store/state-value \"2\"",
                        "store/state-value \"5\"", "store/state-value \"6\""}) +
           "\n";
}

/* The frontend takes the backend for gone, and data still moves: a barrier's, which waited for the
 * disk's flush. Any other fault would end the connection first. */
std::string moves_on(Random &random)
{
    return "at tick state=Connected every=" + std::to_string(1 + random.below(4)) +
           " always: geometry/size-grows 8\n"
           "at set-state state=Connected nth=" +
           std::to_string(random.below(2)) +
           " every=2 always: store/state-missing\n"
           "at data always: data/flipped " +
           std::to_string(random.below(4096)) + "\n";
}

/* Answers to earlier requests, and no other fault: an old id meets the slot's next request only
 * while the connection holds. */
std::string replays(Random &random)
{
    return "at take nth=" + std::to_string(random.below(4)) +
           " every=1 always: response/replayed\n";
}

} // namespace

std::string make_plan(Random &random, std::string_view prefer)
{
    if (random.one_in(prefer == "response" ? 2 : 8))
        return replays(random);
    if (prefer == "data" && random.one_in(2))
        return moves_on(random);
    std::string plan = "seed " + std::to_string(random.below(1000)) + "\n";
    for (uint32_t rules = random.between(1, 4); rules > 0; rules--) {
        uint32_t i = random.below(kFaultKinds);
        while (!prefer.empty() && !random.one_in(4) && kFaults[i].group() != prefer)
            i = random.below(kFaultKinds);
        plan += make_rule(random, kFaults[i]);
    }
    /* Data moves while both ends are connected, if nothing else is wrong. */
    if (random.one_in(prefer == "data" ? 1 : 4))
        plan += unsteady(random);
    return plan;
}

bool keeps_data(FaultKind kind)
{
    switch (kind) {
    /* Requests are made up: an old write may be done once more. */
    case FaultKind::RequestProducerOverwritten:
    /* An answer to another request than the one that was done. */
    case FaultKind::ResponseId:
    case FaultKind::ResponseUnpublishedId:
    case FaultKind::ResponseUnasked:
    case FaultKind::ResponseStatus:
    case FaultKind::ResponseRewritten:
    case FaultKind::DataSkipped:
    case FaultKind::DataShort:
    case FaultKind::DataFlipped:
    case FaultKind::DataPoisoned:
    case FaultKind::DataAfterResponse:
    case FaultKind::MapLate:
    case FaultKind::UnmapEarly:
    /* The frontend starts over while the backend is still at the old ring, whose
     * requests name grants that mean something else by now. */
    case FaultKind::StateSkipped:
    case FaultKind::StateReversed:
    case FaultKind::StateValue:
    case FaultKind::StateMissing: return false;
    default: return true;
    }
}

bool may_hide_cache(const FaultRule &rule)
{
    if (rule.point != FaultPoint::PublishNode)
        return false;
    std::string_view node = fault_info(rule.kind).node;
    if (node.empty())
        node = rule.name;
    return node.empty() || node == node_name(Node::FeatureFlushCache) ||
           node == node_name(Node::FeatureBarrier);
}

} // namespace pvblk::sim
