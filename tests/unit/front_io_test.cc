/* SPDX-License-Identifier: MIT */
/*
 * BlockFront's requests with an honest backend: data, splitting, bouncing,
 * units, flush, discard, limits, events. Serves blkif.h struct blkif_request
 * (segments, sector_number), BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_DISCARD.
 */
#include "support/rig.h"

namespace
{

using namespace pvblk;

/* ---- every unit mode and ABI ------------------------------------------- */

struct Mode {
    const char *name;
    uint32_t sector_size;
    SectorUnits units;
    Abi abi;
    bool always_bounce;
};
void PrintTo(const Mode &m, std::ostream *os)
{
    *os << m.name;
}

constexpr Mode kModes[] = {
    {"plain512", 512, SectorUnits::Bytes512, Abi::X86_64, false},
    {"plain4096", 4096, SectorUnits::Bytes512, Abi::X86_64, false},
    {"device4096", 4096, SectorUnits::Device, Abi::X86_64, false},
    {"device2048", 2048, SectorUnits::Device, Abi::X86_64, false},
    {"i386", 512, SectorUnits::Bytes512, Abi::X86_32, false},
    {"bounced", 512, SectorUnits::Bytes512, Abi::X86_64, true},
    {"bounced_device4096", 4096, SectorUnits::Device, Abi::X86_32, true},
};

class FrontData : public testing::TestWithParam<Mode>
{
protected:
    static RigSetup setup()
    {
        RigSetup s;
        s.back.sector_size = GetParam().sector_size;
        s.back.units = s.front.policy.large_sector_units = GetParam().units;
        s.front.policy.abi = GetParam().abi;
        s.front.always_bounce = GetParam().always_bounce;
        return s;
    }
    uint64_t step() const { return GetParam().sector_size / kSectorSize; }
    Rig rig{setup()};
};
INSTANTIATE_TEST_SUITE_P(Mode, FrontData, testing::ValuesIn(kModes),
                         [](const auto &i) { return i.param.name; });

/* blkif:sector-number — lengths around pages and requests, from odd places. */
TEST_P(FrontData, DataLandsInItsPlace)
{
    rig.connect();
    const uint64_t lengths[] = {1, 2, 7, 8, 9, 87, 88, 89, 176, 255, 512};
    uint32_t seed = 1;
    for (uint64_t n : lengths) {
        uint64_t sectors = n * step(), at = 3 * step(), bytes = sectors * kSectorSize;
        for (uint64_t offset : {0u, 512u, 4096u - 512u}) {
            SCOPED_TRACE(testing::Message() << n << " sectors from guest offset " << offset);
            seed++;
            rig.fill_guest(offset, bytes, seed);
            ASSERT_EQ(rig.write(at, sectors, offset), IoStatus::Ok);
            ASSERT_TRUE(rig.disk_is(at, sectors, seed));
            rig.fill_disk(at, sectors, seed + 100);
            ASSERT_EQ(rig.read(at, sectors, offset), IoStatus::Ok);
            ASSERT_TRUE(rig.guest_is(offset, bytes, seed + 100));
        }
    }
    EXPECT_EQ(rig.back->counters().refused, 0u);
}

/* The last sector of the disk, and none after it. */
TEST_P(FrontData, LastSectorIsTheLast)
{
    rig.connect();
    uint64_t end = rig.front->plan().sectors;
    EXPECT_EQ(end, 8192u);
    rig.fill_guest(0, step() * kSectorSize, 77);
    EXPECT_EQ(rig.write(end - step(), step()), IoStatus::Ok);
    EXPECT_TRUE(rig.disk_is(end - step(), step(), 77));
    EXPECT_EQ(rig.offer(rig.request(IoKind::Read, end, step())).verdict, Verdict::Rejected);
    EXPECT_EQ(rig.offer(rig.request(IoKind::Read, end - step(), 2 * step())).verdict,
              Verdict::Rejected);
}

/* front:bounce — pieces of any length at any address: data is right, and the
 * bytes around each piece are not touched. */
TEST_P(FrontData, MisalignedBufferIsIntact)
{
    rig.connect();
    const uint64_t bytes = 4 * step() * kSectorSize;
    /* 100 + 900 + … bytes with gaps, the rest in one piece that ends in an
     * odd place; the whole is read after 60 skipped bytes. */
    std::vector<Part> parts = {{0x1003, 160}, {0x2001, 900}, {0x3fff, 1}, {0x5000, 512}};
    uint64_t have = 160 - 60 + 900 + 1 + 512;
    parts.push_back({0x7e07, bytes - have});
    rig.fill_disk(2 * step(), 4 * step(), 42);
    std::memset(rig.hub.guest.host(0), 0xee, 0x10000);

    IoRequest r = rig.request(IoKind::Read, 2 * step(), 4 * step());
    r.buffer = rig.buffer(parts, 60);
    ASSERT_EQ(rig.finish(r), IoStatus::Ok);
    uint64_t pos = 0;
    for (size_t i = 0; i < parts.size(); i++) {
        uint64_t skip = i == 0 ? 60 : 0;
        EXPECT_TRUE(rig.guest_is(parts[i].offset + skip, parts[i].bytes - skip, 42, pos)) << i;
        pos += parts[i].bytes - skip;
        EXPECT_EQ(*rig.hub.guest.host(parts[i].offset + skip - 1), std::byte{0xee}) << i;
        EXPECT_EQ(*rig.hub.guest.host(parts[i].offset + parts[i].bytes), std::byte{0xee}) << i;
    }
    r.kind = IoKind::Write;
    r.sector = Sector(64 * step());
    ASSERT_EQ(rig.finish(r), IoStatus::Ok);
    EXPECT_TRUE(rig.disk_is(64 * step(), 4 * step(), 42));
    EXPECT_GT(rig.front->counters().bounced_segments, 0u);
}

/* ---- splitting --------------------------------------------------------- */

/* blkif:max-segments — 1 MiB, page-aligned: 256 segments, 11 at a time. */
TEST(FrontIo, LargeRequestIsSplitIntoTheFewest)
{
    Rig rig;
    rig.connect();
    rig.fill_guest(0, 1 << 20, 8);
    EXPECT_EQ(rig.write(100, 2048), IoStatus::Ok);
    EXPECT_TRUE(rig.disk_is(100, 2048, 8));
    EXPECT_EQ(rig.front->counters().ring_writes, 24u);
    EXPECT_EQ(rig.front->counters().segments, 256u);
    EXPECT_EQ(rig.front->counters().bounced_segments, 0u) << "aligned: no copy";
    EXPECT_EQ(rig.front->counters().bytes_written, 1u << 20);
}

/* More than a ring full, from a buffer that is larger than the ring. */
TEST(FrontIo, RequestLargerThanTheRingIsDone)
{
    RigSetup s;
    s.front.always_bounce = true; /* 72 pages for 512 */
    Rig rig(s);
    rig.connect();
    rig.fill_disk(0, 4096, 6);
    EXPECT_EQ(rig.read(0, 4096), IoStatus::Ok);
    EXPECT_TRUE(rig.guest_is(0, 2 << 20, 6));
}

/* front:parts — one part fails: the whole fails, once, with that status. */
TEST(FrontIo, OneFailedPartFailsTheRequest)
{
    for (uint64_t nth : {0u, 11u, 23u})
        for (int16_t status : {int16_t{-1}, int16_t{-2}}) {
            Rig rig;
            rig.obey("at respond nth=" + std::to_string(nth) + ": response/status " +
                     std::to_string(status));
            rig.connect();
            EXPECT_EQ(rig.write(0, 2048), status == -1 ? IoStatus::Error : IoStatus::Unsupported);
            EXPECT_EQ(rig.front->in_flight(), 0u);
            EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
        }
}

/* ---- limits ------------------------------------------------------------ */

/* front:range — subtract, never add (qemu:D3 wraps at 2^55 and 2^64). */
TEST(FrontIo, RequestBeyondTheDiskIsRejected)
{
    Rig rig;
    rig.connect();
    constexpr uint64_t k55 = 1ull << 55;
    const std::pair<uint64_t, uint64_t> bad[] = {
        {0, 0},          {8192, 1},       {8191, 2},       {0, 8193},
        {k55, 1},        {k55 + 5, 1},    {0, k55},        {1, k55},
        {UINT64_MAX, 1}, {UINT64_MAX, 2}, {1, UINT64_MAX}, {8191, UINT64_MAX - 8190},
        {0, UINT64_MAX}, {k55 - 1, k55},  {1ull << 63, 8}, {UINT64_MAX - 7, 16}};
    for (auto [sector, sectors] : bad)
        for (IoKind kind : {IoKind::Read, IoKind::Write, IoKind::Discard}) {
            IoRequest r = rig.request(kind, 0, 8);
            r.sector = Sector(sector);
            r.sectors = sectors;
            Intake in = rig.offer(r);
            EXPECT_EQ(in.verdict, Verdict::Rejected) << sector << '+' << sectors;
            EXPECT_EQ(in.why, IoStatus::Error);
        }
    EXPECT_EQ(rig.front->accepted(), 0u);
}

/* blkif:sector-size — what is no whole sector is not rounded. */
TEST(FrontIo, PartOfALargeSectorIsRejected)
{
    RigSetup s;
    s.back.sector_size = 4096;
    Rig rig(s);
    rig.connect();
    for (auto [sector, sectors] : {std::pair{1u, 8u}, {8u, 4u}, {4u, 4u}, {7u, 1u}})
        EXPECT_EQ(rig.offer(rig.request(IoKind::Write, sector, sectors)).verdict,
                  Verdict::Rejected);
}

/* front:buffer — a buffer that is shorter than the request. */
TEST(FrontIo, ShortBufferIsRejected)
{
    Rig rig;
    rig.connect();
    IoRequest r = rig.request(IoKind::Write, 0, 8);
    r.buffer = rig.buffer({{0, 2048}, {8192, 2047}});
    EXPECT_EQ(rig.offer(r).verdict, Verdict::Rejected);
    r.buffer = rig.buffer({{0, 4096}}, 1);
    EXPECT_EQ(rig.offer(r).verdict, Verdict::Rejected);
    r.buffer = rig.buffer({});
    EXPECT_EQ(rig.offer(r).verdict, Verdict::Rejected);
    r.buffer = rig.buffer({{0, 4096}}, UINT64_MAX);
    EXPECT_EQ(rig.offer(r).verdict, Verdict::Rejected);
    r.buffer = rig.buffer({{0, 0}, {0, 4096}, {0, 0}});
    EXPECT_EQ(rig.finish(r), IoStatus::Ok) << "empty pieces are legal";
}

/* front:retry */
TEST(FrontIo, FullQueueAsksForARetry)
{
    RigSetup s;
    s.front.max_requests = 40;
    Rig rig(s);
    rig.back->knobs().hold = true;
    rig.connect();
    for (uint32_t i = 0; i < 40; i++)
        rig.submit(IoKind::Read, i, 1, i * 512);
    EXPECT_FALSE(rig.front->has_room());
    EXPECT_EQ(rig.offer(rig.request(IoKind::Read, 0, 1)).verdict, Verdict::Retry);
    rig.pump();
    EXPECT_EQ(rig.back->held(), 32u);
    EXPECT_EQ(rig.offer(rig.request(IoKind::Read, 0, 1)).verdict, Verdict::Retry);
    rig.back->complete(31);
    rig.hub.run();
    EXPECT_TRUE(rig.front->has_room());
    size_t last = rig.submit(IoKind::Read, 41, 1);
    rig.back->knobs().hold = false;
    rig.pump();
    rig.back->complete_all();
    rig.hub.run();
    EXPECT_EQ(rig.front->accepted(), 0u);
    EXPECT_EQ(rig.result(last), IoStatus::Ok);
}

/* front:order — answers in any order find their request. */
TEST(FrontIo, ReorderedAnswersFindTheirRequests)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    std::vector<size_t> ids;
    for (uint32_t i = 0; i < 32; i++) {
        rig.fill_disk(i * 8, 8, i);
        ids.push_back(rig.submit(IoKind::Read, i * 8, 8, i * 4096));
    }
    rig.pump();
    while (rig.back->held())
        rig.back->complete(rig.back->held() * 7 / 11);
    rig.hub.run();
    for (uint32_t i = 0; i < 32; i++) {
        EXPECT_EQ(rig.result(ids[i]), IoStatus::Ok);
        EXPECT_TRUE(rig.guest_is(i * 4096, 4096, i)) << i;
    }
}

