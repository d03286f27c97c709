/* SPDX-License-Identifier: MIT */
/* Cases: the place of a request on the disk. */
#include "cases/cases.h"

#include <cstring>

namespace pvblk::conformance
{

namespace
{

constexpr uint64_t kTwoTo54 = 1ull << 54; /* in bytes, 2^63: the sign */
constexpr uint64_t kTwoTo55 = 1ull << 55; /* in bytes, 2^64: 0 */
constexpr uint64_t kTwoTo63 = 1ull << 63;
constexpr uint64_t kLast = ~0ull;

/* A request of whole pages that has to be refused. A WRITE has new data: if any
 * of it gets to the disk, the runner sees the change. */
void refused(Bench &b, Op op, uint64_t sector, uint32_t segments = 1,
             const char *clause = "blkif:range")
{
    WireRequest r = b.request(op, sector, segments);
    b.fill(r);
    b.expect(b.ask(r), {{Outcome::Error, clause}});
}

/* Likewise, of the sectors `first` to `last` of one page. */
void refused_part(Bench &b, Op op, uint64_t sector, uint8_t first, uint8_t last,
                  const char *clause = "blkif:range")
{
    WireRequest r = b.request(op, sector);
    b.fill(r);
    r.seg[0] = {b.ref(0), first, last};
    b.expect(b.ask(r), {{Outcome::Error, clause}});
}

uint64_t end(Bench &b)
{
    return b.offer().sectors;
}

/* ---- the end of the disk ---------------------------------------------------- */

WireRequest last_sector(Bench &b, Op op)
{
    WireRequest r = b.request(op, end(b) - 1);
    r.seg[0].last_sect = 0;
    return r;
}

void read_last_sector(Bench &b)
{
    WireRequest r = last_sector(b, Op::Read);
    b.poison(r);
    b.expect(b.ask(r), {{Outcome::Okay, "blkif:range"}});
    b.compare(r);
}

void write_last_sector(Bench &b)
{
    WireRequest w = last_sector(b, Op::Write);
    uint32_t pattern = b.fill(w);
    b.expect(b.ask(w), {{Outcome::Okay, "blkif:range"}});
    b.written(w, pattern);
    read_last_sector(b);
}

void largest_at_the_end(Bench &b)
{
    b.write(end(b) - 88, kMaxDirectSegments);
    b.read(end(b) - 88, kMaxDirectSegments);
}

void read_at_the_end(Bench &b)
{
    refused(b, Op::Read, end(b));
    refused_part(b, Op::Read, end(b), 0, 0);
}
void write_at_the_end(Bench &b)
{
    refused(b, Op::Write, end(b));
    refused_part(b, Op::Write, end(b), 0, 0);
}
void behind_the_end(Bench &b)
{
    for (Op op : {Op::Read, Op::Write}) {
        refused_part(b, op, end(b) + 1, 0, 0);
        refused(b, op, end(b) + 8);
        refused(b, op, 2 * end(b));
    }
}

void read_across(Bench &b)
{
    for (uint32_t beyond = 1; beyond < 8; beyond++)
        refused(b, Op::Read, end(b) - 8 + beyond);
}
void write_across(Bench &b)
{
    for (uint32_t beyond = 1; beyond < 8; beyond++)
        refused(b, Op::Write, end(b) - 8 + beyond);
}

/* The last segment lies beyond the end. Its page is apart from the others, so that
 * the good part and the bad one are two transfers for any backend. */
void last_segment_beyond(Bench &b, Op op, uint32_t segments)
{
    WireRequest r = b.request(op, end(b) - 8 * (segments - 1), segments);
    r.seg[segments - 1].gref = b.ref(20);
    b.fill(r);
    b.expect(b.ask(r), {{Outcome::Error, "blkif:range"}});
}
void read_last_segment_beyond(Bench &b)
{
    last_segment_beyond(b, Op::Read, 2);
    last_segment_beyond(b, Op::Read, kMaxDirectSegments);
}
void write_last_segment_beyond(Bench &b)
{
    last_segment_beyond(b, Op::Write, 2);
    last_segment_beyond(b, Op::Write, kMaxDirectSegments);
}
void barrier_last_segment_beyond(Bench &b)
{
    last_segment_beyond(b, Op::WriteBarrier, 2);
}

/* Of a list of 12 pages, the last one lies beyond the end. */
void indirect_last_segment_beyond(Bench &b)
{
    for (Op op : {Op::Read, Op::Write}) {
        WireRequest r = b.indirect(op, end(b) - 88, 12);
        b.fill(r);
        b.expect(b.ask(r), {{Outcome::Error, "blkif:range"}});
    }
}

/* ---- numbers that do not fit ---------------------------------------------------- */

/* At each of these, a backend that drops upper bits finds sectors 8 to 15. */
void read_wrap_of_bytes(Bench &b)
{
    refused(b, Op::Read, kTwoTo55 + 8);
}
void write_wrap_of_bytes(Bench &b)
{
    refused(b, Op::Write, kTwoTo55 + 8);
}
void read_sign_of_bytes(Bench &b)
{
    refused(b, Op::Read, kTwoTo54 + 8);
    refused(b, Op::Read, kTwoTo54 - 8); /* its end is 2^63 bytes */
}
void write_sign_of_bytes(Bench &b)
{
    refused(b, Op::Write, kTwoTo54 + 8);
    refused(b, Op::Write, kTwoTo54 - 8);
}
void read_sign_of_sectors(Bench &b)
{
    refused(b, Op::Read, kTwoTo63 + 8);
    refused(b, Op::Read, kTwoTo63 - 8);
}
void write_sign_of_sectors(Bench &b)
{
    refused(b, Op::Write, kTwoTo63 + 8);
    refused(b, Op::Write, kTwoTo63 - 8);
}

void every_bit(Bench &b, Op op)
{
    for (uint64_t bit = kTwoTo63; bit > end(b); bit >>= 1)
        refused(b, op, bit + 8);
}
void read_every_bit(Bench &b)
{
    every_bit(b, Op::Read);
}
void write_every_bit(Bench &b)
{
    every_bit(b, Op::Write);
}

void read_largest_number(Bench &b)
{
    refused_part(b, Op::Read, kLast, 0, 0); /* it would end at 0 */
    refused(b, Op::Read, kLast);
}
void write_largest_number(Bench &b)
{
    refused_part(b, Op::Write, kLast, 0, 0);
    refused(b, Op::Write, kLast);
}
/* The first segment would end at 2^64, the second would be sectors 0 to 7. */
void read_wrap_of_end(Bench &b)
{
    refused(b, Op::Read, kLast - 7, 2);
    refused(b, Op::Read, kLast - 7);
}
void write_wrap_of_end(Bench &b)
{
    refused(b, Op::Write, kLast - 7, 2);
    refused(b, Op::Write, kLast - 7);
}

void flush_anywhere(Bench &b)
{
    for (uint64_t sector : {end(b), kTwoTo63, kLast})
        b.expect(b.ask(b.request(Op::FlushDiskcache, sector, 0)),
                 {{Outcome::Okay, "blkif:sector-number"}});
}

/* ---- a read-only disk ----------------------------------------------------------------- */

using Page = std::vector<std::byte>;

/* A READ of the first page of the disk. Its model is not known: we never wrote it. */
Page first_page(Bench &b)
{
    WireRequest r = b.request(Op::Read, 0);
    b.poison(r);
    b.expect(b.ask(r), {{Outcome::Okay, "blkif:read-only"}});
    return Page(b.page(0), b.page(0) + kPageSize);
}

/* Sends a request that would change the first page, and expects that it did not. */
void leaves_first_page(Bench &b, const WireRequest &req, std::initializer_list<Legal> legal)
{
    Page before = first_page(b);
    b.fill(req);
    b.expect(b.ask(req), legal);
    Page after = first_page(b);
    b.expect(before == after, "a read-only disk keeps its data", "the first page changed");
}

void readonly_read(Bench &b)
{
    Page once = first_page(b);
    Page again = first_page(b);
    b.expect(once == again, "two READs return the same", "they differ");
}

void readonly_write(Bench &b)
{
    leaves_first_page(b, b.request(Op::Write, 0), {{Outcome::Error, "blkif:read-only"}});
}

void readonly_write_beyond(Bench &b)
{
    refused(b, Op::Write, end(b), 1, "blkif:read-only");
    refused(b, Op::Write, kLast, 1, "blkif:read-only");
}

void readonly_barrier(Bench &b)
{
    leaves_first_page(
        b, b.request(Op::WriteBarrier, 0),
        {{Outcome::Error, "blkif:read-only"}, {Outcome::NotSupported, "blkif:eopnotsupp"}});
}

void readonly_empty_barrier(Bench &b)
{
    b.expect(b.ask(b.request(Op::WriteBarrier, 0, 0)),
             {{Outcome::Okay, "blkif:feature-barrier"},
              {Outcome::Error, "blkif:read-only"},
              {Outcome::NotSupported, "blkif:eopnotsupp"}});
}

void readonly_discard(Bench &b)
{
    for (uint8_t flag : {0, 1})
        leaves_first_page(
            b, b.discard(0, 8, flag),
            {{Outcome::Error, "blkif:read-only"}, {Outcome::NotSupported, "blkif:eopnotsupp"}});
}

void readonly_flush(Bench &b)
{
    b.expect(b.ask(b.request(Op::FlushDiskcache, 0, 0)),
             {{Outcome::Okay, "blkif:flush"},
              {Outcome::Error, "blkif:read-only"},
              {Outcome::NotSupported, "blkif:eopnotsupp"}});
}

void readonly_flush_with_data(Bench &b)
{
    WireRequest r = b.request(Op::FlushDiskcache, 0);
    leaves_first_page(b, r,
                      {{Outcome::Error, "blkif:read-only"},
                       {Outcome::Okay, "blkif:flush"},
                       {Outcome::NotSupported, "blkif:eopnotsupp"}});
}

void readonly_indirect(Bench &b)
{
    leaves_first_page(b, b.indirect(Op::Write, 0, 12), {{Outcome::Error, "blkif:read-only"}});
}

/* ---- a disk of 4096-byte sectors ---------------------------------------------------------- */

/* Were sector_number a number of 4096-byte sectors, the second WRITE would be far
 * behind the first, and the READ would not find it. */
void large_counts_in_512(Bench &b)
{
    b.write(0);
    b.write(8);
    b.read(0, 2);
}

void large_end(Bench &b)
{
    b.write(end(b) - 88, kMaxDirectSegments);
    b.read(end(b) - 8);
}

void large_beyond(Bench &b)
{
    for (Op op : {Op::Read, Op::Write}) {
        refused(b, op, end(b));
        refused(b, op, end(b) - 8, 2);
    }
}

void large_number_within(Bench &b, Op op)
{
    for (uint64_t sector = 9; sector < 16; sector++)
        refused(b, op, sector, 1, "blkif:sector-number");
}
void large_read_within(Bench &b)
{
    large_number_within(b, Op::Read);
}
void large_write_within(Bench &b)
{
    large_number_within(b, Op::Write);
}

/* The end of the request is the end of the disk, or beyond it in the last sector. */
void large_across(Bench &b)
{
    for (Op op : {Op::Read, Op::Write}) {
        refused(b, op, end(b) - 4);
        refused_part(b, op, end(b) - 4, 0, 3);
    }
}

void large_part(Bench &b, Op op)
{
    for (uint8_t i = 1; i < 8; i++) {
        refused_part(b, op, 8, i, 7, "blkif:segment-alignment");
        refused_part(b, op, 8, 0, static_cast<uint8_t>(i - 1), "blkif:segment-alignment");
    }
}
void large_read_part(Bench &b)
{
    large_part(b, Op::Read);
}
void large_write_part(Bench &b)
{
    large_part(b, Op::Write);
}

/* Together, two halves have the length of a sector. */
void large_halves(Bench &b)
{
    for (Op op : {Op::Read, Op::Write}) {
        WireRequest r = b.request(op, 8, 2);
        b.fill(r);
        r.seg[0].last_sect = 3;
        r.seg[1].first_sect = 4;
        b.expect(b.ask(r), {{Outcome::Error, "blkif:segment-alignment"}});
    }
}

constexpr Case kCases[] = {
    {"range/range/read-last-sector", "blkif:range", Level::Must, Kind::Boundary,
     "A READ returns the last sector of the disk.", read_last_sector, kNeedsSmallSectors},
    {"range/range/write-last-sector", "blkif:range", Level::Must, Kind::Boundary,
     "A WRITE reaches the last sector of the disk.", write_last_sector, kNeedsSmallSectors},
    {"range/range/largest-at-end", "blkif:range", Level::Must, Kind::Boundary,
     "A WRITE and a READ of 11 pages may end at the end of the disk.", largest_at_the_end},
    {"range/range/read-at-end", "blkif:range", Level::Must, Kind::Boundary,
     "A READ at the first sector that the disk does not have is refused.", read_at_the_end},
    {"range/range/write-at-end", "blkif:range", Level::Must, Kind::Boundary,
     "A WRITE at the first sector that the disk does not have is refused.", write_at_the_end},
    {"range/range/behind-end", "blkif:range", Level::Must, Kind::Hostile,
     "A READ and a WRITE behind the end of the disk are refused.", behind_the_end},
    {"range/range/read-across-end", "blkif:range", Level::Must, Kind::Boundary,
     "A READ that begins before the end of the disk and ends behind it is refused.", read_across},
    {"range/range/write-across-end", "blkif:range", Level::Must, Kind::Boundary,
     "A WRITE across the end of the disk is refused, and writes nothing before it.", write_across},
    {"range/range/read-last-segment-beyond", "blkif:range", Level::Must, Kind::Hostile,
     "A READ whose last segment alone is beyond the end is refused.", read_last_segment_beyond},
    {"range/range/write-last-segment-beyond", "blkif:range", Level::Must, Kind::Hostile,
     "A WRITE whose last segment alone is beyond the end is refused, and writes none.",
     write_last_segment_beyond},
    {"range/range/barrier-last-segment-beyond", "blkif:range", Level::Must, Kind::Hostile,
     "A WRITE_BARRIER whose last segment alone is beyond the end writes none.",
     barrier_last_segment_beyond, kNeedsBarrier},
    {"range/range/indirect-last-segment-beyond", "blkif:range", Level::Must, Kind::Hostile,
     "An indirect request whose last segment alone is beyond the end is refused.",
     indirect_last_segment_beyond, kNeedsIndirect},

    {"range/range/read-wrap-of-bytes", "blkif:range", Level::Must, Kind::Regression,
     "A READ at 2^55 is refused: its place in bytes does not fit 64 bits.", read_wrap_of_bytes},
    {"range/range/write-wrap-of-bytes", "blkif:range", Level::Must, Kind::Regression,
     "A WRITE at 2^55 is refused: its place in bytes does not fit 64 bits.", write_wrap_of_bytes},
    {"range/range/read-sign-of-bytes", "blkif:range", Level::Must, Kind::Hostile,
     "A READ at 2^54 is refused: its place in bytes has the bit of a sign.", read_sign_of_bytes},
    {"range/range/write-sign-of-bytes", "blkif:range", Level::Must, Kind::Hostile,
     "A WRITE at 2^54 is refused: its place in bytes has the bit of a sign.", write_sign_of_bytes},
    {"range/range/read-sign-of-sectors", "blkif:range", Level::Must, Kind::Hostile,
     "A READ at 2^63 is refused.", read_sign_of_sectors},
    {"range/range/write-sign-of-sectors", "blkif:range", Level::Must, Kind::Hostile,
     "A WRITE at 2^63 is refused.", write_sign_of_sectors},
    {"range/range/read-every-bit", "blkif:range", Level::Must, Kind::Hostile,
     "A READ is refused beyond the end, whichever upper bit of its sector is set.", read_every_bit},
    {"range/range/write-every-bit", "blkif:range", Level::Must, Kind::Hostile,
     "A WRITE is refused beyond the end, whichever upper bit of its sector is set.",
     write_every_bit},
    {"range/range/read-largest-number", "blkif:range", Level::Must, Kind::Boundary,
     "A READ at 2^64-1 is refused.", read_largest_number},
    {"range/range/write-largest-number", "blkif:range", Level::Must, Kind::Boundary,
     "A WRITE at 2^64-1 is refused.", write_largest_number},
    {"range/range/read-wrap-of-end", "blkif:range", Level::Must, Kind::Hostile,
     "A READ whose end does not fit 64 bits is refused.", read_wrap_of_end},
    {"range/range/write-wrap-of-end", "blkif:range", Level::Must, Kind::Hostile,
     "A WRITE whose end does not fit 64 bits is refused, and writes nothing.", write_wrap_of_end},
    {"range/sector-number/flush-anywhere", "blkif:sector-number", Level::Must, Kind::Valid,
     "The sector of a FLUSH means nothing.", flush_anywhere, kNeedsFlush},

    {"range/read-only/read", "blkif:read-only", Level::Must, Kind::Valid,
     "A read-only disk can be read.", readonly_read, kNeedsReadOnly},
    {"range/read-only/write", "blkif:read-only", Level::Must, Kind::Hostile,
     "A WRITE to a read-only disk is refused, and changes nothing.", readonly_write,
     kNeedsReadOnly},
    {"range/read-only/write-beyond-end", "blkif:read-only", Level::Must, Kind::Hostile,
     "A WRITE beyond the end of a read-only disk is refused.", readonly_write_beyond,
     kNeedsReadOnly},
    {"range/read-only/barrier", "blkif:read-only", Level::Must, Kind::Hostile,
     "A WRITE_BARRIER with data to a read-only disk is refused.", readonly_barrier, kNeedsReadOnly},
    {"range/read-only/empty-barrier", "blkif:read-only", Level::May, Kind::Valid,
     "A WRITE_BARRIER without segments to a read-only disk is answered.", readonly_empty_barrier,
     kNeedsReadOnly},
    {"range/read-only/discard", "blkif:read-only", Level::Must, Kind::Hostile,
     "A DISCARD on a read-only disk is refused, and discards nothing.", readonly_discard,
     kNeedsReadOnly},
    {"range/read-only/flush", "blkif:read-only", Level::May, Kind::Valid,
     "A FLUSH of a read-only disk is answered.", readonly_flush, kNeedsReadOnly},
    {"range/read-only/flush-with-data", "blkif:read-only", Level::Must, Kind::Hostile,
     "A FLUSH with a segment does not write to a read-only disk.", readonly_flush_with_data,
     kNeedsReadOnly},
    {"range/read-only/indirect-write", "blkif:read-only", Level::Must, Kind::Hostile,
     "An indirect WRITE to a read-only disk is refused.", readonly_indirect,
     kNeedsReadOnly | kNeedsIndirect},

    {"range/sector-units/place-in-512", "blkif:sector-units", Level::Must, Kind::Valid,
     "On a disk of 4096-byte sectors, sector 8 is 4096 bytes behind sector 0.", large_counts_in_512,
     kNeedsLargeSectors},
    {"range/sector-units/end-in-512", "blkif:sector-units", Level::Must, Kind::Boundary,
     "On a disk of 4096-byte sectors, the last page is 8 sectors before the end.", large_end,
     kNeedsLargeSectors},
    {"range/sector-units/beyond-end", "blkif:range", Level::Must, Kind::Boundary,
     "On a disk of 4096-byte sectors, a request beyond the end is refused.", large_beyond,
     kNeedsLargeSectors},
    {"range/sector-number/read-within-sector", "blkif:sector-number", Level::Must, Kind::Hostile,
     "A READ that begins within a sector of the disk is refused.", large_read_within,
     kNeedsLargeSectors},
    {"range/sector-number/write-within-sector", "blkif:sector-number", Level::Must, Kind::Hostile,
     "A WRITE that begins within a sector of the disk is refused, and writes nothing.",
     large_write_within, kNeedsLargeSectors},
    {"range/sector-number/half-of-last-sector", "blkif:sector-number", Level::Must, Kind::Hostile,
     "A request that begins within the last sector of the disk is refused.", large_across,
     kNeedsLargeSectors},
    {"range/segment-alignment/read-part", "blkif:segment-alignment", Level::Must, Kind::Hostile,
     "A READ of a part of a sector of the disk is refused.", large_read_part, kNeedsLargeSectors},
    {"range/segment-alignment/write-part", "blkif:segment-alignment", Level::Must, Kind::Hostile,
     "A WRITE of a part of a sector of the disk is refused, and writes nothing.", large_write_part,
     kNeedsLargeSectors},
    {"range/segment-alignment/two-halves", "blkif:segment-alignment", Level::Must, Kind::Hostile,
     "A sector of the disk in two segments is refused.", large_halves, kNeedsLargeSectors},
};

} // namespace

std::span<const Case> range_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
