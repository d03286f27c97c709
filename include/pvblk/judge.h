/* SPDX-License-Identifier: MIT */
/*
 * Layer `judge`: BackJudge watches a frontend from the backend's side, and
 * records for each clause how often the frontend kept it, and how often it broke
 * it. It sees the states and nodes, the ring's indices, every request, every
 * grant and every refusal. It changes nothing: a backend with a judge answers as
 * one without.
 *
 *     BackFaults faults;                                  (optional: a plan)
 *     BackJudge judge(faults.hooks(), &owner);
 *     BlockBack back({store, grants, events, storage, judge.owner()}, config, judge.hooks());
 *
 * If a fault plan lies about a node, the frontend is judged by the lie: it may
 * believe what the backend says. A request that fails because of a fault is
 * nobody's breach. After a plan has shown a false producer, overwritten a request
 * or lost an answer before a restart, no request of that ring is judged until the
 * next connection.
 *
 * The clauses are those of docs/protocol.rst. The table below has the ones that
 * a backend can see.
 *
 * Threads: one, that of the backend's ports; a backend with a judge does I/O on
 * it, too. Allocates when it is made. A frontend can make nothing grow.
 */
#pragma once

#include "pvblk/back.h"

#include <memory>
#include <span>
#include <string>

namespace pvblk
{

/* How strongly the clause asks for it. */
enum class JudgeLevel : uint8_t {
    Must,
    Should,
    Practice, /* no text asks for it, but backends rely on it, or it is safer */
};

/* In the order of docs/protocol.rst. */
enum class JudgeRule : uint8_t {
    FrontendNode,
    EventChannel,
    RingRef,
    RingRefs,
    Protocol,
    RingPageOrder,
    NumRingPages,
    FrontPersistent,
    LargeSectorSize,
    NumQueues,
    MultiQueue,
    Nodes,
    State,
    Op,
    Barrier,
    Flush,
    FlushData,
    Discard,
    SecureDiscard,
    FeatureLoss,
    Indirect,
    IndirectLimit,
    MaxSegments,
    SegmentAlignment,
    FirstLast,
    Gref,
    Handle,
    Id,
    SectorNumber,
    Range,
    ReadOnly,
    DiscardSector,
    DiscardCount,
    IndirectOp,
    RingInit,
    OwnIndex,
    ReqProd,
    ReqEvent,
    Batch,
    EventReceived,
    ReadonlyGrant,
    GrantLifetime,
};
inline constexpr uint32_t kJudgeRules = static_cast<uint32_t>(JudgeRule::GrantLifetime) + 1;

struct JudgeRuleInfo {
    JudgeRule rule;
    const char *clause; /* an ID of docs/protocol.rst */
    JudgeLevel level;
    const char *what; /* of a frontend that keeps it */
};

/* In JudgeRule's order. */
std::span<const JudgeRuleInfo, kJudgeRules> judge_rules();

struct JudgeRecord {
    uint64_t kept{0}, broken{0};
    const char *first{""}; /* a sentence: how it was broken the first time */
    uint64_t value{0};     /* the wrong number of that time, where there is one */
};

/* How it was broken the first time, and the value; "" if it was not. */
std::string first_breach(const JudgeRecord &record);
/* "kept 152", or "BROKEN 3 of 152: how"; "BROKEN 3 of 152 (SHOULD): how" of a clause that is no
 * MUST. */
std::string judgement(uint64_t kept, uint64_t broken, const std::string &how,
                      JudgeLevel level = JudgeLevel::Must);

/* Is told what the judge sees, as often as the frontend acts: for a trace. */
class JudgeListener
{
public:
    virtual void broken(const JudgeRuleInfo &, const char * /* how */, uint64_t /* value */) {}
    virtual void frontend_state(XenbusState) {}
    virtual void request(uint32_t /* queue */, RequestId, Op, uint32_t /* segments */,
                         uint64_t /* sector */)
    {
    }
    /* As the backend means it; a fault plan may still change it. */
    virtual void response(uint32_t /* queue */, RequestId, Op, int16_t /* status */) {}

protected:
    ~JudgeListener() = default;
};

class BackHooks;
class Watcher;

class BackJudge
{
public:
    /* `next`: BackFaults::hooks(), or none. All outlive the judge. */
    explicit BackJudge(BackHooks *next = nullptr, BackOwner *owner = nullptr,
                       JudgeListener *listener = nullptr);
    ~BackJudge();
    BackJudge(const BackJudge &) = delete;
    BackJudge &operator=(const BackJudge &) = delete;

    BackHooks *hooks();
    BackOwner *owner();

    /* Call this where nothing happens any more, or about once a second: it finds
     * requests without their event, and grants that outlive their request. Two
     * looks in a row have to see the same thing. Not from inside another call. */
    void look();
    /* Grants of the last connection that the backend could still map. 0 while a
     * connection is up. A frontend may end its grants soon after it is Closed. The
     * ports have to map a page at the same address each time: a grant that
     * leads elsewhere is a later one. */
    uint32_t grants_left();

    const JudgeRecord &record(JudgeRule rule) const;
    /* Connections that the frontend used: it was Connected, as the backend was. */
    uint64_t connections() const;
    /* The frontend's state, as last seen. */
    XenbusState frontend_state() const;

private:
    std::unique_ptr<Watcher> watcher_;
};

} // namespace pvblk