/* ---- access ------------------------------------------------------------ */

/* grant:readonly — what the disk reads from us, it cannot change. */
TEST(FrontIo, BufferOfAWriteIsReadOnly)
{
    for (bool bounce : {false, true}) {
        RigSetup s;
        s.front.always_bounce = bounce;
        Rig rig(s);
        rig.oracle_matters = false;
        rig.back->knobs().hold = true;
        rig.connect();
        rig.submit(IoKind::Write, 0, 8);
        rig.submit(IoKind::Read, 0, 8, 4096);
        rig.pump();
        GrantRef w = rig.back->held_request(0).seg[0].gref;
        GrantRef r = rig.back->held_request(1).seg[0].gref;
        EXPECT_FALSE(rig.hub.grants.map(w, false));
        auto page = rig.hub.grants.map(r, false);
        ASSERT_TRUE(page);
        rig.hub.grants.unmap(r, page.value());
        rig.back->complete_all();
        rig.hub.run();
    }
}

/* grant:lifetime — no grant outlives its request. */
TEST(FrontIo, GrantEndsWithItsRequest)
{
    Rig rig;
    rig.connect();
    EXPECT_EQ(rig.hub.grants.in_use(), 1u) << "the ring";
    EXPECT_EQ(rig.write(0, 2048), IoStatus::Ok);
    EXPECT_EQ(rig.hub.grants.in_use(), 1u);
}

