/* SPDX-License-Identifier: MIT */
/*
 * BlockFront with rings of several pages and with several queues: what is
 * negotiated, what is written, where requests go, and what one ring's lie does
 * to the others. Serves blkif.h max-ring-page-order, max-ring-pages,
 * multi-queue-max-queues and their counterparts.
 */
#include "support/script_back.h"

namespace
{

using namespace pvblk;

FrontPolicy policy(uint32_t pages, uint32_t queues)
{
    FrontPolicy p;
    p.max_ring_pages = pages;
    p.max_queues = queues;
    p.max_indirect_segments = 0;
    return p;
}

/* ---- rings of several pages ---------------------------------------------- */

/* blkif:ring-page-order, blkif:num-ring-pages — by either scheme, both
 * written; one page as ever. */
TEST(FrontRings, RingIsAsLargeAsBothAllow)
{
    struct {
        ScriptNodes nodes;
        uint32_t most, pages;
    } const cases[] = {
        {{}, 16, 1},
        {{{"max-ring-page-order", "0"}}, 16, 1},
        {{{"max-ring-page-order", "2"}}, 16, 4},
        {{{"max-ring-pages", "8"}}, 16, 8},
        {{{"max-ring-pages", "7"}}, 16, 4},
        {{{"max-ring-pages", "0"}}, 16, 1},
        {{{"max-ring-page-order", "1"}, {"max-ring-pages", "8"}}, 16, 8},
        {{{"max-ring-page-order", "4"}, {"max-ring-pages", "2"}}, 16, 16},
        {{{"max-ring-page-order", "18446744073709551615"}}, 16, 16},
        {{{"max-ring-pages", "4294967296"}}, 16, 16},
        {{{"max-ring-page-order", "4"}}, 3, 2},
        {{{"max-ring-page-order", "4"}}, 0, 1},
        {{{"max-ring-page-order", "4"}}, 99, 16},
    };
    for (const auto &c : cases)
        for (Abi abi : {Abi::X86_64, Abi::X86_32}) {
            FrontPolicy p = policy(c.most, 1);
            p.abi = abi;
            ScriptRig r(p, c.nodes);
            r.connect();
            EXPECT_EQ(r.back.ring_pages(0), c.pages);
            bool many = c.pages > 1;
            EXPECT_EQ(r.rig.front_node("num-ring-pages"), many ? std::to_string(c.pages) : "");
            EXPECT_EQ(r.rig.front_node("ring-ref").empty(), many);
            EXPECT_EQ(r.rig.front_node("ring-ref0").empty(), !many);
            EXPECT_EQ(r.back.shared(0).entries(), ring_entries(abi, c.pages));
            r.check_data(8);
        }
}

/* ring:init — whatever was in its pages before. */
TEST(FrontRings, FreshRingIsZeroUpToItsEvents)
{
    ScriptRig r(policy(4, 2), {{"max-ring-page-order", "2"}, {"multi-queue-max-queues", "2"}});
    LoopbackMemory &memory = r.rig.hub.memory;
    for (uint32_t i = 0; i < memory.pages(); i++)
        std::memset(memory.page(PageIndex(i)), 0xa5, kPageSize);
    r.connect();
    for (uint32_t queue = 0; queue < 2; queue++)
        for (uint32_t page = 0; page < 4; page++) {
            std::array<std::byte, kPageSize> want{};
            if (page == 0)
                want[4] = want[12] = std::byte{1}; /* req_event, rsp_event */
            auto at = r.rig.front->ring_page(queue, page);
            ASSERT_TRUE(at);
            EXPECT_EQ(std::memcmp(memory.page(*at), want.data(), kPageSize), 0)
                << queue << ", " << page;
        }
}

/* ring:size — the whole of a large ring is used, and no more. */
TEST(FrontRings, LargeRingIsFilledAndNotOverrun)
{
    RigSetup s;
    s.front.max_requests = 600;
    ScriptRig r(policy(16, 1), {{"max-ring-page-order", "4"}}, s);
    r.connect();
    r.back.hold = true;
    for (uint32_t i = 0; i < 600; i++)
        r.rig.submit(IoKind::Read, i, 1, i * 512);
    r.rig.pump();
    EXPECT_EQ(r.back.held(), 512u);
    EXPECT_EQ(r.rig.front->in_flight(), 512u);
    r.back.hold = false;
    r.back.release();
    r.rig.hub.run();
    EXPECT_EQ(r.rig.front->accepted(), 0u);
}

/* xenbus:nodes — a smaller ring after a larger one, in the same directory. */
TEST(FrontRings, NodesOfALargerRingAreRemoved)
{
    ScriptRig r(policy(16, 4), {{"max-ring-page-order", "3"}, {"multi-queue-max-queues", "3"}});
    r.connect();
    EXPECT_EQ(r.back.queues(), 3u);
    r.back.nodes["multi-queue-max-queues"] = "1";
    r.reconnect();
    EXPECT_EQ(r.back.ring_pages(0), 8u);
    r.back.nodes["max-ring-page-order"] = "0";
    r.reconnect();
    EXPECT_EQ(r.back.queues(), 1u);
    std::vector<std::string> left;
    for (const auto &[path, value] : r.rig.hub.tree)
        if (path.find(r.rig.hub.config.frontend_path) == 0)
            left.push_back(path.substr(r.rig.hub.config.frontend_path.size() + 1));
    EXPECT_EQ(left, (std::vector<std::string>{"event-channel", "protocol", "ring-ref", "state"}));
    EXPECT_EQ(r.rig.hub.grants.in_use(), 1u);
    r.check_data(8);
}

/* xenbus:reread — what the backend says when it is Connected counts, but not
 * of what the rings were made for. */
TEST(FrontRings, LateNodesLeaveTheRingsAsTheyAre)
{
    FrontPolicy p = policy(16, 4);
    p.use_persistent = true;
    p.max_indirect_segments = 32;
    ScriptRig r(p, {{"max-ring-page-order", "1"}, {"multi-queue-max-queues", "2"}});
    r.back.late = {{"max-ring-page-order", "4"},
                   {"multi-queue-max-queues", "4"},
                   {"feature-persistent", "1"},
                   {"feature-max-indirect-segments", "32"}};
    r.connect();
    const Plan &plan = r.rig.front->plan();
    EXPECT_EQ(plan.ring_pages, 2u);
    EXPECT_EQ(plan.queues, 2u);
    EXPECT_FALSE(plan.persistent) << "we did not announce it";
    EXPECT_EQ(plan.max_segments, 32u);
    r.check_data(256);
}

/* front:room — a page, grant or event channel that is not to be had. */
TEST(FrontRings, HalfMadeRingsAreUndone)
{
    for (HubCall call : {HubCall::GrantPage, HubCall::EventOpen, HubCall::StoreWrite})
        for (uint32_t nth = 0; nth < 12; nth++) {
            ScriptRig r(policy(4, 3),
                        {{"max-ring-page-order", "2"}, {"multi-queue-max-queues", "3"}});
            r.back.start();
            ASSERT_TRUE(r.rig.new_front());
            r.rig.hub.fail(call, nth);
            r.rig.front->start();
            r.rig.hub.run();
            if (r.rig.front->state() == FrontState::Connected)
                continue; /* fewer than nth of them */
            r.rig.hub.fail_none();
            EXPECT_EQ(r.rig.front->state(), FrontState::Broken) << r.rig.front_state();
            EXPECT_EQ(r.rig.hub.grants.in_use(), 0u);
            EXPECT_FALSE(r.rig.hub.events.is_open());
            r.reconnect();
            r.check_data(16);
        }
}

/* ---- several queues ------------------------------------------------------- */

/* blkif:multi-queue-max-queues */
TEST(FrontQueues, AsManyQueuesAsBothAllow)
{
    struct {
        const char *max;
        uint32_t most, queues;
    } const cases[] = {{"1", 4, 1}, {"0", 4, 1},     {"2", 4, 2},
                       {"4", 1, 1}, {"100", 16, 16}, {"18446744073709551615", 3, 3},
                       {"8", 99, 8}};
    for (const auto &c : cases) {
        ScriptRig r(policy(1, c.most), {{"multi-queue-max-queues", c.max}});
        r.connect();
        EXPECT_EQ(r.back.queues(), c.queues) << c.max;
        bool many = c.queues > 1;
        EXPECT_EQ(r.rig.front_node("multi-queue-num-queues"), many ? std::to_string(c.queues) : "");
        EXPECT_EQ(r.rig.front_node("queue-0/ring-ref").empty(), !many);
        EXPECT_EQ(r.rig.front_node("ring-ref").empty(), many);
        r.check_data(16);
    }
}

/* front:queue — each request on its own ring, and one event a ring. */
TEST(FrontQueues, EachRequestGoesToItsRing)
{
    ScriptRig r(policy(2, 4), {{"max-ring-page-order", "1"}, {"multi-queue-max-queues", "4"}});
    r.connect();
    r.back.events.assign(4, 0);
    for (uint32_t i = 0; i < 24; i++) {
        IoRequest q = r.rig.request(IoKind::Read, i, 1, i * 512);
        q.queue = i % 6 == 5 ? 7 : i % 3; /* 7 is 3 modulo 4 */
        r.rig.submit(q);
    }
    r.rig.pump();
    EXPECT_EQ(r.back.events, (std::vector<uint64_t>{1, 1, 1, 1}));
    for (const auto &s : r.back.seen)
        EXPECT_EQ(s.queue, s.req.sector % 6 == 5 ? 3 : s.req.sector % 3);
    EXPECT_EQ(r.back.seen.size(), 24u);
}

/* A full ring stops its own queue alone. */
TEST(FrontQueues, FullRingStopsItsQueueAlone)
{
    ScriptRig r(policy(1, 2), {{"multi-queue-max-queues", "2"}});
    r.connect();
    r.back.hold = true;
    for (uint32_t i = 0; i < 40; i++)
        r.rig.submit(IoKind::Read, i, 1, i * 512);
    r.rig.pump();
    EXPECT_EQ(r.back.held(), 32u);
    IoRequest q = r.rig.request(IoKind::Read, 50, 1, 50 * 512);
    q.queue = 1;
    r.rig.submit(q);
    r.rig.pump();
    EXPECT_EQ(r.back.held(), 33u);
    EXPECT_EQ(r.back.seen.back().queue, 1u);
    r.back.hold = false;
    r.back.release();
    r.rig.hub.run();
    EXPECT_EQ(r.rig.front->accepted(), 0u);
}

/* front:pools — the pools hold one request; none of the queues is starved. */
TEST(FrontQueues, NoQueueIsStarved)
{
    RigSetup s;
    s.front.always_bounce = true;
    FrontPolicy p = policy(1, 4);
    s.front.policy = p;
    s.hub.private_pages = s.hub.grants = BlockFront::min_pool(p);
    Rig rig(s);
    ScriptBack back(rig.hub, {{"multi-queue-max-queues", "4"}});
    back.start();
    ASSERT_TRUE(rig.new_front()) << rig.refusal.what;
    rig.front->start();
    rig.hub.run();
    int left = 4000;
    auto next = [&](uint32_t queue) {
        IoRequest r = rig.request(IoKind::Read, 0, 88, queue * 88 * 512);
        r.queue = queue;
        rig.submit(r);
    };
    /* Queue 0 and 1 ask for more each time; 2 and 3 once. */
    rig.owner.on_completed = [&] {
        if (left-- > 0)
            next(static_cast<uint32_t>(left % 2));
    };
    for (uint32_t q = 0; q < 4; q++)
        for (int i = 0; i < 8; i++)
            next(q);
    size_t last = rig.owner.results.size() - 1;
    rig.front->pump();
    for (int i = 0; i < 400 && !rig.result(last); i++)
        rig.hub.run_one();
    EXPECT_TRUE(rig.result(last)) << "the others got everything";
    left = 0;
    rig.hub.run();
    EXPECT_EQ(rig.front->accepted(), 0u);
}

/* ring:rsp-id — an answer on another ring than the request's is a lie; one
 * ring's lie ends the connection of all. */
TEST(FrontQueues, AnswerOnTheWrongRingBreaks)
{
    for (uint32_t ring : {0u, 1u}) {
        ScriptRig r(policy(1, 2), {{"multi-queue-max-queues", "2"}});
        r.connect();
        r.back.hold = true;
        size_t a = r.rig.submit(IoKind::Read, 0, 8);
        IoRequest q = r.rig.request(IoKind::Read, 8, 8, 4096);
        q.queue = 1;
        size_t b = r.rig.submit(q);
        r.rig.pump();
        ASSERT_EQ(r.back.held(), 2u);
        r.back.push_raw(ring, {r.back.seen[1 - ring].req.id, Op::Read, 0});
        r.rig.hub.run();
        EXPECT_EQ(r.rig.front->state(), FrontState::Broken);
        EXPECT_STREQ(r.rig.front->broken().clause, "ring:rsp-id");
        EXPECT_EQ(r.rig.result(a), IoStatus::Error);
        EXPECT_EQ(r.rig.result(b), IoStatus::Error);
        EXPECT_FALSE(r.rig.hub.events.is_open());
        r.back.hold = false;
        r.reconnect();
        r.check_data(8);
    }
}

/* ring:rsp-prod on the last of several rings. */
TEST(FrontQueues, LieOnALaterRingBreaks)
{
    ScriptRig r(policy(1, 4), {{"multi-queue-max-queues", "4"}});
    r.connect();
    r.back.push_raw(3, {RequestId(0), Op::Read, 0});
    r.rig.hub.run();
    EXPECT_EQ(r.rig.front->state(), FrontState::Broken);
    EXPECT_STREQ(r.rig.front->broken().clause, "ring:rsp-prod");
}

/* front:cancel — one virtqueue is reset; its neighbour on the same ring and
 * those on others go on, once the old requests were answered. */
TEST(FrontQueues, CancelOfAQueueSparesOthers)
{
    ScriptRig r(policy(1, 2), {{"multi-queue-max-queues", "2"}});
    r.connect();
    r.rig.oracle_matters = false;
    r.back.hold = true;
    std::vector<size_t> ids;
    for (uint32_t q = 0; q < 4; q++) {
        IoRequest req = r.rig.request(IoKind::Read, q * 8, 8, q * 4096);
        req.queue = q;
        ids.push_back(r.rig.submit(req));
    }
    r.rig.pump();
    r.rig.front->cancel_queue(3);
    EXPECT_EQ(r.rig.result(ids[3]), IoStatus::Cancelled);
    r.back.hold = false;
    r.back.release();
    r.rig.hub.run();
    for (int i : {0, 1, 2})
        EXPECT_EQ(r.rig.result(ids[static_cast<size_t>(i)]), IoStatus::Ok);
    r.back.failures = 0; /* the cancelled one found its page revoked */
    r.check_data(8);
}

/* front:timeout — on any ring; found without looking at each slot each time. */
TEST(FrontQueues, OverdueRequestOfAnyQueueIsSeen)
{
    RigSetup s;
    s.front.request_timeout_ns = sec(5);
    ScriptRig r(policy(1, 3), {{"multi-queue-max-queues", "3"}}, s);
    r.connect();
    r.rig.hub.advance(sec(3));
    EXPECT_EQ(r.rig.read(0, 8), IoStatus::Ok);
    EXPECT_EQ(r.rig.hub.clock.deadline, -1);
    r.back.hold = true;
    IoRequest q = r.rig.request(IoKind::Read, 0, 8);
    q.queue = 2;
    size_t id = r.rig.submit(q);
    r.rig.pump();
    r.rig.hub.advance(sec(4));
    size_t young = r.rig.submit(IoKind::Read, 8, 8, 4096);
    r.rig.pump();
    EXPECT_FALSE(r.rig.result(id));
    r.rig.hub.advance(sec(1));
    EXPECT_EQ(r.rig.result(id), IoStatus::Error);
    EXPECT_EQ(r.rig.result(young), IoStatus::Error);
    EXPECT_STREQ(r.rig.front->broken().clause, "ring:answer");
}

/* front:timeout — the first one was answered in time; a later one is not. */
TEST(FrontQueues, LaterRequestHasItsOwnDeadline)
{
    RigSetup s;
    s.front.request_timeout_ns = sec(5);
    ScriptRig r(policy(1, 2), {{"multi-queue-max-queues", "2"}}, s);
    r.connect();
    r.back.hold = true;
    r.rig.submit(IoKind::Read, 0, 8);
    r.rig.pump();
    r.rig.hub.advance(sec(4));
    size_t late = r.rig.submit(IoKind::Read, 8, 8, 4096);
    r.rig.front->pump();
    r.back.push_raw(0, {r.back.seen[0].req.id, Op::Read, 0});
    r.rig.hub.run();
    EXPECT_EQ(r.rig.result(0), IoStatus::Ok);
    r.rig.hub.advance(ms(4999));
    EXPECT_FALSE(r.rig.result(late));
    r.rig.hub.advance(ms(1));
    EXPECT_EQ(r.rig.result(late), IoStatus::Error);
}

/* ---- reconnect ------------------------------------------------------------ */

/* front:requeue — the backend dies; the next one has fewer or more rings, of
 * another size. Each request ends once, in order, with its data. */
TEST(FrontQueues, RequeueToOtherRingsKeepsEachInOrder)
{
    const std::pair<const char *, const char *> shapes[] = {
        {"0", "1"}, {"2", "4"}, {"4", "2"}, {"1", "16"}};
    for (const auto &[order, queues] : shapes) {
        ScriptRig r(policy(16, 8), {{"max-ring-page-order", "2"}, {"multi-queue-max-queues", "4"}});
        r.connect();
        r.back.hold = true;
        std::vector<size_t> ids;
        for (uint32_t i = 0; i < 200; i++) {
            r.rig.fill_guest(i * 4096, 4096, i);
            IoRequest w = r.rig.request(IoKind::Write, i * 8, 8, i * 4096);
            w.queue = i;
            ids.push_back(r.rig.submit(w));
        }
        r.rig.pump();
        EXPECT_EQ(r.back.held(), 200u);
        r.back.vanish();
        r.rig.hub.run();
        EXPECT_EQ(r.rig.front->state(), FrontState::Lost);
        EXPECT_EQ(r.rig.hub.grants.in_use(), 0u);
        r.back.nodes["max-ring-page-order"] = order;
        r.back.nodes["multi-queue-max-queues"] = queues;
        r.back.seen.clear();
        r.back.hold = false;
        r.back.start();
        r.rig.hub.run();
        ASSERT_EQ(r.rig.front->state(), FrontState::Connected) << r.rig.front_state();
        for (uint32_t i = 0; i < ids.size(); i++) {
            EXPECT_EQ(r.rig.result(ids[i]), IoStatus::Ok) << i;
            EXPECT_TRUE(r.disk_is(i * 8, 8, i)) << i;
        }
        EXPECT_EQ(r.back.seen.size(), 200u);
        std::map<uint32_t, uint64_t> last;
        for (const auto &s : r.back.seen) {
            EXPECT_GE(s.req.sector, last[s.queue]) << "order within a ring";
            last[s.queue] = s.req.sector;
        }
        EXPECT_EQ(r.rig.front->counters().requeued, 200u);
    }
}

/* ---- room ------------------------------------------------------------------ */

/* grant:table — one sentence at the start, not a wait for ever later. */
TEST(FrontRoom, TooLittleRoomIsRefused)
{
    FrontPolicy p = policy(4, 3);
    p.max_indirect_segments = 256;
    EXPECT_EQ(BlockFront::min_pool(p), 3u * (4 + 256 + 1));
    for (bool grants : {false, true})
        for (uint32_t missing : {0u, 1u}) {
            RigSetup s;
            s.front.policy = p;
            s.hub.private_pages = BlockFront::min_pool(p) - (grants ? 0 : missing);
            s.hub.grants = BlockFront::min_pool(p) - (grants ? missing : 0);
            Rig rig(s);
            (void)rig.back->start();
            EXPECT_EQ(rig.new_front(), missing == 0);
            EXPECT_STREQ(rig.refusal.clause, missing ? "grant:table" : "");
        }
}

/* What is asked for suffices, is bounded, and is no more than can be used. */
TEST(FrontRoom, WantedRoomSufficesAndIsBounded)
{
    for (uint32_t pages : {1u, 16u})
        for (uint32_t queues : {1u, 16u})
            for (uint32_t segments : {0u, 32u, 4096u})
                for (bool persistent : {false, true}) {
                    FrontPolicy p = policy(pages, queues);
                    p.max_indirect_segments = segments;
                    p.use_persistent = persistent;
                    EXPECT_GE(BlockFront::wanted_grants(p), BlockFront::min_pool(p));
                    EXPECT_GE(BlockFront::wanted_pages(p), BlockFront::min_pool(p));
                    EXPECT_LE(BlockFront::wanted_grants(p), BlockFront::min_pool(p) + 1024);
                    EXPECT_LE(BlockFront::wanted_pages(p), BlockFront::min_pool(p) + 1024 + 64);
                }
    FrontPolicy p = policy(1, 1);
    EXPECT_EQ(BlockFront::wanted_grants(p), 1u + 32 * 11);
    EXPECT_EQ(BlockFront::wanted_pages(p), 1u + 64);
}

} // namespace
