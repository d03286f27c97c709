/* SPDX-License-Identifier: MIT */
/*
 * U-Boot's block frontend does with our backend what a frontend is for. Serves
 * blkif.h "STATE DIAGRAMS", struct blkif_request.
 */
#include "support/driver_checks.h"
#include "uboot/world.h"

namespace
{

using namespace pvblk;

constexpr size_t kTenPages = 10 * kPageSize;

/* ---- states -------------------------------------------------------------------- */

/* U-Boot goes to Connected (4) at once, with its ring. */
TEST(UBootStart, FrontendThatSkipsInitialisedIsConnected)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.driver.front_states, "4");
    EXPECT_EQ(w.store.seen, "24");
    EXPECT_EQ(w.disk().blocks, 8192u);
    EXPECT_EQ(w.disk().block_size, 512u);
}

/* U-Boot hands the backend over to Linux: it leaves InitWait. `protocol` stays. */
TEST(UBootStop, HandOverLeavesNoRingBehind)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.hub.grants.mapped(), 1u);
    EXPECT_EQ(w.stop(), "Success");
    EXPECT_EQ(w.driver.front_states, "4561");
    EXPECT_EQ(w.store.seen, "24562");
    EXPECT_EQ(w.hub.grants.mapped(), 0u);
    EXPECT_EQ(w.hub.grants.in_use(), 0u);
    for (const char *node : {"ring-ref", "event-channel"})
        EXPECT_EQ(w.front_node(node), "") << node;
}

TEST(UBootStart, NextBootUsesTheSameBackend)
{
    World w;
    check_each_start_works(w);
}

TEST(UBootStart, TransactionThatCollidedIsTriedAgain)
{
    World w;
    check_transaction_is_tried_again(w);
}

TEST(UBootStop, BackendThatWantsToLeaveIsStoppedCleanly)
{
    World w;
    check_leaving_backend(w);
}

/* A backend that is quick is Closed when Closing is awaited. */
TEST(UBootStop, BackendThatIsClosedAtOnceIsStoppedCleanly)
{
    WorldSetup s;
    s.bent_states = {{"5", "6"}};
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.stop(), "Success");
    EXPECT_EQ(w.driver.front_states, "4561");
}

/* ---- data ---------------------------------------------------------------------- */

/* Sizes around one page and one request, buffers on and off a page's start;
 * what is not aligned to a sector goes through the driver's own buffer. */
TEST(UBootIo, DataIsRightForEachSizeAndPlace)
{
    WorldSetup s;
    s.hub.guest_pages = 2048;
    World w(s);
    check_each_size_and_place(w, kTenPages);
}

/* blkif.h: BLKIF_MAX_SEGMENTS_PER_REQUEST. The driver takes ten pages' worth a
 * request, which is eleven segments off a page's start. */
TEST(UBootIo, RequestsHaveUpToElevenSegments)
{
    for (const ReadCost &c : {ReadCost{kTenPages, 0, 1, 10}, ReadCost{kTenPages + 512, 0, 2, 11},
                              ReadCost{kTenPages, 512, 1, 11}, ReadCost{512, 3584, 1, 1},
                              ReadCost{1024, 3584, 1, 2}, ReadCost{1024, 100, 2, 2}}) {
        World w;
        check_read_cost(w, c);
    }
}

TEST(UBootIo, RingGoesRound)
{
    World w;
    check_ring_goes_round(w);
}

TEST(UBootIo, StopFlushes)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.stop(), "Success");
    EXPECT_EQ(w.hub.storage.flushes, 1u);
}

TEST(UBootIo, RequestBeyondTheEndIsNotSent)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    std::byte *data = w.buffer(1024);
    EXPECT_EQ(w.read(8191, 512, data), "Success");
    EXPECT_EQ(w.read(8191, 1024, data), "0 of 2 blocks");
    EXPECT_EQ(w.read(8192, 512, data), "0 of 1 blocks");
    EXPECT_TRUE(w.said("exceeds max"));
    EXPECT_EQ(w.pushed(), 1u);
}

/* ---- kinds of disk -------------------------------------------------------------- */

/* QEMU's reading of blkif.h: all counts are in sector-size. It is the driver's. */
TEST(UBootDisk, SectorsOf4096BytesAreCountedAsQemuDoes)
{
    WorldSetup s;
    s.back.sector_size = 4096;
    s.back.units = SectorUnits::Device;
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.disk().block_size, 4096u);
    EXPECT_EQ(w.disk().blocks, 1024u);
    check_write_and_read(w, 1012, 12 * kPageSize, 4096);
}

TEST(UBootDisk, ReadOnlyDiskIsRead)
{
    WorldSetup s;
    s.back.read_only = true;
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    std::byte *data = w.buffer(512);
    fill_pattern(w.sector(7), 512, 1);
    EXPECT_EQ(w.read(7, 512, data), "Success");
    EXPECT_TRUE(has_pattern(data, 512, 1));
    EXPECT_EQ(w.stop(), "Success");
    EXPECT_EQ(w.hub.storage.flushes, 0u) << "nothing to flush";
}

TEST(UBootDisk, CdromIsReadAsADisk)
{
    WorldSetup s;
    s.back.cdrom = s.back.read_only = s.back.removable = true;
    s.front_nodes["device-type"] = "cdrom";
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    std::byte *data = w.buffer(2048);
    fill_pattern(w.sector(16 * 4), 2048, 1);
    EXPECT_EQ(w.read(16 * 4, 2048, data), "Success");
    EXPECT_TRUE(has_pattern(data, 2048, 1));
}

} // namespace
