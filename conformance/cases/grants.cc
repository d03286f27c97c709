/* SPDX-License-Identifier: MIT */
/*
 * Cases: grant references, of pages that the backend may and may not use.
 *
 * A READ names no reference that another driver of this domain may hold: the
 * backend would overwrite that driver's page.
 */
#include "cases/cases.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace pvblk::conformance
{

namespace
{

/* Beyond any grant table. */
constexpr GrantRef kBeyond{0xffff'fff0};
constexpr uint32_t kReserved = 8; /* Xen: the first entries are the toolstack's */

WireRequest request_of(Bench &b, Op op, uint64_t sector, GrantRef ref)
{
    WireRequest r = b.request(op, sector);
    r.seg[0].gref = ref;
    return r;
}

void expect_refused(Bench &b, const WireRequest &r)
{
    b.expect(b.ask(r), {{Outcome::Error, "blkif:gref"}});
}

/* Done, or refused. */
void expect_answered(Bench &b, const Answer &a)
{
    b.expect(a, {{Outcome::Okay, "blkif:op"}, {Outcome::Error, "blkif:gref"}});
}

bool is_all(const std::byte *page, std::byte value)
{
    return page && std::all_of(page, page + kPageSize, [=](std::byte x) { return x == value; });
}

/* ---- references of no page ------------------------------------------------------- */

/* The toolstack may have granted it to the backend's domain: its console. */
void reference_0(Bench &b)
{
    b.may_have_changed(0, 8);
    expect_answered(b, b.ask(request_of(b, Op::Write, 0, GrantRef(0))));
    b.write(0);
}

void reserved(Bench &b)
{
    for (uint32_t ref = 2; ref < kReserved; ref++)
        expect_refused(b, request_of(b, Op::Write, 0, GrantRef(ref)));
}

void beyond_table(Bench &b, Op op)
{
    for (uint32_t ref : {0x00ff'ffffu, 0x7fff'ffffu, 0x8000'0000u, 0xffff'ffffu})
        expect_refused(b, request_of(b, op, 0, GrantRef(ref)));
}
void read_beyond_table(Bench &b)
{
    beyond_table(b, Op::Read);
}
void write_beyond_table(Bench &b)
{
    beyond_table(b, Op::Write);
}

void ended_before(Bench &b)
{
    SharedPage page = b.own_page();
    b.end_page(page);
    expect_refused(b, request_of(b, Op::Write, 0, page.ref));
}

void ended_after_use(Bench &b)
{
    SharedPage page = b.own_page();
    b.expect(b.ask(request_of(b, Op::Read, 8, page.ref)), {{Outcome::Okay, "blkif:op"}});
    b.end_page(page);
    expect_refused(b, request_of(b, Op::Write, 0, page.ref));
}

void ended_in_flight(Bench &b)
{
    SharedPage page = b.own_page();
    WireRequest r = request_of(b, Op::Read, 0, page.ref);
    b.domain.hold();
    b.send(r);
    (void)b.domain.wait(std::chrono::milliseconds(10));
    b.end_page(page);
    b.domain.release();
    expect_answered(b, b.answer(r));
}

void beyond_segments(Bench &b)
{
    WireRequest r = b.request(Op::Read, 0, 1);
    for (uint32_t i = 1; i < kMaxDirectSegments; i++)
        r.seg[i] = {kBeyond, 0, 7};
    b.poison(r);
    /* The encoder writes as many segments as the request has. */
    WireRequest all = r;
    all.nr_segments = kMaxDirectSegments;
    b.front.stage(all);
    b.front.memory()[kSringHeader + 1] = std::byte{1};
    if (b.front.publish())
        b.front.notify();
    b.expect(b.answer(r), {{Outcome::Okay, "blkif:segments"}});
    b.compare(r);
}

/* ---- access --------------------------------------------------------------------------- */

void read_into_readonly(Bench &b)
{
    SharedPage page = b.own_page(true);
    expect_refused(b, request_of(b, Op::Read, 0, page.ref));
    b.expect(b.failed() || is_all(page.at, std::byte{}), "the page is as it was", "it changed");
}

void write_from_readonly(Bench &b)
{
    SharedPage page = b.own_page(true);
    if (b.failed())
        return;
    uint32_t pattern = b.disk().draw();
    for (uint32_t i = 0; i < 8; i++)
        Disk::put(Sector(i), pattern, page.at + i * kSectorSize);
    WireRequest w = request_of(b, Op::Write, 0, page.ref);
    b.may_have_changed(0, 8);
    b.expect(b.ask(w), {{Outcome::Okay, "grant:readonly"}});
    b.written(w, pattern);
    b.read(0);
}

void list_is_readonly(Bench &b)
{
    WireRequest r = b.indirect(Op::Read, 0, 16);
    SharedPage list = b.own_page(true);
    if (b.failed())
        return;
    std::memcpy(list.at, b.page(Bench::kDataPages - 2), kPageSize);
    r.indirect[0] = list.ref;
    b.poison(r);
    b.expect(b.ask(r), {{Outcome::Okay, "grant:readonly"}});
    b.compare(r);
}

void write_keeps_its_page(Bench &b)
{
    WireRequest w = b.request(Op::Write, 32, 2);
    uint32_t pattern = b.fill(w);
    std::vector<std::byte> before(b.page(0), b.page(0) + kPageSize);
    b.may_have_changed(32, 16);
    b.expect(b.ask(w), {{Outcome::Okay, "blkif:op"}});
    b.written(w, pattern);
    b.expect(std::equal(before.begin(), before.end(), b.page(0)), "a WRITE leaves its page alone",
             "it changed");
}

void granted_to_another(Bench &b, Op op)
{
    SharedPage page = b.own_page(false, Grantee::Nobody);
    expect_refused(b, request_of(b, op, 0, page.ref));
    b.expect(b.failed() || is_all(page.at, std::byte{}), "the page is as it was", "it changed");
}
void read_for_another(Bench &b)
{
    granted_to_another(b, Op::Read);
}
void write_for_another(Bench &b)
{
    granted_to_another(b, Op::Write);
}

void no_ram(Bench &b, Op op)
{
    auto ref = b.domain.share_no_ram();
    if (!ref)
        return b.cannot(sentence(ref.error()));
    expect_refused(b, request_of(b, op, 0, ref.value()));
}
void read_into_no_ram(Bench &b)
{
    no_ram(b, Op::Read);
}
void write_from_no_ram(Bench &b)
{
    no_ram(b, Op::Write);
}

/* ---- one page, several uses ------------------------------------------------------------ */

void halves_of_a_page(Bench &b)
{
    WireRequest w = b.request(Op::Write, 48, 2);
    w.seg[0] = {b.ref(0), 4, 7};
    w.seg[1] = {b.ref(0), 0, 3};
    uint32_t pattern = b.fill(w);
    b.may_have_changed(48, 8);
    b.expect(b.ask(w), {{Outcome::Okay, "blkif:gref"}});
    b.written(w, pattern);
    b.read(48);
}

void page_twice_in_a_write(Bench &b)
{
    WireRequest w = b.request(Op::Write, 48, 2);
    w.seg[1].gref = w.seg[0].gref;
    std::memset(b.page(0), 0x3c, kPageSize);
    b.may_have_changed(48, 16);
    b.expect(b.ask(w), {{Outcome::Okay, "blkif:gref"}});
    b.expect(b.ask(b.request(Op::Read, 48, 2, 1)), {{Outcome::Okay, "blkif:op"}});
    for (uint32_t i = 1; i <= 2; i++)
        b.expect(b.failed() || is_all(b.page(i), std::byte{0x3c}), "both segments are written",
                 "segment " + std::to_string(i - 1) + " is not");
    b.write(48, 2);
}

void page_twice_in_flight(Bench &b)
{
    WireRequest first = b.request(Op::Read, 8), second = b.request(Op::Read, 8);
    b.poison(first);
    b.front.stage(first);
    b.send(second);
    b.expect(b.answer(first), {{Outcome::Okay, "blkif:gref"}});
    b.expect(b.answer(second), {{Outcome::Okay, "blkif:gref"}});
    b.compare(second);
}

void write_from_ring_page(Bench &b)
{
    b.may_have_changed(0, 8);
    expect_answered(b, b.ask(request_of(b, Op::Write, 0, b.front.ring_page().ref)));
    b.write(0);
}

/* The page's last sector: half of it is the last slot, and the rest is no slot. */
void read_behind_the_slots(Bench &b)
{
    WireRequest r = request_of(b, Op::Read, 0, b.front.ring_page().ref);
    r.seg[0].first_sect = r.seg[0].last_sect = 7;
    expect_answered(b, b.ask(r));
}

/* The backend's own answer may be the last sane thing on this ring. */
void read_over_the_indices(Bench &b)
{
    WireRequest r = request_of(b, Op::Read, 0, b.front.ring_page().ref);
    b.send(r);
    (void)b.soon([] { return false; });
    b.saw("rsp_prod = " + std::to_string(b.front.index(SringField::RspProd).value));
}

/* ---- a bad one among good ones ---------------------------------------------------------- */

constexpr uint32_t kBadPlaces[] = {0, 5, 10};

WireRequest with_a_bad_page(Bench &b, Op op, uint64_t sector, uint32_t bad)
{
    WireRequest r = b.request(op, sector, kMaxDirectSegments);
    r.seg[bad].gref = kBeyond;
    return r;
}

void bad_page_of_a_write(Bench &b)
{
    for (uint32_t bad : kBadPlaces) {
        b.may_have_changed(64, kMaxDirectSegments * 8);
        expect_refused(b, with_a_bad_page(b, Op::Write, 64, bad));
    }
    b.write(64, kMaxDirectSegments);
}

/* No text asks for it, and an ERROR may leave part of a WRITE done; but known backends map
 * all pages first. */
void bad_page_writes_nothing(Bench &b)
{
    for (uint32_t bad : kBadPlaces) {
        WireRequest w = with_a_bad_page(b, Op::Write, 64, bad);
        for (uint32_t i = 0; i < kMaxDirectSegments && !b.failed(); i++)
            std::memset(b.page(i), 0x99, kPageSize);
        expect_refused(b, w);
        b.read(64, kMaxDirectSegments);
    }
}

void bad_page_of_a_read(Bench &b)
{
    for (uint32_t bad : kBadPlaces) {
        WireRequest r = with_a_bad_page(b, Op::Read, 64, bad);
        b.poison(r);
        std::byte clean = b.page(bad == 0 ? 1 : 0)[0];
        expect_refused(b, r);
        for (uint32_t i = 0; i < kMaxDirectSegments && !b.failed(); i++) {
            Sector wrong;
            b.expect(i == bad || is_all(b.page(i), clean) ||
                         b.disk().matches(Sector(64 + 8ull * i), {b.page(i), kPageSize}, wrong),
                     "a good page of a refused READ has the disk's data, or none",
                     "other data is in page " + std::to_string(i));
        }
    }
}

void all_pages_are_bad(Bench &b)
{
    WireRequest r = b.request(Op::Read, 0, kMaxDirectSegments);
    for (WireSegment &s : r.seg)
        s.gref = kBeyond;
    expect_refused(b, r);
}

void bad_page_of_an_indirect(Bench &b)
{
    WireRequest w = b.indirect(Op::Write, 0, 16);
    if (b.failed())
        return;
    std::vector<WireSegment> list;
    for (uint32_t i = 0; i < 16; i++)
        list.push_back({i == 12 ? kBeyond : b.ref(i), 0, 7});
    put_segments(b.page(Bench::kDataPages - 2), list);
    b.may_have_changed(0, 128);
    expect_refused(b, w);
    b.write(0, 8);
    b.write(64, 8);
}

/* A ring full of requests that cannot be mapped, twice. */
void flood(Bench &b)
{
    for (uint32_t round = 0; round < 2; round++) {
        std::vector<WireRequest> all;
        for (uint32_t i = 0; i < b.front.size() && !b.failed(); i++) {
            all.push_back(with_a_bad_page(b, Op::Read, 0, i % kMaxDirectSegments));
            b.front.stage(all.back());
        }
        if (!b.failed() && b.front.publish())
            b.front.notify();
        for (const WireRequest &r : all)
            b.expect(b.answer(r), {{Outcome::Error, "blkif:gref"}});
    }
}

void most_pages_of_a_ring(Bench &b)
{
    std::vector<WireRequest> all;
    for (uint32_t i = 0; i < b.front.size() && !b.failed(); i++) {
        all.push_back(b.request(Op::Read, 88ull * (i % 2), kMaxDirectSegments, 11 * (i % 2)));
        b.poison(all.back());
        b.front.stage(all.back());
    }
    if (!b.failed() && b.front.publish())
        b.front.notify();
    for (const WireRequest &r : all)
        b.expect(b.answer(r), {{Outcome::Okay, "blkif:gref"}});
    for (uint32_t i = 0; i < 2 && !b.failed(); i++)
        b.compare(all[i]);
}

void flush_with_garbage(Bench &b)
{
    WireRequest f = b.request(Op::FlushDiskcache, 0, kMaxDirectSegments);
    for (WireSegment &s : f.seg)
        s = {kBeyond, 3, 2};
    if (b.failed())
        return;
    b.front.stage(f);
    b.front.memory()[kSringHeader + 1] = std::byte{0}; /* nr_segments */
    if (b.front.publish())
        b.front.notify();
    b.expect(b.answer(f), {{Outcome::Okay, "blkif:flush"}});
}

/* ---- given back -------------------------------------------------------------------------- */

void expect_mapped(Bench &b, uint32_t pages, const std::string &when)
{
    uint32_t n = b.domain.mapped();
    b.expect(n == pages, std::to_string(pages) + " pages are mapped " + when,
             std::to_string(n) + " pages");
}

void given_back_with_the_answer(Bench &b)
{
    b.settle();
    uint32_t before = b.domain.mapped();
    for (Op op : {Op::Write, Op::Read}) {
        WireRequest r = b.request(op, 64, kMaxDirectSegments);
        uint32_t pattern = b.fill(r);
        if (op == Op::Write)
            b.may_have_changed(64, kMaxDirectSegments * 8);
        b.expect(b.ask(r), {{Outcome::Okay, "blkif:op"}});
        if (op == Op::Write)
            b.written(r, pattern);
        expect_mapped(b, before, "after the answer, as before the request");
    }
}

void given_back_with_the_refusal(Bench &b)
{
    b.settle();
    uint32_t before = b.domain.mapped();
    for (uint32_t bad : kBadPlaces) {
        expect_refused(b, with_a_bad_page(b, Op::Read, 0, bad));
        expect_mapped(b, before, "after the refusal, as before the request");
    }
    expect_refused(b, b.request(Op::Read, b.offer().sectors, kMaxDirectSegments));
    expect_mapped(b, before, "after the refusal, as before the request");
}

/* The reference that ends is often the next one that is given. */
void reused(Bench &b)
{
    for (uint32_t i = 0; i < 8 && !b.failed(); i++) {
        SharedPage page = b.own_page();
        WireRequest r = request_of(b, Op::Read, 8 * i, page.ref);
        b.expect(b.ask(r), {{Outcome::Okay, "blkif:op"}});
        Sector wrong;
        b.expect(b.failed() || b.disk().matches(Sector(8 * i), {page.at, kPageSize}, wrong),
                 "the READ is in the new page", "it is not");
        b.end_page(page);
    }
}

void none_after_close(Bench &b)
{
    b.write(64, kMaxDirectSegments);
    b.read(64, kMaxDirectSegments);
    b.expect(b.close(), "the backend closes", "it does not");
    expect_mapped(b, 0, "after the close");
}

void in_flight_at_close(Bench &b)
{
    using S = XenbusState;
    b.domain.hold();
    b.send(b.request(Op::Read, 0, kMaxDirectSegments));
    (void)b.domain.wait(std::chrono::milliseconds(10));
    b.front.state(S::Closing);
    (void)b.wait_for({S::Closing, S::Closed});
    b.domain.release();
    b.expect(b.close(), "the backend closes", "it does not");
    expect_mapped(b, 0, "after the close");
}

/* ---- the ring's own page ------------------------------------------------------------------ */

void expect_no_connection(Bench &b, GrantRef ring)
{
    using S = XenbusState;
    if (b.failed())
        return;
    b.front.node("ring-ref", std::to_string(ring.value));
    b.front.state(S::Initialised);
    (void)b.wait_for({S::Connected, S::Closing, S::Closed});
    b.expect(b.front.their_state() != S::Connected, "the backend does not connect",
             "its state is Connected");
    b.saw(xenbus_state_name(b.front.their_state()));
}

void readonly_ring(Bench &b)
{
    if (b.make_rings())
        expect_no_connection(b, b.own_page(true).ref);
}

void ended_ring(Bench &b)
{
    if (!b.make_rings())
        return;
    SharedPage page = b.own_page();
    b.end_page(page);
    expect_no_connection(b, page.ref);
}

void ring_for_another(Bench &b)
{
    if (b.make_rings())
        expect_no_connection(b, b.own_page(false, Grantee::Nobody).ref);
}

void ring_of_no_ram(Bench &b)
{
    auto ref = b.domain.share_no_ram();
    if (!ref)
        return b.cannot(sentence(ref.error()));
    if (b.make_rings())
        expect_no_connection(b, ref.value());
}

constexpr Case kCases[] = {
    {"grant/gref/0", "blkif:gref", Level::Must, Kind::Boundary,
     "A WRITE names reference 0, which is the toolstack's: it has an answer.", reference_0},
    {"grant/gref/reserved", "blkif:gref", Level::Must, Kind::Boundary,
     "WRITEs of references 2 to 7, which Xen reserves, are refused.", reserved},
    {"grant/gref/beyond-table-read", "blkif:gref", Level::Must, Kind::Hostile,
     "READs of references beyond any grant table are refused.", read_beyond_table},
    {"grant/gref/beyond-table-write", "blkif:gref", Level::Must, Kind::Hostile,
     "WRITEs of references beyond any grant table are refused.", write_beyond_table},
    {"grant/gref/beyond-segments", "blkif:segments", Level::Must, Kind::Hostile,
     "The segments beyond nr_segments have bad references: nobody looks at them.", beyond_segments},
    {"grant/gref/flush", "blkif:flush", Level::Must, Kind::Hostile,
     "A flush has no segments, and bad references where they would be: it is done.",
     flush_with_garbage, kNeedsFlush},
    {"grant/ended/before", "blkif:gref", Level::Must, Kind::Hostile,
     "A WRITE of a grant that ended is refused.", ended_before},
    {"grant/ended/after-use", "blkif:gref", Level::Must, Kind::Hostile,
     "A READ used a grant that ended since: a WRITE of it is refused.", ended_after_use},
    {"grant/ended/in-flight", "grant:lifetime", Level::Must, Kind::Liveness,
     "A grant ends while its READ is in flight: the READ has an answer.", ended_in_flight,
     kNeedsHold},
    {"grant/readonly/read", "blkif:gref", Level::Must, Kind::Hostile,
     "A READ into a page that is granted read-only is refused; the page does not change.",
     read_into_readonly},
    {"grant/readonly/write", "grant:readonly", Level::Practice, Kind::Valid,
     "A WRITE from a page that is granted read-only is done.", write_from_readonly},
    {"grant/readonly/list", "grant:readonly", Level::Practice, Kind::Valid,
     "The list of an indirect READ is granted read-only: the READ is done.", list_is_readonly,
     kNeedsIndirect},
    {"grant/readonly/write-keeps-page", "grant:readonly", Level::Must, Kind::Valid,
     "A WRITE does not change its pages.", write_keeps_its_page, kNothing, kPersistent},
    {"grant/foreign/read", "blkif:gref", Level::Must, Kind::Hostile,
     "A READ into a page that is granted to another domain is refused.", read_for_another,
     kNeedsGrantsToAny},
    {"grant/foreign/write", "blkif:gref", Level::Must, Kind::Hostile,
     "A WRITE from a page that is granted to another domain is refused.", write_for_another,
     kNeedsGrantsToAny},
    {"grant/no-ram/read", "blkif:gref", Level::Must, Kind::Hostile,
     "A READ into a frame that is no RAM is refused.", read_into_no_ram, kNeedsNoRam},
    {"grant/no-ram/write", "blkif:gref", Level::Must, Kind::Hostile,
     "A WRITE from a frame that is no RAM is refused.", write_from_no_ram, kNeedsNoRam},
    {"grant/shared/halves", "blkif:gref", Level::Practice, Kind::Valid,
     "Two segments of a WRITE name the two halves of one page.", halves_of_a_page, kNothing,
     kPersistent},
    {"grant/shared/twice-in-write", "blkif:gref", Level::Practice, Kind::Boundary,
     "Two segments of a WRITE name the same whole page.", page_twice_in_a_write, kNothing,
     kPersistent},
    {"grant/shared/twice-in-flight", "blkif:gref", Level::Practice, Kind::Boundary,
     "Two READs of one batch name the same page.", page_twice_in_flight, kNothing, kPersistent},
    {"grant/shared/ring-write", "blkif:gref", Level::Practice, Kind::Hostile,
     "A WRITE takes its data from the ring's page: the ring goes on.", write_from_ring_page},
    {"grant/shared/ring-read-tail", "blkif:gref", Level::Practice, Kind::Hostile,
     "A READ goes to the last sector of the ring's page: the ring goes on.", read_behind_the_slots},
    {"grant/shared/ring-read-indices", "blkif:gref", Level::Practice, Kind::Hostile,
     "A READ overwrites the ring's own page: the backend is there for the next frontend.",
     read_over_the_indices, kNothing, kPlain, Start::Connected, After::Reconnects},
    {"grant/mixed/write", "blkif:gref", Level::Must, Kind::Hostile,
     "One bad reference of 11, at the start, middle or end: the WRITE is refused.",
     bad_page_of_a_write, kNothing, kPersistent},
    {"grant/mixed/write-none", "blkif:gref", Level::Practice, Kind::Hostile,
     "One bad reference of 11: the refused WRITE changes nothing on the disk.",
     bad_page_writes_nothing},
    {"grant/mixed/read", "blkif:gref", Level::Must, Kind::Hostile,
     "One bad reference of 11: the READ is refused, and brings no data but the disk's.",
     bad_page_of_a_read, kNothing, kPersistent},
    {"grant/mixed/all-bad", "blkif:gref", Level::Must, Kind::Hostile,
     "A READ of 11 bad references is refused.", all_pages_are_bad},
    {"grant/mixed/indirect", "blkif:gref", Level::Must, Kind::Hostile,
     "One bad reference of 16 in an indirect WRITE: it is refused.", bad_page_of_an_indirect,
     kNeedsIndirect, kPersistent},
    {"grant/mixed/flood", "blkif:gref", Level::Must, Kind::Liveness,
     "Two rings full of READs with a bad reference each are refused, and the ring goes on.", flood},
    {"grant/lifetime/most", "grant:lifetime", Level::Must, Kind::Boundary,
     "A full ring of READs of 11 segments is done: no grant is missing.", most_pages_of_a_ring,
     kNothing, kPersistent},
    {"grant/lifetime/after-close", "grant:lifetime", Level::Must, Kind::Valid,
     "A closed backend has nothing mapped.", none_after_close, kNeedsMaps, kAllAxes},
    {"grant/lifetime/in-flight-at-close", "grant:lifetime", Level::Must, Kind::Liveness,
     "The frontend closes while a READ is in flight: nothing stays mapped.", in_flight_at_close,
     kNeedsHold | kNeedsMaps, kPersistent},
    {"grant/end-access/answer", "grant:end-access", Level::Practice, Kind::Valid,
     "A backend without persistent grants unmaps a request's pages before it answers.",
     given_back_with_the_answer, kNeedsMaps},
    {"grant/end-access/refusal", "grant:end-access", Level::Practice, Kind::Hostile,
     "A refused request leaves no page mapped.", given_back_with_the_refusal, kNeedsMaps},
    {"grant/end-access/reused", "grant:end-access", Level::Practice, Kind::Valid,
     "A grant ends after each READ, and its reference is given again.", reused},
    {"grant/ring/readonly", "blkif:ring-ref", Level::Practice, Kind::Hostile,
     "The ring's page is granted read-only: the backend does not connect.", readonly_ring, kNothing,
     kPlain, Start::Waiting},
    {"grant/ring/ended", "blkif:ring-ref", Level::Must, Kind::Hostile,
     "The grant of the ring's page ended: the backend does not connect.", ended_ring, kNothing,
     kPlain, Start::Waiting},
    {"grant/ring/foreign", "blkif:ring-ref", Level::Must, Kind::Hostile,
     "The ring's page is granted to another domain: the backend does not connect.",
     ring_for_another, kNeedsGrantsToAny, kPlain, Start::Waiting},
    {"grant/ring/no-ram", "blkif:ring-ref", Level::Must, Kind::Hostile,
     "The ring's page is no RAM: the backend does not connect.", ring_of_no_ram, kNeedsNoRam,
     kPlain, Start::Waiting},
};

} // namespace

std::span<const Case> grant_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
