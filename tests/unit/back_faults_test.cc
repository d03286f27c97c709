/* SPDX-License-Identifier: MIT */
/*
 * Every fault of the catalogue, at every point that it allows: that BlockBack
 * does what the sentence says, seen from a hand-made frontend; that it is an
 * honest backend again afterwards; and that our own frontend survives it.
 */
#include "support/nesting_back.h"
#include "support/random.h"
#include "support/rig_front.h"
#include "support/spy_ports.h"

#include "pvblk/c/back.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <map>
#include <set>
#include <thread>

namespace
{

using namespace pvblk;

FaultPlan plan_of(const std::string &text)
{
    auto plan = FaultPlan::parse(text);
    EXPECT_TRUE(plan) << plan.error().what;
    return plan ? std::move(plan.value()) : FaultPlan{};
}

RigSetup full()
{
    RigSetup s;
    s.back = BackConfig{};
    s.hub.grants = 1200;
    s.hub.guest_pages = 64;
    return s;
}

/* A backend under one rule, and a frontend that looks at everything itself. */
class Bent
{
public:
    static constexpr std::byte kGuest{0x22};

    Bent(std::string rule_text, FrontShape shape)
        : rig(full()), store(rig.hub.back_store, rig.hub.config.backend_path),
          events(rig.hub.back_events), rule(std::move(rule_text))
    {
        rig.oracle_matters = false;
        BackPorts ports = rig.hub.back_ports();
        rig.back = std::make_unique<TestBack>(
            BackPorts{store, ports.grants, events, ports.storage, nullptr}, rig.setup.back);
        rig.hub.attach(rig.back.get());
        rig.hub.front.event = [this](uint32_t queue) {
            seen[queue]++;
            if (on_event)
                on_event();
        };
        front.emplace(rig, shape);
        for (uint32_t i = 0; i < 11; i++)
            f().grant(i);
        f().grant(kReadOnly, true);
        rig.fill_disk(0, 100, 7);
        std::memset(rig.hub.guest.host(0), 0x22, 16 * kPageSize);
    }
    ~Bent()
    {
        front.reset();
        end();
    }
    void end()
    {
        rig.hub.detach_back();
        rig.back.reset();
    }

    /* In the place of the one that has the plan. */
    void new_back()
    {
        ended = true;
        rig.new_back();
    }

    RigFront &f() { return *front; }
    SharedRing &ring(uint32_t queue = 0) { return f().shared(queue); }
    /* The plan is taken with a look at the rings: faults of that come at once. */
    void obey()
    {
        FaultPlan plan = plan_of(rule);
        FaultPoint point = plan.rule(0).point;
        rig.back->set_faults(std::move(plan));
        if (point != FaultPoint::Tick && point != FaultPoint::Rearm)
            rig.hub.run();
    }
    uint64_t fired() const { return rig.back->faults_fired(); }
    std::optional<WireResponse> ask(const WireRequest &r)
    {
        f().send(r);
        rig.hub.run();
        return f().next();
    }
    WireRequest flush() { return f().request(Op::FlushDiskcache, 0, 0); }
    WireRequest read() { return f().request(Op::Read, 0); }
    WireRequest write() { return f().request(Op::Write, 200); }
    uint32_t index(SringField field) { return ring().load(field).value; }
    uint32_t rsp_prod() { return index(SringField::RspProd); }
    std::string node(const std::string &name) { return rig.back_node(name); }
    bool has_node(const std::string &name)
    {
        return rig.hub.has_node(rig.hub.config.backend_path + "/" + name);
    }
    void tick()
    {
        (void)rig.hub.events.notify(0);
        rig.hub.run();
    }
    uint32_t mapped() { return rig.hub.grants.mapped(); }
    /* Bytes `from` … of guest page 0 are as they were. */
    bool untouched(size_t from = 0)
    {
        return std::all_of(rig.hub.guest.host(from), rig.hub.guest.host(kPageSize),
                           [](std::byte b) { return b == kGuest; });
    }

