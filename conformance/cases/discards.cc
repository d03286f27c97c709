/* SPDX-License-Identifier: MIT */
/* Cases: discards. The text lets a backend answer EOPNOTSUPP at any time. */
#include "cases/cases.h"

#include <algorithm>

namespace pvblk::conformance
{

namespace
{

constexpr uint64_t kPage = kPageSize / kSectorSize;

/* It keeps every rule. */
void done(Bench &b, const WireRequest &req)
{
    Answer a = b.ask(req);
    b.expect(a, {{Outcome::Okay, "blkif:discard"}, {Outcome::NotSupported, "blkif:feature-loss"}});
    b.may_have_changed(req.sector, req.nr_sectors);
}

void refused(Bench &b, const WireRequest &req)
{
    b.expect(b.ask(req),
             {{Outcome::Error, "blkif:range"}, {Outcome::NotSupported, "blkif:feature-loss"}});
}

/* The text says nothing of such a request: it only has to be answered. */
void answered(Bench &b, const WireRequest &req, const char *clause)
{
    b.expect(b.ask(req), {{Outcome::Okay, clause},
                          {Outcome::Error, clause},
                          {Outcome::NotSupported, "blkif:feature-loss"}});
}

/* Writes a page, and returns its pattern. */
uint32_t written(Bench &b, uint64_t sector)
{
    WireRequest w = b.request(Op::Write, sector);
    uint32_t pattern = b.fill(w);
    b.expect(b.ask(w), {{Outcome::Okay, "blkif:op"}});
    b.written(w, pattern);
    return pattern;
}

/* What the runner compares after each case is there again. */
void write_edges(Bench &b)
{
    for (uint64_t s = 0; s < 256; s += 64) {
        b.write(s, 8);
        b.write(b.offer().sectors - 256 + s, 8);
    }
}

/* ---- what a discard may cover ------------------------------------------------ */

void granule(Bench &b)
{
    Extent e = b.offer().granule;
    done(b, b.discard(e.at, e.sectors));
}

void one_sector(Bench &b)
{
    Extent e = b.offer().granule;
    uint32_t old = written(b, e.at);
    b.may_have_changed(e.at, 1);
    answered(b, b.discard(e.at, 1), "blkif:discard-count");
    b.expect_content(e.at, 1, {old, Bench::kZeros});
    b.read(e.at);
}

void unaligned(Bench &b)
{
    Extent e = b.offer().granule;
    uint32_t head = written(b, e.at), rest = written(b, e.at + kPage);
    answered(b, b.discard(e.at + 1, 2 * kPage - 1), "blkif:discard-sector");
    b.may_have_changed(e.at + 1, 2 * kPage - 1);
    b.expect_content(e.at, 1, {head});
    b.expect_content(e.at + 1, kPage - 1, {head, Bench::kZeros});
    b.expect_content(e.at + kPage, kPage, {rest, Bench::kZeros});
}

void zero_sectors(Bench &b)
{
    answered(b, b.discard(b.offer().granule.at, 0), "blkif:discard-count");
}

void whole_disk(Bench &b)
{
    done(b, b.discard(0, b.offer().sectors));
    write_edges(b);
}

void last_sectors(Bench &b)
{
    Extent e = b.offer().granule;
    uint64_t at = b.offer().sectors - std::min(e.sectors, b.offer().sectors);
    b.may_have_changed(at, e.sectors);
    answered(b, b.discard(at, e.sectors), "blkif:discard-sector");
    b.write(b.offer().sectors - kPage);
}

void twice(Bench &b)
{
    Extent e = b.offer().granule;
    done(b, b.discard(e.at, e.sectors));
    done(b, b.discard(e.at, e.sectors));
}

void batch(Bench &b)
{
    Extent e = b.offer().granule;
    std::vector<WireRequest> sent;
    for (uint32_t i = 0; i < b.front.size(); i++) {
        sent.push_back(i % 2 ? b.request(Op::Read, 0, 1, i % 32) : b.discard(e.at, e.sectors));
        b.send(sent.back());
    }
    b.may_have_changed(e.at, e.sectors);
    for (const WireRequest &req : sent)
        b.expect(b.answer(req),
                 {{Outcome::Okay, "blkif:op"}, {Outcome::NotSupported, "blkif:feature-loss"}});
}

/* ---- the disk after it --------------------------------------------------------- */

void old_or_zero(Bench &b)
{
    Extent e = b.offer().granule;
    uint32_t old = written(b, e.at);
    done(b, b.discard(e.at, e.sectors));
    b.expect_content(e.at, kPage, {old, Bench::kZeros});
}

void neighbours(Bench &b)
{
    Extent e = b.offer().granule;
    (void)written(b, e.at - kPage);
    (void)written(b, e.end());
    done(b, b.discard(e.at, e.sectors));
    b.read(e.at - kPage);
    b.read(e.end());
}

void write_after(Bench &b)
{
    Extent e = b.offer().granule;
    done(b, b.discard(e.at, e.sectors));
    b.write(e.at);
    b.settle();
    b.read(e.at);
}

/* ---- beyond the disk -------------------------------------------------------------- */

void ends_beyond(Bench &b)
{
    refused(b, b.discard(b.offer().sectors - kPage, kPage + 1));
}
void begins_at_end(Bench &b)
{
    refused(b, b.discard(b.offer().sectors, kPage));
}
void begins_far_beyond(Bench &b)
{
    refused(b, b.discard(b.offer().sectors + (1ull << 40), kPage));
}
void huge_count(Bench &b)
{
    refused(b, b.discard(0, 1ull << 53));
}
/* In 64 bits, sector and count have the sum 4, 8, and 0. */
void sum_wraps(Bench &b)
{
    refused(b, b.discard(kPage, UINT64_MAX - kPage + 5));
    refused(b, b.discard(UINT64_MAX - kPage + 1, 2 * kPage));
    refused(b, b.discard(1ull << 63, 1ull << 63));
}
/* In bytes, 2^55 sectors are 2^64, and 2^54 sectors are below zero as a signed number. */
void sector_wraps(Bench &b)
{
    refused(b, b.discard((1ull << 55) + kPage, kPage));
    refused(b, b.discard((1ull << 54) + kPage, kPage));
}
void count_wraps(Bench &b)
{
    refused(b, b.discard(kPage, (1ull << 55) + kPage));
    refused(b, b.discard(kPage, 1ull << 63));
}

/* ---- the flag ------------------------------------------------------------------------ */

void secure(Bench &b)
{
    Extent e = b.offer().granule;
    (void)written(b, e.at);
    WireRequest before = b.request(Op::Read, e.at, 1, 1), after = b.request(Op::Read, e.at, 1, 2);
    b.expect(b.ask(before), {{Outcome::Okay, "blkif:op"}});
    Answer a = b.ask(b.discard(e.at, e.sectors, kDiscardSecure));
    b.expect(a, {{Outcome::Okay, "blkif:discard-secure"},
                 {Outcome::NotSupported, "blkif:feature-loss"}});
    b.may_have_changed(e.at, e.sectors);
    b.expect(b.ask(after), {{Outcome::Okay, "blkif:op"}});
    bool kept = false;
    for (uint32_t s = 0; s < kPage; s++)
        kept |= std::equal(b.page(1) + s * kSectorSize, b.page(1) + (s + 1) * kSectorSize,
                           b.page(2) + s * kSectorSize);
    b.expect(a.outcome != Outcome::Okay || !kept, "a secure discard leaves no old data",
             "the old data of a sector");
}

void secure_unoffered(Bench &b)
{
    Extent e = b.offer().granule;
    uint32_t old = written(b, e.at);
    b.expect(
        b.ask(b.discard(e.at, e.sectors, kDiscardSecure)),
        {{Outcome::Okay, "blkif:discard-flag"}, {Outcome::NotSupported, "blkif:feature-loss"}});
    b.may_have_changed(e.at, e.sectors);
    b.expect_content(e.at, kPage, {old, Bench::kZeros});
}

void unknown_flags(Bench &b)
{
    Extent e = b.offer().granule;
    uint32_t old = written(b, e.at);
    b.may_have_changed(e.at, e.sectors);
    for (uint32_t bit = 1; bit < 8; bit++)
        answered(b, b.discard(e.at, e.sectors, static_cast<uint8_t>(1u << bit)),
                 "blkif:discard-flag");
    answered(b, b.discard(e.at, e.sectors, 0xfe), "blkif:discard-flag");
    b.expect_content(e.at, kPage, {old, Bench::kZeros});
}

void all_flags(Bench &b)
{
    Extent e = b.offer().granule;
    b.may_have_changed(e.at, e.sectors);
    answered(b, b.discard(e.at, e.sectors, 0xff), "blkif:discard-flag");
}

void secure_beyond(Bench &b)
{
    refused(b, b.discard(b.offer().sectors - kPage, kPage + 1, kDiscardSecure));
}

/* ---- where it is not allowed ----------------------------------------------------------- */

void read_only(Bench &b)
{
    WireRequest before = b.request(Op::Read, 0, 1, 1), after = b.request(Op::Read, 0, 1, 2);
    b.expect(b.ask(before), {{Outcome::Okay, "blkif:op"}});
    for (uint8_t flag : {0, 1})
        b.expect(b.ask(b.discard(0, b.offer().sectors, flag)),
                 {{Outcome::Error, "blkif:read-only"}, {Outcome::NotSupported, "blkif:read-only"}});
    b.expect(b.ask(after), {{Outcome::Okay, "blkif:op"}});
    b.expect(std::equal(b.page(1), b.page(1) + kPageSize, b.page(2)), "the disk is as before",
             "another content of sectors 0 to 7");
}

void unoffered(Bench &b)
{
    for (uint8_t flag : {0, 1})
        b.expect(b.ask(b.discard(64, kPage, flag)), {{Outcome::NotSupported, "blkif:eopnotsupp"}});
    b.read(64);
}

constexpr uint32_t kGranules = kNeedsDiscard | kNeedsGranules;

constexpr Case kCases[] = {
    {"discard/range/granule", "blkif:discard", Level::Must, Kind::Valid,
     "A DISCARD of one granule is done.", granule, kGranules, kAllAxes},
    {"discard/range/one-sector", "blkif:discard-count", Level::Practice, Kind::Boundary,
     "A DISCARD of one sector changes no other.", one_sector, kGranules},
    {"discard/range/unaligned", "blkif:discard-sector", Level::Must, Kind::Boundary,
     "A DISCARD that begins within a granule changes nothing before its first sector.", unaligned,
     kGranules | kNeedsLargeSectors},
    {"discard/range/zero-sectors", "blkif:discard-count", Level::Practice, Kind::Boundary,
     "A DISCARD of zero sectors is answered, and changes nothing.", zero_sectors, kGranules},
    {"discard/range/last-sectors", "blkif:discard", Level::Practice, Kind::Boundary,
     "A DISCARD that ends with the disk is answered.", last_sectors, kGranules},
    {"discard/range/whole-disk", "blkif:discard", Level::Must, Kind::Boundary,
     "A DISCARD of all sectors is done, and the disk can be written again.", whole_disk,
     kNeedsDiscard},
    {"discard/range/twice", "blkif:discard", Level::Must, Kind::Valid,
     "A DISCARD of discarded sectors is done.", twice, kGranules},
    {"discard/range/batch", "blkif:discard", Level::Must, Kind::Liveness,
     "Each of a ring full of DISCARDs and READs is answered once.", batch, kGranules},
    {"discard/content/old-or-zero", "blkif:discard", Level::Practice, Kind::Valid,
     "Discarded sectors have their old data, or zeros.", old_or_zero, kGranules},
    {"discard/content/neighbours", "blkif:discard", Level::Must, Kind::Valid,
     "A DISCARD changes no sector before or after it.", neighbours, kGranules},
    {"discard/content/write-after", "blkif:discard", Level::Must, Kind::Valid,
     "A WRITE after the answer to a DISCARD stays.", write_after, kGranules},
    {"discard/beyond/by-one", "blkif:range", Level::Practice, Kind::Boundary,
     "A DISCARD that ends one sector beyond the disk is refused, and changes nothing.", ends_beyond,
     kNeedsDiscard},
    {"discard/beyond/from-the-end", "blkif:range", Level::Practice, Kind::Boundary,
     "A DISCARD that begins at the end of the disk is refused.", begins_at_end, kNeedsDiscard},
    {"discard/beyond/far", "blkif:range", Level::Practice, Kind::Hostile,
     "A DISCARD that begins far beyond the disk is refused.", begins_far_beyond, kNeedsDiscard},
    {"discard/beyond/2-53-sectors", "blkif:range", Level::Practice, Kind::Hostile,
     "A DISCARD of 2^53 sectors is refused as a whole.", huge_count, kNeedsDiscard},
    {"discard/beyond/sum-wraps", "blkif:range", Level::Practice, Kind::Hostile,
     "A DISCARD is refused if its end wraps in 64 bits.", sum_wraps, kNeedsDiscard},
    {"discard/beyond/sector-wraps", "blkif:range", Level::Practice, Kind::Hostile,
     "A DISCARD is refused if its first byte wraps in 64 bits.", sector_wraps, kNeedsDiscard},
    {"discard/beyond/count-wraps", "blkif:range", Level::Practice, Kind::Hostile,
     "A DISCARD is refused if its number of bytes wraps in 64 bits.", count_wraps, kNeedsDiscard},
    {"discard/beyond/secure", "blkif:range", Level::Practice, Kind::Boundary,
     "A secure DISCARD that ends beyond the disk is refused, and changes nothing.", secure_beyond,
     kNeedsDiscard | kNeedsSecureDiscard},
    {"discard/flag/secure", "blkif:discard-unrecoverable", Level::Must, Kind::Valid,
     "A secure DISCARD leaves no old data.", secure, kGranules | kNeedsSecureDiscard,
     kAbi | kPersistent},
    {"discard/flag/secure-unoffered", "blkif:discard-flag", Level::Must, Kind::Hostile,
     "A secure DISCARD that was not offered is a plain one, or not supported.", secure_unoffered,
     kGranules | kNeedsNoSecureDiscard},
    {"discard/flag/unknown-bits", "blkif:discard-flag", Level::Practice, Kind::Hostile,
     "A DISCARD with unknown flags is answered, and does no more than a plain one.", unknown_flags,
     kGranules},
    {"discard/flag/all-bits", "blkif:discard-flag", Level::Practice, Kind::Hostile,
     "A DISCARD with all flags is answered, and changes no other sector.", all_flags, kGranules},
    {"discard/refusal/read-only", "blkif:read-only", Level::Practice, Kind::Hostile,
     "A DISCARD on a read-only disk is refused, and changes nothing.", read_only, kNeedsReadOnly},
    {"discard/refusal/not-offered", "blkif:eopnotsupp", Level::Must, Kind::Hostile,
     "A DISCARD that was not offered is not supported, and changes nothing.", unoffered,
     kNeedsNoDiscard},
};

} // namespace

std::span<const Case> discard_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
