/* SPDX-License-Identifier: MIT */
/*
 * OVMF's block frontend does with our backend what a frontend is for. Serves
 * blkif.h "STATE DIAGRAMS", struct blkif_request; UEFI 2.10, 13.9 (block I/O).
 */
#include "world.h"

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
    EXPECT_EQ(w.front_states, "4");
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
    EXPECT_EQ(w.front_states, "4561");
    EXPECT_EQ(w.store.seen, "24562");
    EXPECT_EQ(w.hub.grants.mapped(), 0u);
    EXPECT_EQ(w.hub.grants.in_use(), 0u);
    for (const char *node : {"ring-ref", "event-channel", "protocol"})
        EXPECT_EQ(w.front_node(node), "") << node;
}

TEST(OvmfStart, BackendCanBeStartedAgain)
{
    World w;
    std::byte *data = w.buffer(kPageSize);
    for (uint32_t round = 0; round < 3; round++) {
        ASSERT_EQ(w.start(), "Success") << round;
        fill_pattern(data, kPageSize, round);
        EXPECT_EQ(w.write(8 * round, kPageSize, data), "Success");
        EXPECT_EQ(w.stop(), "Success") << round;
        EXPECT_TRUE(has_pattern(w.sector(8 * round), kPageSize, round));
    }
    EXPECT_EQ(w.store.seen, "24562"
                            "4562"
                            "4562");
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
    w.transaction_ends = {WORLD_AGAIN, WORLD_AGAIN};
    EXPECT_EQ(w.start(), "Success");
    EXPECT_EQ(w.transactions, 3u);
    EXPECT_EQ(w.front_states, "4");
}

/* Hot unplug: the driver has no ear for it, and serves on; the stop is clean. */
TEST(OvmfStop, BackendThatWantsToLeaveIsStoppedCleanly)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    w.back->close();
    w.hub.run();
    EXPECT_EQ(w.back_node("state"), "5");
    EXPECT_EQ(w.read(0, 512, w.buffer(512)), "Success");
    EXPECT_EQ(w.stop(), "Success");
    EXPECT_EQ(w.front_states, "4561");
}

/* ---- data ---------------------------------------------------------------------- */

/* Sizes around one page and one request, buffers on and off a page's start;
 * skips that are no multiple of 512 are what GRUB does, and are copied. */
TEST(OvmfIo, DataIsRightForEachSizeAndPlace)
{
    WorldSetup s;
    s.hub.guest_pages = 2048;
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    uint32_t seed = 0;
    for (size_t bytes : {size_t{512}, size_t{4096}, size_t{4608}, kElevenPages - 4096, kElevenPages,
                         kElevenPages + 512, size_t{131072}})
        for (size_t skip : {0, 512, 3584, 1, 100, 4095}) {
            SCOPED_TRACE(testing::Message() << bytes << " bytes at " << skip);
            uint64_t lba = 1 + seed * 3;
            std::byte *from = w.buffer(bytes, skip), *to = w.buffer(bytes + 1, skip);
            fill_pattern(from, bytes, ++seed);
            to[bytes] = std::byte{0x5a};
            ASSERT_EQ(w.write(lba, bytes, from), "Success");
            EXPECT_TRUE(has_pattern(w.sector(lba), bytes, seed));
            ASSERT_EQ(w.read(lba, bytes, to), "Success");
            EXPECT_TRUE(has_pattern(to, bytes, seed));
            EXPECT_EQ(to[bytes], std::byte{0x5a}) << "read beyond the buffer";
        }
}

/* blkif.h: BLKIF_MAX_SEGMENTS_PER_REQUEST. Eleven pages are one request; off a
 * page's start the driver takes ten pages' worth, which is eleven segments. */
TEST(OvmfIo, RequestsAreFilledAndNotOverfilled)
{
    struct Case {
        size_t bytes, skip;
        uint32_t requests, grants;
    };
    for (const Case &c : {Case{kElevenPages, 0, 1, 11}, Case{kElevenPages + 512, 0, 2, 12},
                          Case{kElevenPages - 4096, 512, 1, 11}, Case{kElevenPages, 512, 2, 13},
                          Case{512, 3584, 1, 1}, Case{1024, 3584, 1, 2}}) {
        SCOPED_TRACE(testing::Message() << c.bytes << " bytes at " << c.skip);
        World w;
        ASSERT_EQ(w.start(), "Success");
        w.grants_made = 0;
        EXPECT_EQ(w.read(0, c.bytes, w.buffer(c.bytes, c.skip)), "Success");
        EXPECT_EQ(w.pushed(), c.requests);
        EXPECT_EQ(w.grants_made, c.grants);
    }
}

/* 32 slots: every one is used several times over. */
TEST(OvmfIo, RingGoesRound)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    std::byte *data = w.buffer(512);
    for (uint32_t i = 0; i < 150; i++) {
        fill_pattern(w.sector(i), 512, i);
        ASSERT_EQ(w.read(i, 512, data), "Success") << i;
        ASSERT_TRUE(has_pattern(data, 512, i)) << i;
    }
    EXPECT_EQ(w.pushed(), 150u);
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
    size_t bytes = 12 * kPageSize;
    std::byte *from = w.buffer(bytes), *to = w.buffer(bytes);
    fill_pattern(from, bytes, 1);
    EXPECT_EQ(w.write(1012, bytes, from), "Success");
    EXPECT_TRUE(has_pattern(w.sector(1012 * 8), bytes, 1));
    EXPECT_EQ(w.read(1012, bytes, to), "Success");
    EXPECT_TRUE(has_pattern(to, bytes, 1));
    EXPECT_EQ(w.read(1, 512, to), "Bad Buffer Size");
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
        EXPECT_EQ(w.front_states, "");
    }
}

} // namespace
