/* SPDX-License-Identifier: MIT */
/*
 * BlockFront's life: connect, hand-off from an older session, reconnect,
 * loss and return of the backend, deadlines, drain, resize, stop. Serves
 * blkif.h "STATE DIAGRAMS" and the rules of the table in xenbus.cc.
 */
#include "support/rig.h"
#include "support/spy_ports.h"

namespace
{

using namespace pvblk;

/* xenbus:nodes — one page: ring-ref, and never ring-page-order, not even 0
 * (qemu:D16); protocol always (qemu:D20); nothing that an older frontend left. */
TEST(FrontLife, NodesAreThoseOfAOnePageFrontend)
{
    Rig rig;
    const std::string dir = rig.hub.config.frontend_path + "/";
    for (const char *stale : {"ring-page-order", "num-ring-pages", "multi-queue-num-queues",
                              "feature-large-sector-size"})
        rig.hub.put_node(dir + stale, "1");
    rig.connect();
    EXPECT_EQ(rig.front_node("protocol"), "x86_64-abi");
    EXPECT_EQ(rig.front_node("state"), "4");
    EXPECT_NE(rig.front_node("ring-ref"), "");
    EXPECT_NE(rig.front_node("event-channel"), "");
    for (const char *stale : {"ring-page-order", "num-ring-pages", "multi-queue-num-queues",
                              "feature-large-sector-size"})
        EXPECT_FALSE(rig.hub.has_node(dir + stale)) << stale;
}

/* xenbus:nodes — who sees Initialised finds all of them, and no stale one; a
 * port is written whole (blkif:event-channel). */
TEST(FrontLife, NodesAreThereBeforeInitialised)
{
    class HighPort final : public PassEvents
    {
    public:
        using PassEvents::PassEvents;
        Result<Port> open(uint32_t queue) override
        {
            if (auto port = PassEvents::open(queue); !port)
                return port;
            return Port(UINT32_MAX);
        }
    };
    Rig rig;
    ASSERT_TRUE(rig.back->start());
    SpyStore store(rig.hub.front_store, rig.hub.config.frontend_path);
    HighPort events(rig.hub.events);
    auto front = BlockFront::create({store, rig.hub.grants, events, rig.hub.memory, rig.hub.clock},
                                    rig.owner, rig.setup.front);
    ASSERT_TRUE(front);
    front.value()->start();
    ASSERT_EQ(front.value()->state(), FrontState::Connecting);
    EXPECT_EQ(store.log.front(), "state=1");
    EXPECT_EQ(store.log.back(), "state=3");
    for (const char *name : {"protocol", "ring-ref", "event-channel"}) {
        std::string written = std::string(name) + '=' + rig.front_node(name);
        EXPECT_EQ(store.count(written), 1u) << written;
        if (std::string(name) != "protocol") { /* which ours always writes */
            EXPECT_TRUE(store.in_order(std::string("-") + name, written)) << "removed again";
        }
        EXPECT_TRUE(store.in_order(written, "state=3")) << name;
    }
    EXPECT_EQ(rig.front_node("event-channel"), "4294967295");
}

TEST(FrontLife, QuirkIsAnnounced)
{
    RigSetup s;
    s.back.sector_size = 4096;
    s.back.units = s.front.policy.large_sector_units = SectorUnits::Device;
    Rig rig(s);
    rig.connect();
    EXPECT_EQ(rig.front_node("feature-large-sector-size"), "1");
    EXPECT_EQ(rig.front->plan().sectors, 8192u);
}

/* A session before ours that died without a word: the backend is Connected
 * to its ring. Grant 300 and the last page play it. */
void leave_old_session(Rig &rig)
{
    (void)rig.back->start();
    (void)rig.hub.grants.grant_page(300, PageIndex(71), false);
    const std::string dir = rig.hub.config.frontend_path + "/";
    rig.hub.put_node(dir + "ring-ref", std::to_string(rig.hub.grants.ref(300).value));
    rig.hub.put_node(dir + "event-channel", std::to_string(rig.hub.events.open(0).value().value));
    rig.hub.put_node(dir + "protocol", "x86_64-abi");
    rig.hub.put_node(dir + "state", "4");
    rig.hub.run();
    ASSERT_EQ(rig.back->state(), XenbusState::Connected);
    rig.hub.events.close(0);
}

/* xenbus:hand-off (qemu:D24: a ring under a live backend is never looked at) */
TEST(FrontLife, StartOverALiveBackendRenewsTheRing)
{
    Rig rig;
    leave_old_session(rig);
    ASSERT_TRUE(rig.new_front());
    rig.front->start();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    EXPECT_EQ(rig.back->counters().connects, 2u);
    EXPECT_TRUE(rig.hub.grants.revoke(300)) << "old ring still mapped";
    rig.fill_guest(0, 512, 3);
    EXPECT_EQ(rig.write(1, 1), IoStatus::Ok);
    EXPECT_TRUE(rig.disk_is(1, 1, 3));
}

/* xenbus:reread (qemu:D23) — nodes are final only at Connected. */
TEST(FrontLife, NodesAreFinalAtConnected)
{
    Rig rig;
    rig.obey("at publish-node name=sectors: store/node-value \"16\"\n"
             "at publish-node name=feature-flush-cache: store/node-missing");
    (void)rig.back->start();
    ASSERT_TRUE(rig.new_front());
    EXPECT_EQ(rig.front->plan().sectors, 16u);
    rig.front->start();
    rig.hub.run();
    EXPECT_EQ(rig.front->plan().sectors, 8192u);
    EXPECT_TRUE(rig.front->plan().flush);
    EXPECT_EQ(rig.owner.plan_changes, 1u);
}

/* xenbus:nodes — as Linux's backend does: how large the disk is comes with Connected. */
TEST(FrontLife, SizeMayComeWithConnected)
{
    RigSetup s;
    s.back.sector_size = 4096;
    s.front.policy.large_sector_units = SectorUnits::Device; /* if announced, which it cannot be */
    Rig rig(s);
    rig.obey("at publish-node name=sectors: store/node-missing\n"
             "at publish-node name=sector-size: store/node-missing");
    (void)rig.back->start();
    ASSERT_TRUE(rig.new_front()) << rig.refusal.what;
    EXPECT_FALSE(rig.front->plan().sized);
    EXPECT_EQ(rig.offer(rig.request(IoKind::Read, 0, 8)).verdict, Verdict::Rejected);
    rig.front->start();
    rig.hub.advance(ms(100));
    ASSERT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    for (int connection = 0; connection < 2; connection++) {
        EXPECT_EQ(rig.front->plan().sectors, 8192u);
        EXPECT_EQ(rig.front->plan().sector_size, 4096u);
        EXPECT_EQ(rig.front->plan().units, SectorUnits::Bytes512);
        EXPECT_EQ(rig.owner.plan_changes, 1u);
        rig.fill_guest(0, 4096, 8);
        EXPECT_EQ(rig.write(8, 8), IoStatus::Ok);
        EXPECT_TRUE(rig.disk_is(8, 8, 8));
        rig.front->reconnect(); /* now it is known from the start */
        rig.hub.run();
        ASSERT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    }
}

/* QEMU's backend shows InitWait first, and connects once. */
TEST(FrontLife, NodesThatFollowInitWaitAreAwaited)
{
    Rig rig;
    rig.hub.put_node(rig.hub.config.backend_path + "/state", "2");
    ASSERT_TRUE(rig.new_front()) << rig.refusal.what;
    rig.front->start();
    rig.hub.advance(ms(50));
    EXPECT_EQ(rig.front->state(), FrontState::WaitInit);
    EXPECT_EQ(rig.front_node("ring-ref"), "");
    rig.hub.put_node(rig.hub.config.backend_path + "/sectors", "8");
    rig.hub.advance(ms(49));
    EXPECT_EQ(rig.front->state(), FrontState::WaitInit);
    rig.hub.put_node(rig.hub.config.backend_path + "/sector-size", "512");
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Connecting);
}

