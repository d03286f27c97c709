/* SPDX-License-Identifier: MIT */
/*
 * BlockFront against a backend that lies: responses, indices, events, grants,
 * nodes, silence. Serves ring.h, blkif.h struct blkif_response, XSA-155 and
 * XSA-396. A hostile case is a row of a table or one screen; after each, the
 * owner has every request back exactly once, nothing is leaked, and a
 * reconnect to an honest backend works.
 */
#include "support/rig.h"

namespace
{

using namespace pvblk;

/* ---- responses that break the connection ------------------------------- */

/* Two reads are in flight, IDs `a` and `b`; the backend holds both. */
struct Held2 {
    Rig &rig;
    RequestId a, b;
    RingIndex prod() const { return rig.back->raw_ring().load(SringField::RspProd); }
    void answer(RequestId id, Op op = Op::Read, int16_t status = 0) const
    {
        rig.back->push_raw({id, op, status});
    }
    void producer(uint32_t jump) const
    {
        rig.back->raw_ring().store(SringField::RspProd, prod() + jump);
        rig.back->kick();
    }
};

struct HostileCase {
    const char *name;
    const char *clause;
    void (*attack)(const Held2 &);
};

void PrintTo(const HostileCase &c, std::ostream *os)
{
    *os << c.name;
}

constexpr HostileCase kCases[] = {
    {"id_of_a_free_slot", "ring:rsp-id",
     [](const Held2 &h) { h.answer(RequestId(h.a.value | 31)); }},
    {"id_one_past_the_slots", "ring:rsp-id",
     [](const Held2 &h) { h.answer(RequestId((h.a.value & ~0xffffull) | 32)); }},
    {"id_all_ones", "ring:rsp-id", [](const Held2 &h) { h.answer(RequestId(UINT64_MAX)); }},
    {"id_zero", "ring:rsp-id", [](const Held2 &h) { h.answer(RequestId(0)); }},
    {"id_of_an_older_use", "ring:rsp-id",
     [](const Held2 &h) { h.answer(RequestId(h.a.value - 0x10000)); }},
    {"id_of_a_later_use", "ring:rsp-id",
     [](const Held2 &h) { h.answer(RequestId(h.a.value + 0x10000)); }},
    {"id_with_high_bits", "ring:rsp-id",
     [](const Held2 &h) { h.answer(RequestId(h.a.value | 1ull << 63)); }},
    {"id_answered_twice", "ring:rsp-id",
     [](const Held2 &h) {
         h.answer(h.a);
         h.answer(h.a);
     }},
    {"id_answered_twice_later", "ring:rsp-id",
     [](const Held2 &h) {
         h.answer(h.a);
         h.rig.hub.run();
         h.answer(h.a);
     }},
    {"operation_of_another_kind", "ring:rsp-op", [](const Held2 &h) { h.answer(h.a, Op::Write); }},
    {"operation_unknown", "ring:rsp-op",
     [](const Held2 &h) { h.answer(h.a, static_cast<Op>(200)); }},
    {"operation_indirect", "ring:rsp-op", [](const Held2 &h) { h.answer(h.a, Op::Indirect); }},
    {"producer_one_too_many", "ring:rsp-prod", [](const Held2 &h) { h.producer(3); }},
    {"producer_a_ring_and_one", "ring:rsp-prod", [](const Held2 &h) { h.producer(33); }},
    {"producer_half_way_round", "ring:rsp-prod", [](const Held2 &h) { h.producer(1u << 31); }},
    {"producer_backwards", "ring:rsp-prod", [](const Held2 &h) { h.producer(UINT32_MAX); }},
    {"producer_without_a_response", "ring:rsp-id", [](const Held2 &h) { h.producer(1); }},
};

class FrontHostile : public testing::TestWithParam<HostileCase>
{
};
INSTANTIATE_TEST_SUITE_P(Response, FrontHostile, testing::ValuesIn(kCases),
                         [](const auto &i) { return i.param.name; });

TEST_P(FrontHostile, LieBreaksAndReconnectMends)
{
    Rig rig;
    rig.connect();
    rig.read(0, 8); /* so that there is an older use of a slot */
    rig.back->knobs().hold = true;
    size_t a = rig.submit(IoKind::Read, 0, 8);
    size_t b = rig.submit(IoKind::Read, 8, 8, 4096);
    rig.pump();
    ASSERT_EQ(rig.back->held(), 2u);
    Held2 h{rig, rig.back->held_request(0).id, rig.back->held_request(1).id};
    GetParam().attack(h);
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
    EXPECT_STREQ(rig.front->broken().clause, GetParam().clause);
    EXPECT_TRUE(rig.result(a));
    EXPECT_EQ(rig.result(b), IoStatus::Error);
    EXPECT_EQ(rig.front->counters().violations, 1u);
    EXPECT_EQ(rig.owner.logs.size(), 1u);
    EXPECT_EQ(rig.front->accepted(), 0u);
    EXPECT_FALSE(rig.hub.events.is_open());

    rig.back->knobs().hold = false;
    rig.front->reconnect();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    rig.fill_disk(0, 8, 4);
    EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
    EXPECT_TRUE(rig.guest_is(0, 4096, 4));
    EXPECT_EQ(rig.front->quarantined(), 0u);
}

/* ring:rsp-prod — before there was any request. */
TEST(FrontHostileIdle, ResponseBeforeAnyRequestBreaks)
{
    Rig rig;
    rig.connect();
    rig.back->push_raw({RequestId(0), Op::Read, 0});
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
    EXPECT_STREQ(rig.front->broken().clause, "ring:rsp-prod");
}

/* blkif:status — what blkif.h does not define is an error of that request,
 * and of it alone. */
TEST(FrontHostileIdle, UnknownStatusIsAnError)
{
    Rig rig;
    rig.connect();
    uint64_t nth = 0;
    for (int status : {1, 2, -3, -5, 255, 256, 32767, -32768}) {
        nth++;
        rig.obey("at respond: response/status " + std::to_string(status));
        EXPECT_EQ(rig.read(0, 8), IoStatus::Error) << status;
    }
    EXPECT_EQ(rig.front->state(), FrontState::Connected);
    EXPECT_EQ(rig.back->counters().responses, nth);
}

/* blkif:id — the slot is the same, its generation is another one. */
TEST(FrontHostileIdle, AnswerToAnEarlierRequestBreaks)
{
    Rig rig;
    rig.connect();
    rig.back->knobs().hold = true;
    size_t first = rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    WireRequest old = rig.back->held_request(0);
    rig.back->complete(0);
    rig.hub.run();
    ASSERT_EQ(rig.result(first), IoStatus::Ok);
    size_t second = rig.submit(IoKind::Read, 8, 8); /* in the same slot */
    rig.pump();
    EXPECT_NE(rig.back->held_request(0).id, old.id);
    rig.back->push_raw({old.id, Op::Read, 0});
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Broken) << "it was taken for the second one's";
    EXPECT_STREQ(rig.front->broken().clause, "ring:rsp-id");
    EXPECT_EQ(rig.result(second), IoStatus::Error);
}

