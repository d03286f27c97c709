/* SPDX-License-Identifier: MIT */
/*
 * OVMF's block frontend does with our backend what a frontend is for. Serves
 * blkif.h "STATE DIAGRAMS", struct blkif_request; UEFI 2.10, 13.9 (block I/O).
 */
#include "ovmf/world.h"
#include "support/driver_checks.h"

namespace
{

using namespace pvblk;

constexpr size_t kElevenPages = 11 * kPageSize;

/* ---- states -------------------------------------------------------------------- */

/* OVMF goes to Connected (4) at once, while the backend is in InitWait. */
TEST(OvmfStart, FrontendThatSkipsInitialisedIsConnected)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.driver.front_states, "4");
    EXPECT_EQ(w.store.seen, "24");
    OvmfDisk d = w.disk();
    EXPECT_EQ(d.last_block, 8191u);
    EXPECT_EQ(d.block_size, 512u);
    EXPECT_EQ(d.io_align, 512u);
    EXPECT_FALSE(d.read_only || d.removable || d.cdrom || d.barrier);
    EXPECT_TRUE(d.flush);
}

/* The driver hands the backend over to the next owner: it leaves InitWait. */
TEST(OvmfStop, HandOverLeavesNothingBehind)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.hub.grants.mapped(), 1u);
    EXPECT_EQ(w.stop(), "Success");
    EXPECT_EQ(w.driver.front_states, "4561");
    EXPECT_EQ(w.store.seen, "24562");
    EXPECT_EQ(w.hub.grants.mapped(), 0u);
    EXPECT_EQ(w.hub.grants.in_use(), 0u);
    for (const char *node : {"ring-ref", "event-channel", "protocol"})
        EXPECT_EQ(w.front_node(node), "") << node;
}

TEST(OvmfStart, BackendCanBeStartedAgain)
{
    World w;
    check_each_start_works(w);
}

TEST(OvmfStart, MissingBackendFailsTheStart)
{
    World w;
    w.back->vanish();
    EXPECT_EQ(w.start(), "Device Error");
}

TEST(OvmfStart, TransactionThatCollidedIsTriedAgain)
{
    World w;
    check_transaction_is_tried_again(w);
}

TEST(OvmfStop, BackendThatWantsToLeaveIsStoppedCleanly)
{
    World w;
    check_leaving_backend(w);
}

/* ---- data ---------------------------------------------------------------------- */

/* Sizes around one page and one request, buffers on and off a page's start;
 * skips that are no multiple of 512 are what GRUB does, and are copied. */
TEST(OvmfIo, DataIsRightForEachSizeAndPlace)
{
    WorldSetup s;
    s.hub.guest_pages = 2048;
    World w(s);
    check_each_size_and_place(w, kElevenPages);
}

/* blkif.h: BLKIF_MAX_SEGMENTS_PER_REQUEST. Eleven pages are one request; off a
 * page's start the driver takes ten pages' worth, which is eleven segments. */
TEST(OvmfIo, RequestsAreFilledAndNotOverfilled)
{
    for (const ReadCost &c :
         {ReadCost{kElevenPages, 0, 1, 11}, ReadCost{kElevenPages + 512, 0, 2, 12},
          ReadCost{kElevenPages - 4096, 512, 1, 11}, ReadCost{kElevenPages, 512, 2, 13},
          ReadCost{512, 3584, 1, 1}, ReadCost{1024, 3584, 1, 2}}) {
        World w;
        check_read_cost(w, c);
    }
}

TEST(OvmfIo, RingGoesRound)
{
    World w;
    check_ring_goes_round(w);
}

TEST(OvmfIo, FlushReachesTheDisk)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.flush(), "Success");
    EXPECT_EQ(w.hub.storage.flushes, 1u);
    EXPECT_EQ(w.stop(), "Success");
    EXPECT_EQ(w.hub.storage.flushes, 2u) << "a stop flushes, too";
}

TEST(OvmfIo, ErrorIsReportedAndPasses)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    std::byte *data = w.buffer(512);
    w.hub.storage.fail = true;
    EXPECT_EQ(w.read(7, 512, data), "Device Error");
    EXPECT_TRUE(w.said("read error -1 on /local/domain/1/device/vbd/51712 at sector 7"));
    EXPECT_EQ(w.write(7, 512, data), "Device Error");
    w.hub.storage.fail = false;
    EXPECT_EQ(w.read(7, 512, data), "Success");
}

TEST(OvmfIo, RequestBeyondTheEndIsNotSent)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    std::byte *data = w.buffer(1024);
    EXPECT_EQ(w.read(8191, 512, data), "Success");
    EXPECT_EQ(w.read(8191, 1024, data), "Invalid Parameter");
    EXPECT_EQ(w.read(8192, 512, data), "Invalid Parameter");
    EXPECT_EQ(w.read(UINT64_MAX, 512, data), "Invalid Parameter");
    EXPECT_EQ(w.read(0, 100, data), "Bad Buffer Size");
    EXPECT_EQ(w.pushed(), 1u);
}

/* ---- kinds of disk -------------------------------------------------------------- */

/* `sectors` and sector_number count in 512 bytes, whatever sector-size says. */
TEST(OvmfDisk, SectorsOf4096BytesAreAddressedIn512)
{
    WorldSetup s;
    s.back.sector_size = 4096;
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.disk().block_size, 4096u);
    EXPECT_EQ(w.disk().last_block, 1023u);
    check_write_and_read(w, 1012, 12 * kPageSize, 4096);
    EXPECT_EQ(w.read(1, 512, w.buffer(512)), "Bad Buffer Size");
}

TEST(OvmfDisk, ReadOnlyDiskIsNeitherWrittenNorFlushed)
{
    WorldSetup s;
    s.back.read_only = true;
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    EXPECT_TRUE(w.disk().read_only);
    EXPECT_EQ(w.write(0, 512, w.buffer(512)), "Write Protected");
    EXPECT_EQ(w.flush(), "Success");
    EXPECT_EQ(w.pushed(), 0u);
    EXPECT_EQ(w.read(0, 512, w.buffer(512)), "Success");
}

/* A CD-ROM's blocks are of 2048 bytes for the firmware, whatever the backend's. */
TEST(OvmfDisk, CdromIsACdrom)
{
    World w(cdrom_setup());
    ASSERT_EQ(w.start(), "Success");
    OvmfDisk d = w.disk();
    EXPECT_TRUE(d.cdrom && d.removable && d.read_only);
    EXPECT_EQ(d.block_size, 2048u);
    EXPECT_EQ(d.last_block, 2047u);
    std::byte *data = w.buffer(2048);
    fill_pattern(w.sector(16 * 4), 2048, 1);
    EXPECT_EQ(w.read(16, 2048, data), "Success");
    EXPECT_TRUE(has_pattern(data, 2048, 1));
}

TEST(OvmfDisk, EmptyDriveDoesNotStart)
{
    for (const char *params : {"", "aio:"}) {
        World w(cdrom_setup(params));
        EXPECT_EQ(w.start(), "Device Error");
        EXPECT_TRUE(w.said("Empty cdrom"));
        EXPECT_EQ(w.driver.front_states, "");
    }
}

} // namespace
