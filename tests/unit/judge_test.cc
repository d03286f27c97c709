/* SPDX-License-Identifier: MIT */
/*
 * BackJudge: a hand-made frontend breaks each of its rules, one at a time, and
 * keeps all of them. Nobody is blamed for a lie of the backend. Our own frontend
 * breaks no rule.
 */
#include "judge/watched_grants.h"
#include "support/counting_new.h"
#include "support/manual.h"
#include "support/pass_ports.h"
#include "support/paused_ports.h"
#include "support/random.h"
#include "support/rig_front.h"

#include <set>
#include <sstream>

namespace pvblk
{

inline void PrintTo(JudgeRule rule, std::ostream *os)
{
    *os << judge_rules()[static_cast<uint32_t>(rule)].clause;
}

} // namespace pvblk

namespace
{

using namespace pvblk;
using Rule = JudgeRule;

/* The virtual device of the hub's frontend_path. */
constexpr uint16_t kHandle = 51712;

RigSetup judged(BackConfig back = {})
{
    RigSetup s;
    s.back = std::move(back);
    s.judged = true;
    s.front.handle = kHandle;
    s.hub.grants = 1200;
    s.hub.guest_pages = 512;
    return s;
}

/* What it saw broken, with the sentence of the first time. */
std::string broken(const BackJudge &judge)
{
    std::string all;
    for (const JudgeRuleInfo &rule : judge_rules())
        if (const JudgeRecord &r = judge.record(rule.rule); r.broken)
            all +=
                std::string(rule.clause) + " x" + std::to_string(r.broken) + ": " + r.first + "\n";
    return all;
}

class DeafEvents final : public PassBackEvents
{
public:
    using PassBackEvents::PassBackEvents;
    Status notify(uint32_t queue) override
    {
        if (deaf)
            return Error{ErrorKind::NotConnected, "", "the other end is closed"};
        return PassBackEvents::notify(queue);
    }
    bool deaf{false};
};

/* A hand-made frontend before a judge. Grants 0 to 10 are for reads, 11 to 15 for writes. */
struct Session {
    explicit Session(RigSetup setup = judged(), FrontShape shape = {})
        : rig(std::move(setup)), events(rig.hub.back_events)
    {
        BackPorts ports = rig.back_ports();
        rig.back = std::make_unique<TestBack>(
            BackPorts{ports.store, ports.grants, events, ports.storage, ports.owner},
            rig.setup.back, true);
        rig.hub.attach(rig.back.get());
        front.emplace(rig, shape);
        for (uint32_t i = 0; i < kMaxDirectSegments; i++)
            f().grant(i);
        for (uint32_t i = kForWrites; i < kForWrites + 5; i++)
            f().grant(i, !shape.persistent);
    }

    static constexpr uint32_t kForWrites = 11, kForLists = 100;

    RigFront &f() { return *front; }
    BackJudge &judge() { return rig.back->judge(); }
    bool connect()
    {
        bool up = f().connect();
        f().state(XenbusState::Connected);
        return up;
    }
    uint32_t unit() const { return rig.setup.back.unit() / kSectorSize; }
    WireRequest request(Op op, uint64_t sector, uint32_t segments = 1)
    {
        WireRequest r = f().request(op, sector, segments);
        r.handle = kHandle;
        if (op == Op::Write || op == Op::WriteBarrier)
            for (uint32_t i = 0; i < std::min(segments, 5u); i++)
                r.seg[i].gref = rig.hub.grants.ref(kForWrites + i);
        return r;
    }
    WireRequest discard(uint64_t sector, uint64_t sectors, bool secure = false)
    {
        WireRequest r = request(Op::Discard, sector, 0);
        r.nr_sectors = sectors;
        r.nr_segments = secure ? kDiscardSecure : 0;
        return r;
    }
    WireRequest indirect(Op op, uint32_t segments)
    {
        WireRequest r = f().indirect(op, 0, segments, kForLists);
        r.handle = kHandle;
        return r;
    }
    int ask(const WireRequest &r) { return f().ask(r); }
    int flush() { return ask(request(Op::FlushDiskcache, 0, 0)); }
    int read() { return ask(request(Op::Read, 0)); }
    /* Everything that the backend offers, as it should be. */
    void work()
    {
        const BackConfig &c = rig.setup.back;
        for (int i = 0; i < 3; i++) {
            EXPECT_EQ(read(), kOkay);
            if (!c.read_only) {
                EXPECT_EQ(ask(request(Op::Write, 8, 2)), kOkay);
            }
            if (c.flush) {
                EXPECT_EQ(flush(), kOkay);
            }
            if (c.barrier && !c.read_only) {
                EXPECT_EQ(ask(request(Op::WriteBarrier, 16, 1)), kOkay);
            }
            if (c.discard && !c.read_only) {
                EXPECT_EQ(ask(discard(64, 64)), kOkay);
            }
            if (c.discard_secure) {
                EXPECT_EQ(ask(discard(64, 64, true)), kOkay);
            }
        }
        if (c.max_indirect_segments) {
            EXPECT_EQ(ask(indirect(Op::Read, 11)), kOkay);
            if (!rig.back->plan().persistent)
                f().revoke(kForLists);
        }
    }
    void look(int times = 4)
    {
        for (int i = 0; i < times; i++)
            rig.back->judge().look();
    }
    /* It closes, and leaves nothing. */
    void end()
    {
        front.reset();
        look();
    }

