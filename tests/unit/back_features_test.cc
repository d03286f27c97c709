/* SPDX-License-Identifier: MIT */
/*
 * What BlockBack offers beyond a page and eleven segments: multi-page rings,
 * several queues, indirect requests, persistent grants, barriers, discards.
 * Serves blkif.h "Backend XenBus Nodes", notes 3, 5, 6, 8 and struct
 * blkif_request_indirect.
 */
#include "support/changing_page.h"
#include "support/nesting_back.h"
#include "support/pass_ports.h"
#include "support/random.h"
#include "support/rig_front.h"

#include <utility>

namespace
{

using namespace pvblk;

RigSetup full()
{
    RigSetup s;
    s.back = BackConfig{};
    s.hub.grants = 1200;
    s.hub.guest_pages = 600;
    return s;
}

/* blkif:nodes */
TEST(BackFeatureNodes, EachFeatureHasItsNodes)
{
    RigSetup s = full();
    s.back.discard_secure = true;
    s.back.type = "qdisk";
    s.back.dev = "xvda";
    s.back.params = "aio:disk";
    Rig rig(s);
    (void)rig.back->start();
    const std::pair<const char *, const char *> nodes[] = {
        {"feature-barrier", "1"},
        {"feature-persistent", "1"},
        {"discard-secure", "1"},
        {"max-ring-page-order", "4"},
        {"max-ring-pages", "16"},
        {"multi-queue-max-queues", "4"},
        {"discard-granularity", "512"},
        {"discard-alignment", "0"},
        {"type", "qdisk"},
        {"dev", "xvda"},
        {"params", "aio:disk"},
        {"feature-max-indirect-segments", "256"}};
    for (const auto &[name, value] : nodes)
        EXPECT_EQ(rig.back_node(name), value) << name;
}

TEST(BackFeatureNodes, FeatureThatIsOffHasNoNode)
{
    RigSetup s;
    s.back.discard = s.back.flush = false;
    Rig rig(s);
    (void)rig.back->start();
    for (const char *n :
         {"feature-barrier", "feature-persistent", "discard-secure", "discard-granularity",
          "discard-alignment", "max-ring-page-order", "max-ring-pages", "multi-queue-max-queues",
          "feature-max-indirect-segments", "type", "dev", "params", "feature-flush-cache",
          "removable"})
        EXPECT_FALSE(rig.hub.has_node(rig.hub.config.backend_path + "/" + n)) << n;
}

/* blkif:discard-enable (qemu:D26) — the toolstack's, and on where there is none. */
TEST(BackFeatureNodes, ToolstackCanForbidDiscard)
{
    for (const char *value : {"0", "1", ""}) {
        Rig rig(full());
        RigFront f(rig);
        if (*value)
            rig.hub.put_node(rig.hub.config.backend_path + "/discard-enable", value);
        ASSERT_TRUE(f.connect());
        WireRequest r = f.request(Op::Discard, 0, 0);
        r.nr_sectors = 8;
        bool forbidden = *value == '0';
        EXPECT_EQ(rig.back_node("feature-discard"), forbidden ? "" : "1");
        EXPECT_EQ(f.ask(r), forbidden ? kNotSupp : kOkay);
    }
}

/* ---- rings ---------------------------------------------------------------- */

/* blkif:ring-page-order, blkif:num-ring-pages — every size, in pages that are
 * anything but contiguous, filled to the last slot and wrapped. */
TEST(BackRings, RequestsCrossRingPages)
{
    for (Abi abi : {Abi::X86_64, Abi::X86_32})
        for (uint32_t pages : {1u, 2u, 4u, 8u, 16u}) {
            SCOPED_TRACE(testing::Message() << abi_name(abi) << ", pages " << pages);
            Rig rig(full());
            RigFront f(rig, {abi, 1, pages, false});
            ASSERT_TRUE(f.connect());
            for (uint32_t i = 0; i < 11; i++)
                f.grant(i);
            uint32_t entries = ring_entries(abi, pages);
            ASSERT_EQ(f.rings[0].size(), entries);
            for (uint32_t round = 0; round < 3; round++) {
                std::vector<RequestId> ids;
                for (uint32_t i = 0; i < entries; i++) {
                    WireRequest r = f.request(Op::Read, i % 100, 11);
                    ids.push_back(r.id);
                    f.send(r);
                }
                rig.hub.run();
                for (RequestId id : ids) {
                    auto rsp = f.next();
                    ASSERT_TRUE(rsp);
                    EXPECT_EQ(rsp->id, id);
                    EXPECT_EQ(rsp->status, kOkay);
                }
            }
            EXPECT_FALSE(rig.back->halted());
        }
}

/* The two schemes: either, or both where they agree (note 3). */
TEST(BackRings, RingSchemesHaveToAgree)
{
    const struct {
        const char *order, *pages;
        bool ok;
    } cases[] = {{"1", nullptr, true},  {nullptr, "2", true},   {"1", "2", true},
                 {"1", "4", false},     {"0", "2", false},      {"2", "2", false},
                 {"5", nullptr, false}, {nullptr, "17", false}, {"63", nullptr, false},
                 {nullptr, "3", false}, {nullptr, "-2", false}};
    for (const auto &c : cases) {
        SCOPED_TRACE(testing::Message()
                     << (c.order ? c.order : "-") << ' ' << (c.pages ? c.pages : "-"));
        Rig rig(full());
        RigFront f(rig, {Abi::X86_64, 1, 2, false});
        f.remove("ring-page-order");
        f.remove("num-ring-pages");
        if (c.order)
            f.node("ring-page-order", c.order);
        if (c.pages)
            f.node("num-ring-pages", c.pages);
        EXPECT_EQ(f.connect(), c.ok);
        EXPECT_EQ(rig.hub.grants.mapped(), c.ok ? 2u : 0u);
    }
}

/* One page, called the first of several. */
TEST(BackRings, RingRef0OfOnePageIsTaken)
{
    Rig rig(full());
    RigFront f(rig);
    f.node("ring-ref0", rig.front_node("ring-ref"));
    rig.hub.front_store.remove(rig.hub.config.frontend_path + "/ring-ref");
    EXPECT_TRUE(f.connect());
}

/* A page of the ring that cannot be mapped: those before it are let go. */
TEST(BackRings, RingIsMappedWholeOrNotAtAll)
{
    Rig rig(full());
    rig.oracle_matters = false;
    RigFront f(rig, {Abi::X86_64, 2, 4, false});
    f.node("queue-1/ring-ref3", "9");
    EXPECT_FALSE(f.connect());
    EXPECT_EQ(rig.hub.grants.mapped(), 0u);
    EXPECT_STREQ(rig.back->last_error().clause, "blkif:ring-ref");
}

/* blkif:multi-queue — each ring has its own requests and its own event. */
TEST(BackRings, EachQueueHasItsOwnRing)
{
    for (uint32_t queues : {4u, 5u, kMaxQueues}) {
        RigSetup s = full();
        s.back.max_queues = kMaxQueues;
        Rig rig(s);
        RigFront f(rig, {Abi::X86_64, queues, 2, false});
        ASSERT_TRUE(f.connect());
        EXPECT_EQ(rig.back->plan().queues, queues);
        f.grant(0);
        for (uint32_t q = 0; q < queues; q++) {
            rig.fill_disk(q * 8, 8, 10 + q);
            EXPECT_EQ(f.ask(f.request(Op::Read, q * 8), q), kOkay);
            EXPECT_TRUE(rig.guest_is(0, kPageSize, 10 + q));
            for (uint32_t other = 0; other < queues; other++)
                EXPECT_FALSE(f.next(other)) << q;
        }
        EXPECT_EQ(rig.back->counters().requests, queues);
    }
}

/* One ring that lies does not stop the others. */
TEST(BackRings, OtherRingsOutliveAHaltedOne)
{
    Rig rig(full());
    RigFront f(rig, {Abi::X86_64, 2, 1, false});
    ASSERT_TRUE(f.connect());
    f.grant(0);
    f.shared(1).store(SringField::ReqProd, RingIndex(1000));
    (void)rig.hub.events.notify(1);
    rig.hub.run();
    EXPECT_TRUE(rig.back->halted());
    EXPECT_EQ(f.ask(f.request(Op::Read, 0), 1), INT32_MAX);
    EXPECT_EQ(f.ask(f.request(Op::Read, 0), 0), kOkay);
}

/* qemu:D24 — a frontend that died, and another in its place that does not
 * begin at Initialising; the same nodes once more are the same frontend. */
TEST(BackRings, NewFrontendTakesOverWhileConnected)
{
    Rig rig(full());
    auto first = std::make_unique<RigFront>(rig);
    ASSERT_TRUE(first->connect());
    first->state(XenbusState::Connected);
    EXPECT_EQ(rig.back->counters().connects, 1u);
    first->grant(0);
    EXPECT_EQ(first->ask(first->request(Op::Read, 0)), kOkay);
    first->node("event-channel", std::to_string(rig.hub.events.open(3).value().value));
    first->new_rings();
    first->state(XenbusState::Connected);
    EXPECT_EQ(rig.back->counters().connects, 2u);
    EXPECT_EQ(rig.back->state(), XenbusState::Connected);
    first->rings[0].stage(first->request(Op::Read, 0));
    first->rings[0].publish();
    (void)rig.hub.events.notify(3);
    rig.hub.run();
    EXPECT_TRUE(first->next());
    rig.hub.events.close(3);
}

/* ---- indirect ------------------------------------------------------------- */

/* blkif:indirect — one segment to as many as there may be. */
TEST(BackIndirect, IndirectRequestOfAnySizeIsServed)
{
    for (Abi abi : {Abi::X86_64, Abi::X86_32})
        for (uint32_t n : {1u, 11u, 12u, 255u, 256u}) {
            SCOPED_TRACE(testing::Message() << abi_name(abi) << ", segments " << n);
            Rig rig(full());
            RigFront f(rig, {abi, 1, 1, false});
            ASSERT_TRUE(f.connect());
            for (uint32_t i = 0; i < n; i++)
                f.grant(i);
            rig.fill_disk(16, uint64_t{n} * 8, 3);
            EXPECT_EQ(f.ask(f.indirect(Op::Read, 16, n, 500)), kOkay);
            EXPECT_TRUE(rig.guest_is(0, uint64_t{n} * kPageSize, 3));
            rig.fill_guest(0, uint64_t{n} * kPageSize, 4);
            WireRequest w = f.request(Op::Indirect, 16, 0);
            w.indirect_op = Op::Write;
            w.nr_indirect_segments = static_cast<uint16_t>(n);
            w.indirect[0] = rig.hub.grants.ref(500);
            EXPECT_EQ(f.ask(w), kOkay);
            EXPECT_TRUE(rig.disk_is(16, uint64_t{n} * 8, 4));
            EXPECT_EQ(rig.hub.grants.mapped(), 1u) << "the ring alone";
        }
}

TEST(BackIndirect, PagesOfSegmentsKeepTheirOrder)
{
    RigSetup s = full();
    s.back.max_indirect_segments = kMaxIndirectSegments;
    s.hub.grants = 4300;
    s.hub.guest_pages = 4200;
    s.hub.disk_sectors = 40000;
    Rig rig(s);
    RigFront f(rig, {Abi::X86_64, 1, 1, false});
    ASSERT_TRUE(f.connect());
    std::vector<WireSegment> list(kMaxIndirectSegments);
    for (uint32_t i = 0; i < list.size(); i++)
        list[i] = {f.grant(i), 0, static_cast<uint8_t>(i % 2 ? 7 : 3)};
    WireRequest r = f.indirect(Op::Write, 8, kMaxIndirectSegments, 4190);
    for (uint32_t p = 0; p < kMaxIndirectPages; p++)
        put_segments(rig.hub.guest.host((4190ull + p) * kPageSize),
                     std::span(list).subspan(size_t{p} * kSegmentsPerPage, kSegmentsPerPage));
    for (uint32_t i = 0; i < 4190; i++)
        rig.fill_guest(uint64_t{i} * kPageSize, kPageSize, i);
    EXPECT_EQ(f.ask(r), kOkay);
    uint64_t sector = 8;
    for (uint32_t i = 0; i < list.size(); i++) {
        uint64_t sectors = i % 2 ? 8 : 4;
        ASSERT_TRUE(rig.disk_is(sector, sectors, i)) << i;
        sector += sectors;
    }
}

/* blkif:indirect-limit — all else is right with it. */
TEST(BackIndirect, OneSegmentBeyondTheLimitIsRefused)
{
    for (uint32_t limit : {16u, 256u, 511u, 512u}) {
        RigSetup s = full();
        s.back.max_indirect_segments = limit;
        s.hub.guest_pages = 1200;
        Rig rig(s);
        RigFront f(rig);
        ASSERT_TRUE(f.connect());
        for (uint32_t i = 0; i <= limit; i++)
            f.grant(i);
        EXPECT_EQ(f.ask(f.indirect(Op::Write, 0, limit, 1000)), kOkay);
        EXPECT_EQ(f.ask(f.indirect(Op::Write, 0, limit + 1, 1100)), kError) << limit;
        ASSERT_EQ(rig.back_owner.refusals.size(), 1u);
        EXPECT_STREQ(rig.back_owner.refusals[0].why.clause, "blkif:indirect-limit");
    }
}

/* ---- as the storage takes it ---- */

/* The largest request there is, from pages in this order. */
struct LargeRequest {
    explicit LargeRequest(bool neighbours)
        : rig([] {
              RigSetup s = full();
              s.back.max_indirect_segments = kMaxIndirectSegments;
              s.hub.grants = 4300;
              s.hub.guest_pages = 4200;
              s.hub.disk_sectors = 40000;
              return s;
          }()),
          f(rig), frames(kMaxIndirectSegments)
    {
        EXPECT_TRUE(f.connect());
        for (uint32_t i = 0; i < kMaxIndirectSegments; i++)
            frames[i] = neighbours ? i : kMaxIndirectSegments - 1 - i;
    }
    WireRequest request(Op op)
    {
        WireRequest r = f.request(Op::Indirect, 8, 0);
        r.indirect_op = op;
        r.nr_indirect_segments = kMaxIndirectSegments;
        std::vector<WireSegment> list;
        for (uint32_t frame : frames)
            list.push_back({granted ? rig.hub.grants.ref(frame) : f.grant(frame), 0, 7});
        for (uint32_t p = 0; p < kMaxIndirectPages; p++) {
            uint32_t page = kMaxIndirectSegments + p;
            r.indirect[p] = granted ? rig.hub.grants.ref(page) : f.grant(page, true);
            put_segments(rig.hub.guest.host(uint64_t{page} * kPageSize),
                         std::span(list).subspan(size_t{p} * kSegmentsPerPage, kSegmentsPerPage));
        }
        granted = true;
        return r;
    }
    Rig rig;
    RigFront f;
    std::vector<uint32_t> frames;
    bool granted{false};
};

/* Storage::kMaxVectors — as many segments as blkif has room for, and no two of them are neighbours.
 */
TEST(BackStorage, LargestRequestIsServedFromScatteredPages)
{
    LargeRequest large(false);
    Rig &rig = large.rig;
    for (uint32_t i = 0; i < kMaxIndirectSegments; i++)
        rig.fill_disk(8 + uint64_t{i} * 8, 8, i);
    EXPECT_EQ(large.f.ask(large.request(Op::Read)), kOkay);
    for (uint32_t i = 0; i < kMaxIndirectSegments; i++)
        ASSERT_TRUE(rig.guest_is(uint64_t{large.frames[i]} * kPageSize, kPageSize, i)) << i;
    for (uint32_t i = 0; i < kMaxIndirectSegments; i++)
        rig.fill_guest(uint64_t{large.frames[i]} * kPageSize, kPageSize, 5000 + i);
    EXPECT_EQ(large.f.ask(large.request(Op::Write)), kOkay);
    for (uint32_t i = 0; i < kMaxIndirectSegments; i++)
        ASSERT_TRUE(rig.disk_is(8 + uint64_t{i} * 8, 8, 5000 + i)) << i;
    EXPECT_EQ(rig.hub.storage.reads, 5u);
    EXPECT_EQ(rig.hub.storage.writes, 5u);
    EXPECT_EQ(rig.back->counters().bytes_read, uint64_t{kMaxIndirectSegments} * kPageSize);
    EXPECT_EQ(rig.hub.grants.mapped(), 1u);
}

TEST(BackStorage, NeighbouringPagesAreOneVector)
{
    LargeRequest large(true);
    RamStorage &disk = large.rig.hub.storage;
    large.rig.fill_guest(0, uint64_t{kMaxIndirectSegments} * kPageSize, 3);
    disk.defer = true;
    large.f.send(large.request(Op::Write));
    large.rig.hub.run();
    ASSERT_EQ(disk.waiting(), 1u);
    EXPECT_EQ(disk.waiting(0).data.size(), 1u);
    disk.finish(0);
    EXPECT_EQ(large.f.next()->status, kOkay);
    EXPECT_TRUE(large.rig.disk_is(8, uint64_t{kMaxIndirectSegments} * 8, 3));
    disk.defer = false;
}

/* Exactly one answer, when nothing of it is at the storage any more. */
TEST(BackStorage, OneFailedPartFailsTheWholeRequest)
{
    for (size_t bad = 0; bad < 5; bad++) {
        LargeRequest large(false);
        RamStorage &disk = large.rig.hub.storage;
        disk.defer = true;
        large.f.send(large.request(Op::Read));
        large.rig.hub.run();
        ASSERT_EQ(disk.waiting(), 5u);
        for (size_t part = 0; part < 5; part++) {
            EXPECT_FALSE(large.f.next()) << "answered with " << disk.waiting() << " parts to go";
            EXPECT_GT(large.rig.hub.grants.mapped(), 4000u);
            disk.fail = part == bad;
            disk.finish(part % 2 ? 0 : disk.waiting() - 1);
        }
        auto rsp = large.f.next();
        ASSERT_TRUE(rsp);
        EXPECT_EQ(rsp->status, kError);
        EXPECT_FALSE(large.f.next());
        EXPECT_EQ(large.rig.hub.grants.mapped(), 1u);
        EXPECT_EQ(large.rig.back->counters().bytes_read, 0u);
        disk.defer = disk.fail = false;
        EXPECT_EQ(large.f.ask(large.request(Op::Read)), kOkay);
    }
}

/* So that no backend passes that QEMU's block layer would not serve. */
TEST(BackStorage, LoopbackTakesNoMoreVectorsThanQemu)
{
    struct Client final : StorageClient {
        void storage_done(uint64_t, bool ok) override { good = ok; }
        bool good{false};
    } client;
    RamStorage disk(4096);
    std::vector<std::byte> bytes(kSectorSize);
    for (size_t vectors : {Storage::kMaxVectors, Storage::kMaxVectors + 1}) {
        std::vector<struct iovec> data(vectors, {bytes.data(), bytes.size()});
        disk.submit({StorageOp::Write, Sector(0), vectors, data, 0}, client);
        EXPECT_EQ(client.good, vectors == Storage::kMaxVectors);
    }
    EXPECT_EQ(disk.too_many_vectors, 1u);
}

/* Each lie of an indirect request: ERROR, nothing touched, nothing mapped. */
TEST(BackIndirect, LyingIndirectRequestTouchesNothing)
{
    using Bend = void (*)(RigFront &, WireRequest &);
    const std::pair<const char *, Bend> cases[] = {
        {"no segment", [](RigFront &, WireRequest &r) { r.nr_indirect_segments = 0; }},
        {"257 segments", [](RigFront &, WireRequest &r) { r.nr_indirect_segments = 257; }},
        {"65535 segments", [](RigFront &, WireRequest &r) { r.nr_indirect_segments = 65535; }},
        {"flush inside", [](RigFront &, WireRequest &r) { r.indirect_op = Op::FlushDiskcache; }},
        {"indirect inside", [](RigFront &, WireRequest &r) { r.indirect_op = Op::Indirect; }},
        {"barrier inside", [](RigFront &, WireRequest &r) { r.indirect_op = Op::WriteBarrier; }},
        {"unknown inside", [](RigFront &, WireRequest &r) { r.indirect_op = Op(99); }},
        {"page not granted", [](RigFront &, WireRequest &r) { r.indirect[0] = GrantRef(9999); }},
        {"sector at the end", [](RigFront &, WireRequest &r) { r.sector = 8192; }},
        {"sector near 2^64", [](RigFront &, WireRequest &r) { r.sector = UINT64_MAX - 8; }},
        {"last segment bad",
         [](RigFront &f, WireRequest &) {
             WireSegment s{f.rig.hub.grants.ref(19), 5, 4};
             put_segments(f.rig.hub.guest.host(500 * kPageSize + 19 * kSegmentSize), {&s, 1});
         }},
        {"last grant bad",
         [](RigFront &f, WireRequest &) {
             WireSegment s{GrantRef(UINT32_MAX), 0, 7};
             put_segments(f.rig.hub.guest.host(500 * kPageSize + 19 * kSegmentSize), {&s, 1});
         }},
    };
    for (const auto &[name, bend] : cases) {
        SCOPED_TRACE(name);
        Rig rig(full());
        rig.oracle_matters = false;
        RigFront f(rig);
        ASSERT_TRUE(f.connect());
        for (uint32_t i = 0; i < 20; i++)
            f.grant(i);
        WireRequest r = f.indirect(Op::Write, 0, 20, 500);
        bend(f, r);
        auto disk = rig.hub.storage.data;
        f.send(r);
        rig.hub.run();
        auto rsp = f.next();
        ASSERT_TRUE(rsp);
        EXPECT_EQ(rsp->status, kError);
        EXPECT_TRUE(disk == rig.hub.storage.data);
        EXPECT_EQ(rig.hub.grants.mapped(), 1u);
        EXPECT_EQ(f.ask(f.request(Op::Read, 0)), kOkay) << "the next one is served";
    }
}

/* Grants: one of them is of a page of the test's. */
class PageGrants final : public PassBackGrants
{
public:
    PageGrants(BackGrants &under, GrantRef ref, std::byte *page)
        : PassBackGrants(under), ref_(ref), page_(page)
    {
    }
    Result<std::byte *> map(GrantRef ref, bool readonly) override
    {
        return ref == ref_ ? Result<std::byte *>(page_) : PassBackGrants::map(ref, readonly);
    }
    void unmap(GrantRef ref, std::byte *page) override
    {
        if (page != page_)
            PassBackGrants::unmap(ref, page);
    }

private:
    GrantRef ref_;
    std::byte *page_;
};

/* XSA-155 — each word is loaded once: the next load would find something else. */
TEST(BackIndirect, SegmentsAreFetchedOnce)
{
    constexpr uint32_t kSegments = 20;
    Rig rig(full());
    RigFront f(rig);
    for (uint32_t i = 0; i < kSegments; i++)
        f.grant(i);
    WireRequest r = f.indirect(Op::Write, 0, kSegments, 500);
    ChangingPage list;
    std::memcpy(list.data(), rig.hub.guest.host(500 * kPageSize), kPageSize);
    PageGrants grants(rig.hub.grants, r.indirect[0], list.data());
    BackPorts ports = rig.hub.back_ports();
    BlockBack back({ports.store, grants, ports.events, ports.storage, nullptr}, rig.setup.back);
    rig.back->vanish();
    rig.hub.attach(&back);
    ASSERT_TRUE(back.start());
    f.state(XenbusState::Initialised);
    rig.fill_guest(0, kSegments * kPageSize, 9);
    list.arm();
    EXPECT_EQ(f.ask(r), kOkay);
    EXPECT_TRUE(rig.disk_is(0, kSegments * 8, 9));
    EXPECT_EQ(list.loads(), kSegments * kSegmentSize / 4);
    rig.hub.detach_back();
    back.vanish();
}

/* ---- persistent grants ---------------------------------------------------- */

/* blkif:feature-persistent — mapped once, read and write, until the end. */
TEST(BackPersistent, PersistentPageIsMappedOnce)
{
    Rig rig(full());
    RigFront f(rig, {Abi::X86_64, 1, 1, true});
    ASSERT_TRUE(f.connect());
    f.grant(0);
    for (uint32_t i = 0; i < 10; i++) {
        rig.fill_guest(0, kPageSize, i);
        EXPECT_EQ(f.ask(f.request(Op::Write, 0)), kOkay);
        EXPECT_TRUE(rig.disk_is(0, 8, i));
        rig.fill_disk(8, 8, 100 + i);
        EXPECT_EQ(f.ask(f.request(Op::Read, 8)), kOkay);
        EXPECT_TRUE(rig.guest_is(0, kPageSize, 100 + i));
    }
    EXPECT_EQ(rig.hub.grants.mapped(), 2u) << "the ring, and the page once";
    EXPECT_EQ(rig.back->counters().persistent_hits, 19u);
    f.state(XenbusState::Closing);
    f.state(XenbusState::Closed);
    EXPECT_EQ(rig.hub.grants.mapped(), 0u);
}

/* Without the frontend's own node nothing stays mapped. */
TEST(BackPersistent, NothingStaysMappedUnasked)
{
    Rig rig(full());
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    f.grant(0);
    EXPECT_EQ(f.ask(f.request(Op::Write, 0)), kOkay);
    EXPECT_EQ(rig.hub.grants.mapped(), 1u);
}

/* The limit: the page that was used longest ago makes room. */
TEST(BackPersistent, LongestUnusedPageMakesRoom)
{
    RigSetup s = full();
    s.back.max_persistent = 3;
    Rig rig(s);
    RigFront f(rig, {Abi::X86_64, 1, 1, true});
    ASSERT_TRUE(f.connect());
    for (uint32_t i = 0; i < 8; i++)
        f.grant(i);
    auto use = [&](uint32_t frame) {
        WireRequest r = f.request(Op::Read, 0);
        r.seg[0].gref = rig.hub.grants.ref(frame);
        uint64_t before = rig.back->counters().persistent_hits;
        EXPECT_EQ(f.ask(r), kOkay);
        return rig.back->counters().persistent_hits != before;
    };
    for (uint32_t i = 0; i < 3; i++)
        EXPECT_FALSE(use(i));
    EXPECT_TRUE(use(0));
    EXPECT_FALSE(use(3)) << "1 went for it";
    EXPECT_TRUE(use(0));
    EXPECT_TRUE(use(2));
    EXPECT_FALSE(use(1));
    EXPECT_EQ(rig.hub.grants.mapped(), 1u + 3u);
    /* More at a time than may stay: the rest is mapped for once. */
    EXPECT_EQ(f.ask(f.request(Op::Read, 0, 8)), kOkay);
    EXPECT_EQ(rig.hub.grants.mapped(), 1u + 3u);
}

/* The same page several times in a request, and in requests side by side. */
TEST(BackPersistent, PageInUseStaysMapped)
{
    RigSetup s = full();
    s.back.max_persistent = 1;
    Rig rig(s);
    RigFront f(rig, {Abi::X86_64, 1, 1, true});
    ASSERT_TRUE(f.connect());
    f.grant(0);
    f.grant(1);
    rig.hub.storage.defer = true;
    WireRequest twice = f.request(Op::Read, 0, 2);
    twice.seg[1] = twice.seg[0];
    f.send(twice);
    WireRequest other = f.request(Op::Read, 0);
    other.seg[0].gref = rig.hub.grants.ref(1);
    f.send(other);
    rig.hub.run();
    EXPECT_EQ(rig.hub.storage.waiting(), 2u);
    EXPECT_EQ(rig.hub.grants.mapped(), 3u);
    rig.hub.storage.finish(1);
    EXPECT_EQ(rig.hub.grants.mapped(), 2u);
    rig.hub.storage.finish(0);
    EXPECT_EQ(rig.hub.grants.mapped(), 2u);
    rig.hub.storage.defer = false;
}

/* A read-only grant cannot be persistent: refused, also the second time. */
TEST(BackPersistent, ReadOnlyGrantIsRefused)
{
    Rig rig(full());
    rig.oracle_matters = false;
    RigFront f(rig, {Abi::X86_64, 1, 1, true});
    ASSERT_TRUE(f.connect());
    f.grant(0, true);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(f.ask(f.request(Op::Read, 0)), kError);
    EXPECT_EQ(rig.hub.grants.mapped(), 1u);
}

/* A page of segments that later carries data, and the other way round. */
TEST(BackPersistent, PageOfSegmentsCanCarryDataLater)
{
    Rig rig(full());
    RigFront f(rig, {Abi::X86_64, 1, 1, true});
    ASSERT_TRUE(f.connect());
    f.grant(0);
    f.grant(1);
    WireSegment s{rig.hub.grants.ref(1), 0, 7};
    put_segments(rig.hub.guest.host(0), {&s, 1});
    WireRequest r = f.request(Op::Indirect, 8, 0);
    r.indirect_op = Op::Read;
    r.nr_indirect_segments = 1;
    r.indirect[0] = rig.hub.grants.ref(0);
    EXPECT_EQ(f.ask(r), kOkay);
    rig.fill_disk(0, 8, 77);
    EXPECT_EQ(f.ask(f.request(Op::Read, 0)), kOkay);
    EXPECT_TRUE(rig.guest_is(0, kPageSize, 77));
    EXPECT_EQ(rig.hub.grants.mapped(), 3u);
}

/* ---- order and stability -------------------------------------------------- */

/* blkif:barrier — all before it is done before it, and all after it after. */
TEST(BackBarrier, NoRequestPassesABarrier)
{
    Rig rig(full());
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    for (uint32_t i = 0; i < 3; i++)
        f.grant(i);
    RamStorage &disk = rig.hub.storage;
    disk.defer = true;
    f.send(f.request(Op::Write, 0));
    f.send(f.request(Op::Write, 8));
    f.send(f.request(Op::WriteBarrier, 16));
    f.send(f.request(Op::Write, 24));
    f.send(f.request(Op::WriteBarrier, 32, 0));
    f.send(f.request(Op::Read, 40));
    rig.hub.run();
    ASSERT_EQ(disk.waiting(), 2u) << "the two before it";
    disk.finish(1);
    ASSERT_EQ(disk.waiting(), 1u);
    disk.finish(0);
    ASSERT_EQ(disk.waiting(), 1u);
    EXPECT_EQ(disk.waiting(0).op, StorageOp::Flush);
    disk.finish(0);
    ASSERT_EQ(disk.waiting(), 1u);
    EXPECT_EQ(disk.waiting(0).op, StorageOp::WriteStable);
    EXPECT_EQ(disk.waiting(0).at.value, 16u);
    disk.finish(0);
    rig.hub.run();
    ASSERT_EQ(disk.waiting(), 1u);
    EXPECT_EQ(disk.waiting(0).at.value, 24u);
    disk.finish(0);
    ASSERT_EQ(disk.waiting(), 1u);
    EXPECT_EQ(disk.waiting(0).op, StorageOp::Flush) << "the empty one";
    disk.finish(0);
    rig.hub.run();
    ASSERT_EQ(disk.waiting(), 1u);
    EXPECT_EQ(disk.waiting(0).op, StorageOp::Read);
    disk.finish(0);
    for (int i = 0; i < 6; i++) {
        auto rsp = f.next();
        ASSERT_TRUE(rsp) << i;
        EXPECT_EQ(rsp->status, kOkay);
    }
    EXPECT_EQ(disk.stable_writes, 1u);
    disk.defer = false;
}

/* ... nor does one of another ring: blkif.h has it for the device. */
TEST(BackBarrier, NoRequestOfAnotherRingPassesABarrier)
{
    RigSetup s = full();
    s.back.max_queues = 2;
    Rig rig(s);
    RigFront f(rig, {Abi::X86_64, 2, 1, false});
    ASSERT_TRUE(f.connect());
    for (uint32_t i = 0; i < 3; i++)
        f.grant(i);
    RamStorage &disk = rig.hub.storage;
    disk.defer = true;
    f.send(f.request(Op::Write, 0), 0);
    f.send(f.request(Op::WriteBarrier, 8), 1);
    rig.hub.run();
    ASSERT_EQ(disk.waiting(), 1u) << "the write before it";
    f.send(f.request(Op::Write, 16), 0);
    f.send(f.request(Op::WriteBarrier, 24, 0), 0);
    f.send(f.request(Op::Write, 32), 1);
    rig.hub.run();
    ASSERT_EQ(disk.waiting(), 1u) << "nothing passes it";
    disk.finish(0);
    ASSERT_EQ(disk.waiting(), 1u);
    EXPECT_EQ(disk.waiting(0).op, StorageOp::Flush);
    disk.finish(0);
    ASSERT_EQ(disk.waiting(), 1u);
    EXPECT_EQ(disk.waiting(0).op, StorageOp::WriteStable);
    disk.finish(0);
    EXPECT_EQ(f.next(1)->status, kOkay);
    rig.hub.run();
    /* Both rings go on: the write of each, or a barrier that keeps the other's. */
    ASSERT_GE(disk.waiting(), 1u);
    for (int i = 0; i < 10 && disk.waiting(); i++) {
        disk.finish(0);
        rig.hub.run();
    }
    for (uint32_t ring : {0u, 0u, 0u, 1u}) {
        auto rsp = f.next(ring);
        ASSERT_TRUE(rsp) << ring;
        EXPECT_EQ(rsp->status, kOkay);
    }
    EXPECT_EQ(disk.stable_writes, 1u);
    disk.defer = false;
}

/* Whoever had to wait has a turn before the ring of the barrier has another. */
void starve(uint32_t flooder, uint32_t victim)
{
    RigSetup s;
    s.back.barrier = true;
    s.back.max_queues = 2;
    Rig rig(s);
    RigFront f(rig, {Abi::X86_64, 2, 1, false});
    ASSERT_TRUE(f.connect());
    f.grant(0);
    RamStorage &disk = rig.hub.storage;
    disk.defer = true;
    f.send(f.request(Op::WriteBarrier, 8), flooder);
    f.send(f.request(Op::WriteBarrier, 8), flooder);
    rig.hub.run();
    f.send(f.request(Op::Write, 64), victim);
    rig.hub.run();
    bool served = false;
    int barriers = 0;
    for (int i = 0; i < 200 && !served; i++) {
        while (disk.waiting() && !served) {
            disk.finish(0);
            if (f.next(flooder)) {
                barriers++;
                f.send(f.request(Op::WriteBarrier, 8), flooder);
            }
            served |= f.next(victim).has_value();
        }
        rig.hub.run();
        served |= f.next(victim).has_value();
    }
    EXPECT_TRUE(served) << "not one turn in " << barriers << " barriers of the other ring";
    disk.defer = false;
    disk.drain();
    rig.hub.run();
}

TEST(BackBarrier, BarriersLeaveOtherRingsTheirTurn)
{
    starve(0, 1);
    starve(1, 0);
}

TEST(BackBarrier, EachRequestBesideBarriersIsAnswered)
{
    for (uint32_t seed = 1; seed <= 200; seed++) {
        Random random(seed);
        RigSetup s;
        s.back.barrier = s.back.flush = true;
        s.back.max_queues = 4;
        Rig rig(s);
        RigFront f(rig, {Abi::X86_64, 4, 1, false});
        ASSERT_TRUE(f.connect());
        for (uint32_t i = 0; i < 4; i++)
            f.grant(i);
        RamStorage &disk = rig.hub.storage;
        disk.defer = true;
        uint32_t sent = 0, got = 0;
        for (int i = 0; i < 200; i++) {
            uint32_t q = random.below(4);
            switch (random.below(6)) {
            case 0:
            case 1:
            case 2: {
                if (f.rings[q].free() == 0)
                    break;
                bool b = random.below(2);
                f.send(f.request(b ? Op::WriteBarrier : Op::Write, random.below(100) * 8,
                                 b ? random.below(3) : 1),
                       q);
                sent++;
                break;
            }
            case 3:
                if (disk.waiting())
                    disk.finish(random.below(static_cast<uint32_t>(disk.waiting())));
                break;
            case 4: rig.hub.run_one(); break;
            case 5:
                disk.fail = random.below(4) == 0;
                while (f.next(q))
                    got++;
                break;
            }
        }
        for (int i = 0; i < 2000 && (got < sent); i++) {
            rig.hub.run();
            if (disk.waiting())
                disk.finish(0);
            for (uint32_t q = 0; q < 4; q++)
                while (f.next(q))
                    got++;
        }
        ASSERT_EQ(got, sent) << seed;
        disk.defer = false;
    }
}

/* A barrier that fails lets go of the ring. */
TEST(BackBarrier, RingGoesOnAfterAFailedBarrier)
{
    Rig rig(full());
    rig.oracle_matters = false;
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    f.grant(0);
    rig.hub.storage.fail = true;
    EXPECT_EQ(f.ask(f.request(Op::WriteBarrier, 0)), kError);
    EXPECT_EQ(f.ask(f.request(Op::WriteBarrier, 0, 0)), kError);
    rig.hub.storage.fail = false;
    EXPECT_EQ(f.ask(f.request(Op::WriteBarrier, 9000)), kError);
    WireRequest bad = f.request(Op::WriteBarrier, 0);
    bad.seg[0].gref = GrantRef(9999);
    EXPECT_EQ(f.ask(bad), kError);
    EXPECT_EQ(f.ask(f.request(Op::WriteBarrier, 0, 12)), kError);
    EXPECT_EQ(f.ask(f.request(Op::WriteBarrier, 0)), kOkay);
    EXPECT_EQ(f.ask(f.request(Op::Read, 0)), kOkay);
}

TEST(BackBarrier, ReadOnlyDiskRefusesABarriersData)
{
    RigSetup s = full();
    s.back.read_only = true;
    Rig rig(s);
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    f.grant(0);
    EXPECT_EQ(f.ask(f.request(Op::WriteBarrier, 0)), kError);
    WireRequest w = f.request(Op::Indirect, 0, 0);
    w.indirect_op = Op::Write;
    w.nr_indirect_segments = 1;
    w.indirect[0] = rig.hub.grants.ref(0);
    EXPECT_EQ(f.ask(w), kError);
    EXPECT_EQ(rig.hub.storage.writes, 0u);
}

/* blkif:sectors-physical */
TEST(BackFeatures, OddResizeRemovesPhysicalSectorSize)
{
    RigSetup s;
    s.back.physical_sector_size = 4096;
    Rig rig(s);
    rig.connect();
    ASSERT_EQ(rig.back_node("physical-sector-size"), "4096");
    rig.hub.storage.data.resize(rig.hub.storage.data.size() + 512);
    rig.back->resized();
    rig.hub.run();
    EXPECT_EQ(rig.back_node("physical-sector-size"), "");
    rig.hub.storage.data.resize(rig.hub.storage.data.size() - 512);
}

/* blkif:discard-secure — done as such, or refused; never as another. */
TEST(BackDiscard, SecureDiscardIsSecureOrRefused)
{
    for (bool offered : {false, true}) {
        RigSetup s = full();
        s.back.discard_secure = offered;
        Rig rig(s);
        RigFront f(rig);
        ASSERT_TRUE(f.connect());
        WireRequest r = f.request(Op::Discard, 0, 0);
        r.nr_segments = kDiscardSecure;
        r.nr_sectors = 8;
        EXPECT_EQ(f.ask(r), offered ? kOkay : kNotSupp);
        EXPECT_EQ(rig.hub.storage.secure_discards, offered ? 1u : 0u);
        EXPECT_EQ(rig.hub.storage.discards.size(), offered ? 1u : 0u);
    }
}

/* ---- many at once --------------------------------------------------------- */

/* Answers come as the disk has them, each to its request. */
TEST(BackOrder, AnswersFollowTheDisksOrder)
{
    Rig rig(full());
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    for (uint32_t i = 0; i < 11; i++)
        f.grant(i);
    rig.hub.storage.defer = true;
    std::vector<RequestId> ids;
    for (uint32_t i = 0; i < 32; i++) {
        WireRequest r = f.request(i % 2 ? Op::Write : Op::Read, i * 8, 1 + i % 11);
        ids.push_back(r.id);
        f.send(r);
    }
    rig.hub.run();
    ASSERT_EQ(rig.hub.storage.waiting(), 32u);
    std::vector<RequestId> order;
    for (uint32_t left = 32; left > 0; left--) {
        size_t pick = left * 7 % left / 2;
        order.push_back(ids[pick]);
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(pick));
        rig.hub.storage.finish(pick);
    }
    for (RequestId id : order) {
        auto rsp = f.next();
        ASSERT_TRUE(rsp);
        EXPECT_EQ(rsp->id, id);
    }
    EXPECT_EQ(rig.hub.grants.mapped(), 1u);
    rig.hub.storage.defer = false;
}

