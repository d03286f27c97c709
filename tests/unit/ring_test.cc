/* SPDX-License-Identifier: MIT */
/*
 * Layer `ring`: wrap of the free-running indices at 2^32, hold-off in both
 * directions, and what happens when a peer lies about its producer. Serves
 * ring.h (PUSH_*_AND_CHECK_NOTIFY, FINAL_CHECK_*, *_PROD_OVERFLOW). Each case
 * runs from index 0, across 2^31 and across 2^32.
 */
#include "proto/ring.h"

#include <gtest/gtest.h>

#include <memory>

namespace
{

using namespace pvblk;

struct Page {
    alignas(kPageSize) std::byte bytes[kPageSize]{};
};

class RingTest : public testing::TestWithParam<uint32_t>
{
protected:
    RingTest()
    {
        shared = SharedRing(Abi::X86_64, {page->bytes}, 1);
        RingIndex start(GetParam());
        shared.store(SringField::ReqProd, start);
        shared.store(SringField::RspProd, start);
        shared.store(SringField::ReqEvent, start + 1);
        shared.store(SringField::RspEvent, start + 1);
        front = FrontRing<SharedRing>(shared, start);
        back = BackRing<SharedRing>(shared, start);
    }
    WireRequest request(uint64_t id)
    {
        WireRequest r;
        r.op = Op::FlushDiskcache;
        r.id = RequestId(id);
        return r;
    }
    bool push(uint64_t id)
    {
        front.stage(request(id));
        return front.publish();
    }
    bool answer()
    {
        back.stage({back.take().id, Op::FlushDiskcache, 0});
        return back.publish();
    }