/* front:stale — a bounce page never carries an older request's data. */
TEST(FrontIo, BouncePageHasNoStaleData)
{
    RigSetup s;
    s.front.always_bounce = true;
    Rig rig(s);
    rig.obey("at before-work nth=1: data/skipped");
    rig.connect();
    rig.fill_guest(0, 4096, 13);
    EXPECT_EQ(rig.write(0, 8), IoStatus::Ok);
    EXPECT_EQ(rig.read(8, 8, 8192), IoStatus::Ok);
    for (uint64_t i = 0; i < 4096; i++)
        ASSERT_EQ(*rig.hub.guest.host(8192 + i), std::byte{0}) << i;
}

/* ---- flush and discard ------------------------------------------------- */

/* blkif:flush — no segments, after the write was answered, before the owner
 * hears of it. */
TEST(FrontIo, StableWriteCompletesAfterItsFlush)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    IoRequest r = rig.request(IoKind::Write, 0, 8);
    r.flush_after = true;
    size_t id = rig.submit(r);
    rig.pump();
    ASSERT_EQ(rig.back->held(), 1u) << "no flush before the write is done";
    rig.back->complete(0);
    rig.hub.run();
    ASSERT_EQ(rig.back->held(), 1u);
    EXPECT_EQ(rig.back->held_request(0).op, Op::FlushDiskcache);
    EXPECT_EQ(rig.back->held_request(0).nr_segments, 0);
    EXPECT_FALSE(rig.result(id));
    rig.back->complete(0);
    rig.hub.run();
    EXPECT_EQ(rig.result(id), IoStatus::Ok);
    EXPECT_EQ(rig.hub.storage.flushes, 1u);
}