/* xenbus:states — a backend may write one of the two before InitWait, and the other later. */
TEST(FrontLife, HalfASizeMayComeWithConnected)
{
    for (const char *node : {"sectors", "sector-size"}) {
        Rig rig;
        rig.obey("at publish-node name=" + std::string(node) + ": store/node-missing");
        (void)rig.back->start();
        ASSERT_TRUE(rig.new_front()) << node << ": " << rig.refusal.what;
        rig.front->start();
        rig.hub.advance(ms(100));
        EXPECT_EQ(rig.front->state(), FrontState::Connected) << node << ": " << rig.front_state();
        EXPECT_EQ(rig.front->plan().sectors, 8192u);
    }
}

TEST(FrontLife, ConnectedDiskWithoutSizeBreaks)
{
    Rig rig;
    rig.obey("at publish-node name=sectors always: store/node-missing\n"
             "at publish-node name=sector-size always: store/node-missing");
    EXPECT_FALSE(rig.try_connect());
    rig.hub.advance(ms(100));
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
    EXPECT_STREQ(rig.front->broken().clause, "blkif:sectors");
}

/* xenbus:skip-tolerate — a backend that goes from Initialising to Initialised. */
class FrontSkip : public testing::TestWithParam<const char *>
{
};
INSTANTIATE_TEST_SUITE_P(Own, FrontSkip, testing::Values("", "1"));