/* qemu:D25 — closed with requests at the disk: they end first. */
TEST(BackOrder, CloseWaitsForTheDisk)
{
    Rig rig(full());
    RigFront f(rig, {Abi::X86_64, 2, 1, true});
    ASSERT_TRUE(f.connect());
    f.grant(0);
    rig.hub.storage.defer = true;
    f.send(f.request(Op::Read, 0), 0);
    f.send(f.request(Op::Read, 8), 1);
    rig.hub.run();
    ASSERT_EQ(rig.hub.storage.waiting(), 2u);
    f.state(XenbusState::Closing);
    f.state(XenbusState::Closed);
    EXPECT_EQ(rig.hub.storage.waiting(), 0u);
    EXPECT_EQ(rig.hub.grants.mapped(), 0u);
    rig.hub.storage.defer = false;
}

/* back/hooks.h: a ring is theirs from opened() to closed(), also where the
 * connection fails half-way. */
class Balance final : public BackHooks
{
public:
    void attached(HookedBack &back) override { back.ask_hooks(); }
    void opened(HookedQueue &queue, RingIndex) override { open[queue.index()]++; }
    void closed(HookedQueue &queue) override { open[queue.index()]--; }
    std::array<int, kMaxQueues> open{};
};

TEST(BackOrder, HooksCloseWhatWasOpened)
{
    Rig rig(full());
    RigFront f(rig, {Abi::X86_64, 4, 1, true});
    Balance balance;
    NestingBack nesting(rig, &balance);
    rig.hub.events.close(1);
    ASSERT_TRUE(nesting.back.start());
    f.state(XenbusState::Initialised);
    EXPECT_EQ(nesting.back.state(), XenbusState::Closing) << "the second ring cannot be bound";
    for (int open : balance.open)
        EXPECT_EQ(open, 0);
    nesting.back.vanish();
}

