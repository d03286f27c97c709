/* SPDX-License-Identifier: MIT */
/* Seeds of the target `front`. */
#include "corpus.h"
#include "front.h"
#include "pvblk/loopback.h"

namespace pvblk::fuzz
{

namespace
{

using O = FrontOp;

/* Bits of setup(), see FrontScene. */
constexpr uint32_t kBounce = 1, kX86_32 = 4, kLarge = 8, kDeviceUnits = 8 | 16, kTimeout = 32,
                   kNotStarted = 64;
/* ... of the frontend's policy, and of Offer::of() above. */
constexpr uint32_t kPersistent = 0x80, kQueues = 3 << 8, kPages = 2 << 10, kIndirect = 0x1000,
                   kUntrusted = 0x4000;
constexpr uint16_t kOffersQueues = 2, kOffersPages = 4 << 2, kOffersIndirect = 0x20,
                   kOffersPersistent = 0x40, kOffersBarrier = 0x80, kNoFlush = 0x100,
                   kOffersSecure = 0x200, kAnswersError = 0x400, kAnswersUnsupported = 0x800;
constexpr uint32_t offered(uint16_t offer)
{
    return uint32_t{offer} << 16;
}
constexpr uint32_t kEverything =
    kPersistent | kQueues | kPages | kIndirect |
    offered(kOffersQueues | kOffersPages | kOffersIndirect | kOffersPersistent | kOffersBarrier);
constexpr uint16_t kRead = 0, kWrite = 1, kFlush = 2, kDiscard = 3;
/* Index of a node in kNodeNames, and of a text in kTexts. */
constexpr uint16_t kSectors = 0, kSectorSizeNode = 1, kMode = 4, kReadOnly = 14, kNumber = 0;
constexpr uint16_t kRspProd = 2;

/* c of a Submit: sectors, at a place in guest memory. */
constexpr uint16_t length(uint32_t sectors, uint32_t at = 0)
{
    return static_cast<uint16_t>((sectors - 1) << 9 | at);
}

FrontOutcome play(const Seed &seed)
{
    std::vector<uint8_t> bytes = seed.bytes();
    plant("front", bytes);
    return play_front(bytes.data(), bytes.size());
}

/* Two reads are in flight, and the backend has copied them. */
Seed two_reads(uint32_t setup = 0)
{
    return Seed(setup)
        .step(O::Submit, kRead, 0, length(8))
        .step(O::Submit, kRead, 8, length(8, 8))
        .step(O::Run)
        .step(O::Take, 7);
}

TEST(Front, EmptyInputConnects)
{
    FrontOutcome o = play(Seed());
    EXPECT_EQ(o.connects, 1u);
    EXPECT_EQ(o.state, FrontState::Connected);
}

TEST(Front, Writes8Sectors)
{
    for (uint32_t setup : {0u, kBounce, kX86_32, kX86_32 | kBounce}) {
        FrontOutcome o = play(Seed(setup)
                                  .step(O::Submit, kWrite, 16, length(8))
                                  .step(O::Run)
                                  .step(O::Serve)
                                  .step(O::Run));
        EXPECT_EQ(o.ok, 1u);
        EXPECT_EQ(o.counters.bytes_written, 4096u);
        EXPECT_EQ(o.counters.bounced_segments, setup & kBounce ? 1u : 0u);
    }
}

TEST(Front, ReadsOddPiecesThroughPrivatePages)
{
    FrontOutcome o = play(Seed()
                              .step(O::Submit, kRead | 3 << 4 | 3 << 6, 0, length(24))
                              .step(O::Run)
                              .step(O::Serve)
                              .step(O::Run));
    EXPECT_EQ(o.ok, 1u);
    EXPECT_EQ(o.counters.bytes_read, 24u * 512);
    EXPECT_GT(o.counters.bounced_segments, 0u);
}

TEST(Front, LargeSectorsInBlkifsUnits)
{
    FrontOutcome o = play(Seed(kLarge)
                              .step(O::Submit, kWrite, 16, length(4))
                              .step(O::Run)
                              .step(O::Serve)
                              .step(O::Run));
    EXPECT_EQ(o.counters.bytes_written, 4u * 4096);
}

TEST(Front, LargeSectorsInQemusUnits)
{
    FrontOutcome o = play(Seed(kDeviceUnits)
                              .step(O::Submit, kWrite, 16, length(4))
                              .step(O::Run)
                              .step(O::Serve)
                              .step(O::Run));
    EXPECT_EQ(o.counters.bytes_written, 4u * 4096);
}

TEST(Front, FlushesAndDiscards)
{
    FrontOutcome o = play(Seed()
                              .step(O::Submit, kFlush)
                              .step(O::Submit, kDiscard, 32, length(16))
                              .step(O::Submit, kWrite | 0x400, 0, length(8))
                              .step(O::Run)
                              .step(O::Serve)
                              .step(O::Run)
                              .step(O::Serve)
                              .step(O::Run));
    EXPECT_EQ(o.ok, 3u);
    EXPECT_EQ(o.counters.ring_flushes, 2u);
    EXPECT_EQ(o.counters.ring_discards, 1u);
}

TEST(Front, HandshakeStepByStep)
{
    FrontOutcome o = play(Seed(kNotStarted)
                              .step(O::Submit, kRead, 0, length(8))
                              .step(O::Owner, 2)
                              .step(O::Run)
                              .step(O::Follow)
                              .step(O::Run)
                              .step(O::Serve)
                              .step(O::Run));
    EXPECT_EQ(o.connects, 1u);
    EXPECT_EQ(o.ok, 1u);
}

TEST(Front, FillsTheRing)
{
    Seed seed;
    for (uint16_t i = 0; i < 48; i++)
        seed.step(O::Submit, kWrite, static_cast<uint16_t>(8 * i), length(8));
    for (int i = 0; i < 3; i++)
        seed.step(O::Run).step(O::Serve);
    FrontOutcome o = play(seed.step(O::Run));
    EXPECT_EQ(o.accepted, 48u);
    EXPECT_EQ(o.ok, 48u);
}

TEST(Front, CompletionsSubmitMore)
{
    Seed seed = Seed().step(O::Owner, 4).step(O::Submit, kRead, 0, length(8)).step(O::Run);
    for (int i = 0; i < 5; i++)
        seed.step(O::Serve).step(O::Run);
    EXPECT_GE(play(seed).ok, 5u);
}

TEST(Front, ReconnectSendsAgain)
{
    Seed seed = two_reads().step(O::Owner, 0).step(O::Owner, 0);
    for (int i = 0; i < 5; i++)
        seed.step(O::Run).step(O::Follow);
    FrontOutcome o = play(seed.step(O::Run).step(O::Serve).step(O::Run));
    EXPECT_EQ(o.counters.reconnects, 1u);
    EXPECT_EQ(o.counters.requeued, 2u);
    EXPECT_EQ(o.ok, 2u);
}

TEST(Front, BackendClosesAndComesBack)
{
    Seed seed = Seed().step(O::State, 5);
    for (int i = 0; i < 5; i++)
        seed.step(O::Run).step(O::Follow);
    EXPECT_EQ(play(seed).connects, 2u);
}

TEST(Front, BackendIsLostAndComesBack)
{
    Seed seed = two_reads().step(O::Leave, 0, 0, 0, 1).step(O::Run);
    for (int i = 0; i < 3; i++)
        seed.step(O::Follow).step(O::Run);
    FrontOutcome o = play(seed.step(O::Serve).step(O::Run));
    EXPECT_EQ(o.connects, 2u);
    EXPECT_EQ(o.ok, 2u);
}

TEST(Front, SilenceMeetsTheDeadline)
{
    FrontOutcome o = play(Seed(kNotStarted).step(O::Owner, 2).step(O::Run).step(O::Time, 35));
    EXPECT_STREQ(o.broken, "xenbus:deadline");
}

TEST(Front, UnansweredRequestMeetsTheDeadline)
{
    EXPECT_STREQ(play(two_reads(kTimeout).step(O::Time, 31)).broken, "ring:answer");
}

TEST(Front, AnswersOutOfOrder)
{
    FrontOutcome o =
        play(two_reads().step(O::Answer, 1).step(O::Answer, 0).step(O::Event).step(O::Run));
    EXPECT_EQ(o.ok, 2u);
}

TEST(Front, ErrorsAndUnsupported)
{
    FrontOutcome o =
        play(two_reads().step(O::Answer, 0, 1).step(O::Answer, 0, 2).step(O::Event).step(O::Run));
    EXPECT_EQ(o.error, 1u);
    EXPECT_EQ(o.unsupported, 1u);
}

TEST(Front, FlushIsWithdrawn)
{
    FrontOutcome o = play(Seed()
                              .step(O::Submit, kFlush)
                              .step(O::Run)
                              .step(O::Take)
                              .step(O::Answer, 0, 2)
                              .step(O::Event)
                              .step(O::Run)
                              .step(O::Submit, kFlush)
                              .step(O::Submit, kWrite | 0x400, 0, length(8)));
    EXPECT_EQ(o.unsupported, 1u);
    EXPECT_EQ(o.accepted, 1u);
}

/* wrong: what HostileBack::answer() makes of it. */
TEST(Front, AnswerToWhatIsNotInFlight)
{
    for (uint32_t wrong : {1u, 2u, 5u, 6u}) {
        FrontOutcome o = play(two_reads()
                                  .step(O::Answer, 0, 0, 40, wrong)
                                  .step(O::Answer, 0, 0, 0, wrong)
                                  .step(O::Event)
                                  .step(O::Run));
        EXPECT_STREQ(o.broken, "ring:rsp-id") << wrong;
    }
}

TEST(Front, AnswerOfAnotherOperation)
{
    FrontOutcome o = play(two_reads().step(O::Answer, 0, 0, 1, 3).step(O::Event).step(O::Run));
    EXPECT_STREQ(o.broken, "ring:rsp-op");
}

TEST(Front, StatusThatDoesNotExist)
{
    FrontOutcome o = play(two_reads().step(O::Answer, 0, 0, 77, 4).step(O::Event).step(O::Run));
    EXPECT_EQ(o.error, 1u);
    EXPECT_EQ(o.state, FrontState::Connected);
}

TEST(Front, ProducerThatLies)
{
    FrontOutcome o = play(two_reads().step(O::Index, kRspProd, 3).step(O::Event).step(O::Run));
    EXPECT_STREQ(o.broken, "ring:rsp-prod");
}

TEST(Front, ProducerOverGarbage)
{
    Seed seed = two_reads().step(O::Ring, 64, 100);
    seed.text(std::string(100, '\xa5')).step(O::Index, kRspProd, 1).step(O::Event).step(O::Run);
    EXPECT_STREQ(play(seed).broken, "ring:rsp-id");
}

TEST(Front, PageIsKeptMapped)
{
    FrontOutcome o = play(two_reads()
                              .step(O::Map, 0)
                              .step(O::Poke, 0, 5, 6)
                              .step(O::Answer, 0)
                              .step(O::Event)
                              .step(O::Run));
    EXPECT_STREQ(o.broken, "grant:end-access");
    EXPECT_EQ(o.quarantined, 2u) << "the page, and the ring, which is mapped as well";
}

TEST(Front, PrivatePagesAreKeptMappedAndLetGo)
{
    FrontOutcome o = play(two_reads(kBounce)
                              .step(O::Map, 0)
                              .step(O::Map, 1)
                              .step(O::Cancel, 0, 0, 0, 1)
                              .step(O::Unmap)
                              .step(O::Unmap, 0, 0, 0, 1)
                              .step(O::Answer)
                              .step(O::Answer)
                              .step(O::Event)
                              .step(O::Run)
                              .step(O::Submit, kWrite, 0, length(8))
                              .step(O::Run)
                              .step(O::Serve)
                              .step(O::Run));
    EXPECT_EQ(o.cancelled, 2u);
    EXPECT_EQ(o.ok, 1u);
    EXPECT_EQ(o.quarantined, 0u);
}

TEST(Front, CancelledQueueIsAwaited)
{
    FrontOutcome o = play(two_reads()
                              .step(O::Cancel, 0)
                              .step(O::Submit, kWrite, 0, length(8))
                              .step(O::Run)
                              .step(O::Answer)
                              .step(O::Answer)
                              .step(O::Event)
                              .step(O::Run)
                              .step(O::Serve)
                              .step(O::Run));
    EXPECT_EQ(o.cancelled, 2u);
    EXPECT_EQ(o.ok, 1u);
}

TEST(Front, GrantOfNoneIsMapped)
{
    EXPECT_EQ(play(Seed().step(O::Map, 0, 3, 0, 1)).state, FrontState::Connected);
}

TEST(Front, EventCannotBeSent)
{
    FrontOutcome o = play(Seed()
                              .step(O::Fail, static_cast<uint16_t>(HubCall::EventNotify))
                              .step(O::Submit, kRead, 0, length(8))
                              .step(O::Run));
    EXPECT_STREQ(o.broken, "evtchn:send");
}

TEST(Front, DiskGrowsInUse)
{
    FrontOutcome o = play(Seed()
                              .step(O::Node, kSectors, kNumber, 1024)
                              .step(O::State, 4)
                              .step(O::Run)
                              .step(O::Submit, kRead, 500, length(24))
                              .step(O::Run)
                              .step(O::Serve)
                              .step(O::Run));
    EXPECT_EQ(o.ok, 1u) << "up to sector 524, beyond the old end";
}

TEST(Front, DiskTurnsReadOnly)
{
    FrontOutcome o = play(Seed()
                              .step(O::Node, kMode, kReadOnly)
                              .step(O::State, 4)
                              .step(O::Run)
                              .step(O::Submit, kWrite, 0, length(8)));
    EXPECT_EQ(o.state, FrontState::Connected);
    EXPECT_EQ(o.accepted, 0u);
}

TEST(Front, SectorSizeChangesInUse)
{
    FrontOutcome o =
        play(Seed().step(O::Node, kSectorSizeNode, kNumber, 4096).step(O::State, 4).step(O::Run));
    EXPECT_STREQ(o.broken, "blkif:sector-size");
}

TEST(Front, StateThatDoesNotExist)
{
    EXPECT_STREQ(play(Seed().step(O::State, 0, 18, 0, 1).step(O::Run)).broken, "xenbus:state");
}

TEST(Front, BrokenIsMendedByReconnect)
{
    Seed seed = Seed().step(O::State, 0, 18, 0, 1).step(O::Run).step(O::Follow).step(O::Owner, 0);
    for (int i = 0; i < 4; i++)
        seed.step(O::Run).step(O::Follow);
    FrontOutcome o = play(seed.step(O::Run));
    EXPECT_EQ(o.connects, 2u);
    EXPECT_EQ(o.state, FrontState::Connected);
}

TEST(Front, NewFrontAfterTheOld)
{
    Seed seed = two_reads().step(O::Owner, 3);
    for (int i = 0; i < 5; i++)
        seed.step(O::Run).step(O::Follow);
    FrontOutcome o = play(seed.step(O::Run));
    EXPECT_EQ(o.cancelled, 2u);
    EXPECT_EQ(o.connects, 2u);
}

/* c of a Submit: 64 KiB, in odd pieces. */
constexpr uint16_t kOdd = 3 << 4 | 3 << 6;

TEST(Front, EverythingIsOffered)
{
    Seed seed(kEverything);
    for (uint16_t i = 0; i < 12; i++) {
        seed.step(O::Submit, static_cast<uint16_t>((i & 1) | (i & 3) << 2 | kOdd),
                  static_cast<uint16_t>(32 * i), length(24));
        if (i % 4 == 3)
            seed.step(O::Run).step(O::Serve).step(O::Run);
    }
    FrontOutcome o = play(seed);
    EXPECT_EQ(o.plan.queues, 3u);
    EXPECT_EQ(o.plan.ring_pages, 4u);
    EXPECT_TRUE(o.plan.persistent);
    EXPECT_EQ(o.ok, 12u);
    EXPECT_GT(o.kept_hits, 0u);
}

TEST(Front, IndirectRequests)
{
    for (uint32_t setup : {0u, kBounce, kX86_32, kLarge, kUntrusted, kPersistent}) {
        Seed seed(setup | kIndirect | offered(kOffersIndirect | kOffersPersistent));
        for (uint16_t op : {kRead, kWrite})
            seed.step(O::Submit, op, 0, length(setup & kLarge ? 14 : 24, 1))
                .step(O::Submit, op | 3 << 4 | 1 << 6 | 0x800, 0, length(24))
                .step(O::Run)
                .step(O::Serve)
                .step(O::Run);
        FrontOutcome o = play(seed);
        EXPECT_EQ(o.ok, 4u) << setup;
        EXPECT_GE(o.indirect, setup & kLarge ? 2u : 0u) << setup;
    }
}

TEST(Front, BarrierInPlaceOfAFlush)
{
    Seed seed = Seed(offered(kOffersBarrier))
                    .step(O::Offer, kOffersBarrier | kNoFlush, 0, 0, 1)
                    .step(O::State, 4)
                    .step(O::Run);
    /* A backend that loses its flush takes a promise back; a new connection
     * begins without it. */
    seed.step(O::Owner, 0);
    for (int i = 0; i < 4; i++)
        seed.step(O::Run).step(O::Follow);
    FrontOutcome o = play(seed.step(O::Run)
                              .step(O::Submit, kFlush)
                              .step(O::Submit, kWrite | 0x400, 0, length(8))
                              .step(O::Run)
                              .step(O::Serve)
                              .step(O::Run));
    EXPECT_EQ(o.barriers, 2u);
    EXPECT_EQ(o.ok, 2u);
}

TEST(Front, FeaturesFailAtFirstUse)
{
    for (uint16_t answers : {kAnswersError, kAnswersUnsupported}) {
        Seed seed(offered(kOffersBarrier));
        seed.step(O::Offer, kOffersBarrier | answers);
        for (int pass = 0; pass < 2; pass++)
            seed.step(O::Submit, kFlush)
                .step(O::Submit, kDiscard, 32, length(16))
                .step(O::Run)
                .step(O::Serve)
                .step(O::Run)
                .step(O::Serve)
                .step(O::Run);
        FrontOutcome o = play(seed);
        EXPECT_EQ(o.accepted, 2u) << "and not a second time";
        EXPECT_EQ(o.barriers, 1u);
        EXPECT_EQ(o.error + o.unsupported, 2u);
        EXPECT_EQ(o.state, FrontState::Connected);
    }
}

TEST(Front, SecureDiscard)
{
    FrontOutcome o = play(Seed()
                              .step(O::Offer, kOffersSecure, 0, 0, 1)
                              .step(O::Owner, 0)
                              .step(O::Run)
                              .step(O::Follow)
                              .step(O::Run)
                              .step(O::Follow)
                              .step(O::Run)
                              .step(O::Follow)
                              .step(O::Run)
                              .step(O::Follow)
                              .step(O::Run)
                              .step(O::Submit, kDiscard | 0x1000, 32, length(16))
                              .step(O::Run)
                              .step(O::Serve)
                              .step(O::Run));
    EXPECT_EQ(o.ok, 1u);
}

TEST(Front, AnswerOnAnotherRing)
{
    FrontOutcome o = play(Seed(kQueues | offered(kOffersQueues))
                              .step(O::Submit, kRead, 0, length(8))
                              .step(O::Submit, kRead | 1 << 2, 8, length(8, 8))
                              .step(O::Run)
                              .step(O::Take, 7)
                              .step(O::Answer, 0, 0, 0, 7)
                              .step(O::Event)
                              .step(O::Run));
    EXPECT_STREQ(o.broken, "ring:rsp-id");
}

TEST(Front, KeptPagesStayMappedForTooLong)
{
    Seed seed(kEverything);
    seed.step(O::Submit, kWrite, 0, length(8)).step(O::Run).step(O::Serve).step(O::Run);
    seed.step(O::Poke, 0, 9, 9).step(O::Leave, 1, 0, 0, 1).step(O::Run);
    FrontOutcome o = play(seed);
    EXPECT_EQ(o.ok, 1u);
    EXPECT_EQ(o.quarantined, 1u);
    for (int i = 0; i < 3; i++)
        seed.step(O::Unmap, 0, 0, 0, 1).step(O::Follow).step(O::Run);
    seed.step(O::Submit, kRead, 0, length(24)).step(O::Run).step(O::Serve).step(O::Run);
    o = play(seed);
    EXPECT_EQ(o.connects, 2u);
    EXPECT_EQ(o.ok, 2u);
    EXPECT_EQ(o.quarantined, 0u);
}

TEST(Front, NextConnectionHasOtherLimits)
{
    Seed seed(kEverything);
    for (uint16_t i = 0; i < 8; i++)
        seed.step(O::Submit, static_cast<uint16_t>(kWrite | (i & 3) << 2 | kOdd),
                  static_cast<uint16_t>(32 * i), length(24));
    seed.step(O::Run).step(O::Offer, 0).step(O::Leave, 0, 0, 0, 1).step(O::Run);
    for (int i = 0; i < 3; i++)
        seed.step(O::Follow).step(O::Run);
    for (int i = 0; i < 4; i++)
        seed.step(O::Serve).step(O::Run);
    FrontOutcome o = play(seed);
    EXPECT_EQ(o.connects, 2u);
    EXPECT_EQ(o.plan.queues, 1u);
    EXPECT_EQ(o.ok, 8u);
}

/* The backend offers neither flush nor barrier, from its second session on. */
TEST(Front, DiskWithoutACacheNeedsNoFlush)
{
    Seed seed = Seed().step(O::Offer, kNoFlush, 0, 0, 1).step(O::Owner, 0);
    for (int i = 0; i < 4; i++)
        seed.step(O::Run).step(O::Follow);
    FrontOutcome o = play(seed.step(O::Run).step(O::Submit, kFlush).step(O::Run));
    EXPECT_EQ(o.ok, 1u);
    EXPECT_EQ(o.counters.ring_flushes, 0u);
}

/* A list that the backend changed names the ring, so its pages are among those
 * that it keeps, and nobody can rely on what it finds there. */
TEST(Front, KeptPageIsTheRing)
{
    constexpr uint16_t kList = 2, kRing = 0, kRingRef = 8, kSegments = 64 + 2 * 112 + 1;
    Seed seed(kLarge | kPersistent | kIndirect | offered(kOffersIndirect | kOffersPersistent));
    seed.step(O::Submit, kRead, 0, length(14)).step(O::Run).step(O::Serve).step(O::Run);
    seed.step(O::Submit, kRead, 0, length(14)).step(O::Run);
    seed.step(O::Poke, kList, 0, kRingRef).step(O::Serve).step(O::Run);
    seed.step(O::Submit, kRead, 0, length(1)).step(O::Run);
    FrontOutcome o = play(seed.step(O::Poke, kRing, kSegments, 0).step(O::Take));
    EXPECT_EQ(o.indirect, 2u);
}

TEST(Front, RequestsThatNobodyMaySend)
{
    Seed seed;
    for (uint32_t wrong : {1u, 2u, 3u, 4u, 5u})
        seed.step(O::Submit, kRead, 18, length(8), wrong);
    EXPECT_EQ(play(seed).accepted, 0u);
}

} // namespace

} // namespace pvblk::fuzz
