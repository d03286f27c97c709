/* SPDX-License-Identifier: MIT */
/*
 * One session of a frontend after another: sessions that end in order, by a
 * crash, or between two looks of the backend at the store. Clauses: blkif.h
 * "STATE DIAGRAMS".
 */
#include "back/hooks.h"
#include "support/pass_ports.h"
#include "support/rig_front.h"
#include "support/spy_ports.h"

namespace
{

using namespace pvblk;

using S = XenbusState;

/* The frontend's states, of which the backend sees the last one alone. */
void write_unseen(RigFront &f, std::initializer_list<S> states)
{
    for (S s : states)
        f.node("state", std::to_string(static_cast<int>(s)));
    f.rig.hub.run();
}

bool is_served(RigFront &f, uint32_t queue = 0)
{
    return f.ask(f.request(Op::FlushDiskcache, 0, 0), queue) == kOkay;
}

/* ---- the start ------------------------------------------------------------- */

/* xenbus:init-wait — InitWait, and later Connected, say that the nodes are there. */
TEST(BackSessions, NodesAreThereBeforeTheState)
{
    Rig rig;
    rig.back->vanish();
    SpyStore store(rig.hub.back_store, rig.hub.config.backend_path);
    BackPorts ports = rig.hub.back_ports();
    BlockBack back({store, ports.grants, ports.events, ports.storage, nullptr}, rig.setup.back);
    rig.hub.attach(&back);
    RigFront f(rig);
    auto written = [&store](const std::string &state) {
        bool last = !store.log.empty() && store.log.back() == state;
        auto states = std::count_if(store.log.begin(), store.log.end(),
                                    [](const auto &line) { return line.starts_with("state="); });
        bool once = states == 1 && store.count("sectors=8192") == 1 && store.count("info=0") == 1;
        store.log.clear();
        return last && once;
    };
    ASSERT_TRUE(back.start());
    EXPECT_TRUE(written("state=2"));
    f.state(S::Initialised);
    EXPECT_TRUE(written("state=4"));
    f.state(S::Closing);
    f.state(S::Closed);
    store.log.clear();
    f.state(S::Initialising);
    EXPECT_TRUE(written("state=2"));
    rig.hub.detach_back();
    back.vanish();
}

/* xenbus:skip-front — Initialised before there is a backend. */
TEST(BackSessions, FrontendThatWasFirstIsConnected)
{
    for (S ready : {S::Initialised, S::Connected}) {
        Rig rig;
        RigFront f(rig);
        f.state(ready);
        ASSERT_TRUE(rig.back->start());
        EXPECT_EQ(rig.back->state(), S::InitWait);
        rig.hub.run();
        EXPECT_EQ(rig.back->state(), S::Connected);
        EXPECT_TRUE(is_served(f));
    }
}

/* ---- the end ---------------------------------------------------------------- */

/* xenbus:state — a state that does not exist, or no node, is Unknown. */
TEST(BackSessions, StateThatDoesNotExistEndsTheSession)
{
    for (const char *text : {"9", "4294967300", "-1", "x", "", "none"}) {
        SCOPED_TRACE(text);
        Rig rig;
        RigFront f(rig);
        ASSERT_TRUE(f.connect());
        if (std::string_view(text) == "none")
            f.remove("state");
        else
            f.node("state", text);
        rig.hub.run();
        EXPECT_EQ(rig.back->state(), S::Closed);
        EXPECT_EQ(rig.hub.grants.mapped(), 0u);
        f.new_rings();
        f.state(S::Initialising);
        f.state(S::Initialised);
        EXPECT_TRUE(is_served(f)) << "the next one is served";
    }
}

/* xenbus:reconfiguring — no block device does: nothing happens. */
TEST(BackSessions, ReconfiguringChangesNothing)
{
    Rig rig;
    RigFront f(rig);
    ASSERT_TRUE(rig.back->start());
    auto stays = [&](S state) {
        for (S s : {S::Reconfiguring, S::Reconfigured}) {
            f.state(s);
            EXPECT_EQ(rig.back->state(), state);
        }
    };
    stays(S::InitWait);
    f.state(S::Initialised);
    stays(S::Connected);
    EXPECT_TRUE(is_served(f));
    EXPECT_EQ(rig.back->counters().connects, 1u);
    f.state(S::Closing);
    stays(S::Closing);
    f.state(S::Closed);
    stays(S::Closed);
}

/* ---- the next one ------------------------------------------------------------- */

/* xenbus:skip-tolerate — as many of the states as the backend sees at all. */
TEST(BackSessions, FrontendThatSkipsInitWaitConnectsAgain)
{
    for (S ready : {S::Initialised, S::Connected})
        for (size_t seen = 0; seen < 4; seen++) {
            SCOPED_TRACE(testing::Message() << xenbus_state_name(ready) << ", seen " << seen);
            Rig rig;
            RigFront f(rig);
            ASSERT_TRUE(f.connect());
            f.state(S::Connected);
            EXPECT_TRUE(is_served(f));
            const S states[] = {S::Closing, S::Closed, S::Initialising, ready};
            for (size_t i = 0; i < seen; i++)
                f.state(states[i]);
            f.new_rings();
            for (size_t i = seen; i < std::size(states); i++)
                f.node("state", std::to_string(static_cast<int>(states[i])));
            rig.hub.run();
            EXPECT_EQ(rig.back_node("state"), "4");
            EXPECT_EQ(rig.back->counters().connects, 2u);
            EXPECT_TRUE(is_served(f));
        }
}

/* xenbus:crash — the same grants and the same port, and nobody saw Initialising. */
TEST(BackSessions, CrashedFrontendWithTheSameNodesIsServed)
{
    for (S ready : {S::Initialised, S::Connected}) {
        SCOPED_TRACE(xenbus_state_name(ready));
        Rig rig;
        RigFront f(rig, {Abi::X86_64, 1, 1, false});
        ASSERT_TRUE(f.connect());
        f.state(S::Connected);
        for (int i = 0; i < 3; i++)
            EXPECT_TRUE(is_served(f));
        f.new_rings();
        write_unseen(f, {S::Initialising, ready});
        EXPECT_EQ(rig.back->counters().connects, 2u);
        EXPECT_TRUE(is_served(f));
    }
}

/* xenbus:crash — a request that is not answered yet shows in no index. */
TEST(BackSessions, FrontendThatIsInitialisedAfterARequestIsAnotherOne)
{
    Rig rig;
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    rig.hub.storage.defer = true;
    f.send(f.request(Op::FlushDiskcache, 0, 0));
    rig.hub.run();
    ASSERT_EQ(rig.hub.storage.waiting(), 1u);
    f.state(S::Initialised);
    EXPECT_EQ(rig.hub.storage.waiting(), 0u);
    EXPECT_EQ(rig.back->counters().connects, 2u);
    rig.hub.storage.defer = false;
}

/* ... while one that says the same again keeps what it has. */
TEST(BackSessions, SameFrontendKeepsItsConnection)
{
    Rig rig;
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    f.state(S::Initialised);
    f.state(S::Connected);
    EXPECT_TRUE(is_served(f));
    rig.hub.storage.defer = true;
    f.send(f.request(Op::FlushDiskcache, 0, 0));
    rig.hub.run();
    f.state(S::Connected);
    EXPECT_EQ(rig.hub.storage.waiting(), 1u);
    EXPECT_EQ(rig.back->counters().connects, 1u);
    rig.hub.storage.drain();
    rig.hub.storage.defer = false;
}

/* A second thread may look at the store at any time: here, in the middle of publish(). */
class LooksDuringPublish final : public BackHooks
{
public:
    void attached(HookedBack &back) override { back.ask_hooks(); }
    void loaded(HookedQueue &, SringField field, RingIndex) override
    {
        if (field == SringField::RspEvent && back) {
            looks++;
            back->store_changed();
        }
    }