/* Two responses in one event, the second of them a lie: the first counts. */
TEST(FrontHostileIdle, GoodAnswerBeforeALieCounts)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    size_t a = rig.submit(IoKind::Read, 0, 8);
    size_t b = rig.submit(IoKind::Read, 8, 8, 4096);
    rig.pump();
    rig.back->push_raw({rig.back->held_request(0).id, Op::Read, 0});
    rig.back->push_raw({RequestId(99), Op::Read, 0});
    rig.hub.run();
    EXPECT_EQ(rig.result(a), IoStatus::Ok);
    EXPECT_EQ(rig.result(b), IoStatus::Error);
}

/* ---- shared memory that changes under us (XSA-155) ---------------------- */

/* ring:private — request slots, our producer and our event index are ours to
 * write, and never read back. */
TEST(FrontHostileMemory, FrontReadsNothingOfItsOwnBack)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    rig.fill_disk(0, 8, 1);
    rig.fill_disk(100, 8, 2);
    size_t id = rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    SharedRing &ring = rig.back->raw_ring();
    WireRequest evil = rig.back->held_request(0);
    evil.sector = 100;
    evil.op = Op::Write;
    evil.seg[0] = {GrantRef(9), 0, 0};
    for (uint32_t i = 0; i < 32; i++)
        ring.put_request(RingIndex(i), evil);
    ring.store(SringField::ReqProd, RingIndex(12345));
    ring.store(SringField::RspEvent, RingIndex(54321));
    rig.back->complete(0);
    rig.hub.run();
    rig.front->event_received(0);
    rig.hub.run();
    EXPECT_EQ(rig.result(id), IoStatus::Ok);
    EXPECT_TRUE(rig.guest_is(0, 4096, 1));
    EXPECT_EQ(rig.front->state(), FrontState::Connected);
}