    Rig rig;
    DeafEvents events;
    std::optional<RigFront> front;
};

/* ---- each rule, kept and broken ------------------------------------------------------ */

struct RuleCase {
    Rule rule;
    void (*breach)(Session &s);
    void (*change)(RigSetup &s){nullptr};
    FrontShape shape{};
};

void PrintTo(const RuleCase &c, std::ostream *os)
{
    PrintTo(c.rule, os);
}

/* Refused with this node. */
void write_node(Session &s, const char *name, const char *value)
{
    s.f().node(name, value);
    EXPECT_FALSE(s.connect()) << name;
}

void put_index(Session &s, SringField field, uint32_t value)
{
    s.f().shared().store(field, RingIndex(value));
    (void)s.rig.hub.events.notify(0);
    s.rig.hub.run();
}

void connect_and(Session &s, const WireRequest &r, int status)
{
    EXPECT_TRUE(s.connect());
    EXPECT_EQ(s.ask(r), status);
}

void large_sectors(RigSetup &s)
{
    s.back.sector_size = 4096;
}

const RuleCase kCases[] = {
    {Rule::FrontendNode, [](Session &s) { write_node(s, "feature-persistent", "2"); }},
    {Rule::FrontendNode, [](Session &s) { write_node(s, "ring-page-order", "x"); }},
    {Rule::EventChannel, [](Session &s) { write_node(s, "event-channel", "-"); }},
    {Rule::EventChannel, [](Session &s) { write_node(s, "event-channel", "77"); }},
    {Rule::RingRef, [](Session &s) { write_node(s, "ring-ref", "4294967296"); }},
    {Rule::RingRef, [](Session &s) { write_node(s, "ring-ref", "9999"); }},
    {Rule::RingRefs,
     [](Session &s) {
         s.f().node("ring-ref", "8");
         EXPECT_TRUE(s.connect());
     },
     nullptr,
     {Abi::X86_64, 1, 2}},
    {Rule::RingRefs,
     [](Session &s) {
         s.f().node("queue-1/ring-ref", "8");
         EXPECT_TRUE(s.connect());
     },
     nullptr,
     {Abi::X86_64, 2, 2}},
    {Rule::Protocol, [](Session &s) { write_node(s, "protocol", "arm-abi"); }},
    {Rule::RingPageOrder, [](Session &s) { write_node(s, "ring-page-order", "5"); }},
    {Rule::NumRingPages, [](Session &s) { write_node(s, "num-ring-pages", "0"); }},
    {Rule::NumRingPages, [](Session &s) { write_node(s, "num-ring-pages", "3"); }},
    {Rule::NumRingPages, [](Session &s) { write_node(s, "num-ring-pages", "32"); }},
    {Rule::NumRingPages,
     [](Session &s) {
         s.f().node("ring-page-order", "1");
         write_node(s, "num-ring-pages", "4");
     }},
    /* A full ring has 32 requests of 11 segments. */
    {Rule::FrontPersistent,
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         for (uint32_t i = 0; i < 353; i++) {
             EXPECT_EQ(s.judge().record(Rule::FrontPersistent).broken, 0u) << i;
             WireRequest r = s.request(Op::Read, 0);
             r.seg[0].gref = i < 16 ? s.rig.hub.grants.ref(i) : s.f().grant(i);
             EXPECT_EQ(s.ask(r), kOkay);
         }
     },
     [](RigSetup &s) { s.back.max_indirect_segments = 0; },
     {Abi::X86_64, 1, 1, true}},
    {Rule::LargeSectorSize,
     [](Session &s) {
         s.f().node("feature-large-sector-size", "1");
         EXPECT_TRUE(s.connect());
     }},
    {Rule::NumQueues, [](Session &s) { write_node(s, "multi-queue-num-queues", "5"); }},
    {Rule::NumQueues, [](Session &s) { write_node(s, "multi-queue-num-queues", "0"); }},
    {Rule::MultiQueue,
     [](Session &s) {
         s.f().node("event-channel", "1");
         EXPECT_TRUE(s.connect());
     },
     nullptr,
     {Abi::X86_64, 2, 1}},
    {Rule::Nodes,
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.f().node("feature-persistent", "1");
         s.f().state(XenbusState::Connected);
     }},
    {Rule::State,
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.f().node("state", "9");
         s.rig.hub.run();
     }},
    {Rule::State,
     [](Session &s) {
         s.f().node("state", "0000000041");
         EXPECT_TRUE(s.rig.back->start());
         s.rig.hub.run();
     }},
    {Rule::Op, [](Session &s) { connect_and(s, s.request(Op(77), 0), kNotSupp); }},
    {Rule::Barrier, [](Session &s) { connect_and(s, s.request(Op::WriteBarrier, 0, 0), kNotSupp); },
     [](RigSetup &s) { s.back.barrier = false; }},
    {Rule::Flush, [](Session &s) { connect_and(s, s.request(Op::FlushDiskcache, 0, 0), kNotSupp); },
     [](RigSetup &s) { s.back.flush = false; }},
    {Rule::FlushData,
     [](Session &s) { connect_and(s, s.request(Op::FlushDiskcache, 0, 1), kError); }},
    {Rule::Discard, [](Session &s) { connect_and(s, s.discard(0, 8), kNotSupp); },
     [](RigSetup &s) { s.back.discard = false; }},
    {Rule::SecureDiscard, [](Session &s) { connect_and(s, s.discard(0, 8, true), kNotSupp); }},
    {Rule::FeatureLoss,
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.rig.obey("at before-work op=flush: features/unsupported");
         EXPECT_EQ(s.flush(), kNotSupp);
         for (int i = 0; i < 4; i++) {
             EXPECT_EQ(broken(s.judge()), "") << "it may not have seen the answer yet: " << i;
             EXPECT_EQ(s.flush(), kOkay);
         }
     }},
    {Rule::Indirect, [](Session &s) { connect_and(s, s.indirect(Op::Read, 11), kNotSupp); },
     [](RigSetup &s) { s.back.max_indirect_segments = 0; }},
    {Rule::IndirectLimit, [](Session &s) { connect_and(s, s.indirect(Op::Read, 17), kError); },
     [](RigSetup &s) { s.back.max_indirect_segments = 16; }},
    {Rule::MaxSegments, [](Session &s) { connect_and(s, s.request(Op::Read, 0, 0), kError); }},
    {Rule::MaxSegments, [](Session &s) { connect_and(s, s.request(Op::Read, 0, 12), kError); }},
    {Rule::SegmentAlignment,
     [](Session &s) {
         WireRequest r = s.request(Op::Read, 0);
         r.seg[0].last_sect = 3;
         connect_and(s, r, kError);
     },
     large_sectors},
    {Rule::FirstLast,
     [](Session &s) {
         WireRequest r = s.request(Op::Read, 0);
         r.seg[0].first_sect = 5;
         r.seg[0].last_sect = 4;
         connect_and(s, r, kError);
     }},
    {Rule::FirstLast,
     [](Session &s) {
         WireRequest r = s.request(Op::Read, 0);
         r.seg[0].last_sect = 8;
         connect_and(s, r, kError);
     }},
    {Rule::Gref,
     [](Session &s) {
         WireRequest r = s.request(Op::Read, 0);
         r.seg[0].gref = GrantRef(4711);
         connect_and(s, r, kError);
     }},
    {Rule::Gref,
     [](Session &s) {
         WireRequest r = s.request(Op::Read, 0);
         r.seg[0].gref = s.rig.hub.grants.ref(Session::kForWrites);
         connect_and(s, r, kError);
     }},
    {Rule::Handle,
     [](Session &s) {
         WireRequest r = s.request(Op::Read, 0);
         r.handle = 1;
         connect_and(s, r, kOkay);
     }},
    {Rule::Id,
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.rig.hub.storage.defer = true;
         WireRequest r = s.request(Op::Read, 0);
         s.f().send(r);
         s.f().send(r);
         s.rig.hub.run();
         s.rig.hub.storage.defer = false;
         s.rig.hub.storage.drain();
     }},
    {Rule::SectorNumber, [](Session &s) { connect_and(s, s.request(Op::Read, 4), kError); },
     large_sectors},
    {Rule::Range, [](Session &s) { connect_and(s, s.request(Op::Read, 8185), kError); }},
    {Rule::Range, [](Session &s) { connect_and(s, s.discard(8, 8185), kError); }},
    {Rule::ReadOnly, [](Session &s) { connect_and(s, s.request(Op::Write, 0), kError); },
     [](RigSetup &s) { s.back.read_only = true; }},
    {Rule::DiscardSector, [](Session &s) { connect_and(s, s.discard(4, 8, true), kError); },
     [](RigSetup &s) {
         s.back.discard_secure = true;
         s.back.discard_granularity = 4096;
     }},
    {Rule::DiscardCount, [](Session &s) { connect_and(s, s.discard(8, 0), kError); }},
    {Rule::IndirectOp,
     [](Session &s) { connect_and(s, s.indirect(Op::FlushDiskcache, 11), kError); }},
    {Rule::RingInit,
     [](Session &s) {
         s.f().shared().store(SringField::RspProd, RingIndex(5));
         EXPECT_TRUE(s.connect());
     }},
    {Rule::RingInit,
     [](Session &s) {
         s.f().shared().store(SringField::ReqEvent, RingIndex(0));
         EXPECT_TRUE(s.connect());
     }},
    {Rule::OwnIndex,
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         put_index(s, SringField::RspProd, 9);
     }},
    {Rule::OwnIndex,
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         put_index(s, SringField::ReqEvent, 9);
     }},
    {Rule::ReqProd,
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         put_index(s, SringField::ReqProd, 33);
     }},
    {Rule::ReqProd,
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.work();
         put_index(s, SringField::ReqProd, 1);
         /* Nothing more comes of a ring that has halted. */
         put_index(s, SringField::ReqProd, s.f().shared().load(SringField::RspProd).value + 1);
         s.look();
     }},
    {Rule::ReqEvent,
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.f().rings[0].stage(s.request(Op::FlushDiskcache, 0, 0));
         EXPECT_TRUE(s.f().rings[0].publish());
         s.look(1);
         EXPECT_EQ(broken(s.judge()), "") << "the event may be on its way";
         s.look(10);
     }},
    {Rule::Batch,
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.f().shared().store(SringField::RspEvent, RingIndex(9));
         s.f().send(s.request(Op::FlushDiskcache, 0, 0));
         s.rig.hub.run();
     }},
    {Rule::EventReceived,
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.events.deaf = true;
         for (int i = 0; i < 3; i++)
             EXPECT_EQ(s.flush(), kOkay);
     }},
    {Rule::ReadonlyGrant,
     [](Session &s) {
         WireRequest r = s.request(Op::Write, 0);
         r.seg[0].gref = s.rig.hub.grants.ref(0);
         connect_and(s, r, kOkay);
     }},
    {Rule::GrantLifetime,
     [](Session &s) {
         connect_and(s, s.request(Op::Read, 0), kOkay);
         s.f().state(XenbusState::Closing);
         s.f().state(XenbusState::Closed);
         s.look(1);
         EXPECT_EQ(broken(s.judge()), "") << "it may be about to end them";
         s.look(10);
     }},
};

class JudgeRules : public testing::TestWithParam<RuleCase>
{
protected:
    RigSetup setup() const
    {
        RigSetup s = judged();
        if (GetParam().change)
            GetParam().change(s);
        return s;
    }
};
INSTANTIATE_TEST_SUITE_P(Case, JudgeRules, testing::ValuesIn(kCases), [](const auto &i) {
    std::string name;
    for (char c : std::string(judge_rules()[static_cast<uint32_t>(i.param.rule)].clause))
        name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    return name + "_" + std::to_string(i.index);
});