    static constexpr uint32_t kReadOnly = 11; /* a grant */
    Rig rig;
    SpyStore store;
    SpyEvents events;
    const std::string rule;
    std::optional<RigFront> front;
    std::array<uint64_t, kMaxQueues> seen{};
    std::function<void()> on_event;
    bool ended{false}; /* the backend that has the plan is gone */
};

void expect_status(const std::optional<WireResponse> &rsp, const WireRequest &r, int status)
{
    ASSERT_TRUE(rsp) << "no answer";
    EXPECT_EQ(rsp->id, r.id);
    EXPECT_EQ(rsp->op, r.op);
    EXPECT_EQ(rsp->status, status);
}

/* ---- index ------------------------------------------------------------------ */

void producer_is(Bent &b, uint32_t value)
{
    auto r = b.flush();
    b.f().send(r);
    b.rig.hub.run();
    EXPECT_EQ(b.rsp_prod(), value);
    EXPECT_EQ(b.ring().get_response(RingIndex(0)).id, r.id);
}

void producer_frozen(Bent &b)
{
    producer_is(b, 0);
    b.f().send(b.flush());
    b.rig.hub.run();
    EXPECT_EQ(b.rsp_prod(), 2u);
}

/* Only somebody who looks all the time can see it. */
void producer_flickers(Bent &b)
{
    std::atomic<bool> stop{false}, seen{false};
    std::thread frontend([&] {
        while (!stop)
            if (b.rsp_prod() >= 1u << 20)
                seen = true;
    });
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    bool answered = true;
    while (answered && !seen && std::chrono::steady_clock::now() < end)
        answered = b.ask(b.flush()).has_value();
    EXPECT_TRUE(answered);
    stop = true;
    frontend.join();
    EXPECT_TRUE(seen);
}

void request_producer_overwritten(Bent &b)
{
    b.f().send(b.flush());
    b.rig.hub.run();
    EXPECT_EQ(b.index(SringField::ReqProd), 1u + 40u);
    EXPECT_TRUE(b.f().next());
    b.tick();
    EXPECT_FALSE(b.rig.back->halted()) << "took its own lie for the frontend's";
    EXPECT_EQ(b.rig.back->counters().requests, 1u);
    EXPECT_TRUE(b.ask(b.flush()));
}

void request_producer_overwritten_at_rest(Bent &b)
{
    b.rig.hub.run();
    EXPECT_EQ(b.index(SringField::ReqProd), 40u);
    b.tick();
    EXPECT_FALSE(b.rig.back->halted()) << "took its own lie for the frontend's";
    EXPECT_TRUE(b.ask(b.flush()));
}

/* ---- responses --------------------------------------------------------------- */

void id_is(Bent &b, uint64_t (*id)(RequestId own))
{
    auto r = b.flush();
    auto rsp = b.ask(r);
    ASSERT_TRUE(rsp);
    EXPECT_EQ(rsp->id.value, id(r.id));
}

void finished_id(Bent &b)
{
    auto first = b.flush();
    expect_status(b.ask(first), first, kOkay);
    auto rsp = b.ask(b.flush());
    ASSERT_TRUE(rsp);
    EXPECT_EQ(rsp->id, first.id);
}

void replayed(Bent &b)
{
    auto first = b.flush();
    expect_status(b.ask(first), first, kOkay);
    auto rsp = b.ask(b.flush());
    ASSERT_TRUE(rsp);
    EXPECT_EQ(rsp->id, first.id);
    EXPECT_EQ(b.rig.hub.storage.flushes, 1u);
}

void unpublished_id(Bent &b)
{
    auto r = b.flush(), next = b.flush();
    b.ring().put_request(RingIndex(1), next);
    auto rsp = b.ask(r);
    ASSERT_TRUE(rsp);
    EXPECT_EQ(rsp->id, next.id);
}

void duplicate(Bent &b)
{
    auto r = b.flush();
    b.f().send(r);
    b.rig.hub.run();
    EXPECT_EQ(b.rsp_prod(), 3u);
    for (uint32_t i = 0; i < 3; i++)
        EXPECT_EQ(b.ring().get_response(RingIndex(i)).id, r.id);
    EXPECT_EQ(b.rig.hub.storage.flushes, 1u);
    b.f().send(b.flush());
    b.rig.hub.run();
    EXPECT_EQ(b.rsp_prod(), 4u) << "the ring stands still";
    EXPECT_FALSE(b.rig.back->halted());
}

void reordered(Bent &b)
{
    auto first = b.flush(), second = b.flush();
    EXPECT_EQ(b.ask(first).has_value(), false);
    expect_status(b.ask(second), second, kOkay);
    expect_status(b.f().next(), first, kOkay);
}

void unasked(Bent &b)
{
    auto r = b.flush();
    b.ring().put_request(RingIndex(0), r);
    b.rig.hub.run();
    EXPECT_EQ(b.rsp_prod(), 1u);
    EXPECT_EQ(b.ring().get_response(RingIndex(0)).id, r.id);
    b.f().send(r);
    b.rig.hub.run();
    EXPECT_EQ(b.rsp_prod(), 2u);
    EXPECT_FALSE(b.rig.back->halted());
}

void lost_at_take(Bent &b)
{
    EXPECT_FALSE(b.ask(b.flush()));
    EXPECT_EQ(b.rig.hub.storage.flushes, 0u);
    EXPECT_TRUE(b.ask(b.flush()));
}

void lost_at_respond(Bent &b)
{
    EXPECT_FALSE(b.ask(b.flush()));
    EXPECT_EQ(b.rig.hub.storage.flushes, 1u);
    EXPECT_TRUE(b.ask(b.flush()));
}

void late(Bent &b)
{
    auto r = b.flush();
    EXPECT_FALSE(b.ask(r));
    b.tick();
    EXPECT_FALSE(b.f().next()) << "after one tick";
    b.tick();
    expect_status(b.f().next(), r, kOkay);
}

void operation(Bent &b)
{
    auto rsp = b.ask(b.flush());
    ASSERT_TRUE(rsp);
    EXPECT_EQ(rsp->op, Op::Discard);
}

void status_is(Bent &b, int status, uint64_t flushes)
{
    auto r = b.flush();
    expect_status(b.ask(r), r, status);
    EXPECT_EQ(b.rig.hub.storage.flushes, flushes);
}

void rewritten(Bent &b)
{
    std::optional<int> at_event;
    b.on_event = [&] { at_event = b.ring().get_response(RingIndex(0)).status; };
    b.f().send(b.flush());
    b.rig.hub.run();
    EXPECT_EQ(at_event, -7);
    EXPECT_EQ(b.ring().get_response(RingIndex(0)).status, kOkay);
}

/* ---- data -------------------------------------------------------------------- */

void skipped(Bent &b)
{
    auto r = b.read();
    expect_status(b.ask(r), r, kOkay);
    EXPECT_TRUE(b.untouched());
    EXPECT_EQ(b.rig.hub.storage.reads, 0u);
}

void short_data(Bent &b)
{
    auto r = b.read();
    expect_status(b.ask(r), r, kOkay);
    EXPECT_TRUE(b.rig.guest_is(0, 5 * kSectorSize, 7));
    EXPECT_TRUE(b.untouched(5 * kSectorSize));
    b.rig.fill_guest(0, kPageSize, 3);
    auto w = b.write();
    expect_status(b.ask(w), w, kOkay);
    EXPECT_TRUE(b.rig.disk_is(200, 5, 3));
    for (uint64_t i = 205 * kSectorSize; i < 208 * kSectorSize; i++)
        ASSERT_EQ(b.rig.hub.storage.data[i], std::byte{0});
}

void shorter_than_nothing(Bent &b)
{
    auto r = b.read();
    expect_status(b.ask(r), r, kOkay);
    EXPECT_TRUE(b.untouched());
}

/* Bit 9 of the data. */
bool is_flipped(const std::byte *data, uint32_t seed)
{
    return data[0] == pattern_byte(0, seed) && data[1] == (pattern_byte(1, seed) ^ std::byte{2}) &&
           has_pattern(data + 2, kPageSize - 2, seed, 2);
}

void flipped(Bent &b)
{
    auto r = b.read();
    expect_status(b.ask(r), r, kOkay);
    EXPECT_TRUE(is_flipped(b.rig.hub.guest.host(0), 7));
    b.rig.fill_guest(0, kPageSize, 3);
    auto w = b.write();
    expect_status(b.ask(w), w, kOkay);
    EXPECT_TRUE(is_flipped(b.rig.hub.storage.data.data() + 200 * kSectorSize, 3));
    EXPECT_TRUE(b.rig.guest_is(0, kPageSize, 3)) << "written to the frontend's page";
}

void poisoned(Bent &b)
{
    auto r = b.read();
    r.seg[0] = {b.rig.hub.grants.ref(0), 3, 4};
    expect_status(b.ask(r), r, kOkay);
    for (uint32_t i = 0; i < kPageSize; i++)
        ASSERT_EQ(*b.rig.hub.guest.host(i), std::byte{0xa5}) << i;
    EXPECT_EQ(*b.rig.hub.guest.host(kPageSize), Bent::kGuest);
    EXPECT_EQ(b.rig.hub.storage.reads, 0u);
}

void after_response(Bent &b)
{
    bool right = false;
    uint32_t mapped = 0;
    b.on_event = [&] {
        right = b.rig.guest_is(0, kPageSize, 7);
        mapped = b.mapped();
    };
    auto r = b.read();
    expect_status(b.ask(r), r, kOkay);
    EXPECT_TRUE(right);
    EXPECT_EQ(mapped, 2u);
    EXPECT_EQ(b.mapped(), 1u);
    for (uint32_t i = 0; i < kPageSize; i++)
        ASSERT_EQ(*b.rig.hub.guest.host(i), ~pattern_byte(i, 7)) << i;
}

/* ---- events ------------------------------------------------------------------ */

void event_lost(Bent &b)
{
    b.f().send(b.flush());
    b.rig.hub.run();
    EXPECT_EQ(b.rsp_prod(), 1u);
    EXPECT_EQ(b.events.sent, 0u);
}

void event_from_nothing(Bent &b, uint64_t times)
{
    b.rig.hub.run();
    EXPECT_EQ(b.rsp_prod(), 0u);
    EXPECT_EQ(b.events.sent, times);
    EXPECT_GE(b.seen[0], 1u);
}

void storm(Bent &b)
{
    EXPECT_TRUE(b.ask(b.flush()));
    EXPECT_EQ(b.events.sent, 5u);
}

void before_publish(Bent &b)
{
    std::optional<uint32_t> producer;
    b.events.before = [&] { producer = b.rsp_prod(); };
    EXPECT_TRUE(b.ask(b.flush()));
    EXPECT_EQ(producer, 0u);
    EXPECT_EQ(b.events.sent, 1u);
    b.events.before = nullptr;
}

void after_close(Bent &b)
{
    b.f().state(XenbusState::Closing);
    EXPECT_EQ(b.events.sent, 1u);
    EXPECT_EQ(b.node("state"), "5");
}

void other_queue(Bent &b)
{
    b.f().send(b.flush(), 0);
    b.rig.hub.run();
    EXPECT_EQ(b.rsp_prod(), 1u);
    EXPECT_EQ(b.seen[0], 0u);
    EXPECT_EQ(b.seen[1], 1u);
}

void rsp_event_at_publish(Bent &b, uint32_t value)
{
    b.f().send(b.flush());
    b.rig.hub.run();
    EXPECT_EQ(b.rsp_prod(), 1u);
    EXPECT_EQ(b.index(SringField::RspEvent), value);
    EXPECT_EQ(b.events.sent, 0u) << "it decides by what it stored";
}

void rsp_event_at_tick(Bent &b, uint32_t value)
{
    b.rig.hub.run();
    EXPECT_EQ(b.index(SringField::RspEvent), value);
}

void req_event(Bent &b, uint32_t value)
{
    b.ring().store(SringField::ReqEvent, RingIndex(99));
    b.rig.hub.run();
    EXPECT_EQ(b.index(SringField::ReqEvent), value);
    b.tick();
    EXPECT_EQ(b.index(SringField::ReqEvent), 1u);
}

/* ---- grants ------------------------------------------------------------------ */

void map_fails(Bent &b)
{
    auto r = b.read();
    expect_status(b.ask(r), r, kError);
    EXPECT_EQ(b.mapped(), 1u);
    EXPECT_EQ(b.rig.hub.storage.reads, 0u);
    auto again = b.read();
    expect_status(b.ask(again), again, kOkay);
}

void map_ring_fails(Bent &b)
{
    EXPECT_FALSE(b.f().connect());
    EXPECT_STREQ(b.rig.back->last_error().clause, "blkif:ring-ref");
    EXPECT_EQ(b.mapped(), 0u);
}

void map_indirect_fails(Bent &b)
{
    auto r = b.f().indirect(Op::Read, 0, 2, 50);
    b.f().send(r);
    b.rig.hub.run();
    auto rsp = b.f().next();
    ASSERT_TRUE(rsp);
    EXPECT_EQ(rsp->status, kError);
    EXPECT_EQ(b.mapped(), 1u);
}

void map_late(Bent &b)
{
    b.on_event = [&] { b.f().revoke(0); };
    auto r = b.read();
    expect_status(b.ask(r), r, kOkay);
    EXPECT_EQ(b.rig.hub.storage.reads, 0u);
    EXPECT_EQ(b.rig.hub.oracle.denied_maps, 1u);
    b.on_event = nullptr;
    b.f().grant(0);
}

void map_late_indirect(Bent &b)
{
    auto r = b.f().indirect(Op::Read, 0, 2, 50);
    b.on_event = [&] { b.f().revoke(50); };
    b.f().send(r);
    b.rig.hub.run();
    auto rsp = b.f().next();
    ASSERT_TRUE(rsp);
    EXPECT_EQ(rsp->status, kOkay);
    EXPECT_TRUE(b.untouched());
    EXPECT_EQ(b.rig.hub.oracle.denied_maps, 1u);
    b.on_event = nullptr;
}

void map_stray(Bent &b)
{
    auto r = b.read();
    expect_status(b.ask(r), r, kOkay);
    EXPECT_EQ(b.rig.hub.oracle.denied_maps, 1u);
}

void map_writable(Bent &b)
{
    auto w = b.write();
    w.seg[0].gref = b.rig.hub.grants.ref(Bent::kReadOnly);
    expect_status(b.ask(w), w, kError);
    EXPECT_EQ(b.rig.hub.oracle.readonly_maps, 1u);
}

void map_for_ever(Bent &b)
{
    auto r = b.read();
    expect_status(b.ask(r), r, kOkay);
    EXPECT_EQ(b.mapped(), 2u);
    b.f().state(XenbusState::Closing);
    b.f().state(XenbusState::Closed);
    EXPECT_EQ(b.mapped(), 1u) << "the ring is gone, the page is not";
    b.f().state(XenbusState::Initialising);
    EXPECT_GE(b.fired(), 1u);
    b.new_back();
    EXPECT_EQ(b.mapped(), 0u) << "it lives longer than its backend";
}

/* The page stays in use by the fault, not by the table of persistent ones. */
void map_for_ever_persistent(Bent &b)
{
    for (int i = 0; i < 3; i++)
        EXPECT_TRUE(b.ask(b.read()));
    EXPECT_EQ(b.mapped(), 1u + 3u);
    EXPECT_EQ(b.rig.back->counters().persistent_hits, 0u);
    EXPECT_GE(b.fired(), 3u);
    b.new_back();
    EXPECT_EQ(b.mapped(), 0u);
}

void unmap_early(Bent &b)
{
    uint32_t mapped = 99;
    b.on_event = [&] { mapped = b.mapped(); };
    auto r = b.read();
    expect_status(b.ask(r), r, kOkay);
    EXPECT_TRUE(b.untouched());
    EXPECT_EQ(mapped, 1u);
    EXPECT_EQ(b.rig.hub.storage.reads, 0u);
}

void persistent_refused(Bent &b)
{
    EXPECT_TRUE(b.ask(b.read()));
    EXPECT_EQ(b.mapped(), 1u);
    EXPECT_TRUE(b.ask(b.read()));
    EXPECT_EQ(b.mapped(), 2u) << "once";
}

/* ---- nodes and states ---------------------------------------------------------- */

void node_missing(Bent &b)
{
    (void)b.rig.back->start();
    EXPECT_FALSE(b.has_node("sectors"));
    EXPECT_TRUE(b.has_node("sector-size"));
}

void node_late(Bent &b)
{
    (void)b.rig.back->start();
    EXPECT_FALSE(b.store.in_order("sectors=8192", "state=2"));
    EXPECT_TRUE(b.store.in_order("state=2", "sectors=8192"));
}

void node_changed(Bent &b)
{
    (void)b.rig.back->start();
    b.rig.back->resized();
    EXPECT_EQ(b.node("sectors"), "8192");
    b.f().state(XenbusState::Initialised);
    EXPECT_EQ(b.node("sectors"), "77");
    b.f().state(XenbusState::Initialising);
    EXPECT_EQ(b.node("sectors"), "77");
}

/* What the catalogue says, or the one of the rule. */
void node_says(Bent &b)
{
    FaultPlan plan = plan_of(b.rule);
    const FaultInfo &f = fault_info(plan.rule(0).kind);
    std::string value = f.param.type == FaultParam::Text     ? plan.rule(0).text
                        : f.param.type == FaultParam::Number ? "99999"
                                                             : std::string(f.value);
    std::string name = f.node.empty() ? "sectors" : std::string(f.node);
    (void)b.rig.back->start();
    EXPECT_TRUE(b.has_node(name));
    EXPECT_EQ(b.node(name), value);
}

/* A node that this backend does not have. */
void node_invented(Bent &b)
{
    (void)b.rig.back->start();
    EXPECT_EQ(b.node("discard-secure"), "1");
    b.f().state(XenbusState::Initialised);
    EXPECT_FALSE(b.has_node("discard-secure")) << "once";
}

void state_skipped(Bent &b)
{
    EXPECT_TRUE(b.f().connect());
    EXPECT_EQ(b.node("state"), "2");
    EXPECT_TRUE(b.ask(b.flush()));
}

void state_repeated(Bent &b)
{
    EXPECT_TRUE(b.f().connect());
    EXPECT_EQ(b.store.count("state=4"), 2u);
}

void state_reversed(Bent &b)
{
    EXPECT_TRUE(b.f().connect());
    EXPECT_TRUE(b.store.in_order("state=4", "state=2"));
    EXPECT_EQ(b.node("state"), "2");
}

void state_value(Bent &b)
{
    EXPECT_TRUE(b.f().connect());
    EXPECT_EQ(b.node("state"), std::string("4\0x", 3));
}

void state_missing(Bent &b)
{
    EXPECT_TRUE(b.f().connect());
    EXPECT_FALSE(b.has_node("state"));
}

void size_changes(Bent &b, const std::string &node, const std::string &value)
{
    b.store.log.clear();
    b.rig.hub.run();
    EXPECT_TRUE(b.store.in_order(node + "=" + value, "state=4"));
    EXPECT_EQ(b.node(node), value);
    EXPECT_EQ(b.rig.hub.storage.sectors(), 8192u);
}

/* ---- life ---------------------------------------------------------------------- */

/* The rule's point is reached. Nothing but the ring is mapped before. */
void provoke(Bent &b)
{
    FaultPoint point = plan_of(b.rule).rule(0).point;
    if (point == FaultPoint::Connect)
        (void)b.f().connect();
    else if (point != FaultPoint::Tick)
        b.f().send(b.flush());
    b.rig.hub.run();
}

bool answered(Bent &b)
{
    FaultPoint point = plan_of(b.rule).rule(0).point;
    return point == FaultPoint::Take || point == FaultPoint::Respond;
}

void closing(Bent &b)
{
    provoke(b);
    EXPECT_EQ(b.node("state"), "5");
    EXPECT_EQ(b.rsp_prod(), answered(b) ? 1u : 0u);
}

/* The rings are given up, and nothing is answered. */
void gone(Bent &b)
{
    provoke(b);
    EXPECT_EQ(b.mapped(), 0u);
    EXPECT_EQ(b.rsp_prod(), 0u);
}

void closed_at_once(Bent &b)
{
    gone(b);
    EXPECT_EQ(b.node("state"), "6");
    EXPECT_EQ(b.store.count("state=5"), 0u);
}

void unplug(Bent &b)
{
    closing(b);
    EXPECT_TRUE(b.has_node("sectors"));
    b.f().state(XenbusState::Closing);
    EXPECT_TRUE(b.has_node("sectors"));
    b.f().state(XenbusState::Closed);
    EXPECT_FALSE(b.has_node("sectors"));
    EXPECT_FALSE(b.has_node("state"));
}

void vanish(Bent &b)
{
    b.store.log.clear();
    gone(b);
    EXPECT_FALSE(b.has_node("sectors"));
    EXPECT_FALSE(b.has_node("state"));
    EXPECT_EQ(b.store.count("state=5") + b.store.count("state=6"), 0u);
    b.f().state(XenbusState::Initialising);
    EXPECT_FALSE(b.has_node("state")) << "it is not gone";
}

void migrate(Bent &b)
{
    for (const char *name : {"online", "params"})
        b.rig.hub.put_node(b.rig.hub.config.backend_path + "/" + name, "1");
    gone(b);
    EXPECT_TRUE(b.store.in_order("-sectors", "sectors=8192"));
    EXPECT_TRUE(b.store.in_order("-state", "state=2"));
    EXPECT_EQ(b.node("state"), "2");
    EXPECT_EQ(b.node("online") + b.node("params"), "11") << "the toolstack's";
}

void restart(Bent &b)
{
    gone(b);
    EXPECT_EQ(b.node("state"), "2");
    EXPECT_EQ(b.store.count("-state"), 0u);
}

void stall(Bent &b)
{
    provoke(b);
    EXPECT_EQ(b.rig.back->state(), XenbusState::Connected);
    EXPECT_EQ(b.f().next().has_value(), answered(b));
    uint64_t before = b.rig.back->counters().requests;
    EXPECT_FALSE(b.ask(b.flush()));
    EXPECT_EQ(b.rig.back->counters().requests, before);
    b.f().new_rings();
    b.f().state(XenbusState::Initialising);
    b.f().state(XenbusState::Initialised);
    EXPECT_TRUE(b.ask(b.flush())) << "the next connection";
}

void connect_refused(Bent &b)
{
    EXPECT_FALSE(b.f().connect());
    EXPECT_EQ(b.node("state"), "2");
    EXPECT_EQ(b.mapped(), 0u);
    EXPECT_NE(b.node("error"), "");
}

void connect_silent(Bent &b)
{
    EXPECT_FALSE(b.f().connect());
    EXPECT_EQ(b.node("state"), "2");
    EXPECT_EQ(b.mapped(), 0u);
    EXPECT_EQ(b.node("error"), "");
}

/* ---- all of them ------------------------------------------------------------------ */

enum class From : uint8_t { Start, Connected }; /* since when the plan is obeyed */

struct Case {
    const char *rule;
    From from;
    void (*check)(Bent &b);
    FrontShape shape{};
};
constexpr From S = From::Start, C = From::Connected;
constexpr FrontShape kPersistent{Abi::X86_64, 1, 1, true};
constexpr FrontShape kTwoQueues{Abi::X86_64, 2, 1, false};

const Case kCases[] = {
    {"at publish: index/producer-ahead 3", C, [](Bent &b) { producer_is(b, 4); }},
    {"at publish: index/producer-beyond-ring 2", C, [](Bent &b) { producer_is(b, 1 + 32 + 2); }},
    {"at publish: index/producer-half-way", C, [](Bent &b) { producer_is(b, 1 + (1u << 31)); }},
    {"at publish: index/producer-backwards 5", C, [](Bent &b) { producer_is(b, -5); }},
    {"at publish: index/producer-frozen", C, producer_frozen},
    {"at publish always: index/producer-flicker 2147483648", C, producer_flickers},
    {"at publish: index/request-producer-overwritten 40", C, request_producer_overwritten},
    {"at tick: index/request-producer-overwritten 40", C, request_producer_overwritten_at_rest},

    {"at respond: response/id 77", C,
     [](Bent &b) { id_is(b, [](RequestId) { return uint64_t{77}; }); }},
    {"at respond: response/unknown-id", C,
     [](Bent &b) { id_is(b, [](RequestId own) { return own.value | uint64_t{1} << 63; }); }},
    {"at respond nth=1: response/finished-id", C, finished_id},
    {"at take times=2: response/replayed", C, replayed},
    {"at respond: response/unpublished-id", C, unpublished_id},
    {"at respond: response/duplicate 2", C, duplicate},
    {"at respond: response/reordered", C, reordered},
    {"at tick: response/unasked", C, unasked},
    {"at take: response/lost", C, lost_at_take},
    {"at respond: response/lost", C, lost_at_respond},
    {"at respond: response/late 2", C, late},
    {"at respond: response/operation 5", C, operation},
    {"at respond: response/status -7", C, [](Bent &b) { status_is(b, -7, 1); }},
    {"at respond: response/rewritten -7", C, rewritten},
    {"at before-work: response/refused", C, [](Bent &b) { status_is(b, kError, 0); }},

    {"at before-work: data/skipped", C, skipped},
    {"at data times=2: data/short 3", C, short_data},
    {"at data: data/short 8", C, shorter_than_nothing},
    {"at data: data/short 18446744073709551615", C, shorter_than_nothing},
    {"at data times=2: data/flipped 9", C, flipped},
    {"at data times=2: data/flipped 32777", C, flipped}, /* 9 + the length */
    {"at data: data/poisoned 165", C, poisoned},
    {"at data: data/after-response", C, after_response},

    {"at notify: notify/lost", C, event_lost},
    {"at tick: notify/spurious", C, [](Bent &b) { event_from_nothing(b, 1); }},
    {"at notify: notify/storm 5", C, storm},
    {"at tick: notify/storm 5", C, [](Bent &b) { event_from_nothing(b, 5); }},
    {"at publish: notify/before-publish", C, before_publish},
    {"at set-state state=Closing: notify/after-close", C, after_close},
    {"at notify: notify/other-queue 1", C, other_queue, kTwoQueues},
    {"at notify: notify/other-queue 15", C, event_lost}, /* not bound */
    {"at publish: notify/rsp-event-ahead 5", C, [](Bent &b) { rsp_event_at_publish(b, 6); }},
    {"at tick: notify/rsp-event-ahead 5", C, [](Bent &b) { rsp_event_at_tick(b, 5); }},
    {"at publish: notify/rsp-event-behind 2", C, [](Bent &b) { rsp_event_at_publish(b, -1); }},
    {"at tick: notify/rsp-event-behind 2", C, [](Bent &b) { rsp_event_at_tick(b, -2); }},
    {"at rearm: notify/rearm-skipped", C, [](Bent &b) { req_event(b, 99); }},
    {"at rearm: notify/rearm-ahead 7", C, [](Bent &b) { req_event(b, 8); }},

    {"at map name=data: grants/map-fails", C, map_fails},
    {"at map name=ring: grants/map-fails", S, map_ring_fails},
    {"at map name=indirect: grants/map-fails", C, map_indirect_fails},
    {"at map name=data: grants/map-late", C, map_late},
    {"at map name=indirect: grants/map-late", C, map_late_indirect},
    {"at map: grants/map-stray 5000", C, map_stray},
    {"at tick: grants/map-stray 5000", C, map_stray},
    {"at map: grants/map-writable", C, map_writable},
    {"at unmap name=data: grants/map-for-ever", C, map_for_ever},
    {"at unmap name=data always: grants/map-for-ever", C, map_for_ever_persistent, kPersistent},
    {"at data: grants/unmap-early", C, unmap_early},
    {"at unmap: grants/persistent-refused", C, persistent_refused, kPersistent},

    {"at publish-node name=sectors: store/node-missing", S, node_missing},
    {"at publish-node name=sectors: store/node-late", S, node_late},
    {"at publish-node name=sectors: store/node-value \"a\\x00b\"", S, node_says},
    {"at publish-node name=discard-secure: store/node-value \"1\"", S, node_invented},
    {"at publish-node name=sectors: store/node-changed \"77\"", S, node_changed},
    {"at publish-node name=sectors: store/node-empty", S, node_says},
    {"at publish-node name=sectors: store/node-not-a-number", S, node_says},
    {"at publish-node name=sectors: store/node-huge", S, node_says},
    {"at publish-node name=sectors: store/node-negative", S, node_says},
    {"at publish-node name=sectors: store/node-long 5", S, node_says},
    {"at set-state state=Connected: store/state-skipped", S, state_skipped},
    {"at set-state state=Connected: store/state-repeated", S, state_repeated},
    {"at set-state state=Connected: store/state-reversed", S, state_reversed},
    {"at set-state state=Connected: store/state-value \"4\\x00x\"", S, state_value},
    {"at set-state state=Connected: store/state-missing", S, state_missing},

    {"at publish-node: geometry/sector-size-zero", S, node_says},
    {"at publish-node: geometry/sector-size-uneven", S, node_says},
    {"at publish-node: geometry/sector-size-above-page", S, node_says},
    {"at tick: geometry/sector-size-changed 4096", C,
     [](Bent &b) { size_changes(b, "sector-size", "4096"); }},
    {"at publish-node: geometry/size-zero", S, node_says},
    {"at publish-node: geometry/size-overflow", S, node_says},
    {"at tick: geometry/size-shrinks 92", C, [](Bent &b) { size_changes(b, "sectors", "8100"); }},
    {"at tick: geometry/size-shrinks 8193", C, [](Bent &b) { size_changes(b, "sectors", "0"); }},
    {"at tick: geometry/size-grows 8", C, [](Bent &b) { size_changes(b, "sectors", "8200"); }},
    {"at tick: geometry/size-grows 18446744073709551615", C,
     [](Bent &b) { size_changes(b, "sectors", "18446744073709551615"); }},

    {"at before-work: features/unsupported", C, [](Bent &b) { status_is(b, kNotSupp, 0); }},
    {"at publish-node: features/indirect-limit-zero", S, node_says},
    {"at publish-node: features/indirect-limit-huge", S, node_says},
    {"at publish-node: features/queues-zero", S, node_says},
    {"at publish-node: features/queues-huge", S, node_says},
    {"at publish-node: features/ring-order-huge", S, node_says},

    {"at connect: lifecycle/closing", S, closing},
    {"at take: lifecycle/closing", C, closing},
    {"at respond: lifecycle/closing", C, closing},
    {"at tick: lifecycle/closing", C, closing},
    {"at connect: lifecycle/closed-at-once", S, closed_at_once},
    {"at take: lifecycle/closed-at-once", C, closed_at_once},
    {"at respond: lifecycle/closed-at-once", C, closed_at_once},
    {"at tick: lifecycle/closed-at-once", C, closed_at_once},
    {"at connect: lifecycle/unplug", S, unplug},
    {"at take: lifecycle/unplug", C, unplug},
    {"at respond: lifecycle/unplug", C, unplug},
    {"at tick: lifecycle/unplug", C, unplug},
    {"at connect: lifecycle/vanish", S, vanish},
    {"at take: lifecycle/vanish", C, vanish},
    {"at respond: lifecycle/vanish", C, vanish},
    {"at tick: lifecycle/vanish", C, vanish},
    {"at connect: lifecycle/migrate", S, migrate},
    {"at take: lifecycle/migrate", C, migrate},
    {"at respond: lifecycle/migrate", C, migrate},
    {"at tick: lifecycle/migrate", C, migrate},
    {"at connect: lifecycle/restart", S, restart},
    {"at take: lifecycle/restart", C, restart},
    {"at respond: lifecycle/restart", C, restart},
    {"at tick: lifecycle/restart", C, restart},
    {"at connect: lifecycle/stall", S, stall},
    {"at take: lifecycle/stall", C, stall},
    {"at respond: lifecycle/stall", C, stall},
    {"at tick: lifecycle/stall", C, stall},
    {"at connect always: lifecycle/connect-refused", S, connect_refused},
    {"at connect always: lifecycle/connect-silent", S, connect_silent},
};

TEST(BackFaults, EachFaultDoesWhatItSaysAndEnds)
{
    for (const Case &c : kCases) {
        SCOPED_TRACE(c.rule);
        Bent b(c.rule, c.shape);
        if (c.from == From::Connected) {
            ASSERT_TRUE(b.f().connect());
            b.events.sent = 0;
        }
        TestBack *bent = b.rig.back.get();
        b.obey();
        c.check(b);
        if (b.ended)
            continue; /* by the check */
        EXPECT_GE(b.fired(), 1u);
        b.on_event = nullptr;
        bent->set_faults({});
        b.rig.hub.run();
        if (bent->state() == XenbusState::Unknown)
            (void)bent->start();
        b.f().new_rings();
        b.f().state(XenbusState::Initialising);
        b.f().state(XenbusState::Initialised);
        auto r = b.flush();
        expect_status(b.ask(r), r, kOkay);
        EXPECT_EQ(b.node("sectors"), "8192");
        EXPECT_EQ(b.node("state"), "4");
        EXPECT_EQ(b.mapped(), c.shape.queues);
        b.rig.expect_safe();
    }
}

TEST(BackFaults, EachFaultIsTestedAtEachPoint)
{
    std::set<std::pair<FaultKind, FaultPoint>> tested;
    for (const Case &c : kCases) {
        FaultPlan plan = plan_of(c.rule);
        tested.emplace(plan.rule(0).kind, plan.rule(0).point);
    }
    for (const FaultInfo &f : kFaults)
        for (uint32_t p = 0; p < kFaultPoints; p++) {
            bool possible = f.points >> p & 1;
            EXPECT_EQ(tested.count({f.kind, static_cast<FaultPoint>(p)}) != 0, possible)
                << f.name << " at " << kFaultPointTable[p].name;
        }
}

/* ---- all at once --------------------------------------------------------------------- */

/* Twelve rules of any kind at any point that it allows. */
std::string mixed_plan(Random &random)
{
    std::string text = "seed " + std::to_string(random.below(1000)) + "\n";
    for (int rules = 0; rules < 12;) {
        const FaultInfo &f = kFaults[random.below(kFaultKinds)];
        uint32_t point = random.below(kFaultPoints);
        if (!(f.points >> point & 1))
            continue;
        static constexpr const char *often[] = {" always", " probability=0.2 always",
                                                " nth=2 every=3 times=5", " times=4"};
        text += "at " + std::string(kFaultPointTable[point].name) + often[random.below(4)] + ": " +
                std::string(f.name);
        if (f.param.type == FaultParam::Text)
            text += " \"9\"";
        if (f.param.type == FaultParam::Number)
            text += " " + std::to_string(static_cast<uint64_t>(f.param.min < 0 ? 0 : f.param.min) +
                                         random.below(40) % std::min<uint64_t>(f.param.max, 40));
        text += "\n";
        rules++;
    }
    return text;
}

/* One of the things that a frontend with neither sense nor shame does. */
void act(Bent &b, const WireRequest &indirect, Random &random)
{
    uint32_t queue = random.below(2);
    RigFront &f = b.f();
    switch (random.below(12)) {
    case 0: f.state(static_cast<XenbusState>(random.below(7))); break;
    case 1:
        f.new_rings();
        f.state(XenbusState::Initialising);
        f.state(XenbusState::Initialised);
        break;
    case 2: b.ring(queue).store(SringField::ReqProd, RingIndex(random.below(50))); break;
    case 3: b.ring(queue).store(SringField::RspEvent, RingIndex(random.below(50))); break;
    case 4: b.rig.hub.storage.defer = random.below(2); break;
    case 5: b.rig.hub.storage.drain(); break;
    case 6:
        if (b.rig.back->state() == XenbusState::Unknown)
            (void)b.rig.back->start();
        break;
    case 7: (void)f.next(queue); break;
    case 8: b.rig.hub.run_one(); break;
    default: {
        static constexpr Op ops[] = {Op::Read,           Op::Write,   Op::WriteBarrier,
                                     Op::FlushDiskcache, Op::Discard, Op::Indirect};
        Op op = ops[random.below(6)];
        WireRequest r = indirect;
        if (op != Op::Indirect)
            r = f.request(op, random.below(8192), random.below(12));
        r.nr_sectors = 8;
        if (f.rings[queue].free())
            f.send(r, queue);
    }
    }
    if (random.below(3))
        (void)b.rig.hub.run(10'000);
}

TEST(BackFaults, BackendSurvivesMixedFaults)
{
    uint64_t fired = 0;
    for (uint32_t seed = 0; seed < 1000; seed++) {
        Random random(seed);
        std::string plan = mixed_plan(random);
        SCOPED_TRACE(testing::Message() << "seed " << seed << "\n" << plan);
        Bent b(plan, {random.below(2) ? Abi::X86_64 : Abi::X86_32, 2, 1, random.below(2) != 0});
        WireRequest indirect = b.f().indirect(Op::Read, 0, 5, 50);
        b.obey();
        (void)b.f().connect();
        for (int i = 0; i < 60; i++)
            act(b, indirect, random);
        fired += b.fired();
        if (random.below(2))
            b.rig.back->set_faults({});
        b.rig.hub.storage.defer = false;
        b.rig.hub.storage.drain();
        b.end();
        EXPECT_EQ(b.mapped(), 0u);
        b.rig.expect_safe();
    }
    EXPECT_GT(fired, 25'000u);
}

/* ---- as C sees it ------------------------------------------------------------------- */

constexpr const char *kCopy = "/copy-of-the-state", *kReport = "/report";

/* The operations that a backend without a frontend needs; `opaque` is the hub. */
pvblk_back_ops hub_ops()
{
    static constexpr auto hub = [](void *opaque) { return static_cast<LoopbackHub *>(opaque); };
    pvblk_back_ops ops{};
    ops.store_read = [](void *o, const char *path, char *buf, size_t cap) {
        auto n = hub(o)->back_store.read(path, {buf, cap});
        return n ? static_cast<int>(n.value()) : -ENOENT;
    };
    ops.store_write = [](void *o, const char *path, const char *value, size_t len) {
        EXPECT_FALSE(std::string_view(path).ends_with("/state"));
        return hub(o)->back_store.write(path, {value, len}) ? 0 : -EIO;
    };
    ops.store_remove = [](void *o, const char *path) { hub(o)->back_store.remove(path); };
    /* A host with a copy of the state. */
    ops.state_write = [](void *o, const char *path, const char *value, size_t len) {
        hub(o)->put_node(kCopy, {value, len});
        return hub(o)->back_store.write(path, {value, len}) ? 0 : -EIO;
    };
    ops.state_remove = [](void *o, const char *path) {
        hub(o)->put_node(kCopy, "none");
        hub(o)->back_store.remove(path);
    };
    ops.store_unwatch = [](void *) {};
    ops.storage_bytes = [](void *o) { return hub(o)->storage.sectors() * kSectorSize; };
    ops.violation = [](void *o, const char *text) { hub(o)->put_node(kReport, text); };
    return ops;
}

class BackInC : public testing::Test
{
protected:
    BackInC() : ops_(hub_ops()), back_(pvblk_back_new(&config(), &ops_, &hub, why, sizeof why)) {}
    ~BackInC() override { pvblk_back_free(back_); }

    int obey(const char *text) { return pvblk_back_set_faults(back_, text, why, sizeof why); }
    std::string node(const char *name) { return hub.node(hub.config.backend_path + "/" + name); }

    LoopbackHub hub{};
    char why[256] = "";

    const pvblk_back_config &config()
    {
        pvblk_back_defaults(&config_);
        config_.frontend_path = hub.config.frontend_path.c_str();
        config_.backend_path = hub.config.backend_path.c_str();
        return config_;
    }
    pvblk_back_config config_{};
    pvblk_back_ops ops_;
    pvblk_back *back_;
};

TEST_F(BackInC, DefaultsAreThoseOfBackHeader)
{
    pvblk_back_publish(back_);
    auto nodes = [this] {
        std::map<std::string, std::string> all;
        for (const auto &[path, value] : hub.tree)
            if (path.starts_with(hub.config.backend_path))
                all[path] = value;
        return all;
    };
    auto from_c = nodes();
    EXPECT_GT(from_c.size(), 10u);
    pvblk_back_vanish(back_);
    EXPECT_TRUE(nodes().empty());
    BlockBack other(hub.back_ports(), {hub.config.frontend_path, hub.config.backend_path});
    ASSERT_TRUE(other.publish());
    EXPECT_EQ(nodes(), from_c);
}

/* And NULL, with a sentence, in place of a division by zero at the first request. */
TEST_F(BackInC, WhatCannotBeIsRefused)
{
    pvblk_back_config c = config();
    c.sector_size = 0;
    EXPECT_EQ(pvblk_back_new(&c, &ops_, &hub, why, sizeof why), nullptr);
    EXPECT_NE(std::string(why).find(c.backend_path), std::string::npos) << why;
    EXPECT_NE(std::string(why).find("blkif:sector-size"), std::string::npos) << why;
    pvblk_back_free(nullptr); /* as free(NULL): nothing */
}

TEST_F(BackInC, AsksItsFrontendToClose)
{
    pvblk_back_publish(back_);
    EXPECT_EQ(node("state"), "2");
    pvblk_back_close(back_);
    EXPECT_EQ(node("state"), "5");
}

/* blkif:extra-nodes — whoever is told is told the clause. */
TEST_F(BackInC, RefusedFrontendIsReportedWithItsClause)
{
    pvblk_back_publish(back_);
    EXPECT_STREQ(pvblk_back_last_error(back_), "");
    hub.put_node(hub.config.frontend_path + "/protocol", "bogus");
    hub.put_node(hub.config.frontend_path + "/state", "3");
    pvblk_back_store_changed(back_);
    EXPECT_EQ(node("state"), "5");
    EXPECT_EQ(node("error"), "the frontend's protocol is unknown (blkif:protocol, value 0)");
    EXPECT_EQ(pvblk_back_last_error(back_), node("error"));
    EXPECT_EQ(hub.node(kReport), hub.config.backend_path + ": " + node("error"));
}

TEST_F(BackInC, BadPlanLeavesTheOldOne)
{
    const char *plan = "at publish-node name=sectors: store/node-huge\n";
    EXPECT_EQ(obey(plan), 0);
    EXPECT_EQ(obey("at take: response/lost\nat noon: response/lost\n"), -EINVAL);
    EXPECT_NE(std::string(why).find("line 2: no point is called 'noon'"), std::string::npos) << why;
    EXPECT_STREQ(pvblk_back_faults(back_), plan);
    EXPECT_EQ(obey(""), 0);
    EXPECT_STREQ(pvblk_back_faults(back_), "");
}

TEST_F(BackInC, ValueIsWrittenWhole)
{
    ASSERT_EQ(obey("at publish-node name=sectors: store/node-value \"1\\x002\"\n"
                   "at publish-node name=mode: store/node-long 4096\n"),
              0);
    pvblk_back_publish(back_);
    EXPECT_EQ(node("sectors"), std::string("1\0002", 3));
    EXPECT_EQ(node("mode"), std::string(4096, '9'));
}

TEST_F(BackInC, StateHasItsOwnOperations)
{
    pvblk_back_publish(back_);
    EXPECT_EQ(node("state"), "2");
    EXPECT_EQ(hub.node(kCopy), "2");
    ASSERT_EQ(obey("at set-state nth=0: store/state-value \"4\\x00x\"\n"
                   "at set-state nth=1: store/state-missing\n"),
              0);
    pvblk_back_publish(back_);
    EXPECT_EQ(hub.node(kCopy), std::string("4\0x", 3));
    EXPECT_EQ(node("state"), hub.node(kCopy));
    pvblk_back_publish(back_);
    EXPECT_EQ(hub.node(kCopy), "none");
    EXPECT_EQ(node("state"), "");
}

TEST_F(BackInC, CountersCountEachRule)
{
    ASSERT_EQ(obey("# a line of its own\n"
                   "at publish-node name=mode: store/node-empty\n"
                   "at respond: response/lost\n"),
              0);
    pvblk_back_publish(back_);
    using Seen = std::vector<std::pair<std::string, uint64_t>>;
    auto emit = [](void *seen, const pvblk_field *f) {
        static_cast<Seen *>(seen)->emplace_back(f->name, f->number);
    };
    Seen rules, all;
    pvblk_back_fault_counters(back_, emit, &rules);
    EXPECT_EQ(rules, (Seen{{"2: at publish-node name=mode: store/node-empty", 1},
                           {"3: at respond: response/lost", 0}}));
    pvblk_back_counters(back_, emit, &all);
    EXPECT_EQ(all.back(), Seen::value_type("faults", 1));
}

/* The operations that one with a frontend needs, too: for requests that move no data. */
pvblk_back_ops connected_ops()
{
    static constexpr auto hub = [](void *opaque) { return static_cast<LoopbackHub *>(opaque); };
    pvblk_back_ops ops = hub_ops();
    ops.store_watch = [](void *, const char *) { return 0; };
    ops.grant_map = [](void *o, uint32_t ref, bool readonly) -> void * {
        auto page = hub(o)->grants.map(GrantRef(ref), readonly);
        return page ? page.value() : nullptr;
    };
    ops.grant_unmap = [](void *o, uint32_t ref, void *page) {
        hub(o)->grants.unmap(GrantRef(ref), static_cast<std::byte *>(page));
    };
    ops.event_bind = [](void *o, uint32_t queue, uint32_t port) {
        return hub(o)->back_events.bind(queue, Port(port)) ? 0 : -ENOENT;
    };
    ops.event_send = [](void *o, uint32_t queue) {
        return hub(o)->back_events.notify(queue) ? 0 : -EIO;
    };
    ops.event_again = [](void *o, uint32_t queue) { hub(o)->back_events.again(queue); };
    ops.event_pause = [](void *o, uint32_t queue) { hub(o)->back_events.pause(queue); };
    ops.event_unbind = [](void *o, uint32_t queue) { hub(o)->back_events.unbind(queue); };
    ops.storage_drain = [](void *) {};
    return ops;
}

TEST(BackInCServing, RefusalArrivesWithItsClause)
{
    static std::vector<std::string> told;
    told.clear();
    RigSetup s;
    s.back.max_queues = 2;
    Rig rig(s);
    rig.oracle_matters = false;
    RigFront f(rig, {Abi::X86_64, 2, 1, false});
    rig.back->vanish();
    pvblk_back_config config;
    pvblk_back_defaults(&config);
    config.frontend_path = rig.hub.config.frontend_path.c_str();
    config.backend_path = rig.hub.config.backend_path.c_str();
    char why[256];
    WireRequest far = f.request(Op::Read, 9000), strange = f.request(Op(99), 0);
    for (bool wanted : {true, false}) {
        pvblk_back_ops ops = connected_ops();
        if (wanted)
            ops.refused = [](void *, const pvblk_back_refused *r) {
                std::ostringstream line;
                line << r->queue << ' ' << r->id << ' ' << r->op << ' ' << r->status << ' '
                     << r->clause << ' ' << r->value;
                told.push_back(line.str());
                EXPECT_STRNE(r->reason, "");
            };
        pvblk_back *back = pvblk_back_new(&config, &ops, &rig.hub, why, sizeof why);
        rig.hub.back.event = [back](uint32_t queue) { pvblk_back_event(back, queue); };
        pvblk_back_publish(back);
        f.new_rings();
        f.node("state", "3");
        pvblk_back_store_changed(back);
        EXPECT_EQ(f.ask(far, 0), kError);
        EXPECT_EQ(f.ask(strange, 1), kNotSupp);
        rig.hub.detach_back();
        pvblk_back_free(back);
    }
    auto id = [](const WireRequest &r) { return std::to_string(r.id.value); };
    EXPECT_EQ(told, (std::vector<std::string>{"0 " + id(far) + " 0 -1 blkif:range 9000",
                                              "1 " + id(strange) + " 99 -2 blkif:op 99"}));
}

/* c/back.h, pvblk_back_judgement() — none without a judge. */
TEST(BackInCServing, JudgementHasAFieldForEachClauseSeen)
{
    using Fields = std::map<std::string, std::string>;
    for (bool wanted : {true, false}) {
        Rig rig;
        rig.oracle_matters = false;
        RigFront f(rig);
        rig.back->vanish();
        pvblk_back_config config;
        pvblk_back_defaults(&config);
        EXPECT_FALSE(config.judge);
        config.judge = wanted;
        config.frontend_path = rig.hub.config.frontend_path.c_str();
        config.backend_path = rig.hub.config.backend_path.c_str();
        pvblk_back_ops ops = connected_ops();
        static std::set<pvblk_back_seen_kind> seen;
        static std::string broken;
        seen.clear();
        broken.clear();
        ops.seen = [](void *, const pvblk_back_seen *w) {
            seen.insert(w->kind);
            if (w->kind == PVBLK_BACK_SEEN_BROKEN)
                broken = std::string(w->clause) + " " + w->text + " " + std::to_string(w->value);
        };
        char why[256];
        pvblk_back *back = pvblk_back_new(&config, &ops, &rig.hub, why, sizeof why);
        rig.hub.back.event = [back](uint32_t queue) { pvblk_back_event(back, queue); };
        pvblk_back_publish(back);
        for (const char *state : {"3", "4"}) {
            f.node("state", state);
            pvblk_back_store_changed(back);
        }
        EXPECT_EQ(f.ask(f.request(Op::Read, 9000)), kError);
        Fields fields;
        auto judgement = [&] {
            fields.clear();
            pvblk_back_look(back);
            pvblk_back_judgement(
                back,
                [](void *o, const pvblk_field *field) {
                    (*static_cast<Fields *>(o))[field->name] =
                        field->kind == pvblk_field::PVBLK_FIELD_TEXT
                            ? field->text
                            : std::to_string(field->number);
                },
                &fields);
        };
        judgement();
        if (wanted) {
            EXPECT_EQ(fields["blkif:range"],
                      "BROKEN 1 of 1: a request begins beyond the end of the "
                      "disk (value 9000)");
            EXPECT_EQ(fields["blkif:handle"].find("BROKEN 1 of 1 (SHOULD): "), 0u)
                << fields["blkif:handle"];
            EXPECT_EQ(fields["blkif:protocol"], "kept 1");
            EXPECT_EQ(fields["connections"], "1");
            EXPECT_EQ(fields["grants-left"], "0");
            EXPECT_EQ(fields.count("blkif:gref"), 1u);
            EXPECT_EQ(fields.count("blkif:read-only"), 0u) << "nobody tried";
            EXPECT_EQ(seen.size(), 4u);
            EXPECT_EQ(broken, "blkif:range a request begins beyond the end of the disk 9000");
            for (const char *state : {"5", "6"}) {
                f.node("state", state);
                pvblk_back_store_changed(back);
            }
            judgement();
            EXPECT_EQ(fields["grants-left"], "1") << "the ring's";
        } else {
            EXPECT_TRUE(fields.empty());
            EXPECT_TRUE(seen.empty());
        }
        rig.hub.detach_back();
        pvblk_back_free(back);
    }
}

/* ---- the end of a plan ---------------------------------------------------------------- */

/* The backend is given another plan in the middle of the old one's faults. */
TEST(BackFaults, EndOfAPlanDoesWhatItPutOff)
{
    for (const char *rule : {"at respond: response/late 1000", "at respond: response/reordered",
                             "at tick: lifecycle/stall"}) {
        Bent b(rule, {});
        ASSERT_TRUE(b.f().connect());
        b.obey();
        b.rig.hub.run();
        auto r = b.flush();
        EXPECT_FALSE(b.ask(r)) << rule;
        b.rig.back->set_faults(plan_of("at take nth=1: response/lost"));
        b.rig.hub.run();
        SCOPED_TRACE(rule);
        expect_status(b.f().next(), r, kOkay);
    }
    Bent b("at publish-node name=sectors: store/node-late", {});
    b.obey();
    ASSERT_TRUE(b.f().connect());
    b.obey();
    b.rig.hub.storage.data.resize(4096 * kSectorSize);
    b.rig.back->close();
    b.rig.back->resized(); /* no state is written after it */
    EXPECT_EQ(b.node("sectors"), "8192");
    b.rig.back->set_faults({});
    EXPECT_EQ(b.node("sectors"), "4096");
}

/* A change that comes while it is a fault plan's doing that the backend waits. */
TEST(BackFaults, NewSizeIsToldAfterTheDrain)
{
    Rig rig(full());
    rig.oracle_matters = false;
    RigFront f(rig, {Abi::X86_64, 1, 1, true});
    BackFaults faults;
    NestingBack nesting(rig, faults.hooks());
    NestingStorage &storage = nesting.storage;
    BlockBack &back = nesting.back;
    faults.obey(plan_of("at take: lifecycle/closed-at-once"));
    ASSERT_TRUE(back.start());
    f.state(XenbusState::Initialised);
    ASSERT_EQ(back.state(), XenbusState::Connected);
    storage.meanwhile = [&] {
        rig.hub.storage.data.resize(1024 * kSectorSize);
        back.resized();
        EXPECT_EQ(rig.back_node("sectors"), "8192") << "in the middle of something else";
    };
    f.grant(0);
    f.send(f.request(Op::Read, 0), 0);
    rig.hub.run();
    EXPECT_EQ(back.state(), XenbusState::Closed);
    EXPECT_EQ(rig.back_node("sectors"), "1024");
    back.vanish();
    back.resized();
    EXPECT_EQ(rig.back_node("sectors"), "") << "of a backend that is gone";
}

/* Faults are of one backend after another: what began with the first does not
 * silence the second. */
TEST(BackFaults, NextBackendBeginsAnew)
{
    LoopbackHub hub;
    const std::string state = hub.config.frontend_path + "/state";
    BackFaults faults;
    faults.obey(plan_of("at tick name=store: lifecycle/vanish"));
    auto new_back = [&] {
        BackConfig c;
        c.frontend_path = hub.config.frontend_path;
        c.backend_path = hub.config.backend_path;
        return std::make_unique<BlockBack>(hub.back_ports(), c, faults.hooks());
    };
    auto back = new_back();
    hub.attach(back.get());
    ASSERT_TRUE(back->start());
    ASSERT_TRUE(hub.run_line(HubLine::BackStore)) << "the watch; vanishing is put off";
    hub.detach_back();
    back.reset();
    hub.run(); /* nobody is there to vanish */
    back = new_back();
    hub.attach(back.get());
    ASSERT_TRUE(back->start());
    hub.run();
    EXPECT_EQ(back->state(), XenbusState::InitWait);
    hub.put_node(state, "5");
    hub.run();
    EXPECT_EQ(back->state(), XenbusState::Closing);
    faults.obey(plan_of("at tick name=store: lifecycle/vanish"));
    hub.put_node(state, "6");
    hub.run();
    EXPECT_EQ(back->state(), XenbusState::Unknown) << "later() is called again";
    hub.detach_back();
}

/* As many are answered, and still mapped, as the ring has slots: the frontend
 * may send as many again. */
TEST(BackFaults, RingGoesOnBesideLingeringPages)
{
    Bent b("at data always: data/after-response", {});
    ASSERT_TRUE(b.f().connect());
    b.obey();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 32; i++)
            b.f().rings[0].stage(b.read());
        b.f().rings[0].publish();
        b.rig.back->event_received(0);
        for (int i = 0; i < 32; i++)
            EXPECT_TRUE(b.f().next()) << round;
    }
    EXPECT_FALSE(b.rig.back->halted());
    EXPECT_LE(b.mapped(), 1u + 32u);
    b.rig.hub.run();
    EXPECT_EQ(b.mapped(), 1u);
}

TEST(BackFaults, KeptPagesAreBounded)
{
    Bent b("at unmap name=data always: grants/map-for-ever", {});
    ASSERT_TRUE(b.f().connect());
    b.obey();
    for (int i = 0; i < 1100; i++)
        ASSERT_TRUE(b.ask(b.read())) << i;
    EXPECT_EQ(b.mapped(), 1u + 1024u);
    b.rig.new_back();
    EXPECT_EQ(b.mapped(), 0u);
}

/* ---- our frontend ------------------------------------------------------------------ */

std::string typical_parameter(const FaultInfo &f)
{
    switch (f.param.type) {
    case FaultParam::None: return "";
    case FaultParam::Text: return " \"7\"";
    case FaultParam::Number: return f.param.min < 0 ? " -7" : " 3";
    }
    return "";
}

/* All requests of a kind, as they come. */
std::vector<size_t> submit_some(Rig &rig)
{
    std::vector<size_t> ids;
    for (uint32_t i = 0; i < 4; i++)
        for (IoKind kind : {IoKind::Read, IoKind::Write, IoKind::Flush, IoKind::Discard}) {
            bool flush = kind == IoKind::Flush;
            size_t next = rig.owner.results.size();
            auto intake = rig.offer(
                rig.request(kind, flush ? 0 : i * 8, flush ? 0 : 8, uint64_t{i} * kPageSize));
            if (intake.verdict == Verdict::Accepted)
                ids.push_back(next);
        }
    return ids;
}

bool settled(FrontState s)
{
    return s == FrontState::Connected || s == FrontState::Broken || s == FrontState::Lost ||
           s == FrontState::Stopped;
}

/* One rule against BlockFront; then none. */
void survive(const std::string &rule)
{
    SCOPED_TRACE(rule);
    RigSetup s;
    s.back = BackConfig{};
    s.front.request_timeout_ns = sec(5);
    Rig rig(s);
    rig.oracle_matters = false;
    rig.obey(rule);
    (void)rig.back->start();
    if (rig.new_front()) {
        rig.front->start();
        EXPECT_TRUE(rig.hub.run());
        for (int round = 0; round < 3; round++) {
            auto ids = submit_some(rig);
            rig.front->pump();
            EXPECT_TRUE(rig.hub.run()) << "front and back keep each other busy";
            rig.hub.advance(sec(40));
            EXPECT_TRUE(settled(rig.front->state())) << rig.front_state();
            for (size_t id : ids)
                EXPECT_TRUE(rig.result(id) || rig.front->state() == FrontState::Lost)
                    << "request " << id << " hangs; " << rig.front_state();
        }
    } else {
        EXPECT_STRNE(rig.refusal.what, "");
    }
    EXPECT_GE(rig.back->faults_fired(), 1u) << "it never happened";
    /* Honest again, and says all anew: the front comes back, and what waited is
     * done. */
    rig.back->set_faults({});
    if (rig.back->state() == XenbusState::Unknown)
        (void)rig.back->start();
    rig.back->resized();
    rig.back->write_state_raw(std::to_string(static_cast<int>(rig.back->state())));
    rig.hub.run();
    if (!rig.front) {
        ASSERT_TRUE(rig.new_front()) << rig.refusal.what;
        rig.front->start();
    } else {
        rig.front->reconnect();
    }
    rig.hub.advance(sec(40));
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    EXPECT_EQ(rig.write(8, 8), IoStatus::Ok);
    for (size_t id = 0; id < rig.owner.results.size(); id++)
        EXPECT_TRUE(rig.result(id)) << "request " << id << " was forgotten";
}

TEST(BackFaults, FrontSurvivesEachFault)
{
    for (const FaultInfo &f : kFaults)
        for (uint32_t p = 0; p < kFaultPoints; p++) {
            if (!(f.points >> p & 1))
                continue;
            const FaultPointInfo &point = kFaultPointTable[p];
            std::string fault = std::string(f.name) + typical_parameter(f);
            std::string at = "at " + std::string(point.name);
            survive(at + ": " + fault);
            /* A backend that starts over for ever keeps a frontend busy for ever. */
            survive(at + (f.group() == "lifecycle" ? " times=5: " : " always: ") + fault);
            if (static_cast<FaultPoint>(p) == FaultPoint::Tick)
                for (const char *state : {"InitWait", "Connected"})
                    survive(at + " state=" + state + " times=2: " + fault);
        }
}

} // namespace