/* The write failed, or the flush did: neither is a success. */
TEST(FrontIo, FailedFlushFailsItsWrite)
{
    for (uint64_t nth : {0u, 1u}) {
        Rig rig;
        rig.obey("at respond nth=" + std::to_string(nth) + ": response/status -1");
        rig.connect();
        IoRequest r = rig.request(IoKind::Write, 0, 8);
        r.flush_after = true;
        EXPECT_EQ(rig.finish(r), IoStatus::Error);
        EXPECT_EQ(rig.back->counters().requests, nth + 1) << "no flush after a failed write";
    }
}

/* A disk without a cache: nothing to flush, and nothing is sent. */
TEST(FrontIo, NoFlushIsSentWithoutTheFeature)
{
    RigSetup s;
    s.back.flush = false;
    Rig rig(s);
    rig.connect();
    EXPECT_EQ(rig.flush(), IoStatus::Ok);
    IoRequest r = rig.request(IoKind::Write, 0, 8);
    r.flush_after = true;
    EXPECT_EQ(rig.finish(r), IoStatus::Ok);
    EXPECT_EQ(rig.front->counters().ring_flushes, 0u);
}

/* Who drives the front waits for an event if nothing moved. No event follows
 * this flush. */
TEST(FrontIo, RequestThatEndsUnsentHasMoved)
{
    RigSetup s;
    s.back.flush = false;
    Rig rig(s);
    rig.connect();
    rig.offer(rig.request(IoKind::Flush, 0, 0));
    EXPECT_TRUE(rig.front->pump());
    EXPECT_EQ(rig.result(0), IoStatus::Ok);
    EXPECT_FALSE(rig.front->pump());
}