TEST_P(JudgeRules, BreachIsRecordedOnceForItsRuleAlone)
{
    Session s(setup(), GetParam().shape);
    GetParam().breach(s);
    const JudgeRecord &r = s.judge().record(GetParam().rule);
    EXPECT_EQ(r.broken, 1u) << broken(s.judge());
    EXPECT_STRNE(r.first, "");
    for (const JudgeRuleInfo &rule : judge_rules())
        if (rule.rule != GetParam().rule) {
            EXPECT_EQ(s.judge().record(rule.rule).broken, 0u) << broken(s.judge());
        }
}

TEST_P(JudgeRules, GoodFrontendOfTheSameShapeBreaksNone)
{
    Session s(setup(), GetParam().shape);
    ASSERT_TRUE(s.connect());
    EXPECT_EQ(s.judge().frontend_state(), XenbusState::Connected);
    s.work();
    s.look();
    s.end();
    EXPECT_EQ(broken(s.judge()), "");
    EXPECT_EQ(s.judge().connections(), 1u);
    EXPECT_EQ(s.judge().frontend_state(), XenbusState::Closed);
    EXPECT_EQ(s.judge().grants_left(), 0u);
}

TEST(Judge, EachRuleIsBrokenByATest)
{
    std::set<Rule> with_a_case;
    for (const RuleCase &c : kCases)
        with_a_case.insert(c.rule);
    for (const JudgeRuleInfo &rule : judge_rules()) {
        EXPECT_TRUE(with_a_case.count(rule.rule)) << rule.clause;
        EXPECT_STRNE(rule.what, "");
    }
}

/* Each rule is also seen kept, so that "kept 0" tells that nobody tried it. */
TEST(Judge, EachRuleIsKeptByATest)
{
    std::set<Rule> kept;
    auto note = [&kept](Session &s) {
        s.end();
        EXPECT_EQ(broken(s.judge()), "");
        for (const JudgeRuleInfo &rule : judge_rules())
            if (s.judge().record(rule.rule).kept)
                kept.insert(rule.rule);
    };
    RigSetup plain = judged();
    plain.back.discard_secure = true;
    for (const FrontShape &shape :
         {FrontShape{}, FrontShape{Abi::X86_32, 1, 2}, FrontShape{Abi::X86_64, 2, 1},
          FrontShape{Abi::X86_64, 1, 1, true}}) {
        Session s(plain, shape);
        ASSERT_TRUE(s.connect());
        s.work();
        note(s);
    }
    Session s;
    ASSERT_TRUE(s.connect());
    s.rig.obey("at before-work op=flush: features/unsupported");
    EXPECT_EQ(s.flush(), kNotSupp);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(s.read(), kOkay);
    note(s);
    for (const JudgeRuleInfo &rule : judge_rules())
        EXPECT_TRUE(kept.count(rule.rule)) << rule.clause;
}

/* ---- nobody is blamed for a lie of the backend ----------------------------------------- */

struct Lie {
    const char *plan;
    void (*believe)(Session &s);
    void (*change)(RigSetup &s){nullptr};
    FrontShape shape{};
};

void PrintTo(const Lie &lie, std::ostream *os)
{
    *os << lie.plan;
}

/* The frontend believes what the plan makes the backend say or do. */
const Lie kLies[] = {
    {"at map name=ring: grants/map-fails", [](Session &s) { EXPECT_FALSE(s.connect()); }},
    {"at map name=data: grants/map-fails",
     [](Session &s) { connect_and(s, s.request(Op::Read, 0), kError); }},
    {"at map name=data: grants/map-late",
     [](Session &s) { connect_and(s, s.request(Op::Read, 0), kOkay); }},
    {"at publish-node name=feature-max-indirect-segments always: features/indirect-limit-huge",
     [](Session &s) { connect_and(s, s.indirect(Op::Read, 300), kError); }},
    {"at publish-node name=feature-max-indirect-segments always: store/node-value \"8\"",
     [](Session &s) { connect_and(s, s.indirect(Op::Read, 8), kNotSupp); },
     [](RigSetup &s) { s.back.max_indirect_segments = 0; }},
    {"at publish-node name=multi-queue-max-queues always: features/queues-huge",
     [](Session &s) { write_node(s, "multi-queue-num-queues", "9"); }},
    {"at publish-node name=max-ring-page-order always: features/ring-order-huge",
     [](Session &s) { write_node(s, "ring-page-order", "6"); }},
    {"at publish-node name=max-ring-pages always: store/node-value \"8\"",
     [](Session &s) { write_node(s, "num-ring-pages", "8"); },
     [](RigSetup &s) { s.back.max_ring_page_order = 0; }},
    {"at publish-node name=sectors always: store/node-value \"9000\"",
     [](Session &s) { connect_and(s, s.request(Op::Read, 8900), kError); }},
    {"at publish-node name=sectors always: store/node-huge",
     [](Session &s) { connect_and(s, s.request(Op::Read, 8900), kError); }},
    {"at tick name=store state=Connected: geometry/size-grows 800",
     [](Session &s) { connect_and(s, s.request(Op::Read, 8900), kError); }},
    {"at publish-node name=sector-size always: store/node-value \"512\"",
     [](Session &s) {
         WireRequest r = s.request(Op::Read, 4);
         r.seg[0].last_sect = 0;
         connect_and(s, r, kError);
         connect_and(s, s.request(Op::Read, 4), kError);
     },
     large_sectors},
    {"at publish-node name=info always: store/node-value \"0\"",
     [](Session &s) { connect_and(s, s.request(Op::Write, 0), kError); },
     [](RigSetup &s) { s.back.read_only = true; }},
    {"at publish-node name=feature-flush-cache always: store/node-value \"1\"",
     [](Session &s) { connect_and(s, s.request(Op::FlushDiskcache, 0, 0), kNotSupp); },
     [](RigSetup &s) { s.back.flush = false; }},
    {"at publish-node name=feature-barrier always: store/node-late",
     [](Session &s) { connect_and(s, s.request(Op::WriteBarrier, 0, 0), kOkay); }},
    {"at publish-node name=feature-discard always: store/node-value \"1\"",
     [](Session &s) { connect_and(s, s.discard(0, 8), kNotSupp); },
     [](RigSetup &s) { s.back.discard = false; }},
    {"at publish-node name=discard-secure always: store/node-value \"1\"",
     [](Session &s) { connect_and(s, s.discard(0, 8, true), kNotSupp); }},
    {"at publish-node name=discard-granularity always: store/node-value \"512\"",
     [](Session &s) { connect_and(s, s.discard(1, 8, true), kError); },
     [](RigSetup &s) {
         s.back.discard_secure = true;
         s.back.discard_granularity = 4096;
     }},
    /* It may always keep its grants, and they allow writing then. */
    {"at publish-node name=feature-persistent always: store/node-value \"1\"",
     [](Session &s) { connect_and(s, s.request(Op::Write, 0), kOkay); },
     [](RigSetup &s) { s.back.persistent = false; },
     {Abi::X86_64, 1, 1, true}},
    /* The node goes while the request is on its way. */
    {"at publish-node name=feature-flush-cache nth=2 every=1 always: store/node-missing",
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.rig.back->resized();
         EXPECT_EQ(s.flush(), kOkay);
     }},
    /* Indices that are the plan's. */
    {"at publish always: index/producer-flicker 3",
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.work();
     }},
    {"at publish: notify/rsp-event-ahead 100",
     [](Session &s) { connect_and(s, s.request(Op::Read, 0), kOkay); }},
    {"at tick name=event: notify/rsp-event-ahead 100",
     [](Session &s) { connect_and(s, s.request(Op::Read, 0), kOkay); }},
    {"at rearm always: notify/rearm-ahead 2",
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.f().rings[0].stage(s.request(Op::FlushDiskcache, 0, 0));
         EXPECT_FALSE(s.f().rings[0].publish());
     }},
    {"at rearm always: notify/rearm-skipped",
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         for (int i = 0; i < 10; i++) {
             s.f().rings[0].stage(s.request(Op::FlushDiskcache, 0, 0));
             (void)s.f().rings[0].publish();
             (void)s.rig.hub.events.notify(0);
             s.rig.hub.run();
             EXPECT_TRUE(s.f().next());
         }
     }},
    {"at publish: index/request-producer-overwritten 5",
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.f().send(s.request(Op::FlushDiskcache, 0, 0));
         s.rig.hub.run();
     }},
    {"at tick name=event: index/request-producer-overwritten 5",
     [](Session &s) { EXPECT_TRUE(s.connect()); }},
    /* As many answers as it has not asked for: it thinks that the ring is empty. */
    {"at respond: response/duplicate 1",
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.rig.hub.storage.defer = true;
         s.f().send(s.request(Op::FlushDiskcache, 0, 0));
         s.rig.hub.run();
         s.rig.hub.storage.finish(0);
         put_index(s, SringField::ReqProd, 34);
         s.rig.hub.storage.defer = false;
         s.rig.hub.storage.drain();
     }},
    {"at publish: index/producer-ahead 4",
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.f().send(s.request(Op::FlushDiskcache, 0, 0));
         s.rig.hub.run();
         EXPECT_EQ(s.flush(), INT32_MAX);
     }},
    /* It looks at no ring, whatever the frontend sends. */
    {"at tick name=event state=Connected: lifecycle/stall",
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.f().send(s.request(Op::FlushDiskcache, 0, 0));
         s.rig.hub.run();
         EXPECT_FALSE(s.f().next());
     }},
    {"at take: response/lost",
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.f().send(s.request(Op::FlushDiskcache, 0, 0));
         s.rig.hub.run();
         s.f().send(s.request(Op::FlushDiskcache, 0, 0));
         s.rig.hub.run();
     }},
    /* A second request may have the id that was answered. */
    {"at respond: response/id 7",
     [](Session &s) {
         EXPECT_TRUE(s.connect());
         s.rig.hub.storage.defer = true;
         WireRequest r = s.request(Op::FlushDiskcache, 0, 0), other = r;
         r.id = RequestId(7);
         s.f().send(other);
         s.f().send(r);
         s.rig.hub.run();
         s.rig.hub.storage.finish(0);
         s.f().send(r);
         s.rig.hub.run();
         s.rig.hub.storage.defer = false;
         s.rig.hub.storage.drain();
     }},
    /* It meets the ring once more, with the index that the plan left. */
    {"at rearm always: notify/rearm-ahead 2\n"
     "at tick name=store state=Connected nth=3: lifecycle/restart",
     [](Session &s) {
         (void)s.connect();
         for (int i = 0; i < 4; i++)
             s.f().state(XenbusState::Connected);
         EXPECT_GE(s.rig.back->counters().connects, 2u);
     }},
    /* The backend leaves without the frontend, which may wait for another. */
    {"at take: lifecycle/vanish",
     [](Session &s) { connect_and(s, s.request(Op::Read, 0), INT32_MAX); }},
    {"at take: lifecycle/closed-at-once",
     [](Session &s) { connect_and(s, s.request(Op::Read, 0), INT32_MAX); }},
    {"at take: lifecycle/restart",
     [](Session &s) { connect_and(s, s.request(Op::Read, 0), INT32_MAX); }},
};