    BlockBack *back{nullptr};
    uint32_t looks{0};
};

/* xenbus:crash — rsp_prod is in the ring before the backend has noted that it wrote it. */
TEST(BackSessions, ResponseThatIsBeingPublishedIsNoOtherFrontends)
{
    Rig rig;
    rig.back->vanish();
    LooksDuringPublish hooks;
    BlockBack back(rig.back_ports(), rig.setup.back, &hooks);
    rig.hub.attach(&back);
    RigFront f(rig);
    ASSERT_TRUE(back.start());
    f.state(S::Initialised);
    f.state(S::Connected);
    hooks.back = &back;
    for (int i = 0; i < 3; i++)
        EXPECT_TRUE(is_served(f));
    EXPECT_EQ(hooks.looks, 3u);
    EXPECT_EQ(back.counters().connects, 1u);
    rig.hub.detach_back();
    back.vanish();
}

/* A host that makes another call while it waits in pause(). */
class EventsThatCallLater final : public PassBackEvents
{
public:
    using PassBackEvents::PassBackEvents;
    void pause(uint32_t queue) override
    {
        back->later();
        PassBackEvents::pause(queue);
    }

    BlockBack *back{nullptr};
};

class DisconnectsLater final : public BackHooks
{
public:
    void attached(HookedBack &b) override
    {
        back = &b;
        b.ask_hooks();
    }
    void later() override
    {
        calls++;
        back->disconnect();
    }

