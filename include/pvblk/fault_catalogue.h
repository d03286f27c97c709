/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`: the catalogue of faults, and of the points where they can
 * happen. One table has the points (decisions of a backend), one the faults.
 * The parser, the printer, every check of a rule and the lists of
 * docs/faults.rst come from these two tables; a simulator walks them to try
 * everything.
 *
 * The sentence in the table says everything that the backend has to do, in the
 * words of blkif.h, ring.h or xenbus.h.
 */
#pragma once

#include "pvblk/protocol.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace pvblk
{

/* The decisions of the backend, in the order of a connection's life. */
enum class FaultPoint : uint8_t {
    PublishNode,
    SetState,
    Connect,
    Take,
    Map,
    BeforeWork,
    Data,
    Unmap,
    Respond,
    Publish,
    Notify,
    Rearm,
    Tick,
};
inline constexpr uint32_t kFaultPoints = 13;

using FaultPointSet = uint16_t; /* bit: FaultPoint */
template <class... P>
constexpr FaultPointSet fault_points(P... p)
{
    return static_cast<FaultPointSet>((0u | ... | (1u << static_cast<uint32_t>(p))));
}

/*
 * Operations that a rule can name, as bits. An indirect request has two bits:
 * Indirect, and the operation inside it.
 */
using FaultOpSet = uint8_t;
enum FaultOpBit : FaultOpSet {
    kFaultRead = 1,
    kFaultWrite = 2,
    kFaultBarrier = 4,
    kFaultFlush = 8,
    kFaultDiscard = 16,
    kFaultIndirect = 32,
    kFaultOther = 64, /* reserved and unknown ones */
};
inline constexpr std::string_view kFaultOpNames[] = {"read",    "write",    "barrier", "flush",
                                                     "discard", "indirect", "other"};

constexpr FaultOpSet fault_op(Op op)
{
    switch (op) {
    case Op::Read: return kFaultRead;
    case Op::Write: return kFaultWrite;
    case Op::WriteBarrier: return kFaultBarrier;
    case Op::FlushDiskcache: return kFaultFlush;
    case Op::Discard: return kFaultDiscard;
    case Op::Indirect: return kFaultIndirect;
    default: return kFaultOther;
    }
}

struct FaultPointInfo {
    std::string_view name;
    bool has_op;
    bool has_queue;
    bool has_name;
    /* The values of `name=`, separated by blanks; "": any node. */
    std::string_view names;
    std::string_view what; /* "when …" */
};

inline constexpr FaultPointInfo kFaultPointTable[kFaultPoints] = {
    {"publish-node", false, false, true, "",
     "the backend is about to write, or leave out, a node that describes the device; name= is "
     "the node"},
    {"set-state", false, false, false, "",
     "the backend is about to write the state node; state= is its new value"},
    {"connect", false, false, false, "",
     "the frontend is Initialised or Connected, and the backend is about to map its rings"},
    {"take", true, true, false, "", "the backend copied a request from the ring"},
    {"map", true, true, true, "ring data indirect",
     "the backend is about to map a grant; name= is the use: ring, data or indirect (a page of "
     "segments). A ring has no operation"},
    {"before-work", true, true, false, "", "the backend is about to check and do a request"},
    {"data", true, true, false, "",
     "the backend is about to move the data of a read or write between the storage and the "
     "frontend's pages"},
    {"unmap", true, true, true, "ring data indirect",
     "the backend has used a grant and is about to unmap it (it is kept if grants are "
     "persistent); name= as at map"},
    {"respond", true, true, false, "", "the backend is about to write a response to the ring"},
    {"publish", false, true, false, "",
     "the backend is about to store the response producer (rsp_prod)"},
    {"notify", false, true, false, "", "the backend is about to send an event"},
    {"rearm", false, true, false, "",
     "the backend is about to store req_event: it asks for an event"},
    {"tick", false, false, true, "store event",
     "the frontend's state changed (name= store) or an event came (name= event); for faults "
     "that happen by themselves. A fault of a ring happens on each ring"},
};

constexpr const FaultPointInfo &fault_point_info(FaultPoint p)
{
    return kFaultPointTable[static_cast<uint32_t>(p)];
}

/* The faults, by group. Same order as kFaults. */
enum class FaultKind : uint8_t {
    /* index */
    ProducerAhead,
    ProducerBeyondRing,
    ProducerHalfWay,
    ProducerBackwards,
    ProducerFrozen,
    ProducerFlicker,
    RequestProducerOverwritten,
    /* response */
    ResponseId,
    ResponseUnknownId,
    ResponseFinishedId,
    ResponseReplayed,
    ResponseUnpublishedId,
    ResponseDuplicate,
    ResponseReordered,
    ResponseUnasked,
    ResponseLost,
    ResponseLate,
    ResponseOperation,
    ResponseStatus,
    ResponseRewritten,
    ResponseRefused,
    /* data */
    DataSkipped,
    DataShort,
    DataFlipped,
    DataPoisoned,
    DataAfterResponse,
    /* notify */
    NotifyLost,
    NotifySpurious,
    NotifyStorm,
    NotifyBeforePublish,
    NotifyAfterClose,
    NotifyOtherQueue,
    RspEventAhead,
    RspEventBehind,
    RearmSkipped,
    RearmAhead,
    /* grants */
    MapFails,
    MapLate,
    MapStray,
    MapWritable,
    MapForEver,
    UnmapEarly,
    PersistentRefused,
    /* store */
    NodeMissing,
    NodeLate,
    NodeValue,
    NodeChanged,
    NodeEmpty,
    NodeNotANumber,
    NodeHuge,
    NodeNegative,
    NodeLong,
    StateSkipped,
    StateRepeated,
    StateReversed,
    StateValue,
    StateMissing,
    /* geometry */
    SectorSizeZero,
    SectorSizeUneven,
    SectorSizeAbovePage,
    SectorSizeChanged,
    SizeZero,
    SizeOverflow,
    SizeShrinks,
    SizeGrows,
    /* features */
    FeatureUnsupported,
    IndirectLimitZero,
    IndirectLimitHuge,
    QueuesZero,
    QueuesHuge,
    RingOrderHuge,
    /* lifecycle */
    Closing,
    ClosedAtOnce,
    Unplug,
    Vanish,
    Migrate,
    Restart,
    Stall,
    ConnectRefused,
    ConnectSilent,
};
inline constexpr uint32_t kFaultKinds = static_cast<uint32_t>(FaultKind::ConnectSilent) + 1;

/* The parameter that the plan gives to a fault. */
struct FaultParam {
    enum Type : uint8_t { None, Number, Text } type{None};
    int64_t min{0}; /* of a number */
    uint64_t max{0};
    std::string_view what{}; /* of a number: its unit or meaning */
};
constexpr FaultParam fault_number(int64_t min, uint64_t max, std::string_view what)
{
    return {FaultParam::Number, min, max, what};
}

/* A value in XenStore has 4096 bytes at most (xs_wire.h). */
inline constexpr uint32_t kFaultTextLimit = 4096; /* bytes */

struct FaultInfo {
    FaultKind kind;
    std::string_view name; /* group/fault */
    FaultPointSet points;
    FaultParam param{};
    std::string_view what; /* what the backend does: a sentence */
    /* The fault hits requests of these operations alone; 0: of any. */
    FaultOpSet ops{0};
    /* The fault changes this node alone, as if the rule said name=. */
    std::string_view node{};
    /* The text that at() gives, if the fault itself defines it. */
    std::string_view value{};

    constexpr std::string_view group() const { return name.substr(0, name.find('/')); }
};

inline constexpr std::string_view kFaultGroups[] = {
    "index", "response", "data", "notify", "grants", "store", "geometry", "features", "lifecycle"};

/* Short names for the table only. */
namespace fault_table
{

using enum FaultPoint;
using enum FaultKind;

inline constexpr FaultPointSet kAnytime = fault_points(Connect, Take, Respond, Tick);
inline constexpr FaultOpSet kMovesData = kFaultRead | kFaultWrite | kFaultBarrier;

inline constexpr FaultParam kNone{};
inline constexpr FaultParam kText{FaultParam::Text, 0, 0, "a text in quotes"};
inline constexpr FaultParam kEntries = fault_number(1, UINT32_MAX, "entries");
inline constexpr FaultParam kSectors = fault_number(1, UINT64_MAX, "sectors of 512 bytes");

inline constexpr FaultInfo kTable[kFaultKinds] = {
    {ProducerAhead, "index/producer-ahead", fault_points(Publish), kEntries,
     "rsp_prod is stored N entries ahead of its true value"},
    {ProducerBeyondRing, "index/producer-beyond-ring", fault_points(Publish), kEntries,
     "rsp_prod is stored a whole ring and N entries ahead of its true value"},
    {ProducerHalfWay, "index/producer-half-way", fault_points(Publish), kNone,
     "rsp_prod is stored 2^31 entries ahead of its true value"},
    {ProducerBackwards, "index/producer-backwards", fault_points(Publish), kEntries,
     "rsp_prod is stored N entries behind its last stored value"},
    {ProducerFrozen, "index/producer-frozen", fault_points(Publish), kNone,
     "responses are written, but rsp_prod keeps its value until the next publish"},
    {ProducerFlicker, "index/producer-flicker", fault_points(Publish), kEntries,
     "rsp_prod is stored N entries ahead, then at once with its true value: a frontend that "
     "loads it twice sees both"},
    {RequestProducerOverwritten, "index/request-producer-overwritten", fault_points(Publish, Tick),
     kEntries, "req_prod, the frontend's own index, is stored N entries ahead of its true value"},

    {ResponseId, "response/id", fault_points(Respond), fault_number(0, UINT64_MAX, "the id"),
     "the response has this id"},
    {ResponseUnknownId, "response/unknown-id", fault_points(Respond), kNone,
     "the response has an id that no request has: its highest bit is flipped"},
    {ResponseFinishedId, "response/finished-id", fault_points(Respond), kNone,
     "the response has the id of the request answered before it; the first response of a "
     "connection has its own id"},
    {ResponseReplayed, "response/replayed", fault_points(Take), kNone,
     "the backend does not do the request, and writes its last response again; only if both have "
     "the same operation, and the backend took no request in between"},
    {ResponseUnpublishedId, "response/unpublished-id", fault_points(Respond), kNone,
     "the response has the id found in the first slot after the frontend's req_prod"},
    {ResponseDuplicate, "response/duplicate", fault_points(Respond),
     fault_number(1, 1024, "more responses"), "the response is written N more times"},
    {ResponseReordered, "response/reordered", fault_points(Respond), kNone,
     "the response waits until the next one has been written"},
    {ResponseUnasked, "response/unasked", fault_points(Tick), kNone,
     "a response is published before its request: its id is the one found in the first slot "
     "after req_prod"},
    {ResponseLost, "response/lost", fault_points(Take, Respond), kNone,
     "the request is never answered; at take, the backend does not even look at it"},
    {ResponseLate, "response/late", fault_points(Respond), fault_number(1, UINT32_MAX, "ticks"),
     "the response waits for N ticks"},
    {ResponseOperation, "response/operation", fault_points(Respond),
     fault_number(0, 255, "the operation"), "the response names this operation"},
    {ResponseStatus, "response/status", fault_points(Respond),
     fault_number(INT16_MIN, INT16_MAX, "the status"),
     "the request is done as it should be, but the response has this status"},
    {ResponseRewritten, "response/rewritten", fault_points(Respond),
     fault_number(INT16_MIN, INT16_MAX, "the status"),
     "the response has this status when it is published, and its true status after the event "
     "was sent"},
    {ResponseRefused, "response/refused", fault_points(BeforeWork), kNone,
     "the request is not done, but answered with BLKIF_RSP_ERROR"},

    {DataSkipped, "data/skipped", fault_points(BeforeWork), kNone,
     "the request is not done, but answered with BLKIF_RSP_OKAY"},
    {DataShort, "data/short", fault_points(Data), kSectors,
     "the last N sectors of the request are not copied", kMovesData},
    {DataFlipped, "data/flipped", fault_points(Data),
     fault_number(0, UINT64_MAX, "a bit, modulo the length"),
     "bit N of the data is flipped on its way", kMovesData},
    {DataPoisoned, "data/poisoned", fault_points(Data), fault_number(0, 255, "the byte"),
     "every page that the request names is filled with this byte, and the request is answered "
     "as done",
     kFaultRead},
    {DataAfterResponse, "data/after-response", fault_points(Data), kNone,
     "the pages stay mapped; after the event was sent, the data in them is flipped", kFaultRead},

    {NotifyLost, "notify/lost", fault_points(Notify), kNone, "the event is not sent"},
    {NotifySpurious, "notify/spurious", fault_points(Tick), kNone,
     "an event is sent for no reason"},
    {NotifyStorm, "notify/storm", fault_points(Notify, Tick), fault_number(1, 65536, "events"),
     "N events are sent, one after another"},
    {NotifyBeforePublish, "notify/before-publish", fault_points(Publish), kNone,
     "the event is sent before rsp_prod is stored, and not after it"},
    {NotifyAfterClose, "notify/after-close", fault_points(SetState), kNone,
     "after the state was written, an event is sent on every channel that is still bound"},
    {NotifyOtherQueue, "notify/other-queue", fault_points(Notify),
     fault_number(0, kMaxQueues - 1, "the queue"), "the event is sent to this queue"},
    {RspEventAhead, "notify/rsp-event-ahead", fault_points(Publish, Tick), kEntries,
     "rsp_event, the frontend's own field, is stored N entries ahead of rsp_prod"},
    {RspEventBehind, "notify/rsp-event-behind", fault_points(Publish, Tick), kEntries,
     "rsp_event, the frontend's own field, is stored N entries behind rsp_prod"},
    {RearmSkipped, "notify/rearm-skipped", fault_points(Rearm), kNone,
     "req_event keeps its value; the backend still looks at the ring once more"},
    {RearmAhead, "notify/rearm-ahead", fault_points(Rearm), kEntries,
     "req_event is stored N entries ahead of its true value"},

    {MapFails, "grants/map-fails", fault_points(Map), kNone,
     "the backend does not map the grant, and acts as if mapping it had failed"},
    {MapLate, "grants/map-late", fault_points(Map), kNone,
     "the request is not done, but answered with BLKIF_RSP_OKAY; after the event was sent, the "
     "grant is mapped and unmapped",
     kMovesData},
    {MapStray, "grants/map-stray", fault_points(Map, Tick),
     fault_number(0, UINT32_MAX, "the grant reference"),
     "this grant, which the frontend may never have named, is mapped and unmapped as well"},
    {MapWritable, "grants/map-writable", fault_points(Map), kNone,
     "the grant is mapped for writing, even if reading is enough"},
    {MapForEver, "grants/map-for-ever", fault_points(Unmap), kNone,
     "the grant stays mapped until the backend ends; this happens to 1024 pages at most"},
    {UnmapEarly, "grants/unmap-early", fault_points(Data), kNone,
     "the pages are unmapped before the data is moved; no data is moved, and the answer is "
     "BLKIF_RSP_OKAY",
     kMovesData},
    {PersistentRefused, "grants/persistent-refused", fault_points(Unmap), kNone,
     "the grant is unmapped, though both sides agreed on persistent grants"},

    {NodeMissing, "store/node-missing", fault_points(PublishNode), kNone, "the node is removed"},
    {NodeLate, "store/node-late", fault_points(PublishNode), kNone,
     "the node is written after the state that announces it"},
    {NodeValue, "store/node-value", fault_points(PublishNode), kText, "the node has this value"},
    {NodeChanged, "store/node-changed", fault_points(PublishNode), kText,
     "the node has its true value at first, and this value from the next connect on"},
    {NodeEmpty, "store/node-empty", fault_points(PublishNode), kNone, "the node is empty", 0, "",
     ""},
    {NodeNotANumber, "store/node-not-a-number", fault_points(PublishNode), kNone,
     "the node says 0x200", 0, "", "0x200"},
    {NodeHuge, "store/node-huge", fault_points(PublishNode), kNone, "the node says 2^64", 0, "",
     "18446744073709551616"},
    {NodeNegative, "store/node-negative", fault_points(PublishNode), kNone, "the node says -1", 0,
     "", "-1"},
    {NodeLong, "store/node-long", fault_points(PublishNode),
     fault_number(1, kFaultTextLimit, "bytes"), "the node has N bytes, each of them the digit 9"},
    {StateSkipped, "store/state-skipped", fault_points(SetState), kNone,
     "the state is not written, but the backend goes on as if it were"},
    {StateRepeated, "store/state-repeated", fault_points(SetState), kNone,
     "the state is written twice"},
    {StateReversed, "store/state-reversed", fault_points(SetState), kNone,
     "after the state was written, the previous one is written again"},
    {StateValue, "store/state-value", fault_points(SetState), kText,
     "the state node has this value"},
    {StateMissing, "store/state-missing", fault_points(SetState), kNone,
     "the state node is removed"},

    {SectorSizeZero, "geometry/sector-size-zero", fault_points(PublishNode), kNone,
     "sector-size is 0", 0, "sector-size", "0"},
    {SectorSizeUneven, "geometry/sector-size-uneven", fault_points(PublishNode), kNone,
     "sector-size is 1536, which is not a power of two", 0, "sector-size", "1536"},
    {SectorSizeAbovePage, "geometry/sector-size-above-page", fault_points(PublishNode), kNone,
     "sector-size is 8192, more than a page", 0, "sector-size", "8192"},
    {SectorSizeChanged, "geometry/sector-size-changed", fault_points(Tick),
     fault_number(0, UINT32_MAX, "bytes"),
     "sector-size is written with this value, and then the state again"},
    {SizeZero, "geometry/size-zero", fault_points(PublishNode), kNone, "sectors is 0", 0, "sectors",
     "0"},
    {SizeOverflow, "geometry/size-overflow", fault_points(PublishNode), kNone,
     "sectors is 2^55: in bytes, 2^64", 0, "sectors", "36028797018963968"},
    {SizeShrinks, "geometry/size-shrinks", fault_points(Tick), kSectors,
     "sectors is written again, N lower but not below 0, and then the state; the storage keeps "
     "its size"},
    {SizeGrows, "geometry/size-grows", fault_points(Tick), kSectors,
     "sectors is written again, N higher, and then the state; the storage keeps its size"},

    {FeatureUnsupported, "features/unsupported", fault_points(BeforeWork), kNone,
     "the request is not done, but answered with BLKIF_RSP_EOPNOTSUPP"},
    {IndirectLimitZero, "features/indirect-limit-zero", fault_points(PublishNode), kNone,
     "feature-max-indirect-segments is 0", 0, "feature-max-indirect-segments", "0"},
    {IndirectLimitHuge, "features/indirect-limit-huge", fault_points(PublishNode), kNone,
     "feature-max-indirect-segments is 2^32 - 1", 0, "feature-max-indirect-segments", "4294967295"},
    {QueuesZero, "features/queues-zero", fault_points(PublishNode), kNone,
     "multi-queue-max-queues is 0", 0, "multi-queue-max-queues", "0"},
    {QueuesHuge, "features/queues-huge", fault_points(PublishNode), kNone,
     "multi-queue-max-queues is 2^32 - 1", 0, "multi-queue-max-queues", "4294967295"},
    {RingOrderHuge, "features/ring-order-huge", fault_points(PublishNode), kNone,
     "max-ring-page-order is 64", 0, "max-ring-page-order", "64"},

    {Closing, "lifecycle/closing", kAnytime, kNone,
     "the state becomes Closing; requests already taken are answered"},
    {ClosedAtOnce, "lifecycle/closed-at-once", kAnytime, kNone,
     "the state becomes Closed, without Closing; the backend gives up its rings and answers "
     "nothing"},
    {Unplug, "lifecycle/unplug", kAnytime, kNone,
     "the state becomes Closing; once the frontend has followed, the backend's nodes are "
     "removed"},
    {Vanish, "lifecycle/vanish", kAnytime, kNone,
     "the backend gives up its rings and removes its nodes, without notice"},
    {Migrate, "lifecycle/migrate", kAnytime, kNone,
     "like vanish, but a new backend appears at once, with its nodes and InitWait"},
    {Restart, "lifecycle/restart", kAnytime, kNone,
     "the backend gives up its rings, answers nothing, and its state becomes InitWait"},
    {Stall, "lifecycle/stall", kAnytime, kNone,
     "the backend looks at no ring until the next connection"},
    {ConnectRefused, "lifecycle/connect-refused", fault_points(Connect), kNone,
     "the backend keeps its state, and writes the node error"},
    {ConnectSilent, "lifecycle/connect-silent", fault_points(Connect), kNone,
     "the backend keeps its state, and reports no error"},
};

} // namespace fault_table

/* In FaultKind's order. */
inline constexpr std::span<const FaultInfo, kFaultKinds> kFaults{fault_table::kTable};

constexpr const FaultInfo &fault_info(FaultKind k)
{
    return kFaults[static_cast<uint32_t>(k)];
}

} // namespace pvblk
