/* SPDX-License-Identifier: MIT */
/* Layer `front`: requests in parts that a backend takes. */
#include "front/splitter.h"

#include "front/negotiation.h"
#include "front/terms.h"

#include <algorithm>
#include <cstring>

namespace pvblk
{

/* Without a cache there is nothing to flush. A secure discard is no advice:
 * Terms::judge() refuses an unaligned one, and a flush that was withdrawn. */
bool Splitter::nothing_to_send(const Job &job) const
{
    if (job.req.kind == IoKind::Flush)
        return !plan_.can_flush();
    return job.req.kind == IoKind::Discard && !job.outstanding && job.offset == 0 &&
           discard_start(plan_, job.req) >= job.start() + job.bytes;
}

Filled Splitter::fill(Slot &slot)
{
    Job &job = *slot.job;
    switch (job.req.kind) {
    case IoKind::Flush: fill_flush(slot); return Filled::Done;
    case IoKind::Discard:
    case IoKind::SecureDiscard: fill_discard(slot); return Filled::Done;
    case IoKind::Read:
    case IoKind::Write: break;
    }
    if (!job.all_sent())
        return fill_data(slot);
    fill_flush(slot); /* what makes a write stable */
    job.flush_left = false;
    return Filled::Done;
}

void Splitter::fill_flush(Slot &slot) const
{
    slot.op = plan_.flush ? Op::FlushDiskcache : Op::WriteBarrier;
    slot.offset = slot.job->offset;
}

void Splitter::fill_discard(Slot &slot) const
{
    Job &job = *slot.job;
    slot.op = Op::Discard;
    slot.secure = job.req.kind == IoKind::SecureDiscard;
    slot.offset = discard_start(plan_, job.req) - job.start();
    slot.bytes = job.bytes - slot.offset;
    job.offset = job.bytes;
}

Filled Splitter::fill_data(Slot &slot)
{
    Job &job = *slot.job;
    slot.op = job.req.kind == IoKind::Read ? Op::Read : Op::Write;
    slot.offset = job.offset;
    while (slot.pieces < plan_.max_segments && !job.all_sent()) {
        if (slot.pieces >= kMaxDirectSegments && !room_in_list(slot))
            break;
        Filled result = add_piece(slot);
        if (result == Filled::Refused) {
            slots_.release(slot);
            return result;
        }
        if (result == Filled::NoRoom)
            break; /* as much as there is room for */
    }
    if (slot.pieces <= kMaxDirectSegments)
        slots_.release_lists(slot);
    flush_with_data(slot);
    return slot.pieces ? Filled::Done : Filled::NoRoom;
}

/* blkif.h: a barrier is stable when it is answered. It is no operation of an
 * indirect request, and says nothing of the parts before it. */
void Splitter::flush_with_data(Slot &slot) const
{
    Job &job = *slot.job;
    bool whole = slot.offset == 0 && job.all_sent();
    if (!job.flush_left || plan_.flush || !plan_.barrier || !whole || slot.lists)
        return;
    slot.op = Op::WriteBarrier;
    job.flush_left = false;
}

/* A place for the next segment to be listed in. From the twelfth segment on all
 * of them are. */
bool Splitter::room_in_list(Slot &slot)
{
    while (slot.lists < list_pages(slot.pieces + 1))
        if (!slots_.add_list(slot, memory_))
            return false;
    return true;
}

/* One more segment, and the grant for it, which lives until the response. */
Filled Splitter::add_piece(Slot &slot)
{
    const Job &job = *slot.job;
    uint32_t direct = direct_bytes(job.req, job.at, job.bytes - job.offset);
    return direct ? grant_in_place(slot, direct) : bounce(slot);
}

Filled Splitter::grant_in_place(Slot &slot, uint32_t bytes)
{
    if (!pool_.free_grants())
        return Filled::NoRoom;
    const Job &job = *slot.job;
    uint64_t gpa = job.at.gpa(job.req.buffer);
    /* The backend only reads what we write. */
    auto grant = pool_.grant(Gfn(gpa >> kPageShift), slot.op == Op::Write);
    if (!grant)
        return Filled::Refused;
    Piece piece;
    piece.bytes = bytes;
    put(slot, *grant, piece, gpa % kPageSize);
    return Filled::Done;
}

Filled Splitter::bounce(Slot &slot)
{
    if (!pool_.lendable())
        return Filled::NoRoom;
    const Job &job = *slot.job;
    bool writes = slot.op == Op::Write;
    Piece piece;
    piece.bounced = true;
    piece.bytes = bounce_bytes(job);
    auto lent = pool_.lend(writes, [&](PageIndex index) {
        std::byte *page = memory_.page(index);
        /* Zero the bytes that the backend must not see, or not take for data. */
        uint32_t used = writes ? piece.bytes : 0;
        gather(job.req.buffer, job.at, {page, used});
        std::memset(page + used, 0, kPageSize - used);
    });
    if (!lent)
        return Filled::Refused;
    piece.page = lent->page;
    put(slot, lent->grant, piece, 0);
    return Filled::Done;
}

/* `offset`: where in its page the data begins. */
void Splitter::put(Slot &slot, uint32_t grant, Piece piece, uint32_t offset)
{
    piece.at = slot.job->at;
    piece.first_sect = static_cast<uint8_t>(offset / wire_unit());
    piece.last_sect = static_cast<uint8_t>((offset + piece.bytes) / wire_unit() - 1);
    slots_.add(slot, grant, piece);
    slot.bytes += piece.bytes;
    slot.job->advance(piece.bytes);
}

/* How many bytes of the `left` ones at `at` can be granted where they are:
 * whole sectors, aligned, within one page. 0: none. */
uint32_t Splitter::direct_bytes(const IoRequest &req, const BufferCursor &at, uint64_t left) const
{
    if (config_.always_bounce || plan_.persistent || !plan_.trusted || !req.direct)
        return 0;
    uint64_t gpa = at.gpa(req.buffer);
    uint64_t in_page = kPageSize - gpa % kPageSize;
    uint64_t n = std::min({at.here(req.buffer), in_page, left});
    if (gpa % plan_.sector_size)
        return 0;
    return static_cast<uint32_t>(n - n % plan_.sector_size);
}

/* How many bytes to gather into one private page: whole sectors, and no more
 * than up to where granting in place is possible again. */
uint32_t Splitter::bounce_bytes(const Job &job) const
{
    uint64_t left = job.bytes - job.offset;
    uint32_t max = static_cast<uint32_t>(std::min<uint64_t>(left, kPageSize));
    BufferCursor at = job.at;
    uint32_t n = 0;
    while (n < max) {
        at.advance(job.req.buffer, plan_.sector_size);
        n += plan_.sector_size;
        if (n < max && direct_bytes(job.req, at, left - n))
            break;
    }
    return n;
}

WireRequest Splitter::encode(const Slot &slot)
{
    WireRequest req;
    req.op = slot.lists ? Op::Indirect : slot.op;
    req.handle = config_.handle;
    req.id = slots_.id(slot);
    req.sector = slot.bytes ? (slot.job->start() + slot.offset) / wire_unit() : 0;
    if (slot.op == Op::Discard) {
        req.nr_sectors = slot.bytes / wire_unit();
        req.nr_segments = slot.secure ? kDiscardSecure : 0;
    } else {
        encode_segments(slot, req);
    }
    return req;
}

/* In the request itself, or in the pages that it names. */
void Splitter::encode_segments(const Slot &slot, WireRequest &req)
{
    uint32_t n = 0;
    slots_.each_piece(slot, [&](uint32_t grant, const Piece &p) {
        WireSegment segment{pool_.ref(grant), p.first_sect, p.last_sect};
        if (slot.lists)
            put_segments(memory_.page(slot.list[n / kSegmentsPerPage].page) +
                             n % kSegmentsPerPage * kSegmentSize,
                         {&segment, 1});
        else
            req.seg[n] = segment;
        n++;
    });
    if (!slot.lists) {
        req.nr_segments = static_cast<uint8_t>(n);
        return;
    }
    req.indirect_op = slot.op;
    req.nr_indirect_segments = static_cast<uint16_t>(n);
    for (uint32_t i = 0; i < slot.lists; i++)
        req.indirect[i] = pool_.ref(slot.list[i].grant);
}

} // namespace pvblk