constexpr const char *kSkips = "at set-state state=InitWait always: store/state-value \"3\"\n";

TEST_P(FrontSkip, BackendThatSkipsInitWaitIsFresh)
{
    Rig rig;
    rig.obey(kSkips);
    if (*GetParam())
        rig.hub.put_node(rig.hub.config.frontend_path + "/state", GetParam());
    rig.connect();
    EXPECT_EQ(rig.back->counters().connects, 1u);
    rig.front->reconnect();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    EXPECT_EQ(rig.front->counters().reconnects, 1u);
    EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
}

/* xenbus:skip-back — what it offers is offered, default or not. */
TEST(FrontLife, BackendThatSkipsInitWaitIsTakenAtItsWord)
{
    RigSetup s;
    s.back.max_ring_page_order = 1;
    s.back.max_indirect_segments = 16;
    Rig rig(s);
    rig.obey(kSkips);
    rig.connect();
    EXPECT_EQ(rig.front->plan().ring_pages, 2u);
    EXPECT_EQ(rig.front_node("ring-page-order"), "1");
    EXPECT_EQ(rig.front->plan().max_segments, 16u);
    EXPECT_EQ(rig.read(0, 128), IoStatus::Ok);
    EXPECT_EQ(rig.front->counters().ring_indirect, 1u);
}

TEST(FrontLife, BackendThatIsInitialisedLateIsFresh)
{
    Rig rig;
    rig.hub.put_node(rig.hub.config.backend_path + "/state", "1");
    rig.hub.put_node(rig.hub.config.frontend_path + "/state", "4"); /* of one that died */
    ASSERT_TRUE(rig.new_front());
    rig.front->start();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::WaitInit) << rig.front_state();
    rig.obey(kSkips);
    (void)rig.back->start();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
}

/* ... and one that has a session gets to know of us when that is closed. */
TEST(FrontLife, OldSessionWithoutInitWaitIsClosedFirst)
{
    Rig rig;
    rig.obey(std::string(kSkips) + "at set-state state=Connected: store/state-value \"3\"");
    leave_old_session(rig);
    ASSERT_EQ(rig.back_node("state"), "3");
    ASSERT_TRUE(rig.new_front());
    rig.front->start();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    EXPECT_TRUE(rig.hub.grants.revoke(300)) << "old ring still mapped";
}

/* A backend that is nothing but nodes, and what an earlier frontend left. */
void raw(Rig &rig, const char *back, const char *front)
{
    if (back)
        rig.hub.put_node(rig.hub.config.backend_path + "/state", back);
    if (front)
        rig.hub.put_node(rig.hub.config.frontend_path + "/state", front);
    rig.hub.run();
}

void disk_nodes(Rig &rig)
{
    rig.hub.put_node(rig.hub.config.backend_path + "/sectors", "8192");
    rig.hub.put_node(rig.hub.config.backend_path + "/sector-size", "512");
}

/* ... which it may also have while we did not look. */
TEST(FrontLife, FreshnessEndsWithABrokenConnection)
{
    Rig rig;
    disk_nodes(rig);
    raw(rig, "1", nullptr);
    ASSERT_TRUE(rig.new_front());
    rig.front->start();
    rig.hub.advance(sec(11));
    ASSERT_EQ(rig.front->state(), FrontState::Broken);
    raw(rig, "3", "4"); /* another frontend got a session, and died */
    rig.front->reconnect();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Closing) << rig.front_state();
    EXPECT_EQ(rig.front_node("state"), "5");
}

