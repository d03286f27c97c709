/* SPDX-License-Identifier: MIT */
/* Cases: the ring's indices and slots, and what a frontend may do to them. */
#include "cases/batch.h"
#include "cases/cases.h"

#include <algorithm>
#include <cstring>

namespace pvblk::conformance
{

namespace
{

using enum SringField;

/* ---- rings that keep the rules ------------------------------------------------ */

/* Batches of three quarters of a ring: some of them cross its end. */
void wraps_many_times(Bench &b)
{
    for (uint32_t q = 0; q < b.front.queues(); q++)
        for (uint32_t i = 0; i < 4; i++)
            read_batch(b, b.front.size(q) * 3 / 4, q);
}

void full_ring(Bench &b)
{
    for (uint32_t q = 0; q < b.front.queues(); q++)
        read_batch(b, b.front.size(q), q);
}

void full_ring_in_flight(Bench &b)
{
    b.domain.hold();
    auto reads = stage_reads(b, b.front.size());
    push(b);
    rest(b);
    b.domain.release();
    expect_reads(b, reads);
}

/* Connects with rings that both ends begin at this index. */
bool begin_at(Bench &b, RingIndex at)
{
    return b.make_rings(b.shape(), at) && b.finish_connect();
}

void begins_at_1000(Bench &b)
{
    if (begin_at(b, RingIndex(1000)))
        read_batch(b, b.front.size());
}

void wraps_at_2_32(Bench &b)
{
    if (!begin_at(b, RingIndex(uint32_t(-5))))
        return;
    for (uint32_t i = 0; i < 3; i++)
        read_batch(b, 4);
}

void requests_before_connect(Bench &b)
{
    if (!b.make_rings())
        return;
    auto reads = stage_reads(b, 3);
    (void)b.front.publish();
    if (b.finish_connect())
        expect_reads(b, reads);
}

void header_is_kept(Bench &b)
{
    if (!b.make_rings())
        return;
    b.front.index(RspEvent, RingIndex(77));
    if (!b.finish_connect())
        return;
    RingIndex event = b.front.index(RspEvent), prod = b.front.index(ReqProd);
    b.expect(event == RingIndex(77) && prod == RingIndex(0),
             "the backend leaves req_prod and rsp_event as the frontend made them",
             "rsp_event = " + std::to_string(event.value) +
                 ", req_prod = " + std::to_string(prod.value));
}

void each_size(Bench &b)
{
    for (uint32_t order = 0; order <= b.offer().order; order++) {
        Shape shape = b.shape();
        shape.pages = 1u << order;
        if (!b.connect(shape))
            return;
        read_batch(b, b.front.size());
        read_batch(b, 2);
        b.saw(std::to_string(b.front.size()) + " entries");
        if (order < b.offer().order)
            b.expect(b.close() && b.begin(), "the backend closes and comes back", "it does not");
    }
}

/* Of its own slot the backend writes a response. Nothing else is its own. */
void other_slots_are_kept(Bench &b)
{
    /* The second slot is for settle(). */
    uint32_t from = kSringHeader + 2 * wire_layout(b.front.abi()).entry_size;
    std::memset(b.front.memory() + from, 0x5c, kPageSize - from);
    b.read(0);
    b.settle();
    const std::byte *begin = b.front.memory(), *end = begin + kPageSize;
    const std::byte *other =
        std::find_if(begin + from, end, [](std::byte x) { return x != std::byte{0x5c}; });
    b.expect(other == end, "a response changes its own slot alone",
             "byte " + std::to_string(other - begin) + " of the ring changed");
}

/* ---- answers -------------------------------------------------------------------- */

/* Good and bad requests of several kinds; their order is free. */
void answered_exactly_once(Bench &b)
{
    WireRequest write = b.request(Op::Write, 64, 2);
    uint32_t pattern = b.fill(write);
    b.may_have_changed(64, 16);
    WireRequest beyond = b.request(Op::Read, b.offer().sectors, 1, 2);
    WireRequest unknown = b.request(Op(200), 0, 1, 3);
    WireRequest empty = b.request(Op::Read, 0, 0);
    WireRequest read = b.request(Op::Read, 0, 1, 4);
    for (const WireRequest &r : {write, beyond, unknown, empty, read})
        b.front.stage(r);
    push(b);
    b.expect(b.answer(read), {{Outcome::Okay, "blkif:op"}});
    b.expect(b.answer(write), {{Outcome::Okay, "blkif:op"}});
    b.written(write, pattern);
    for (const WireRequest &r : {beyond, unknown, empty})
        b.expect(b.answer(r).outcome != Outcome::Nothing, "a refused request has its answer",
                 "none");
    b.settle();
    b.expect(all_answered(b), "there are as many answers as requests",
             "rsp_prod = " + std::to_string(b.front.index(RspProd).value));
}

/* The number of answers on the first ring, which began at 0, when the backend has
 * closed. It never shrinks, nor passes `most`. */
void expect_answers(Bench &b, uint32_t most, std::initializer_list<uint32_t> legal)
{
    uint32_t seen = 0;
    bool good = true;
    auto look = [&] {
        uint32_t now = b.front.index(RspProd).value;
        good &= now >= seen && now <= most;
        seen = now;
        return !good;
    };
    (void)b.soon(look);
    b.expect(b.failed() || b.leave(), "the backend closes", "it does not");
    (void)look();
    b.front.drop_rings();
    b.expect(good, "rsp_prod only grows, up to " + std::to_string(most), std::to_string(seen));
    std::string counts;
    for (uint32_t l : legal)
        counts += (counts.empty() ? "" : " or ") + std::to_string(l);
    b.expect(std::find(legal.begin(), legal.end(), seen) != legal.end(), counts + " answers",
             std::to_string(seen));
    b.saw(std::to_string(seen) + " answers");
}

void rsp_prod_only_grows(Bench &b)
{
    for (uint32_t i = 0; i < 4; i++) {
        auto reads = stage_reads(b, 8);
        push(b);
        b.expect(b.until([&] { return all_answered(b) || b.front.overrun(); }) &&
                     !b.front.overrun(),
                 "rsp_prod comes to req_prod",
                 "rsp_prod = " + std::to_string(b.front.index(RspProd).value));
        b.expect(b.front.index(RspProd) == RingIndex(8 * (i + 1)), "each batch adds 8 answers",
                 "rsp_prod = " + std::to_string(b.front.index(RspProd).value));
        expect_reads(b, reads);
    }
}

/* ---- lies about req_prod ------------------------------------------------------------ */

void lie(Bench &b, RingIndex req_prod, uint32_t queue = 0)
{
    b.front.index(ReqProd, req_prod, queue);
    b.front.notify(queue);
}

/* The slot of the first request counts twice. A backend may stop at once, or once
 * it did what the ring can hold. */
void one_too_many(Bench &b)
{
    uint32_t size = b.front.size();
    for (uint32_t i = 0; i < size; i++)
        scribble(b, i, b.request(Op::Read, 8ull * i, 1, i));
    lie(b, RingIndex(size + 1));
    expect_answers(b, size + 1, {0, size});
}

void half_way(Bench &b)
{
    scribble_writes(b, 0, b.front.size());
    lie(b, RingIndex(1u << 31));
    expect_answers(b, b.front.size(), {0});
}

void backwards(Bench &b)
{
    read_batch(b, 3);
    scribble_writes(b, 3, b.front.size() - 3);
    lie(b, RingIndex(2));
    expect_answers(b, b.front.size(), {3});
}

void backwards_over_in_flight(Bench &b)
{
    b.domain.hold();
    (void)stage_reads(b, 4);
    push(b);
    rest(b);
    scribble_writes(b, 4, b.front.size() - 4);
    lie(b, RingIndex(3));
    rest(b);
    b.domain.release();
    expect_answers(b, b.front.size(), {0, 4});
}

void beyond_in_flight(Bench &b)
{
    uint32_t size = b.front.size();
    b.domain.hold();
    (void)stage_reads(b, size);
    push(b);
    rest(b);
    lie(b, RingIndex(size + 1));
    rest(b);
    b.domain.release();
    expect_answers(b, size + 1, {size});
}

void in_flight_are_answered(Bench &b)
{
    b.domain.hold();
    auto reads = stage_reads(b, 3);
    push(b);
    rest(b);
    lie(b, RingIndex(3 + 2 * b.front.size()));
    rest(b);
    b.domain.release();
    expect_reads(b, reads);
}

/* ---- other lies ------------------------------------------------------------------------ */

void unpublished(Bench &b)
{
    scribble_writes(b, 0, 4);
    b.front.notify();
    rest(b);
    b.expect(b.front.index(RspProd) == RingIndex(0), "no answer without a request",
             "rsp_prod = " + std::to_string(b.front.index(RspProd).value));
    read_batch(b, 4);
}

void slot_changes_in_flight(Bench &b)
{
    WireRequest write = b.request(Op::Write, 16);
    uint32_t pattern = b.fill(write);
    b.domain.hold();
    b.send(write);
    rest(b);
    scribble(b, 0, b.request(Op::Write, 128));
    b.domain.release();
    b.expect(b.answer(write), {{Outcome::Okay, "blkif:op"}});
    b.written(write, pattern);
    b.read(16);
}

void rsp_prod_is_scribbled(Bench &b)
{
    read_batch(b, 2);
    b.front.index(RspProd, RingIndex(1002));
    auto reads = stage_reads(b, 1);
    (void)b.front.publish();
    b.front.notify();
    b.expect(b.until([&] { return b.front.index(RspProd) == RingIndex(3); }),
             "the backend counts on from its own index",
             "rsp_prod = " + std::to_string(b.front.index(RspProd).value));
    expect_reads(b, reads);
}

void padding_is_scribbled(Bench &b)
{
    std::memset(b.front.memory() + 16, 0xff, kSringHeader - 16);
    read_batch(b, 4);
}

/* Puts `n` requests of the caller's bytes on the ring; each has an answer. */
template <class Fill>
void garbage(Bench &b, uint32_t n, Fill fill)
{
    (void)stage_reads(b, n);
    uint32_t entry = wire_layout(b.front.abi()).entry_size;
    for (uint32_t i = 0; i < n * entry; i++)
        b.front.memory()[kSringHeader + i] = fill();
    push(b);
    for (uint32_t i = 0; i < n; i++)
        b.expect(b.any_answer().has_value(), std::to_string(n) + " answers",
                 std::to_string(i) + " answers");
}

void all_ones(Bench &b)
{
    garbage(b, 4, [] { return std::byte{0xff}; });
}

void random_bytes(Bench &b)
{
    uint32_t x = 2463534242; /* xorshift, always the same */
    garbage(b, 24, [&x] {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        return std::byte(x >> 8);
    });
}

void ring_ref_changes_in_use(Bench &b)
{
    SharedPage other = b.own_page();
    read_batch(b, 4); /* by now the backend has seen that we are Connected */
    b.settle();
    b.front.node("ring-ref", std::to_string(other.ref.value));
    read_batch(b, 4);
}

/* ---- more than one ring ----------------------------------------------------------------- */

bool connect_queues(Bench &b, uint32_t queues)
{
    Shape shape = b.shape();
    shape.queues = queues;
    return b.connect(shape);
}

void most_queues(Bench &b)
{
    if (!connect_queues(b, b.offer().queues))
        return;
    for (uint32_t q = b.front.queues(); q-- > 0;)
        read_batch(b, 4, q);
}

void answers_on_their_own_ring(Bench &b)
{
    if (!connect_queues(b, 2))
        return;
    auto first = stage_reads(b, 3, 0), second = stage_reads(b, 5, 1);
    push(b, 1);
    push(b, 0);
    expect_reads(b, second, 1);
    expect_reads(b, first, 0);
    b.settle();
    b.expect(all_answered(b, 0) && all_answered(b, 1), "each ring has as many answers as requests",
             "rsp_prod = " + std::to_string(b.front.index(RspProd, 0).value) + " and " +
                 std::to_string(b.front.index(RspProd, 1).value));
}

void lie_on_another_ring(Bench &b)
{
    if (!connect_queues(b, 2))
        return;
    lie(b, RingIndex(b.front.size(1) + 1), 1);
    (void)b.soon([&] { return b.front.index(RspProd, 1) != RingIndex(0); });
    read_batch(b, 4, 0);
}

constexpr Case kCases[] = {
    {"ring/wrap/many-times", "ring:wrap", Level::Must, Kind::Valid,
     "Batches go around the ring three times, some of them across its end.", wraps_many_times,
     kNothing, kAllAxes},
    {"ring/wrap/at-2-32", "ring:wrap", Level::Practice, Kind::Boundary,
     "Indices pass from 2^32 - 1 to 0. (The ring begins just below.)", wraps_at_2_32, kNothing,
     kAbi | kPages, Start::Waiting, After::Reconnects},
    {"ring/slot/full", "ring:slot", Level::Must, Kind::Boundary,
     "As many requests as the ring has slots are published in one step, and answered.", full_ring,
     kNothing, kAllAxes},
    {"ring/slot/full-in-flight", "ring:slot", Level::Must, Kind::Boundary,
     "As many requests as the ring has slots are in flight at a time.", full_ring_in_flight,
     kNeedsHold, kPages | kPersistent},
    {"ring/slot/others-kept", "ring:slot", Level::Must, Kind::Valid,
     "A response changes no slot but its own, and no byte behind the slots.", other_slots_are_kept},
    {"ring/size/each-order", "ring:size", Level::Must, Kind::Boundary,
     "A ring of each size on offer is filled, and goes on.", each_size, kNeedsPages, kAbi,
     Start::Waiting},
    {"ring/front-inits/index-1000", "ring:front-inits", Level::Practice, Kind::Valid,
     "A ring that begins at rsp_prod = 1000 is served from there.", begins_at_1000, kNothing,
     kPlain, Start::Waiting, After::Reconnects},
    {"ring/front-inits/request-before-connect", "ring:front-inits", Level::Practice, Kind::Liveness,
     "Requests that are published before the backend connects are answered.",
     requests_before_connect, kNothing, kPersistent, Start::Waiting},
    {"ring/front-inits/header-kept", "ring:front-inits", Level::Must, Kind::Valid,
     "A backend that connects does not initialise the ring again.", header_is_kept, kNothing,
     kPlain, Start::Waiting},
    {"ring/rsp-id/exactly-once", "ring:rsp-id", Level::Must, Kind::Valid,
     "Good and bad requests of one batch have one answer each.", answered_exactly_once, kNothing,
     kAllAxes},
    {"ring/rsp-prod/only-grows", "ring:rsp-prod", Level::Must, Kind::Valid,
     "rsp_prod never decreases, and never passes the requests.", rsp_prod_only_grows},
    {"ring/req-prod/one-too-many", "ring:req-prod", Level::Should, Kind::Boundary,
     "req_prod counts one request more than the ring has slots: no slot is served twice.",
     one_too_many, kNothing, kPlain, Start::Connected, After::Reconnects},
    {"ring/req-prod/half-way", "ring:req-prod", Level::Should, Kind::Hostile,
     "req_prod jumps by 2^31: no stale slot is taken for a request.", half_way, kNothing, kPlain,
     Start::Connected, After::Reconnects},
    {"ring/req-prod/backwards", "ring:req-prod", Level::Should, Kind::Hostile,
     "req_prod goes back behind an answered request: no stale slot is taken for a request.",
     backwards, kNothing, kPlain, Start::Connected, After::Reconnects},
    {"ring/req-prod/backwards-in-flight", "ring:req-prod", Level::Should, Kind::Hostile,
     "req_prod goes back behind a request in flight: no stale slot is taken for a request.",
     backwards_over_in_flight, kNeedsHold, kPlain, Start::Connected, After::Reconnects},
    {"ring/req-prod/beyond-in-flight", "ring:req-prod", Level::Should, Kind::Hostile,
     "All slots are in flight when req_prod counts one more: no slot is served twice.",
     beyond_in_flight, kNeedsHold, kPlain, Start::Connected, After::Reconnects},
    {"ring/req-prod/in-flight-answered", "ring:req-prod", Level::Practice, Kind::Liveness,
     "Requests in flight are answered although req_prod lies.", in_flight_are_answered, kNeedsHold,
     kPlain, Start::Connected, After::Reconnects},
    {"ring/publish/unpublished-slot", "ring:publish", Level::Must, Kind::Hostile,
     "An event comes while slots hold WRITEs beyond req_prod: none is done.", unpublished},
    {"ring/copy/slot-changed-in-flight", "ring:copy", Level::Must, Kind::Hostile,
     "The slot of a WRITE in flight changes: what was published is done and answered.",
     slot_changes_in_flight, kNeedsHold},
    {"ring/private/rsp-prod-scribbled", "ring:private", Level::Should, Kind::Hostile,
     "The frontend overwrites rsp_prod: the backend counts on from its own index.",
     rsp_prod_is_scribbled},
    {"ring/layout/padding-scribbled", "ring:layout", Level::Must, Kind::Hostile,
     "The bytes between the indices and the first slot have no meaning.", padding_is_scribbled,
     kNothing, kAbi},
    {"ring/answer/all-ones", "blkif:request", Level::Must, Kind::Hostile,
     "Requests of 0xff bytes alone have an answer each.", all_ones},
    {"ring/answer/random-bytes", "blkif:request", Level::Must, Kind::Hostile,
     "Requests of random bytes have an answer each, and change nothing.", random_bytes, kNothing,
     kAbi},
    {"ring/ring-ref/changed-in-use", "blkif:ring-ref", Level::Practice, Kind::Hostile,
     "The node ring-ref changes in a connection: the ring stays in use.", ring_ref_changes_in_use},
    {"ring/multi-queue/most", "blkif:multi-queue", Level::Must, Kind::Boundary,
     "As many rings as the backend offers are served.", most_queues, kNeedsQueues, kAbi | kPages,
     Start::Waiting},
    {"ring/multi-queue/own-ring", "blkif:multi-queue", Level::Must, Kind::Valid,
     "A request is answered on its own ring.", answers_on_their_own_ring, kNeedsQueues, kPlain,
     Start::Waiting},
    {"ring/multi-queue/lie-on-another", "blkif:multi-queue", Level::Practice, Kind::Liveness,
     "req_prod of the second ring lies: the first one goes on.", lie_on_another_ring, kNeedsQueues,
     kPlain, Start::Waiting, After::Reconnects},
};

} // namespace

std::span<const Case> ring_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