/* blkif:feature-loss — EOPNOTSUPP switches a feature off, until a new
 * connection; a node that still says 1 does not switch it on. */
TEST(FrontIo, WithdrawnFeatureStaysOff)
{
    for (IoKind kind : {IoKind::Flush, IoKind::Discard}) {
        Rig rig;
        rig.obey("at before-work: features/unsupported");
        rig.connect();
        auto r = [&] { return rig.request(kind, 0, kind == IoKind::Flush ? 0 : 8); };
        EXPECT_EQ(rig.finish(r()), IoStatus::Unsupported);
        rig.back->resized();
        rig.hub.run();
        Intake in = rig.offer(r());
        EXPECT_EQ(in.verdict, Verdict::Rejected);
        EXPECT_EQ(in.why, IoStatus::Unsupported);
        EXPECT_EQ(rig.back->counters().requests, 1u);
        rig.front->reconnect();
        rig.hub.run();
        EXPECT_EQ(rig.finish(r()), IoStatus::Ok) << "a new connection may have it";
    }
}

/* blkif:discard — from the next multiple of the granularity (e9a0101dde). */
TEST(FrontIo, DiscardStartsOnTheGranularity)
{
    RigSetup s;
    s.back.discard_granularity = 8 * 512;
    s.back.discard_alignment = 512;
    Rig rig(s);
    rig.connect();
    struct {
        uint64_t sector, sectors, from, count;
    } const cases[] = {
        {1, 16, 1, 16}, {2, 16, 9, 9}, {0, 9, 1, 8},
        {8, 8, 9, 7},   {9, 1, 9, 1},  {1000, 7192, 1001, 7191},
    };
    for (const auto &c : cases) {
        rig.hub.storage.discards.clear();
        EXPECT_EQ(rig.discard(c.sector, c.sectors), IoStatus::Ok);
        ASSERT_EQ(rig.hub.storage.discards.size(), 1u) << c.sector;
        EXPECT_EQ(rig.hub.storage.discards[0].sector, c.from);
        EXPECT_EQ(rig.hub.storage.discards[0].sectors, c.count);
    }
}

TEST(FrontIo, DiscardOfNothingIsNotSent)
{
    RigSetup s;
    s.back.discard_granularity = 65536;
    Rig rig(s);
    rig.connect();
    EXPECT_EQ(rig.discard(1, 100), IoStatus::Ok) << "advice: keeping data is legal";
    EXPECT_EQ(rig.back->counters().requests, 0u);
    EXPECT_EQ(rig.read(0, 8), IoStatus::Ok) << "and the queue goes on";
}

/* qemu:D1 — units of nr_sectors under the quirk. */
TEST(FrontIo, DiscardCountsInEitherUnit)
{
    for (SectorUnits units : {SectorUnits::Bytes512, SectorUnits::Device}) {
        RigSetup s;
        s.back.sector_size = 4096;
        s.back.units = s.front.policy.large_sector_units = units;
        Rig rig(s);
        rig.connect();
        EXPECT_EQ(rig.discard(16, 32), IoStatus::Ok);
        ASSERT_EQ(rig.hub.storage.discards.size(), 1u);
        EXPECT_EQ(rig.hub.storage.discards[0].sector, 16u);
        EXPECT_EQ(rig.hub.storage.discards[0].sectors, 32u);
    }
}

/* qemu:D6 — a discard aborts QEMU's xen-cdrom. */
TEST(FrontIo, CdromGetsNoDiscard)
{
    RigSetup s;
    s.back.cdrom = true; /* writable, and it claims feature-discard */
    Rig rig(s);
    rig.connect();
    EXPECT_EQ(rig.back_node("feature-discard"), "1");
    EXPECT_EQ(rig.discard(0, 8), IoStatus::Unsupported);
    EXPECT_EQ(rig.back->counters().requests, 0u);
}

/* ---- events ------------------------------------------------------------ */

