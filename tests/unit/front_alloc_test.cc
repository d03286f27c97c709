/* SPDX-License-Identifier: MIT */
/*
 * Nothing is allocated once a front was made: the global operator new counts
 * while BlockFront runs. A program of its own, because it replaces
 * that operator. Serves the rule of front.h, no clause.
 */
#include "support/counting_new.h"
#include "support/paused_ports.h"
#include "support/script_back.h"

namespace
{

using namespace pvblk;

class CountingOwner final : public FrontOwner
{
public:
    void completed(void *, uint32_t, IoStatus) override { done++; }
    void batch_done() override {}
    void plan_changed() override {}
    void log(const char *) override {}
    void trace(const Trace &) override {}
    uint64_t done{0};
};

/* A front whose every call is counted, from its start to its stop. */
class Counted
{
public:
    Counted(Rig &rig, const FrontConfig &config)
        : rig_(rig), store_(rig.hub.front_store), events_(rig.hub.events)
    {
        auto made = BlockFront::create(
            {store_, rig.hub.grants, events_, rig.hub.memory, rig.hub.clock}, owner, config);
        EXPECT_TRUE(made) << made.error().what;
        front = std::move(made.value());
        rig.hub.front = {[this](uint32_t q) { count([this, q] { front->event_received(q); }); },
                         [this] { count([this] { front->store_changed(); }); },
                         [this] { count([this] { front->deadline_passed(); }); }};
        count([this] { front->start(); });
        rig.hub.run();
        EXPECT_EQ(front->state(), FrontState::Connected);
    }
    ~Counted()
    {
        front->stop();
        rig_.hub.run();
        rig_.hub.front = {};
        rig_.oracle_matters = false; /* cancelled requests find their grants gone */
    }
    template <class Call>
    void count(Call call)
    {
        counting_allocations = true;
        call();
        counting_allocations = false;
    }
    /* All kinds of requests, on all queues; returns how many were accepted. */
    uint64_t round(bool cancel)
    {
        IoRequest requests[] = {
            rig_.request(IoKind::Read, 0, 2048),  rig_.request(IoKind::Write, 0, 2048),
            rig_.request(IoKind::Write, 8, 8, 8), rig_.request(IoKind::Read, 9, 3, 3),
            rig_.request(IoKind::Flush, 0, 0),    rig_.request(IoKind::Discard, 0, 64),
        };
        requests[2].flush_after = true;
        uint64_t accepted = 0;
        count([&] {
            for (IoRequest &r : requests) {
                r.queue = turn_++;
                accepted += front->submit(r).verdict == Verdict::Accepted;
            }
            front->pump();
            if (cancel)
                front->cancel_all();
        });
        rig_.hub.run();
        return accepted;
    }

    CountingOwner owner;
    std::unique_ptr<BlockFront> front;

private:
    Rig &rig_;
    PausedStore store_;
    PausedEvents events_;
    uint32_t turn_{0};
};

TEST(FrontAlloc, RequestAllocatesNothing)
{
    Rig rig; /* for its backend and its buffers */
    ASSERT_EQ(rig.back->start().ok(), true);
    Counted c(rig, rig.setup.front);
    allocations = 0;
    uint64_t accepted = 0;
    for (int round = 0; round < 100; round++)
        accepted += c.round(round % 10 == 9);
    EXPECT_EQ(c.owner.done, accepted);
    EXPECT_EQ(accepted, 600u);
    EXPECT_EQ(allocations, 0u);
    c.count([] { ::operator delete(::operator new(4)); }); /* by name: never optimised away */
    EXPECT_EQ(allocations, 1u) << "the counter itself is dead";
}

/* A backend with more to offer, in a plain connection and after others with
 * more and less of it, with requests in flight in between. */
TEST(FrontAlloc, LargerPlanAllocatesNothing)
{
    for (bool persistent : {false, true}) {
        FrontPolicy p;
        p.max_queues = 4;
        p.use_persistent = persistent;
        RigSetup s = ScriptRig::with(p, {});
        Rig rig(s);
        ScriptBack back(rig.hub, {{"feature-persistent", "1"},
                                  {"feature-max-indirect-segments", "16"},
                                  {"feature-barrier", "1"},
                                  {"feature-discard", "1"}});
        back.start();
        Counted c(rig, rig.setup.front);
        allocations = 0;
        uint64_t accepted = 0;
        for (int i = 0; i < 20; i++) {
            back.hold = i % 3 == 1;
            accepted += c.round(i % 7 == 6);
            if (i % 3 == 1)
                back.vanish();
            back.hold = false;
            back.nodes["multi-queue-max-queues"] = std::to_string(1 + i % 5);
            back.nodes["max-ring-page-order"] = std::to_string(i % 6);
            back.nodes["feature-max-indirect-segments"] = std::to_string(i % 2 * 300);
            if (i % 3 == 1)
                back.start();
            else
                c.count([&] { c.front->reconnect(); });
            rig.hub.run();
            ASSERT_EQ(c.front->state(), FrontState::Connected) << i << c.front->broken_because();
        }
        EXPECT_EQ(c.owner.done, accepted);
        EXPECT_GT(c.front->counters().requeued, 0u);
        EXPECT_GT(c.front->counters().ring_indirect, 0u);
        EXPECT_EQ(allocations, 0u);
    }
}

} // namespace
