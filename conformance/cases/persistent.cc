/* SPDX-License-Identifier: MIT */
/* Cases: grants that a backend keeps mapped, and grants that it must not keep. */
#include "cases/cases.h"

namespace pvblk::conformance
{

namespace
{

constexpr uint64_t kSector = 64;
constexpr GrantRef kNoGrant{0x7fffffff};
/* Pages of the largest case: more than some backends keep. */
constexpr uint32_t kMany = 99;

/* Connects as a frontend that keeps its grants. */
bool keep(Bench &b)
{
    Shape s = b.shape();
    s.persistent = true;
    b.shape(s);
    return b.connect(s);
}

/* A request of whole pages that are the case's own. */
WireRequest request(Bench &b, Op op, uint64_t sector, std::initializer_list<SharedPage> pages)
{
    WireRequest r = b.request(op, sector, 0);
    for (const SharedPage &page : pages)
        r.seg[r.nr_segments++] = {page.ref, 0, 7};
    return r;
}

void okay(Bench &b, const Answer &a)
{
    b.expect(a, {{Outcome::Okay, "blkif:feature-persistent"}});
}

void write(Bench &b, const WireRequest &w)
{
    uint32_t pattern = b.fill(w);
    b.may_have_changed(w);
    okay(b, b.ask(w));
    b.written(w, pattern);
}

void read(Bench &b, const WireRequest &r)
{
    b.poison(r);
    okay(b, b.ask(r));
    b.compare(r);
}

/* Pages of this connection that are mapped although no request is in flight. */
void expect_mapped(Bench &b, uint32_t pages)
{
    b.expect(b.domain.mapped() == pages, std::to_string(pages) + " pages are mapped",
             std::to_string(b.domain.mapped()) + " pages");
}

/* ---- the same grants again ---------------------------------------------------- */

void again(Bench &b)
{
    (void)keep(b);
    for (uint32_t round = 0; round < 8; round++) {
        b.write(kSector + 8 * round, 4);
        b.read(kSector + 8 * round, 4);
    }
}

void read_then_write(Bench &b)
{
    (void)keep(b);
    b.write(kSector);
    SharedPage page = b.own_page();
    read(b, request(b, Op::Read, kSector, {page}));
    write(b, request(b, Op::Write, kSector + 8, {page}));
    read(b, request(b, Op::Read, kSector + 8, {page}));
}

void write_then_read(Bench &b)
{
    (void)keep(b);
    b.write(kSector);
    SharedPage page = b.own_page();
    write(b, request(b, Op::Write, kSector + 8, {page}));
    read(b, request(b, Op::Read, kSector, {page}));
    write(b, request(b, Op::Write, kSector + 16, {page}));
    b.read(kSector, 3);
}

void page_changes(Bench &b)
{
    (void)keep(b);
    SharedPage page = b.own_page();
    for (uint32_t i = 0; i < 4; i++)
        write(b, request(b, Op::Write, kSector + 8 * i, {page}));
    b.read(kSector, 4);
}

void answered_page_is_ours(Bench &b)
{
    (void)keep(b);
    SharedPage page = b.own_page();
    write(b, request(b, Op::Write, kSector, {page}));
    (void)b.fill(request(b, Op::Write, kSector, {page})); /* this is not sent */
    b.settle();
    b.read(kSector);
}

void list_then_data(Bench &b)
{
    constexpr uint32_t kList = Bench::kDataPages - 2;
    (void)keep(b);
    WireRequest r = b.indirect(Op::Read, 0, 12u);
    read(b, r);
    WireRequest over = b.request(Op::Read, 0, 1, kList);
    read(b, over);
    WireRequest w = b.request(Op::Write, kSector, 1, kList);
    write(b, w);
    read(b, b.indirect(Op::Read, 0, 12u));
}

/* ---- one page twice ------------------------------------------------------------- */

void two_segments(Bench &b)
{
    (void)keep(b);
    SharedPage page = b.own_page();
    WireRequest w = request(b, Op::Write, kSector, {page, page});
    w.seg[0] = {page.ref, 4, 7};
    w.seg[1] = {page.ref, 0, 3};
    write(b, w);
    WireRequest r = w;
    r.op = Op::Read;
    r.id = b.front.next_id();
    read(b, r);
}

void two_requests(Bench &b)
{
    (void)keep(b);
    SharedPage page = b.own_page();
    WireRequest low = request(b, Op::Read, 0, {page}), high = request(b, Op::Read, 4, {page});
    low.seg[0].last_sect = 3;
    high.seg[0].first_sect = 4;
    WireRequest whole = request(b, Op::Read, 0, {page});
    b.poison(whole);
    b.send(low);
    b.send(high);
    okay(b, b.answer(low));
    okay(b, b.answer(high));
    b.compare(whole);
}

void two_queues(Bench &b)
{
    Shape s = b.shape();
    s.queues = 2;
    b.shape(s);
    (void)keep(b);
    SharedPage page = b.own_page();
    WireRequest w = request(b, Op::Write, kSector, {page});
    uint32_t pattern = b.fill(w);
    okay(b, b.ask(w, 0));
    b.written(w, pattern);
    WireRequest r = request(b, Op::Read, 0, {page});
    b.poison(r);
    okay(b, b.ask(r, 1));
    b.compare(r);
    b.read(kSector, 1, 1);
}

/* ---- many grants ------------------------------------------------------------------ */

/* READs of 11 pages each, of 99 pages together. */
std::vector<WireRequest> reads_of_many(Bench &b)
{
    std::vector<WireRequest> all;
    for (uint32_t i = 0; i < kMany / kMaxDirectSegments; i++) {
        all.push_back(b.request(Op::Read, 8 * (i % 8), 0));
        for (uint32_t s = 0; s < kMaxDirectSegments; s++)
            all[i].seg[all[i].nr_segments++] = {b.own_page().ref, 0, 7};
    }
    return all;
}

void many(Bench &b)
{
    (void)keep(b);
    auto all = reads_of_many(b);
    for (uint32_t round = 0; round < 2; round++)
        for (WireRequest &r : all) {
            r.id = b.front.next_id();
            read(b, r);
        }
}

void many_at_once(Bench &b)
{
    (void)keep(b);
    auto all = reads_of_many(b);
    b.domain.hold();
    for (const WireRequest &r : all) {
        b.poison(r);
        b.send(r);
    }
    b.settle();
    b.domain.release();
    for (const WireRequest &r : all) {
        okay(b, b.answer(r));
        b.compare(r);
    }
}

void ended(Bench &b)
{
    (void)keep(b);
    for (uint32_t i = 0; i < 8; i++) {
        SharedPage page = b.own_page();
        write(b, request(b, Op::Write, kSector + 8 * i, {page}));
        b.end_page(page);
        SharedPage other = b.own_page();
        read(b, request(b, Op::Read, kSector + 8 * i, {other}));
        b.end_page(other);
    }
}

void bad_one(Bench &b)
{
    (void)keep(b);
    WireRequest w = b.request(Op::Write, kSector, 3);
    (void)b.fill(w);
    w.seg[1].gref = kNoGrant;
    b.expect(b.ask(w), {{Outcome::Error, "blkif:gref"}});
    b.read(kSector, 3);
    b.write(kSector, 3);
    b.read(kSector, 3);
}

void read_only_grant(Bench &b)
{
    (void)keep(b);
    SharedPage page = b.own_page(true);
    WireRequest w = request(b, Op::Write, kSector, {page});
    uint32_t pattern = b.fill(w);
    Answer a = b.ask(w);
    b.expect(a, {{Outcome::Okay, "grant:readonly"}, {Outcome::Error, "blkif:persistent-write"}});
    if (a.outcome == Outcome::Okay)
        b.written(w, pattern);
    b.read(kSector);
    b.expect(b.ask(request(b, Op::Read, 0, {page})), {{Outcome::Error, "blkif:gref"}});
}

/* ---- without the agreement of both ------------------------------------------------- */

void not_asked(Bench &b)
{
    b.settle();
    uint32_t rings = b.domain.mapped();
    b.write(kSector, 4);
    b.read(kSector, 4);
    expect_mapped(b, rings);
}

void not_offered(Bench &b)
{
    (void)keep(b);
    b.write(kSector, 4);
    b.read(kSector, 4);
    b.read(kSector, 4);
}

void not_offered_maps(Bench &b)
{
    (void)keep(b);
    b.settle();
    uint32_t rings = b.domain.mapped();
    b.write(kSector, 4);
    b.read(kSector, 4);
    expect_mapped(b, rings);
}

/* ---- other connections ---------------------------------------------------------------- */

void closed(Bench &b)
{
    (void)keep(b);
    b.write(kSector, 11);
    b.expect(b.close(), "the backend closes", "another state");
    expect_mapped(b, 0);
}

void reconnected(Bench &b)
{
    (void)keep(b);
    for (uint32_t i = 0; i < 3; i++) {
        SharedPage page = b.own_page();
        write(b, request(b, Op::Write, kSector + 8 * i, {page}));
        (void)b.reconnect();
    }
    b.read(kSector, 3);
}

void ended_between(Bench &b)
{
    (void)keep(b);
    SharedPage page = b.own_page();
    WireRequest r = request(b, Op::Read, 0, {page});
    okay(b, b.ask(r));
    (void)b.close();
    b.expect(b.begin() && b.make_rings(), "the backend waits for the next frontend", "it does not");
    /* Not before there are rings: one of them would get the reference that is free now. */
    b.end_page(page);
    (void)b.finish_connect();
    r.id = b.front.next_id();
    b.expect(b.ask(r), {{Outcome::Error, "blkif:gref"}});
}

void turned_off(Bench &b)
{
    (void)keep(b);
    b.write(kSector, 4);
    Shape s = b.shape();
    s.persistent = false;
    b.shape(s);
    (void)b.reconnect();
    b.settle();
    uint32_t rings = b.domain.mapped();
    b.read(kSector, 4);
    expect_mapped(b, rings);
}

constexpr Start kWaits = Start::Waiting;

constexpr Case kCases[] = {
    {"persistent/reuse/again", "blkif:feature-persistent", Level::Must, Kind::Valid,
     "The same grants serve one request after another.", again, kNeedsPersistent, kAbi | kPages,
     kWaits},
    {"persistent/reuse/read-then-write", "blkif:persistent-write", Level::Must, Kind::Valid,
     "A grant that served a READ serves a WRITE.", read_then_write, kNeedsPersistent, kPlain,
     kWaits},
    {"persistent/reuse/write-then-read", "blkif:persistent-write", Level::Must, Kind::Valid,
     "A grant that served a WRITE serves a READ.", write_then_read, kNeedsPersistent, kPlain,
     kWaits},
    {"persistent/reuse/page-changes", "blkif:persistent-copy", Level::Must, Kind::Valid,
     "Each WRITE takes the data that its page has by then.", page_changes, kNeedsPersistent, kPlain,
     kWaits},
    {"persistent/reuse/after-the-answer", "blkif:persistent-copy", Level::Must, Kind::Valid,
     "A page that changes after the answer to its WRITE does not change the disk.",
     answered_page_is_ours, kNeedsPersistent, kPlain, kWaits},
    {"persistent/reuse/list-then-data", "blkif:persistent-write", Level::Practice, Kind::Valid,
     "A page that held a list of segments carries data, and a list again.", list_then_data,
     kNeedsPersistent | kNeedsIndirect, kPlain, kWaits},
    {"persistent/page/two-segments", "blkif:feature-persistent", Level::Practice, Kind::Valid,
     "One page may serve two segments of a request.", two_segments, kNeedsPersistent, kPlain,
     kWaits},
    {"persistent/page/two-requests", "blkif:feature-persistent", Level::Practice, Kind::Valid,
     "One page may serve two READs in flight.", two_requests, kNeedsPersistent, kPlain, kWaits},
    {"persistent/page/two-queues", "blkif:feature-persistent", Level::Practice, Kind::Valid,
     "One page may serve two rings.", two_queues, kNeedsPersistent | kNeedsQueues, kPlain, kWaits},
    {"persistent/limit/many", "blkif:persistent-limit", Level::Must, Kind::Boundary,
     "99 grants serve their requests, whatever number of them the backend keeps.", many,
     kNeedsPersistent, kPlain, kWaits},
    {"persistent/limit/many-at-once", "blkif:persistent-limit", Level::Must, Kind::Boundary,
     "99 grants in flight serve their requests, whatever number of them the backend keeps.",
     many_at_once, kNeedsPersistent | kNeedsHold | kNeedsQuiet, kPlain, kWaits},
    {"persistent/limit/ended", "blkif:front-persistent", Level::Must, Kind::Valid,
     "Grants that end after their request, and new ones, are served.", ended, kNeedsPersistent,
     kPlain, kWaits},
    {"persistent/grant/one-bad", "blkif:gref", Level::Must, Kind::Hostile,
     "A grant that does not exist fails its request alone.", bad_one, kNeedsPersistent, kPlain,
     kWaits},
    {"persistent/grant/read-only", "blkif:persistent-write", Level::Practice, Kind::Hostile,
     "A grant for reading only serves no READ, and maybe a WRITE.", read_only_grant,
     kNeedsPersistent, kPlain, kWaits},
    {"persistent/off/not-asked", "blkif:feature-persistent", Level::Should, Kind::Valid,
     "No page stays mapped for a frontend that did not ask for it.", not_asked,
     kNeedsPersistent | kNeedsMaps},
    {"persistent/off/not-offered", "blkif:front-persistent", Level::Must, Kind::Valid,
     "A frontend may keep its grants if the backend does not.", not_offered, kNeedsNoPersistent,
     kPlain, kWaits},
    {"persistent/off/not-offered-maps", "blkif:front-persistent", Level::Practice, Kind::Valid,
     "A backend that did not offer to keep pages mapped keeps none.", not_offered_maps,
     kNeedsNoPersistent | kNeedsMaps | kNeedsQuiet, kPlain, kWaits},
    {"persistent/connection/closed", "grant:lifetime", Level::Practice, Kind::Valid,
     "A backend that closed has no page mapped.", closed, kNeedsPersistent | kNeedsMaps, kPlain,
     kWaits},
    {"persistent/connection/other-grants", "grant:lifetime", Level::Must, Kind::Valid,
     "Each connection may have other grants.", reconnected, kNeedsPersistent, kPlain, kWaits},
    {"persistent/connection/old-grant", "grant:lifetime", Level::Practice, Kind::Hostile,
     "A grant that ended between two connections is refused.", ended_between,
     /* gntalloc ends a grant up to a second after its page went. The provider that
      * has no-ram ends it at once. */
     kNeedsPersistent | kNeedsNoRam, kPlain, kWaits},
    {"persistent/connection/turned-off", "blkif:feature-persistent", Level::Should, Kind::Valid,
     "The next connection may be without persistent grants.", turned_off,
     kNeedsPersistent | kNeedsMaps | kNeedsQuiet, kPlain, kWaits},
};

} // namespace

std::span<const Case> persistent_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
