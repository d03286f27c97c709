/* SPDX-License-Identifier: MIT */
/*
 * What is wrong in U-Boot's block frontend (drivers/xen/pvblock.c), each shown
 * by a test that says what the driver does, and what our backend makes of it.
 * They are known defects, not wishes: where a newer U-Boot mends one, its test
 * fails, and docs/clients.rst has a line to change. What would overwrite memory
 * blindly runs in a child process, or into memory of the test's own.
 */
#include "support/driver_checks.h"
#include "uboot/world.h"

namespace
{

using namespace pvblk;

/* ---- starting ------------------------------------------------------------------- */

/* xenbus_wait_for_state_change() has no deadline. */
TEST(KnownUBootDefect, DriverWaitsWithoutADeadline)
{
    for (const char *state : {"0", "1", "2", "3"}) {
        WorldSetup s;
        s.bent_states = {{"2", state}, {"4", state}};
        World w(s);
        w.tidy = false;
        std::string text = w.start();
        EXPECT_TRUE(has(text, "hung: reads XenStore again and again")) << text;
    }
}

/* Reconfiguring (7) and Reconfigured (8) are a failure, as Closing and Closed are.
 * The failed start writes no state and frees the ring: our backend stays
 * Connected on a page that is somebody else's by now. */
TEST(KnownUBootDefect, DriverLeavesAFailedStartConnected)
{
    for (const char *state : {"5", "6", "7", "8", "9"}) {
        WorldSetup s;
        s.bent_states = {{"4", state}};
        World w(s);
        w.tidy = false;
        EXPECT_EQ(w.start(), "no device") << state;
        EXPECT_TRUE(w.said(std::string("backend not available, state=") + state));
        EXPECT_EQ(w.front_node("state"), "4");
        EXPECT_EQ(w.back->state(), XenbusState::Connected);
        EXPECT_EQ(w.hub.grants.mapped(), 1u);
        EXPECT_GE(w.driver.freed_while_granted, 1u);
    }
}

/* The way out for a toolstack, or for a driver that knows better. */
TEST(UBootStart, InitialisingFreesTheBackendOfAFailedStart)
{
    WorldSetup s;
    s.bent_nodes["sector-size"] = "-1";
    World w(s);
    check_initialising_frees_the_backend(w);
}

/* Of a transaction's errors only EAGAIN is looked at. Nothing was written, so
 * our backend stays in InitWait, and the wait has no end. */
TEST(KnownUBootDefect, DriverTakesAFailedTransactionForDone)
{
    World w;
    w.tidy = false;
    w.driver.transaction_ends = {WORLD_FAILED};
    EXPECT_TRUE(has(w.start(), "hung: reads XenStore again and again"));
    EXPECT_EQ(w.front_node("ring-ref"), "");
    EXPECT_EQ(w.store.seen, "2");
}

/* evtchn_alloc_unbound() may fail; port 0 is written all the same. Our backend
 * refuses it. */
TEST(KnownUBootDefect, DriverGoesOnWithoutAnEventChannel)
{
    World w;
    w.tidy = false;
    w.hub.fail(HubCall::EventOpen);
    EXPECT_EQ(w.start(), "no device");
    EXPECT_EQ(w.front_node("event-channel"), "0");
    EXPECT_EQ(w.store.seen, "25");
}

/* `mode` is a toolstack's node, not blkif's. Ours writes it. */
TEST(KnownUBootDefect, DriverNeedsAMode)
{
    WorldSetup s;
    s.faults = "at publish-node name=mode always: store/node-missing\n";
    World w(s);
    w.tidy = false;
    EXPECT_EQ(w.start(), "no device");
    EXPECT_TRUE(w.said("Error ENOENT when reading the mode"));
}

/* ---- the driver's own memory -------------------------------------------------------- */

/* free_blkfront() frees its device's private data, and so does U-Boot's driver
 * model after each remove: in U-Boot's heap, right before Linux is started. */
TEST(KnownUBootDefect, DriverFreesItsDataTwiceAtEachStop)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(uboot_double_frees(), 0u);
    EXPECT_EQ(w.stop(), "Success");
    EXPECT_EQ(uboot_double_frees(), 1u);
}

/* The first probe frees the platform data with the device's number. The next one
 * takes the number from the freed memory: here, 0x5a5a5a5a. */
TEST(KnownUBootDefect, DriverUsesFreedPlatformDataAfterAStop)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.stop(), "Success");
    EXPECT_EQ(uboot_probe_again().text, std::string("no device"));
    EXPECT_TRUE(w.said("Failed to read device/vbd/1515870810/backend-id."));
    EXPECT_EQ(uboot_double_frees(), 3u);
}