TEST(FrontLife, FreshnessEndsWithAStop)
{
    Rig rig;
    rig.connect();
    rig.front->stop();
    rig.hub.run();
    ASSERT_EQ(rig.front->state(), FrontState::Stopped);
    rig.hub.detach_back();
    raw(rig, "3", "4");
    rig.front->start();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Closing) << rig.front_state();
}

TEST(FrontLife, ReconfiguredCountsAsASession)
{
    Rig rig;
    disk_nodes(rig);
    raw(rig, "8", "4");
    ASSERT_TRUE(rig.new_front());
    rig.front->start();
    rig.hub.run();
    raw(rig, "3", nullptr);
    EXPECT_EQ(rig.front->state(), FrontState::Closing) << rig.front_state();
}

/* xenbus:nodes — nor does the moment that a backend has for its nodes. */
TEST(FrontLife, EachBackendGetsTimeForItsNodes)
{
    Rig rig;
    disk_nodes(rig);
    raw(rig, "1", nullptr);
    ASSERT_TRUE(rig.new_front());
    rig.front->start();
    rig.hub.run();
    rig.hub.back_store.remove(rig.hub.config.backend_path); /* gone */
    rig.hub.run();
    raw(rig, "2", nullptr); /* one that is plugged, and fails to start */
    rig.hub.back_store.remove(rig.hub.config.backend_path);
    rig.hub.run();
    rig.hub.advance(ms(200));
    ASSERT_EQ(rig.front->state(), FrontState::WaitInit) << rig.front_state();
    raw(rig, "2", nullptr); /* QEMU's: InitWait first, nodes after */
    EXPECT_EQ(rig.front->state(), FrontState::WaitInit) << rig.front_state();
    EXPECT_EQ(rig.front_node("ring-ref"), "");
}

/* front:intake — requests made before the connection are not lost. */
TEST(FrontLife, RequestBeforeConnectIsDone)
{
    Rig rig;
    (void)rig.back->start();
    ASSERT_TRUE(rig.new_front());
    rig.fill_guest(0, 4096, 5);
    size_t early = rig.submit(IoKind::Write, 0, 8);
    rig.front->pump();
    rig.front->event_received(0);
    EXPECT_FALSE(rig.result(early));
    rig.front->start();
    size_t later = rig.submit(IoKind::Read, 0, 8, 8192);
    rig.hub.run();
    EXPECT_EQ(rig.result(early), IoStatus::Ok);
    EXPECT_EQ(rig.result(later), IoStatus::Ok);
    EXPECT_TRUE(rig.guest_is(8192, 4096, 5));
}

/* front:requeue — the backend dies with requests in flight, some of them
 * done, and another one takes over: each completes once, data is right. */
TEST(FrontLife, RequeueCompletesEachRequestOnce)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    std::vector<size_t> ids;
    for (uint32_t i = 0; i < 60; i++) { /* more than the ring holds */
        rig.fill_guest(i * 4096, 4096, i);
        ids.push_back(rig.submit(IoKind::Write, i * 8, 8, i * 4096));
    }
    rig.pump();
    EXPECT_EQ(rig.back->held(), 32u);
    for (size_t i : {5, 2, 0})
        rig.back->complete(i);
    rig.hub.run();
    rig.back->vanish();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Lost);
    EXPECT_EQ(rig.hub.grants.in_use(), 0u) << "the dead backend keeps access";
    rig.new_back();
    (void)rig.back->start();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    for (uint32_t i = 0; i < ids.size(); i++) {
        EXPECT_EQ(rig.result(ids[i]), IoStatus::Ok) << i;
        EXPECT_TRUE(rig.disk_is(i * 8, 8, i)) << i;
    }
    EXPECT_EQ(rig.front->counters().reconnects, 1u);
    EXPECT_EQ(rig.front->counters().requeued, 32u);
}

/* ... two writes to one place keep their order across a reconnect. */
TEST(FrontLife, RequeueKeepsTheOrder)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    for (uint32_t i = 0; i < 33; i++) {
        rig.fill_guest(i * 512, 512, i);
        rig.submit(IoKind::Write, 7, 1, i * 512);
    }
    rig.pump();
    /* The 33rd goes out through a slot that became free, and is the last. */
    rig.back->complete(20);
    rig.hub.run();
    EXPECT_EQ(rig.back->held(), 32u);
    rig.back->vanish();
    rig.hub.run();
    rig.new_back();
    (void)rig.back->start();
    rig.hub.run();
    EXPECT_TRUE(rig.disk_is(7, 1, 32));
}