/* ring:req-event — an event index anywhere costs at most an event. */
TEST(FrontHostileMemory, AnyEventIndexCostsAtMostAnEvent)
{
    for (uint32_t event : {0u, 1u, 2u, 33u, 1u << 31, UINT32_MAX}) {
        Rig rig;
        rig.connect();
        rig.back->raw_ring().store(SringField::ReqEvent, RingIndex(event));
        size_t id = rig.submit(IoKind::Read, 0, 8);
        rig.pump();
        rig.hub.back.event(0); /* as if by a later event */
        rig.hub.run();
        EXPECT_EQ(rig.result(id), IoStatus::Ok) << event;
    }
}

/* ---- events -------------------------------------------------------------- */

/* evtchn:spurious, evtchn:storm */
TEST(FrontHostileEvents, SpuriousEventsDoNothing)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    size_t id = rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    for (int i = 0; i < 10'000; i++)
        rig.front->event_received(0);
    EXPECT_FALSE(rig.result(id));
    EXPECT_EQ(rig.owner.logs.size(), 0u);
    rig.back->complete(0);
    rig.hub.run();
    EXPECT_EQ(rig.result(id), IoStatus::Ok);
}

TEST(FrontHostileEvents, EventOrWatchAfterTheEndDoesNothing)
{
    Rig rig;
    rig.connect();
    rig.front->stop();
    rig.hub.run();
    rig.front->event_received(0);
    rig.front->store_changed();
    rig.front->deadline_passed();
    rig.front->pump();
    rig.front->cancel_all();
    EXPECT_EQ(rig.front->state(), FrontState::Stopped);
}

/* evtchn:lost — a response without an event is found by the next look. */
TEST(FrontHostileEvents, ResponseWithoutAnEventIsFound)
{
    Rig rig;
    rig.connect();
    rig.obey("at notify always: notify/lost");
    size_t id = rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    EXPECT_FALSE(rig.result(id));
    EXPECT_TRUE(rig.front->pump());
    EXPECT_EQ(rig.result(id), IoStatus::Ok);
}

/* ---- silence ------------------------------------------------------------- */

/* ring:answer */
TEST(FrontHostileSilence, UnansweredRequestTimesOut)
{
    RigSetup s;
    s.front.request_timeout_ns = sec(5);
    Rig rig(s);
    rig.connect();
    EXPECT_EQ(rig.hub.clock.deadline, -1) << "nothing to wait for";
    rig.obey("at take nth=1: response/lost");
    EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
    size_t id = rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    rig.hub.advance(sec(4));
    EXPECT_EQ(rig.read(8, 8, 8192), IoStatus::Ok) << "another answer is no answer to it";
    EXPECT_FALSE(rig.result(id));
    rig.hub.advance(sec(1));
    EXPECT_EQ(rig.result(id), IoStatus::Error);
    EXPECT_STREQ(rig.front->broken().clause, "ring:answer");
    EXPECT_EQ(rig.hub.grants.in_use(), 1u) << "the ring that it maps, and no data";
}

