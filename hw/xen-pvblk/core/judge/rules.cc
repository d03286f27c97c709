/* SPDX-License-Identifier: MIT */
/* Layer `judge`: the table of clauses. */
#include "pvblk/judge.h"

#include <array>

namespace pvblk
{

namespace
{

using R = JudgeRule;
using enum JudgeLevel;

constexpr std::array<JudgeRuleInfo, kJudgeRules> kRules{{
    {R::FrontendNode, "blkif:frontend-node", Must, "numeric nodes are decimal, switches 0 or 1"},
    {R::EventChannel, "blkif:event-channel", Must, "event-channel is a port that can be bound"},
    {R::RingRef, "blkif:ring-ref", Must, "ring-ref is a page that can be mapped"},
    {R::RingRefs, "blkif:ring-refs", Must, "a ring of several pages has no ring-ref"},
    {R::Protocol, "blkif:protocol", Must, "protocol is an ABI of blkif"},
    {R::RingPageOrder, "blkif:ring-page-order", Must, "ring-page-order is one that was offered"},
    {R::NumRingPages, "blkif:num-ring-pages", Must,
     "num-ring-pages is one that was offered, and agrees with ring-page-order"},
    {R::FrontPersistent, "blkif:front-persistent", Should,
     "with persistent grants, it uses the same grants again"},
    {R::LargeSectorSize, "blkif:feature-large-sector-size", Should,
     "it does not write feature-large-sector-size"},
    {R::NumQueues, "blkif:multi-queue-num-queues", Must, "it has as many queues as were offered"},
    {R::MultiQueue, "blkif:multi-queue", Must, "with several queues, no ring is at the top"},
    {R::Nodes, "xenbus:nodes", Must, "its nodes stay as they are while it is Connected"},
    {R::State, "xenbus:state", Must, "its state is a number from 0 to 8"},
    {R::Op, "blkif:op", Must, "operations are those of blkif"},
    {R::Barrier, "blkif:feature-barrier", Must, "it sends barriers only if they are offered"},
    {R::Flush, "blkif:feature-flush-cache", Must, "it sends flushes only if they are offered"},
    {R::FlushData, "blkif:flush", Must, "a flush has no data"},
    {R::Discard, "blkif:feature-discard", Must, "it sends discards only if they are offered"},
    {R::SecureDiscard, "blkif:discard-flag", Should,
     "it sends secure discards only if they are offered"},
    {R::FeatureLoss, "blkif:feature-loss", Should,
     "it sends no more of an operation that was not supported"},
    {R::Indirect, "blkif:feature-max-indirect-segments", Must,
     "it sends indirect requests only if they are offered"},
    {R::IndirectLimit, "blkif:indirect-limit", Must,
     "an indirect request has no more segments than offered"},
    {R::MaxSegments, "blkif:max-segments", Must, "a direct request has 1 to 11 segments"},
    {R::SegmentAlignment, "blkif:segment-alignment", Must, "a segment covers whole sectors"},
    {R::FirstLast, "blkif:first-last", Must, "a segment lies in its page"},
    {R::Gref, "blkif:gref", Must, "a page is granted as its request needs it"},
    {R::Handle, "blkif:handle", Should, "the handle of a read or write is the device's"},
    {R::Id, "blkif:id", Practice, "no two requests in flight have one id"},
    {R::SectorNumber, "blkif:sector-number", Must, "a request begins at a sector of sector-size"},
    {R::Range, "blkif:range", Must, "a request ends at the end of the disk at the latest"},
    {R::ReadOnly, "blkif:read-only", Must, "it never writes to a read-only disk"},
    {R::DiscardSector, "blkif:discard-sector", Must, "a secure discard is aligned"},
    {R::DiscardCount, "blkif:discard-count", Must, "a discard has sectors"},
    {R::IndirectOp, "blkif:indirect-op", Must, "an indirect request is a read or a write"},
    {R::RingInit, "ring:init", Must, "a new ring has producers 0 and events 1"},
    {R::OwnIndex, "ring:private", Must, "it does not write the backend's indices"},
    {R::ReqProd, "ring:req-prod", Must, "req_prod is at most a ring ahead, and never goes back"},
    {R::ReqEvent, "ring:req-event", Must, "it sends the events that the backend asked for"},
    {R::Batch, "ring:batch", Should, "rsp_event asks for a response that can come"},
    {R::EventReceived, "evtchn:send", Must, "its event channel is open while it is connected"},
    {R::ReadonlyGrant, "grant:readonly", Practice, "the data of a write is granted read-only"},
    {R::GrantLifetime, "grant:lifetime", Practice, "no grant outlives its use"},
}};

constexpr bool in_order()
{
    for (uint32_t i = 0; i < kJudgeRules; i++)
        if (static_cast<uint32_t>(kRules[i].rule) != i)
            return false;
    return true;
}
static_assert(in_order());

} // namespace

std::span<const JudgeRuleInfo, kJudgeRules> judge_rules()
{
    return kRules;
}

std::string first_breach(const JudgeRecord &record)
{
    if (!record.broken)
        return "";
    return std::string(record.first) + " (value " + std::to_string(record.value) + ")";
}

std::string judgement(uint64_t kept, uint64_t broken, const std::string &how, JudgeLevel level)
{
    if (!broken)
        return "kept " + std::to_string(kept);
    const char *name = level == Should ? " (SHOULD)" : level == Practice ? " (PRACTICE)" : "";
    return "BROKEN " + std::to_string(broken) + " of " + std::to_string(kept + broken) + name +
           ": " + how;
}

} // namespace pvblk
