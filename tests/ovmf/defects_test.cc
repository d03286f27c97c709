/* SPDX-License-Identifier: MIT */
/*
 * What is wrong in OVMF's block frontend (OvmfPkg/XenPvBlkDxe), each shown by
 * a test that says what the driver does, and what our backend makes of it. They
 * are known defects, not wishes: where a newer OVMF mends one, its test fails,
 * and docs/clients.rst has a line to change. What would overwrite memory blindly
 * runs in a child process, or into memory of the test's own.
 */
#include "ovmf/world.h"
#include "support/dies.h"
#include "support/driver_checks.h"

namespace
{

using namespace pvblk;

/* ---- starting ------------------------------------------------------------------- */

/* XenPvBlkWaitForBackendState() has no deadline; it also takes Unknown (0) for
 * "not yet". QEMU's backend never says that connecting failed. */
TEST(KnownOvmfDefect, DriverWaitsWithoutADeadline)
{
    for (const char *state : {"0", "1", "2", "3"}) {
        WorldSetup s;
        s.bent_states = {{"2", state}, {"4", state}};
        World w(s);
        w.tidy = false;
        std::string text = w.start();
        EXPECT_TRUE(has(text, "hung: waits for a watch that will not fire")) << text;
        EXPECT_TRUE(has(text, std::string("waiting backend state 4, current: ") + state)) << text;
    }
}

/* A state is compared by number: what is above the expected one is a failure,
 * Reconfiguring (7) and Reconfigured (8) as well as Closing and Closed. */
TEST(KnownOvmfDefect, DriverFailsOnAStateAboveTheExpected)
{
    for (const char *state : {"5", "6", "7", "8", "9"}) {
        WorldSetup s;
        s.bent_states = {{"2", state}, {"4", state}};
        World w(s);
        w.tidy = false; /* see DriverLeavesAFailedStartConnected */
        EXPECT_EQ(w.start(), "Device Error") << state;
        EXPECT_TRUE(w.said("not available")) << state;
    }
}

/* The same at the stop: a backend that is quick is Closed when Closing is
 * awaited. The driver gives up: no Closed of its own, and the ring's page goes
 * back to the firmware while our backend, which still waits for that Closed,
 * has it mapped. */
TEST(KnownOvmfDefect, DriverFreesARingThatIsMapped)
{
    WorldSetup s;
    s.bent_states = {{"5", "6"}};
    World w(s);
    w.tidy = false;
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.stop(), "Success");
    EXPECT_EQ(w.driver.front_states, "45");
    EXPECT_TRUE(w.said("error while waiting for closing backend state"));
    EXPECT_EQ(w.hub.grants.mapped(), 1u);
    EXPECT_EQ(w.driver.grants_stuck, 1u);
    EXPECT_EQ(w.driver.freed_while_granted, 1u);
}

/* Of XsTransactionEnd()'s errors only EAGAIN is looked at. Nothing was written,
 * so our backend stays in InitWait, and the wait has no end. */
TEST(KnownOvmfDefect, DriverTakesAFailedTransactionForDone)
{
    World w;
    w.tidy = false;
    w.driver.transaction_ends = {WORLD_FAILED};
    EXPECT_TRUE(has(w.start(), "waiting backend state 4, current: 2"));
    EXPECT_EQ(w.front_node("ring-ref"), "");
    EXPECT_EQ(w.store.seen, "2");
}

/* A start that fails after Connected removes its nodes and frees the ring, but
 * writes no state. Our backend stays Connected on a page that is somebody
 * else's by now. The next start finds both ends Connected, so nobody writes a
 * state, nobody maps the new ring, and the first request is never answered. */
TEST(KnownOvmfDefect, DriverLeavesAFailedStartConnected)
{
    WorldSetup s;
    s.bent_nodes["sector-size"] = "100";
    World w(s);
    w.tidy = false;
    EXPECT_EQ(w.start(), "Device Error");
    EXPECT_EQ(w.front_node("state"), "4");
    EXPECT_EQ(w.front_node("ring-ref"), "");
    EXPECT_EQ(w.back->state(), XenbusState::Connected);
    EXPECT_EQ(w.driver.freed_while_granted, 1u);

    w.hub.put_node(w.hub.config.backend_path + "/sector-size", "512");
    EXPECT_EQ(w.start(), "Success");
    EXPECT_EQ(w.hub.grants.mapped(), 1u) << "the old ring";
    EXPECT_TRUE(has(w.read(0, 512, w.buffer(512)), "hung: polls the ring"));
}

/* The way out for a toolstack, or for a driver that knows better. */
TEST(OvmfStart, InitialisingFreesTheBackendOfAFailedStart)
{
    WorldSetup s;
    s.bent_nodes["sector-size"] = "100";
    World w(s);
    check_initialising_frees_the_backend(w);
}

/* ---- what the backend's nodes may say --------------------------------------------- */

/* sector-size 0 is a multiple of 512, too. A DEBUG build stops at BaseLib's
 * ASSERT, a RELEASE build divides by zero. Ours never publishes it. */