class JudgeOfALie : public testing::TestWithParam<Lie>
{
};
INSTANTIATE_TEST_SUITE_P(Case, JudgeOfALie, testing::ValuesIn(kLies),
                         [](const auto &i) { return std::to_string(i.index); });

TEST_P(JudgeOfALie, BlamesNobodyWhoBelievesIt)
{
    SCOPED_TRACE(GetParam().plan);
    RigSetup setup = judged();
    if (GetParam().change)
        GetParam().change(setup);
    Session s(setup, GetParam().shape);
    s.rig.obey(GetParam().plan);
    GetParam().believe(s);
    EXPECT_GT(s.rig.back->faults_fired(), 0u);
    s.look();
    EXPECT_EQ(broken(s.judge()), "");
}

/* What the nodes do not offer is not offered, although the backend would serve it. */
TEST(Judge, FeatureThatAPlanRemovesIsNotOffered)
{
    const struct {
        const char *node;
        Rule rule;
        WireRequest (*make)(Session &s);
    } cases[] = {
        {"feature-flush-cache", Rule::Flush,
         [](Session &s) { return s.request(Op::FlushDiskcache, 0, 0); }},
        {"feature-barrier", Rule::Barrier,
         [](Session &s) { return s.request(Op::WriteBarrier, 0, 0); }},
        {"feature-discard", Rule::Discard, [](Session &s) { return s.discard(0, 8); }},
        {"feature-max-indirect-segments", Rule::Indirect,
         [](Session &s) { return s.indirect(Op::Read, 11); }},
    };
    for (const auto &c : cases) {
        SCOPED_TRACE(c.node);
        Session s;
        s.rig.obey("at publish-node name=" + std::string(c.node) + " always: store/node-missing");
        connect_and(s, c.make(s), kOkay);
        EXPECT_EQ(s.judge().record(c.rule).broken, 1u);
    }
}

/* A breach that follows a fault is a breach. */
TEST(Judge, FaultExcusesNoLaterBreach)
{
    Session s;
    s.rig.obey("at map name=data: grants/map-fails\n"
               "at publish-node name=sectors always: store/node-value \"8000\"");
    connect_and(s, s.request(Op::Read, 0), kError);
    EXPECT_EQ(broken(s.judge()), "");
    WireRequest stray = s.request(Op::Read, 0);
    stray.seg[0].gref = GrantRef(4711);
    EXPECT_EQ(s.ask(stray), kError);
    EXPECT_EQ(s.judge().record(Rule::Gref).broken, 1u);
    EXPECT_EQ(s.ask(s.request(Op::Read, 9000)), kError) << "beyond both sizes";
    EXPECT_EQ(s.judge().record(Rule::Range).broken, 1u);
}

TEST(Judge, FaultOfAMappingExcusesNoIndex)
{
    Session s;
    s.rig.obey("at map name=data: grants/map-fails");
    connect_and(s, s.request(Op::Read, 0), kError);
    put_index(s, SringField::ReqProd, 100);
    EXPECT_EQ(s.judge().record(Rule::ReqProd).broken, 1u);
}

/* A host that cannot read a node has no frontend to blame. */
TEST(Judge, UnreadableNodeIsNotTheFrontends)
{
    for (uint32_t nth = 0; nth < 40; nth++) {
        Session s;
        ASSERT_TRUE(s.rig.back->start());
        s.rig.hub.run();
        s.rig.hub.fail(HubCall::BackStoreRead, nth);
        s.f().state(XenbusState::Initialised);
        s.f().state(XenbusState::Connected);
        s.f().state(XenbusState::Connected);
        EXPECT_EQ(broken(s.judge()), "") << nth;
    }
}

/* A hand-made frontend that is connected to a backend with a judge of its own. */
struct Judged {
    explicit Judged(BackHooks *next, JudgeListener *listener = nullptr)
        : judge(next, nullptr, listener), ports(rig.back_ports()),
          back({ports.store, ports.grants, ports.events, ports.storage, judge.owner()},
               rig.setup.back, judge.hooks())
    {
        rig.oracle_matters = false;
        rig.back->vanish();
        rig.hub.attach(&back);
        f.grant(0);
        EXPECT_TRUE(back.start());
        f.state(XenbusState::Initialised);
        f.state(XenbusState::Connected);
    }
    ~Judged()
    {
        rig.hub.detach_back();
        back.vanish();
    }

    Rig rig{judged()};
    RigFront f{rig};
    BackJudge judge;
    BackPorts ports;
    BlockBack back;
};

/* Such a frontend runs on another processor: it writes while the backend works. */
class RacingFront final : public BackHooks
{
public:
    bool respond(HookedQueue &queue, const WireRequest &, const WireResponse &) override
    {
        if (write)
            std::exchange(write, nullptr)(queue.area());
        return false;
    }
    void (*write)(SharedRing &ring){nullptr};
};

/* Without a fault plan, all that changes is the frontend's doing. */
TEST(Judge, FrontendThatWritesWhileTheBackendWorksIsJudged)
{
    const struct {
        void (*write)(SharedRing &ring);
        Rule rule;
    } cases[] = {
        /* The request that waits; it has another handle in any case. */
        {[](SharedRing &ring) {
             WireRequest r = ring.get_request(RingIndex(1));
             r.id = RequestId(r.id.value ^ 1);
             ring.put_request(RingIndex(1), r);
         },
         Rule::Handle},
        {[](SharedRing &ring) { ring.store(SringField::RspProd, RingIndex(7)); }, Rule::OwnIndex},
        {[](SharedRing &ring) { ring.store(SringField::RspEvent, RingIndex(90)); }, Rule::Batch},
    };
    for (const auto &c : cases) {
        RacingFront racing;
        Judged j(&racing);
        racing.write = c.write;
        for (int i = 0; i < 2; i++) {
            WireRequest r = j.f.request(Op::Read, 0);
            r.handle = i ? 1 : kHandle;
            j.f.rings[0].stage(r);
        }
        (void)j.f.rings[0].publish();
        (void)j.rig.hub.events.notify(0);
        j.rig.hub.run();
        EXPECT_EQ(racing.write, nullptr);
        EXPECT_EQ(j.judge.record(c.rule).broken, 1u) << broken(j.judge);
    }
}