    HookedBack *back{nullptr};
    uint32_t calls{0};
};

TEST(BackSessions, CallOfLaterDuringLaterIsNotLost)
{
    Rig rig;
    rig.back->vanish();
    EventsThatCallLater events(rig.hub.back_events);
    DisconnectsLater hooks;
    BackPorts ports = rig.hub.back_ports();
    BlockBack back({ports.store, ports.grants, events, ports.storage, nullptr}, rig.setup.back,
                   &hooks);
    events.back = &back;
    rig.hub.attach(&back);
    RigFront f(rig);
    ASSERT_TRUE(back.start());
    f.state(S::Initialised);
    ASSERT_EQ(hooks.calls, 0u);
    back.later();
    EXPECT_EQ(hooks.calls, 1u);
    rig.hub.run();
    EXPECT_EQ(hooks.calls, 2u);
    rig.hub.detach_back();
    back.vanish();
}

/* ring:req-prod — "until the next connection": also one that is seen late. */
TEST(BackSessions, HaltedRingGoesOnWithTheNextFrontend)
{
    for (S ready : {S::Initialised, S::Connected}) {
        SCOPED_TRACE(xenbus_state_name(ready));
        Rig rig;
        RigFront f(rig);
        ASSERT_TRUE(f.connect());
        f.state(S::Connected);
        f.shared().store(SringField::ReqProd, RingIndex(1000));
        (void)rig.hub.events.notify(0);
        rig.hub.run();
        ASSERT_TRUE(rig.back->halted());
        f.new_rings();
        write_unseen(f, {S::Initialising, ready});
        EXPECT_FALSE(rig.back->halted());
        EXPECT_TRUE(is_served(f));
    }
}

/* ... and one of a ring that the next frontend does not have. */
TEST(BackSessions, HaltOfARingThatIsGoneIsForgotten)
{
    RigSetup s;
    s.back.max_queues = 2;
    Rig rig(s);
    RigFront f(rig, {Abi::X86_64, 2, 1, false});
    ASSERT_TRUE(f.connect());
    f.shared(1).store(SringField::ReqProd, RingIndex(1000));
    (void)rig.hub.events.notify(1);
    rig.hub.run();
    ASSERT_TRUE(rig.back->halted());
    f.state(S::Closing);
    f.state(S::Closed);
    f.remove("multi-queue-num-queues");
    for (const char *name : {"ring-ref", "event-channel"})
        f.node(name, rig.front_node(std::string("queue-0/") + name));
    f.new_rings();
    f.state(S::Initialising);
    f.state(S::Initialised);
    ASSERT_EQ(rig.back->plan().queues, 1u);
    EXPECT_FALSE(rig.back->halted());
    EXPECT_TRUE(is_served(f));
}

/* A frontend that was refused closes, and comes back with better nodes. */
TEST(BackSessions, RefusedFrontendMayComeBackUnseen)
{
    for (const char *name : {"protocol", "ring-ref", "event-channel"}) {
        SCOPED_TRACE(name);
        Rig rig;
        rig.oracle_matters = false;
        RigFront f(rig);
        std::string good = rig.front_node(name);
        f.node(name, "77");
        ASSERT_TRUE(rig.back->start());
        rig.hub.run();
        f.state(S::Initialised);
        f.state(S::Initialised);
        EXPECT_EQ(rig.back->state(), S::Closing) << "it stays refused";
        EXPECT_EQ(rig.back->counters().connect_failures, 1u);
        f.node(name, good);
        write_unseen(f, {S::Closing, S::Closed, S::Initialising, S::Initialised});
        EXPECT_EQ(rig.back->state(), S::Connected);
        EXPECT_EQ(rig.back_node("error"), "");
        EXPECT_TRUE(is_served(f));
    }
}

/* xenbus:closing — the owner's wish stands: of a frontend that only went on to
 * be ready it is not the next session. */
TEST(BackSessions, FrontendThatIsReadyLateDoesNotUndoAClose)
{
    for (bool connected : {false, true}) {
        Rig rig;
        RigFront f(rig);
        ASSERT_TRUE(rig.back->start());
        rig.hub.run();
        if (connected)
            f.state(S::Initialised);
        f.node("state", connected ? "4" : "3");
        rig.back->close();
        rig.hub.run();
        EXPECT_EQ(rig.back->state(), S::Closing);
        EXPECT_EQ(rig.back->counters().connects, connected ? 1u : 0u);
    }
}

/* blkif:extra-nodes — what the toolstack takes away does not come up again. */
TEST(BackSessions, OfflineBackendStaysClosed)
{
    for (bool unseen : {false, true}) {
        Rig rig;
        RigFront f(rig);
        ASSERT_TRUE(f.connect());
        rig.hub.put_node(rig.hub.config.backend_path + "/online", "0");
        f.state(S::Closing);
        f.state(S::Closed);
        if (unseen)
            write_unseen(f, {S::Initialising, S::Initialised});
        else
            f.state(S::Initialising);
        EXPECT_EQ(rig.back->state(), S::Closed);
    }
}

/* blkif:resize — nor does a new size write over what the toolstack has said. */
TEST(BackSessions, ResizeLeavesClosingToTheToolstack)
{
    Rig rig;
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    rig.hub.put_node(rig.hub.config.backend_path + "/online", "0");
    rig.hub.put_node(rig.hub.config.backend_path + "/state", "5");
    rig.back->resized();
    EXPECT_EQ(rig.back_node("state"), "5");
}

/* blkif:discard-enable — asked for anew where a session begins. */
TEST(BackSessions, ToolstackIsAskedAboutDiscardEachTime)
{
    Rig rig;
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    for (const char *value : {"0", "1", "0"}) {
        rig.hub.put_node(rig.hub.config.backend_path + "/discard-enable", value);
        f.state(S::Closing);
        f.state(S::Closed);
        f.new_rings();
        f.state(S::Initialising);
        bool allowed = *value == '1';
        EXPECT_EQ(rig.back_node("feature-discard"), allowed ? "1" : "");
        f.state(S::Initialised);
        WireRequest r = f.request(Op::Discard, 0, 0);
        r.nr_sectors = 8;
        EXPECT_EQ(f.ask(r), allowed ? kOkay : kNotSupp);
    }
}

} // namespace