/* front:batch — one publish, one event, one batch_done() for many requests. */
TEST(FrontIo, BatchSendsOneEvent)
{
    Rig rig;
    rig.connect();
    uint64_t before = rig.hub.calls(HubCall::EventNotify);
    for (uint32_t i = 0; i < 20; i++)
        rig.submit(IoKind::Read, i, 1, i * 512);
    rig.pump();
    EXPECT_EQ(rig.hub.calls(HubCall::EventNotify) - before, 1u);
    EXPECT_EQ(rig.front->counters().batches, 1u);
    EXPECT_EQ(rig.owner.batches, 1u);
    EXPECT_EQ(rig.owner.order.size(), 20u);
}

/* ring:req-event — no event to a backend that is awake; qemu:D15 needs one. */
TEST(FrontIo, HoldOffIsKeptUnlessOverridden)
{
    for (bool always : {false, true}) {
        RigSetup s;
        s.front.always_notify = always;
        Rig rig(s);
        rig.connect();
        rig.submit(IoKind::Read, 0, 1);
        rig.front->pump();
        rig.submit(IoKind::Read, 1, 1);
        rig.front->pump(); /* the backend did not run in between */
        EXPECT_EQ(rig.front->counters().events_sent, always ? 2u : 1u);
        EXPECT_EQ(rig.front->counters().events_suppressed, always ? 0u : 1u);
        rig.hub.run();
        EXPECT_EQ(rig.owner.order.size(), 2u) << "either way both are done";
    }
}

/* front:resubmit — from inside completed(). */
TEST(FrontIo, SubmitFromACompletionIsDone)
{
    Rig rig;
    rig.connect();
    int left = 200;
    rig.owner.on_completed = [&] {
        if (left-- > 0)
            rig.submit(IoKind::Read, 0, 8);
    };
    rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    EXPECT_EQ(rig.owner.order.size(), 201u);
}

/* front:counters — what is shown to users adds up. */
TEST(FrontIo, CountersAddUp)
{
    Rig rig;
    rig.connect();
    rig.write(0, 8);
    rig.read(0, 16);
    rig.flush();
    rig.discard(0, 8);
    rig.hub.storage.fail = true;
    rig.read(0, 1);
    const FrontCounters &c = rig.front->counters();
    EXPECT_EQ(c.requests, 5u);
    EXPECT_EQ(c.failed, 1u);
    EXPECT_EQ(c.errors, 1u);
    EXPECT_EQ(c.responses, 5u);
    EXPECT_EQ(c.ring_reads + c.ring_writes + c.ring_flushes + c.ring_discards, 5u);
    EXPECT_EQ(c.bytes_written, 4096u);
    EXPECT_EQ(c.bytes_read, 8192u);
    EXPECT_EQ(c.bytes_discarded, 4096u);
    EXPECT_EQ(c.violations, 0u);
}

/* Nothing is sent once the owner stopped, also where it does so in
 * the middle of a batch of answers. */
TEST(FrontIo, StopInsideACompletionSendsNoMore)
{
    RigSetup s;
    s.front.max_requests = 100;
    Rig rig(s);
    rig.connect();
    for (uint64_t i = 0; i < 64; i++)
        rig.submit(IoKind::Write, i * 8, 8);
    size_t done = 0;
    rig.owner.on_completed = [&] {
        if (++done == 8)
            rig.front->stop();
    };
    rig.pump();
    EXPECT_EQ(rig.hub.storage.writes, 32u) << "as many as the first ring took";
    EXPECT_EQ(done, 64u) << "each ends";
}

/* A request that is none is nobody's write, and a flush has no length. */
TEST(FrontIo, NonsenseIsRejected)
{
    Rig rig;
    rig.connect();
    IoRequest flush = rig.request(IoKind::Flush, 0, 0);
    flush.sectors = 8;
    EXPECT_EQ(rig.offer(flush).verdict, Verdict::Rejected);
    IoRequest none = rig.request(IoKind::Write, 0, 8);
    none.kind = static_cast<IoKind>(7);
    EXPECT_EQ(rig.offer(none).verdict, Verdict::Rejected);
    rig.pump();
    EXPECT_EQ(rig.hub.storage.writes + rig.hub.storage.flushes, 0u);
}

} // namespace
