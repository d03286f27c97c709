/* SPDX-License-Identifier: MIT */
/*
 * Terms alone: what a backend offers, may change and may take back. Serves
 * blkif:sector-size, blkif:eopnotsupp and blkif.h "Backend XenBus Nodes".
 */
#include "front/terms.h"

#include <gtest/gtest.h>

namespace
{

using namespace pvblk;

constexpr int16_t kOkay = static_cast<int16_t>(RspStatus::Okay);
constexpr int16_t kError = static_cast<int16_t>(RspStatus::Error);
constexpr int16_t kUnsupported = static_cast<int16_t>(RspStatus::EOpNotSupp);

NodeSet disk(const char *sectors = "8192")
{
    NodeSet n;
    n.set(Node::Sectors, sectors);
    n.set(Node::SectorSize, "512");
    n.set(Node::FeatureFlushCache, "1");
    n.set(Node::FeatureBarrier, "1");
    n.set(Node::FeatureDiscard, "1");
    n.set(Node::MultiQueueMaxQueues, "4");
    return n;
}

FrontPolicy policy()
{
    FrontPolicy p;
    p.max_queues = 4;
    return p;
}

/* Connected to that disk. */
Terms connected(const NodeSet &nodes = disk())
{
    Terms t(policy(), negotiate(nodes, policy()).value());
    t.announce(t.read(nodes).value());
    EXPECT_TRUE(t.adopt_new(nodes));
    return t;
}

IoRequest request(IoKind kind, uint64_t sector, uint64_t sectors)
{
    IoRequest r;
    r.kind = kind;
    r.sector = Sector(sector);
    r.sectors = sectors;
    return r;
}

TEST(FrontTerms, SizeMayChangeAndSectorSizeMayNot)
{
    Terms t = connected();
    EXPECT_FALSE(t.refresh(disk()).value());
    EXPECT_TRUE(t.refresh(disk("4096")).value());
    EXPECT_EQ(t.plan().sectors, 4096u);
    NodeSet other = disk();
    other.set(Node::SectorSize, "4096");
    auto refused = t.refresh(other);
    ASSERT_FALSE(refused);
    EXPECT_STREQ(refused.error().clause, "blkif:sector-size");
    EXPECT_EQ(t.plan().sectors, 4096u) << "a part of it was taken";
}

TEST(FrontTerms, RingsStayAsTheyWereAnnounced)
{
    Terms t = connected();
    NodeSet fewer = disk();
    fewer.set(Node::MultiQueueMaxQueues, "1");
    EXPECT_TRUE(t.refresh(fewer));
    EXPECT_EQ(t.plan().queues, 4u);
}

TEST(FrontTerms, WithdrawnFeatureComesBackWithTheNextConnectionAlone)
{
    Terms t = connected();
    EXPECT_TRUE(t.withdraw(Feature::Discard, kUnsupported, false));
    EXPECT_TRUE(t.refresh(disk()));
    EXPECT_FALSE(t.plan().discard);
    EXPECT_EQ(t.judge(request(IoKind::Discard, 0, 8)), IoStatus::Unsupported);
    EXPECT_TRUE(t.adopt_new(disk()));
    EXPECT_TRUE(t.plan().discard);
}

/* QEMU's and FreeBSD's backends have no EOPNOTSUPP. */
TEST(FrontTerms, ErrorWithdrawsOnlyWhatWasNeverDone)
{
    Terms t = connected();
    EXPECT_FALSE(t.withdraw(Feature::Barrier, kError, true)) << "for the data's sake, maybe";
    EXPECT_FALSE(t.withdraw(Feature::Flush, kOkay, false));
    EXPECT_FALSE(t.withdraw(Feature::Flush, kError, false));
    EXPECT_TRUE(t.plan().flush);
    EXPECT_TRUE(t.withdraw(Feature::Discard, kError, false));
    EXPECT_FALSE(t.withdraw(Feature::None, kError, false));
}

/* There was a cache: to call a write stable without a flush would be a lie. */
TEST(FrontTerms, StableWriteFailsOnceNoFlushIsLeft)
{
    Terms t = connected();
    IoRequest write = request(IoKind::Write, 0, 8);
    write.flush_after = true;
    EXPECT_TRUE(t.withdraw(Feature::Flush, kUnsupported, false));
    EXPECT_EQ(t.judge(write), IoStatus::Ok) << "there is a barrier";
    EXPECT_TRUE(t.withdraw(Feature::Barrier, kUnsupported, false));
    EXPECT_EQ(t.judge(write), IoStatus::Error);
    EXPECT_TRUE(t.flush_due());
    write.flush_after = false;
    EXPECT_EQ(t.judge(write), IoStatus::Ok);
}

/* Nothing says that there is a cache: what was answered is stable. */
TEST(FrontTerms, FlushIsAllowedWhereNoneWasEverOffered)
{
    NodeSet plain = disk();
    plain.clear(Node::FeatureFlushCache);
    plain.clear(Node::FeatureBarrier);
    IoRequest flush = request(IoKind::Flush, 0, 0), write = request(IoKind::Write, 0, 8);
    write.flush_after = true;
    Terms t = connected(plain);
    EXPECT_EQ(t.judge(flush), IoStatus::Ok);
    EXPECT_EQ(t.judge(write), IoStatus::Ok);
    EXPECT_FALSE(t.flush_due());
    /* The next backend has a cache, and takes its means to flush back ... */
    EXPECT_TRUE(t.adopt_new(disk()));
    EXPECT_TRUE(t.flush_due());
    EXPECT_TRUE(t.withdraw(Feature::Flush, kUnsupported, false));
    EXPECT_TRUE(t.withdraw(Feature::Barrier, kUnsupported, false));
    EXPECT_EQ(t.judge(flush), IoStatus::Unsupported);
    EXPECT_TRUE(t.refresh(plain));
    EXPECT_EQ(t.judge(flush), IoStatus::Unsupported) << "by its nodes, too";
    /* ... and the one after it has none. */
    EXPECT_TRUE(t.adopt_new(plain));
    EXPECT_EQ(t.judge(flush), IoStatus::Ok);
    EXPECT_EQ(t.judge(write), IoStatus::Ok);
}

/* To leave it out would call data stable that is in a cache. */
TEST(FrontTerms, FlushThatIsOfferedLaterCounts)
{
    NodeSet plain = disk();
    plain.clear(Node::FeatureFlushCache);
    plain.clear(Node::FeatureBarrier);
    Terms t = connected(plain);
    EXPECT_TRUE(t.refresh(disk()));
    EXPECT_TRUE(t.plan().flush);
    EXPECT_TRUE(t.flush_due());
    EXPECT_TRUE(t.withdraw(Feature::Flush, kUnsupported, false));
    EXPECT_TRUE(t.refresh(disk()));
    EXPECT_FALSE(t.plan().flush) << "what was not done stays off";
}

/* blkif:trusted — grants were made for a backend that sees private pages alone. */
TEST(FrontTerms, BackendThatIsNotTrustedStaysSo)
{
    NodeSet nodes = disk();
    nodes.set(Node::Trusted, "0");
    Terms t(policy(), negotiate(nodes, policy()).value());
    t.announce(t.read(nodes).value());
    EXPECT_TRUE(t.adopt_new(disk()));
    EXPECT_FALSE(t.plan().trusted);
    EXPECT_TRUE(t.refresh(disk()));
    EXPECT_FALSE(t.plan().trusted);
    Terms trusted = connected();
    EXPECT_TRUE(trusted.plan().trusted);
    EXPECT_TRUE(trusted.refresh(nodes));
    EXPECT_FALSE(trusted.plan().trusted) << "what it was told comes late, and counts";
}

TEST(FrontTerms, RangeIsJudgedWithoutOverflow)
{
    Terms t = connected();
    EXPECT_EQ(t.judge(request(IoKind::Read, 8191, 1)), IoStatus::Ok);
    EXPECT_EQ(t.judge(request(IoKind::Read, 8191, 2)), IoStatus::Error);
    EXPECT_EQ(t.judge(request(IoKind::Read, 8192, 1)), IoStatus::Error);
    EXPECT_EQ(t.judge(request(IoKind::Read, 0, 0)), IoStatus::Error);
    EXPECT_EQ(t.judge(request(IoKind::Read, 1, UINT64_MAX)), IoStatus::Error);
    EXPECT_EQ(t.judge(request(IoKind::Read, UINT64_MAX, 2)), IoStatus::Error);
}

} // namespace