/* xenbus:deadline — it never returns. */
TEST(FrontLife, LostBackendFailsRequestsInTime)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    size_t id = rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    rig.back->vanish();
    rig.hub.advance(sec(9));
    EXPECT_FALSE(rig.result(id)) << "it may still come back";
    rig.hub.advance(sec(2));
    EXPECT_EQ(rig.result(id), IoStatus::Error);
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
    EXPECT_STREQ(rig.front->broken().clause, "xenbus:deadline");
}

/* xenbus:store — a state that cannot be read is not a backend that left: that
 * would be ten seconds of silence. */
TEST(FrontLife, UnreadableStateBreaksAtOnce)
{
    Rig rig;
    rig.connect();
    rig.hub.fail(HubCall::StoreRead);
    rig.back->resized();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
    EXPECT_STREQ(rig.front->broken().clause, "xenbus:store");
    EXPECT_EQ(rig.owner.logs.size(), 1u);
}

/* xenbus:return — it comes back in a state other than InitWait. */
class FrontReturn : public testing::TestWithParam<const char *>
{
};
INSTANTIATE_TEST_SUITE_P(State, FrontReturn, testing::Values("5", "6"));

TEST_P(FrontReturn, BackendMayReturnClosingOrClosed)
{
    Rig rig;
    rig.connect();
    rig.back->vanish();
    rig.hub.run();
    ASSERT_EQ(rig.front->state(), FrontState::Lost);
    rig.new_back();
    (void)rig.back->start();
    rig.back->knobs().deaf_state = true;
    rig.back->write_state_raw(GetParam());
    rig.hub.run();
    rig.back->write_state_raw("6");
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::WaitInit);
    EXPECT_EQ(rig.front_node("state"), "1");
    rig.back->knobs().deaf_state = false;
    rig.back->write_state_raw("2");
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
}

/* xenbus:deadline (qemu:D22: it never says that a connect failed) */
TEST(FrontLife, BackendThatNeverConnectsTimesOut)
{
    Rig rig;
    rig.obey("at connect always: lifecycle/connect-silent");
    EXPECT_FALSE(rig.try_connect());
    size_t id = rig.submit(IoKind::Read, 0, 1);
    rig.hub.advance(sec(9));
    EXPECT_EQ(rig.front->state(), FrontState::Connecting);
    rig.hub.advance(sec(1));
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
    EXPECT_EQ(rig.result(id), IoStatus::Error);
    EXPECT_EQ(rig.hub.grants.in_use(), 0u);
    EXPECT_EQ(rig.owner.logs.size(), 1u);
}

TEST(FrontLife, BackendThatNeverInitialisesTimesOut)
{
    Rig rig;
    rig.obey("at set-state always: store/state-skipped");
    EXPECT_FALSE(rig.try_connect());
    EXPECT_EQ(rig.front->state(), FrontState::WaitInit);
    rig.hub.advance(sec(10));
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
}

/* xenbus:deadline-fixed — a backend that flaps gets no more time by it. */
TEST(FrontLife, FlappingBackendGetsNoMoreTime)
{
    Rig rig;
    rig.back->knobs().deaf_state = true;
    (void)rig.try_connect();
    bool connecting = false, lost = false;
    for (int i = 0; i < 12; i++) {
        rig.hub.advance(sec(1));
        connecting |= rig.front->state() == FrontState::Connecting;
        lost |= rig.front->state() == FrontState::Lost;
        if (i % 2)
            rig.back->write_state_raw("2");
        else
            rig.hub.back_store.remove(rig.hub.config.backend_path + "/state");
    }
    rig.hub.run();
    EXPECT_TRUE(connecting && lost) << "it did flap";
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
}

/* xenbus:closing — hot unplug or backend maintenance with I/O running. */
TEST(FrontLife, ClosingBackendFinishesItsRequests)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    rig.fill_guest(0, 8192, 1);
    size_t flying = rig.submit(IoKind::Write, 0, 8, 0);
    rig.pump();
    rig.back->close();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Draining);
    EXPECT_EQ(rig.front_node("state"), "4") << "closes only once it is drained";
    size_t waiting = rig.submit(IoKind::Write, 8, 8, 4096);
    rig.pump();
    EXPECT_EQ(rig.back->held(), 1u) << "nothing new while draining";
    rig.back->knobs().hold = false;
    rig.back->complete_all();
    rig.hub.run();
    EXPECT_EQ(rig.result(flying), IoStatus::Ok);
    EXPECT_EQ(rig.result(waiting), IoStatus::Ok) << "after the backend was back";
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
}