/* By default a slow disk may be slow. */
TEST(FrontHostileSilence, SlowDiskMayBeSlow)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    size_t id = rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    rig.hub.advance(sec(100'000));
    EXPECT_EQ(rig.front->state(), FrontState::Connected);
    rig.back->complete(0);
    rig.hub.run();
    EXPECT_EQ(rig.result(id), IoStatus::Ok);
}

/* ---- grants -------------------------------------------------------------- */

/* grant:end-access (XSA-396) — answered, and still mapped. */
TEST(FrontHostileGrants, PageThatThePeerMapsIsQuarantined)
{
    for (bool bounce : {false, true}) {
        RigSetup s;
        s.front.always_bounce = bounce;
        s.knobs.keep_mapped = true;
        Rig rig(s);
        rig.connect();
        EXPECT_EQ(rig.read(0, 24), IoStatus::Error) << "nobody knows what will be in it";
        EXPECT_STREQ(rig.front->broken().clause, "grant:end-access");
        EXPECT_EQ(rig.front->quarantined(), 3u + 1u) << "three pages; the ring, not yet let go";
        rig.hub.run();
        rig.back->knobs().keep_mapped = false;
        rig.front->reconnect();
        rig.hub.run();
        EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
        EXPECT_EQ(rig.write(0, 2048), IoStatus::Ok);
        EXPECT_EQ(rig.front->quarantined(), 3u);
        rig.back->let_go();
        EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
        EXPECT_EQ(rig.front->quarantined(), 0u);
    }
}

/* grant:end-access — a backend that goes and keeps a request's page can still
 * write there when the next one has answered it: never okay. */
TEST(FrontHostileGrants, RequeuedRequestFailsWhileItsPageIsMapped)
{
    RigSetup s;
    s.knobs.hold = s.knobs.hold_mapped = s.knobs.keep_mapped = true;
    Rig rig(s);
    rig.connect();
    size_t kept = rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    ASSERT_EQ(rig.back->held(), 1u);
    rig.back->vanish();
    rig.hub.run();
    ASSERT_EQ(rig.front->state(), FrontState::Lost);
    size_t other = rig.submit(IoKind::Read, 8, 8, 8192);
    rig.back->knobs() = {};
    (void)rig.back->start();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    EXPECT_EQ(rig.result(kept), IoStatus::Error);
    EXPECT_EQ(rig.result(other), IoStatus::Ok);
    EXPECT_EQ(rig.front->counters().violations, 1u);
    rig.back->let_go();
}

/* ring:answer — what we give up ourselves is one violation, not two. */
TEST(FrontHostileGrants, RequestGivenUpIsOneViolation)
{
    RigSetup s;
    s.front.request_timeout_ns = sec(1);
    s.knobs.hold = s.knobs.hold_mapped = true;
    Rig rig(s);
    rig.connect();
    size_t id = rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    rig.hub.advance(sec(2));
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
    EXPECT_EQ(rig.result(id), IoStatus::Error);
    EXPECT_EQ(rig.front->counters().violations, 1u);
}

/* ... the ring page too. */
TEST(FrontHostileGrants, MappedRingPageIsQuarantined)
{
    RigSetup s;
    s.knobs.keep_ring = true;
    Rig rig(s);
    rig.connect();
    for (int i = 0; i < 20; i++) {
        rig.front->reconnect();
        rig.hub.run();
        ASSERT_EQ(rig.front->state(), FrontState::Connected) << i;
    }
    EXPECT_EQ(rig.front->quarantined(), 20u);
    EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
    for (int i = 0; i < 60; i++) {
        rig.front->reconnect();
        rig.hub.run();
    }
    EXPECT_EQ(rig.front->state(), FrontState::Broken) << "72 pages are gone";
    EXPECT_STREQ(rig.front->broken().clause, "grant:table");
    rig.back->let_go();
    rig.front->reconnect();
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
}

/* grant:starved — no page left to bounce through, and none will come back:
 * that is an error, not a wait. With requests that wait to be sent again, and
 * with new ones. */
TEST(FrontHostileGrants, StarvedBouncePoolIsAnError)
{
    for (bool cancel : {false, true}) {
        RigSetup s;
        s.front.always_bounce = true;
        s.knobs.hold = s.knobs.hold_mapped = s.knobs.keep_mapped = true;
        Rig rig(s);
        rig.connect();
        for (int i = 0; i < 8; i++)
            rig.submit(IoKind::Read, 0, 88);
        rig.pump();
        ASSERT_EQ(rig.hub.grants.mapped(), 72u) << "all private pages, with the ring's";
        if (cancel)
            rig.front->cancel_all();
        rig.back->vanish(); /* nobody told its mappings */
        rig.hub.run();
        EXPECT_EQ(rig.front->quarantined(), 71u);
        size_t id = rig.submit(IoKind::Read, 0, 88);
        rig.back->knobs() = {};
        (void)rig.back->start();
        rig.hub.run();
        EXPECT_EQ(rig.result(0), cancel ? IoStatus::Cancelled : IoStatus::Error);
        EXPECT_EQ(rig.result(id), IoStatus::Error) << rig.front_state();
        EXPECT_STREQ(rig.front->broken().clause, "grant:end-access");
        rig.back->let_go();
        rig.front->reconnect();
        rig.hub.run();
        EXPECT_EQ(rig.read(0, 2048), IoStatus::Ok);
    }
}

/* ... but what the peer let go in time is used, wherever it lies. */
TEST(FrontHostileGrants, PagesThatCameBackAreUsed)
{
    RigSetup s;
    s.front.always_bounce = true;
    s.knobs.hold = s.knobs.hold_mapped = s.knobs.keep_mapped = true;
    Rig rig(s);
    rig.connect();
    for (int i = 0; i < 8; i++)
        rig.submit(IoKind::Read, 0, 88);
    rig.pump();
    rig.front->cancel_all();
    rig.back->vanish();
    rig.hub.run();
    size_t id = rig.submit(IoKind::Read, 0, 2048);
    rig.back->let_go();
    rig.back->knobs() = {};
    (void)rig.back->start();
    rig.hub.run();
    EXPECT_EQ(rig.result(id), IoStatus::Ok) << rig.front_state();
    EXPECT_EQ(rig.front->quarantined(), 0u);
}

/* ---- cancel -------------------------------------------------------------- */

/* front:cancel — the memory is the owner's again when cancel_all() returns;
 * what the backend still does with it is denied. */
TEST(FrontHostileCancel, CancelEndsAccessToTheMemory)
{
    Rig rig;
    rig.oracle_matters = false; /* the held requests find their grants gone */
    rig.back->knobs().hold = true;
    rig.connect();
    std::vector<size_t> ids;
    for (uint32_t i = 0; i < 40; i++)
        ids.push_back(rig.submit(IoKind::Read, i * 8, 8, i * 4096));
    rig.pump();
    rig.front->cancel_all();
    for (size_t id : ids)
        EXPECT_EQ(rig.result(id), IoStatus::Cancelled);
    EXPECT_EQ(rig.hub.grants.in_use(), 1u) << "the ring alone";
    EXPECT_EQ(rig.front->accepted(), 0u);

    rig.fill_guest(0, 40 * 4096, 50);
    rig.fill_disk(0, 320, 60);
    rig.back->complete_all();
    rig.hub.run();
    EXPECT_TRUE(rig.guest_is(0, 40 * 4096, 50)) << "an old read landed";
    EXPECT_EQ(rig.hub.oracle.denied_maps, 32u);
    EXPECT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    EXPECT_EQ(rig.front->in_flight(), 0u);
    rig.expect_safe();
}

/* front:orphans — new requests wait until the old ones were answered. */
TEST(FrontHostileCancel, NewWriteWaitsForACancelledOne)
{
    RigSetup s;
    s.front.always_bounce = true; /* so that the old write can still land */
    Rig rig(s);
    rig.back->knobs().hold = rig.back->knobs().hold_mapped = true;
    rig.connect();
    rig.fill_guest(0, 4096, 1);
    rig.submit(IoKind::Write, 0, 8);
    rig.pump();
    rig.front->cancel_all();
    rig.fill_guest(0, 4096, 2);
    size_t id = rig.submit(IoKind::Write, 0, 8);
    rig.pump();
    EXPECT_EQ(rig.back->held(), 1u) << "the new one overtakes";
    rig.back->knobs().hold = false;
    rig.back->complete_all();
    rig.hub.run();
    EXPECT_EQ(rig.result(id), IoStatus::Ok);
    EXPECT_TRUE(rig.disk_is(0, 8, 2));
}

/* ... unless the connection they were sent on is gone. */
TEST(FrontHostileCancel, OrphansEndWithTheirConnection)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    rig.submit(IoKind::Write, 0, 8);
    rig.pump();
    rig.front->cancel_all();
    rig.fill_guest(0, 4096, 2);
    size_t id = rig.submit(IoKind::Write, 0, 8);
    rig.pump();
    rig.back->vanish();
    rig.hub.run();
    rig.new_back();
    (void)rig.back->start();
    rig.hub.run();
    EXPECT_EQ(rig.result(id), IoStatus::Ok);
    EXPECT_EQ(rig.back->counters().requests, 1u) << "the cancelled one is not sent again";
}