TEST(BackOrder, StateIsFollowedAfterTheDrain)
{
    Rig rig(full());
    RigFront f(rig, {Abi::X86_64, 2, 1, true});
    NestingBack nesting(rig);
    NestingStorage &storage = nesting.storage;
    BlockBack &back = nesting.back;
    ASSERT_TRUE(back.start());
    f.state(XenbusState::Initialised);
    ASSERT_EQ(back.state(), XenbusState::Connected);
    f.grant(0);
    rig.hub.storage.defer = true;
    f.send(f.request(Op::Write, 0), 0);
    f.send(f.request(Op::Read, 8), 1);
    rig.hub.run();
    ASSERT_EQ(rig.hub.storage.waiting(), 2u);
    bool inside = false;
    storage.meanwhile = [&] {
        inside = true;
        f.node("state", "1");
        back.store_changed();
        f.node("state", "3");
        back.store_changed();
        back.resized();
        back.later();
        EXPECT_EQ(rig.hub.storage.waiting(), 2u) << "connected over what is at the disk";
        EXPECT_EQ(back.counters().connects, 1u);
    };
    f.state(XenbusState::Closed);
    EXPECT_TRUE(inside);
    EXPECT_EQ(rig.hub.storage.waiting(), 0u);
    rig.hub.storage.defer = false;
    f.new_rings();
    f.state(XenbusState::Initialising);
    f.state(XenbusState::Initialised);
    EXPECT_EQ(back.state(), XenbusState::Connected);
    EXPECT_EQ(f.ask(f.request(Op::Read, 0), 1), kOkay);
    f.state(XenbusState::Closing);
    f.state(XenbusState::Closed);
    EXPECT_EQ(rig.hub.grants.mapped(), 0u);
    back.vanish();
}

