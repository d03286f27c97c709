/* SPDX-License-Identifier: MIT */
/*
 * BlockBack against a hand-made frontend that may write anything: nodes,
 * states, requests, indices. Serves blkif.h "Backend XenBus Nodes", struct
 * blkif_request and blkif_request_discard, ring.h RING_REQUEST_PROD_OVERFLOW.
 * IDs such as qemu:D3 name the place where a real backend goes wrong.
 */
#include "support/pass_ports.h"
#include "support/rig_front.h"

namespace
{

using namespace pvblk;

/* ---- nodes and states ---------------------------------------------------- */

/* blkif:nodes — 512-byte units of 2024; `sectors` does not follow sector-size. */
TEST(BackNodes, NodesAreThoseOf2024)
{
    RigSetup s;
    s.back.sector_size = s.back.physical_sector_size = 4096;
    s.back.discard_granularity = 65536;
    s.back.discard_alignment = 4096;
    s.back.removable = true;
    Rig rig(s);
    (void)rig.back->start();
    EXPECT_EQ(rig.back_node("sectors"), "8192");
    EXPECT_EQ(rig.back_node("sector-size"), "4096");
    EXPECT_EQ(rig.back_node("physical-sector-size"), "4096");
    EXPECT_EQ(rig.back_node("info"), "2");
    EXPECT_EQ(rig.back_node("removable"), "1");
    EXPECT_EQ(rig.back_node("mode"), "w");
    EXPECT_EQ(rig.back_node("feature-flush-cache"), "1");
    EXPECT_EQ(rig.back_node("discard-granularity"), "65536");
    EXPECT_EQ(rig.back_node("discard-alignment"), "4096");
    EXPECT_EQ(rig.back_node("state"), "2");
    EXPECT_FALSE(rig.hub.has_node(rig.hub.config.backend_path + "/feature-barrier"));
}

TEST(BackNodes, QemuQuirkCountsInDeviceSectors)
{
    RigSetup s;
    s.back.sector_size = 4096;
    s.back.units = SectorUnits::Device;
    s.back.read_only = true;
    s.back.flush = s.back.discard = false;
    Rig rig(s);
    (void)rig.back->start();
    EXPECT_EQ(rig.back_node("sectors"), "1024");
    EXPECT_EQ(rig.back_node("info"), "4");
    EXPECT_EQ(rig.back_node("mode"), "r");
    for (const char *n : {"feature-flush-cache", "feature-discard", "physical-sector-size"})
        EXPECT_FALSE(rig.hub.has_node(rig.hub.config.backend_path + "/" + n)) << n;
}

/* xenbus:states — InitWait, Connected, Closing, Closed, and all over again. */
TEST(BackStates, FrontendCanConnectAgain)
{
    Rig rig;
    RigFront f(rig);
    for (int i = 0; i < 3; i++) {
        f.new_rings();
        if (i == 0) {
            ASSERT_TRUE(f.connect());
        } else {
            f.state(XenbusState::Initialising);
            EXPECT_EQ(rig.back->state(), XenbusState::InitWait);
            f.state(XenbusState::Initialised);
            ASSERT_EQ(rig.back->state(), XenbusState::Connected) << i;
        }
        EXPECT_EQ(f.ask(f.request(Op::FlushDiskcache, 0, 0)), kOkay);
        f.state(XenbusState::Connected);
        f.state(XenbusState::Closing);
        EXPECT_EQ(rig.back_node("state"), "5");
        f.state(XenbusState::Closed);
        EXPECT_EQ(rig.back_node("state"), "6");
        EXPECT_EQ(rig.hub.grants.mapped(), 0u);
    }
}

/* xenbus:crash (qemu:D24) — no Closing: the next Initialising is a new one. */
TEST(BackStates, CrashedFrontendComesBack)
{
    Rig rig;
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    f.state(XenbusState::Initialising);
    EXPECT_EQ(rig.back->state(), XenbusState::InitWait);
    EXPECT_EQ(rig.hub.grants.mapped(), 0u);
    f.state(XenbusState::Initialised);
    EXPECT_EQ(rig.back->state(), XenbusState::Connected);
    EXPECT_EQ(rig.back->counters().connects, 2u);
}

/* Each bad node of a frontend: not connected, an error node, nothing mapped. */
TEST(BackStates, BadFrontendNodeIsRefused)
{
    const struct {
        const char *name, *value, *clause;
    } cases[] = {
        {"protocol", "bogus", "blkif:protocol"}, /* qemu:D21 */
        {"protocol", "", "blkif:protocol"},
        {"ring-page-order", "1", "blkif:ring-page-order"},
        {"num-ring-pages", "2", "blkif:num-ring-pages"},
        {"num-ring-pages", "0", "blkif:num-ring-pages"},
        {"multi-queue-num-queues", "0", "blkif:multi-queue-num-queues"},
        {"multi-queue-num-queues", "2", "blkif:multi-queue-num-queues"},
        {"feature-persistent", "2", "blkif:frontend-node"},
        {"ring-page-order", "x", "blkif:frontend-node"},
        {"ring-ref", "x", "blkif:ring-ref"},
        {"ring-ref", "4294967296", "blkif:ring-ref"},
        {"ring-ref", "0", "blkif:ring-ref"},
        {"ring-ref", "9", "blkif:ring-ref"},
        {"ring-ref", "4294967295", "blkif:ring-ref"},
        {"event-channel", "-1", "blkif:event-channel"},
        {"event-channel", "4294967296", "blkif:event-channel"},
        {"event-channel", "77", "blkif:event-channel"},
    };
    for (const auto &c : cases) {
        SCOPED_TRACE(testing::Message() << c.name << '=' << c.value);
        Rig rig;
        rig.oracle_matters = false;
        RigFront f(rig);
        f.node(c.name, c.value);
        EXPECT_FALSE(f.connect());
        EXPECT_STREQ(rig.back->last_error().clause, c.clause);
        EXPECT_NE(rig.back_node("error").find(c.clause), std::string::npos);
        EXPECT_EQ(rig.back_node("state"), "5") << "Closing";
        EXPECT_EQ(rig.hub.grants.mapped(), 0u);
    }
}

/* blkif:default — a node that cannot be read may well be there: of a frontend of
 * another ABI, say, whose requests would be read as of ours. */
TEST(BackStates, UnreadableNodeIsNotMissing)
{
    uint32_t refused = 0;
    for (uint32_t nth = 0; nth < 12; nth++) {
        Rig rig;
        rig.oracle_matters = false;
        RigFront f(rig);
        f.node("protocol", "x86_32-abi");
        ASSERT_TRUE(rig.back->start());
        rig.hub.run();
        rig.hub.fail(HubCall::BackStoreRead, nth);
        f.state(XenbusState::Initialised);
        if (rig.back->state() == XenbusState::Connected) {
            EXPECT_EQ(rig.back->plan().abi, Abi::X86_32) << nth;
            continue;
        }
        refused +=
            std::string_view(rig.back->last_error().what) == "a frontend node could not be read";
    }
    EXPECT_GE(refused, 7u) << "protocol, the queues, both sizes of the ring, and the ring itself";
}

/* blkif:protocol — without the node it is the native ABI. */
TEST(BackStates, FrontendWithoutAProtocolHasTheNativeAbi)
{
    Rig rig;
    RigFront f(rig, kNativeAbi);
    f.remove("protocol");
    ASSERT_TRUE(f.connect());
    EXPECT_EQ(rig.back->plan().abi, kNativeAbi);
    f.grant(0);
    for (int i = 0; i < 40; i++)
        EXPECT_EQ(f.ask(f.request(Op::Read, 0)), kOkay) << "entries have its size";
}

/* blkif:sectors — half a sector at the end is none. */
TEST(BackNodes, SizeIsWholeSectors)
{
    for (SectorUnits units : {SectorUnits::Bytes512, SectorUnits::Device}) {
        RigSetup s;
        s.hub.disk_sectors = 8195;
        s.back.sector_size = s.back.physical_sector_size = 4096;
        s.back.units = units;
        Rig rig(s);
        ASSERT_TRUE(rig.back->start());
        EXPECT_EQ(rig.back_node("sectors"), units == SectorUnits::Device ? "1024" : "8192");
        EXPECT_EQ(rig.back_node("physical-sector-size"), "4096");
    }
}

/* blkif:sectors-physical — the size is a multiple, or there is no such node. */
TEST(BackNodes, PhysicalSectorSizeDividesTheSize)
{
    for (uint64_t sectors : {8192u, 8193u}) {
        RigSetup s;
        s.hub.disk_sectors = sectors;
        s.back.physical_sector_size = 4096;
        Rig rig(s);
        ASSERT_TRUE(rig.back->start());
        EXPECT_EQ(rig.back_node("sectors"), std::to_string(sectors));
        EXPECT_EQ(rig.back_node("physical-sector-size"), sectors % 8 ? "" : "4096");
    }
}

/* qemu:D16 — order 0 is one page, and is named by ring-ref. */
TEST(BackStates, RingPageOrderZeroIsOnePage)
{
    Rig rig;
    RigFront f(rig);
    f.node("ring-page-order", "0");
    EXPECT_TRUE(f.connect());
}

TEST(BackStates, VanishLeavesNothing)
{
    Rig rig;
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    rig.back->vanish();
    EXPECT_EQ(rig.back_node("state"), "");
    EXPECT_EQ(rig.hub.grants.mapped(), 0u);
}

/* ---- requests ------------------------------------------------------------ */

struct BackRequestCase {
    const char *name;
    int status;
    WireRequest (*make)(RigFront &f);
};

void PrintTo(const BackRequestCase &c, std::ostream *os)
{
    *os << c.name;
}

/* The disk has 8192 sectors; grants 0…10 give guest frames, 11 is read-only,
 * the rest does not exist. Discard granularity: 8 sectors. */
constexpr BackRequestCase kRequests[] = {
    {"read_of_eleven_segments", kOkay, [](RigFront &f) { return f.request(Op::Read, 0, 11); }},
    {"last_sector", kOkay, [](RigFront &f) { return f.request(Op::Write, 8184); }},
    /* blkif:max-segments (qemu:D11, D12) */
    {"no_segment", kError, [](RigFront &f) { return f.request(Op::Read, 0, 0); }},
    {"twelve_segments", kError, [](RigFront &f) { return f.request(Op::Read, 0, 12); }},
    {"segments_255", kError, [](RigFront &f) { return f.request(Op::Write, 0, 255); }},
    /* blkif:first-last */
    {"first_after_last", kError,
     [](RigFront &f) {
         auto r = f.request(Op::Read, 0);
         r.seg[0].first_sect = 5;
         r.seg[0].last_sect = 4;
         return r;
     }},
    {"last_beyond_the_page", kError,
     [](RigFront &f) {
         auto r = f.request(Op::Read, 0);
         r.seg[0].last_sect = 8;
         return r;
     }},
    {"last_255", kError,
     [](RigFront &f) {
         auto r = f.request(Op::Write, 0);
         r.seg[0].last_sect = 255;
         return r;
     }},
    {"bad_segment_after_good_ones", kError,
     [](RigFront &f) {
         auto r = f.request(Op::Write, 0, 11);
         r.seg[10].first_sect = 200;
         r.seg[10].last_sect = 207;
         return r;
     }},
    {"one_sector_inside_a_page", kOkay,
     [](RigFront &f) {
         auto r = f.request(Op::Read, 0);
         r.seg[0].first_sect = r.seg[0].last_sect = 7;
         return r;
     }},
    /* blkif:range (qemu:D3 wraps) */
    {"one_past_the_end", kError, [](RigFront &f) { return f.request(Op::Read, 8185); }},
    {"sector_after_the_end", kError, [](RigFront &f) { return f.request(Op::Read, 8192); }},
    {"sector_2_55", kError, [](RigFront &f) { return f.request(Op::Write, 1ull << 55); }},
    {"sector_2_55_and_some", kError,
     [](RigFront &f) { return f.request(Op::Read, (1ull << 55) + 8); }},
    {"sector_2_64_less_1", kError, [](RigFront &f) { return f.request(Op::Read, UINT64_MAX); }},
    {"sector_2_64_less_8", kError,
     [](RigFront &f) { return f.request(Op::Write, UINT64_MAX - 7); }},
    /* blkif:gref (qemu:D18 aborts on the third) */
    {"grant_that_does_not_exist", kError,
     [](RigFront &f) {
         auto r = f.request(Op::Read, 0);
         r.seg[0].gref = GrantRef(200);
         return r;
     }},
    {"grant_reserved", kError,
     [](RigFront &f) {
         auto r = f.request(Op::Read, 0);
         r.seg[0].gref = GrantRef(3);
         return r;
     }},
    {"grant_of_no_ram", kError,
     [](RigFront &f) {
         auto r = f.request(Op::Read, 0);
         r.seg[0].gref = f.rig.hub.grants.ref(12);
         return r;
     }},
    {"grant_2_32_less_1", kError,
     [](RigFront &f) {
         auto r = f.request(Op::Read, 0, 3);
         r.seg[2].gref = GrantRef(UINT32_MAX);
         return r;
     }},
    {"read_into_a_readonly_grant", kError,
     [](RigFront &f) {
         auto r = f.request(Op::Read, 0);
         r.seg[0].gref = f.rig.hub.grants.ref(11);
         return r;
     }},
    {"write_from_a_readonly_grant", kOkay,
     [](RigFront &f) {
         auto r = f.request(Op::Write, 0);
         r.seg[0].gref = f.rig.hub.grants.ref(11);
         return r;
     }},
    /* blkif:op (qemu:D10 answers ERROR) */
    {"barrier", kNotSupp, [](RigFront &f) { return f.request(Op::WriteBarrier, 0); }},
    {"reserved", kNotSupp, [](RigFront &f) { return f.request(Op::Reserved, 0); }},
    {"indirect", kNotSupp, [](RigFront &f) { return f.request(Op::Indirect, 0); }},
    {"op_7", kNotSupp, [](RigFront &f) { return f.request(static_cast<Op>(7), 0); }},
    {"op_255", kNotSupp, [](RigFront &f) { return f.request(static_cast<Op>(255), 0); }},
    /* blkif:flush (qemu:D13) */
    {"flush", kOkay, [](RigFront &f) { return f.request(Op::FlushDiskcache, 0, 0); }},
    {"flush_with_data", kError, [](RigFront &f) { return f.request(Op::FlushDiskcache, 0, 1); }},
    /* blkif:discard (qemu:D7, D8, D9) */
    {"discard", kOkay,
     [](RigFront &f) {
         auto r = f.request(Op::Discard, 8, 0);
         r.nr_sectors = 8184;
         return r;
     }},
    {"discard_of_nothing", kError, [](RigFront &f) { return f.request(Op::Discard, 0, 0); }},
    {"discard_off_the_granularity", kOkay,
     [](RigFront &f) {
         auto r = f.request(Op::Discard, 4, 0);
         r.nr_sectors = 12;
         return r;
     }},
    {"discard_of_less_than_a_granule", kOkay,
     [](RigFront &f) {
         auto r = f.request(Op::Discard, 4, 0);
         r.nr_sectors = 4;
         return r;
     }},
    {"discard_one_past_the_end", kError,
     [](RigFront &f) {
         auto r = f.request(Op::Discard, 8, 0);
         r.nr_sectors = 8185;
         return r;
     }},
    {"discard_2_53", kError,
     [](RigFront &f) {
         auto r = f.request(Op::Discard, 0, 0);
         r.nr_sectors = 1ull << 53;
         return r;
     }},
    {"discard_sum_wraps", kError,
     [](RigFront &f) {
         auto r = f.request(Op::Discard, 16, 0);
         r.nr_sectors = UINT64_MAX - 7;
         return r;
     }},
};

class BackRequest : public testing::TestWithParam<BackRequestCase>
{
};
INSTANTIATE_TEST_SUITE_P(Case, BackRequest, testing::ValuesIn(kRequests),
                         [](const auto &i) { return i.param.name; });

TEST_P(BackRequest, StatusFitsAndRefusalTouchesNothing)
{
    RigSetup s;
    s.back.discard_granularity = 4096;
    Rig rig(s);
    rig.oracle_matters = false;
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    for (uint32_t i = 0; i < 11; i++)
        f.grant(i);
    f.grant(11, true);
    (void)rig.hub.grants.grant_frame(12, Gfn(0xfee00), false);
    std::memset(rig.hub.storage.data.data(), 0x11, rig.hub.storage.data.size());
    std::memset(rig.hub.guest.host(0), 0x22, 16 * kPageSize);
    auto disk = rig.hub.storage.data;

    EXPECT_EQ(f.ask(GetParam().make(f)), GetParam().status);
    EXPECT_EQ(rig.hub.grants.mapped(), 1u) << "the ring alone";
    if (GetParam().status != kOkay) {
        EXPECT_TRUE(disk == rig.hub.storage.data) << "written all the same";
        EXPECT_TRUE(rig.hub.storage.discards.empty());
        ASSERT_EQ(rig.back_owner.refusals.size(), 1u);
        EXPECT_STRNE(rig.back_owner.refusals[0].why.clause, "");
        EXPECT_EQ(int16_t(rig.back_owner.refusals[0].status), GetParam().status);
        for (uint64_t i = 0; i < 16 * kPageSize; i++)
            ASSERT_EQ(*rig.hub.guest.host(i), std::byte{0x22}) << "read all the same";
    }
    EXPECT_FALSE(rig.back->halted());
    EXPECT_EQ(f.ask(f.request(Op::Read, 0)), kOkay) << "the next one is served";
    (void)rig.hub.grants.revoke(12);
}

/* blkif:read-only (qemu:D5) */
TEST(BackRequests, ReadOnlyDiskIsNeverWritten)
{
    RigSetup s;
    s.back.read_only = true;
    Rig rig(s);
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    f.grant(0);
    WireRequest discard = f.request(Op::Discard, 0, 0);
    discard.nr_sectors = 8;
    EXPECT_EQ(f.ask(f.request(Op::Write, 0)), kError);
    EXPECT_EQ(f.ask(discard), kError);
    EXPECT_EQ(f.ask(f.request(Op::Read, 0)), kOkay);
    EXPECT_EQ(f.ask(f.request(Op::FlushDiskcache, 0, 0)), kOkay);
    EXPECT_EQ(rig.hub.storage.writes, 0u);
}

/* blkif:feature-* — not offered is EOPNOTSUPP, whatever the arguments. */
TEST(BackRequests, FeatureNotOfferedIsUnsupported)
{
    RigSetup s;
    s.back.flush = s.back.discard = false;
    Rig rig(s);
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    EXPECT_EQ(f.ask(f.request(Op::FlushDiskcache, 0, 0)), kNotSupp);
    EXPECT_EQ(f.ask(f.request(Op::Discard, UINT64_MAX, 255)), kNotSupp);
    EXPECT_EQ(rig.hub.storage.flushes, 0u);
}

/* blkif:sector-size — units and alignment on a 4096 disk. */
TEST(BackRequests, LargeSectorsAreServedInEitherUnit)
{
    for (SectorUnits units : {SectorUnits::Bytes512, SectorUnits::Device}) {
        RigSetup s;
        s.back.sector_size = 4096;
        s.back.units = units;
        Rig rig(s);
        RigFront f(rig);
        ASSERT_TRUE(f.connect());
        f.grant(0);
        rig.fill_disk(16, 8, 5);
        bool device = units == SectorUnits::Device;
        WireRequest r = f.request(Op::Read, device ? 2 : 16);
        r.seg[0].last_sect = device ? 0 : 7;
        EXPECT_EQ(f.ask(r), kOkay);
        EXPECT_TRUE(rig.guest_is(0, 4096, 5));
        r.seg[0].last_sect = device ? 1 : 3;
        EXPECT_EQ(f.ask(r), kError) << "half a sector, or two pages";
        if (!device) {
            EXPECT_EQ(f.ask(f.request(Op::Read, 4)), kError) << "sector_number off sector-size";
        }
    }
}

/* blkif:feature-large-sector-size (qemu:D2) — neither the units nor the answer
 * depend on it. */
TEST(BackRequests, NodeAboutLargeSectorsIsNotRead)
{
    for (const char *value : {"1", "0", "x"}) {
        SCOPED_TRACE(value);
        RigSetup s;
        s.back.sector_size = 4096;
        Rig rig(s);
        RigFront f(rig);
        f.node("feature-large-sector-size", value);
        ASSERT_TRUE(f.connect());
        f.grant(0);
        rig.fill_disk(16, 8, 5);
        EXPECT_EQ(f.ask(f.request(Op::Read, 16)), kOkay);
        EXPECT_TRUE(rig.guest_is(0, 4096, 5));
    }
}

/* blkif:abi — a 32-bit frontend. */
TEST(BackRequests, I386FrontendIsServed)
{
    Rig rig;
    RigFront f(rig, Abi::X86_32);
    ASSERT_TRUE(f.connect());
    for (uint32_t i = 0; i < 11; i++)
        f.grant(i);
    rig.fill_disk(100, 88, 6);
    for (int i = 0; i < 40; i++)
        EXPECT_EQ(f.ask(f.request(Op::Read, 100, 11)), kOkay);
    EXPECT_TRUE(rig.guest_is(0, 11 * kPageSize, 6));
}

/* A failing disk. */
TEST(BackRequests, DiskErrorIsReported)
{
    Rig rig;
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    f.grant(0);
    rig.hub.storage.fail = true;
    for (Op op : {Op::Read, Op::Write})
        EXPECT_EQ(f.ask(f.request(op, 0)), kError);
    EXPECT_EQ(f.ask(f.request(Op::FlushDiskcache, 0, 0)), kError);
}

/* BackOwner: each request that is refused, and why; a disk that fails is no refusal. */
TEST(BackRequests, RefusalIsToldWithItsClause)
{
    RigSetup s;
    s.back.max_queues = 2;
    s.back.max_indirect_segments = 16;
    Rig rig(s);
    rig.oracle_matters = false;
    RigFront f(rig, {Abi::X86_64, 2, 1, false});
    ASSERT_TRUE(f.connect());
    f.grant(0);
    WireRequest far = f.request(Op::Read, 9000);
    WireRequest stray = f.request(Op::Write, 0, 2);
    stray.seg[1].gref = GrantRef(4711);
    WireRequest list = f.request(Op::Indirect, 0, 0);
    list.nr_indirect_segments = 12;
    list.indirect[0] = GrantRef(4712);
    WireRequest op = f.request(Op(77), 0);
    const struct {
        const WireRequest &wire;
        uint32_t queue;
        RspStatus status;
        const char *clause;
        uint64_t value;
    } cases[] = {{far, 0, RspStatus::Error, "blkif:range", 9000},
                 {stray, 1, RspStatus::Error, "blkif:gref", 4711},
                 {list, 0, RspStatus::Error, "blkif:gref", 4712},
                 {op, 1, RspStatus::EOpNotSupp, "blkif:op", 77}};
    for (const auto &c : cases) {
        rig.back_owner.refusals.clear();
        EXPECT_EQ(f.ask(c.wire, c.queue), int16_t(c.status));
        ASSERT_EQ(rig.back_owner.refusals.size(), 1u);
        const RefusedRequest &told = rig.back_owner.refusals[0];
        EXPECT_EQ(told.queue, c.queue);
        EXPECT_EQ(told.id, c.wire.id);
        EXPECT_EQ(told.op, c.wire.op);
        EXPECT_EQ(told.status, c.status);
        EXPECT_STREQ(told.why.clause, c.clause);
        EXPECT_STRNE(told.why.what, "");
        EXPECT_EQ(told.why.value, c.value);
    }
    rig.back_owner.refusals.clear();
    EXPECT_EQ(f.ask(f.request(Op::Read, 0)), kOkay);
    rig.hub.storage.fail = true;
    EXPECT_EQ(f.ask(f.request(Op::Read, 0)), kError);
    EXPECT_TRUE(rig.back_owner.refusals.empty());
    EXPECT_TRUE(rig.back_owner.violations.empty());
}

/* grant:end-access — whatever comes of a request, its pages are let go of before the frontend can
 * see the answer. */
class LastLook final : public BackHooks
{
public:
    explicit LastLook(LoopbackHub &h) : hub(h) {}
    void attached(HookedBack &back) override { back.ask_hooks(); }
    bool respond(HookedQueue &, const WireRequest &, const WireResponse &) override
    {
        answers++;
        look();
        return false;
    }
    std::optional<bool> publish(HookedQueue &) override
    {
        if (std::exchange(published, answers) != answers)
            look();
        return std::nullopt;
    }
    void look() { most = std::max(most, hub.grants.mapped()); }
    LoopbackHub &hub;
    uint32_t answers{0}, published{0}, most{0};
};

TEST(BackRequests, PagesAreUnmappedBeforeTheAnswer)
{
    RigSetup s;
    s.back.barrier = true;
    s.back.max_indirect_segments = 16;
    s.hub.grants = 64;
    Rig rig(s);
    rig.oracle_matters = false;
    RigFront f(rig);
    LastLook look(rig.hub);
    BlockBack back(rig.hub.back_ports(), rig.setup.back, &look);
    rig.back->vanish();
    rig.hub.attach(&back);
    ASSERT_TRUE(back.start());
    f.state(XenbusState::Initialised);
    for (uint32_t i = 0; i < 12; i++)
        f.grant(i);
    for (bool late : {false, true})
        for (bool fail : {false, true}) {
            rig.hub.storage.defer = late;
            rig.hub.storage.fail = fail;
            WireRequest stray = f.request(Op::Write, 0, 3);
            stray.seg[2].gref = GrantRef(4711);
            for (const WireRequest &r :
                 {f.request(Op::Read, 0, 11), stray, f.indirect(Op::Write, 0, 12, 40),
                  f.request(Op::WriteBarrier, 0, 2)}) {
                f.send(r);
                rig.hub.run();
                while (rig.hub.storage.waiting())
                    rig.hub.storage.finish(0);
                EXPECT_TRUE(f.next());
            }
            f.revoke(40);
        }
    EXPECT_EQ(look.answers, 4u * 4u);
    EXPECT_EQ(look.most, 1u) << "the ring alone";
    rig.hub.storage.defer = rig.hub.storage.fail = false;
    rig.hub.detach_back();
    back.vanish();
}

/* XSA-216 */
TEST(BackRequests, ResponsePaddingIsZero)
{
    Rig rig;
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    EXPECT_EQ(f.ask(f.request(Op::FlushDiskcache, 0, 0)), kOkay);
    const std::byte *entry = rig.hub.memory.page(PageIndex(0)) + kSringHeader;
    for (uint32_t i = 12; i < 16; i++)
        EXPECT_EQ(entry[i], std::byte{0});
}

/* ---- the ring ------------------------------------------------------------ */

/* ring:req-prod (qemu:D14) — halts, until the next connection. */
TEST(BackRingIndex, LyingProducerHaltsTheRing)
{
    for (uint32_t jump : {33u, 34u, 1u << 31, UINT32_MAX}) {
        Rig rig;
        RigFront f(rig);
        ASSERT_TRUE(f.connect());
        f.shared().store(SringField::ReqProd, RingIndex(jump));
        (void)rig.hub.events.notify(0);
        rig.hub.run();
        EXPECT_TRUE(rig.back->halted()) << jump;
        EXPECT_STREQ(rig.back->last_error().clause, "ring:req-prod");
        EXPECT_EQ(rig.back->counters().requests, 0u);
        f.shared().store(SringField::ReqProd, RingIndex(1));
        (void)rig.hub.events.notify(0);
        rig.hub.run();
        EXPECT_EQ(rig.back->counters().requests, 0u) << "halted is halted";
        f.new_rings();
        f.state(XenbusState::Initialising);
        f.state(XenbusState::Initialised);
        EXPECT_EQ(f.ask(f.request(Op::FlushDiskcache, 0, 0)), kOkay);
    }
}

/* evtchn:send — told once a connection and ring, however many there are. */
TEST(BackRingIndex, FailedEventIsReportedOnce)
{
    RigSetup s;
    s.back.max_queues = 2;
    Rig rig(s);
    RigFront f(rig, {Abi::X86_64, 2, 1, false});
    class Deaf final : public PassBackEvents
    {
    public:
        using PassBackEvents::PassBackEvents;
        Status notify(uint32_t) override
        {
            return Error{ErrorKind::NotConnected, "", "the other end is closed"};
        }
    } deaf(rig.hub.back_events);
    BackPorts ports = rig.back_ports();
    BlockBack back({ports.store, ports.grants, deaf, ports.storage, ports.owner}, rig.setup.back);
    rig.back->vanish();
    rig.hub.attach(&back);
    ASSERT_TRUE(back.start());
    for (uint32_t connection = 1; connection <= 2; connection++) {
        f.new_rings();
        f.state(XenbusState::Initialising);
        f.state(XenbusState::Initialised);
        for (int i = 0; i < 100; i++) {
            EXPECT_EQ(f.ask(f.request(Op::FlushDiskcache, 0, 0), 0), kOkay);
            EXPECT_EQ(f.ask(f.request(Op::FlushDiskcache, 0, 0), 1), kOkay);
        }
        ASSERT_EQ(rig.back_owner.violations.size(), 2u * connection);
    }
    for (const Error &e : rig.back_owner.violations) {
        EXPECT_STREQ(e.clause, "evtchn:send");
        EXPECT_EQ(e.kind, ErrorKind::NotConnected);
    }
    EXPECT_EQ(back.counters().events_sent, 0u);
    EXPECT_FALSE(back.halted());
    rig.hub.detach_back();
    back.vanish();
}

/* ring:front-inits — the indices are where its frontend set them. */
TEST(BackRingIndex, RingMayStartAnywhere)
{
    for (uint32_t at : {5u, 1u << 31, UINT32_MAX - 2}) {
        SCOPED_TRACE(at);
        Rig rig;
        RigFront f(rig);
        f.shared().store(SringField::ReqProd, RingIndex(at));
        f.shared().store(SringField::RspProd, RingIndex(at));
        f.shared().store(SringField::RspEvent, RingIndex(at + 1));
        f.rings[0] = FrontRing<SharedRing>(f.shared(), RingIndex(at));
        ASSERT_TRUE(f.connect());
        for (int i = 0; i < 40; i++)
            EXPECT_EQ(f.ask(f.request(Op::FlushDiskcache, 0, 0)), kOkay);
        EXPECT_EQ(rig.back->counters().requests, 40u);
    }
}

/* ring:req-prod — a full ring that stays unanswered takes no more. */
TEST(BackRingIndex, UnansweredRequestsKeepTheirSlots)
{
    RigSetup s;
    s.knobs.hold = true;
    Rig rig(s);
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    for (int i = 0; i < 32; i++)
        f.rings[0].stage(f.request(Op::FlushDiskcache, 0, 0));
    f.rings[0].publish();
    (void)rig.hub.events.notify(0);
    rig.hub.run();
    EXPECT_EQ(rig.back->held(), 32u);
    f.shared().store(SringField::ReqProd, RingIndex(33));
    (void)rig.hub.events.notify(0);
    rig.hub.run();
    EXPECT_TRUE(rig.back->halted());
    EXPECT_EQ(rig.back->held(), 32u);
}

/* ---- knobs do what they say, so that the front's tests mean something ----- */

TEST(BackKnobsTest, HeldRequestIsDoneOnceCompleted)
{
    for (bool mapped : {false, true}) {
        Rig rig;
        RigFront f(rig);
        rig.back->knobs().hold = true;
        rig.back->knobs().hold_mapped = mapped;
        ASSERT_TRUE(f.connect());
        f.grant(0);
        EXPECT_EQ(f.ask(f.request(Op::Write, 0)), INT32_MAX);
        EXPECT_EQ(rig.hub.storage.writes, 0u);
        EXPECT_EQ(rig.hub.grants.mapped(), mapped ? 2u : 1u);
        rig.back->complete(0);
        EXPECT_EQ(rig.hub.storage.writes, 1u);
        EXPECT_EQ(rig.hub.grants.mapped(), 1u);
    }
}

} // namespace