/* An orphan that is never answered: with a timeout it breaks, not hangs. */
TEST(FrontHostileCancel, UnansweredOrphanTimesOut)
{
    RigSetup s;
    s.front.request_timeout_ns = sec(5);
    Rig rig(s);
    rig.back->knobs().hold = true;
    rig.connect();
    rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    rig.front->cancel_all();
    size_t id = rig.submit(IoKind::Read, 0, 8);
    rig.hub.advance(sec(6));
    EXPECT_EQ(rig.result(id), IoStatus::Error);
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
}

/* grant:end-access — mapped while it is cancelled. */
TEST(FrontHostileCancel, CancelQuarantinesWhatIsMapped)
{
    Rig rig;
    rig.back->knobs().hold = rig.back->knobs().hold_mapped = true;
    rig.connect();
    rig.submit(IoKind::Read, 0, 88);
    rig.pump();
    rig.front->cancel_all();
    EXPECT_EQ(rig.front->quarantined(), 11u);
    rig.back->knobs().hold = false;
    rig.back->complete_all();
    rig.hub.run();
    EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
    EXPECT_EQ(rig.front->quarantined(), 0u);
}

/* front:cancel-submit — submit() from inside completed() of a cancel. */
TEST(FrontHostileCancel, RequestMadeDuringCancelIsDone)
{
    Rig rig;
    rig.oracle_matters = false;
    rig.back->knobs().hold = true;
    rig.connect();
    for (uint32_t i = 0; i < 3; i++)
        rig.submit(IoKind::Read, i, 1);
    rig.pump();
    std::vector<size_t> fresh;
    rig.owner.on_completed = [&] {
        if (fresh.size() < 6)
            for (int i = 0; i < 2; i++)
                fresh.push_back(rig.submit(IoKind::Read, 8, 1, 4096));
    };
    rig.front->cancel_all();
    EXPECT_EQ(fresh.size(), 6u);
    for (size_t id : fresh)
        EXPECT_FALSE(rig.result(id)) << "cancelled before it was sent";
    EXPECT_EQ(rig.front->accepted(), 6u);
    rig.back->knobs().hold = false;
    rig.back->complete_all();
    rig.hub.run();
    for (size_t id : fresh)
        EXPECT_EQ(rig.result(id), IoStatus::Ok);
    EXPECT_EQ(rig.front->accepted(), 0u);
}

