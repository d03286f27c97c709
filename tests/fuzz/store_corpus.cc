/* SPDX-License-Identifier: MIT */
/* Seeds of the target `store`. */
#include "corpus.h"
#include "front/negotiation.h"
#include "store.h"

namespace pvblk::fuzz
{

namespace
{

using O = StoreOp;

constexpr uint32_t kDeviceUnits = 2;

constexpr uint16_t of(Node n)
{
    return static_cast<uint16_t>(n);
}

StoreOutcome play(const Seed &seed)
{
    std::vector<uint8_t> bytes = seed.bytes();
    plant("store", bytes);
    return play_store(bytes.data(), bytes.size());
}

TEST(Store, EmptyInputIsASmallDisk)
{
    StoreOutcome o = play(Seed());
    EXPECT_TRUE(o.accepted);
    EXPECT_EQ(o.sectors, 8192u);
    EXPECT_EQ(o.sector_size, 512u);
}

TEST(Store, LargeSectorsInBothUnits)
{
    for (uint32_t setup : {0u, kDeviceUnits}) {
        StoreOutcome o = play(Seed(setup).step(O::Number, of(Node::SectorSize), 4096));
        EXPECT_EQ(o.sector_size, 4096u);
        EXPECT_EQ(o.sectors, setup ? 65536u : 8192u);
    }
}

TEST(Store, EveryFeature)
{
    StoreOutcome o = play(Seed()
                              .step(O::Number, of(Node::PhysicalSectorSize), 4096)
                              .step(O::Number, of(Node::Info), 2)
                              .step(O::Raw, of(Node::Mode), 1)
                              .text("w")
                              .step(O::Number, of(Node::FeatureFlushCache), 1)
                              .step(O::Number, of(Node::FeatureBarrier), 1)
                              .step(O::Number, of(Node::FeatureDiscard), 1)
                              .step(O::Number, of(Node::DiscardGranularity), 8192)
                              .step(O::Number, of(Node::DiscardAlignment), 4096));
    EXPECT_TRUE(o.accepted) << o.clause;
    EXPECT_TRUE(o.discard);
}

TEST(Store, LargestDisk)
{
    /* 2^54 sectors are 2^63 bytes: one too many. */
    EXPECT_EQ(play(Seed().step(O::Number, of(Node::Sectors), 1, 54)).clause, "blkif:sectors");
    StoreOutcome o = play(Seed().step(O::Number, of(Node::Sectors), 1, 54, 1));
    EXPECT_EQ(o.sectors, (1ull << 54) - 1);
}

/* What blkif.h has no room for means as much as we want. */
TEST(Store, LargestTransport)
{
    constexpr uint32_t kAll = 15 << 8 | 4096 << 18; /* of the policy */
    StoreOutcome o = play(Seed(kAll)
                              .step(O::Text, of(Node::MaxRingPageOrder), 19)
                              .step(O::Number, of(Node::MaxRingPages), 3)
                              .step(O::Text, of(Node::MultiQueueMaxQueues), 27)
                              .step(O::Text, of(Node::FeatureMaxIndirectSegments), 19));
    EXPECT_EQ(o.queues, 16u);
    EXPECT_EQ(o.ring_pages, 16u);
    EXPECT_EQ(o.max_segments, 4096u);
}

TEST(Store, SectorSizeThatCannotBe)
{
    for (uint16_t size : {0, 1, 256, 511, 1536, 8192, 65535})
        EXPECT_EQ(play(Seed().step(O::Number, of(Node::SectorSize), size)).clause,
                  "blkif:sector-size");
}

TEST(Store, TextThatIsNoNumber)
{
    for (uint16_t text : {3, 4, 5, 6, 8, 14, 20, 23, 29, 30})
        EXPECT_FALSE(play(Seed().step(O::Text, of(Node::Sectors), text)).accepted) << text;
}

TEST(Store, DiscardThatFitsNoSectorIsLeftOut)
{
    for (const Seed &seed : {Seed()
                                 .step(O::Number, of(Node::FeatureDiscard), 1)
                                 .step(O::Number, of(Node::DiscardGranularity), 700),
                             Seed()
                                 .step(O::Number, of(Node::FeatureDiscard), 1)
                                 .step(O::Number, of(Node::DiscardGranularity), 4096)
                                 .step(O::Number, of(Node::DiscardAlignment), 4096)}) {
        StoreOutcome o = play(seed);
        EXPECT_TRUE(o.accepted) << o.clause;
        EXPECT_FALSE(o.discard);
    }
}

TEST(Store, NodesThatContradict)
{
    EXPECT_EQ(play(Seed()
                       .step(O::Number, of(Node::SectorSize), 4096)
                       .step(O::Number, of(Node::Sectors), 7))
                  .clause,
              "blkif:sectors");
}

/* Half a size is none: the rest comes later. */
TEST(Store, EachNodeIsMissing)
{
    for (uint16_t i = 0; i < kNodes; i++)
        EXPECT_TRUE(play(Seed().step(O::Missing, i)).accepted) << i;
}

TEST(Store, SizeIsMissing)
{
    EXPECT_TRUE(
        play(Seed().step(O::Missing, of(Node::Sectors)).step(O::Missing, of(Node::SectorSize)))
            .accepted);
}

TEST(Store, EachNodeIsUnreadable)
{
    Seed late = Seed().step(O::Missing, of(Node::Sectors)).step(O::Missing, of(Node::SectorSize));
    for (uint16_t i = 0; i < kNodes; i++) {
        EXPECT_FALSE(play(Seed().step(O::Unreadable, i)).accepted) << i;
        EXPECT_FALSE(play(Seed(late).step(O::Unreadable, i)).accepted) << i;
    }
}

TEST(Store, EachNodeIsTooLong)
{
    for (uint16_t i = 0; i < kNodes; i++) {
        bool advice = i == of(Node::DiscardGranularity) || i == of(Node::DiscardAlignment);
        EXPECT_EQ(play(Seed().step(O::Raw, i, 39).text(std::string(39, '0'))).accepted,
                  advice || i == of(Node::DeviceType))
            << i;
    }
}

} // namespace

} // namespace pvblk::fuzz
