/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: requests that lose their owner or their backend before they
 * are done: reset of one queue, a reset that nobody answers, a reconnect that
 * is asked for twice, a backend that is another one than before.
 */
#include "support/rig.h"

namespace pvblk
{
namespace
{

IoRequest on_queue(IoRequest r, uint32_t queue)
{
    r.queue = queue;
    return r;
}

/* VIRTIO-v1.2 2.6.1: reset of one queue leaves the others alone. */
TEST(FrontCancel, ResetOfAQueueSparesOthers)
{
    Rig rig;
    rig.setup.front.max_requests = 64;
    rig.connect();
    rig.oracle_matters = false; /* a cancelled request finds its page revoked */
    rig.back->knobs().hold = true;
    size_t other = rig.submit(on_queue(rig.request(IoKind::Read, 0, 1, 0), 0));
    size_t mine = rig.submit(on_queue(rig.request(IoKind::Read, 8, 1, 4096), 1));
    rig.pump();
    /* One more of each that has not been sent. */
    size_t other_late = rig.submit(on_queue(rig.request(IoKind::Read, 16, 1, 8192), 0));
    size_t mine_late = rig.submit(on_queue(rig.request(IoKind::Read, 24, 1, 12288), 1));
    rig.front->cancel_queue(1);
    EXPECT_EQ(rig.result(mine), IoStatus::Cancelled);
    EXPECT_EQ(rig.result(mine_late), IoStatus::Cancelled);
    EXPECT_FALSE(rig.result(other));
    EXPECT_FALSE(rig.result(other_late));
    rig.back->knobs().hold = false;
    rig.back->complete_all();
    rig.hub.run();
    EXPECT_EQ(rig.result(other), IoStatus::Ok);
    EXPECT_EQ(rig.result(other_late), IoStatus::Ok);
    EXPECT_EQ(rig.front->accepted(), 0u);
}

/* grant:sweep-bound — a backend that keeps a thousand pages does not keep the
 * thread that resets. */
TEST(FrontCancel, CancelLooksForMappedPagesOnlySoOften)
{
    constexpr uint32_t kRequests = 96, kPages = kRequests * kMaxDirectSegments;
    RigSetup s;
    s.hub.grants = s.hub.guest_pages = 1200;
    s.back.max_ring_page_order = 2; /* 128 requests */
    Rig rig(s);
    rig.oracle_matters = false; /* what is cancelled finds its pages revoked */
    rig.back->knobs().hold = rig.back->knobs().hold_mapped = true;
    rig.connect();
    for (uint64_t i = 0; i < kRequests; i++)
        rig.submit(IoKind::Read, i, 88, i * 88 * kSectorSize);
    rig.pump();
    ASSERT_EQ(rig.hub.grants.mapped(), 4 + kPages) << "the ring, and all data";
    uint64_t before = rig.hub.calls(HubCall::Revoke);
    rig.front->cancel_all();
    EXPECT_EQ(rig.front->quarantined(), kPages);
    EXPECT_LE(rig.hub.calls(HubCall::Revoke) - before, kPages + 16'000u);
    rig.back->knobs().hold = false;
    rig.back->complete_all();
    rig.hub.run();
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
    EXPECT_EQ(rig.front->quarantined(), 0u) << "what came back is found";
}

/* A reset recovers, even from a backend that never answers what was sent
 * before it: after a handshake's time the connection is made anew. */
TEST(FrontCancel, UnansweredOrphanLeadsToAReconnect)
{
    Rig rig;
    rig.connect();
    rig.oracle_matters = false;
    rig.back->knobs().hold = true;
    rig.submit(IoKind::Write, 0, 8);
    rig.pump();
    rig.front->cancel_all();
    rig.back->knobs().hold = false;
    size_t next = rig.submit(IoKind::Write, 8, 8);
    rig.pump();
    EXPECT_FALSE(rig.result(next)) << "the old write may still land";
    rig.hub.advance(sec(11));
    rig.hub.run();
    EXPECT_EQ(rig.result(next), IoStatus::Ok) << rig.front_state();
    EXPECT_EQ(rig.front->counters().reconnects, 1u);
    EXPECT_EQ(rig.front->state(), FrontState::Connected);
}

TEST(FrontCancel, SecondReconnectWaitsForNobody)
{
    Rig rig;
    rig.connect();
    rig.oracle_matters = false;
    rig.back->knobs().hold = true;
    size_t held = rig.submit(IoKind::Write, 0, 8);
    rig.pump();
    rig.front->reconnect();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Draining) << "once: finish first";
    rig.back->knobs().hold = false;
    rig.front->reconnect();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    EXPECT_EQ(rig.result(held), IoStatus::Ok) << "sent again";
    EXPECT_EQ(rig.front->counters().requeued, 1u);
}

/* xenbus:deadline: a backend that wants to leave does not get for ever,
 * because we were draining already. */
TEST(FrontCancel, DrainEndsInTimeWhenTheBackendCloses)
{
    Rig rig;
    rig.connect();
    rig.oracle_matters = false;
    rig.back->knobs().hold = true;
    rig.submit(IoKind::Write, 0, 8);
    rig.pump();
    rig.front->reconnect();
    rig.hub.run();
    ASSERT_EQ(rig.front->state(), FrontState::Draining);
    rig.back->close();
    rig.hub.run();
    rig.hub.advance(sec(11));
    rig.hub.run();
    EXPECT_NE(rig.front->state(), FrontState::Draining);
}

/* What was accepted for a writable disk is not sent to a read-only one; QEMU's
 * xen-cdrom would abort on the discard. */
TEST(FrontCancel, ForbiddenRequestIsNotSent)
{
    Rig rig;
    rig.connect();
    rig.back->vanish();
    rig.hub.run();
    ASSERT_EQ(rig.front->state(), FrontState::Lost);
    size_t write = rig.submit(IoKind::Write, 0, 1);
    size_t discard = rig.submit(IoKind::Discard, 0, 8);
    size_t flush = rig.submit(IoKind::Flush, 0, 0);
    size_t read = rig.submit(IoKind::Read, 0, 1);
    rig.setup.back.read_only = true;
    rig.setup.back.flush = false;
    rig.new_back();
    ASSERT_TRUE(rig.back->start());
    rig.hub.run();
    ASSERT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    EXPECT_EQ(rig.result(write), IoStatus::Error);
    EXPECT_NE(rig.result(discard), IoStatus::Ok);
    EXPECT_EQ(rig.result(flush), IoStatus::Ok) << "it says of no cache";
    EXPECT_EQ(rig.result(read), IoStatus::Ok);
    EXPECT_EQ(rig.front->counters().ring_writes, 0u);
    EXPECT_EQ(rig.front->counters().ring_discards, 0u);
    EXPECT_EQ(rig.front->counters().ring_flushes, 0u);
}

/* The same for what was in flight, and goes first on the new connection. */
TEST(FrontCancel, ForbiddenRequestIsNotSentAgain)
{
    Rig rig;
    rig.connect();
    rig.back->knobs().hold = true;
    size_t write = rig.submit(IoKind::Write, 0, 1);
    rig.pump();
    rig.back->vanish();
    rig.hub.run();
    rig.setup.back.read_only = true;
    rig.new_back();
    ASSERT_TRUE(rig.back->start());
    rig.hub.run();
    EXPECT_EQ(rig.result(write), IoStatus::Error);
    EXPECT_EQ(rig.front->counters().ring_writes, 1u) << "on the old connection only";
}

/* blkif.h: FLUSH_DISKCACHE may be answered EOPNOTSUPP at any time. A write that
 * has to be stable cannot be, from then on. */
TEST(FrontCancel, StableWriteFailsOnceFlushIsGone)
{
    Rig rig;
    rig.connect();
    rig.obey("at before-work: features/unsupported");
    EXPECT_EQ(rig.flush(), IoStatus::Unsupported);
    IoRequest stable = rig.request(IoKind::Write, 0, 1);
    stable.flush_after = true;
    EXPECT_EQ(rig.finish(stable), IoStatus::Error);
    EXPECT_EQ(rig.write(0, 1), IoStatus::Ok) << "one that need not be, works";
}

} // namespace
} // namespace pvblk