/* ring:bounded — requests that are refused after many pages were mapped cost
 * as many mappings: there is an end to those per event, too. */
TEST(BackOrder, MappingsPerEventAreBounded)
{
    Rig rig(full());
    rig.oracle_matters = false;
    RigFront f(rig, {Abi::X86_64, 1, 16, false});
    ASSERT_TRUE(f.connect());
    for (uint32_t i = 0; i < 255; i++)
        f.grant(i);
    WireRequest r = f.indirect(Op::Read, 0, 256, 500);
    while (f.rings[0].free())
        f.rings[0].stage(r);
    f.rings[0].publish();
    uint64_t before = rig.back->counters().requests;
    rig.back->event_received(0);
    EXPECT_LE(rig.back->counters().requests - before, 4096u / 256 + 1);
    rig.hub.run();
    EXPECT_EQ(rig.back->counters().requests - before, 512u) << "the rest comes later";
}

/* ring:bounded — a frontend that never stops pushing does not keep us. */
TEST(BackOrder, RequestsPerEventAreBounded)
{
    Rig rig(full());
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    uint64_t before = rig.back->counters().requests;
    /* The ring is refilled from inside the disk's work. */
    class Refill final : public Storage
    {
    public:
        explicit Refill(RigFront &f) : f_(f) {}
        uint64_t sectors() const override { return 8192; }
        void submit(const StorageRequest &req, StorageClient &client) override
        {
            client.storage_done(req.tag, true);
            if (f_.rings[0].free())
                f_.send(f_.request(Op::FlushDiskcache, 0, 0));
        }
        void drain() override {}

    private:
        RigFront &f_;
    } refill(f);
    BackPorts ports = rig.hub.back_ports();
    BlockBack back({ports.store, ports.grants, ports.events, refill, nullptr}, rig.setup.back);
    rig.hub.attach(&back);
    rig.back->vanish();
    f.new_rings();
    ASSERT_TRUE(back.start());
    f.state(XenbusState::Initialised);
    ASSERT_EQ(back.state(), XenbusState::Connected);
    f.send(f.request(Op::FlushDiskcache, 0, 0));
    back.event_received(0);
    EXPECT_LE(back.counters().requests - before, 5u * 32u);
    rig.hub.detach_back();
    back.vanish();
}

} // namespace