TEST(KnownOvmfDefect, DriverDividesBySectorSizeZero)
{
    WorldSetup s;
    s.bent_nodes["sector-size"] = "0";
    {
        World w(s);
        w.tidy = false;
        EXPECT_TRUE(has(w.start(), "assert: DivU64x32.c"));
    }
    auto release_build = [&s] {
        World w(s);
        ovmf_set_asserts(false);
        (void)w.start();
    };
    EXPECT_EXIT(release_build(), dies_of(SIGFPE), kLastWords);
}

/* No power of two is asked for: 1536 passes. The first write that is not at
 * the disk's start then trips an ASSERT that takes it for one. */
TEST(KnownOvmfDefect, DriverTakesSectorsOf1536Bytes)
{
    WorldSetup s;
    s.bent_nodes["sector-size"] = "1536";
    World w(s);
    w.tidy = false;
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.disk().block_size, 1536u);
    std::string text = w.read(1, 1536, w.buffer(1536));
    EXPECT_TRUE(has(text, "assert: BlockFront.c")) << text;
}

TEST(KnownOvmfDefect, DriverTakesASizeAboveAPage)
{
    WorldSetup s;
    s.bent_nodes["sector-size"] = "8192";
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.disk().block_size, 8192u);
}

/* IoAlign says 512 for every disk (edk2 pull request 12249, of 2026, mends
 * it), but a buffer has to be aligned to sector-size. What a RELEASE build
 * sends, our backend refuses: the segments are no whole sectors. Nothing is
 * read into the wrong place. */
TEST(KnownOvmfDefect, DriverAsksForTooLittleAlignment)
{
    WorldSetup s;
    s.back.sector_size = 4096;
    {
        World w(s);
        w.tidy = false;
        ASSERT_EQ(w.start(), "Success");
        EXPECT_EQ(w.disk().io_align, 512u);
        std::string text = w.read(0, 4096, w.buffer(4096, 512));
        EXPECT_TRUE(has(text, "assert: BlockFront.c")) << text;
        EXPECT_TRUE(has(text, "Buffer")) << text;
    }
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    ovmf_set_asserts(false);
    std::byte *data = w.buffer(4096, 512);
    EXPECT_EQ(w.read(0, 4096, data), "Device Error");
    EXPECT_EQ(w.hub.storage.reads, 0u);
    EXPECT_EQ(w.read(0, 4096, w.buffer(4096)), "Success");
}

/* LastBlock is `sectors` - 1: an empty disk, or a node that is no number, has
 * 2^64 blocks. The driver's own range check then lets all through, and ours is
 * the one that counts. */
TEST(KnownOvmfDefect, DriverGivesAnEmptyDiskAllBlocks)
{
    for (const char *sectors : {"0", "many"}) {
        WorldSetup s;
        s.bent_nodes["sectors"] = sectors;
        World w(s);
        ASSERT_EQ(w.start(), "Success");
        EXPECT_EQ(w.disk().last_block, UINT64_MAX);
        std::byte *data = w.buffer(512);
        for (uint64_t lba : {uint64_t{8192}, uint64_t{1} << 55, UINT64_MAX - 1})
            EXPECT_EQ(w.read(lba, 512, data), "Device Error") << lba;
    }
}

/* A CD-ROM needs the backend's `params`, which is a toolstack's node, not
 * blkif's. Ours does not write it: whoever makes the device has to. */
TEST(KnownOvmfDefect, DriverCannotUseADriveWithoutParams)
{
    WorldSetup s = cdrom_setup();
    s.back_nodes.clear();
    World w(s);
    EXPECT_EQ(w.start(), "Device Error");
    EXPECT_TRUE(w.said("Failed to read params"));
    EXPECT_EQ(w.driver.front_states, "");
}

TEST(KnownOvmfDefect, DriverMissesAResize)
{
    World w;
    check_resize_is_missed(w);
}

/* ---- requests and responses ----------------------------------------------------------- */

/* An event that cannot be sent is only printed. The request lies on the ring,
 * the backend does not hear of it, and the driver polls for ever. */
TEST(KnownOvmfDefect, DriverOnlyPrintsAFailedEvent)
{
    World w;
    w.tidy = false;
    ASSERT_EQ(w.start(), "Success");
    w.hub.fail(HubCall::EventNotify);
    std::string text = w.read(0, 512, w.buffer(512));
    EXPECT_TRUE(has(text, "hung: polls the ring")) << text;
    EXPECT_TRUE(has(text, "Unexpected return value from EventChannelNotify")) << text;
}

/* So does a backend that goes away with a request in flight. */
TEST(KnownOvmfDefect, DriverPollsABackendThatIsGone)
{
    World w;
    w.tidy = false;
    ASSERT_EQ(w.start(), "Success");
    w.back->vanish();
    EXPECT_TRUE(has(w.read(0, 512, w.buffer(512)), "hung: polls the ring"));
}

