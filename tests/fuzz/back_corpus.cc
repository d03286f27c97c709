/* SPDX-License-Identifier: MIT */
/* Seeds of the target `back`. */
#include "back.h"
#include "corpus.h"

namespace pvblk::fuzz
{

namespace
{

using O = BackOp;

/* Bits of setup(), see BackScene::configure(); those of shape_of() are above. */
constexpr uint32_t kLarge = 1, kDeviceUnits = 5, kReadOnly = 8, kNoFlush = 16, kNoDiscard = 32,
                   kGranularity = 64 | 128, kNotConnected = 0x100, kNoBarrier = 0x200,
                   kSecure = 0x400, kNoIndirect = 0x1000, kManySegments = 0x2000, kFewKept = 0x4000,
                   kLittleRoom = 0x8000;
constexpr uint16_t k32Bits = 1, kThreeQueues = 2 << 1, kTwoPages = 1 << 3, kFourPages = 2 << 3,
                   kThreePages = 3 << 3, kByOrder = 1 << 5, kByPages = 2 << 5, kNumbered = 1 << 5,
                   kPersistent = 1 << 7;
constexpr uint32_t shaped(uint16_t shape)
{
    return uint32_t{shape} << 16;
}
/* a of a Request: operation, segments, first and last sector of each. */
constexpr uint16_t kRead = 0, kWrite = 1, kFlush = 2, kDiscard = 3, kIndirect = 6, kBarrier = 7;
constexpr uint16_t req(uint16_t op, uint32_t segments = 1, uint32_t first = 0, uint32_t last = 7)
{
    return static_cast<uint16_t>(op | (segments - 1) << 3 | first << 7 | last << 10);
}
/* To be added to it, for those operations. */
constexpr uint16_t kManyMore = 0x2000, kIndirectWrite = 0x4000, kSecurely = 0x8000;
/* c of a Request: its queue. */
constexpr uint16_t queue(uint32_t q)
{
    return static_cast<uint16_t>(q << 13);
}
/* Indices of Index, acts of Meddle, a of Storage, a of Owner. */
constexpr uint16_t kReqProd = 0;
constexpr uint16_t kWorks = 0, kResize = 2, kLate = 3;
constexpr uint16_t kClose = 1, kVanish = 2;

BackOutcome play(const Seed &seed)
{
    std::vector<uint8_t> bytes = seed.bytes();
    plant("back", bytes);
    return play_back(bytes.data(), bytes.size());
}

BackOutcome ask(uint32_t setup, uint16_t a, uint16_t sector = 0, uint16_t c = 0, uint32_t wrong = 0)
{
    return play(Seed(setup).step(O::Request, a, sector, c, wrong).step(O::Publish).step(O::Run));
}

TEST(Back, EmptyInputConnects)
{
    BackOutcome o = play(Seed());
    EXPECT_EQ(o.connects, 1u);
    EXPECT_EQ(o.state, XenbusState::Connected);
}

TEST(Back, ReadsAndWrites)
{
    for (uint32_t setup : {0u, kLarge, kDeviceUnits})
        for (uint16_t op : {kRead, kWrite}) {
            BackOutcome o = ask(setup, req(op, 2), 8, 5);
            EXPECT_EQ(o.okays, 1u);
            EXPECT_EQ(o.reads + o.writes, 1u);
        }
    EXPECT_EQ(ask(0, req(kRead, 11, 2, 5), 8, 5).okays, 1u);
}

TEST(Back, FrontendOf32Bits)
{
    BackOutcome o = play(Seed()
                             .step(O::Connect, 1)
                             .step(O::Request, req(kWrite, 3), 16)
                             .step(O::Publish)
                             .step(O::Run));
    EXPECT_EQ(o.connects, 2u);
    EXPECT_EQ(o.okays, 1u);
    EXPECT_EQ(o.writes, 1u);
}

TEST(Back, FlushesAndDiscards)
{
    EXPECT_EQ(ask(0, kFlush).flushes, 1u);
    EXPECT_EQ(ask(kNoFlush, kFlush).refusals, 1u);
    EXPECT_EQ(ask(0, kDiscard, 16, 8).discards, 1u);
    EXPECT_EQ(ask(kNoDiscard, kDiscard, 16, 8).refusals, 1u);
    EXPECT_EQ(ask(kGranularity, kDiscard, 24, 16).discards, 1u);
    EXPECT_EQ(ask(kGranularity, kDiscard, 25, 16).discards, 1u);
    EXPECT_EQ(ask(kGranularity, kDiscard, 25, 8).okays, 1u) << "less than a granule";
    EXPECT_EQ(ask(kGranularity, kDiscard, 25, 8).discards, 0u);
    uint32_t secure = kGranularity | kSecure;
    EXPECT_EQ(ask(secure, kDiscard | kSecurely, 24, 16).secure_discards, 1u);
    EXPECT_EQ(ask(secure, kDiscard | kSecurely, 25, 16).refusals, 1u);
}

TEST(Back, ReadOnlyDisk)
{
    EXPECT_EQ(ask(kReadOnly, req(kWrite)).refusals, 1u);
    EXPECT_EQ(ask(kReadOnly, kDiscard, 0, 8).refusals, 1u);
    EXPECT_EQ(ask(kReadOnly, req(kRead)).okays, 1u);
}

TEST(Back, OtherOperations)
{
    EXPECT_EQ(ask(kNoIndirect, req(kIndirect, 14), 0, 0).refusals, 1u);
    EXPECT_EQ(ask(kNoBarrier, req(kBarrier), 8).refusals, 1u);
    EXPECT_EQ(ask(0, kDiscard | kSecurely, 16, 8).refusals, 1u);
    EXPECT_EQ(ask(kSecure, kDiscard | kSecurely, 16, 8).secure_discards, 1u);
}

TEST(Back, IndirectRequests)
{
    for (uint32_t setup : {0u, kLarge, kDeviceUnits, shaped(k32Bits), shaped(kPersistent)})
        for (uint16_t op : {uint16_t{0}, kIndirectWrite}) {
            BackOutcome o = ask(setup, req(kIndirect, 16) | op, 0, 5);
            EXPECT_EQ(o.okays, 1u) << setup;
            EXPECT_EQ(o.counters.segments, 16u);
            EXPECT_EQ(o.reads + o.writes, 1u);
        }
    EXPECT_EQ(ask(kReadOnly, req(kIndirect, 16) | kIndirectWrite).refusals, 1u);
}

TEST(Back, ListOfTwoPages)
{
    BackOutcome o = play(Seed(kManySegments)
                             .step(O::Storage, kResize, 3)
                             .step(O::Request, req(kIndirect, 16) | kManyMore)
                             .step(O::Publish)
                             .step(O::Run));
    EXPECT_EQ(o.okays, 1u);
    EXPECT_EQ(o.counters.segments, 528u);
}

/* wrong: what HostileFront::bend() makes of it, or of the list. */
TEST(Back, IndirectRequestThatBreaksARule)
{
    for (uint32_t wrong : {1u, 2u, 3u, 11u, 12u, 13u})
        EXPECT_EQ(ask(0, req(kIndirect, 14), 118, 0, wrong).refusals, 1u) << wrong;
    EXPECT_EQ(ask(0, req(kIndirect, 14), 0, 8, 4).refusals, 1u) << "first beyond last";
    EXPECT_EQ(ask(0, req(kIndirect, 14), 0, 8, 5).refusals, 1u) << "last beyond the page";
    EXPECT_EQ(ask(0, req(kIndirect, 14), 0, 0, 6).refusals, 1u) << "no such grant";
    EXPECT_EQ(ask(0, req(kIndirect, 14), 0, 0, 7).refusals, 1u) << "a grant for reading only";
    EXPECT_EQ(ask(0, req(kIndirect, 14), 0, 0, 14).refusals, 1u) << "no such page of segments";
    EXPECT_EQ(ask(0, req(kIndirect, 16, 0, 0), 0, 0, 2).refusals, 1u) << "one more than offered";
    EXPECT_EQ(ask(0, req(kIndirect, 14), 3, 0, 15).published, 1u) << "data for segments";
}

TEST(Back, BarriersWaitAndGoOn)
{
    EXPECT_EQ(ask(0, req(kBarrier, 2), 8).stable_writes, 1u);
    BackOutcome o = play(Seed()
                             .step(O::Storage, kLate)
                             .step(O::Request, req(kWrite), 8)
                             .step(O::Request, req(kBarrier), 16)
                             .step(O::Request, req(kBarrier, 1), 24, 0, 3)
                             .step(O::Request, req(kRead), 8)
                             .step(O::Publish)
                             .step(O::Run)
                             .step(O::Finish, 1)
                             .step(O::Finish, 1)
                             .step(O::Finish, 1)
                             .step(O::Finish, 1));
    EXPECT_EQ(o.okays, 4u);
    EXPECT_EQ(o.flushes, 2u) << "one with data, one without";
    EXPECT_EQ(o.late, 1u);
}

TEST(Back, StorageAnswersInAnotherOrder)
{
    Seed seed(shaped(kPersistent));
    seed.step(O::Storage, kLate);
    for (uint16_t i = 0; i < 20; i++)
        seed.step(O::Request, req(i & 1 ? kWrite : kRead, 3), i, i);
    seed.step(O::Publish).step(O::Run);
    for (uint16_t i = 0; i < 20; i++)
        seed.step(O::Finish, 7);
    BackOutcome o = play(seed.step(O::Run));
    EXPECT_EQ(o.late, 20u);
    EXPECT_EQ(o.okays, 20u);
}

TEST(Back, ConnectionEndsWhileTheStorageWorks)
{
    for (uint16_t how : {kClose, kVanish, uint16_t{4}}) {
        BackOutcome o = play(Seed(shaped(kPersistent))
                                 .step(O::Storage, kLate)
                                 .step(O::Request, req(kWrite, 4), 8)
                                 .step(O::Publish)
                                 .step(O::Run)
                                 .step(O::Owner, how)
                                 .step(O::Run)
                                 .step(O::Owner)
                                 .step(O::Connect)
                                 .step(O::Request, req(kRead))
                                 .step(O::Publish)
                                 .step(O::Run)
                                 .step(O::Storage, kWorks)
                                 .step(O::Finish, 0, 0, 0, 1));
        EXPECT_GE(o.connects, 2u);
        EXPECT_EQ(o.okays, 1u);
    }
}

TEST(Back, RingsOfEveryShape)
{
    for (uint16_t shape :
         {uint16_t{kTwoPages}, uint16_t{kTwoPages | kByOrder}, uint16_t{kFourPages | kByPages},
          uint16_t{kNumbered}, uint16_t{kByPages}, uint16_t{kFourPages | kThreeQueues | k32Bits},
          uint16_t{kThreeQueues | kPersistent}}) {
        Seed seed(shaped(shape));
        for (uint32_t q = 0; q < 3; q++)
            seed.step(O::Request, req(kWrite), static_cast<uint16_t>(8 * q), queue(q));
        BackOutcome o = play(seed.step(O::Publish).step(O::Run));
        EXPECT_EQ(o.connects, 1u) << shape;
        EXPECT_EQ(o.okays, 3u) << shape;
    }
}

TEST(Back, RingOfThreePagesIsRefused)
{
    BackOutcome o = play(Seed(shaped(kThreePages)).step(O::Request, req(kWrite)).step(O::Run));
    EXPECT_EQ(o.connects, 0u);
    EXPECT_EQ(o.okays, 0u);
}

TEST(Back, OneRingOfThreeLies)
{
    BackOutcome o = play(Seed(shaped(kThreeQueues))
                             .step(O::Index, kReqProd | 1 << 2, 40)
                             .step(O::Request, req(kRead), 0, queue(0))
                             .step(O::Request, req(kRead), 0, queue(2))
                             .step(O::Publish, 1)
                             .step(O::Publish, 3)
                             .step(O::Run));
    EXPECT_EQ(o.okays, 2u);
}

TEST(Back, GrantsThatStayMapped)
{
    Seed seed(shaped(kPersistent));
    for (int pass = 0; pass < 2; pass++)
        seed.step(O::Request, req(kRead, 8)).step(O::Publish).step(O::Run);
    BackOutcome o = play(seed);
    EXPECT_EQ(o.counters.persistent_hits, 8u);
    EXPECT_EQ(o.counters.persistent_kept, 8u);
}

/* Revoked while the backend keeps it, let go for others, granted with other
 * access. */
TEST(Back, KeptGrantIsRevokedAndGivenAgain)
{
    BackOutcome o = play(Seed(shaped(kPersistent) | kFewKept)
                             .step(O::Request, req(kRead, 1), 0, 3)
                             .step(O::Publish)
                             .step(O::Run)
                             .step(O::Grant, 3, 0, 0, 1)
                             .step(O::Request, req(kRead, 1), 0, 3)
                             .step(O::Publish)
                             .step(O::Run)
                             .step(O::Request, req(kRead, 8), 0, 8)
                             .step(O::Publish)
                             .step(O::Run)
                             .step(O::Grant, 3, 1)
                             .step(O::Request, req(kRead, 1), 0, 3)
                             .step(O::Publish)
                             .step(O::Run));
    EXPECT_EQ(o.okays, 3u);
    EXPECT_EQ(o.refusals, 1u);
    EXPECT_EQ(o.counters.persistent_kept, 4u);
}

TEST(Back, ListChangesWhileItIsRead)
{
    for (uint16_t act : {5, 6}) {
        constexpr uint16_t kLastSector = 0x7f << 9 | 5 << 2; /* 127, of the first segment */
        for (uint16_t map = 0; map < 3; map++) {
            BackOutcome o = play(Seed(kManySegments)
                                     .step(O::Storage, kResize, 3)
                                     .step(O::Meddle, act, map, kLastSector)
                                     .step(O::Request, req(kIndirect, 16) | kManyMore)
                                     .step(O::Publish)
                                     .step(O::Run));
            EXPECT_EQ(o.okays, map == 0 ? 0u : 1u) << "copied once";
        }
    }
}

TEST(Back, FrontendInThePlaceOfAnother)
{
    BackOutcome o = play(Seed(shaped(kPersistent))
                             .step(O::Storage, kLate)
                             .step(O::Request, req(kRead, 8))
                             .step(O::Publish)
                             .step(O::Run)
                             .step(O::Connect, kFourPages, 0, 0, 2)
                             .step(O::Storage, kWorks)
                             .step(O::Request, req(kWrite))
                             .step(O::Publish)
                             .step(O::Run));
    EXPECT_EQ(o.connects, 2u);
    EXPECT_EQ(o.okays, 1u);
}

/* One request of many segments has all the room; the others wait, and are answered. */
TEST(Back, LittleRoomForManySegments)
{
    Seed seed(kLittleRoom);
    seed.step(O::Storage, kLate);
    for (int i = 0; i < 4; i++)
        seed.step(O::Request, static_cast<uint16_t>(req(kIndirect, 14) | kIndirectWrite));
    BackOutcome o = play(seed.step(O::Publish).step(O::Run).step(O::Finish, 0, 0, 0, 1));
    EXPECT_EQ(o.okays, 4u);
    EXPECT_EQ(o.late, 1u) << "one at a time";
    EXPECT_EQ(o.writes, 4u);
}

/* wrong: what HostileFront::bend() makes of it. */
TEST(Back, RequestThatBreaksARule)
{
    for (uint32_t wrong : {2u, 3u, 8u, 11u, 12u})
        for (uint16_t op : {kRead, kWrite})
            EXPECT_EQ(ask(0, req(op), 100, 0, wrong).refusals, 1u) << wrong;
    for (uint32_t wrong : {1u, 10u})
        EXPECT_EQ(ask(0, kDiscard, 18, 8, wrong).refusals, 1u) << wrong;
    for (uint16_t first : {8, 9, 255})
        EXPECT_EQ(ask(0, req(kRead), 0, first, 4).refusals, 1u) << "first beyond last";
    EXPECT_EQ(ask(0, req(kRead), 0, 8, 5).refusals, 1u) << "last beyond the page";
    EXPECT_EQ(ask(0, req(kRead), 0, 0, 6).refusals, 1u) << "no such grant";
    EXPECT_EQ(ask(0, req(kRead), 0, 0, 7).refusals, 1u) << "a grant for reading only";
    EXPECT_EQ(ask(0, req(kWrite), 0, 0, 7).okays, 1u);
    EXPECT_EQ(ask(0, req(kRead), 18, 0, 9).okays, 1u) << "any ID will do";
}

TEST(Back, GrantThatIsGone)
{
    BackOutcome o = play(Seed()
                             .step(O::Grant, 3, 0, 0, 1)
                             .step(O::Request, req(kWrite, 4), 8)
                             .step(O::Publish)
                             .step(O::Run)
                             .step(O::Grant, 3)
                             .step(O::Data, 3, 100, 7)
                             .step(O::Request, req(kWrite, 4), 8)
                             .step(O::Publish)
                             .step(O::Run));
    EXPECT_EQ(o.refusals, 1u);
    EXPECT_EQ(o.okays, 1u);
}

TEST(Back, FullRingTwice)
{
    Seed seed;
    for (int pass = 0; pass < 2; pass++) {
        for (uint16_t i = 0; i < 32; i++)
            seed.step(O::Request, req(i & 1 ? kWrite : kRead), i, i);
        seed.step(O::Publish).step(O::Run);
    }
    BackOutcome o = play(seed);
    EXPECT_EQ(o.okays, 64u);
    EXPECT_EQ(o.max_work, 32u);
}

TEST(Back, PushesWithoutAnEnd)
{
    BackOutcome o =
        play(Seed().step(O::Request, req(kRead)).step(O::Push, 39).step(O::Publish).step(O::Run));
    EXPECT_GE(o.okays, 2u);
}

TEST(Back, EventIsLost)
{
    EXPECT_EQ(play(Seed().step(O::Request, req(kRead)).step(O::Publish, 0, 0, 0, 1)).okays, 1u)
        << "the next event finds it";
}

TEST(Back, ProducerThatLies)
{
    BackOutcome o = play(Seed().step(O::Index, kReqProd, 33).step(O::Request).step(O::Publish));
    EXPECT_FALSE(o.halted) << "an index that is put right in time";
    o = play(Seed().step(O::Request).step(O::Publish).step(O::Index, kReqProd, 40).step(O::Run));
    EXPECT_TRUE(o.halted);
    EXPECT_EQ(o.error, "ring:req-prod");
}

TEST(Back, GarbageOnTheRing)
{
    Seed seed;
    for (char c : {'\x00', '\x01', '\x05', '\xff'})
        seed.step(O::Ring, 64, 120)
            .text(std::string(120, c))
            .step(O::Request)
            .step(O::Ring, 64, 120);
    for (int i = 0; i < 4; i++)
        seed.text(std::string(120, static_cast<char>(i))).step(O::Publish).step(O::Run);
    EXPECT_EQ(play(seed).published, 4u);
}

/* The frontend acts while the backend maps the second page. */
TEST(Back, FrontendActsMeanwhile)
{
    for (uint16_t act = 0; act < 4; act++) {
        BackOutcome o = play(Seed()
                                 .step(O::Meddle, act, 1,
                                       act == 1   ? 3
                                       : act == 2 ? 30
                                                  : 0xff)
                                 .step(O::Request, req(kRead, 4), 8)
                                 .step(O::Request, req(kWrite, 4), 8)
                                 .step(O::Publish)
                                 .step(O::Run));
        EXPECT_EQ(o.published, 2u);
        EXPECT_GE(o.reads, 1u) << act;
    }
}

/* The whole ring holds reads, and each page that the backend maps shows one
 * more of them. */
TEST(Back, FrontendNeverStopsPushing)
{
    Seed seed;
    for (uint16_t i = 0; i < 32; i++)
        seed.step(O::Request, req(kRead), i, i);
    seed.step(O::Publish).step(O::Run); /* answers lie over the requests' IDs only */
    for (uint16_t i = 0; i < 32; i++)
        seed.step(O::Request, req(kRead), i, i);
    seed.step(O::Meddle, 4, 0, 1023).step(O::Publish).step(O::Run);
    EXPECT_GT(play(seed).max_work, 32u);
}

TEST(Back, DiskFailsAndShrinks)
{
    BackOutcome o = play(Seed()
                             .step(O::Storage, 1)
                             .step(O::Request, req(kRead), 8)
                             .step(O::Publish)
                             .step(O::Run)
                             .step(O::Storage, 0)
                             .step(O::Request, req(kRead), 100)
                             .step(O::Publish)
                             .step(O::Storage, 2, 1)
                             .step(O::Run)
                             .step(O::Storage, 2, 3)
                             .step(O::Request, req(kRead), 200)
                             .step(O::Publish)
                             .step(O::Run));
    EXPECT_EQ(o.refusals, 2u);
    EXPECT_EQ(o.okays, 1u);
}

TEST(Back, EveryStateOfTheFrontend)
{
    Seed seed(kNotConnected);
    for (uint16_t s : {0, 1, 2, 3, 4, 5, 6, 7, 8, 3, 1, 6, 4, 0})
        seed.step(O::State, s).step(O::Run);
    EXPECT_EQ(play(seed.step(O::State, 0, 3, 0, 1).step(O::Run).step(O::Connect)).connects, 1u);
}

TEST(Back, NodesThatAreNone)
{
    for (uint16_t node = 0; node < 5; node++)
        for (uint16_t text : {1, 3, 19, 28}) {
            BackOutcome o = play(Seed(kNotConnected)
                                     .step(O::Connect)
                                     .step(O::State, 5)
                                     .step(O::Run)
                                     .step(O::State, 6)
                                     .step(O::Run)
                                     .step(O::State, 1)
                                     .step(O::Run)
                                     .step(O::Node, node, text)
                                     .step(O::State, 3)
                                     .step(O::Run));
            EXPECT_LE(o.connects, 2u);
        }
}

TEST(Back, RingPageIsADataPage)
{
    BackOutcome o = play(Seed(kNotConnected)
                             .step(O::Connect)
                             .step(O::State, 6)
                             .step(O::Run)
                             .step(O::State, 1)
                             .step(O::Run)
                             .step(O::Node, 0, 0, 8)
                             .step(O::Data, 0, 0, 5)
                             .step(O::State, 3)
                             .step(O::Run));
    EXPECT_EQ(o.connects, 2u);
}

TEST(Back, OwnerClosesVanishesAndComesBack)
{
    BackOutcome o = play(Seed()
                             .step(O::Owner, 1)
                             .step(O::Run)
                             .step(O::Connect)
                             .step(O::Owner, 2)
                             .step(O::Run)
                             .step(O::Owner, 0)
                             .step(O::Connect)
                             .step(O::Owner, 3)
                             .step(O::Owner, 4)
                             .step(O::Connect)
                             .step(O::Request, req(kRead))
                             .step(O::Publish)
                             .step(O::Run));
    EXPECT_EQ(o.connects, 4u);
    EXPECT_EQ(o.okays, 1u);
}

} // namespace

} // namespace pvblk::fuzz
