/* SPDX-License-Identifier: MIT */
/*
 * BlockFront's indirect requests: when they are used, what they hold, which
 * answers are taken, and what becomes of one whose backend goes away. Serves
 * blkif.h feature-max-indirect-segments and struct blkif_request_indirect.
 */
#include "support/script_back.h"

namespace
{

using namespace pvblk;

constexpr const char *kNode = "feature-max-indirect-segments";

FrontPolicy policy(uint32_t segments)
{
    FrontPolicy p;
    p.max_indirect_segments = segments;
    return p;
}

/* 512 bytes each, so that a piece is a segment. */
IoRequest fragmented(Rig &rig, IoKind kind, uint32_t segments, uint64_t sector = 0)
{
    std::vector<Part> parts;
    for (uint32_t i = 0; i < segments; i++)
        parts.push_back({i * 512ull, 512});
    IoRequest r = rig.request(kind, sector, segments);
    r.buffer = rig.buffer(parts);
    return r;
}

/* blkif:feature-max-indirect-segments — up to 11 counts as none. */
TEST(FrontIndirect, RequestIsAsLargeAsBothAllow)
{
    struct {
        const char *node;
        uint32_t most, segments;
    } const cases[] = {{"0", 32, 11},  {"11", 32, 11},  {"12", 32, 12},
                       {"32", 32, 32}, {"256", 32, 32}, {"256", 256, 256},
                       {"256", 0, 11}, {"256", 11, 11}, {"18446744073709551615", 9999, 4096}};
    for (const auto &c : cases) {
        ScriptRig r(policy(c.most), {{kNode, c.node}});
        r.connect();
        EXPECT_EQ(r.rig.front->plan().max_segments, c.segments) << c.node;
        r.rig.fill_guest(0, 1 << 20, 9);
        EXPECT_EQ(r.rig.write(0, 2048), IoStatus::Ok);
        EXPECT_TRUE(r.disk_is(0, 2048, 9));
        EXPECT_EQ(r.back.seen.size(), (256 + c.segments - 1) / c.segments);
        r.check_data(64);
    }
}

/* What fits into a request of its own goes there. */
TEST(FrontIndirect, SmallRequestIsDirect)
{
    ScriptRig r(policy(32), {{kNode, "32"}});
    r.connect();
    EXPECT_EQ(r.rig.finish(fragmented(r.rig, IoKind::Write, 11)), IoStatus::Ok);
    EXPECT_EQ(r.back.seen.back().req.op, Op::Write);
    EXPECT_EQ(r.rig.finish(fragmented(r.rig, IoKind::Read, 12)), IoStatus::Ok);
    const WireRequest &req = r.back.seen.back().req;
    EXPECT_EQ(req.op, Op::Indirect);
    EXPECT_EQ(req.indirect_op, Op::Read);
    EXPECT_EQ(req.nr_indirect_segments, 12);
    EXPECT_EQ(r.rig.front->counters().ring_indirect, 1u);
    EXPECT_EQ(r.rig.front->counters().ring_reads, 1u);
    EXPECT_EQ(r.rig.hub.grants.in_use(), 1u) << "the ring alone";
}

/* Eight pages of 512 segments, each of which is where it has to be. */
TEST(FrontIndirect, EachSegmentIsListedInItsPlace)
{
    for (Abi abi : {Abi::X86_64, Abi::X86_32}) {
        FrontPolicy p = policy(4096);
        p.abi = abi;
        RigSetup s;
        s.hub.grants = 5000;
        ScriptRig r(p, {{kNode, "4096"}}, s);
        r.connect();
        for (uint32_t n : {511u, 512u, 513u, 1025u, 4096u}) {
            r.rig.fill_guest(0, n * 512, n);
            ASSERT_EQ(r.rig.finish(fragmented(r.rig, IoKind::Write, n)), IoStatus::Ok);
            EXPECT_TRUE(r.disk_is(0, n, n)) << n;
            EXPECT_EQ(r.back.seen.back().segments.size(), n);
            r.fill_disk(0, n, n + 1);
            ASSERT_EQ(r.rig.finish(fragmented(r.rig, IoKind::Read, n)), IoStatus::Ok);
            EXPECT_TRUE(r.rig.guest_is(0, n * 512, n + 1)) << n;
        }
        EXPECT_EQ(r.back.seen.size(), 10u);
        EXPECT_EQ(r.rig.hub.grants.in_use(), 1u + r.back.ring_pages(0) - 1);
    }
}

/* blkif.h: the pages of segments are the frontend's to write. */
TEST(FrontIndirect, ListOfSegmentsIsReadOnly)
{
    ScriptRig r(policy(32), {{kNode, "32"}});
    r.connect();
    r.rig.oracle_matters = false;
    r.back.hold = true;
    r.rig.submit(fragmented(r.rig, IoKind::Read, 20));
    r.rig.pump();
    EXPECT_FALSE(r.rig.hub.grants.map(r.back.seen[0].req.indirect[0], false));
    r.back.hold = false;
    r.back.release();
    r.rig.hub.run();
    EXPECT_EQ(r.rig.result(0), IoStatus::Ok);
}

/* ring:rsp-op — blkback answers with the inner operation, others with 6;
 * nobody with anything else, and with 6 only where it was 6. */
TEST(FrontIndirect, AnswersOperationIsChecked)
{
    for (bool outer : {false, true}) {
        ScriptRig r(policy(32), {{kNode, "32"}});
        r.connect();
        r.back.outer_op = outer;
        EXPECT_EQ(r.rig.read(0, 2048), IoStatus::Ok) << r.rig.front_state();
    }
    for (uint32_t segments : {11u, 12u})
        for (Op op : {Op::Write, Op::Indirect, Op::Discard}) {
            ScriptRig r(policy(32), {{kNode, "32"}});
            r.connect();
            r.back.hold = true;
            size_t id = r.rig.submit(fragmented(r.rig, IoKind::Read, segments));
            r.rig.pump();
            r.back.push_raw(0, {r.back.seen[0].req.id, op, 0});
            r.rig.hub.run();
            bool legal = segments > 11 && op == Op::Indirect;
            EXPECT_EQ(r.rig.result(id), legal ? IoStatus::Ok : IoStatus::Error);
            EXPECT_STREQ(r.rig.front->broken().clause, legal ? "" : "ring:rsp-op");
        }
}

/* grant:end-access — the list of segments, too, is let go before the answer. */
TEST(FrontIndirect, MappedListIsQuarantined)
{
    ScriptRig r(policy(32), {{kNode, "32"}});
    r.connect();
    r.back.hold = true;
    size_t id = r.rig.submit(fragmented(r.rig, IoKind::Read, 20));
    r.rig.pump();
    GrantRef list = r.back.seen[0].req.indirect[0];
    auto page = r.rig.hub.grants.map(list, true);
    ASSERT_TRUE(page);
    r.back.hold = false;
    r.back.release();
    r.rig.hub.run();
    EXPECT_EQ(r.rig.result(id), IoStatus::Error);
    EXPECT_STREQ(r.rig.front->broken().clause, "grant:end-access");
    EXPECT_GE(r.rig.front->quarantined(), 1u);
    r.rig.hub.grants.unmap(list, page.value());
    r.reconnect();
    r.check_data(256);
    EXPECT_EQ(r.rig.front->quarantined(), 0u);
}

/* front:pools — where no page is left for a list, requests are direct ones,
 * or wait; nothing hangs. */
TEST(FrontIndirect, RequestsEndWithTheLeastRoom)
{
    for (bool bounce : {false, true}) {
        RigSetup s;
        s.front.policy = policy(32);
        s.front.always_bounce = bounce;
        s.hub.private_pages = s.hub.grants = BlockFront::min_pool(s.front.policy);
        Rig rig(s);
        ScriptBack back(rig.hub, {{kNode, "32"}, {"max-ring-page-order", "4"}});
        back.start();
        ASSERT_TRUE(rig.new_front()) << rig.refusal.what;
        rig.front->start();
        rig.hub.run();
        for (uint32_t i = 0; i < 100; i++)
            rig.submit(IoKind::Write, i, 2048, 0);
        rig.pump();
        EXPECT_EQ(rig.front->accepted(), 0u) << rig.front_state();
        EXPECT_EQ(back.failures, 0u);
        EXPECT_GT(rig.front->counters().ring_indirect, 0u);
    }
}

/* front:requeue — what was split for one limit is split anew for another. */
TEST(FrontIndirect, RequeuedRequestIsSplitAnew)
{
    for (const char *limit : {"0", "20", "256"})
        for (bool write : {false, true}) {
            ScriptRig r(policy(64), {{kNode, "64"}, {"max-ring-page-order", "1"}});
            r.connect();
            r.back.hold = true;
            if (write)
                r.rig.fill_guest(0, 3 << 20, 5);
            else
                r.fill_disk(0, 6144, 5);
            std::vector<size_t> ids;
            for (uint32_t i = 0; i < 3; i++)
                ids.push_back(r.rig.submit(write ? IoKind::Write : IoKind::Read, i * 2048, 2048,
                                           static_cast<uint64_t>(i) << 20));
            r.rig.pump();
            EXPECT_EQ(r.back.held(), 12u);
            /* One part of the first is done. */
            r.back.push_raw(0, {r.back.seen[2].req.id, write ? Op::Write : Op::Read, 0});
            r.rig.hub.run();
            r.back.vanish();
            r.rig.hub.run();
            EXPECT_EQ(r.rig.hub.grants.in_use(), 0u);
            r.back.nodes[kNode] = limit;
            r.back.nodes["max-ring-page-order"] = "0";
            r.back.seen.clear();
            r.back.hold = false;
            r.back.start();
            r.rig.hub.run();
            ASSERT_EQ(r.rig.front->state(), FrontState::Connected) << r.rig.front_state();
            for (size_t id : ids)
                EXPECT_EQ(r.rig.result(id), IoStatus::Ok);
            for (const auto &s : r.back.seen)
                EXPECT_LE(s.segments.size(), r.rig.front->plan().max_segments);
            EXPECT_EQ(r.rig.front->counters().requeued, 11u);
            EXPECT_TRUE(r.disk_is(0, 6144, 5));
            EXPECT_TRUE(r.rig.guest_is(0, 3 << 20, 5));
            EXPECT_EQ(r.rig.front->accepted(), 0u);
            EXPECT_EQ(r.back.failures, 0u);
        }
}

} // namespace
