/* SPDX-License-Identifier: MIT */
/*
 * Requests alone: each is in one line or in flight, and completed once. Serves
 * front:exactly-once.
 */
#include "front/requests.h"
#include "support/front_parts.h"

namespace
{

using namespace pvblk;

class FrontRequests : public testing::Test
{
protected:
    IoRequest make(IoKind kind, uint32_t queue = 0)
    {
        IoRequest r = parts.follow(buffer.request(kind, 0, 16));
        r.queue = queue;
        return r;
    }
    /* Accepts one, and takes all of it out of its line. */
    Job *launched(const IoRequest &r)
    {
        requests.accept(r);
        Job *job = requests.head(r.queue % 2);
        requests.pop(r.queue % 2);
        job->advance(job->bytes);
        job->outstanding = 1;
        return job;
    }
    std::optional<IoStatus> result(size_t id) const { return parts.owner.results[id]; }

    static constexpr uint32_t kMost = 4;
    FrontParts parts;
    TestBuffer buffer{parts.hub, {{0, 4096}, {8192, 4096}}};
    Requests requests{parts.owner, parts.counters, kMost, 2};
};

TEST_F(FrontRequests, LineIsInTheOrderOfAcceptance)
{
    for (uint32_t i = 0; i < kMost; i++)
        requests.accept(make(IoKind::Read, i));
    EXPECT_FALSE(requests.has_room());
    EXPECT_EQ(requests.accepted(), kMost);
    for (uint32_t queue : {0u, 1u})
        for (uint64_t n : {queue, queue + 2}) {
            ASSERT_TRUE(requests.head(queue));
            EXPECT_EQ(requests.head(queue)->sequence, n);
            requests.pop(queue);
        }
    EXPECT_FALSE(requests.head(0));
    EXPECT_FALSE(requests.head(1));
    requests.end(std::nullopt, IoStatus::Error);
}

TEST_F(FrontRequests, FirstFailureIsTheResultOnceAllPartsAreBack)
{
    Job *job = launched(make(IoKind::Read));
    job->outstanding = 3;
    requests.part_done(*job, {IoStatus::Ok, false}, true);
    requests.part_done(*job, {IoStatus::Unsupported, false}, true);
    EXPECT_FALSE(result(0));
    requests.part_done(*job, {IoStatus::Error, false}, true);
    EXPECT_EQ(result(0), IoStatus::Unsupported);
    EXPECT_EQ(parts.counters.failed, 1u);
    EXPECT_EQ(requests.accepted(), 0u);
}

TEST_F(FrontRequests, BatchEndsOnceAndOnlyAfterACompletion)
{
    requests.end_batch();
    EXPECT_EQ(parts.owner.batches, 0u);
    requests.part_done(*launched(make(IoKind::Read)), {}, true);
    requests.end_batch();
    requests.end_batch();
    EXPECT_EQ(parts.owner.batches, 1u);
}

/* A stable write's data is there; the flush is still to come, while it can. */
TEST_F(FrontRequests, StableWriteLinesUpAgainForItsFlush)
{
    for (bool flush_due : {true, false}) {
        IoRequest r = make(IoKind::Write);
        r.flush_after = true;
        Job *job = launched(r);
        requests.part_done(*job, {}, flush_due);
        EXPECT_EQ(requests.head(0), flush_due ? job : nullptr);
        EXPECT_EQ(result(flush_due ? 0 : 1).has_value(), !flush_due);
        requests.end(std::nullopt, IoStatus::Error);
    }
}

TEST_F(FrontRequests, LostPartIsSentFromItsFirstByteOn)
{
    Job *job = launched(make(IoKind::Read));
    job->outstanding = 2;
    requests.part_lost(*job, 4096 + 512);
    requests.part_lost(*job, 6144);
    requests.line_up(1);
    ASSERT_EQ(requests.head(0), job);
    EXPECT_EQ(job->offset, 4096u + 512);
    EXPECT_EQ(job->at.iov, 1u);
    EXPECT_EQ(job->at.offset, 512u);
    EXPECT_EQ(job->outstanding, 0u);
    requests.end(std::nullopt, IoStatus::Error);
}

TEST_F(FrontRequests, StableWriteStartsOverOnTheNextConnection)
{
    IoRequest r = make(IoKind::Write);
    r.flush_after = true;
    Job *job = launched(r);
    job->flush_left = false; /* on its way */
    requests.part_lost(*job, 8192);
    requests.line_up(1);
    EXPECT_EQ(job->offset, 0u);
    EXPECT_TRUE(job->flush_left);
    requests.end(std::nullopt, IoStatus::Error);
}

TEST_F(FrontRequests, LinesOfAnotherPlanKeepTheOrder)
{
    for (uint32_t i = 0; i < kMost; i++)
        requests.accept(make(IoKind::Read, kMost - i));
    requests.line_up(1);
    for (uint64_t n = 0; n < kMost; n++) {
        EXPECT_EQ(requests.head(0)->sequence, n);
        requests.pop(0);
    }
    EXPECT_FALSE(requests.head(0));
    requests.end(std::nullopt, IoStatus::Error);
}

TEST_F(FrontRequests, EndOfOneQueueLeavesTheOthersInLine)
{
    for (uint32_t queue : {0u, 2u, 0u, 2u}) /* both are line 0 */
        requests.accept(make(IoKind::Read, queue));
    requests.end(2, IoStatus::Cancelled);
    EXPECT_EQ(result(1), IoStatus::Cancelled);
    EXPECT_EQ(result(3), IoStatus::Cancelled);
    EXPECT_FALSE(result(0) || result(2));
    EXPECT_EQ(requests.head(0)->sequence, 0u);
    requests.pop(0);
    EXPECT_EQ(requests.head(0)->sequence, 2u);
    requests.end(std::nullopt, IoStatus::Error);
}

TEST_F(FrontRequests, SubmittedInsideCompletedIsNotMeant)
{
    for (uint32_t i = 0; i < kMost; i++)
        requests.accept(make(IoKind::Read));
    parts.owner.on_completed = [this] {
        if (parts.owner.results.size() < 2 * kMost)
            requests.accept(make(IoKind::Read));
    };
    requests.end(std::nullopt, IoStatus::Cancelled);
    EXPECT_EQ(parts.owner.order.size(), kMost);
    EXPECT_EQ(requests.accepted(), kMost);
    parts.owner.on_completed = {};
    requests.end(std::nullopt, IoStatus::Cancelled);
    EXPECT_EQ(parts.owner.order.size(), 2 * kMost);
}

} // namespace
