/* SPDX-License-Identifier: MIT */
/*
 * BlockFront with grants that stay, and with a backend that is not trusted:
 * what is announced, what the backend may keep, what it can see, and how it
 * ends. Serves blkif.h feature-persistent and trusted, XSA-396, XSA-403.
 */
#include "support/script_back.h"

namespace
{

using namespace pvblk;

FrontPolicy policy(bool persistent = true)
{
    FrontPolicy p;
    p.use_persistent = persistent;
    return p;
}

const ScriptNodes kOffer = {{"feature-persistent", "1"}, {"feature-max-indirect-segments", "32"}};

/* ---- persistent grants ---------------------------------------------------- */

/* blkif:feature-persistent — both have to want it. */
TEST(FrontPersistent, GrantsStayOnlyWhereBothWantIt)
{
    for (bool want : {false, true})
        for (const char *offer : {"0", "1"}) {
            ScriptRig r(policy(want), {{"feature-persistent", offer}});
            r.connect();
            bool both = want && *offer == '1';
            EXPECT_EQ(r.rig.front->plan().persistent, both);
            EXPECT_EQ(r.rig.front_node("feature-persistent"), both ? "1" : "");
            EXPECT_EQ(r.rig.read(0, 64), IoStatus::Ok);
            EXPECT_EQ(r.rig.front->persistent_grants(), both ? 8u : 0u);
            EXPECT_EQ(r.back.mapped_for_good(), both ? 8u : 0u);
            EXPECT_EQ(r.rig.hub.grants.in_use(), both ? 9u : 1u);
            EXPECT_EQ(r.rig.front->quarantined(), 0u);
        }
}

/* blkif.h note 8: a LIFO, so that few grants serve many requests. */
TEST(FrontPersistent, FewGrantsServeManyRequests)
{
    ScriptRig r(policy(), kOffer);
    r.connect();
    for (uint32_t i = 0; i < 200; i++)
        ASSERT_EQ(i % 2 ? r.rig.read(i, 8) : r.rig.write(i, 8, 4096), IoStatus::Ok);
    EXPECT_EQ(r.back.refs_seen.size(), 1u);
    uint64_t before = r.rig.hub.calls(HubCall::GrantPage);
    r.check_data(8);
    r.check_data(256); /* indirect: its lists are kept, too */
    uint64_t most = r.rig.hub.calls(HubCall::GrantPage) - before;
    r.check_data(8);
    r.check_data(256);
    EXPECT_EQ(r.rig.hub.calls(HubCall::GrantPage) - before, most) << "all of them are there";
    EXPECT_EQ(r.rig.hub.calls(HubCall::GrantFrame), 0u) << "no page of the guest's";
}

/* grant:lifetime — they end with the connection, those that are still mapped
 * in quarantine, and come back when the backend lets go. */
TEST(FrontPersistent, KeptGrantsEndWithTheConnection)
{
    for (bool stubborn : {false, true}) {
        ScriptRig r(policy(), kOffer);
        r.connect();
        r.check_data(64);
        uint32_t kept = r.rig.front->persistent_grants();
        EXPECT_GE(kept, 8u);
        r.back.keep_mapped = stubborn;
        r.reconnect();
        EXPECT_EQ(r.rig.front->quarantined(), stubborn ? kept : 0u);
        EXPECT_EQ(r.rig.front->persistent_grants(), 0u);
        EXPECT_EQ(r.rig.hub.grants.in_use(), (stubborn ? kept : 0u) + r.back.ring_pages(0));
        if (stubborn) {
            r.back.let_go();
            EXPECT_EQ(r.rig.front->quarantined(), kept);
        }
        r.check_data(64);
        for (int i = 0; i < 100; i++)
            r.rig.read(0, 1); /* each looks at a few in quarantine */
        EXPECT_EQ(r.rig.front->quarantined(), 0u);
        r.back.keep_mapped = false;
        r.rig.front->stop();
        r.rig.hub.run();
        EXPECT_EQ(r.rig.hub.grants.in_use(), 0u);
    }
}

/* A connection of another kind after it, with requests in flight. */
TEST(FrontPersistent, RequeueSuitsTheNextConnection)
{
    for (const char *first : {"0", "1"})
        for (const char *second : {"0", "1"}) {
            ScriptRig r(policy(), {{"feature-persistent", first}});
            r.connect();
            r.back.hold = true;
            r.rig.fill_guest(0, 40 * 4096, 6);
            for (uint32_t i = 0; i < 40; i++)
                r.rig.submit(IoKind::Write, i * 8, 8, i * 4096);
            r.rig.pump();
            r.back.vanish();
            r.rig.hub.run();
            EXPECT_EQ(r.rig.hub.grants.in_use(), 0u);
            r.back.nodes["feature-persistent"] = second;
            r.back.hold = false;
            r.back.start();
            r.rig.hub.run();
            EXPECT_EQ(r.rig.front->accepted(), 0u) << r.rig.front_state();
            EXPECT_TRUE(r.disk_is(0, 320, 6));
            EXPECT_EQ(r.rig.front->plan().persistent, *second == '1');
            EXPECT_EQ(r.rig.front->persistent_grants() == 0, *second == '0');
            r.check_data(32);
        }
}

/* The node changes while we are connected: what was agreed on holds. */
TEST(FrontPersistent, RefreshLeavesWhatWasAgreedOn)
{
    ScriptRig r(policy(), kOffer);
    r.connect();
    EXPECT_EQ(r.rig.read(0, 64), IoStatus::Ok);
    r.back.nodes["feature-persistent"] = "0";
    r.back.nodes["feature-max-indirect-segments"] = "0";
    r.back.refresh();
    r.rig.hub.run();
    EXPECT_TRUE(r.rig.front->plan().persistent);
    r.check_data(64);
    EXPECT_EQ(r.rig.front->state(), FrontState::Connected) << r.rig.front_state();
}

/* front:cancel — the page is the backend's for good, the guest's memory is
 * not; and an old write does not land after a new one. */
TEST(FrontPersistent, CancelledRequestNeverReachesTheGuest)
{
    ScriptRig r(policy(), kOffer);
    r.connect();
    r.fill_disk(0, 8, 9);
    r.rig.fill_guest(0, 4096, 1);
    r.back.hold = true;
    size_t read = r.rig.submit(IoKind::Read, 0, 8, 0);
    r.rig.submit(IoKind::Write, 8, 8, 4096);
    r.rig.pump();
    r.rig.front->cancel_all();
    EXPECT_EQ(r.rig.result(read), IoStatus::Cancelled);
    r.rig.fill_guest(4096, 4096, 2);
    size_t next = r.rig.submit(IoKind::Write, 8, 8, 4096);
    r.rig.pump();
    EXPECT_FALSE(r.rig.result(next));
    r.back.hold = false;
    r.back.release();
    r.rig.hub.run();
    EXPECT_EQ(r.rig.result(next), IoStatus::Ok);
    EXPECT_TRUE(r.rig.guest_is(0, 4096, 1));
    EXPECT_TRUE(r.disk_is(8, 8, 2));
    EXPECT_EQ(r.rig.front->quarantined(), 0u);
}

/* front:pools — more than the pools hold waits, and goes on. */
TEST(FrontPersistent, LoadBeyondThePoolIsServed)
{
    FrontPolicy p = policy();
    p.max_queues = 2;
    RigSetup s;
    s.front.policy = p;
    s.hub.private_pages = s.hub.grants = BlockFront::min_pool(p);
    Rig rig(s);
    ScriptNodes nodes = kOffer;
    nodes["multi-queue-max-queues"] = "2";
    ScriptBack back(rig.hub, nodes);
    back.start();
    ASSERT_TRUE(rig.new_front()) << rig.refusal.what;
    rig.front->start();
    rig.hub.run();
    rig.fill_guest(0, 1 << 20, 5);
    for (uint32_t i = 0; i < 200; i++) {
        IoRequest r = rig.request(IoKind::Write, 0, 2048, 0);
        r.queue = i;
        rig.submit(r);
    }
    rig.pump();
    EXPECT_EQ(rig.front->accepted(), 0u) << rig.front_state();
    EXPECT_TRUE(has_pattern(back.disk.data(), 1 << 20, 5));
}

/* ---- what the backend can see ---------------------------------------------- */

/* front:stale, XSA-403 — a page that the backend sees holds what the request
 * writes and nothing else: no older data, no neighbour in the guest's page. */
TEST(FrontLeaks, PageShowsOnlyWhatItsRequestWrites)
{
    enum class Why { Persistent, Policy, Node, Misaligned };
    for (Why why : {Why::Persistent, Why::Policy, Why::Node, Why::Misaligned}) {
        FrontPolicy p = policy(why == Why::Persistent);
        p.trusted = why != Why::Policy;
        ScriptRig r(p, {{"feature-persistent", "1"}});
        if (why == Why::Node)
            r.rig.hub.put_node(r.rig.hub.config.frontend_path + "/trusted", "0");
        r.connect();
        EXPECT_EQ(r.rig.front->plan().trusted, why == Why::Persistent || why == Why::Misaligned);
        r.rig.fill_guest(0, 1 << 20, 7);
        for (auto &b : r.back.disk)
            b = std::byte{0xdd};
        uint64_t skew = why == Why::Misaligned ? 8 : 0;
        for (int round = 0; round < 3; round++) {
            r.back.pages_seen.clear();
            EXPECT_EQ(r.rig.write(0, 64, skew), IoStatus::Ok);
            EXPECT_EQ(r.rig.read(4096, 64, (1 << 19) + skew), IoStatus::Ok);
            r.back.pages_seen.clear();
            EXPECT_EQ(r.rig.write(100, 3, skew), IoStatus::Ok);
            EXPECT_EQ(r.rig.read(4096, 9, (1 << 19) + skew), IoStatus::Ok);
            ASSERT_EQ(r.back.pages_seen.size(), 3u);
            const auto &written = r.back.pages_seen[0];
            EXPECT_TRUE(has_pattern(written.data(), 3 * 512, 7, skew));
            auto zero = [](std::byte b) { return b == std::byte{0}; };
            EXPECT_TRUE(std::all_of(written.begin() + 3 * 512, written.end(), zero));
            for (size_t i : {1u, 2u})
                EXPECT_TRUE(
                    std::all_of(r.back.pages_seen[i].begin(), r.back.pages_seen[i].end(), zero));
        }
        EXPECT_EQ(r.rig.hub.calls(HubCall::GrantFrame), 0u);
    }
}

/* blkif:trusted — 0 or 1; default 1. */
TEST(FrontLeaks, NodeTrustedIsObeyed)
{
    for (auto [value, trusted] : {std::pair{"0", false}, {"1", true}}) {
        ScriptRig r(policy(false), {});
        r.rig.hub.put_node(r.rig.hub.config.frontend_path + "/trusted", value);
        r.connect();
        EXPECT_EQ(r.rig.front->plan().trusted, trusted);
        r.check_data(24);
        EXPECT_EQ(r.rig.front->counters().bounced_segments == 0, trusted);
    }
    ScriptRig r(policy(false), {});
    r.rig.hub.put_node(r.rig.hub.config.frontend_path + "/trusted", "maybe");
    r.back.start();
    EXPECT_FALSE(r.rig.new_front());
    EXPECT_STREQ(r.rig.refusal.clause, "blkif:trusted");
}

} // namespace