TEST(FrontLife, ClosingBackendThatNeverAnswersTimesOut)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    size_t id = rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    rig.back->close();
    rig.back->knobs().deaf_state = true;
    rig.hub.advance(sec(30));
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
    EXPECT_EQ(rig.result(id), IoStatus::Error);
}

/* xenbus:drain — what the owner asks for waits for a slow disk. */
TEST(FrontLife, ReconnectWaitsForASlowDisk)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    size_t id = rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    rig.front->reconnect();
    rig.hub.advance(sec(1000));
    EXPECT_EQ(rig.front->state(), FrontState::Draining);
    rig.back->complete_all();
    rig.hub.run();
    EXPECT_EQ(rig.result(id), IoStatus::Ok);
    EXPECT_EQ(rig.front->state(), FrontState::Connected);
    EXPECT_EQ(rig.back->counters().connects, 2u);
}

/* xenbus:restart — no Closing, no Closed: the ring is dead all the same. */
TEST(FrontLife, BackendThatStartsOverGetsANewRing)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    rig.fill_guest(0, 512, 9);
    size_t id = rig.submit(IoKind::Write, 3, 1);
    rig.pump();
    rig.new_back();
    (void)rig.back->start();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    EXPECT_EQ(rig.result(id), IoStatus::Ok);
    EXPECT_TRUE(rig.disk_is(3, 1, 9));
}

/* blkif:sectors — "the frontend reads it again when Connected is re-written" */
TEST(FrontLife, ResizeIsNoticed)
{
    Rig rig;
    rig.connect();
    EXPECT_EQ(rig.read(8192, 8), IoStatus::Error);
    rig.hub.storage.data.resize(16384 * kSectorSize);
    rig.back->resized();
    rig.hub.run();
    EXPECT_EQ(rig.front->plan().sectors, 16384u);
    EXPECT_EQ(rig.owner.plan_changes, 1u);
    EXPECT_EQ(rig.read(8192, 8), IoStatus::Ok);
    rig.back->resized();
    rig.hub.run();
    EXPECT_EQ(rig.owner.plan_changes, 1u) << "nothing changed";
}

TEST(FrontLife, ShrinkRejectsRequestsPastTheEnd)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    size_t id = rig.submit(IoKind::Read, 8000, 8);
    rig.pump();
    rig.hub.storage.data.resize(4096 * kSectorSize);
    rig.back->resized();
    rig.hub.run();
    EXPECT_EQ(rig.offer(rig.request(IoKind::Read, 8000, 8)).verdict, Verdict::Rejected);
    rig.back->complete_all();
    rig.hub.run();
    EXPECT_EQ(rig.result(id), IoStatus::Error) << "what was in flight has its own answer";
    EXPECT_EQ(rig.front->state(), FrontState::Connected);
}

/* blkif:sector-size — the guest was told one, and cannot be told another. */
TEST(FrontLife, ChangedSectorSizeBreaks)
{
    Rig rig;
    rig.connect();
    rig.setup.back.sector_size = 4096;
    rig.new_back();
    (void)rig.back->start();
    rig.front->reconnect();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
    EXPECT_STREQ(rig.front->broken().clause, "blkif:sector-size");
}

/* blkif:mode */
TEST(FrontLife, ReadOnlyDiskRejectsWrites)
{
    RigSetup s;
    s.back.read_only = true;
    Rig rig(s);
    rig.connect();
    for (IoKind kind : {IoKind::Write, IoKind::Discard})
        EXPECT_EQ(rig.offer(rig.request(kind, 0, 8)).why, IoStatus::Error);
    EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
    EXPECT_EQ(rig.flush(), IoStatus::Ok);
    EXPECT_EQ(rig.hub.storage.writes, 0u);
}

