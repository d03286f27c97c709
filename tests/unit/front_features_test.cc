/* SPDX-License-Identifier: MIT */
/*
 * BlockFront's flushes, barriers and discards, and what it does when a backend
 * does not do what it offered. Serves blkif.h feature-flush-cache,
 * feature-barrier, discard-secure, device-type, and the statuses of a response.
 */
#include "front/states.h"
#include "support/script_back.h"

namespace
{

using namespace pvblk;

constexpr auto kNotSupported = static_cast<int16_t>(RspStatus::EOpNotSupp);
constexpr auto kError = static_cast<int16_t>(RspStatus::Error);

ScriptNodes nodes(bool flush, bool barrier)
{
    return {{"feature-flush-cache", flush ? "1" : "0"}, {"feature-barrier", barrier ? "1" : "0"}};
}

/* An answer of that status to one kind of request. */
auto refuse(Op op, int16_t status)
{
    return [op, status](const WireRequest &r) -> std::optional<int16_t> {
        return r.op == op ? std::optional(status) : std::nullopt;
    };
}

IoRequest stable(Rig &rig, uint64_t sector, uint64_t sectors)
{
    IoRequest r = rig.request(IoKind::Write, sector, sectors);
    r.flush_after = true;
    return r;
}

/* ---- barriers --------------------------------------------------------------- */

/* blkif:feature-barrier — where it is the only way to a stable disk. */
TEST(FrontBarrier, BarrierFlushesWhereNothingElseDoes)
{
    ScriptRig r({}, nodes(false, true));
    r.connect();
    EXPECT_EQ(r.rig.flush(), IoStatus::Ok);
    EXPECT_EQ(r.back.seen.back().req.op, Op::WriteBarrier);
    EXPECT_EQ(r.back.seen.back().req.nr_segments, 0);
    EXPECT_EQ(r.rig.front->counters().ring_barriers, 1u);
    EXPECT_EQ(r.rig.front->counters().ring_flushes, 0u);
}

TEST(FrontBarrier, BarrierIsUsedOnlyWhereNeededAndAllowed)
{
    ScriptRig both({}, nodes(true, true));
    both.connect();
    EXPECT_EQ(both.rig.flush(), IoStatus::Ok);
    EXPECT_EQ(both.rig.finish(stable(both.rig, 0, 8)), IoStatus::Ok);
    EXPECT_EQ(both.back.count(Op::FlushDiskcache), 2u);
    EXPECT_EQ(both.back.count(Op::WriteBarrier), 0u);

    FrontPolicy p;
    p.use_barrier = false;
    ScriptRig off(p, nodes(false, true));
    off.connect();
    EXPECT_EQ(off.rig.flush(), IoStatus::Ok) << "as if it had none";
    EXPECT_EQ(off.back.seen.size(), 0u);
}

/* A write that fits goes as a barrier; of a longer one all parts are answered
 * before the barrier that makes them stable is sent. */
TEST(FrontBarrier, StableWriteEndsWithABarrier)
{
    ScriptNodes offer = nodes(false, true);
    offer["feature-max-indirect-segments"] = "32";
    ScriptRig r({}, offer);
    r.connect();
    r.rig.fill_guest(0, 1 << 20, 4);
    EXPECT_EQ(r.rig.finish(stable(r.rig, 0, 88)), IoStatus::Ok);
    ASSERT_EQ(r.back.seen.size(), 1u);
    EXPECT_EQ(r.back.seen[0].req.op, Op::WriteBarrier);
    EXPECT_TRUE(r.disk_is(0, 88, 4));

    for (uint64_t sectors : {96u, 2048u}) { /* indirect: no barrier in there */
        r.back.seen.clear();
        r.back.hold = true;
        size_t id = r.rig.submit(stable(r.rig, 0, sectors));
        r.rig.pump();
        EXPECT_EQ(r.back.count(Op::WriteBarrier), 0u) << "before the writes are done";
        r.back.release();
        r.rig.hub.run();
        EXPECT_FALSE(r.rig.result(id));
        ASSERT_EQ(r.back.held(), 1u);
        EXPECT_EQ(r.back.seen.back().req.op, Op::WriteBarrier);
        EXPECT_EQ(r.back.seen.back().req.nr_segments, 0);
        r.back.hold = false;
        r.back.release();
        r.rig.hub.run();
        EXPECT_EQ(r.rig.result(id), IoStatus::Ok);
        EXPECT_TRUE(r.disk_is(0, sectors, 4));
    }
}

/* ---- a backend that does not do what it offered ------------------------------ */

/* blkif:feature-loss — flush, then barrier; the guest's request is done by
 * the other, and the first is not tried again. */
TEST(FrontFallback, RefusedFlushBecomesABarrier)
{
    for (int16_t status : {kNotSupported, kError}) {
        ScriptRig r({}, nodes(true, true));
        r.connect();
        r.back.answer = refuse(Op::FlushDiskcache, status);
        EXPECT_EQ(r.rig.flush(), IoStatus::Ok);
        EXPECT_EQ(r.back.count(Op::FlushDiskcache), 1u);
        EXPECT_EQ(r.back.count(Op::WriteBarrier), 1u);
        EXPECT_EQ(r.rig.finish(stable(r.rig, 0, 8)), IoStatus::Ok);
        EXPECT_EQ(r.rig.flush(), IoStatus::Ok);
        EXPECT_EQ(r.back.count(Op::FlushDiskcache), 1u) << "not tried again";
        r.back.answer = nullptr;
        r.reconnect();
        EXPECT_EQ(r.rig.flush(), IoStatus::Ok);
        EXPECT_EQ(r.back.count(Op::FlushDiskcache), 2u) << "a new connection may have it";
    }
}

/* What worked on one connection says nothing of the next. */
TEST(FrontFallback, FirstErrorOfAConnectionIsARefusal)
{
    ScriptRig r({}, nodes(true, true));
    r.connect();
    EXPECT_EQ(r.rig.flush(), IoStatus::Ok);
    r.reconnect();
    r.back.answer = refuse(Op::FlushDiskcache, kError);
    EXPECT_EQ(r.rig.flush(), IoStatus::Ok);
    EXPECT_EQ(r.back.count(Op::WriteBarrier), 1u);
}

/* The means to flush goes while a write that needs it is under way. */
TEST(FrontFallback, WriteWhoseFlushIsGoneFails)
{
    ScriptRig r({}, nodes(true, false));
    r.connect();
    r.back.hold = true;
    size_t write = r.rig.submit(stable(r.rig, 0, 8));
    size_t flush = r.rig.submit(r.rig.request(IoKind::Flush, 0, 0));
    r.rig.pump();
    ASSERT_EQ(r.back.held(), 2u);
    r.back.push_raw(0, {r.back.seen[1].req.id, Op::FlushDiskcache, kNotSupported});
    r.back.push_raw(0, {r.back.seen[0].req.id, Op::Write, 0});
    r.rig.hub.run();
    EXPECT_EQ(r.rig.result(flush), IoStatus::Unsupported);
    EXPECT_EQ(r.rig.result(write), IoStatus::Error);
}

/* Many at a time, of which some are the tail of a write. */
TEST(FrontFallback, FlushesInFlightBecomeBarriers)
{
    ScriptRig r({}, nodes(true, true));
    r.connect();
    r.back.answer = refuse(Op::FlushDiskcache, kError);
    r.rig.fill_guest(0, 1 << 20, 2);
    std::vector<size_t> ids;
    for (uint32_t i = 0; i < 8; i++) {
        ids.push_back(r.rig.submit(r.rig.request(IoKind::Flush, 0, 0)));
        ids.push_back(r.rig.submit(stable(r.rig, 0, 256)));
    }
    r.rig.pump();
    for (size_t id : ids)
        EXPECT_EQ(r.rig.result(id), IoStatus::Ok);
    EXPECT_GE(r.back.flushes, 8u);
    EXPECT_TRUE(r.disk_is(0, 256, 2));
}

/* Neither: the truth, and no more attempts. A write that has to be stable
 * cannot be; one that need not be, works. */
TEST(FrontFallback, FlushThatNobodyDidFails)
{
    for (bool flush : {false, true})
        for (int16_t status : {kNotSupported, kError}) {
            ScriptRig r({}, nodes(flush, true));
            r.connect();
            r.back.answer = [status](const WireRequest &q) -> std::optional<int16_t> {
                bool f = q.op == Op::FlushDiskcache || q.op == Op::WriteBarrier;
                return f ? std::optional(status) : std::nullopt;
            };
            IoStatus told = status == kError ? IoStatus::Error : IoStatus::Unsupported;
            EXPECT_EQ(r.rig.flush(), told);
            EXPECT_EQ(r.back.seen.size(), flush ? 2u : 1u);
            EXPECT_EQ(r.rig.flush(), IoStatus::Unsupported);
            EXPECT_EQ(r.rig.finish(stable(r.rig, 0, 8)), IoStatus::Error);
            EXPECT_EQ(r.back.seen.size(), flush ? 2u : 1u) << "nothing was sent";
            EXPECT_EQ(r.rig.write(0, 8), IoStatus::Ok);
        }
}

/* A barrier with data that is refused: nothing was written. */
TEST(FrontFallback, RefusedBarrierWithDataFails)
{
    ScriptRig r({}, nodes(false, true));
    r.connect();
    r.back.answer = refuse(Op::WriteBarrier, kNotSupported);
    r.rig.fill_guest(0, 4096, 3);
    EXPECT_EQ(r.rig.finish(stable(r.rig, 0, 8)), IoStatus::Unsupported);
    EXPECT_FALSE(r.disk_is(0, 8, 3));
    EXPECT_EQ(r.rig.finish(stable(r.rig, 0, 8)), IoStatus::Error);
    EXPECT_EQ(r.back.seen.size(), 1u);
}

/* blkif:status — an ERROR to what worked before is an error, and no more. */
TEST(FrontFallback, LaterErrorLeavesTheFeatureOn)
{
    for (bool flush : {true, false}) {
        ScriptNodes offer = nodes(flush, true);
        offer["feature-discard"] = offer["discard-secure"] = "1";
        ScriptRig r({}, offer);
        r.connect();
        const IoKind kinds[] = {IoKind::Flush, IoKind::Discard, IoKind::SecureDiscard};
        for (IoKind kind : kinds) {
            auto one = [&] { return r.rig.request(kind, 0, kind == IoKind::Flush ? 0 : 8); };
            EXPECT_EQ(r.rig.finish(one()), IoStatus::Ok);
            r.back.answer = [](const WireRequest &) { return std::optional(kError); };
            EXPECT_EQ(r.rig.finish(one()), IoStatus::Error);
            r.back.answer = nullptr;
            EXPECT_EQ(r.rig.finish(one()), IoStatus::Ok) << "still there";
        }
        EXPECT_TRUE(r.rig.front->plan().flush == flush && r.rig.front->plan().barrier);
    }
}

/* A backend takes feature-flush-cache back by its node. */
TEST(FrontFallback, FlushWithdrawnByNodeFailsStableWrites)
{
    ScriptRig r({}, nodes(true, false));
    r.connect();
    EXPECT_EQ(r.rig.finish(stable(r.rig, 0, 8)), IoStatus::Ok);
    r.back.nodes["feature-flush-cache"] = "0";
    r.back.refresh();
    r.rig.hub.run();
    EXPECT_EQ(r.rig.finish(stable(r.rig, 0, 8)), IoStatus::Error);
    EXPECT_EQ(r.rig.flush(), IoStatus::Unsupported);
    r.reconnect();
    EXPECT_EQ(r.rig.finish(stable(r.rig, 0, 8)), IoStatus::Ok) << "a disk without a cache";
    EXPECT_EQ(r.rig.flush(), IoStatus::Ok);
    EXPECT_EQ(r.back.count(Op::FlushDiskcache), 1u);
}

/* front:requeue — the backend dies between a write and its flush, and what it
 * had cached dies with it. */
TEST(FrontFallback, WriteLostWithACacheIsSentAgain)
{
    for (bool barrier : {false, true}) {
        ScriptRig r({}, nodes(!barrier, barrier));
        r.connect();
        r.rig.fill_guest(0, 1 << 20, 8);
        r.back.hold = true;
        size_t id = r.rig.submit(stable(r.rig, 0, 512));
        r.rig.pump();
        r.back.release();
        r.rig.hub.run();
        ASSERT_EQ(r.back.held(), 1u) << "the flush";
        std::fill(r.back.disk.begin(), r.back.disk.end(), std::byte{0});
        r.back.vanish();
        r.rig.hub.run();
        r.back.hold = false;
        r.back.start();
        r.rig.hub.run();
        EXPECT_EQ(r.rig.result(id), IoStatus::Ok);
        EXPECT_TRUE(r.disk_is(0, 512, 8));
        EXPECT_EQ(r.back.flushes, 1u);
    }
}

/* ... or the connection is closed in good order, and the next backend cannot
 * flush, and need not. */
TEST(FrontFallback, NextBackendWithoutACacheGetsNoFlush)
{
    ScriptRig r({}, nodes(true, true));
    r.connect();
    r.rig.fill_guest(0, 1 << 20, 8);
    r.back.hold = true;
    size_t id = r.rig.submit(stable(r.rig, 0, 512));
    r.rig.pump();
    r.rig.front->reconnect();
    r.rig.hub.run();
    ASSERT_EQ(r.rig.front->state(), FrontState::Draining);
    r.back.nodes["feature-flush-cache"] = r.back.nodes["feature-barrier"] = "0";
    r.back.hold = false;
    r.back.release();
    std::fill(r.back.disk.begin(), r.back.disk.end(), std::byte{0});
    r.rig.hub.run();
    ASSERT_EQ(r.rig.front->state(), FrontState::Connected) << r.rig.front_state();
    EXPECT_EQ(r.rig.result(id), IoStatus::Ok);
    EXPECT_EQ(r.back.flushes, 0u);
    EXPECT_TRUE(r.disk_is(0, 512, 8));
}

/* ---- discard ------------------------------------------------------------------ */

/* blkif:discard-secure — asked for by its flag, and never done otherwise. */
TEST(FrontDiscard, SecureDiscardIsNeverAPlainOne)
{
    for (bool discard : {false, true})
        for (bool secure : {false, true})
            for (bool want : {false, true}) {
                FrontPolicy p;
                p.use_secure_discard = want;
                ScriptRig r(p, {{"feature-discard", discard ? "1" : "0"},
                                {"discard-secure", secure ? "1" : "0"}});
                r.connect();
                IoStatus s = r.rig.finish(r.rig.request(IoKind::SecureDiscard, 8, 8));
                bool all = discard && secure && want;
                EXPECT_EQ(s, all ? IoStatus::Ok : IoStatus::Unsupported);
                EXPECT_EQ(r.back.secure_discards, all ? 1u : 0u);
                EXPECT_EQ(r.rig.discard(8, 8), discard ? IoStatus::Ok : IoStatus::Unsupported);
                EXPECT_EQ(r.back.secure_discards, all ? 1u : 0u);
            }
}

/* A discard is advice, a secure one is none: no head of it is left alone. */
TEST(FrontDiscard, SecureDiscardLeavesNothingOut)
{
    ScriptRig r({}, {{"feature-discard", "1"},
                     {"discard-secure", "1"},
                     {"discard-granularity", "4096"},
                     {"discard-alignment", "512"}});
    r.connect();
    EXPECT_EQ(r.rig.finish(r.rig.request(IoKind::SecureDiscard, 8, 8)), IoStatus::Error);
    EXPECT_EQ(r.back.seen.size(), 0u);
    EXPECT_EQ(r.rig.finish(r.rig.request(IoKind::SecureDiscard, 9, 7)), IoStatus::Ok);
    EXPECT_EQ(r.back.seen[0].req.sector, 9u);
    EXPECT_EQ(r.back.seen[0].req.nr_sectors, 7u);
    EXPECT_EQ(r.back.seen[0].req.nr_segments, kDiscardSecure);
}

TEST(FrontDiscard, RefusedDiscardStaysOffAlone)
{
    for (int16_t status : {kNotSupported, kError})
        for (IoKind kind : {IoKind::Discard, IoKind::SecureDiscard}) {
            ScriptRig r({}, {{"feature-discard", "1"}, {"discard-secure", "1"}});
            r.connect();
            bool secure = kind == IoKind::SecureDiscard;
            r.back.answer = [=](const WireRequest &q) -> std::optional<int16_t> {
                bool mine = (q.nr_segments == kDiscardSecure) == secure;
                return mine ? std::optional(status) : std::nullopt;
            };
            EXPECT_EQ(r.rig.finish(r.rig.request(kind, 0, 8)),
                      status == kError ? IoStatus::Error : IoStatus::Unsupported);
            EXPECT_EQ(r.rig.finish(r.rig.request(kind, 0, 8)), IoStatus::Unsupported);
            EXPECT_EQ(r.back.seen.size(), 1u);
            IoKind other = secure ? IoKind::Discard : IoKind::SecureDiscard;
            EXPECT_EQ(r.rig.finish(r.rig.request(other, 0, 8)), IoStatus::Ok);
        }
}

/* ---- the frontend's own nodes, states nobody needs, ABIs ----------------------- */

/* blkif:device-type */
TEST(FrontNodes, DeviceTypeOfTheToolstackCounts)
{
    struct {
        const char *type;
        bool cdrom;
    } const cases[] = {{"cdrom", true},
                       {"disk", false},
                       {"floppy", false},
                       {"cdrom2", false},
                       {"a-type-that-is-longer-than-any-that-there-is", false}};
    for (const auto &c : cases) {
        ScriptRig r({}, {{"feature-discard", "1"}});
        r.rig.hub.put_node(r.rig.hub.config.frontend_path + "/device-type", c.type);
        r.connect();
        EXPECT_EQ(r.rig.front->plan().cdrom, c.cdrom) << c.type;
        EXPECT_EQ(r.rig.front->plan().discard, !c.cdrom);
        EXPECT_EQ(r.rig.front_node("device-type"), c.type) << "the toolstack's to keep";
    }
}

/* xenbus:state — Reconfiguring and Reconfigured are of other devices. */
TEST(FrontNodes, ReconfiguringKeepsTheConnection)
{
    for (const char *state : {"7", "8"}) {
        ScriptRig r({}, {});
        r.connect();
        const std::string node = r.rig.hub.config.backend_path + "/state";
        r.back.hold = true;
        size_t id = r.rig.submit(IoKind::Read, 0, 8);
        r.rig.pump();
        r.rig.hub.put_node(node, state);
        r.rig.hub.run();
        EXPECT_EQ(r.rig.front->state(), FrontState::Connected) << r.rig.front_state();
        r.back.hold = false;
        r.back.release();
        r.rig.hub.run();
        EXPECT_EQ(r.rig.result(id), IoStatus::Ok);
        r.rig.hub.put_node(node, "4");
        r.rig.hub.run();
        r.check_data(8);
    }
}

/* ... in none of ours: a frontend that waits goes on to wait. */
TEST(FrontNodes, ReconfiguringMovesNoState)
{
    for (uint32_t s = 0; s < kFrontStates; s++)
        for (XenbusState seen : {XenbusState::Reconfiguring, XenbusState::Reconfigured})
            for (bool stopping : {false, true}) {
                auto state = static_cast<FrontState>(s);
                FrontStep step = front_step(state, back_event(seen), stopping);
                EXPECT_EQ(step.next, state);
                EXPECT_EQ(step.action, FrontAction::None) << front_state_name(state);
            }
}

/* xenbus:state — what is no state breaks the connection, wherever it stands. */
TEST(FrontNodes, StateThatDoesNotExistBreaks)
{
    const std::string backend = HubConfig{}.backend_path;
    for (const char *text : {"9", "256", "-4", "Connected", "4 ", ""})
        for (FrontState at : {FrontState::WaitInit, FrontState::Connecting, FrontState::Connected,
                              FrontState::Draining}) {
            SCOPED_TRACE(testing::Message() << '"' << text << "\" in " << front_state_name(at));
            ScriptRig r({}, {});
            r.back.start();
            ASSERT_TRUE(r.rig.new_front());
            if (at == FrontState::WaitInit)
                r.rig.hub.put_node(backend + "/state", "1");
            r.rig.front->start();
            if (at == FrontState::Draining)
                r.back.hold = true;
            if (at == FrontState::Connected || at == FrontState::Draining)
                r.rig.hub.run();
            if (at == FrontState::Draining) {
                r.rig.submit(IoKind::Read, 0, 8);
                r.rig.pump();
                r.rig.front->reconnect();
            }
            ASSERT_EQ(r.rig.front->state(), at);
            r.rig.hub.put_node(backend + "/state", text);
            r.rig.front->store_changed();
            EXPECT_EQ(r.rig.front->state(), FrontState::Broken);
            EXPECT_STREQ(r.rig.front->broken().clause, "xenbus:state");
            EXPECT_EQ(r.rig.front_node("state"), "6");
        }
}

/* ... and no node is Unknown: a backend that is not there, or not any more. */
TEST(FrontNodes, NoStateIsABackendThatIsGone)
{
    for (const char *text : {"", "0"}) {
        ScriptRig r({}, {});
        r.connect();
        auto unknown = [&] {
            if (*text)
                r.back.state(XenbusState::Unknown);
            else
                r.back.remove("state");
            r.rig.hub.run();
        };
        unknown();
        EXPECT_EQ(r.rig.front->state(), FrontState::Lost) << r.rig.front_state();
        r.back.start();
        r.rig.hub.run();
        ASSERT_EQ(r.rig.front->state(), FrontState::Connected) << r.rig.front_state();
        r.rig.front->stop();
        r.rig.hub.run();
        unknown();
        r.rig.front->start();
        EXPECT_EQ(r.rig.front->state(), FrontState::WaitInit) << r.rig.front_state();
    }
}

/* blkif:handle, blkif:virtual-device — which disk it is, of whatever kind. */
TEST(FrontNodes, EachRequestNamesTheVirtualDevice)
{
    RigSetup s;
    s.front.handle = 51712;
    ScriptRig r({},
                {{"feature-flush-cache", "1"},
                 {"feature-discard", "1"},
                 {"feature-max-indirect-segments", "32"}},
                s);
    r.connect();
    EXPECT_EQ(r.rig.read(0, 8), IoStatus::Ok);
    EXPECT_EQ(r.rig.write(0, 256), IoStatus::Ok);
    EXPECT_EQ(r.rig.discard(0, 8), IoStatus::Ok);
    EXPECT_EQ(r.rig.flush(), IoStatus::Ok);
    EXPECT_EQ(r.back.count(Op::Indirect), 1u);
    ASSERT_EQ(r.back.seen.size(), 4u);
    for (const auto &seen : r.back.seen)
        EXPECT_EQ(seen.req.handle, 51712) << static_cast<int>(seen.req.op);
}

/* protocols.h — a 32-bit frontend's layout, with all that it can carry. */
TEST(FrontNodes, RingHasTheAnnouncedAbi)
{
    for (Abi abi : {Abi::X86_64, Abi::X86_32})
        for (bool persistent : {false, true}) {
            FrontPolicy p;
            p.abi = abi;
            p.use_persistent = persistent;
            p.max_queues = 3;
            p.max_indirect_segments = 64;
            ScriptRig r(p, {{"feature-persistent", "1"},
                            {"feature-max-indirect-segments", "64"},
                            {"max-ring-page-order", "3"},
                            {"multi-queue-max-queues", "3"},
                            {"feature-discard", "1"},
                            {"discard-secure", "1"},
                            {"feature-barrier", "1"}});
            r.connect();
            EXPECT_EQ(r.rig.front_node("protocol"), abi_name(abi));
            for (uint64_t sectors : {1u, 7u, 88u, 300u})
                r.check_data(sectors);
            EXPECT_EQ(r.rig.flush(), IoStatus::Ok);
            EXPECT_EQ(r.rig.finish(r.rig.request(IoKind::SecureDiscard, 5, 8)), IoStatus::Ok);
            EXPECT_EQ(r.back.seen.back().req.nr_sectors, 8u);
            EXPECT_EQ(r.back.secure_discards, 1u);
        }
}

/* blkif:feature-barrier — an ERROR to a barrier with data says nothing of barriers. */
TEST(FrontBarrier, BarrierOutlivesAnErrorOfItsData)
{
    RigSetup s;
    s.back.flush = false;
    s.back.barrier = true;
    Rig rig(s);
    rig.connect();
    IoRequest w = rig.request(IoKind::Write, 0, 8);
    w.flush_after = true;
    rig.hub.storage.fail = true;
    EXPECT_EQ(rig.finish(w), IoStatus::Error);
    rig.hub.storage.fail = false;
    EXPECT_EQ(rig.finish(w), IoStatus::Ok);
    EXPECT_EQ(rig.flush(), IoStatus::Ok);
}

/* blkif:sector-units — of a disk whose size comes late the next time. */
TEST(FrontGeometry, QuirkStaysAnnouncedForALateSize)
{
    FrontPolicy p;
    p.large_sector_units = SectorUnits::Device;
    ScriptRig r(p, {{"sector-size", "4096"}, {"sectors", "1024"}});
    r.connect();
    ASSERT_EQ(r.rig.front_node("feature-large-sector-size"), "1");
    ASSERT_EQ(r.rig.front->plan().units, SectorUnits::Device);
    r.back.vanish();
    r.rig.hub.run();
    r.back.nodes.erase("sectors");
    r.back.nodes.erase("sector-size");
    r.back.late = {{"sectors", "8192"}, {"sector-size", "4096"}};
    r.back.start();
    r.rig.hub.run();
    r.rig.hub.advance(ms(200));
    EXPECT_EQ(r.rig.front->state(), FrontState::Connected) << r.rig.front_state();
    EXPECT_EQ(r.rig.front_node("feature-large-sector-size"), "1");
    EXPECT_EQ(r.rig.front->plan().sectors, 8192u * 8);
}

/* blkif:sectors — a drive without a medium, which comes, and goes. */
TEST(FrontGeometry, EmptyDriveServesWhatIsPutIn)
{
    ScriptRig r({}, {{"sectors", "0"}, {"info", "2"}, {"feature-flush-cache", "1"}});
    r.connect();
    EXPECT_EQ(r.rig.front->plan().sectors, 0u);
    EXPECT_TRUE(r.rig.front->plan().sized);
    EXPECT_EQ(r.rig.read(0, 1), IoStatus::Error);
    EXPECT_EQ(r.rig.write(0, 1), IoStatus::Error);
    EXPECT_EQ(r.back.seen.size(), 0u);
    EXPECT_EQ(r.rig.flush(), IoStatus::Ok);
    r.back.nodes["sectors"] = std::to_string(ScriptBack::kSectors);
    r.back.refresh();
    r.rig.hub.run();
    EXPECT_EQ(r.rig.owner.plan_changes, 1u);
    r.check_data(8);
    r.back.nodes["sectors"] = "0";
    r.back.refresh();
    r.rig.hub.run();
    EXPECT_EQ(r.rig.owner.plan_changes, 2u);
    EXPECT_EQ(r.rig.read(0, 1), IoStatus::Error);
    EXPECT_EQ(r.rig.front->state(), FrontState::Connected) << r.rig.front_state();
}

/* blkif:info, blkif:discard-enable — another session, another disk. */
TEST(FrontGeometry, EachSessionReadsAnewWhatTheDiskIs)
{
    ScriptRig r({}, {{"info", "2"}, {"feature-discard", "1"}});
    r.connect();
    for (int session = 0; session < 4; session++) {
        bool other = session % 2;
        EXPECT_EQ(r.rig.front->plan().removable, !other) << session;
        EXPECT_EQ(r.rig.front->plan().read_only, other) << session;
        EXPECT_EQ(r.rig.front->plan().discard, !other) << session;
        EXPECT_EQ(r.rig.discard(0, 8), other ? IoStatus::Error : IoStatus::Ok);
        EXPECT_EQ(r.rig.write(0, 8), other ? IoStatus::Error : IoStatus::Ok);
        r.back.nodes["info"] = other ? "2" : "4";
        r.back.nodes["feature-discard"] = other ? "1" : "0";
        r.reconnect();
    }
    EXPECT_EQ(r.back.discards, 2u);
}

TEST(FrontGeometry, ToolstackForbidsDiscardForASession)
{
    Rig rig;
    rig.connect();
    for (const char *enable : {"0", "1", "0"}) {
        rig.hub.put_node(rig.hub.config.backend_path + "/discard-enable", enable);
        EXPECT_EQ(rig.front->plan().discard, *enable == '0') << "not before the next one";
        rig.front->reconnect();
        rig.hub.run();
        ASSERT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
        EXPECT_EQ(rig.discard(0, 8), *enable == '1' ? IoStatus::Ok : IoStatus::Unsupported);
    }
}

/* blkif:discard-granularity, blkif:discard-alignment — advice that cannot be
 * given is left out, and the disk is used. */
TEST(FrontDiscard, DiskDoesWithoutADiscardThatFitsNoSector)
{
    for (auto [node, value] : {std::pair{"discard-granularity", "700"},
                               {"discard-granularity", "x"},
                               {"discard-alignment", "100"},
                               {"discard-alignment", "4096"}}) {
        SCOPED_TRACE(testing::Message() << node << '=' << value);
        ScriptNodes offer{{"feature-discard", "1"},
                          {"discard-secure", "1"},
                          {"discard-granularity", "4096"},
                          {"discard-alignment", "0"}};
        offer[node] = value;
        ScriptRig r({}, offer);
        ASSERT_NO_FATAL_FAILURE(r.connect());
        const Plan &plan = r.rig.front->plan();
        ASSERT_TRUE(plan.no_discard);
        EXPECT_EQ(plan.no_discard->clause, std::string("blkif:") + node);
        EXPECT_EQ(r.rig.discard(0, 8), IoStatus::Unsupported);
        EXPECT_EQ(r.rig.finish(r.rig.request(IoKind::SecureDiscard, 0, 8)), IoStatus::Unsupported);
        r.check_data(8);
        ASSERT_EQ(r.rig.owner.logs.size(), 1u) << "it is said, once";
        EXPECT_NE(r.rig.owner.logs[0].find(node), std::string::npos) << r.rig.owner.logs[0];
        EXPECT_EQ(r.rig.front->counters().violations, 1u);
        r.back.refresh();
        r.rig.hub.run();
        EXPECT_EQ(r.rig.owner.logs.size(), 1u) << "nothing new";
        r.back.nodes[node] = "0";
        r.back.nodes["discard-granularity"] = "4096";
        r.reconnect();
        EXPECT_FALSE(plan.no_discard);
        EXPECT_EQ(r.rig.discard(0, 8), IoStatus::Ok);
    }
}

/* ... also where the node goes bad on a disk that is in use. */
TEST(FrontDiscard, GranularityThatTurnsBadEndsDiscardAlone)
{
    ScriptRig r({}, {{"feature-discard", "1"}});
    r.connect();
    EXPECT_EQ(r.rig.discard(0, 8), IoStatus::Ok);
    for (int i = 0; i < 100; i++) {
        r.back.nodes["discard-granularity"] = i % 2 ? "512" : "0";
        r.back.refresh();
        r.rig.hub.run();
        EXPECT_EQ(r.rig.front->state(), FrontState::Connected) << r.rig.front_state();
        EXPECT_EQ(r.rig.discard(0, 8), IoStatus::Unsupported);
    }
    EXPECT_EQ(r.rig.owner.logs.size(), 5u) << "and the log is not flooded";
}

} // namespace