    std::unique_ptr<Page> page = std::make_unique<Page>();
    SharedRing shared;
    FrontRing<SharedRing> front;
    BackRing<SharedRing> back;
};

INSTANTIATE_TEST_SUITE_P(From, RingTest,
                         testing::Values(0u, 0x7ffffff0u, 0xfffffff0u, 0xffffffffu));

/* ring:wrap — 100 requests pass the wrap in order, the ring full each time. */
TEST_P(RingTest, IndexWrapKeepsEachRequest)
{
    uint64_t sent = 0, seen = 0, done = 0;
    while (done < 100) {
        while (front.free())
            front.stage(request(sent++));
        EXPECT_EQ(sent - done, front.size());
        front.publish();
        auto n = back.requests();
        ASSERT_TRUE(n);
        ASSERT_EQ(n.value(), back.size());
        for (uint32_t i = 0; i < n.value(); i++) {
            WireRequest r = back.take();
            EXPECT_EQ(r.id.value, seen++);
            back.stage({r.id, r.op, 0});
        }
        back.publish();
        auto m = front.responses();
        ASSERT_TRUE(m);
        ASSERT_EQ(m.value(), front.size());
        for (uint32_t i = 0; i < m.value(); i++)
            EXPECT_EQ(front.take().id.value, done++);
    }
}

/* ring:slot — a slot is not handed out before its response was taken. */
TEST_P(RingTest, FullRingKeepsUnansweredRequests)
{
    for (uint32_t i = 0; i < front.size(); i++)
        push(i);
    EXPECT_EQ(front.free(), 0u);
    answer();
    EXPECT_EQ(front.free(), 0u) << "answered, but the response was not taken";
    ASSERT_TRUE(front.responses());
    front.take();
    EXPECT_EQ(front.free(), 1u);
}

/* ring:publish — a staged request is invisible, however long it waits. */
TEST_P(RingTest, StagedRequestIsInvisibleUntilPublish)
{
    front.stage(request(1));
    EXPECT_TRUE(front.staged());
    EXPECT_EQ(back.requests().value(), 0u);
    front.publish();
    EXPECT_FALSE(front.staged());
    EXPECT_EQ(back.requests().value(), 1u);
}

/* ring:req-event — the first request after idle notifies; while the backend
 * works and has not re-armed, none does; after it re-armed, the next does. */
TEST_P(RingTest, RequestNotifiesASleepingBackendAlone)
{
    EXPECT_TRUE(push(1));
    EXPECT_FALSE(push(2)) << "backend is awake";
    while (back.requests().value())
        back.take();
    EXPECT_EQ(back.rearm().value(), 0u);
    EXPECT_TRUE(push(3));
}

/* ring:final-check — pushed between the backend's last look and its re-arm. */
TEST_P(RingTest, BackendSeesARequestMadeWhileItRearmed)
{
    push(1);
    back.take();
    EXPECT_FALSE(push(2)) << "not re-armed yet: no event";
    EXPECT_EQ(back.rearm().value(), 1u) << "so the re-check has to see it";
}

/* ring:rsp-event — the same for responses. */
TEST_P(RingTest, ResponseNotifiesASleepingFrontendAlone)
{
    for (uint64_t i = 0; i < 4; i++)
        push(i);
    EXPECT_TRUE(answer());
    EXPECT_FALSE(answer()) << "frontend is awake";
    while (front.responses().value())
        front.take();
    EXPECT_EQ(front.rearm().value(), 0u);
    EXPECT_TRUE(answer());
}

TEST_P(RingTest, FrontendSeesAResponseMadeWhileItRearmed)
{
    push(1);
    push(2);
    answer();
    front.take();
    EXPECT_FALSE(answer());
    EXPECT_EQ(front.rearm().value(), 1u);
}

/* ring:batch — one batch that passes the event index in its middle. */
TEST_P(RingTest, BatchAcrossTheEventIndexSendsAnEvent)
{
    shared.store(SringField::ReqEvent, RingIndex(GetParam()) + 3);
    for (uint64_t i = 0; i < 5; i++)
        front.stage(request(i));
    EXPECT_TRUE(front.publish());
    shared.store(SringField::ReqEvent, RingIndex(GetParam()) + 5);
    EXPECT_FALSE(push(5)) << "event index is behind, at what was published before";
    shared.store(SringField::ReqEvent, RingIndex(GetParam()) + 8);
    EXPECT_FALSE(push(6)) << "event index is ahead of what is published now";
}

struct Lie {
    const char *what;
    uint32_t jump; /* from the honest producer */
};
constexpr Lie kLies[] = {
    {"one too many", 1},       {"ring + 1", 33},         {"2^31", 1u << 31},
    {"one back", 0xffffffffu}, {"a ring back", 0u - 32},
};

/* ring:rsp-prod — with two requests in flight, one of them answered. */
TEST_P(RingTest, LyingResponseProducerIsRefused)
{
    push(1);
    push(2);
    back.take();
    back.stage({RequestId(1), Op::FlushDiskcache, 0});
    back.take();
    back.stage({RequestId(2), Op::FlushDiskcache, 0});
    back.publish();
    RingIndex honest = shared.load(SringField::RspProd);
    EXPECT_EQ(front.responses().value(), 2u);
    front.take();
    front.take();
    for (const Lie &lie : kLies) {
        shared.store(SringField::RspProd, honest + lie.jump);
        auto n = front.responses();
        ASSERT_FALSE(n) << lie.what;
        EXPECT_STREQ(n.error().clause, "ring:rsp-prod");
        EXPECT_FALSE(front.rearm()) << lie.what;
    }
}

/* ring:rsp-unpublished — a staged request cannot be answered yet. */
TEST_P(RingTest, AnswerToAnUnpublishedRequestIsRefused)
{
    front.stage(request(1));
    shared.store(SringField::RspProd, RingIndex(GetParam()) + 1);
    EXPECT_FALSE(front.responses());
}

/* ring:req-prod — the full ring is legal, one more is not. */
TEST_P(RingTest, LyingRequestProducerIsRefused)
{
    shared.store(SringField::ReqProd, RingIndex(GetParam()) + 32);
    EXPECT_EQ(back.requests().value(), 32u);
    for (uint32_t jump : {33u, 1u << 31, 0xffffffffu}) {
        shared.store(SringField::ReqProd, RingIndex(GetParam()) + jump);
        auto n = back.requests();
        ASSERT_FALSE(n) << jump;
        EXPECT_STREQ(n.error().clause, "ring:req-prod");
    }
}

/* ... counted from the responses, not from what was taken: a slot whose
 * response is outstanding is not free. */
TEST_P(RingTest, RequestProducerCannotPassUnansweredRequests)
{
    for (uint64_t i = 0; i < 32; i++)
        push(i);
    for (uint32_t i = 0; i < 32; i++)
        back.take();
    shared.store(SringField::ReqProd, RingIndex(GetParam()) + 33);
    EXPECT_FALSE(back.requests());
}

/* ... and one that goes back behind what was taken is no fewer requests. */
TEST_P(RingTest, RequestProducerCannotGoBack)
{
    push(1);
    push(2);
    back.take();
    back.take();
    shared.store(SringField::ReqProd, RingIndex(GetParam()) + 1);
    auto n = back.requests();
    ASSERT_FALSE(n);
    EXPECT_STREQ(n.error().clause, "ring:req-prod");
}

/* ring:own-index — our own indices are never read back (Xen's push macros do). */
TEST_P(RingTest, OwnProducerIsNeverReadBack)
{
    push(1);
    back.take();
    EXPECT_EQ(back.rearm().value(), 0u);
    shared.store(SringField::ReqProd, RingIndex(GetParam()) + 20); /* the peer */
    EXPECT_TRUE(push(2)) << "old producer has to come from private memory";
    EXPECT_EQ(shared.load(SringField::ReqProd), RingIndex(GetParam()) + 2);
    shared.store(SringField::RspProd, RingIndex(GetParam()) + 20);
    EXPECT_TRUE(answer());
    EXPECT_EQ(shared.load(SringField::RspProd), RingIndex(GetParam()) + 1);
}

} // namespace