TEST(FrontHostileCancel, CancelBeforeConnectIsComplete)
{
    Rig rig;
    (void)rig.back->start();
    ASSERT_TRUE(rig.new_front());
    size_t id = rig.submit(IoKind::Read, 0, 8);
    rig.front->cancel_all();
    EXPECT_EQ(rig.result(id), IoStatus::Cancelled);
    rig.front->start();
    rig.hub.run();
    EXPECT_EQ(rig.back->counters().requests, 0u);
    EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
}

/* A lie while orphans are out. */
TEST(FrontHostileCancel, BreakWithOrphansCompletesOnce)
{
    Rig rig;
    rig.back->knobs().hold = true;
    rig.connect();
    rig.submit(IoKind::Read, 0, 8);
    rig.pump();
    rig.front->cancel_all();
    size_t id = rig.submit(IoKind::Read, 8, 8);
    rig.back->push_raw({RequestId(77), Op::Read, 0});
    rig.hub.run();
    EXPECT_EQ(rig.front->state(), FrontState::Broken);
    EXPECT_EQ(rig.result(id), IoStatus::Error);
    rig.back->knobs().hold = false;
    rig.front->reconnect();
    rig.hub.run();
    EXPECT_EQ(rig.read(0, 8), IoStatus::Ok);
}