/* grant:lifetime — references that fall on one place of the set. */
TEST(Judge, GrantsThatCollideCostAShortSearch)
{
    struct AnyGrant final : BackGrants {
        Result<std::byte *> map(GrantRef, bool) override { return page.data(); }
        void unmap(GrantRef, std::byte *) override {}
        std::array<std::byte, 1> page{};
    } grants;
    JudgeRecords records(nullptr);
    WatchedGrants watched(records);
    watched.begin();
    for (uint32_t i = 0; i < 4000; i++)
        watched.mapped(grants, GrantRef(i << 16), grants.page.data(), true, false);
    EXPECT_GT(watched.left(grants), 0u);
    EXPECT_LE(watched.left(grants), 64u);
    for (uint32_t i = 1; i < 1000; i++)
        watched.mapped(grants, GrantRef(i), grants.page.data(), true, false);
    EXPECT_GT(watched.left(grants), 1000u);
}

/* blkif:gref — a state that is no end of a connection. */
TEST(Judge, StateBesideTheConnectionExcusesNoGrant)
{
    for (const char *state : {"7", "8"}) {
        Session s;
        ASSERT_TRUE(s.connect());
        s.f().node("state", state);
        s.rig.hub.run();
        WireRequest r = s.request(Op::Read, 0);
        r.seg[0].gref = GrantRef(4711);
        EXPECT_EQ(s.ask(r), kError);
        EXPECT_EQ(s.judge().record(Rule::Gref).broken, 1u) << state;
    }
}

/* ---- when events are due ---------------------------------------------------------------- */

/* ring:req-event — the ring of a backend that holds a request, or waits for a barrier. */
TEST(Judge, BusyBackendAsksForNoEvent)
{
    for (bool barrier : {false, true}) {
        Session s(judged(), {Abi::X86_64, 2, 1});
        ASSERT_TRUE(s.connect());
        s.rig.hub.storage.defer = true;
        s.f().send(s.request(barrier ? Op::WriteBarrier : Op::FlushDiskcache, 0, 0), 1);
        s.rig.hub.run();
        s.f().send(s.request(Op::FlushDiskcache, 0, 0), 0);
        s.rig.hub.run();
        s.look(10);
        EXPECT_EQ(broken(s.judge()), "");
        s.rig.hub.storage.defer = false;
        s.rig.hub.storage.drain();
        s.rig.hub.run();
        EXPECT_TRUE(s.f().next(0));
        s.look(10);
        EXPECT_EQ(broken(s.judge()), "");
    }
}

TEST(Judge, HeldRequestIsNotMissingItsEvent)
{
    Session s;
    ASSERT_TRUE(s.connect());
    s.rig.back->knobs().hold = true;
    for (int i = 0; i < 3; i++) {
        s.f().send(s.request(Op::Read, 0));
        s.rig.hub.run();
    }
    s.look(10);
    s.rig.back->knobs().hold = false;
    s.rig.back->complete_all();
    s.rig.hub.run();
    s.look(10);
    EXPECT_EQ(broken(s.judge()), "");
    EXPECT_GT(s.judge().record(Rule::ReqEvent).kept, 0u);
}

/* blkif:feature-loss — those that were on the ring before the answer. */
TEST(Judge, RequestsMadeBeforeTheFeatureWasLostAreNoBreach)
{
    Session s;
    ASSERT_TRUE(s.connect());
    s.rig.obey("at before-work op=flush: features/unsupported");
    for (int i = 0; i < 20; i++)
        s.f().rings[0].stage(s.request(Op::FlushDiskcache, 0, 0));
    EXPECT_TRUE(s.f().rings[0].publish());
    (void)s.rig.hub.events.notify(0);
    s.rig.hub.run();
    EXPECT_EQ(s.rig.back->counters().unsupported, 1u);
    EXPECT_EQ(broken(s.judge()), "");
}

/* ... and those that it made before it took the answer, however late that is. */
TEST(Judge, FeatureIsLostOnceTheFrontendHasTakenTheAnswer)
{
    for (uint32_t more : {10u, 31u}) {
        Session s;
        ASSERT_TRUE(s.connect());
        s.rig.obey("at before-work op=flush: features/unsupported");
        for (uint32_t i = 0; i <= more; i++) {
            s.f().send(s.request(Op::FlushDiskcache, 0, 0));
            s.rig.hub.run();
        }
        EXPECT_EQ(s.rig.back->counters().unsupported, 1u);
        EXPECT_EQ(broken(s.judge()), "") << more;
        while (s.f().next()) {
        }
        for (int i = 0; i < 4; i++)
            EXPECT_EQ(s.flush(), kOkay);
        EXPECT_EQ(s.judge().record(Rule::FeatureLoss).broken, 1u) << more;
    }
}

/* ... as each frontend has that fills the ring once more, and never asks for an event. */
TEST(Judge, FeatureIsLostOnceTheRingIsFullOfNewRequests)
{
    Session s;
    ASSERT_TRUE(s.connect());
    s.rig.obey("at before-work op=flush: features/unsupported");
    uint32_t entries = s.f().shared().entries();
    auto flush = [&s] {
        s.f().rings[0].stage(s.request(Op::FlushDiskcache, 0, 0));
        (void)s.f().rings[0].publish();
        (void)s.rig.hub.events.notify(0);
        s.rig.hub.run();
        EXPECT_TRUE(s.f().rings[0].responses().value());
        (void)s.f().rings[0].take();
    };
    for (uint32_t i = 0; i <= entries + 2; i++)
        flush();
    EXPECT_EQ(broken(s.judge()), "");
    flush();
    EXPECT_EQ(s.judge().record(Rule::FeatureLoss).broken, 1u);
}

/* ring:batch — a frontend that never asks for an event polls. */
TEST(Judge, IndexFarBehindAsksForNothing)
{
    for (uint32_t start : {0u, 5u, 1u << 31, (1u << 31) + 2, UINT32_MAX - 3}) {
        Session s;
        SharedRing &shared = s.f().shared();
        /* Another backend was here. */
        for (SringField field : {SringField::ReqProd, SringField::RspProd})
            shared.store(field, RingIndex(start));
        shared.store(SringField::ReqEvent, RingIndex(start + 1));
        s.f().rings[0] = FrontRing<SharedRing>(shared, RingIndex(start));
        ASSERT_TRUE(s.connect());
        for (int i = 0; i < 5; i++) {
            s.f().send(s.request(Op::FlushDiskcache, 0, 0));
            s.rig.hub.run();
            EXPECT_EQ(shared.load(SringField::RspProd).value, start + i + 1);
        }
        EXPECT_EQ(broken(s.judge()), "") << start;
        for (uint32_t behind : {0u, 1u, 5u, 1u << 30, 1u << 31}) {
            shared.store(SringField::RspEvent, shared.load(SringField::RspProd) + (0u - behind));
            s.f().send(s.request(Op::FlushDiskcache, 0, 0));
            s.rig.hub.run();
            EXPECT_EQ(broken(s.judge()), "") << start << " " << behind;
        }
    }
}

/* ring:private — a crash kernel's frontend makes its ring in the same page. */
TEST(Judge, NewFrontendMayMakeTheRingAnew)
{
    for (bool late : {false, true}) {
        Session s;
        ASSERT_TRUE(s.connect());
        s.work();
        if (late) {
            s.rig.hub.storage.defer = true;
            s.f().send(s.request(Op::Read, 0));
            s.rig.hub.run();
        }
        s.f().new_rings();
        s.f().state(XenbusState::Initialised);
        s.rig.hub.storage.defer = false;
        ASSERT_EQ(s.rig.back->counters().connects, 2u);
        s.f().new_rings();
        s.f().state(XenbusState::Initialising);
        s.f().state(XenbusState::Initialised);
        s.f().state(XenbusState::Connected);
        s.work();
        EXPECT_EQ(broken(s.judge()), "");
    }
}

/* ring:init — a frontend that forgets rsp_prod. */
TEST(Judge, RingThatIsHalfNewIsABreach)
{
    Session s;
    ASSERT_TRUE(s.connect());
    s.work();
    s.f().state(XenbusState::Closing);
    s.f().state(XenbusState::Closed);
    s.f().shared().store(SringField::ReqProd, RingIndex(0));
    s.f().shared().store(SringField::ReqEvent, RingIndex(1));
    s.f().state(XenbusState::Initialising);
    s.f().state(XenbusState::Initialised);
    s.f().state(XenbusState::Connected);
    EXPECT_EQ(s.judge().record(Rule::RingInit).broken, 1u) << broken(s.judge());
}