/* U-Boot probes once more to print its devices, so a start that fails does it, too. */
TEST(KnownUBootDefect, DriverUsesFreedPlatformDataAfterAFailedStart)
{
    World w;
    w.tidy = false;
    w.back->vanish();
    EXPECT_EQ(w.start(), "no device");
    EXPECT_TRUE(w.said("Failed to read device/vbd/1515870810/backend-id."));
    EXPECT_EQ(uboot_double_frees(), 3u);
}

/* ---- what the backend's nodes may say --------------------------------------------- */

/* The driver counts sector_number and segments in units of sector-size, where
 * blkif.h counts 512 bytes, and takes `sectors` for as many blocks. Our backend
 * refuses each request, and the driver says that it was done. */
TEST(KnownUBootDefect, DriverCountsInSectorsOf4096Bytes)
{
    WorldSetup s;
    s.back.sector_size = 4096;
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.disk().block_size, 4096u);
    EXPECT_EQ(w.disk().blocks, 8192u) << "eight times the disk";
    std::byte *data = w.buffer(4096);
    fill_pattern(w.sector(8), 4096, 1);
    for (uint64_t lba : {0, 1, 8, 8191}) {
        EXPECT_EQ(w.read(lba, 4096, data), "Success") << lba;
        EXPECT_EQ(w.write(lba, 4096, data), "Success") << lba;
    }
    EXPECT_FALSE(has_pattern(data, 4096, 1));
    EXPECT_TRUE(has_pattern(w.sector(8), 4096, 1));
    EXPECT_EQ(w.hub.storage.reads + w.hub.storage.writes, 0u);
}

/* No sector-size is refused: 0 is a disk of blocks without bytes, and what is no
 * power of two meets BUG_ON() at the first read. Above a page, the segments make
 * no sense, and ours refuses them. Ours publishes powers of two, 512 to 4096. */
TEST(KnownUBootDefect, DriverTakesAnySectorSize)
{
    struct Case {
        const char *node;
        uint32_t size;
        const char *read;
    };
    for (const Case &c :
         {Case{"0", 0, "0 of 0 blocks"}, Case{"many", 0, "0 of 0 blocks"},
          Case{"1536", 1536, "assert: pvblock.c:"}, Case{"8192", 8192, "Success"}}) {
        WorldSetup s;
        s.bent_nodes["sector-size"] = c.node;
        World w(s);
        w.tidy = false;
        ASSERT_EQ(w.start(), "Success");
        EXPECT_EQ(w.disk().block_size, c.size);
        std::string text = w.read(1, c.size, w.buffer(8192));
        EXPECT_EQ(text.substr(0, std::string(c.read).size()), c.read);
        EXPECT_EQ(w.hub.storage.reads, 0u);
    }
}

/* `sectors` is read as an int: from one tebibyte on, the disk has some 2^64
 * blocks. The driver's own range check then lets all through, and ours counts. */
TEST(KnownUBootDefect, DriverGivesALargeDiskAllBlocks)
{
    WorldSetup s;
    s.bent_nodes["sectors"] = "2147483648";
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.disk().blocks, UINT64_MAX - 0x7fffffff);
    EXPECT_EQ(w.read(uint64_t{1} << 40, 512, w.buffer(512)), "Success");
    EXPECT_EQ(w.pushed(), 1u);
    EXPECT_EQ(w.hub.storage.reads, 0u);
}

TEST(KnownUBootDefect, DriverMissesAResize)
{
    World w;
    check_resize_is_missed(w);
}

/* ---- requests and responses ----------------------------------------------------------- */

/* An error is printed, and no more: who reads a bad disk gets what his buffer
 * had before. */
TEST(KnownUBootDefect, DriverCallsAFailedReadASuccess)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    std::byte *data = w.buffer(512);
    fill_pattern(w.sector(7), 512, 1);
    fill_pattern(data, 512, 2);
    w.hub.storage.fail = true;
    EXPECT_EQ(w.read(7, 512, data), "Success");
    EXPECT_FALSE(has_pattern(data, 512, 1));
    EXPECT_TRUE(w.said("read error -1 on device/vbd/51712 at offset 3584"));
}

TEST(KnownUBootDefect, DriverCallsAFailedWriteASuccess)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    std::byte *data = w.buffer(512);
    fill_pattern(data, 512, 1);
    w.hub.storage.fail = true;
    EXPECT_EQ(w.write(7, 512, data), "Success");
    EXPECT_TRUE(w.said("write error -1"));
    EXPECT_FALSE(has_pattern(w.sector(7), 512, 1));
}

