/* SPDX-License-Identifier: MIT */
/* Cases: segments. */
#include "cases/cases.h"

#include <cstring>

namespace pvblk::conformance
{

namespace
{

constexpr uint64_t kPlace = 96; /* where cases of this area read and write */
constexpr uint8_t kTop = 7;     /* the last sector of a page */

/* One segment: sectors `first` to `last` of data page `page`. */
struct Part {
    uint32_t page;
    uint8_t first, last;
};

WireRequest request_of(Bench &b, Op op, uint64_t sector, std::span<const Part> parts)
{
    WireRequest r = b.request(op, sector, static_cast<uint32_t>(parts.size()));
    for (size_t i = 0; i < parts.size(); i++)
        r.seg[i] = {b.ref(parts[i].page), parts[i].first, parts[i].last};
    return r;
}

void read_parts(Bench &b, uint64_t sector, std::span<const Part> parts)
{
    WireRequest r = request_of(b, Op::Read, sector, parts);
    b.poison(r);
    b.expect(b.ask(r), {{Outcome::Okay, "blkif:segments"}});
    b.compare(r);
}

/* No sector of a page may be in two of the parts. */
void write_parts(Bench &b, uint64_t sector, std::span<const Part> parts)
{
    WireRequest w = request_of(b, Op::Write, sector, parts);
    uint32_t pattern = b.fill(w);
    b.expect(b.ask(w), {{Outcome::Okay, "blkif:segments"}});
    b.written(w, pattern);
}

/* A request of good segments but for one, whose page holds new data. */
void refuse_part(Bench &b, Op op, Part bad, uint32_t at = 0, uint32_t segments = 1)
{
    WireRequest r = b.request(op, kPlace, segments);
    b.fill(r);
    r.seg[at].first_sect = bad.first;
    r.seg[at].last_sect = bad.last;
    b.expect(b.ask(r), {{Outcome::Error, "blkif:first-last"}});
}

/* ---- parts of a page -------------------------------------------------------- */

void read_one_sector(Bench &b)
{
    b.write(kPlace, 2);
    for (uint8_t i = 0; i <= kTop; i++) {
        const Part part[] = {{0, i, i}};
        read_parts(b, kPlace + 11 - i, part);
    }
}

void write_one_sector(Bench &b)
{
    b.write(kPlace, 2);
    for (uint8_t i = 0; i <= kTop; i++) {
        const Part part[] = {{0, i, i}};
        write_parts(b, kPlace + 11 - i, part);
    }
    b.read(kPlace, 2);
}

void read_every_part(Bench &b)
{
    b.write(kPlace);
    for (uint8_t first = 0; first <= kTop; first++)
        for (uint8_t last = first; last <= kTop; last++) {
            const Part part[] = {{0, first, last}};
            read_parts(b, kPlace, part);
        }
}

void write_every_part(Bench &b)
{
    for (uint8_t first = 0; first <= kTop; first++)
        for (uint8_t last = first; last <= kTop; last++) {
            const Part part[] = {{0, first, last}};
            write_parts(b, kPlace, part);
        }
    b.read(kPlace);
}

/* ---- segments that end before they begin -------------------------------------- */

void every_backwards(Bench &b, Op op)
{
    for (uint8_t first = 1; first <= kTop; first++)
        for (uint8_t last = 0; last < first; last++)
            refuse_part(b, op, {0, first, last});
}
void read_backwards(Bench &b)
{
    every_backwards(b, Op::Read);
}
void write_backwards(Bench &b)
{
    every_backwards(b, Op::Write);
}

/* The length comes out as 0 in one, and as a huge number in the other. */
void backwards_by_one(Bench &b)
{
    refuse_part(b, Op::Read, {0, 4, 3});
    refuse_part(b, Op::Write, {0, 4, 3});
}
void backwards_by_most(Bench &b)
{
    refuse_part(b, Op::Read, {0, 255, 0});
    refuse_part(b, Op::Write, {0, 255, 0});
}
/* Together, the two segments have the length of one page. */
void backwards_in_sum(Bench &b)
{
    for (Op op : {Op::Read, Op::Write}) {
        const Part parts[] = {{0, 0, 7}, {1, 4, 3}};
        WireRequest r = request_of(b, op, kPlace, parts);
        b.fill(r);
        b.expect(b.ask(r), {{Outcome::Error, "blkif:first-last"}});
    }
}

/* ---- segments beyond their page ------------------------------------------------ */

void read_to_8(Bench &b)
{
    refuse_part(b, Op::Read, {0, 0, 8});
}
void write_to_8(Bench &b)
{
    refuse_part(b, Op::Write, {0, 0, 8});
}
void read_next_page(Bench &b)
{
    refuse_part(b, Op::Read, {0, 8, 8});
    refuse_part(b, Op::Read, {0, 8, 15});
}
void write_next_page(Bench &b)
{
    refuse_part(b, Op::Write, {0, 8, 8});
    refuse_part(b, Op::Write, {0, 8, 15});
}
void read_to_255(Bench &b)
{
    refuse_part(b, Op::Read, {0, 0, 255});
    refuse_part(b, Op::Read, {0, 7, 255});
}
void write_to_255(Bench &b)
{
    refuse_part(b, Op::Write, {0, 0, 255});
    refuse_part(b, Op::Write, {0, 7, 255});
}
void only_255(Bench &b)
{
    refuse_part(b, Op::Read, {0, 255, 255});
    refuse_part(b, Op::Write, {0, 255, 255});
}
void read_beyond(Bench &b)
{
    for (uint8_t last : {9, 15, 16, 23, 31, 32, 63, 64, 127, 128, 129, 254}) {
        refuse_part(b, Op::Read, {0, 0, last});
        refuse_part(b, Op::Read, {0, last, last});
    }
}

/* ---- one bad segment among good ones ---------------------------------------------- */

void one_bad(Bench &b, Op op)
{
    for (uint32_t at = 0; at < kMaxDirectSegments; at++)
        refuse_part(b, op, {at, 0, 8}, at, kMaxDirectSegments);
}
void one_bad_read(Bench &b)
{
    one_bad(b, Op::Read);
}
void one_bad_write(Bench &b)
{
    one_bad(b, Op::Write);
}
void barrier_with_a_bad_one(Bench &b)
{
    refuse_part(b, Op::WriteBarrier, {1, 5, 4}, 1, 2);
    refuse_part(b, Op::WriteBarrier, {1, 0, 8}, 1, 2);
}

/* ---- several segments ---------------------------------------------------------------- */

constexpr Part kMixed[] = {{0, 0, 7}, {1, 7, 7}, {2, 0, 0}, {3, 3, 5}, {4, 1, 6}, {5, 0, 7},
                           {6, 4, 7}, {7, 0, 3}, {8, 2, 2}, {9, 0, 6}, {10, 6, 7}};

void write_mixed(Bench &b)
{
    write_parts(b, kPlace + 1, kMixed);
    b.read(kPlace, 8);
}

void read_mixed(Bench &b)
{
    b.write(kPlace, 8);
    read_parts(b, kPlace + 1, kMixed);
}

constexpr Part kDescending[] = {{10, 0, 7}, {9, 0, 7}, {8, 0, 7}, {7, 0, 7}, {6, 0, 7}, {5, 0, 7},
                                {4, 0, 7},  {3, 0, 7}, {2, 0, 7}, {1, 0, 7}, {0, 0, 7}};

void write_descending(Bench &b)
{
    write_parts(b, kPlace, kDescending);
    b.read(kPlace, kMaxDirectSegments);
}

void read_descending(Bench &b)
{
    b.write(kPlace, kMaxDirectSegments);
    read_parts(b, kPlace, kDescending);
}

void eleven_sectors(Bench &b)
{
    constexpr Part kSectors[] = {{0, 0, 0}, {1, 7, 7}, {2, 1, 1}, {3, 6, 6}, {4, 2, 2}, {5, 5, 5},
                                 {6, 3, 3}, {7, 4, 4}, {8, 0, 0}, {9, 7, 7}, {10, 3, 3}};
    write_parts(b, kPlace + 3, kSectors);
    b.read(kPlace, 2);
    read_parts(b, kPlace + 2, kSectors);
}

/* ---- one page in several segments ------------------------------------------------------- */

constexpr Part kHalves[] = {{0, 4, 7}, {0, 0, 3}};
constexpr Part kEighths[] = {{0, 7, 7}, {0, 2, 2}, {0, 5, 5}, {0, 0, 0},
                             {0, 6, 6}, {0, 1, 1}, {0, 4, 4}, {0, 3, 3}};

void read_halves(Bench &b)
{
    b.write(kPlace);
    read_parts(b, kPlace, kHalves);
}
void write_halves(Bench &b)
{
    write_parts(b, kPlace, kHalves);
    b.read(kPlace);
}
void read_eighths(Bench &b)
{
    b.write(kPlace);
    read_parts(b, kPlace, kEighths);
}
void write_eighths(Bench &b)
{
    write_parts(b, kPlace, kEighths);
    b.read(kPlace);
}

/* One page is the source of 11 places on the disk. */
void write_one_page_11_times(Bench &b)
{
    const std::vector<Part> same(kMaxDirectSegments, Part{20, 0, kTop});
    WireRequest w = request_of(b, Op::Write, kPlace, same);
    std::memset(b.page(20), 0x5c, kPageSize);
    b.may_have_changed(kPlace, kMaxDirectSegments * 8);
    b.expect(b.ask(w), {{Outcome::Okay, "blkif:segments"}});
    WireRequest r = b.request(Op::Read, kPlace, kMaxDirectSegments);
    b.poison(r);
    b.expect(b.ask(r), {{Outcome::Okay, "blkif:segments"}});
    for (uint32_t i = 0; i < kMaxDirectSegments; i++)
        b.expect(std::memcmp(b.page(i), b.page(20), kPageSize) == 0,
                 "each place holds the data of the page",
                 "segment " + std::to_string(i) + " is another");
    b.write(kPlace, kMaxDirectSegments); /* the model knows these sectors again */
}

/* Nothing says which segment is copied last. Each sector has to be of one. */
void read_one_page_twice(Bench &b)
{
    b.write(kPlace, 2);
    const Part same[] = {{0, 0, kTop}, {0, 0, kTop}};
    WireRequest r = request_of(b, Op::Read, kPlace, same);
    b.poison(r);
    b.expect(b.ask(r), {{Outcome::Okay, "blkif:segments"}});
    for (uint32_t i = 0; i <= kTop; i++) {
        std::span<const std::byte> sector(b.page(0) + i * kSectorSize, kSectorSize);
        Sector wrong;
        b.expect(b.disk().matches(Sector(kPlace + i), sector, wrong) ||
                     b.disk().matches(Sector(kPlace + 8 + i), sector, wrong),
                 "each sector is of one of the two segments",
                 "sector " + std::to_string(i) + " of the page is of neither");
    }
}

/* ---- bytes that mean nothing ------------------------------------------------------------- */

/* A READ of one page at `kPlace`, with these bytes in its slot from `from` on. */
void read_with_junk(Bench &b, uint32_t from, uint32_t end)
{
    b.write(kPlace);
    WireRequest r = b.request(Op::Read, kPlace);
    b.poison(r);
    RingIndex at = b.front.index(SringField::ReqProd);
    uint32_t entry = wire_layout(b.front.abi()).entry_size;
    b.front.stage(r);
    std::byte *slot = b.front.memory() + kSringHeader + at.value % b.front.size() * entry;
    std::memset(slot + from, 0xa5, end - from);
    if (b.front.publish())
        b.front.notify();
    b.expect(b.answer(r), {{Outcome::Okay, "blkif:request"}});
    b.compare(r);
}

void junk_in_unused_segments(Bench &b)
{
    const WireLayout &l = wire_layout(b.front.abi());
    read_with_junk(b, l.req_seg + kSegmentSize, l.req_seg + kMaxDirectSegments * kSegmentSize);
}

void junk_in_padding(Bench &b)
{
    const WireLayout &l = wire_layout(b.front.abi());
    read_with_junk(b, l.req_seg + 6, l.req_seg + kSegmentSize);
}

constexpr Case kCases[] = {
    {"segment/first-last/read-one-sector", "blkif:first-last", Level::Must, Kind::Valid,
     "A READ of one sector fills this sector of its page, at each of the 8 places.",
     read_one_sector, kNeedsSmallSectors, kAllAxes},
    {"segment/first-last/write-one-sector", "blkif:first-last", Level::Must, Kind::Valid,
     "A WRITE of one sector writes this sector of its page, at each of the 8 places.",
     write_one_sector, kNeedsSmallSectors, kAllAxes},
    {"segment/first-last/read-every-part", "blkif:first-last", Level::Must, Kind::Valid,
     "A READ fills every part of a page that it may name, and no other.", read_every_part,
     kNeedsSmallSectors},
    {"segment/first-last/write-every-part", "blkif:first-last", Level::Must, Kind::Valid,
     "A WRITE takes every part of a page that it may name.", write_every_part, kNeedsSmallSectors},

    {"segment/first-last/read-backwards", "blkif:first-last", Level::Must, Kind::Hostile,
     "A READ of a segment that ends before it begins is refused.", read_backwards},
    {"segment/first-last/write-backwards", "blkif:first-last", Level::Must, Kind::Hostile,
     "A WRITE of a segment that ends before it begins is refused, and writes nothing.",
     write_backwards},
    {"segment/first-last/backwards-by-one", "blkif:first-last", Level::Must, Kind::Boundary,
     "A segment whose last sector is just before its first is refused.", backwards_by_one},
    {"segment/first-last/backwards-by-255", "blkif:first-last", Level::Must, Kind::Hostile,
     "A segment from sector 255 to sector 0 is refused.", backwards_by_most},
    {"segment/first-last/backwards-in-sum", "blkif:first-last", Level::Must, Kind::Hostile,
     "A segment that ends before it begins is refused behind a good one, too.", backwards_in_sum},

    {"segment/first-last/read-to-8", "blkif:first-last", Level::Must, Kind::Boundary,
     "A READ of 9 sectors of a page is refused.", read_to_8},
    {"segment/first-last/write-to-8", "blkif:first-last", Level::Must, Kind::Boundary,
     "A WRITE of 9 sectors of a page is refused, and writes nothing.", write_to_8},
    {"segment/first-last/read-next-page", "blkif:first-last", Level::Must, Kind::Hostile,
     "A READ of a segment wholly behind its page is refused.", read_next_page},
    {"segment/first-last/write-next-page", "blkif:first-last", Level::Must, Kind::Hostile,
     "A WRITE of a segment wholly behind its page is refused.", write_next_page},
    {"segment/first-last/read-to-255", "blkif:first-last", Level::Must, Kind::Hostile,
     "A READ of a segment that ends at sector 255 is refused.", read_to_255},
    {"segment/first-last/write-to-255", "blkif:first-last", Level::Must, Kind::Hostile,
     "A WRITE of a segment that ends at sector 255 is refused.", write_to_255},
    {"segment/first-last/only-255", "blkif:first-last", Level::Must, Kind::Hostile,
     "A segment of sector 255 alone is refused.", only_255},
    {"segment/first-last/read-beyond", "blkif:first-last", Level::Must, Kind::Hostile,
     "A READ of a segment beyond its page is refused, whatever bits its end has.", read_beyond},

    {"segment/first-last/one-bad-of-11-read", "blkif:first-last", Level::Must, Kind::Hostile,
     "A READ of 11 segments is refused if any one of them is bad.", one_bad_read},
    {"segment/first-last/one-bad-of-11-write", "blkif:first-last", Level::Must, Kind::Hostile,
     "A WRITE of 11 segments is refused if any one is bad, and writes none.", one_bad_write},
    {"segment/first-last/bad-in-barrier", "blkif:first-last", Level::Must, Kind::Hostile,
     "A WRITE_BARRIER with a bad segment is refused, and writes none.", barrier_with_a_bad_one,
     kNeedsBarrier},

    {"segment/segments/write-mixed-sizes", "blkif:segments", Level::Must, Kind::Valid,
     "A WRITE of segments of all sizes writes them one after another.", write_mixed,
     kNeedsSmallSectors, kAbi | kPersistent},
    {"segment/segments/read-mixed-sizes", "blkif:segments", Level::Must, Kind::Valid,
     "A READ of segments of all sizes fills them one after another.", read_mixed,
     kNeedsSmallSectors, kAbi | kPersistent},
    {"segment/segments/write-descending", "blkif:segments", Level::Must, Kind::Valid,
     "A WRITE takes its pages in the order of its segments.", write_descending},
    {"segment/segments/read-descending", "blkif:segments", Level::Must, Kind::Valid,
     "A READ fills its pages in the order of its segments.", read_descending},
    {"segment/segments/11-single-sectors", "blkif:segments", Level::Must, Kind::Boundary,
     "A WRITE and a READ of 11 segments of one sector each move 11 sectors.", eleven_sectors,
     kNeedsSmallSectors},

    {"segment/one-page/read-halves", "blkif:segments", Level::Must, Kind::Valid,
     "A READ of two segments fills two halves of one page.", read_halves, kNeedsSmallSectors,
     kPersistent},
    {"segment/one-page/write-halves", "blkif:segments", Level::Must, Kind::Valid,
     "A WRITE of two segments takes two halves of one page.", write_halves, kNeedsSmallSectors,
     kPersistent},
    {"segment/one-page/read-eighths", "blkif:segments", Level::Must, Kind::Valid,
     "A READ of 8 segments fills 8 sectors of one page, in their order.", read_eighths,
     kNeedsSmallSectors, kPersistent},
    {"segment/one-page/write-eighths", "blkif:segments", Level::Must, Kind::Valid,
     "A WRITE of 8 segments takes 8 sectors of one page, in their order.", write_eighths,
     kNeedsSmallSectors, kPersistent},
    {"segment/one-page/write-11-times", "blkif:segments", Level::Must, Kind::Valid,
     "A WRITE that names one page 11 times writes it to 11 places.", write_one_page_11_times},
    {"segment/one-page/read-twice", "blkif:segments", Level::Practice, Kind::Hostile,
     "A READ that names one page twice leaves data of either place in each sector.",
     read_one_page_twice},

    {"segment/padding/unused-segments", "blkif:request", Level::Must, Kind::Valid,
     "The place of segments that a request does not have means nothing.", junk_in_unused_segments,
     kNothing, kAbi},
    {"segment/padding/in-a-segment", "blkif:request", Level::Must, Kind::Valid,
     "The two bytes behind the last sector of a segment mean nothing.", junk_in_padding, kNothing,
     kAbi},
};

} // namespace

std::span<const Case> segment_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