/* ---- connections ------------------------------------------------------------------------ */

TEST(Judge, AnotherBackendMayTakeTheRing)
{
    Session s;
    ASSERT_TRUE(s.connect());
    s.work();
    EXPECT_EQ(broken(s.judge()), "");
    s.rig.hub.detach_back();
    s.rig.new_back();
    ASSERT_TRUE(s.connect());
    s.work();
    s.look();
    EXPECT_EQ(broken(s.judge()), "");
    EXPECT_EQ(s.judge().connections(), 1u);
}

/* A backend that lost an answer begins anew at rsp_prod, and meets a request that it did
 * answer. Its grant has ended. */
TEST(Judge, AnsweredRequestsThatAreMetAgainAreNoBreach)
{
    Session s;
    s.rig.obey("at respond: response/lost\n"
               "at tick name=store state=Connected nth=3: lifecycle/restart");
    ASSERT_TRUE(s.connect());
    EXPECT_EQ(s.ask(s.request(Op::Write, 0)), INT32_MAX);
    WireRequest answered = s.request(Op::Read, 8);
    answered.seg[0].gref = s.f().grant(60);
    EXPECT_EQ(s.ask(answered), kOkay);
    s.f().revoke(60);
    for (int i = 0; i < 4; i++)
        s.f().state(XenbusState::Connected);
    ASSERT_EQ(s.rig.back->counters().connects, 2u);
    EXPECT_EQ(s.rig.back->counters().map_failures, 1u);
    EXPECT_EQ(broken(s.judge()), "");
}

/* xenbus:skip-front — OVMF's frontend is Connected at once. */
TEST(Judge, FrontendThatSkipsInitialisedUsesItsConnection)
{
    Session s;
    (void)s.rig.back->start();
    s.f().state(XenbusState::Connected);
    ASSERT_EQ(s.rig.back->state(), XenbusState::Connected);
    EXPECT_EQ(s.judge().connections(), 1u);
    s.work();
    s.end();
    EXPECT_EQ(broken(s.judge()), "");
    EXPECT_GT(s.judge().record(Rule::GrantLifetime).kept, 0u);
}

TEST(Judge, ConnectionThatAPlanRefusesIsNobodysBreach)
{
    Session s;
    s.rig.obey("at connect always: lifecycle/connect-refused");
    EXPECT_FALSE(s.connect());
    EXPECT_EQ(broken(s.judge()), "");
    EXPECT_EQ(s.judge().connections(), 0u);
}

TEST(Judge, RefusedFrontendHasTheGrantsThatItNeeds)
{
    Session s;
    ASSERT_TRUE(s.connect());
    s.work();
    s.f().state(XenbusState::Closing);
    s.f().state(XenbusState::Closed);
    s.f().node("event-channel", "77");
    s.f().state(XenbusState::Initialising);
    s.f().state(XenbusState::Initialised);
    ASSERT_EQ(s.rig.back->state(), XenbusState::Closing);
    s.look();
    EXPECT_EQ(s.judge().record(Rule::GrantLifetime).broken, 0u) << broken(s.judge());
    EXPECT_EQ(s.judge().record(Rule::EventChannel).broken, 1u);
    EXPECT_EQ(s.judge().connections(), 1u);
}

/* It may change and remove its nodes once it closes. */
TEST(Judge, NodesMayGoWhileTheFrontendCloses)
{
    Session s;
    ASSERT_TRUE(s.connect());
    s.work();
    s.f().state(XenbusState::Closing);
    for (const char *name : {"ring-ref", "event-channel", "protocol"})
        s.f().remove(name);
    s.f().state(XenbusState::Closing);
    s.f().node("event-channel", "x");
    s.f().state(XenbusState::Closed);
    EXPECT_EQ(broken(s.judge()), "");
}

/* A frontend on another processor, which acts right after a node was read. */
class RacingStore final : public PassStore
{
public:
    using PassStore::PassStore;
    Result<size_t> read(std::string_view path, std::span<char> out) override
    {
        auto length = PassStore::read(path, out);
        if (then && path.ends_with(after))
            std::exchange(then, nullptr)();
        return length;
    }
    std::string_view after{};
    std::function<void()> then{};
};

/* A front before a judge, with a store that it is faster than. */
struct Race {
    Race() : store(rig.hub.back_store)
    {
        rig.oracle_matters = false;
        rig.back->vanish();
        BackPorts ports = rig.back_ports();
        back.emplace(BackPorts{store, ports.grants, ports.events, ports.storage, judge.owner()},
                     rig.setup.back, judge.hooks());
        rig.hub.attach(&*back);
        EXPECT_TRUE(back->start());
        rig.hub.run();
    }
    ~Race()
    {
        rig.hub.detach_back();
        back->vanish();
    }

    Rig rig{judged()};
    RigFront f{rig};
    RacingStore store;
    BackJudge judge{};
    std::optional<BlockBack> back{};
};

/* xenbus:nodes — it closes, and then its nodes go. */
TEST(Judge, NodesMayGoWhileTheJudgeReadsThem)
{
    Race r;
    r.f.state(XenbusState::Initialised);
    r.f.state(XenbusState::Connected);
    r.store.after = "/state";
    r.store.then = [&r] {
        r.f.node("state", "5");
        r.f.remove("event-channel");
    };
    r.f.state(XenbusState::Connected);
    EXPECT_FALSE(r.store.then);
    EXPECT_EQ(broken(r.judge), "");
}

/* xenbus:nodes — it is held to the nodes that the backend took. */
TEST(Judge, NodesThatChangeWhileTheBackendConnectsAreABreach)
{
    Race r;
    r.store.after = "/protocol";
    r.store.then = [&r] { r.f.node("protocol", "x86_32-abi"); };
    r.f.state(XenbusState::Initialised);
    EXPECT_FALSE(r.store.then);
    r.f.state(XenbusState::Connected);
    EXPECT_EQ(r.judge.record(Rule::Nodes).broken, 1u) << broken(r.judge);
}

/* evtchn:send, blkif:gref — the backend still has work when its frontend has left. */
TEST(Judge, FrontendThatHasLeftOwesNothing)
{
    Session s;
    ASSERT_TRUE(s.connect());
    s.rig.hub.storage.defer = true;
    s.f().send(s.request(Op::Read, 0));
    s.rig.hub.run();
    WireRequest late = s.request(Op::Read, 0);
    late.seg[0].gref = s.rig.hub.grants.ref(1);
    s.f().send(late);
    s.f().node("state", "6");
    s.f().revoke(1);
    s.events.deaf = true;
    (void)s.rig.hub.run_line(HubLine::BackEvent);
    EXPECT_EQ(s.rig.back->counters().refused, 1u);
    s.rig.hub.storage.defer = false;
    s.rig.hub.run();
    EXPECT_EQ(s.rig.back->state(), XenbusState::Closed);
    EXPECT_EQ(broken(s.judge()), "");
}

/* grant:lifetime — all pages of a ring count. */
TEST(Judge, GrantsLeftAreCounted)
{
    Session s(judged(), {Abi::X86_64, 2, 4});
    ASSERT_TRUE(s.connect());
    EXPECT_EQ(s.ask(s.request(Op::Read, 0, 3)), kOkay);
    EXPECT_EQ(s.judge().grants_left(), 0u) << "it is connected";
    s.f().state(XenbusState::Closing);
    s.f().state(XenbusState::Closed);
    EXPECT_EQ(s.judge().grants_left(), 8u + 3u);
    s.f().revoke(1);
    EXPECT_EQ(s.judge().grants_left(), 8u + 2u);
    /* The next connection begins anew. */
    s.f().new_rings();
    s.f().state(XenbusState::Initialising);
    s.f().state(XenbusState::Initialised);
    s.f().state(XenbusState::Connected);
    EXPECT_EQ(s.judge().grants_left(), 0u);
    s.f().state(XenbusState::Closing);
    s.f().state(XenbusState::Closed);
    EXPECT_EQ(s.judge().grants_left(), 8u);
    s.end();
    EXPECT_EQ(s.judge().grants_left(), 0u);
    EXPECT_EQ(broken(s.judge()), "");
}

/* The backend keeps its page, so no frontend can end it. */
TEST(Judge, GrantThatAFaultKeepsIsNotLeft)
{
    Session s;
    s.rig.obey("at unmap name=data: grants/map-for-ever");
    ASSERT_TRUE(s.connect());
    EXPECT_EQ(s.ask(s.request(Op::Read, 0, 2)), kOkay);
    s.f().state(XenbusState::Closing);
    s.f().state(XenbusState::Closed);
    EXPECT_EQ(s.judge().grants_left(), 2u) << "the ring and the other page";
    s.rig.obey("");
    s.rig.hub.detach_back();
    s.rig.new_back();
}

