/* SPDX-License-Identifier: MIT */
/*
 * The behaviours that the project's first commit names: OVMF's XenPvBlkDxe
 * "block front" (OvmfPkg/XenPvBlkDxe, patch "Add BlockFront client"), each of
 * them kept, and what is wrong with it in OVMF put right. One section an
 * item of that message.
 */
#include "support/rig.h"

namespace
{

using namespace pvblk;

/* ---- (1) "XenPvBlkWaitForBackendState: return an error" ------------------
 * Waiting for a state fails on a state that nobody expected, and does not
 * wait for ever. OVMF compares numerically, and accepts 0 as "not yet". */

TEST(Seed1WaitForState, CloseWhileWeConnectIsAnError)
{
    for (const char *state : {"5", "6"}) {
        Rig rig;
        rig.obey("at connect always: lifecycle/connect-silent");
        (void)rig.try_connect();
        ASSERT_EQ(rig.front->state(), FrontState::Connecting);
        rig.back->write_state_raw(state);
        rig.hub.run();
        EXPECT_EQ(rig.front->state(), FrontState::Broken) << state;
        EXPECT_STREQ(rig.front->broken().clause, "xenbus:state");
    }
}

TEST(Seed1WaitForState, StateThatDoesNotExistIsAnError)
{
    for (const char *state : {"9", "100", "-1", "x", "", "18446744073709551620"})
        for (bool connecting : {false, true}) {
            Rig rig;
            rig.obey(connecting ? "at connect always: lifecycle/connect-silent"
                                : "at set-state always: store/state-skipped");
            (void)rig.try_connect();
            rig.back->write_state_raw(state);
            rig.hub.run();
            EXPECT_EQ(rig.front->state(), FrontState::Broken) << state;
        }
}

TEST(Seed1WaitForState, SilenceTimesOut)
{
    Rig rig;
    rig.obey("at set-state always: store/state-skipped");
    (void)rig.try_connect();
    rig.hub.advance(sec(11));
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
    EXPECT_EQ(rig.front->broken().kind, ErrorKind::TimedOut);
}

/* ---- (2) "sector-size must be a multiple of 512, or fail" ------------------
 * 0 passes OVMF's test and divides by zero later; so does 1536. */

TEST(Seed2SectorSize, ImpossibleSectorSizeFailsTheInit)
{
    for (const char *v : {"511", "513", "100", "0", "1", "8192", "65536", "1536", "2560",
                          "4294967808", "-512", "0x200", ""}) {
        Rig rig;
        rig.obey("at publish-node name=sector-size: store/node-value \"" + std::string(v) + "\"");
        EXPECT_FALSE(rig.try_connect()) << v;
        EXPECT_STREQ(rig.refusal.clause, "blkif:sector-size") << v;
    }
    Rig rig;
    rig.obey("at publish-node name=sector-size: store/node-missing");
    EXPECT_FALSE(rig.try_connect()) << "missing";
}

/* ---- (3) "use a Sector, which is a 512-byte unit" -------------------------- */

TEST(Seed3Sector, RequestIsAddressedIn512Bytes)
{
    for (uint32_t sector_size : {512u, 4096u}) {
        RigSetup s;
        s.back.sector_size = sector_size;
        s.knobs.hold = true;
        Rig rig(s);
        rig.connect();
        EXPECT_EQ(rig.front->plan().sectors, 8192u);
        rig.submit(IoKind::Write, 24, 16, 0);
        rig.pump();
        ASSERT_EQ(rig.back->held(), 1u);
        const WireRequest &r = rig.back->held_request(0);
        EXPECT_EQ(r.sector, 24u) << sector_size;
        EXPECT_EQ(r.nr_segments, 2);
        EXPECT_EQ(r.seg[1].first_sect, 0);
        EXPECT_EQ(r.seg[1].last_sect, 7) << "in 512 bytes, too";
        rig.back->complete_all();
        rig.hub.run();
    }
}

/* ---- (4) "print an error if EventChannelNotify fails" -----------------------
 * OVMF prints, and then spins for ever: the backend will not hear of it. */

TEST(Seed4Notify, FailedEventIsReported)
{
    Rig rig;
    rig.connect();
    rig.hub.fail(HubCall::EventNotify);
    EXPECT_EQ(rig.read(0, 8), IoStatus::Error);
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
    EXPECT_STREQ(rig.front->broken().clause, "evtchn:send");
    ASSERT_EQ(rig.owner.logs.size(), 1u);
    EXPECT_NE(rig.owner.logs[0].find("event"), std::string::npos);
    rig.front->reconnect();
    rig.hub.run();
    EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
}

/* ---- (5) "return a status from the synchronous I/O" --------------------------
 * OVMF maps every failure to one, and its flush always succeeds. */

TEST(Seed5Status, EachStatusOfAnIoIsTold)
{
    const IoKind kinds[] = {IoKind::Read, IoKind::Write, IoKind::Flush, IoKind::Discard};
    for (IoKind kind : kinds)
        for (auto [wire, want] : {std::pair{0, IoStatus::Ok},
                                  {-1, IoStatus::Error},
                                  {-2, IoStatus::Unsupported},
                                  {-5, IoStatus::Error}}) {
            Rig rig;
            rig.obey("at respond: response/status " + std::to_string(wire));
            rig.connect();
            EXPECT_EQ(rig.finish(rig.request(kind, 0, kind == IoKind::Flush ? 0 : 8)), want)
                << "kind " << static_cast<int>(kind) << ", status " << wire;
        }
}

/* ---- (6) "close the protocol if the initialisation fails" --------------------
 * Every port call of a connection and a first request fails in its turn, once
 * and for ever: no grant, page, mapping or port is left, and once the fault is
 * gone a reconnect works. */

class Seed6Unwind : public testing::TestWithParam<std::tuple<int, uint32_t>>
{
};
INSTANTIATE_TEST_SUITE_P(Call, Seed6Unwind,
                         testing::Combine(testing::Range(0, int{kHubCalls}),
                                          testing::Values(1u, 1000u)));

TEST_P(Seed6Unwind, FailedInitialisationLeavesNothingBehind)
{
    auto call = static_cast<HubCall>(std::get<0>(GetParam()));
    uint32_t times = std::get<1>(GetParam());
    uint32_t nth = 0;
    for (;; nth++) {
        SCOPED_TRACE(testing::Message() << "call " << nth);
        ASSERT_LT(nth, 1000u);
        RigSetup s;
        s.front.always_bounce = nth % 2;
        Rig rig(s);
        rig.oracle_matters = false; /* a torn connection denies an honest backend */
        rig.hub.fail(call, nth, times);
        uint64_t before = rig.hub.calls(call);
        bool up = rig.try_connect();
        bool made = rig.front != nullptr;
        if (up) {
            rig.offer(rig.request(IoKind::Write, 0, 24));
            rig.pump();
        }
        bool reached = rig.hub.calls(call) - before > nth;
        rig.hub.advance(sec(30));
        for (const auto &result : rig.owner.results)
            EXPECT_TRUE(result) << "request hangs";
        rig.hub.fail_none();
        if (!made) {
            EXPECT_EQ(rig.hub.grants.in_use(), 0u);
            ASSERT_TRUE(rig.try_connect()) << "the fault is gone";
        } else if (rig.front->state() != FrontState::Connected) {
            EXPECT_EQ(rig.front->state(), FrontState::Broken) << rig.front_state();
            EXPECT_FALSE(rig.hub.events.is_open());
            EXPECT_GE(rig.owner.logs.size(), 1u) << "failed without a word";
            rig.front->start();
            rig.hub.run();
        }
        EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
        rig.fill_guest(0, 4096, 3);
        EXPECT_EQ(rig.write(8, 8), IoStatus::Ok);
        EXPECT_TRUE(rig.disk_is(8, 8, 3));
        EXPECT_EQ(rig.front->quarantined(), 0u);
        EXPECT_EQ(rig.hub.grants.in_use(), 1u) << "the ring alone";
        if (!reached)
            break; /* a connection makes no more calls of this kind */
    }
    EXPECT_GE(nth, 1u) << "this kind of call was never made to fail";
}

} // namespace