/* ---- nodes --------------------------------------------------------------- */

/* Each node gone bad between create() and Connected, and on a resize. */
TEST(FrontHostileNodes, NodeThatTurnsBadBreaks)
{
    struct {
        const char *name, *value, *clause;
    } const cases[] = {
        {"sectors", "x", "blkif:sectors"},
        {"sectors", "18446744073709551615", "blkif:sectors"},
        {"sectors", "36028797018963968", "blkif:sectors"},
        {"sector-size", "0", "blkif:sector-size"},
        {"sector-size", "256", "blkif:sector-size"},
        {"mode", "rw", "blkif:mode"},
        {"feature-discard", "2", "blkif:feature-discard"},
    };
    for (const auto &c : cases)
        for (bool late : {false, true}) {
            SCOPED_TRACE(testing::Message() << c.name << '=' << c.value << (late ? ", late" : ""));
            Rig rig;
            (void)rig.back->start();
            ASSERT_TRUE(rig.new_front());
            if (late) {
                rig.front->start();
                rig.hub.run();
            }
            rig.obey(std::string("at publish-node name=") + c.name +
                     " always: store/node-value \"" + c.value + "\"");
            rig.back->resized();
            if (!late)
                rig.front->start();
            rig.hub.run();
            EXPECT_EQ(rig.front->state(), FrontState::Broken);
            EXPECT_STREQ(rig.front->broken().clause, c.clause);
        }
}

/* ---- logs ---------------------------------------------------------------- */

/* front:log — five lines in ten seconds, however often it errs; also while
 * the clock has not started to tick. */
TEST(FrontHostileLog, PeerCannotFloodTheLog)
{
    for (int64_t start : {int64_t{0}, sec(1000)}) {
        Rig rig;
        rig.hub.clock.now = start;
        rig.connect();
        auto err = [&] {
            rig.back->push_raw({RequestId(1), Op::Read, 0});
            rig.hub.run();
            ASSERT_EQ(rig.front->state(), FrontState::Broken);
            rig.front->reconnect();
            rig.hub.run();
            ASSERT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
        };
        for (int i = 0; i < 100; i++)
            err();
        EXPECT_EQ(rig.owner.logs.size(), 5u) << "at " << start;
        rig.hub.advance(sec(11));
        err();
        EXPECT_EQ(rig.owner.logs.size(), 6u) << "silent for good, at " << start;
        EXPECT_NE(rig.owner.logs[0].find("ring:rsp-prod"), std::string::npos);
        EXPECT_NE(rig.owner.logs[0].find("51712"), std::string::npos) << "which device?";
    }
}

} // namespace
