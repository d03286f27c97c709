/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: splitting. A part of an accepted request, as much as the plan
 * and the pools allow, into a slot, with the grants that it needs. Serves
 * blkif.h struct blkif_request, blkif_request_indirect, blkif_request_discard.
 */
#include "pvblk/front.h"

#include <algorithm>
#include <cstring>

namespace pvblk
{

uint64_t BlockFront::wire_unit() const
{
    return unit_bytes(plan_.units, plan_.sector_size);
}

/* sector_number has to be aligned to the granularity (blkif.h since
 * e9a0101dde). Discard is advice: a head that is not aligned keeps its data. */
uint64_t BlockFront::discard_start(const IoRequest &req) const
{
    uint64_t start = req.sector.value << kSectorShift;
    uint64_t g = plan_.discard_granularity, a = plan_.discard_alignment;
    if (g == 0)
        return start;
    return start <= a ? a : a + (start - a + g - 1) / g * g;
}

bool BlockFront::off_granularity(const IoRequest &req) const
{
    return discard_start(req) != req.sector.value << kSectorShift;
}

/* A secure discard is no advice: judge() refuses one that is off. */
bool BlockFront::nothing_to_discard(const Job &job) const
{
    return job.req.kind == IoKind::Discard && !job.outstanding && job.offset == 0 &&
           discard_start(job.req) >= (job.req.sector.value << kSectorShift) + job.bytes;
}

/* The next ring request of a job. */
BlockFront::Fill BlockFront::fill_slot(uint32_t job_index, Slot &slot)
{
    Job &job = jobs_[job_index];
    uint32_t generation = slot.generation;
    slot = Slot{};
    slot.generation = generation;
    slot.job = job_index;
    switch (job.req.kind) {
    case IoKind::Flush:
        slot.op = plan_.flush ? Op::FlushDiskcache : Op::WriteBarrier;
        return Fill::Done;
    case IoKind::Discard:
    case IoKind::SecureDiscard:
        slot.op = Op::Discard;
        slot.secure = job.req.kind == IoKind::SecureDiscard;
        slot.offset = discard_start(job.req) - (job.req.sector.value << kSectorShift);
        slot.bytes = job.bytes - slot.offset;
        job.offset = job.bytes;
        return Fill::Done;
    case IoKind::Read:
    case IoKind::Write: break;
    }
    if (job.offset == job.bytes) { /* what makes a write stable */
        slot.op = plan_.flush ? Op::FlushDiskcache : Op::WriteBarrier;
        slot.offset = job.offset;
        job.flush_left = false;
        return Fill::Done;
    }
    return fill_data(job, slot);
}

BlockFront::Fill BlockFront::fill_data(Job &job, Slot &slot)
{
    slot.op = job.req.kind == IoKind::Read ? Op::Read : Op::Write;
    slot.offset = job.offset;
    while (slot.pieces < plan_.max_segments && job.offset < job.bytes) {
        if (slot.pieces >= kMaxDirectSegments && !room_in_list(slot))
            break;
        Fill result = add_piece(job, slot);
        if (result == Fill::Refused) {
            release_slot(slot);
            return result;
        }
        if (result == Fill::NoRoom)
            break; /* as much as there is room for */
    }
    if (slot.pieces <= kMaxDirectSegments)
        release_lists(slot);
    /* blkif.h: a barrier is stable when it is answered. It is no operation of
     * an indirect request, and says nothing of the parts before it. */
    bool whole = slot.offset == 0 && job.offset == job.bytes;
    if (job.flush_left && !plan_.flush && plan_.barrier && whole && !slot.lists) {
        slot.op = Op::WriteBarrier;
        job.flush_left = false;
    }
    return slot.pieces ? Fill::Done : Fill::NoRoom;
}

/* A page for the next segment to be listed in. From the twelfth segment on all
 * of them are. */
bool BlockFront::room_in_list(Slot &slot)
{
    while (slot.lists < list_pages(slot.pieces + 1)) {
        auto page = pool_.lend(
            true, [this](PageIndex p) { std::memset(ports_.memory.page(p), 0, kPageSize); });
        if (!page)
            return false;
        slot.list[slot.lists++] = *page;
    }
    return true;
}

/* One more segment, and the grant for it, which lives until the response. */
BlockFront::Fill BlockFront::add_piece(Job &job, Slot &slot)
{
    bool writes = slot.op == Op::Write;
    uint64_t left = job.bytes - job.offset;
    Piece p{};
    p.iov = job.iov;
    p.iov_offset = job.iov_offset;
    p.bytes = direct_bytes(job, left);
    p.bounced = p.bytes == 0;
    uint32_t offset = 0;
    uint32_t grant;
    if (p.bounced) {
        if (!pool_.lendable())
            return Fill::NoRoom;
        p.bytes = bounce_bytes(job, left);
        auto lent = pool_.lend(writes, [&](PageIndex page) {
            /* What is not ours to show, or not to be taken for data, is 0. */
            uint32_t used = writes ? p.bytes : 0;
            p.page = page;
            if (writes)
                copy(p, job.req.buffer, false);
            std::memset(ports_.memory.page(page) + used, 0, kPageSize - used);
        });
        if (!lent)
            return Fill::Refused;
        grant = lent->grant;
    } else {
        if (!pool_.free_grants())
            return Fill::NoRoom;
        uint64_t gpa = job.req.buffer.gpa[job.iov] + job.iov_offset;
        offset = gpa % kPageSize;
        /* The backend only reads what we write. */
        auto granted = pool_.grant(Gfn(gpa >> kPageShift), writes);
        if (!granted)
            return Fill::Refused;
        grant = *granted;
    }
    p.first_sect = static_cast<uint8_t>(offset / wire_unit());
    p.last_sect = static_cast<uint8_t>((offset + p.bytes) / wire_unit() - 1);
    pieces_[grant] = p;
    append(slot, grant);
    slot.bytes += p.bytes;
    advance(job, p.bytes);
    job.offset += p.bytes;
    return Fill::Done;
}

void BlockFront::append(Slot &slot, uint32_t grant)
{
    pieces_[grant].next = kNone;
    if (slot.last == kNone)
        slot.first = grant;
    else
        pieces_[slot.last].next = grant;
    slot.last = grant;
    slot.pieces++;
}

/* End access to everything that the slot granted. False: a peer still has
 * some of it mapped, and may not. The pieces stay readable, and the pages that
 * they were bounced through hold their data, until something is granted. */
bool BlockFront::release_slot(Slot &slot)
{
    bool released = release_lists(slot);
    for (uint32_t i = slot.first; i != kNone; i = pieces_[i].next) {
        const Piece &p = pieces_[i];
        released &= p.bounced ? pool_.take_back({i, p.page}) : pool_.release(i, std::nullopt);
    }
    return released;
}

/* Pages of the owner's are granted for it, not only private ones. */
bool BlockFront::shows_guest_memory(const Slot &slot) const
{
    for (uint32_t i = slot.first; i != kNone; i = pieces_[i].next)
        if (!pieces_[i].bounced)
            return true;
    return false;
}

bool BlockFront::release_lists(Slot &slot)
{
    bool released = true;
    while (slot.lists)
        released &= pool_.take_back(slot.list[--slot.lists]);
    return released;
}

/* The owner's memory is taken away from a request whose answer is awaited. */
void BlockFront::orphan(Slot &slot)
{
    slot.orphan = true;
    orphans_++;
    uint32_t i = slot.first;
    slot.first = slot.last = kNone;
    slot.pieces = 0;
    while (i != kNone) {
        uint32_t next = pieces_[i].next;
        if (pieces_[i].bounced)
            append(slot, i);
        else
            pool_.release(i, std::nullopt);
        i = next;
    }
}

/* How many bytes at the cursor can be granted where they are: whole sectors,
 * aligned, within one page. 0: none. */
uint32_t BlockFront::direct_bytes(const Job &job, uint64_t left) const
{
    if (config_.always_bounce || plan_.persistent || !plan_.trusted || !job.req.direct)
        return 0;
    uint64_t gpa = job.req.buffer.gpa[job.iov] + job.iov_offset;
    uint64_t here = job.req.buffer.iov[job.iov].iov_len - job.iov_offset;
    uint32_t in_page = kPageSize - gpa % kPageSize;
    uint64_t n = std::min({here, static_cast<uint64_t>(in_page), left});
    if (gpa % plan_.sector_size)
        return 0;
    return static_cast<uint32_t>(n - n % plan_.sector_size);
}

/* How many bytes to gather into one private page: whole sectors, and no more
 * than up to where granting in place is possible again. `job` is a copy. */
uint32_t BlockFront::bounce_bytes(Job job, uint64_t left) const
{
    uint32_t max = static_cast<uint32_t>(std::min<uint64_t>(left, kPageSize));
    uint32_t n = 0;
    while (n < max) {
        advance(job, plan_.sector_size);
        n += plan_.sector_size;
        if (n < max && direct_bytes(job, left - n))
            break;
    }
    return n;
}

void BlockFront::advance(Job &job, uint64_t bytes) const
{
    const GuestBuffer &b = job.req.buffer;
    job.iov_offset += bytes;
    while (job.iov < b.count && job.iov_offset >= b.iov[job.iov].iov_len) {
        job.iov_offset -= b.iov[job.iov].iov_len;
        job.iov++;
    }
}

void BlockFront::copy(const Piece &piece, const GuestBuffer &buffer, bool to_guest)
{
    std::byte *page = ports_.memory.page(piece.page);
    uint32_t iov = piece.iov;
    uint64_t offset = piece.iov_offset;
    for (uint32_t done = 0; done < piece.bytes; iov++, offset = 0) {
        auto *base = static_cast<std::byte *>(buffer.iov[iov].iov_base) + offset;
        uint64_t n = std::min<uint64_t>(buffer.iov[iov].iov_len - offset, piece.bytes - done);
        if (to_guest)
            std::memcpy(base, page + done, n);
        else
            std::memcpy(page + done, base, n);
        done += static_cast<uint32_t>(n);
    }
}

} // namespace pvblk
