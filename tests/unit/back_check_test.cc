/* SPDX-License-Identifier: MIT */
/*
 * The backend's checks of a request as functions: what a good one comes to, on a
 * disk of each unit. That bad ones are answered as they should be is in
 * back_test.cc, end to end.
 */
#include "back/check.h"

#include <gtest/gtest.h>

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
    r.nr_segments = 1;
    return r;
}

std::optional<Task> checked(const BackConfig &config, const WireRequest &wire,
                            const std::vector<WireSegment> &segments)
{
    Disk disk{config, kDisk};
    Task task;
    if (check_request(disk, wire, task) != RspStatus::Okay)
        return std::nullopt;
    if (task.data && check_segments(disk, wire, segments, task) != RspStatus::Okay)
        return std::nullopt;
    return task;
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

} // namespace
