/* SPDX-License-Identifier: MIT */
/* Cases: flushes and barriers. The text lets a backend answer EOPNOTSUPP at any time. */
#include "cases/cases.h"

#include <algorithm>

namespace pvblk::conformance
{

namespace
{

constexpr uint64_t kSector = 64; /* where most cases write */

WireRequest flush(Bench &b)
{
    return b.request(Op::FlushDiskcache, 0, 0);
}

void flushed(Bench &b, const Answer &a)
{
    b.expect(a, {{Outcome::Okay, "blkif:flush"}, {Outcome::NotSupported, "blkif:feature-loss"}});
}

/* The text says nothing of such a request: it only has to be answered. */
void answered(Bench &b, const WireRequest &req, const char *clause)
{
    b.expect(b.ask(req), {{Outcome::Okay, clause},
                          {Outcome::Error, clause},
                          {Outcome::NotSupported, "blkif:feature-loss"}});
}

/* A WRITE that is answered OKAY, or a barrier that may be answered EOPNOTSUPP. */
void written(Bench &b, const WireRequest &req, uint32_t pattern)
{
    Answer a = b.answer(req);
    if (req.op == Op::Write)
        b.expect(a, {{Outcome::Okay, "blkif:op"}});
    else
        b.expect(a,
                 {{Outcome::Okay, "blkif:barrier"}, {Outcome::NotSupported, "blkif:feature-loss"}});
    if (a.outcome == Outcome::Okay)
        b.written(req, pattern);
}

/* A page of a read-only disk does not change by this request. */
void unchanged(Bench &b, const WireRequest &req, std::initializer_list<Legal> legal)
{
    WireRequest before = b.request(Op::Read, req.sector, 1, 1);
    WireRequest after = b.request(Op::Read, req.sector, 1, 2);
    b.expect(b.ask(before), {{Outcome::Okay, "blkif:op"}});
    (void)b.fill(req);
    b.expect(b.ask(req), legal);
    b.expect(b.ask(after), {{Outcome::Okay, "blkif:op"}});
    b.expect(std::equal(b.page(1), b.page(1) + kPageSize, b.page(2)), "the disk is as before",
             "another content");
}

/* ---- flushes ------------------------------------------------------------------- */

void every_ring(Bench &b)
{
    for (uint32_t q = 0; q < b.front.queues(); q++)
        flushed(b, b.ask(flush(b), q));
}

void after_write(Bench &b)
{
    b.write(kSector, 4);
    flushed(b, b.ask(flush(b)));
    b.read(kSector, 4);
}

void fields(Bench &b)
{
    WireRequest f = flush(b);
    f.sector = UINT64_MAX;
    f.handle = 0xffff;
    flushed(b, b.ask(f));
}

void in_flight(Bench &b)
{
    b.domain.hold();
    WireRequest w = b.request(Op::Write, kSector), f = flush(b);
    uint32_t pattern = b.fill(w);
    b.send(w);
    b.send(f);
    b.settle();
    b.domain.release();
    written(b, w, pattern);
    flushed(b, b.answer(f));
    b.read(kSector);
}

void batch(Bench &b)
{
    std::vector<WireRequest> sent;
    for (uint32_t i = 0; i < b.front.size(); i++) {
        sent.push_back(flush(b));
        b.send(sent.back());
    }
    for (const WireRequest &f : sent)
        flushed(b, b.answer(f));
}

void between_writes(Bench &b)
{
    std::vector<WireRequest> sent;
    std::vector<uint32_t> patterns;
    for (uint32_t i = 0; i < 8; i++) {
        sent.push_back(b.request(Op::Write, kSector + 8 * i, 1, i));
        patterns.push_back(b.fill(sent.back()));
        b.send(sent.back());
        sent.push_back(flush(b));
        b.send(sent.back());
    }
    for (uint32_t i = 0; i < 8; i++) {
        written(b, sent[2 * i], patterns[i]);
        flushed(b, b.answer(sent[2 * i + 1]));
    }
    b.read(kSector, 8);
}

/* The text is silent about the data: each sector is old, or new. */
void with_data(Bench &b)
{
    WireRequest w = b.request(Op::Write, kSector);
    uint32_t old = b.fill(w);
    b.send(w);
    written(b, w, old);
    WireRequest f = b.request(Op::FlushDiskcache, kSector);
    uint32_t fresh = b.fill(f);
    b.may_have_changed(kSector, 8);
    answered(b, f, "blkif:flush");
    b.expect_content(kSector, 8, {old, fresh});
}

void bad_grant(Bench &b)
{
    WireRequest f = b.request(Op::FlushDiskcache, kSector);
    f.seg[0].gref = GrantRef(0x7fffffff);
    answered(b, f, "blkif:gref");
    b.read(kSector);
}

void far_sector(Bench &b)
{
    WireRequest f = b.request(Op::FlushDiskcache, b.offer().sectors);
    (void)b.fill(f);
    answered(b, f, "blkif:range");
}

void read_only_flush(Bench &b)
{
    answered(b, flush(b), "blkif:read-only");
}

void read_only_data(Bench &b)
{
    unchanged(b, b.request(Op::FlushDiskcache, kSector),
              {{Outcome::Okay, "blkif:read-only"},
               {Outcome::Error, "blkif:read-only"},
               {Outcome::NotSupported, "blkif:feature-loss"}});
}

void unoffered(Bench &b)
{
    b.expect(b.ask(flush(b)), {{Outcome::NotSupported, "blkif:eopnotsupp"}});
}

/* ---- barriers -------------------------------------------------------------------- */

WireRequest barrier(Bench &b, uint32_t segments, uint32_t first = 0)
{
    return b.request(Op::WriteBarrier, kSector, segments, first);
}

void empty_barrier(Bench &b)
{
    WireRequest req = barrier(b, 0);
    b.send(req);
    written(b, req, 0);
}

void barrier_of(Bench &b, uint32_t segments)
{
    WireRequest req = barrier(b, segments);
    b.may_have_changed(req);
    uint32_t pattern = b.fill(req);
    b.send(req);
    written(b, req, pattern);
    b.read(kSector, segments);
}
void smallest_barrier(Bench &b)
{
    barrier_of(b, 1);
}
void largest_barrier(Bench &b)
{
    barrier_of(b, kMaxDirectSegments);
}

void barrier_of_twelve(Bench &b)
{
    WireRequest req = barrier(b, kMaxDirectSegments + 1);
    (void)b.fill(req);
    b.expect(b.ask(req), {{Outcome::Error, "blkif:max-segments"},
                          {Outcome::NotSupported, "blkif:feature-loss"}});
    b.read(kSector, kMaxDirectSegments);
}

/* Sends requests for the same sectors while the disk holds all back. It then does the
 * latest first, unless the backend kept that one. The last one has to win. */
void in_order(Bench &b, std::initializer_list<WireRequest> requests)
{
    std::vector<uint32_t> patterns;
    b.domain.hold();
    for (const WireRequest &req : requests) {
        patterns.push_back(b.fill(req));
        b.send(req);
    }
    b.may_have_changed(kSector, 8);
    b.settle();
    b.domain.release();
    auto pattern = patterns.begin();
    for (const WireRequest &req : requests)
        written(b, req, *pattern++);
    b.read(kSector);
}

WireRequest write(Bench &b, uint32_t page)
{
    return b.request(Op::Write, kSector, 1, page);
}

void after_earlier(Bench &b)
{
    in_order(b, {write(b, 0), barrier(b, 1, 1)});
}
void before_later(Bench &b)
{
    in_order(b, {barrier(b, 1, 0), write(b, 1)});
}
void two_barriers(Bench &b)
{
    in_order(b, {barrier(b, 1, 0), barrier(b, 1, 1)});
}
void empty_between(Bench &b)
{
    in_order(b, {write(b, 0), barrier(b, 0), write(b, 1)});
}

void batch_of_barriers(Bench &b)
{
    std::vector<WireRequest> sent;
    std::vector<uint32_t> patterns;
    for (uint32_t i = 0; i < b.front.size(); i++) {
        sent.push_back(b.request(Op::WriteBarrier, kSector + 8 * (i % 16), 1, i % 16));
        patterns.push_back(i < 16 ? b.fill(sent[i]) : patterns[i - 16]);
        b.send(sent.back());
    }
    for (uint32_t i = 0; i < sent.size(); i++)
        written(b, sent[i], patterns[i]);
    b.read(kSector, 8);
    b.read(kSector + 64, 8);
}

void with_reads(Bench &b)
{
    std::vector<WireRequest> sent;
    for (uint32_t i = 0; i < 16; i++) {
        sent.push_back(i % 4 == 3 ? barrier(b, 0) : b.request(Op::Read, 0, 1, i));
        b.send(sent.back());
    }
    for (const WireRequest &req : sent)
        b.expect(b.answer(req),
                 {{Outcome::Okay, "blkif:barrier"}, {Outcome::NotSupported, "blkif:feature-loss"}});
}

void refused_barrier(Bench &b)
{
    WireRequest bad = barrier(b, 1);
    bad.seg[0].gref = GrantRef(0x7fffffff);
    WireRequest w = write(b, 1);
    uint32_t pattern = b.fill(w);
    b.send(bad);
    b.send(w);
    b.expect(b.answer(bad),
             {{Outcome::Error, "blkif:gref"}, {Outcome::NotSupported, "blkif:feature-loss"}});
    written(b, w, pattern);
    b.read(kSector);
}

void barrier_beyond(Bench &b)
{
    WireRequest req = b.request(Op::WriteBarrier, b.offer().sectors - 8, 2);
    (void)b.fill(req);
    b.expect(b.ask(req),
             {{Outcome::Error, "blkif:range"}, {Outcome::NotSupported, "blkif:feature-loss"}});
}

void read_only_barrier(Bench &b)
{
    unchanged(b, barrier(b, 1),
              {{Outcome::Error, "blkif:read-only"}, {Outcome::NotSupported, "blkif:feature-loss"}});
}

void barrier_unoffered(Bench &b)
{
    WireRequest req = barrier(b, 1);
    (void)b.fill(req);
    b.expect(b.ask(req), {{Outcome::NotSupported, "blkif:eopnotsupp"}});
    b.read(kSector);
}

constexpr uint32_t kInOrder = kNeedsBarrier | kNeedsHold | kNeedsQuiet;

constexpr Case kCases[] = {
    {"flush/empty/every-ring", "blkif:flush", Level::Must, Kind::Valid,
     "A FLUSH without segments is done on each ring.", every_ring, kNeedsFlush, kAllAxes},
    {"flush/empty/after-write", "blkif:flush", Level::Must, Kind::Valid,
     "A FLUSH leaves the data of the WRITEs before it.", after_write, kNeedsFlush},
    {"flush/empty/ignored-fields", "blkif:sector-number", Level::Must, Kind::Boundary,
     "A FLUSH is done whatever its sector and its handle are.", fields, kNeedsFlush},
    {"flush/empty/write-in-flight", "blkif:flush", Level::Must, Kind::Liveness,
     "A FLUSH and a WRITE before it are done if both are in flight.", in_flight,
     kNeedsFlush | kNeedsHold | kNeedsQuiet},
    {"flush/empty/ring-full", "blkif:flush", Level::Must, Kind::Liveness,
     "Each FLUSH of a full ring is answered once.", batch, kNeedsFlush, kPages},
    {"flush/empty/between-writes", "blkif:flush", Level::Must, Kind::Liveness,
     "WRITEs and FLUSHes that alternate on the ring are all done.", between_writes, kNeedsFlush},
    {"flush/empty/read-only", "blkif:read-only", Level::Practice, Kind::Valid,
     "A FLUSH on a read-only disk is answered.", read_only_flush, kNeedsFlush | kNeedsReadOnly},
    {"flush/segments/data", "blkif:flush", Level::Practice, Kind::Hostile,
     "A FLUSH with a segment leaves each sector old, or writes it.", with_data, kNeedsFlush},
    {"flush/segments/bad-grant", "blkif:gref", Level::Practice, Kind::Hostile,
     "A FLUSH with a segment that nobody granted is answered, and writes nothing.", bad_grant,
     kNeedsFlush},
    {"flush/segments/beyond-the-disk", "blkif:range", Level::Practice, Kind::Hostile,
     "A FLUSH with a segment beyond the disk is answered, and writes nothing.", far_sector,
     kNeedsFlush},
    {"flush/segments/read-only", "blkif:read-only", Level::Practice, Kind::Hostile,
     "A FLUSH with a segment writes nothing to a read-only disk.", read_only_data,
     kNeedsFlush | kNeedsReadOnly},
    {"flush/refusal/not-offered", "blkif:eopnotsupp", Level::Must, Kind::Hostile,
     "A FLUSH that was not offered is not supported.", unoffered, kNeedsNoFlush},

    {"flush/barrier/empty", "blkif:barrier", Level::Practice, Kind::Valid,
     "A BARRIER without segments is done.", empty_barrier, kNeedsBarrier, kAllAxes},
    {"flush/barrier/one-segment", "blkif:barrier", Level::Must, Kind::Valid,
     "A BARRIER of one segment writes it.", smallest_barrier, kNeedsBarrier, kAllAxes},
    {"flush/barrier/largest", "blkif:max-segments", Level::Must, Kind::Boundary,
     "A BARRIER of 11 segments writes all of them.", largest_barrier, kNeedsBarrier},
    {"flush/barrier/one-too-many", "blkif:max-segments", Level::Must, Kind::Boundary,
     "A BARRIER of 12 segments is refused, and writes nothing.", barrier_of_twelve, kNeedsBarrier},
    {"flush/barrier/after-earlier-write", "blkif:barrier", Level::Must, Kind::Valid,
     "A BARRIER is done after the WRITE before it.", after_earlier, kInOrder},
    {"flush/barrier/before-later-write", "blkif:barrier", Level::Must, Kind::Valid,
     "A WRITE after a BARRIER is done after it.", before_later, kInOrder},
    {"flush/barrier/two-in-a-row", "blkif:barrier", Level::Must, Kind::Valid,
     "Of two BARRIERs, the second one is done after the first.", two_barriers, kInOrder},
    {"flush/barrier/empty-between-writes", "blkif:barrier", Level::Must, Kind::Valid,
     "A BARRIER without segments keeps the WRITEs around it in order.", empty_between, kInOrder},
    {"flush/barrier/ring-full", "blkif:barrier", Level::Must, Kind::Liveness,
     "Each BARRIER of a full ring is answered once.", batch_of_barriers, kNeedsBarrier},
    {"flush/barrier/among-reads", "blkif:barrier", Level::Must, Kind::Liveness,
     "READs before and after a BARRIER are done.", with_reads, kNeedsBarrier},
    {"flush/barrier/refused-one", "blkif:barrier", Level::Must, Kind::Liveness,
     "A BARRIER that is refused holds no later WRITE back.", refused_barrier, kNeedsBarrier},
    {"flush/barrier/beyond-the-disk", "blkif:range", Level::Practice, Kind::Boundary,
     "A BARRIER that ends beyond the disk is refused, and writes nothing.", barrier_beyond,
     kNeedsBarrier},
    {"flush/barrier/read-only", "blkif:read-only", Level::Practice, Kind::Hostile,
     "A BARRIER with data is refused on a read-only disk, and writes nothing.", read_only_barrier,
     kNeedsBarrier | kNeedsReadOnly},
    {"flush/barrier/not-offered", "blkif:eopnotsupp", Level::Must, Kind::Hostile,
     "A BARRIER that was not offered is not supported, and writes nothing.", barrier_unoffered,
     kNeedsNoBarrier},
};

} // namespace

std::span<const Case> flush_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