/* The driver knows the mode, and sends the write. Ours refuses it. */
TEST(KnownUBootDefect, DriverCallsAWriteToAReadOnlyDiskASuccess)
{
    WorldSetup s;
    s.back.read_only = true;
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.write(0, 512, w.buffer(512)), "Success");
    EXPECT_EQ(w.pushed(), 1u);
    EXPECT_EQ(w.hub.storage.writes, 0u);
}

/* block number + count wraps round, so the range check passes. Ours does not. */
TEST(KnownUBootDefect, DriverSendsABlockNumberThatWraps)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.read(UINT64_MAX, 512, w.buffer(512)), "Success");
    EXPECT_EQ(w.pushed(), 1u);
    EXPECT_EQ(w.hub.storage.reads, 0u);
}

/* The only flush is that of a stop; that it failed is printed. */
TEST(KnownUBootDefect, DriverOnlyPrintsAFailedFlush)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    w.hub.storage.fail = true;
    EXPECT_EQ(w.stop(), "Success");
    EXPECT_TRUE(w.said("flush error -1"));
}

/* Where both are offered, a barrier goes first, with no data and ID 0, and a
 * flush after it. What the barrier came to is printed. */
TEST(KnownUBootDefect, DriverOnlyPrintsARefusedBarrier)
{
    WorldSetup s;
    s.back_nodes["feature-barrier"] = "1";
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.stop(), "Success");
    EXPECT_TRUE(w.said("write barrier error -2"));
    EXPECT_EQ(w.hub.storage.flushes, 1u);
}

/* The driver polls its ring; an event that was not sent is not even printed. */
TEST(KnownUBootDefect, DriverIgnoresAFailedEvent)
{
    World w;
    w.tidy = false;
    ASSERT_EQ(w.start(), "Success");
    w.hub.fail(HubCall::EventNotify);
    EXPECT_EQ(w.read(0, 512, w.buffer(512)), "hung: polls the ring");
}

TEST(KnownUBootDefect, DriverPollsABackendThatIsGone)
{
    World w;
    w.tidy = false;
    ASSERT_EQ(w.start(), "Success");
    w.back->vanish();
    EXPECT_EQ(w.read(0, 512, w.buffer(512)), "hung: polls the ring");
}

/* The same at the stop, while it waits for Closed: an error of XenStore does not
 * end that loop. */
TEST(KnownUBootDefect, DriverWaitsForABackendThatLeavesInClosing)
{
    WorldSetup s;
    s.faults = "at tick state=Closing: lifecycle/vanish\n";
    World w(s);
    w.tidy = false;
    ASSERT_EQ(w.start(), "Success");
    EXPECT_TRUE(has(w.stop(), "hung: reads XenStore again and again"));
    EXPECT_EQ(w.faults.plan().fired(), 1u);
}

/* gnttab_end_access() may answer that the backend still has the page mapped; the
 * driver does not listen, and its caller uses the page for the next data:
 * XSA-396. Ours unmaps before it answers. */
TEST(KnownUBootDefect, DriverGivesBackAPageThatIsMapped)
{
    World w;
    w.tidy = false;
    ASSERT_EQ(w.start(), "Success");
    w.back_grants.keep = true;
    EXPECT_EQ(w.read(0, 512, w.buffer(512)), "Success");
    EXPECT_EQ(w.driver.grants_stuck, 1u);
    w.back_grants.keep = false;
    EXPECT_EQ(w.stop(), "Success");
}

int landed;

void land(void *, int)
{
    landed++;
}

/* blkif_response.id is a pointer to the driver, with a function in it that it
 * calls. Here the backend names memory that is the test's, and a function: it is
 * called, and the request that was meant is waited for for ever. */
TEST(KnownUBootDefect, DriverCallsWhatTheIdNames)
{
    World w;
    w.tidy = false;
    ASSERT_EQ(w.start(), "Success");
    uintptr_t forged[12] = {}; /* struct blkfront_aiocb; its last word is aio_cb */
    forged[11] = reinterpret_cast<uintptr_t>(&land);
    landed = 0;
    /* Of a read, grants would be ended. */
    replace_first_response(w, Op::FlushDiskcache, reinterpret_cast<uintptr_t>(forged));
    EXPECT_EQ(w.read(0, 512, w.buffer(512)), "hung: polls the ring");
    EXPECT_EQ(landed, 1);
}

TEST(KnownUBootDefect, DriverCrashesOnABadId)
{
    World w;
    check_crash_on_a_bad_id(w);
}

TEST(KnownUBootDefect, DriverFollowsAProducerThatJumps)
{
    World w;
    check_jumping_producer_is_followed(w);
}

} // namespace
