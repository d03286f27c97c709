/* SPDX-License-Identifier: MIT */
/* Seeds of the target `virtio`. */
#include "corpus.h"
#include "virtio.h"

namespace pvblk::fuzz
{

namespace
{

using O = VirtioOp;

/* Bits of setup(), see VirtioScene. */
constexpr uint32_t kLarge = 1, kDeviceUnits = 3, kReadOnly = 4, kNoFlush = 8, kNoDiscard = 16,
                   kBounce = 64, kTwoRequests = 254u << 24;
/* Rings of four pages on three queues, indirect requests and kept grants. */
constexpr uint32_t kEverything = 2u << 16 | 0x40000 | 0x80000 | 2u << 20;
/* a of a Take: the type, and how it is cut into descriptors. */
constexpr uint16_t kIn = 0, kOut = 1, kFlush = 2, kDiscard = 3, kGetId = 6;
constexpr uint16_t cut(uint32_t header, uint32_t data, uint32_t offset = 0)
{
    return static_cast<uint16_t>((header - 1) << 3 | (data - 1) << 5 | offset << 8);
}

VirtioOutcome play(const Seed &seed)
{
    std::vector<uint8_t> bytes = seed.bytes();
    plant("virtio", bytes);
    return play_virtio(bytes.data(), bytes.size());
}

TEST(Virtio, EmptyInputConnects)
{
    EXPECT_EQ(play(Seed()).taken, 0u);
}

TEST(Virtio, WritesAndReadsBack)
{
    for (uint32_t setup : {0u, kLarge, kDeviceUnits, kBounce, kEverything}) {
        VirtioOutcome o = play(Seed(setup)
                                   .step(O::Data, 0, 9)
                                   .step(O::Take, kOut, 16, 7)
                                   .step(O::Run)
                                   .step(O::Take, kIn, 16, 7)
                                   .step(O::Run));
        EXPECT_EQ(o.ok, 2u);
        EXPECT_EQ(o.compared, 2u);
        EXPECT_EQ(o.front.bytes_written, setup & kLarge ? 16384u : 4096u);
    }
}

TEST(Virtio, DescriptorsOfAnyShape)
{
    Seed seed;
    for (uint16_t offset = 0; offset < 8; offset++)
        seed.step(O::Data, offset, offset)
            .step(O::Take, static_cast<uint16_t>(kOut | cut(4, 8, offset)), 8, 15)
            .step(O::Run)
            .step(O::Take, static_cast<uint16_t>(kIn | cut(3, 5, offset)), 8, 15)
            .step(O::Run);
    VirtioOutcome o = play(seed);
    EXPECT_EQ(o.compared, 16u);
    EXPECT_GT(o.front.bounced_segments, 0u);
}

TEST(Virtio, FlushDiscardAndId)
{
    VirtioOutcome o = play(Seed()
                               .step(O::Take, kFlush)
                               .step(O::Take, kDiscard, 8, 7)
                               .step(O::Take, kGetId)
                               .step(O::Run));
    EXPECT_EQ(o.ok, 3u);
    EXPECT_EQ(o.front.ring_flushes, 1u);
    EXPECT_EQ(o.front.ring_discards, 1u);
}

TEST(Virtio, NeitherFlushNorDiscard)
{
    VirtioOutcome o = play(Seed(kNoFlush | kNoDiscard)
                               .step(O::Take, kFlush)
                               .step(O::Take, kDiscard, 8, 7)
                               .step(O::Run));
    EXPECT_EQ(o.ok, 1u);
    EXPECT_EQ(o.unsupported, 1u);
}

TEST(Virtio, ReadOnlyDisk)
{
    VirtioOutcome o = play(Seed(kReadOnly)
                               .step(O::Take, kOut, 8, 7)
                               .step(O::Take, kIn, 8, 7)
                               .step(O::Run)
                               .step(O::Config));
    EXPECT_EQ(o.ok, 1u);
    EXPECT_EQ(o.io_error, 1u);
}

TEST(Virtio, DriverThatCannotFlush)
{
    VirtioOutcome o = play(Seed()
                               .step(O::Features)
                               .step(O::Take, kOut, 8, 7)
                               .step(O::Run)
                               .step(O::Features, 0xffff)
                               .step(O::Cache, 0)
                               .step(O::Take, kOut, 8, 7)
                               .step(O::Run));
    EXPECT_EQ(o.front.ring_flushes, 2u);
}

TEST(Virtio, FullDevice)
{
    VirtioOutcome o = play(Seed(kTwoRequests)
                               .step(O::Take, kIn, 0, 0)
                               .step(O::Take, kIn, 0, 0)
                               .step(O::Take, kIn, 0, 0)
                               .step(O::Run));
    EXPECT_EQ(o.taken, 2u);
    EXPECT_EQ(o.refused, 1u);
}

TEST(Virtio, ResetWithRequestsInFlight)
{
    VirtioOutcome o = play(Seed(0x100)
                               .step(O::Take, kOut, 8, 7)
                               .step(O::Take, kIn, 8, 7 | 1 << 5)
                               .step(O::Pump)
                               .step(O::Reset, 1, 0, 0, 1)
                               .step(O::Reset)
                               .step(O::Take, kOut, 8, 7)
                               .step(O::Run));
    EXPECT_EQ(o.forgotten, 2u);
    EXPECT_EQ(o.ok, 1u);
}

TEST(Virtio, ResizeWithRequestsInFlight)
{
    VirtioOutcome o = play(Seed()
                               .step(O::Take, kIn, 200, 7)
                               .step(O::Resize, 2)
                               .step(O::Config)
                               .step(O::Take, kIn, 200, 7)
                               .step(O::Run)
                               .step(O::Time, 30));
    EXPECT_EQ(o.io_error, 2u);
}

/* wrong: what VirtioScene::bend() makes of it. */
TEST(Virtio, MalformedElement)
{
    for (uint32_t wrong = 1; wrong <= 14; wrong++)
        for (uint16_t type : {kIn, kOut, kDiscard, kGetId}) {
            VirtioOutcome o =
                play(Seed()
                         .step(O::Take, static_cast<uint16_t>(type | cut(2, 2)), 13, 7, wrong)
                         .step(O::Run));
            EXPECT_EQ(o.returned, 1u) << wrong;
        }
}

} // namespace

} // namespace pvblk::fuzz