/* xenbus:broken — Broken holds until the owner says so; both ways out work. */
TEST(FrontLife, BrokenLastsUntilTheOwnerActs)
{
    for (bool by_start : {false, true}) {
        Rig rig;
        rig.connect();
        rig.back->write_state_raw("77");
        rig.hub.run();
        ASSERT_EQ(rig.front->state(), FrontState::Broken);
        EXPECT_STREQ(rig.front->broken().clause, "xenbus:state");
        EXPECT_EQ(rig.offer(rig.request(IoKind::Read, 0, 1)).verdict, Verdict::Rejected);
        for (const char *state : {"2", "4", "6"}) {
            rig.back->write_state_raw(state);
            rig.hub.run();
        }
        rig.hub.advance(sec(60));
        EXPECT_EQ(rig.front->state(), FrontState::Broken) << "sticky";
        if (by_start)
            rig.front->start();
        else
            rig.front->reconnect();
        rig.hub.run();
        EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
        EXPECT_STREQ(rig.front->broken_because(), "");
        EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
    }
}

/* xenbus:stop — in order: drained, Closing, Closed, and both ends let go. */
TEST(FrontLife, StopLeavesNothingBehind)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    size_t id = rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    rig.front->stop();
    rig.hub.run();
    EXPECT_FALSE(rig.result(id));
    rig.back->complete_all();
    rig.hub.run();
    EXPECT_EQ(rig.result(id), IoStatus::Ok);
    EXPECT_EQ(rig.front->state(), FrontState::Stopped);
    EXPECT_EQ(rig.back->state(), XenbusState::Closed);
    EXPECT_EQ(rig.front_node("state"), "6");
    EXPECT_EQ(rig.hub.grants.in_use(), 0u);
    EXPECT_FALSE(rig.hub.events.is_open());
    EXPECT_EQ(rig.offer(rig.request(IoKind::Read, 0, 1)).verdict, Verdict::Rejected);
    EXPECT_EQ(rig.hub.clock.deadline, -1);
}

/* xenbus:stop-silent — the peer does not follow: the deadline ends it. */
TEST(FrontLife, StopEndsWithoutTheBackend)
{
    Rig rig;
    rig.connect();
    rig.back->knobs().deaf_state = true;
    rig.front->stop();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Closing);
    rig.hub.advance(sec(11));
    EXPECT_EQ(rig.front->state(), FrontState::Stopped);
}

TEST(FrontLife, StopBeforeConnectFailsRequests)
{
    Rig rig;
    rig.obey("at connect always: lifecycle/connect-silent");
    (void)rig.try_connect();
    size_t id = rig.submit(IoKind::Read, 0, 1);
    rig.front->stop();
    rig.hub.advance(sec(30));
    EXPECT_EQ(rig.front->state(), FrontState::Stopped);
    EXPECT_EQ(rig.result(id), IoStatus::Error);
}

/* xenbus:reuse — a stopped front starts again. */
TEST(FrontLife, StoppedFrontStartsAgain)
{
    Rig rig;
    rig.connect();
    rig.front->stop();
    rig.hub.run();
    rig.front->start();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
}

/* A watch that could not be set is set by the way out of Broken. */
TEST(FrontLife, ReconnectSetsAMissingWatch)
{
    Rig rig;
    (void)rig.back->start();
    ASSERT_TRUE(rig.new_front());
    rig.hub.fail(HubCall::StoreWatch, 0, 2);
    rig.front->start();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
    rig.front->reconnect(); /* and fails once more */
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
    rig.front->reconnect();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
}

/* Many reconnects in a row leave nothing behind each. */
TEST(FrontLife, EachGrantEndsWithItsConnection)
{
    Rig rig;
    rig.connect();
    for (int i = 0; i < 500; i++) {
        rig.front->reconnect();
        rig.hub.run();
        ASSERT_EQ(rig.front->state(), FrontState::Connected) << i << rig.front_state();
        ASSERT_EQ(rig.hub.grants.in_use(), 1u);
    }
    EXPECT_EQ(rig.front->quarantined(), 0u);
    EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
}

/* grant:table — a grant table that is too small is found before the start. */
TEST(FrontLife, TooSmallGrantTableIsRefused)
{
    RigSetup s;
    s.hub.grants = BlockFront::min_pool(s.front.policy) - 1;
    Rig rig(s);
    (void)rig.back->start();
    EXPECT_FALSE(rig.new_front());
    EXPECT_STREQ(rig.refusal.clause, "grant:table");
}

} // namespace
