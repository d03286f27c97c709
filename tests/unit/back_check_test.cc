/* SPDX-License-Identifier: MIT */
/*
 * The backend's checks of a request as functions: what a good one comes to, on a
 * disk of each unit. That bad ones are answered as they should be is in
 * back_test.cc, end to end.
 */
#include "back/check.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace
{

using namespace pvblk;

constexpr uint64_t kDisk = 8192; /* sectors */

BackConfig large_sectors(SectorUnits units)
{
    BackConfig c;
    c.sector_size = 4096;
    c.units = units;
    return c;
}

WireRequest request(Op op, uint64_t sector)
{
    WireRequest r;
    r.op = op;
    r.sector = sector;
    if (op == Op::Indirect)
        r.nr_indirect_segments = 2;
    else
        r.nr_segments = 1;
    return r;
}

std::optional<Task> checked(const BackConfig &config, const WireRequest &wire,
                            const std::vector<WireSegment> &segments)
{
    Disk disk{config, kDisk};
    Task task;
    if (!check_request(disk, wire, task))
        return std::nullopt;
    if (task.data && !check_segments(disk, wire, segments, task))
        return std::nullopt;
    return task;
}

/* The clause that a request breaks; "": none. */
std::string clause(const BackConfig &config, const WireRequest &wire,
                   const std::vector<WireSegment> &segments = {})
{
    Disk disk{config, kDisk};
    Task task;
    Checked good = check_request(disk, wire, task);
    if (good && task.data)
        good = check_segments(disk, wire, segments, task);
    EXPECT_EQ(*good.error().why.what != 0, !good) << "a refusal has a sentence";
    return good.error().why.clause;
}

WireRequest discard(uint64_t sector, uint64_t sectors, bool secure = false)
{
    WireRequest r = request(Op::Discard, sector);
    r.nr_segments = secure ? kDiscardSecure : 0;
    r.nr_sectors = sectors;
    return r;
}

/* blkif:op */
TEST(BackCheck, EachOperationComesToItsOwnTask)
{
    const struct {
        Op op, inner;
        StorageOp task;
        bool barrier;
    } cases[] = {
        {Op::Read, Op::Read, StorageOp::Read, false},
        {Op::Write, Op::Read, StorageOp::Write, false},
        {Op::WriteBarrier, Op::Read, StorageOp::WriteStable, true},
        {Op::Indirect, Op::Read, StorageOp::Read, false},
        {Op::Indirect, Op::Write, StorageOp::Write, false},
    };
    for (const auto &c : cases) {
        WireRequest r = request(c.op, 8);
        r.indirect_op = c.inner;
        auto task = checked({}, r, {{GrantRef(9), 1, 3}, {GrantRef(9), 0, 7}});
        ASSERT_TRUE(task);
        EXPECT_EQ(task->op, c.task);
        EXPECT_EQ(task->barrier, c.barrier);
        EXPECT_TRUE(task->data);
        EXPECT_EQ(task->sector, 8u);
        EXPECT_EQ(task->sectors, 3u + 8u);
    }
}

/* blkif:barrier — without segments it is a flush in order. */
TEST(BackCheck, AnEmptyBarrierHasNoData)
{
    WireRequest r = request(Op::WriteBarrier, 8);
    r.nr_segments = 0;
    auto task = checked({}, r, {});
    ASSERT_TRUE(task);
    EXPECT_TRUE(task->barrier);
    EXPECT_FALSE(task->data);
}

/* blkif:sector-units — a task counts in 512 bytes, whatever the wire does. */
TEST(BackCheck, ATaskCountsIn512BytesWhateverTheWireDoes)
{
    auto bytes =
        checked(large_sectors(SectorUnits::Bytes512), request(Op::Read, 16), {{GrantRef(9), 0, 7}});
    auto device =
        checked(large_sectors(SectorUnits::Device), request(Op::Read, 2), {{GrantRef(9), 0, 0}});
    for (const auto &task : {bytes, device}) {
        ASSERT_TRUE(task);
        EXPECT_EQ(task->sector, 16u);
        EXPECT_EQ(task->sectors, 8u);
    }
}

/* blkif:range — no sum of two numbers of the frontend's wraps into the disk. */
TEST(BackCheck, NoSumWrapsIntoTheDisk)
{
    for (SectorUnits units : {SectorUnits::Bytes512, SectorUnits::Device})
        for (uint64_t sector : {kDisk, uint64_t{1} << 61, uint64_t{1} << 63, UINT64_MAX - 7}) {
            EXPECT_FALSE(
                checked(large_sectors(units), request(Op::Read, sector), {{GrantRef(9), 0, 0}}))
                << sector;
            WireRequest discard = request(Op::Discard, 8);
            discard.nr_segments = 0;
            discard.nr_sectors = sector;
            EXPECT_FALSE(checked(large_sectors(units), discard, {})) << sector;
        }
}

/* blkif:discard-secure */
TEST(BackCheck, ASecureDiscardIsNeverAnotherOne)
{
    WireRequest r = request(Op::Discard, 8);
    r.nr_segments = kDiscardSecure;
    r.nr_sectors = 16;
    BackConfig c;
    EXPECT_FALSE(checked(c, r, {}));
    c.discard_secure = true;
    auto task = checked(c, r, {});
    ASSERT_TRUE(task);
    EXPECT_EQ(task->op, StorageOp::SecureDiscard);
    EXPECT_EQ(task->sectors, 16u);
}

/* blkif:discard-sector — from the first granule on; the rest of a hint is left
 * alone. */
TEST(BackCheck, DiscardBeginsAtItsFirstGranule)
{
    BackConfig c;
    c.sector_size = 1024;
    c.discard_granularity = 8192; /* 16 sectors */
    c.discard_alignment = 2048;   /* 4 sectors: granules begin at 4, 20, 36 … */
    c.discard_secure = true;
    const struct {
        uint64_t sector, sectors;  /* asked for */
        uint64_t first, discarded; /* of the disk; 0: nothing */
    } cases[] = {
        {4, 16, 4, 16},       {4, 3, 4, 2},  {4, 40, 4, 40},   {0, 16, 4, 12},
        {5, 31, 20, 16},      {5, 15, 0, 0}, {5, 16, 0, 0},    {5, 17, 20, 2},
        {21, 1, 0, 0},        {20, 1, 0, 0}, {19, 40, 20, 38}, {kDisk - 12, 12, kDisk - 12, 12},
        {kDisk - 1, 1, 0, 0},
    };
    for (const auto &d : cases) {
        SCOPED_TRACE(testing::Message() << d.sector << " + " << d.sectors);
        auto task = checked(c, discard(d.sector, d.sectors), {});
        ASSERT_TRUE(task);
        EXPECT_EQ(task->nothing, d.discarded == 0);
        EXPECT_EQ(task->sectors, d.discarded);
        if (d.discarded) {
            EXPECT_EQ(task->sector, d.first);
        }
        bool exact = d.first == d.sector && d.discarded == d.sectors;
        EXPECT_EQ(clause(c, discard(d.sector, d.sectors, true)),
                  exact ? "" : "blkif:discard-sector");
    }
}

/* blkif:segment-alignment — the place of a segment in its page, too. */
TEST(BackCheck, SegmentBeginsAtAWholeSector)
{
    BackConfig c;
    c.sector_size = 2048;
    EXPECT_EQ(clause(c, request(Op::Read, 0), {{GrantRef(9), 4, 7}}), "");
    EXPECT_EQ(clause(c, request(Op::Read, 0), {{GrantRef(9), 2, 5}}), "blkif:segment-alignment");
}

/* What a person is told, and what could be counted by. */
TEST(BackCheck, EachRefusalNamesItsClause)
{
    const WireSegment good{GrantRef(9), 0, 7};
    BackConfig on, off, read_only;
    on.max_indirect_segments = 20;
    off.barrier = off.flush = off.discard = false;
    off.max_indirect_segments = 0;
    read_only.read_only = true;
    auto with = [](WireRequest r, auto change) {
        change(r);
        return r;
    };
    auto segments = [](uint8_t n) { return [n](WireRequest &r) { r.nr_segments = n; }; };
    auto indirect = [](uint16_t n) { return [n](WireRequest &r) { r.nr_indirect_segments = n; }; };
    const struct {
        const char *clause;
        const BackConfig &config;
        WireRequest wire;
        WireSegment segment;
    } cases[] = {
        {"", on, request(Op::Read, 0), good},
        {"blkif:op", on, request(Op::Reserved, 0), good},
        {"blkif:op", on, request(Op(7), 0), good},
        {"blkif:max-segments", on, with(request(Op::Read, 0), segments(0)), good},
        {"blkif:max-segments", on, with(request(Op::Read, 0), segments(12)), good},
        {"blkif:max-segments", on, with(request(Op::WriteBarrier, 0), segments(12)), good},
        {"blkif:max-segments", on, with(request(Op::Indirect, 0), indirect(0)), good},
        {"", on, with(request(Op::Indirect, 0), indirect(20)), good},
        {"blkif:indirect-limit", on, with(request(Op::Indirect, 0), indirect(21)), good},
        {"blkif:indirect-op", on,
         with(request(Op::Indirect, 0), [](WireRequest &r) { r.indirect_op = Op::Discard; }), good},
        {"blkif:feature-max-indirect-segments", off, request(Op::Indirect, 0), good},
        {"blkif:feature-barrier", off, request(Op::WriteBarrier, 0), good},
        {"blkif:feature-flush-cache", off, with(request(Op::FlushDiskcache, 0), segments(0)), good},
        {"blkif:feature-discard", off, discard(0, 8), good},
        {"blkif:flush", on, request(Op::FlushDiskcache, 0), good},
        {"blkif:read-only", read_only, request(Op::Write, 0), good},
        {"blkif:read-only", read_only, request(Op::WriteBarrier, 0), good},
        {"blkif:read-only", read_only, discard(0, 8), good},
        {"blkif:discard-flag", on, discard(0, 8, true), good},
        {"blkif:discard-count", on, discard(0, 0), good},
        {"blkif:range", on, discard(8, kDisk), good},
        {"blkif:range", on, discard(kDisk + 1, 1), good},
        {"blkif:range", on, request(Op::Read, kDisk - 7), good},
        {"blkif:range", on, request(Op::Read, UINT64_MAX), good},
        {"blkif:first-last", on, request(Op::Read, 0), {GrantRef(9), 5, 4}},
        {"blkif:first-last", on, request(Op::Read, 0), {GrantRef(9), 0, 8}},
    };
    for (const auto &c : cases)
        EXPECT_EQ(clause(c.config, c.wire, {c.segment}), c.clause) << &c - cases;
    EXPECT_EQ(clause(large_sectors(SectorUnits::Bytes512), request(Op::Read, 4), {good}),
              "blkif:sector-number");
    EXPECT_EQ(
        clause(large_sectors(SectorUnits::Bytes512), request(Op::Read, 8), {{GrantRef(9), 0, 3}}),
        "blkif:segment-alignment");
}

} // namespace
