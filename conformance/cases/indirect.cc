/* SPDX-License-Identifier: MIT */
/* Cases: indirect requests, and the lists of their segments. */
#include "cases/cases.h"

#include <algorithm>

namespace pvblk::conformance
{

namespace
{

constexpr uint64_t kSector = 64;
constexpr GrantRef kNoGrant{0x7fffffff};

using Segments = std::vector<WireSegment>;

/* Whole data pages. */
Segments pages(Bench &b, uint32_t count)
{
    Segments list;
    for (uint32_t i = 0; i < count; i++)
        list.push_back({b.ref(i), 0, 7});
    return list;
}

/* One sector each, so that a large number of them needs few pages: the case's own. */
Segments sectors(Bench &b, uint32_t count)
{
    Segments list;
    GrantRef ref;
    for (uint32_t i = 0; i < count; i++) {
        auto place = static_cast<uint8_t>(i % 8);
        if (place == 0)
            ref = b.own_page().ref;
        list.push_back({ref, place, place});
    }
    return list;
}

void okay(Bench &b, const Answer &a)
{
    b.expect(a, {{Outcome::Okay, "blkif:indirect"}});
}

/* Writes the segments to the disk, and reads them into the same pages. */
void there_and_back(Bench &b, uint64_t sector, const Segments &list)
{
    WireRequest w = b.indirect(Op::Write, sector, list);
    b.may_have_changed(w);
    uint32_t pattern = b.fill(w);
    okay(b, b.ask(w));
    b.written(w, pattern);
    WireRequest r = b.indirect(Op::Read, sector, list);
    b.poison(r);
    okay(b, b.ask(r));
    b.compare(r);
}

/* A WRITE that breaks a rule: the runner sees if it changed the disk. */
void refused(Bench &b, const WireRequest &req, const char *clause)
{
    b.expect(b.ask(req), {{Outcome::Error, clause}});
}

/* The same with one bad segment: the first, one in the middle, the last. */
template <class Spoil>
void refused_at_each_place(Bench &b, const char *clause, Spoil spoil)
{
    constexpr uint32_t kCount = 16;
    for (uint32_t bad : {0u, kCount / 2, kCount - 1}) {
        Segments list = pages(b, kCount);
        spoil(list[bad]);
        WireRequest w = b.indirect(Op::Write, kSector, list);
        (void)b.fill(w);
        refused(b, w, clause);
    }
    b.read(kSector, 11);
    b.read(kSector + 88, 5);
}

/* ---- how many ------------------------------------------------------------------ */

void few(Bench &b)
{
    for (uint32_t count : {1u, 2u, 11u, 12u})
        there_and_back(b, kSector, pages(b, count));
}

/* The offer, unless the disk is smaller. */
uint32_t most(Bench &b)
{
    return static_cast<uint32_t>(std::min<uint64_t>(b.offer().indirect, b.offer().sectors));
}
void largest_but_one(Bench &b)
{
    there_and_back(b, 0, sectors(b, most(b) - 1));
}
void largest(Bench &b)
{
    there_and_back(b, 0, sectors(b, most(b)));
}

/* More segments than the backend offered, on sectors that there are. */
void too_many(Bench &b)
{
    Segments list(b.offer().indirect + 1, WireSegment{b.ref(0), 0, 0});
    refused(b, b.indirect(Op::Write, 0, list), "blkif:indirect-limit");
}

void far_too_many(Bench &b)
{
    WireRequest w = b.indirect(Op::Write, 0, pages(b, 12));
    std::fill(w.indirect.begin(), w.indirect.end(), w.indirect[0]);
    w.nr_indirect_segments = UINT16_MAX;
    refused(b, w, "blkif:indirect-limit");
}

void none(Bench &b)
{
    WireRequest w = b.indirect(Op::Write, kSector, pages(b, 12));
    w.nr_indirect_segments = 0;
    b.expect(b.ask(w),
             {{Outcome::Okay, "blkif:indirect-limit"}, {Outcome::Error, "blkif:max-segments"}});
}

/* ---- the operation inside ---------------------------------------------------------- */

void inside(Bench &b, std::initializer_list<uint32_t> operations)
{
    for (uint32_t op : operations) {
        WireRequest w = b.indirect(Op(op), kSector, pages(b, 12));
        (void)b.fill(w);
        b.expect(b.ask(w), {{Outcome::Error, "blkif:indirect-op"},
                            {Outcome::NotSupported, "blkif:indirect-op"}});
    }
    b.read(kSector, 11);
}
void inner_barrier(Bench &b)
{
    inside(b, {2});
}
void inner_flush(Bench &b)
{
    inside(b, {3});
}
void inner_discard(Bench &b)
{
    inside(b, {5});
}
void nested(Bench &b)
{
    inside(b, {6});
}
void inner_unknown(Bench &b)
{
    inside(b, {4, 7, 8, 16, 127, 128, 254, 255});
}

/* The bench checks that each response names 6, or the operation inside. */
void echo(Bench &b)
{
    for (Op op : {Op::Write, Op::Read}) {
        WireRequest req = b.indirect(op, kSector, pages(b, 12));
        uint32_t pattern = b.fill(req);
        Answer a = b.ask(req);
        okay(b, a);
        if (op == Op::Write)
            b.written(req, pattern);
        b.saw("operation " + std::to_string(static_cast<uint32_t>(a.rsp.op)));
    }
}

/* ---- the lists ----------------------------------------------------------------------- */

void two_lists(Bench &b)
{
    there_and_back(b, 0, sectors(b, kSegmentsPerPage + 1));
}

void list_not_granted(Bench &b)
{
    WireRequest w = b.indirect(Op::Write, kSector, pages(b, 12));
    (void)b.fill(w);
    w.indirect[0] = kNoGrant;
    refused(b, w, "blkif:gref");
    b.read(kSector, 11);
}

void second_list_not_granted(Bench &b)
{
    WireRequest w = b.indirect(Op::Write, 0, sectors(b, kSegmentsPerPage + 1));
    (void)b.fill(w);
    w.indirect[1] = kNoGrant;
    refused(b, w, "blkif:gref");
}

void read_only_list(Bench &b)
{
    WireRequest r = b.indirect(Op::Read, 0, 12u);
    SharedPage list = b.own_page(true);
    if (list.at)
        std::copy_n(b.page(Bench::kDataPages - 2), kPageSize, list.at);
    r.indirect[0] = list.ref;
    b.poison(r);
    okay(b, b.ask(r));
    b.compare(r);
}

void unneeded_lists(Bench &b)
{
    WireRequest r = b.indirect(Op::Read, 0, pages(b, 12));
    std::fill(r.indirect.begin() + 1, r.indirect.end(), kNoGrant);
    b.poison(r);
    okay(b, b.ask(r));
    b.compare(r);
}

void rest_of_list(Bench &b)
{
    Segments list = pages(b, 12);
    list.resize(kSegmentsPerPage, WireSegment{kNoGrant, 7, 0});
    WireRequest r = b.indirect(Op::Read, 0, list);
    r.nr_indirect_segments = 12;
    b.poison(r);
    okay(b, b.ask(r));
    b.compare(r);
}

void shared_list(Bench &b)
{
    WireRequest r = b.indirect(Op::Read, 0, pages(b, 12)), again = r;
    again.id = b.front.next_id();
    b.poison(r);
    b.send(r);
    b.send(again);
    okay(b, b.answer(r));
    okay(b, b.answer(again));
    b.compare(r);
}

/* The READ writes over its own list. */
void list_is_read_into(Bench &b)
{
    WireRequest r = b.indirect(Op::Read, 0, pages(b, 12));
    SharedPage list = b.own_page();
    Segments segments = pages(b, 12);
    segments[0] = {list.ref, 0, 7};
    if (list.at)
        put_segments(list.at, segments);
    b.poison(r);
    WireRequest over = r;
    over.id = b.front.next_id();
    over.indirect[0] = list.ref;
    Answer a = b.ask(over);
    b.expect(a, {{Outcome::Okay, "blkif:indirect"}, {Outcome::Error, "blkif:indirect"}});
    if (a.outcome != Outcome::Okay)
        return;
    /* The rest of its data is where the list said; the first page is on the list. */
    if (list.at)
        std::copy_n(list.at, kPageSize, b.page(0));
    b.compare(r);
}

/* The backend has taken the request when its list turns bad. */
void list_changes(Bench &b)
{
    b.domain.hold();
    WireRequest r = b.indirect(Op::Read, 0, 12u);
    b.poison(r);
    b.send(r);
    b.settle();
    std::byte *list = b.page(Bench::kDataPages - 2);
    put_segments(list, Segments(12, WireSegment{kNoGrant, 7, 0}));
    b.domain.release();
    Answer a = b.answer(r);
    b.expect(a, {{Outcome::Okay, "ring:copy"}});
    put_segments(list, pages(b, 12));
    b.compare(r);
}

/* The backend may see the list before or after it changed, or a part of each. */
void list_changes_early(Bench &b)
{
    WireRequest r = b.indirect(Op::Read, 0, 12u);
    b.front.stage(r);
    bool asked = b.front.publish();
    put_segments(b.page(Bench::kDataPages - 2), Segments(6, WireSegment{b.ref(20), 7, 0}));
    if (asked)
        b.front.notify();
    b.expect(b.answer(r), {{Outcome::Okay, "ring:copy"}, {Outcome::Error, "blkif:first-last"}});
}

/* ---- the segments ---------------------------------------------------------------------- */

void bad_grant(Bench &b)
{
    refused_at_each_place(b, "blkif:gref", [](WireSegment &s) { s.gref = kNoGrant; });
}
void first_after_last(Bench &b)
{
    refused_at_each_place(b, "blkif:first-last", [](WireSegment &s) {
        s.first_sect = 5;
        s.last_sect = 4;
    });
}
void beyond_page(Bench &b)
{
    refused_at_each_place(b, "blkif:first-last", [](WireSegment &s) { s.last_sect = 8; });
}

/* The 42 sectors of 12 segments follow one another on the disk. */
void mixed_lengths(Bench &b)
{
    Segments list = pages(b, 12);
    for (uint32_t i = 0; i < 12; i++) {
        list[i].first_sect = static_cast<uint8_t>(i % 3);
        list[i].last_sect = static_cast<uint8_t>(i % 3 + i % 6);
    }
    there_and_back(b, kSector, list);
}

void to_the_end(Bench &b)
{
    there_and_back(b, b.offer().sectors - 96, pages(b, 12));
}
void beyond_the_end(Bench &b)
{
    WireRequest w = b.indirect(Op::Write, b.offer().sectors - 96 + 8, pages(b, 12));
    (void)b.fill(w);
    refused(b, w, "blkif:range");
}

/* ---- the backend ----------------------------------------------------------------------- */

void batch(Bench &b)
{
    std::vector<WireRequest> sent;
    for (uint32_t i = 0; i < b.front.size(); i++) {
        sent.push_back(b.indirect(Op::Read, 0, 12u));
        b.send(sent.back());
    }
    for (const WireRequest &req : sent)
        okay(b, b.answer(req));
}

void read_only(Bench &b)
{
    WireRequest w = b.indirect(Op::Write, 0, pages(b, 12)), r = b.indirect(Op::Read, 0, 12u);
    WireRequest before = b.request(Op::Read, 0, 1, 20), after = b.request(Op::Read, 0, 1, 21);
    b.expect(b.ask(before), {{Outcome::Okay, "blkif:op"}});
    (void)b.fill(w);
    refused(b, w, "blkif:read-only");
    okay(b, b.ask(r));
    b.expect(b.ask(after), {{Outcome::Okay, "blkif:op"}});
    b.expect(std::equal(b.page(20), b.page(20) + kPageSize, b.page(21)), "the disk is as before",
             "another content");
}

void unoffered(Bench &b)
{
    for (Op op : {Op::Read, Op::Write}) {
        WireRequest req = b.indirect(op, kSector, pages(b, 12));
        (void)b.fill(req);
        b.expect(b.ask(req), {{Outcome::NotSupported, "blkif:eopnotsupp"}});
    }
    b.read(kSector, 11);
}

constexpr Case kCases[] = {
    {"indirect/count/few", "blkif:indirect", Level::Must, Kind::Boundary,
     "Indirect requests of 1, 2, 11 and 12 segments move their data.", few, kNeedsIndirect,
     kAllAxes},
    {"indirect/count/largest-but-one", "blkif:indirect-limit", Level::Must, Kind::Boundary,
     "An indirect request of one segment less than the offer moves its data.", largest_but_one,
     kNeedsIndirect},
    {"indirect/count/largest", "blkif:indirect-limit", Level::Practice, Kind::Boundary,
     "An indirect request of as many segments as the offer moves its data.", largest,
     kNeedsIndirect, kPersistent},
    {"indirect/count/one-more", "blkif:indirect-limit", Level::Must, Kind::Boundary,
     "An indirect request of one segment more than the offer is refused, and writes nothing.",
     too_many, kNeedsIndirect},
    {"indirect/count/65535", "blkif:indirect-limit", Level::Must, Kind::Hostile,
     "An indirect request of 65535 segments is refused.", far_too_many, kNeedsIndirect},
    {"indirect/count/zero", "blkif:max-segments", Level::Practice, Kind::Boundary,
     "An indirect request without segments is answered, and writes nothing.", none, kNeedsIndirect},
    {"indirect/inside/barrier", "blkif:indirect-op", Level::Must, Kind::Hostile,
     "An indirect BARRIER is refused, and writes nothing.", inner_barrier, kNeedsIndirect},
    {"indirect/inside/flush", "blkif:indirect-op", Level::Must, Kind::Hostile,
     "An indirect FLUSH is refused, and writes nothing.", inner_flush, kNeedsIndirect},
    {"indirect/inside/discard", "blkif:indirect-op", Level::Must, Kind::Hostile,
     "An indirect DISCARD is refused, and discards nothing.", inner_discard, kNeedsIndirect},
    {"indirect/inside/indirect", "blkif:indirect-op", Level::Must, Kind::Hostile,
     "An indirect request within an indirect one is refused.", nested, kNeedsIndirect},
    {"indirect/inside/unknown", "blkif:indirect-op", Level::Must, Kind::Hostile,
     "Unknown operations within an indirect request are refused.", inner_unknown, kNeedsIndirect},
    {"indirect/response/operation", "ring:rsp-op", Level::Practice, Kind::Valid,
     "The response to an indirect request names operation 6, or the one inside.", echo,
     kNeedsIndirect, kAbi},
    {"indirect/list/two-pages", "blkif:indirect-pages", Level::Must, Kind::Boundary,
     "Segment 513 is the first one on the second page of an indirect request.", two_lists,
     kNeedsIndirect | kNeedsLongLists, kAbi},
    {"indirect/list/not-granted", "blkif:gref", Level::Must, Kind::Hostile,
     "An indirect request is refused if nobody granted its list.", list_not_granted,
     kNeedsIndirect},
    {"indirect/list/second-not-granted", "blkif:gref", Level::Must, Kind::Hostile,
     "An indirect WRITE is refused as a whole if nobody granted its second list.",
     second_list_not_granted, kNeedsIndirect | kNeedsLongLists},
    {"indirect/list/read-only", "grant:readonly", Level::Practice, Kind::Valid,
     "The list of an indirect request may be on a page that is granted for reading only.",
     read_only_list, kNeedsIndirect},
    {"indirect/list/unneeded-pages", "blkif:indirect-pages", Level::Must, Kind::Hostile,
     "The grants of lists that an indirect request does not need are ignored.", unneeded_lists,
     kNeedsIndirect},
    {"indirect/list/rest-of-the-page", "blkif:indirect-pages", Level::Must, Kind::Hostile,
     "The rest of the page that holds a list is ignored.", rest_of_list, kNeedsIndirect},
    {"indirect/list/shared", "blkif:indirect", Level::Practice, Kind::Valid,
     "Two requests in flight may have the same list.", shared_list, kNeedsIndirect, kPersistent},
    {"indirect/list/read-into", "blkif:indirect", Level::Practice, Kind::Hostile,
     "A READ into its own list is refused, or moves all its data.", list_is_read_into,
     kNeedsIndirect, kPersistent},
    {"indirect/list/changes-in-flight", "ring:copy", Level::Practice, Kind::Hostile,
     "A list that changes while its request is at the disk has no effect.", list_changes,
     kNeedsIndirect | kNeedsHold | kNeedsQuiet},
    {"indirect/list/changes-early", "ring:copy", Level::Practice, Kind::Hostile,
     "A request whose list changes after req_prod is done or refused.", list_changes_early,
     kNeedsIndirect},
    {"indirect/segment/bad-grant", "blkif:gref", Level::Must, Kind::Hostile,
     "An indirect WRITE is refused as a whole if nobody granted one of its pages.", bad_grant,
     kNeedsIndirect, kPersistent},
    {"indirect/segment/first-after-last", "blkif:first-last", Level::Must, Kind::Hostile,
     "An indirect WRITE is refused as a whole if a segment ends before it begins.",
     first_after_last, kNeedsIndirect},
    {"indirect/segment/beyond-the-page", "blkif:first-last", Level::Must, Kind::Boundary,
     "An indirect WRITE is refused as a whole if a segment ends beyond its page.", beyond_page,
     kNeedsIndirect},
    {"indirect/segment/mixed-lengths", "blkif:segments", Level::Must, Kind::Valid,
     "Segments of different lengths follow one another on the disk.", mixed_lengths, kNeedsIndirect,
     kPersistent},
    {"indirect/range/to-the-end", "blkif:range", Level::Must, Kind::Boundary,
     "An indirect request that ends with the disk moves its data.", to_the_end, kNeedsIndirect},
    {"indirect/range/beyond-the-end", "blkif:range", Level::Practice, Kind::Boundary,
     "An indirect WRITE that ends beyond the disk is refused, and writes nothing.", beyond_the_end,
     kNeedsIndirect},
    {"indirect/ring/full", "blkif:indirect", Level::Must, Kind::Liveness,
     "Each indirect request of a full ring is done.", batch, kNeedsIndirect},
    {"indirect/refusal/read-only", "blkif:read-only", Level::Practice, Kind::Hostile,
     "An indirect WRITE is refused on a read-only disk, and a READ is done.", read_only,
     kNeedsIndirect | kNeedsReadOnly},
    {"indirect/refusal/not-offered", "blkif:eopnotsupp", Level::Must, Kind::Hostile,
     "An indirect request is not supported if the backend did not offer it.", unoffered,
     kNeedsNoIndirect},
};

} // namespace

std::span<const Case> indirect_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
