/* SPDX-License-Identifier: MIT */
/* Cases: events, and the two fields by which each end says when it wants one. */
#include "cases/batch.h"
#include "cases/cases.h"

namespace pvblk::conformance
{

namespace
{

using enum SringField;

std::string number(const Bench &b, SringField f, uint32_t queue = 0)
{
    return std::to_string(b.front.index(f, queue).value);
}

/* ---- from the frontend: req_event --------------------------------------------- */

/* send() sends an event only if the backend asked for it. */
void one_by_one(Bench &b)
{
    for (uint32_t i = 0; i < 40; i++)
        read_batch(b, 1, i % b.front.queues());
}

/* Four requests are in flight all the time. */
void pipelined(Bench &b)
{
    std::vector<WireRequest> reads;
    for (uint32_t i = 0; i < 40 && !b.failed(); i++) {
        reads.push_back(b.request(Op::Read, 8 * (i % 8), 1, i % 8));
        b.send(reads.back());
        if (i >= 3)
            b.expect(b.answer(reads[i - 3]), {{Outcome::Okay, "blkif:op"}});
    }
    for (uint32_t i = 37; i < reads.size(); i++)
        b.expect(b.answer(reads[i]), {{Outcome::Okay, "blkif:op"}});
}

void expect_rearmed(Bench &b, uint32_t queue = 0)
{
    b.expect(b.until([&] {
        return b.front.index(ReqEvent, queue) - b.front.index(ReqProd, queue) == 1;
    }),
             "an idle backend asks for an event with the next request",
             "req_event = " + number(b, ReqEvent, queue) +
                 ", req_prod = " + number(b, ReqProd, queue));
}

void idle_backend_asks(Bench &b)
{
    for (uint32_t q = 0; q < b.front.queues(); q++)
        for (uint32_t i = 0; i < 3; i++) {
            read_batch(b, i + 1, q);
            expect_rearmed(b, q);
        }
}

void pushed_while_in_flight(Bench &b)
{
    b.domain.hold();
    auto first = stage_reads(b, 1);
    push(b);
    rest(b);
    auto second = stage_reads(b, 1);
    push(b);
    rest(b);
    b.domain.release();
    expect_reads(b, first);
    expect_reads(b, second);
}

/* The pages of the second request are mapped while the first one is in flight. A
 * backend that copies instead of mapping shows nothing until it answers. */
void begun_while_in_flight(Bench &b)
{
    b.domain.hold();
    uint32_t idle = b.domain.mapped();
    auto first = stage_reads(b, 1);
    push(b);
    rest(b);
    uint32_t before = b.domain.mapped();
    WireRequest second = b.request(Op::Read, 64, 4, 8);
    b.send(second);
    rest(b);
    uint32_t after = b.domain.mapped();
    if (before == idle)
        b.saw("copies");
    else
        b.expect(after == before + 4, "the backend begins the second request",
                 std::to_string(after - before) + " more pages are mapped");
    b.domain.release();
    expect_reads(b, first);
    b.expect(b.answer(second), {{Outcome::Okay, "blkif:op"}});
}

void one_event_for_three_publishes(Bench &b)
{
    std::vector<WireRequest> reads;
    for (uint32_t i = 0; i < 3; i++) {
        reads.push_back(b.request(Op::Read, 8 * i, 1, i));
        b.poison(reads.back());
        b.front.stage(reads.back());
        (void)b.front.publish();
    }
    b.front.notify();
    expect_reads(b, reads);
}

void event_with_each_request(Bench &b)
{
    for (uint32_t i = 0; i < 20; i++) {
        auto reads = stage_reads(b, 1);
        (void)b.front.publish();
        b.front.notify();
        expect_reads(b, reads);
    }
}

void req_event_is_scribbled(Bench &b)
{
    read_batch(b, 2);
    b.front.index(ReqEvent, RingIndex(0x8000'0000));
    auto reads = stage_reads(b, 1);
    (void)b.front.publish();
    b.front.notify();
    expect_reads(b, reads);
    expect_rearmed(b);
}

/* ---- to the frontend: rsp_event --------------------------------------------------- */

/* Waits for events alone, until there are `n` answers that nobody took. At least
 * one event has to come. */
void expect_event(Bench &b, uint32_t n, uint32_t queue = 0)
{
    RingIndex end = b.front.index(ReqProd, queue);
    uint32_t left = 0, events = 0, most = 64 + b.front.size(queue);
    do {
        if (b.failed())
            return;
        bool woken = b.woken();
        left = end - b.front.index(RspProd, queue);
        if (!woken)
            return b.expect(false, "an event comes with the answers",
                            left ? "neither comes" : "the answers come without an event");
        /* A backend may send them for ever. */
        b.expect(events++ < most, "the answers come", "events come without answers");
    } while (left > b.front.size(queue) - b.front.free(queue) - n);
}

/* Takes the answers that are there. */
void take_all(Bench &b, uint32_t queue = 0)
{
    b.expect(b.until([&] { return all_answered(b, queue); }), "each request is answered",
             "rsp_prod = " + number(b, RspProd, queue));
    while (!b.failed() && b.front.take(queue)) {
    }
}

void each_answer_has_its_event(Bench &b)
{
    for (uint32_t i = 0; i < 12 && !b.failed(); i++) {
        uint32_t q = i % b.front.queues();
        (void)b.front.rearm(q);
        (void)stage_reads(b, 1, q);
        push(b, q);
        expect_event(b, 1, q);
        b.expect(b.failed() || b.front.take(q).has_value(), "the answer is there with its event",
                 "none");
    }
}

void across_2_32(Bench &b)
{
    if (b.make_rings(b.shape(), RingIndex(uint32_t(-4))) && b.finish_connect())
        each_answer_has_its_event(b);
}

void refused_request_has_its_event(Bench &b)
{
    (void)b.front.rearm();
    b.send(b.request(Op(200), 0));
    expect_event(b, 1);
    take_all(b);
}

/* Publishes 8 requests in one step, after rsp_event was set to their n-th answer. */
void ask_for_answer(Bench &b, uint32_t n)
{
    b.front.index(RspEvent, b.front.index(RspProd) + n);
    (void)stage_reads(b, 8);
    push(b);
    expect_event(b, n);
    take_all(b);
}

void last_of_a_batch(Bench &b)
{
    ask_for_answer(b, 8);
}

void middle_of_a_batch(Bench &b)
{
    ask_for_answer(b, 4);
}

/* No event comes, although answers do. */
void expect_silence(Bench &b)
{
    b.expect(!b.woken(), "no event comes that the frontend did not ask for", "an event");
    b.expect(all_answered(b), "each request is answered", "rsp_prod = " + number(b, RspProd));
}

void none_before_it_is_due(Bench &b)
{
    b.settle(); /* an event that the connection brought may be on its way */
    b.front.index(RspEvent, b.front.index(RspProd) + 8);
    for (uint32_t i = 0; i < 7; i++)
        b.send(b.request(Op::Read, 8 * i, 1, i));
    expect_silence(b);
    b.send(b.request(Op::Read, 0, 1, 7));
    expect_event(b, 8);
    take_all(b);
}

void none_once_it_is_past(Bench &b)
{
    read_batch(b, 3);
    b.settle(); /* an event that these answers asked for may come after them */
    b.front.index(RspEvent, RingIndex(2));
    b.send(b.request(Op::Read, 0));
    expect_silence(b);
    take_all(b);
}

void far_away(Bench &b)
{
    for (uint32_t d : {2u, 33u, 1u << 31, ~0u}) {
        b.front.index(RspEvent, b.front.index(RspProd) + d);
        (void)stage_reads(b, 2);
        push(b);
        take_all(b);
    }
}

void asked_while_in_flight(Bench &b)
{
    b.front.index(RspEvent, b.front.index(RspProd) + 100);
    b.domain.hold();
    (void)stage_reads(b, 1);
    push(b);
    rest(b);
    (void)b.front.rearm();
    b.domain.release();
    expect_event(b, 1);
    take_all(b);
}

/* ---- events without news ------------------------------------------------------------ */

void events(Bench &b, uint32_t n)
{
    for (uint32_t i = 0; i < n && b.front.queues(); i++)
        b.front.notify(i % b.front.queues());
}

void expect_no_answer(Bench &b)
{
    b.settle();
    b.expect(all_answered(b), "an event without a request has no answer",
             "rsp_prod = " + number(b, RspProd) + ", req_prod = " + number(b, ReqProd));
}

void no_request(Bench &b)
{
    events(b, 3);
    expect_no_answer(b);
}

void storm(Bench &b)
{
    events(b, 500);
    (void)b.domain.wait(std::chrono::milliseconds(10));
    auto reads = stage_reads(b, 4);
    push(b);
    events(b, 500);
    expect_reads(b, reads);
    expect_no_answer(b);
}

void before_the_request(Bench &b)
{
    auto reads = stage_reads(b, 2);
    events(b, 1);
    (void)b.domain.wait(std::chrono::milliseconds(10));
    push(b);
    expect_reads(b, reads);
}

void while_in_flight(Bench &b)
{
    b.domain.hold();
    auto reads = stage_reads(b, 2);
    push(b);
    rest(b);
    for (uint32_t i = 0; i < 8; i++) {
        events(b, 1);
        (void)b.domain.wait(std::chrono::milliseconds(10));
    }
    b.domain.release();
    expect_reads(b, reads);
    expect_no_answer(b);
}

void before_connect(Bench &b)
{
    if (!b.make_rings())
        return;
    events(b, 8);
    if (b.finish_connect())
        for (uint32_t q = 0; q < b.front.queues(); q++)
            read_batch(b, 2, q);
}

/* The frontend is Closing: whatever is on the ring, the backend comes to Closed. */
void while_closing(Bench &b)
{
    b.front.state(XenbusState::Closing);
    (void)stage_reads(b, 2);
    (void)b.front.publish();
    events(b, 100);
    b.arrives(b.close(), "the backend closes");
}

void after_close(Bench &b)
{
    using S = XenbusState;
    b.front.state(S::Closing);
    (void)b.wait_for({S::Closing, S::Closed});
    b.front.state(S::Closed);
    (void)b.wait_for({S::Closed, S::InitWait});
    /* The ring may be another driver's page by now. */
    b.front.index(ReqEvent, RingIndex(0x5555));
    events(b, 8);
    (void)b.domain.wait(std::chrono::milliseconds(10));
    b.expect(b.front.index(ReqEvent) == RingIndex(0x5555), "a closed backend leaves the ring alone",
             "req_event = " + number(b, ReqEvent));
    b.arrives(b.close(), "the backend stays closed");
}

constexpr Case kCases[] = {
    {"event/req-event/one-by-one", "ring:req-event", Level::Must, Kind::Liveness,
     "40 READs, each after the answer before it, with the events that the backend asks for.",
     one_by_one, kNothing, kAllAxes},
    {"event/req-event/pipelined", "ring:final-check", Level::Must, Kind::Liveness,
     "A READ follows each answer while three more are in flight, with the events that the backend "
     "asks for.",
     pipelined, kNothing, kAllAxes},
    {"event/req-event/idle-asks", "ring:req-event", Level::Should, Kind::Valid,
     "When all is answered, req_event asks for an event with the next request.", idle_backend_asks,
     kNothing, kPages | kQueues},
    {"event/req-event/pushed-in-flight", "ring:req-event", Level::Must, Kind::Liveness,
     "A READ is published while another one is in flight, and no event was asked for: it is "
     "answered.",
     pushed_while_in_flight, kNeedsHold, kPersistent},
    {"event/req-event/begun-in-flight", "ring:final-check", Level::Practice, Kind::Liveness,
     "A READ that is published while another one is in flight begins before that one ends.",
     begun_while_in_flight, kNeedsHold | kNeedsMaps},
    {"event/req-event/three-publishes", "ring:req-event", Level::Must, Kind::Valid,
     "One event suffices for requests that were published in three steps.",
     one_event_for_three_publishes},
    {"event/req-event/always-sent", "evtchn:spurious", Level::Practice, Kind::Valid,
     "A frontend that sends an event with each request is served.", event_with_each_request,
     kNothing, kPersistent},
    {"event/req-event/scribbled", "ring:private", Level::Should, Kind::Hostile,
     "The frontend overwrites req_event: the backend sets it again.", req_event_is_scribbled},
    {"event/rsp-event/each-answer", "ring:rsp-event", Level::Must, Kind::Valid,
     "The frontend asks for an event with the next answer each time: it comes, after the answer.",
     each_answer_has_its_event, kNothing, kAllAxes},
    {"event/rsp-event/refused-request", "ring:rsp-event", Level::Must, Kind::Valid,
     "The answer of a refused request has its event, too.", refused_request_has_its_event},
    {"event/rsp-event/last-of-batch", "ring:batch", Level::Must, Kind::Boundary,
     "rsp_event names the last answer of a batch of 8: its event comes.", last_of_a_batch, kNothing,
     kPages},
    {"event/rsp-event/middle-of-batch", "ring:batch", Level::Must, Kind::Boundary,
     "rsp_event names the fourth answer of a batch of 8: its event comes.", middle_of_a_batch,
     kNothing, kPages},
    {"event/rsp-event/none-before", "ring:rsp-event", Level::Should, Kind::Boundary,
     "rsp_event names the eighth answer: seven answers bring no event, the eighth does.",
     none_before_it_is_due, kNeedsQuiet},
    {"event/rsp-event/none-past", "ring:rsp-event", Level::Should, Kind::Boundary,
     "rsp_event names an answer that came before: no event comes.", none_once_it_is_past,
     kNeedsQuiet},
    {"event/rsp-event/far-away", "ring:rsp-event", Level::Must, Kind::Hostile,
     "rsp_event is far ahead or behind: the answers come all the same.", far_away},
    {"event/rsp-event/asked-in-flight", "ring:rsp-event", Level::Must, Kind::Liveness,
     "The frontend asks for an event while its request is in flight: it comes.",
     asked_while_in_flight, kNeedsHold},
    {"event/rsp-event/across-2-32", "ring:batch", Level::Practice, Kind::Boundary,
     "Events come with the answers on both sides of index 2^32. (The ring begins just below.)",
     across_2_32, kNothing, kPlain, Start::Waiting, After::Reconnects},
    {"event/spurious/no-request", "evtchn:spurious", Level::Must, Kind::Hostile,
     "An event without a request does nothing.", no_request, kNothing, kQueues},
    {"event/spurious/before-request", "evtchn:spurious", Level::Must, Kind::Hostile,
     "An event comes before the request is published: the backend still asks for the next one.",
     before_the_request},
    {"event/spurious/in-flight", "evtchn:spurious", Level::Must, Kind::Hostile,
     "Events without news come while requests are in flight: each is answered once.",
     while_in_flight, kNeedsHold},
    {"event/spurious/before-connect", "evtchn:spurious", Level::Must, Kind::Hostile,
     "Events that are sent before the backend connects do no harm.", before_connect, kNothing,
     kQueues, Start::Waiting},
    {"event/spurious/closing", "evtchn:spurious", Level::Must, Kind::Liveness,
     "The frontend publishes requests and sends events when it is Closing: the backend closes.",
     while_closing},
    {"event/spurious/closed", "evtchn:spurious", Level::Must, Kind::Hostile,
     "Events are sent after the backend closed: it leaves the ring alone.", after_close},
    {"event/storm/thousand", "evtchn:storm", Level::Practice, Kind::Liveness,
     "A thousand events without news neither hide requests nor repeat them.", storm, kNothing,
     kQueues},
};

} // namespace

std::span<const Case> event_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