/* The grant table is the domain's: a reference may be another device's by now. */
TEST(Judge, GrantOfAnotherDeviceIsNotLeft)
{
    Session s;
    ASSERT_TRUE(s.connect());
    EXPECT_EQ(s.ask(s.request(Op::Read, 0, 2)), kOkay);
    s.f().state(XenbusState::Closing);
    s.f().state(XenbusState::Closed);
    EXPECT_EQ(s.judge().grants_left(), 3u);
    s.f().revoke(0);
    (void)s.rig.hub.grants.grant_frame(0, Gfn((LoopbackGuest::kBase >> kPageShift) + 300), false);
    EXPECT_EQ(s.judge().grants_left(), 2u);
    (void)s.rig.hub.grants.revoke(0);
}

/* ---- our own frontend -------------------------------------------------------------------- */

struct Mode {
    const char *name;
    void (*change)(RigSetup &s);
};

const Mode kModes[] = {
    {"plain", [](RigSetup &s) { s.back = plain_back(); }},
    {"direct", [](RigSetup &s) { s.front.policy.max_indirect_segments = 0; }},
    {"indirect", [](RigSetup &s) { s.front.policy.max_indirect_segments = 256; }},
    {"persistent", [](RigSetup &s) { s.front.policy.use_persistent = true; }},
    {"persistent_direct",
     [](RigSetup &s) {
         s.front.policy.use_persistent = true;
         s.back.max_indirect_segments = 0;
     }},
    {"queues",
     [](RigSetup &s) {
         s.front.policy.max_queues = 4;
         s.front.policy.max_ring_pages = 4;
     }},
    {"one_page", [](RigSetup &s) { s.front.policy.max_ring_pages = 1; }},
    {"x86_32", [](RigSetup &s) { s.front.policy.abi = Abi::X86_32; }},
    {"large_sectors", large_sectors},
    {"device_units",
     [](RigSetup &s) {
         s.back.sector_size = 4096;
         s.back.units = SectorUnits::Device;
         s.front.policy.large_sector_units = SectorUnits::Device;
     }},
    {"read_only", [](RigSetup &s) { s.back.read_only = true; }},
    {"cdrom", [](RigSetup &s) { s.back.cdrom = s.back.read_only = true; }},
    {"barrier", [](RigSetup &s) { s.back.flush = false; }},
    {"no_cache", [](RigSetup &s) { s.back.flush = s.back.barrier = s.back.discard = false; }},
    {"secure_discard",
     [](RigSetup &s) {
         s.back.discard_secure = true;
         s.back.discard_granularity = 4096;
     }},
    {"untrusted", [](RigSetup &s) { s.front.policy.trusted = false; }},
    {"always_notify", [](RigSetup &s) { s.front.always_notify = true; }},
};

void PrintTo(const Mode &m, std::ostream *os)
{
    *os << m.name;
}

RigSetup our_own(const Mode &mode, bool judged_too = true)
{
    RigSetup s = judged();
    s.judged = judged_too;
    mode.change(s);
    s.hub.grants = BlockFront::wanted_grants(s.front.policy);
    s.hub.private_pages = BlockFront::wanted_pages(s.front.policy);
    return s;
}

/* A bit of everything, by chance. */
void load(Rig &rig, uint32_t steps, Random &random)
{
    const uint64_t page = rig.setup.back.sector_size / kSectorSize;
    for (uint32_t i = 0; i < steps; i++) {
        constexpr IoKind kinds[] = {IoKind::Read,  IoKind::Write,   IoKind::Write,
                                    IoKind::Flush, IoKind::Discard, IoKind::SecureDiscard};
        IoKind kind = kinds[random.below(6)];
        uint64_t sectors = kind == IoKind::Flush ? 0 : (1 + random.below(64)) * page;
        uint64_t sector = kind == IoKind::Flush ? 0 : random.below(1000) * page;
        IoRequest r = rig.request(kind, sector, sectors, random.below(200) * kPageSize);
        r.flush_after = kind == IoKind::Write && random.below(8) == 0;
        r.queue = random.below(4);
        (void)rig.offer(r);
        if (random.below(3) == 0)
            rig.pump();
        if (rig.setup.judged && random.below(50) == 0)
            rig.back->judge().look();
        if (rig.front->state() == FrontState::Broken)
            rig.front->reconnect();
    }
    rig.pump();
}

class JudgeOfOurFront : public testing::TestWithParam<Mode>
{
};
INSTANTIATE_TEST_SUITE_P(Mode, JudgeOfOurFront, testing::ValuesIn(kModes),
                         [](const auto &i) { return std::string(i.param.name); });

TEST_P(JudgeOfOurFront, BreaksNoRule)
{
    Rig rig(our_own(GetParam()));
    Random random(1);
    rig.connect();
    BackJudge &judge = rig.back->judge();
    auto look = [&judge] {
        for (int i = 0; i < 4; i++)
            judge.look();
    };
    load(rig, 300, random);
    look();
    rig.front->reconnect();
    rig.hub.run();
    load(rig, 300, random);
    for (uint64_t sectors : {16384u, 8192u}) {
        /* Larger, then smaller, with requests on the way. */
        rig.hub.storage.data.resize(sectors * kSectorSize);
        (void)rig.offer(rig.request(IoKind::Read, rig.front->plan().sectors - 64, 64));
        rig.front->pump();
        rig.back->resized();
        rig.hub.run();
        load(rig, 100, random);
    }
    rig.front->stop();
    rig.hub.run();
    look();
    EXPECT_EQ(broken(judge), "");
    EXPECT_EQ(judge.connections(), 2u);
    EXPECT_EQ(judge.grants_left(), 0u);
    EXPECT_GT(judge.record(Rule::Range).kept, 100u);
    EXPECT_GT(judge.record(Rule::GrantLifetime).kept, 0u);
}

TEST(Judge, OurFrontBreaksNoRuleUnderThePlansOfDocs)
{
    std::vector<std::string> plans = plans_of_docs(PVBLK_DOCS);
    EXPECT_GT(plans.size(), 8u);
    for (const Mode &mode : {kModes[0], kModes[2], kModes[3], kModes[5]})
        for (const std::string &text : plans) {
            SCOPED_TRACE(testing::Message() << mode.name << "\n" << text);
            Rig rig(our_own(mode));
            rig.obey(text);
            Random random(2);
            (void)rig.try_connect();
            if (!rig.front)
                continue; /* the plan leaves no disk to connect to */
            load(rig, 3000, random);
            EXPECT_EQ(broken(rig.back->judge()), "");
        }
}

/* A rule for each fault at each of its points. */
std::vector<std::string> plans_of_the_catalogue()
{
    std::vector<std::string> plans;
    for (const FaultInfo &f : kFaults)
        for (uint32_t point = 0; point < kFaultPoints; point++) {
            if (!(f.points >> point & 1))
                continue;
            std::string text = "at " + std::string(kFaultPointTable[point].name) +
                               " nth=2 every=7 times=9: " + std::string(f.name);
            if (f.param.type == FaultParam::Text)
                text += " \"1\"";
            if (f.param.type == FaultParam::Number)
                text += " " + std::to_string(std::max<int64_t>(f.param.min, 1));
            plans.push_back(text);
        }
    return plans;
}

TEST(Judge, OurFrontBreaksNoRuleUnderAnyFault)
{
    for (const Mode &mode : {kModes[2], kModes[3]})
        for (const std::string &text : plans_of_the_catalogue()) {
            SCOPED_TRACE(testing::Message() << mode.name << "\n" << text);
            Rig rig(our_own(mode));
            rig.obey(text);
            Random random(3);
            (void)rig.try_connect();
            if (!rig.front)
                continue;
            load(rig, 300, random);
            rig.obey("");
            load(rig, 100, random);
            EXPECT_EQ(broken(rig.back->judge()), "");
        }
}

/* ---- what a judge costs ------------------------------------------------------------------- */

