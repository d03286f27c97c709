/* SPDX-License-Identifier: MIT */
/* Cases: the operations, the fields of a request, and what a response says. */
#include "cases/cases.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace pvblk::conformance
{

namespace
{

constexpr uint64_t kPlace = 64;   /* where cases of this area read and write */
constexpr uint64_t kLast = ~0ull; /* the largest number that fits 64 bits */

void okay(Bench &b, const WireRequest &req, const char *clause = "blkif:op")
{
    b.expect(b.ask(req), {{Outcome::Okay, clause}});
}

void refused(Bench &b, const WireRequest &req, const char *clause)
{
    b.expect(b.ask(req), {{Outcome::Error, clause}});
}

/* A WRITE of new data. The model does not learn of it: if it gets to the disk,
 * the runner sees the change. */
WireRequest bad_write(Bench &b, uint64_t sector, uint32_t segments = 1)
{
    WireRequest w = b.request(Op::Write, sector, segments);
    b.fill(w);
    return w;
}

/* ---- reads and writes ----------------------------------------------------- */

void read_after_write(Bench &b)
{
    b.write(0);
    b.read(0);
}

void largest_direct(Bench &b)
{
    b.write(kPlace, kMaxDirectSegments);
    b.read(kPlace, kMaxDirectSegments);
}

void page_stays_after_answer(Bench &b)
{
    b.write(kPlace);
    WireRequest r = b.request(Op::Read, kPlace);
    b.poison(r);
    okay(b, r);
    b.settle();
    b.compare(r);
}

void last_write_wins(Bench &b)
{
    b.write(kPlace);
    b.write(kPlace);
    b.read(kPlace);
}

void write_leaves_its_page(Bench &b)
{
    WireRequest w = b.request(Op::Write, kPlace);
    uint32_t pattern = b.fill(w);
    std::vector<std::byte> before(b.page(0), b.page(0) + kPageSize);
    okay(b, w);
    b.written(w, pattern);
    b.expect(std::equal(before.begin(), before.end(), b.page(0)), "a WRITE only reads its page",
             "the page changed");
}

/* ---- operations that do not exist ----------------------------------------- */

/* Sends an operation that does not exist, of one whole page. */
void unknown_operation(Bench &b, uint8_t op)
{
    b.expect(b.ask(b.request(Op(op), 8)), {{Outcome::NotSupported, "blkif:eopnotsupp"}});
}
void operation_4(Bench &b)
{
    unknown_operation(b, 4);
}
void operation_7(Bench &b)
{
    unknown_operation(b, 7);
}
void operation_255(Bench &b)
{
    unknown_operation(b, 255);
}

void every_unknown_operation(Bench &b)
{
    for (uint32_t op = 7; op < 256 && !b.failed(); op++)
        unknown_operation(b, static_cast<uint8_t>(op));
}

void unknown_of_none(Bench &b)
{
    b.expect(b.ask(b.request(Op(7), 8, 0)), {{Outcome::NotSupported, "blkif:eopnotsupp"}});
}

void unknown_of_255(Bench &b)
{
    b.expect(b.ask(b.request(Op(7), 8, 255)),
             {{Outcome::NotSupported, "blkif:eopnotsupp"}, {Outcome::Error, "blkif:max-segments"}});
}

void unknown_beyond_the_end(Bench &b)
{
    b.expect(b.ask(b.request(Op(7), kLast)),
             {{Outcome::NotSupported, "blkif:eopnotsupp"}, {Outcome::Error, "blkif:range"}});
}

void unknown_moves_nothing(Bench &b)
{
    for (Op op : {Op(4), Op(7), Op(128), Op(129)}) {
        WireRequest r = b.request(op, 8);
        b.fill(r);
        std::vector<std::byte> before(b.page(0), b.page(0) + kPageSize);
        (void)b.ask(r);
        b.expect(std::equal(before.begin(), before.end(), b.page(0)),
                 "an unknown operation leaves its page alone", "the page changed");
    }
}

/* ---- the number of segments ------------------------------------------------- */

void no_segments(Bench &b, Op op)
{
    b.expect(b.ask(b.request(op, 8, 0)),
             {{Outcome::Error, "blkif:max-segments"}, {Outcome::Okay, "blkif:max-segments"}});
}
void read_of_none(Bench &b)
{
    no_segments(b, Op::Read);
}
void write_of_none(Bench &b)
{
    no_segments(b, Op::Write);
}

void every_number_of_segments(Bench &b)
{
    for (uint32_t n = 1; n <= kMaxDirectSegments; n++) {
        b.write(kPlace, n);
        b.read(kPlace, n);
    }
}

void read_of_12(Bench &b)
{
    refused(b, b.request(Op::Read, 8, 12), "blkif:max-segments");
}
void read_of_255(Bench &b)
{
    refused(b, b.request(Op::Read, 8, 255), "blkif:max-segments");
}
void read_of_too_many(Bench &b)
{
    for (uint32_t n : {13, 15, 16, 17, 31, 32, 63, 64, 127, 128, 129, 254})
        refused(b, b.request(Op::Read, 8, n), "blkif:max-segments");
}
void write_of_12(Bench &b)
{
    refused(b, bad_write(b, 8, 12), "blkif:max-segments");
}
void write_of_255(Bench &b)
{
    refused(b, bad_write(b, 8, 255), "blkif:max-segments");
}

void barrier_of(Bench &b, uint32_t segments)
{
    WireRequest r = bad_write(b, 8, segments);
    r.op = Op::WriteBarrier;
    refused(b, r, "blkif:max-segments");
}
void barrier_of_12(Bench &b)
{
    barrier_of(b, 12);
}
void barrier_of_255(Bench &b)
{
    barrier_of(b, 255);
}

void flush_of_255(Bench &b)
{
    WireRequest r = bad_write(b, 8, 255);
    r.op = Op::FlushDiskcache;
    b.expect(b.ask(r), {{Outcome::Error, "blkif:max-segments"}, {Outcome::Okay, "blkif:flush"}});
}

/* ---- the ID --------------------------------------------------------------------- */

void read_with_id(Bench &b, uint64_t id)
{
    WireRequest r = b.request(Op::Read, 8);
    r.id = RequestId(id);
    okay(b, r, "ring:rsp-id");
}
void id_zero(Bench &b)
{
    read_with_id(b, 0);
}
void id_all_ones(Bench &b)
{
    read_with_id(b, kLast);
}
void id_again(Bench &b)
{
    for (int i = 0; i < 3; i++)
        read_with_id(b, 42);
}

/* IDs that differ only in the half that some frontend does not use. */
void id_halves(Bench &b)
{
    std::array<WireRequest, 4> r;
    const uint64_t ids[] = {1, 1ull << 32, 1ull << 32 | 1, 1ull << 63 | 1};
    for (size_t i = 0; i < r.size(); i++) {
        r[i] = b.request(Op::Read, 8 * i, 1, static_cast<uint32_t>(i));
        r[i].id = RequestId(ids[i]);
        b.send(r[i]);
    }
    for (const WireRequest &one : r)
        b.expect(b.answer(one), {{Outcome::Okay, "ring:rsp-id"}});
}

void id_of_a_refusal(Bench &b)
{
    WireRequest r = b.request(Op::Read, 8, 255);
    r.id = RequestId(kLast);
    refused(b, r, "ring:rsp-id");
}

void two_ids_alike(Bench &b)
{
    WireRequest r = b.request(Op::Read, 8);
    WireRequest w = b.request(Op::Write, kPlace, 1, 1);
    uint32_t pattern = b.fill(w);
    w.id = r.id;
    b.send(r);
    b.send(w);
    uint32_t reads = 0, writes = 0;
    for (int i = 0; i < 2; i++) {
        auto rsp = b.any_answer();
        bool good = rsp && rsp->id == r.id && rsp->status == 0;
        reads += good && rsp->op == Op::Read;
        writes += good && rsp->op == Op::Write;
    }
    b.expect(reads == 1 && writes == 1, "both requests of the ID are answered OKAY",
             std::to_string(reads) + " READ and " + std::to_string(writes) + " WRITE were");
    b.written(w, pattern);
}

void each_answered_once(Bench &b)
{
    std::array<WireRequest, 11> r;
    for (uint32_t i = 0; i < r.size(); i++) {
        r[i] = b.request(Op::Read, i * 8, 1, i);
        b.send(r[i]);
    }
    for (const WireRequest &one : r)
        b.expect(b.answer(one), {{Outcome::Okay, "ring:rsp-id"}});
    b.settle();
    b.expect(!b.failed() && !b.front.overrun() && !b.front.take(), "one response for each request",
             "a response more");
}

/* ---- the handle ------------------------------------------------------------------- */

void wrong_handle(Bench &b, Op op)
{
    WireRequest r = b.request(op, kPlace);
    uint32_t pattern = op == Op::Write ? b.fill(r) : 0;
    for (uint16_t handle : {0xffff, 0x8000, 1}) {
        r.id = b.front.next_id();
        r.handle = handle;
        Answer a = b.ask(r);
        b.expect(a, {{Outcome::Okay, "blkif:handle"}, {Outcome::Error, "blkif:handle"}});
        if (op == Op::Write && a.outcome == Outcome::Okay)
            b.written(r, pattern);
    }
}
void wrong_handle_of_read(Bench &b)
{
    wrong_handle(b, Op::Read);
}
void wrong_handle_of_write(Bench &b)
{
    wrong_handle(b, Op::Write);
}

void handle_of_flush(Bench &b)
{
    WireRequest r = b.request(Op::FlushDiskcache, 0, 0);
    r.handle = 0xffff;
    okay(b, r, "blkif:handle");
}

/* ---- padding --------------------------------------------------------------------------- */

/* The first slot of the ring, where the first request of a case lies. */
std::span<std::byte> first_slot(Bench &b)
{
    return {b.front.memory() + kSringHeader, wire_layout(b.front.abi()).entry_size};
}

/* Publishes a request that is staged. */
void publish(Bench &b)
{
    if (b.front.publish())
        b.front.notify();
}

/* The bytes `from` to `end` of a response's slot that no field has. They hold the
 * request's bytes or zeros, and nothing else of the backend's memory (XSA-216). */
void no_stale_bytes(Bench &b, uint32_t from, uint32_t end)
{
    const WireLayout &l = wire_layout(b.front.abi());
    WireRequest r = b.request(Op::Read, 8, kMaxDirectSegments);
    b.front.stage(r);
    auto slot = first_slot(b);
    std::vector<std::byte> before(slot.begin(), slot.end());
    publish(b);
    b.expect(b.answer(r), {{Outcome::Okay, "blkif:op"}});
    for (uint32_t i = from; i < end; i++) {
        bool field = i < l.rsp_op + 1 || i == l.rsp_status || i == l.rsp_status + 1;
        b.expect(field || slot[i] == before[i] || slot[i] == std::byte{},
                 "padding holds the request's bytes or zeros",
                 "byte " + std::to_string(i) + " of the slot is another");
    }
}
void response_padding(Bench &b)
{
    no_stale_bytes(b, 0, wire_layout(b.front.abi()).rsp_size);
}
void rest_of_the_slot(Bench &b)
{
    no_stale_bytes(b, wire_layout(b.front.abi()).rsp_size, wire_layout(b.front.abi()).entry_size);
}

void request_padding(Bench &b)
{
    WireRequest r = b.request(Op::Read, 8);
    const WireLayout &l = wire_layout(b.front.abi());
    b.poison(r);
    b.front.stage(r);
    for (uint32_t i = 4; i < l.req_id; i++)
        first_slot(b)[i] = std::byte{0xff};
    publish(b);
    b.expect(b.answer(r), {{Outcome::Okay, "blkif:request"}});
    b.compare(r);
}

/* ---- the response ----------------------------------------------------------------------- */

void operation_of_data(Bench &b)
{
    okay(b, b.request(Op::Read, kPlace), "ring:rsp-op");
    b.write(kPlace);
}

void operation_of_refusal(Bench &b)
{
    refused(b, b.request(Op::Read, kLast), "ring:rsp-op");
    refused(b, bad_write(b, kLast), "ring:rsp-op");
}

void operation_of_unknown(Bench &b)
{
    for (uint8_t op : {4, 7, 8, 127, 128, 255}) {
        WireRequest r = b.request(Op(op), 8);
        b.send(r);
        auto rsp = b.any_answer();
        b.expect(rsp && rsp->op == r.op && rsp->id == r.id,
                 "the response has operation " + std::to_string(op),
                 rsp ? describe(*rsp) : "no answer");
    }
}

void one_of_three(Bench &b)
{
    WireRequest backwards = b.request(Op::Read, 8);
    backwards.seg[0] = {b.ref(0), 5, 2};
    const WireRequest requests[] = {
        b.request(Op::Read, 8),
        b.request(Op::Read, kLast),
        b.request(Op::Read, 8, 0),
        b.request(Op::Read, 8, 255),
        b.request(Op(7), 8),
        b.request(Op::FlushDiskcache, 0, 0),
        b.request(Op::WriteBarrier, 0, 0),
        b.discard(kLast, kLast),
        backwards,
    };
    for (const WireRequest &r : requests) {
        b.send(r);
        auto rsp = b.any_answer();
        b.expect(rsp && rsp->status <= 0 && rsp->status >= -2, "status 0, -1 or -2",
                 rsp ? describe(*rsp) : "no answer");
    }
}

constexpr Case kCases[] = {
    {"request/read/after-write", "blkif:op", Level::Must, Kind::Valid,
     "A READ of a page returns the WRITE before it.", read_after_write, kNothing, kAllAxes},
    {"request/read/largest-direct", "blkif:segments", Level::Must, Kind::Boundary,
     "A WRITE and a READ of 11 segments move 11 pages.", largest_direct, kNothing, kAllAxes},
    {"request/read/page-stays-after-answer", "blkif:op", Level::Must, Kind::Valid,
     "After the answer to a READ, the backend leaves the page alone.", page_stays_after_answer},
    {"request/write/last-one-wins", "blkif:op", Level::Must, Kind::Valid,
     "Of two WRITEs to one place, a READ returns the later one.", last_write_wins},
    {"request/write/leaves-its-page", "blkif:op", Level::Must, Kind::Valid,
     "A WRITE does not change the page that it names.", write_leaves_its_page},

    {"request/op/4-reserved", "blkif:eopnotsupp", Level::Must, Kind::Hostile,
     "Operation 4 is reserved: its answer is EOPNOTSUPP.", operation_4},
    {"request/op/7-unknown", "blkif:eopnotsupp", Level::Must, Kind::Boundary,
     "Operation 7 does not exist: its answer is EOPNOTSUPP.", operation_7},
    {"request/op/255-unknown", "blkif:eopnotsupp", Level::Must, Kind::Hostile,
     "Operation 255 does not exist: its answer is EOPNOTSUPP.", operation_255},
    {"request/op/every-unknown", "blkif:eopnotsupp", Level::Must, Kind::Hostile,
     "Each operation from 7 to 255 is answered EOPNOTSUPP.", every_unknown_operation},
    {"request/op/unknown-of-no-segments", "blkif:eopnotsupp", Level::Must, Kind::Hostile,
     "An unknown operation without segments is answered EOPNOTSUPP.", unknown_of_none},
    {"request/op/unknown-of-255-segments", "blkif:op", Level::Must, Kind::Hostile,
     "An unknown operation of 255 segments is refused.", unknown_of_255},
    {"request/op/unknown-beyond-the-end", "blkif:op", Level::Must, Kind::Hostile,
     "An unknown operation beyond the end of the disk is refused.", unknown_beyond_the_end},
    {"request/op/unknown-moves-nothing", "blkif:op", Level::Must, Kind::Hostile,
     "An unknown operation changes neither its page nor the disk.", unknown_moves_nothing},

    {"request/max-segments/read-of-none", "blkif:max-segments", Level::Practice, Kind::Boundary,
     "A READ without segments does nothing, and is answered OKAY or ERROR.", read_of_none},
    {"request/max-segments/write-of-none", "blkif:max-segments", Level::Practice, Kind::Boundary,
     "A WRITE without segments does nothing, and is answered OKAY or ERROR.", write_of_none},
    {"request/max-segments/every-number", "blkif:max-segments", Level::Must, Kind::Valid,
     "A WRITE and a READ have from 1 to 11 segments.", every_number_of_segments, kNothing, kAbi},
    {"request/max-segments/read-of-12", "blkif:max-segments", Level::Must, Kind::Boundary,
     "A READ of 12 segments is refused.", read_of_12, kNothing, kAbi},
    {"request/max-segments/read-of-255", "blkif:max-segments", Level::Must, Kind::Hostile,
     "A READ of 255 segments is refused.", read_of_255},
    {"request/max-segments/read-of-13-to-254", "blkif:max-segments", Level::Must, Kind::Hostile,
     "A READ of more than 12 segments is refused, whatever bits the number has.", read_of_too_many},
    {"request/max-segments/write-of-12", "blkif:max-segments", Level::Must, Kind::Boundary,
     "A WRITE of 12 segments is refused, and writes none of them.", write_of_12, kNothing, kAbi},
    {"request/max-segments/write-of-255", "blkif:max-segments", Level::Must, Kind::Hostile,
     "A WRITE of 255 segments is refused, and writes none of them.", write_of_255},
    {"request/max-segments/barrier-of-12", "blkif:max-segments", Level::Must, Kind::Boundary,
     "A WRITE_BARRIER of 12 segments is refused, and writes none of them.", barrier_of_12,
     kNeedsBarrier},
    {"request/max-segments/barrier-of-255", "blkif:max-segments", Level::Must, Kind::Hostile,
     "A WRITE_BARRIER of 255 segments is refused, and writes none of them.", barrier_of_255,
     kNeedsBarrier},
    {"request/max-segments/flush-of-255", "blkif:max-segments", Level::Must, Kind::Hostile,
     "A FLUSH of 255 segments writes none of them.", flush_of_255, kNeedsFlush},

    {"request/id/zero", "ring:rsp-id", Level::Must, Kind::Boundary,
     "A request of ID 0 is answered with ID 0.", id_zero, kNothing, kAbi},
    {"request/id/all-ones", "ring:rsp-id", Level::Must, Kind::Boundary,
     "A request of ID 2^64-1 is answered with this ID.", id_all_ones, kNothing, kAbi},
    {"request/id/again", "ring:rsp-id", Level::Must, Kind::Valid,
     "An ID may be used again after its answer.", id_again},
    {"request/id/either-half", "ring:rsp-id", Level::Must, Kind::Valid,
     "IDs that differ in one half alone are told apart.", id_halves, kNothing, kAbi},
    {"request/id/of-refusal", "ring:rsp-id", Level::Must, Kind::Hostile,
     "The response to a refused request has its ID.", id_of_a_refusal},
    {"request/id/two-alike", "blkif:id", Level::Must, Kind::Hostile,
     "Two requests of one ID are both answered: the ID is the frontend's own.", two_ids_alike},
    {"request/id/each-once", "ring:rsp-id", Level::Must, Kind::Valid,
     "Each of 11 requests in flight is answered once.", each_answered_once, kNothing, kAllAxes},

    {"request/handle/wrong-in-read", "blkif:handle", Level::May, Kind::Hostile,
     "A READ of a wrong handle is done or refused.", wrong_handle_of_read},
    {"request/handle/wrong-in-write", "blkif:handle", Level::May, Kind::Hostile,
     "A WRITE of a wrong handle is done in full or refused.", wrong_handle_of_write},
    {"request/handle/no-matter-in-flush", "blkif:handle", Level::Must, Kind::Valid,
     "The handle of a FLUSH means nothing.", handle_of_flush, kNeedsFlush},

    {"request/padding/response", "blkif:padding", Level::Practice, Kind::Regression,
     "Between its fields, a response has no bytes of the backend's memory.", response_padding,
     kNothing, kAbi},
    {"request/padding/rest-of-slot", "blkif:padding", Level::Practice, Kind::Regression,
     "Behind a response, its slot has no bytes of the backend's memory.", rest_of_the_slot,
     kNothing, kAbi},
    {"request/padding/request", "blkif:request", Level::Must, Kind::Valid,
     "The bytes between the fields of a request mean nothing.", request_padding},

    {"request/response/operation-of-data", "ring:rsp-op", Level::Must, Kind::Valid,
     "The response to a READ or a WRITE names it.", operation_of_data, kNothing, kAbi},
    {"request/response/operation-of-refusal", "ring:rsp-op", Level::Must, Kind::Hostile,
     "The response to a refused READ or WRITE names it.", operation_of_refusal},
    {"request/response/operation-of-unknown", "ring:rsp-op", Level::Must, Kind::Hostile,
     "The response to an unknown operation has its number.", operation_of_unknown},
    {"request/status/one-of-three", "blkif:status", Level::Must, Kind::Hostile,
     "The status of each response is 0, -1 or -2.", one_of_three},
};

} // namespace

std::span<const Case> request_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