/* EOPNOTSUPP and ERROR are one. */
TEST(KnownOvmfDefect, DriverTellsNoErrorsApart)
{
    for (int16_t status : {int16_t{-1}, int16_t{-2}, int16_t{1}, int16_t{-30000}}) {
        World w;
        ASSERT_EQ(w.start(), "Success");
        w.back_events.before = [&w, status] {
            WireResponse rsp = w.ring().get_response(RingIndex(0));
            rsp.status = status;
            w.ring().put_response(RingIndex(0), rsp);
        };
        EXPECT_EQ(w.read(0, 512, w.buffer(512)), "Device Error") << status;
    }
}

/* FlushBlocks() returns success whatever became of it. */
TEST(KnownOvmfDefect, DriverCallsAFailedFlushASuccess)
{
    World w;
    ASSERT_EQ(w.start(), "Success");
    w.hub.storage.fail = true;
    EXPECT_EQ(w.flush(), "Success");
    EXPECT_EQ(w.hub.storage.flushes, 1u);
    EXPECT_TRUE(w.said("flush error -1"));
    w.hub.storage.fail = false;
}

/* Nor does it say that the backend cannot flush at all. */
TEST(KnownOvmfDefect, DriverCallsAFlushNotOfferedASuccess)
{
    WorldSetup s;
    s.back.flush = false;
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.flush(), "Success");
    EXPECT_EQ(w.pushed(), 0u);
    EXPECT_EQ(w.hub.storage.flushes, 0u);
}

/* The same where feature-flush-cache lied: our EOPNOTSUPP is printed, no more. */
TEST(KnownOvmfDefect, DriverCallsAnUnsupportedFlushASuccess)
{
    WorldSetup s;
    s.back.flush = false;
    s.back_nodes["feature-flush-cache"] = "1";
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.flush(), "Success");
    EXPECT_EQ(w.pushed(), 1u);
    EXPECT_TRUE(w.said("flush error -2"));
}

/* Where both are offered, a barrier goes first, with no data and ID 0, and a
 * flush after it. What the barrier came to is printed; the flush decides. */
TEST(KnownOvmfDefect, DriverOnlyPrintsARefusedBarrier)
{
    WorldSetup s;
    s.back_nodes["feature-barrier"] = "1";
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    EXPECT_TRUE(w.disk().barrier);
    EXPECT_EQ(w.flush(), "Success");
    EXPECT_EQ(w.pushed(), 2u);
    WireResponse first = w.ring().get_response(RingIndex(0));
    EXPECT_EQ(first.op, Op::WriteBarrier);
    EXPECT_EQ(first.id, RequestId(0));
    EXPECT_EQ(w.ring().get_response(RingIndex(1)).op, Op::FlushDiskcache);
    EXPECT_TRUE(w.said("write barrier error -2"));
    EXPECT_EQ(w.hub.storage.flushes, 1u);
}

/* Our backend does both: all before is on stable storage twice over. */
TEST(KnownOvmfDefect, DriversBarrierCostsASecondFlush)
{
    WorldSetup s;
    s.back.barrier = true;
    World w(s);
    ASSERT_EQ(w.start(), "Success");
    EXPECT_EQ(w.flush(), "Success");
    EXPECT_EQ(w.hub.storage.flushes, 2u);
    EXPECT_FALSE(w.said("error"));
}

/* GrantEndAccess() may answer that the backend still has the page mapped; the
 * driver does not listen, and the page is used for the next buffer: XSA-396.
 * Here a backend keeps what it wrote from, and the data of another time is in
 * its hands. Ours unmaps before it answers. */
TEST(KnownOvmfDefect, DriverReusesAPageThatIsMapped)
{
    World w;
    w.tidy = false;
    ASSERT_EQ(w.start(), "Success");
    w.back_grants.keep = true;
    std::byte *data = w.buffer(512, 1); /* copied through a page of the driver's own */
    EXPECT_EQ(w.read(0, 512, data), "Success");
    EXPECT_EQ(w.driver.grants_stuck, 1u);
    EXPECT_EQ(w.driver.freed_while_granted, 1u);
    w.back_grants.keep = false;
    EXPECT_EQ(w.stop(), "Success");
}

/* blkif_response.id is a pointer to the driver, which it writes a status to.
 * Here the backend names memory that is the test's: it is written to, and the
 * request that was meant is waited for for ever. */
TEST(KnownOvmfDefect, DriverWritesWhereTheIdPoints)
{
    World w;
    w.tidy = false;
    ASSERT_EQ(w.start(), "Success");
    std::vector<uint64_t> victim(64, 0x5a5a5a5a5a5a5a5a);
    const auto before = victim;
    /* Of a read, the victim's grants would be ended. */
    replace_first_response(w, Op::FlushDiskcache, reinterpret_cast<uintptr_t>(victim.data()));
    EXPECT_TRUE(has(w.read(0, 512, w.buffer(512)), "hung: polls the ring"));
    EXPECT_NE(victim, before);
}

TEST(KnownOvmfDefect, DriverCrashesOnABadId)
{
    World w;
    check_crash_on_a_bad_id(w);
}

TEST(KnownOvmfDefect, DriverFollowsAProducerThatJumps)
{
    World w;
    check_jumping_producer_is_followed(w);
}

} // namespace