/* All that a run leaves behind: bytes, nodes and counters. */
std::string traces_of(const Rig &rig)
{
    std::ostringstream all;
    for (const auto &[path, value] : rig.hub.tree)
        all << path << "=" << value << "\n";
    BackCounters c = rig.back->counters();
    for (uint64_t n : {c.connects,
                       c.connect_failures,
                       c.requests,
                       c.responses,
                       c.refused,
                       c.unsupported,
                       c.indirect,
                       c.segments,
                       c.map_failures,
                       c.persistent_hits,
                       c.persistent_kept,
                       c.events_received,
                       c.events_sent,
                       c.bytes_read,
                       c.bytes_written,
                       rig.hub.storage.reads,
                       rig.hub.storage.writes,
                       rig.hub.storage.flushes,
                       rig.back->faults_fired(),
                       uint64_t{rig.hub.grants.mapped()}})
        all << n << " ";
    const auto &disk = rig.hub.storage.data;
    all << std::hash<std::string_view>{}({reinterpret_cast<const char *>(disk.data()), disk.size()})
        << " "
        << std::hash<std::string_view>{}({reinterpret_cast<const char *>(rig.hub.guest.host(0)),
                                          static_cast<size_t>(rig.hub.guest.bytes())});
    for (uint32_t i = 0; i < rig.hub.memory.pages(); i++)
        all << " "
            << std::hash<std::string_view>{}(
                   {reinterpret_cast<const char *>(
                        const_cast<Rig &>(rig).hub.memory.page(PageIndex(i))),
                    kPageSize});
    return all.str();
}

TEST(Judge, ChangesNothingThatOurFrontSees)
{
    std::vector<std::string> plans = plans_of_docs(PVBLK_DOCS);
    for (const std::string &text : plans_of_the_catalogue())
        if (text.find("index/") != std::string::npos || text.find("notify/") != std::string::npos)
            plans.push_back(text);
    for (const std::string &text : plans) {
        SCOPED_TRACE(text);
        std::string traces[2];
        for (bool watched : {false, true}) {
            Rig rig(our_own(kModes[2], watched));
            rig.oracle_matters = false;
            rig.obey(text);
            (void)rig.try_connect();
            if (!rig.front)
                continue;
            for (uint32_t i = 0; i < 40; i++) {
                Random random(i);
                rig.setup.judged = false; /* the same choices */
                load(rig, 20, random);
                if (watched)
                    rig.back->judge().look();
            }
            traces[watched] = traces_of(rig);
        }
        EXPECT_EQ(traces[0], traces[1]);
    }
}

/* Requests and indices of any kind. */
void be_hostile(RigFront &f, const WireRequest &indirect, Random &random)
{
    SharedRing &shared = f.shared();
    WireRequest r = random.below(4) ? f.request(static_cast<Op>(random.below(8)),
                                                random.below(9000), random.below(14))
                                    : indirect;
    if (random.below(4) == 0)
        r.sector = random.next();
    if (random.below(4) == 0)
        r.id = RequestId(random.below(3));
    if (random.below(4) == 0)
        r.nr_indirect_segments = static_cast<uint16_t>(random.next());
    for (WireSegment &seg : r.seg) {
        if (random.below(8) == 0)
            seg.gref = GrantRef(static_cast<uint32_t>(random.next()));
        if (random.below(8) == 0)
            seg.first_sect = static_cast<uint8_t>(random.next());
    }
    r.nr_sectors = random.below(3);
    r.handle = static_cast<uint16_t>(random.next());
    f.send(r);
    if (random.below(3) == 0)
        shared.store(random.below(2) ? SringField::RspProd : SringField::ReqEvent,
                     RingIndex(static_cast<uint32_t>(random.next())));
    if (random.below(3) == 0)
        shared.store(SringField::RspEvent, RingIndex(static_cast<uint32_t>(random.next())));
    if (random.below(100) == 0)
        shared.store(SringField::ReqProd, RingIndex(static_cast<uint32_t>(random.next())));
}

TEST(Judge, ChangesNothingThatAHostileFrontSees)
{
    for (uint32_t seed = 0; seed < 50; seed++) {
        std::string traces[2];
        for (bool watched : {false, true}) {
            RigSetup setup = judged();
            setup.judged = watched;
            Rig rig(setup);
            rig.oracle_matters = false;
            RigFront f(rig);
            for (uint32_t i = 0; i < 11; i++)
                f.grant(i);
            WireRequest indirect = f.indirect(Op::Read, 0, 11, 100);
            Random random(seed);
            rig.obey(seed % 2 ? "at publish every=9 always: index/producer-flicker 2" : "");
            (void)f.connect();
            f.state(XenbusState::Connected);
            for (int i = 0; i < 100; i++) {
                be_hostile(f, indirect, random);
                (void)rig.hub.run(10'000);
                if (watched)
                    rig.back->judge().look();
                if (rig.back->halted()) {
                    f.new_rings();
                    f.state(XenbusState::Initialising);
                    f.state(XenbusState::Initialised);
                    f.state(XenbusState::Connected);
                }
            }
            traces[watched] = traces_of(rig);
        }
        EXPECT_EQ(traces[0], traces[1]) << seed;
    }
}

/* Nothing is allocated for a request, however wrong it is. */
TEST(Judge, HostileFrontMakesNothingGrow)
{
    RigSetup setup = judged();
    setup.back.discard = false; /* the hub's storage lists them */
    Rig rig(setup);
    rig.oracle_matters = false;
    PausedStore store(rig.hub.back_store);
    PausedBackEvents events(rig.hub.back_events);
    BackFaults faults;
    BackJudge judge(faults.hooks());
    BackPorts ports = rig.back_ports();
    rig.back->vanish();
    BlockBack back({store, ports.grants, events, ports.storage, judge.owner()}, rig.setup.back,
                   judge.hooks());
    rig.hub.attach(&back);
    rig.hub.back.event = [&back](uint32_t queue) {
        counting_allocations = true;
        back.event_received(queue);
        counting_allocations = false;
    };
    ASSERT_TRUE(back.start());
    RigFront f(rig);
    for (uint32_t i = 0; i < 11; i++)
        f.grant(i);
    WireRequest indirect = f.indirect(Op::Read, 0, 11, 100);
    Random random(5);
    for (uint32_t connection = 0; connection < 50; connection++) {
        f.new_rings();
        f.state(XenbusState::Initialising);
        f.state(XenbusState::Initialised);
        f.state(XenbusState::Connected);
        for (int i = 0; i < 200 && !back.halted(); i++) {
            be_hostile(f, indirect, random);
            (void)rig.hub.run(10'000);
            counting_allocations = true;
            judge.look();
            (void)judge.grants_left();
            counting_allocations = false;
        }
    }
    EXPECT_GT(back.counters().refused, 1000u);
    EXPECT_GT(judge.record(Rule::OwnIndex).broken, 100u);
    EXPECT_EQ(allocations, 0u);
    rig.hub.detach_back();
    back.vanish();
}

/* As QEMU's property has it, and `pvblk try` reads it. */
TEST(Judge, JudgementNamesTheLevelOfWhatIsNoMust)
{
    EXPECT_EQ(judgement(2, 0, ""), "kept 2");
    EXPECT_EQ(judgement(1, 2, "why"), "BROKEN 2 of 3: why");
    EXPECT_EQ(judgement(0, 1, "why", JudgeLevel::Should), "BROKEN 1 of 1 (SHOULD): why");
    EXPECT_EQ(judgement(0, 1, "why", JudgeLevel::Practice), "BROKEN 1 of 1 (PRACTICE): why");
    EXPECT_EQ(first_breach({}), "");
}

/* What the judge sees, for a trace. */
TEST(Judge, ListenerIsToldEachThing)
{
    struct Listener final : JudgeListener {
        void broken(const JudgeRuleInfo &rule, const char *how, uint64_t value) override
        {
            told << rule.clause << " " << how << " " << value << "\n";
        }
        void frontend_state(XenbusState state) override
        {
            told << xenbus_state_name(state) << "\n";
        }
        void request(uint32_t queue, RequestId id, Op op, uint32_t segments,
                     uint64_t sector) override
        {
            told << "request " << queue << " " << id.value << " " << int(op) << " " << segments
                 << " " << sector << "\n";
        }
        void response(uint32_t queue, RequestId id, Op op, int16_t status) override
        {
            told << "response " << queue << " " << id.value << " " << int(op) << " " << status
                 << "\n";
        }
        std::ostringstream told;
    } listener;
    Judged j(nullptr, &listener);
    WireRequest r = j.f.request(Op::Read, 9000);
    r.id = RequestId(77);
    r.handle = kHandle;
    EXPECT_EQ(j.f.ask(r), kError);
    EXPECT_EQ(listener.told.str(), "Initialised\nConnected\nrequest 0 77 0 1 9000\n"
                                   "blkif:range a request begins beyond the end of the disk 9000\n"
                                   "response 0 77 0 -1\n");
    EXPECT_EQ(j.judge.record(Rule::Range).value, 9000u);
}

} // namespace
