/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: requests. Intake, splitting into ring requests, checking of
 * responses, completion, and what happens to requests when a connection ends.
 */
#include "pvblk/front.h"

#include <algorithm>
#include <cstring>

namespace pvblk {

namespace {

/* blkif_request.id: slot in the low bits, a generation above, so that an
 * answer to an earlier use of the slot is recognised. */
constexpr uint32_t kSlotBits = 16;

/* Looks at pages that are mapped when their request is cancelled. */
constexpr uint32_t kPatience = 1000;

constexpr uint64_t make_id(uint32_t slot, uint32_t generation)
{
    return static_cast<uint64_t>(generation) << kSlotBits | slot;
}

/* The buffer holds `bytes` after what is skipped: nothing later on looks for
 * its end. Subtract, never add. */
bool covers(const GuestBuffer &buffer, uint64_t bytes)
{
    uint64_t skip = buffer.skip;
    for (uint32_t i = 0; i < buffer.count && bytes; i++) {
        uint64_t here = buffer.iov[i].iov_len;
        uint64_t skipped = std::min(skip, here);
        skip -= skipped;
        bytes -= std::min(bytes, here - skipped);
    }
    return bytes == 0;
}

bool writes(Op op)
{
    return op == Op::Write;
}

} // namespace

void BlockFront::init_io()
{
    slots_.resize(plan_.ring_entries());
    free_slots_.reserve(slots_.size());
    for (uint32_t i = static_cast<uint32_t>(slots_.size()); i-- > 0;)
        free_slots_.push_back(i);
    jobs_.resize(config_.max_requests);
    free_jobs_.reserve(jobs_.size());
    for (uint32_t i = config_.max_requests; i-- > 0;)
        free_jobs_.push_back(i);
}

uint64_t BlockFront::wire_unit() const
{
    return plan_.units == SectorUnits::Device ? plan_.sector_size : kSectorSize;
}

Intake BlockFront::refuse(Verdict verdict, IoStatus why, const IoRequest &req)
{
    owner_.trace(TraceKind::Verdict, static_cast<uint64_t>(verdict), static_cast<uint64_t>(why),
                 req.sector.value, "");
    return {verdict, why};
}

/* Whether the plan of now allows a request. Asked when it is submitted, and
 * again when a part of it is sent: between the two there may have been another
 * backend. */
IoStatus BlockFront::judge(const IoRequest &req) const
{
    if (req.kind != IoKind::Flush) {
        /* Subtract, never add: sector + count may wrap. */
        if (req.sectors == 0 || req.sector.value > plan_.sectors ||
            req.sectors > plan_.sectors - req.sector.value)
            return IoStatus::Error;
        uint32_t align = plan_.sector_size / kSectorSize;
        if (req.sector.value % align || req.sectors % align)
            return IoStatus::Error;
    }
    bool changes = req.kind == IoKind::Write || req.kind == IoKind::Discard;
    if (changes && plan_.read_only)
        return IoStatus::Error;
    if ((req.kind == IoKind::Discard && !plan_.discard) ||
        (req.kind == IoKind::Flush && !plan_.flush))
        return IoStatus::Unsupported;
    /* The backend has a cache and took back the means to flush it. */
    if (req.kind == IoKind::Write && req.flush_after && flush_withdrawn_)
        return IoStatus::Error;
    return IoStatus::Ok;
}

Intake BlockFront::submit(const IoRequest &req)
{
    if (state_ == FrontState::Broken || state_ == FrontState::Stopped)
        return refuse(Verdict::Rejected, IoStatus::Error, req);
    if (IoStatus why = judge(req); why != IoStatus::Ok)
        return refuse(Verdict::Rejected, why, req);
    bool data = req.kind == IoKind::Read || req.kind == IoKind::Write;
    if (data && !covers(req.buffer, req.sectors << kSectorShift))
        return refuse(Verdict::Rejected, IoStatus::Error, req);
    if (free_jobs_.empty())
        return refuse(Verdict::Retry, IoStatus::Ok, req);

    uint32_t index = free_jobs_.back();
    free_jobs_.pop_back();
    Job &job = jobs_[index];
    job = Job{};
    job.req = req;
    job.used = true;
    job.bytes = req.sectors << kSectorShift;
    job.flush_left = req.flush_after && req.kind == IoKind::Write && plan_.flush;
    advance(job, req.buffer.skip);
    accepted_++;
    counters_.requests++;
    push_pending(index);
    return {};
}

void BlockFront::push_pending(uint32_t index)
{
    Job &job = jobs_[index];
    job.pending = true;
    job.next = kNone;
    if (pending_tail_ == kNone)
        pending_head_ = index;
    else
        jobs_[pending_tail_].next = index;
    pending_tail_ = index;
}

void BlockFront::pop_pending()
{
    Job &job = jobs_[pending_head_];
    job.pending = false;
    pending_head_ = job.next;
    if (pending_head_ == kNone)
        pending_tail_ = kNone;
}

bool BlockFront::pump()
{
    bool progress = consume();
    progress |= send_more();
    progress |= publish();
    if (state_ == FrontState::Draining && in_flight_ == 0)
        step(FrontEvent::Drained);
    update_deadline();
    end_batch();
    return progress;
}

void BlockFront::end_batch()
{
    if (!completed_any_)
        return;
    completed_any_ = false;
    owner_.batch_done();
}

void BlockFront::event_received()
{
    counters_.events_received++;
    owner_.trace(TraceKind::Event, in_flight_, 0, 0, "");
    pump();
}

/* ---- responses --------------------------------------------------------- */

/* At most one response per request in flight: bounded by the ring. */
bool BlockFront::consume()
{
    bool progress = false;
    while (ring_up_) {
        auto n = ring_.responses();
        if (n && n.value() == 0)
            n = ring_.rearm();
        if (!n) {
            fault(n.error());
            return true;
        }
        if (n.value() == 0)
            break;
        for (uint32_t i = 0; i < n.value(); i++) {
            progress = true;
            if (!handle_response(ring_.take()))
                return true; /* Broken: the ring is gone */
        }
    }
    return progress;
}

/* False if the response broke the connection. */
bool BlockFront::handle_response(const WireResponse &rsp)
{
    counters_.responses++;
    owner_.trace(TraceKind::Response, rsp.id.value, static_cast<uint64_t>(rsp.op),
                 static_cast<uint16_t>(rsp.status), "");
    uint64_t index = rsp.id.value & ((1u << kSlotBits) - 1);
    if (index >= slots_.size() || slots_[index].state != SlotState::InFlight ||
        rsp.id.value != make_id(static_cast<uint32_t>(index), slots_[index].generation)) {
        fault({ErrorKind::PeerViolation, "ring:rsp-id",
               "the backend answered a request that is not in flight", rsp.id.value});
        return false;
    }
    Slot &slot = slots_[index];
    if (rsp.op != slot.op) {
        fault({ErrorKind::PeerViolation, "ring:rsp-op",
               "the backend's answer names another operation than the request",
               static_cast<uint64_t>(rsp.op)});
        return false;
    }
    int64_t latency = ports_.clock.now_ns() - slot.issued_ns;
    counters_.latency_ns_total += static_cast<uint64_t>(latency);
    counters_.latency_ns_max = std::max(counters_.latency_ns_max, static_cast<uint64_t>(latency));

    IoStatus status = IoStatus::Ok;
    if (rsp.status == static_cast<int16_t>(RspStatus::EOpNotSupp)) {
        status = IoStatus::Unsupported;
        counters_.unsupported++;
        /* blkif.h: a feature may be withdrawn at any time. */
        if (slot.op == Op::FlushDiskcache) {
            plan_.flush = false;
            flush_withdrawn_ = true;
        }
        if (slot.op == Op::Discard)
            plan_.discard = false;
    } else if (rsp.status != static_cast<int16_t>(RspStatus::Okay)) {
        status = IoStatus::Error; /* -1, and whatever blkif.h does not define */
        counters_.errors++;
    }
    /* Access ends before anybody looks at the data (XSA-396), so that it can
     * no longer change. A backend that answered has no business with it. */
    bool released = release_slot(slot);
    bool orphan = slot.orphan;
    uint32_t job = slot.job;
    if (!orphan && status == IoStatus::Ok) {
        if (slot.op == Op::Read) {
            for (uint32_t i = 0; i < slot.pieces; i++)
                if (slot.piece[i].bounced)
                    copy(slot.piece[i], jobs_[job].req.buffer, true);
            counters_.bytes_read += slot.bytes;
        } else if (slot.op == Op::Write) {
            counters_.bytes_written += slot.bytes;
        } else if (slot.op == Op::Discard) {
            counters_.bytes_discarded += slot.bytes;
        }
    }
    if (orphan)
        orphans_--;
    in_flight_--;
    free_slot(slot);
    if (!orphan)
        finish_part(job, released ? status : IoStatus::Error);
    if (!released) {
        fault({ErrorKind::PeerViolation, "grant:end-access",
               "the backend answered a request and keeps its page mapped", rsp.id.value});
        return false;
    }
    return true;
}

/* End access to everything that the slot granted. False: a peer still has
 * some of it mapped. */
bool BlockFront::release_slot(Slot &slot)
{
    bool released = true;
    for (uint32_t i = 0; i < slot.pieces; i++) {
        Piece &p = slot.piece[i];
        if (!p.granted)
            continue;
        p.granted = false;
        /* A bounce page is copied from before it is used again: nothing is
         * taken from the pool between here and copy(). */
        released &= pool_.release(p.grant, p.bounced ? std::optional(p.page) : std::nullopt);
    }
    return released;
}

void BlockFront::free_slot(Slot &slot)
{
    slot.state = SlotState::Free;
    slot.orphan = false;
    slot.pieces = 0;
    free_slots_.push_back(static_cast<uint32_t>(&slot - slots_.data()));
}

/* One ring request of a job is done. */
void BlockFront::finish_part(uint32_t index, IoStatus status)
{
    Job &job = jobs_[index];
    job.outstanding--;
    if (status != IoStatus::Ok && job.status == IoStatus::Ok)
        job.status = status;
    /* A pending job is looked at by send_more(), which also ends it early
     * where a part failed. */
    if (job.outstanding || job.pending)
        return;
    if (job.flush_left && job.status == IoStatus::Ok)
        push_pending(index);
    else
        complete_job(index);
}

void BlockFront::complete_job(uint32_t index)
{
    Job &job = jobs_[index];
    IoStatus status = job.status;
    void *cookie = job.req.cookie;
    uint32_t queue = job.req.queue;
    if (status != IoStatus::Ok)
        counters_.failed++;
    job.used = job.doomed = false;
    free_jobs_.push_back(index);
    accepted_--;
    completed_any_ = true;
    owner_.completed(cookie, queue, status);
}

/* ---- requests ---------------------------------------------------------- */

bool BlockFront::send_more()
{
    /* Orphans: an old write of a cancelled request must not overtake. */
    if (state_ != FrontState::Connected || orphans_)
        return false;
    bool progress = pool_.quarantined() ? pool_.sweep() : false;
    progress |= reissue_waiting();
    while (state_ == FrontState::Connected && !waiting_ && pending_head_ != kNone) {
        uint32_t index = pending_head_;
        Job &job = jobs_[index];
        if (job.status == IoStatus::Ok)
            job.status = judge(job.req);
        if (job.status != IoStatus::Ok || nothing_to_discard(job)) {
            pop_pending();
            if (!job.outstanding)
                complete_job(index);
            continue;
        }
        if (!ring_.free() || free_slots_.empty())
            break;
        Slot &slot = slots_[free_slots_.back()];
        if (!fill_slot(index, slot) && !(found_room() && fill_slot(index, slot))) {
            /* No page to bounce through: the next response frees one. */
            if (in_flight_ == 0)
                starved();
            break;
        }
        free_slots_.pop_back();
        job.outstanding++;
        if (job.offset == job.bytes)
            pop_pending();
        slot.sequence = sequence_++;
        progress |= place(slot);
    }
    return progress;
}

/* Put a filled slot on the ring; one for which there is no room waits. */
bool BlockFront::place(Slot &slot)
{
    Issue result = issue(slot);
    if (result == Issue::NoRoom && found_room())
        result = issue(slot);
    switch (result) {
    case Issue::Staged:
        return true;
    case Issue::Refused: {
        uint32_t job = slot.job;
        free_slot(slot);
        finish_part(job, IoStatus::Error);
        return true;
    }
    case Issue::NoRoom:
        break;
    }
    slot.state = SlotState::Waiting;
    waiting_++;
    if (in_flight_ == 0)
        starved();
    return false;
}

/* Nothing is in flight that would give room back: look at all that is in
 * quarantine, not just at a few entries. */
bool BlockFront::found_room()
{
    return in_flight_ == 0 && pool_.sweep_all();
}

/* ... and there is none: waiting would be for ever. */
void BlockFront::starved()
{
    fault({ErrorKind::NoSpace, "grant:end-access", "the backend keeps all our pages mapped",
           pool_.quarantined()});
}

/* Send what waits in slots, oldest first. */
bool BlockFront::reissue_waiting()
{
    bool progress = false;
    while (waiting_ && ring_.free()) {
        Slot *oldest = nullptr;
        for (Slot &slot : slots_)
            if (slot.state == SlotState::Waiting && (!oldest || slot.sequence < oldest->sequence))
                oldest = &slot;
        waiting_--;
        progress = true;
        if (IoStatus why = judge(jobs_[oldest->job].req); why != IoStatus::Ok) {
            uint32_t job = oldest->job;
            free_slot(*oldest);
            finish_part(job, why);
        } else if (!place(*oldest)) {
            break;
        }
    }
    return progress;
}

BlockFront::Issue BlockFront::issue(Slot &slot)
{
    Issue result = grant_pieces(slot);
    if (result == Issue::Staged)
        stage(slot);
    else
        release_slot(slot);
    return result;
}

/* Grants live from here to the response, and no longer. */
BlockFront::Issue BlockFront::grant_pieces(Slot &slot)
{
    bool readonly = writes(slot.op); /* the backend only reads what we write */
    if (pool_.free_grants() < slot.pieces)
        return Issue::NoRoom;
    for (uint32_t i = 0; i < slot.pieces; i++) {
        Piece &p = slot.piece[i];
        std::optional<uint32_t> grant;
        if (p.bounced) {
            auto page = pool_.take_page();
            if (!page)
                return Issue::NoRoom;
            p.page = *page;
            if (writes(slot.op))
                copy(p, jobs_[slot.job].req.buffer, false);
            else
                std::memset(ports_.memory.page(p.page), 0, kPageSize); /* no stale data */
            grant = pool_.grant(p.page, readonly);
            if (!grant)
                pool_.give_page(p.page);
        } else {
            grant = pool_.grant(p.gfn, readonly);
        }
        if (!grant)
            return Issue::Refused;
        p.grant = *grant;
        p.granted = true;
    }
    return Issue::Staged;
}

void BlockFront::stage(Slot &slot)
{
    uint32_t index = static_cast<uint32_t>(&slot - slots_.data());
    WireRequest req;
    req.op = slot.op;
    req.handle = config_.handle;
    slot.generation++;
    req.id = RequestId(make_id(index, slot.generation));
    req.sector = slot.wire_sector;
    req.nr_sectors = slot.wire_nr_sectors;
    req.nr_segments = slot.op == Op::Discard ? 0 : static_cast<uint8_t>(slot.pieces);
    for (uint32_t i = 0; i < slot.pieces; i++) {
        const Piece &p = slot.piece[i];
        req.seg[i] = {pool_.ref(p.grant), p.first_sect, p.last_sect};
        counters_.bounced_segments += p.bounced;
    }
    ring_.stage(req);
    slot.state = SlotState::InFlight;
    slot.issued_ns = ports_.clock.now_ns();
    in_flight_++;
    unpublished_++;
    counters_.segments += slot.pieces;
    counters_.grants += slot.pieces;
    switch (slot.op) {
    case Op::Read: counters_.ring_reads++; break;
    case Op::Write: counters_.ring_writes++; break;
    case Op::Discard: counters_.ring_discards++; break;
    default: counters_.ring_flushes++; break;
    }
    owner_.trace(TraceKind::Request, req.id.value,
                 static_cast<uint64_t>(req.op) << 8 | req.nr_segments, req.sector, "");
}

/* One publish and at most one event for everything that was staged. */
bool BlockFront::publish()
{
    if (!ring_up_ || !ring_.staged())
        return false;
    bool wanted = ring_.publish();
    bool send = wanted || config_.always_notify;
    owner_.trace(TraceKind::Publish, unpublished_, send, 0, "");
    unpublished_ = 0;
    counters_.batches++;
    if (!send) {
        counters_.events_suppressed++;
        return true;
    }
    counters_.events_sent++;
    if (auto s = ports_.events.notify(); !s)
        fault({s.error().kind, "evtchn:send", "could not send an event to the backend",
               s.error().value});
    return true;
}

/* sector_number has to be aligned to the granularity (blkif.h since
 * e9a0101dde). Discard is advice: a head that is not aligned keeps its data. */
uint64_t BlockFront::discard_start(const Job &job) const
{
    uint64_t start = job.req.sector.value << kSectorShift;
    uint64_t g = plan_.discard_granularity, a = plan_.discard_alignment;
    if (g == 0)
        return start;
    return start <= a ? a : a + (start - a + g - 1) / g * g;
}

bool BlockFront::nothing_to_discard(const Job &job) const
{
    return job.req.kind == IoKind::Discard && !job.outstanding && job.offset == 0 &&
           discard_start(job) >= (job.req.sector.value << kSectorShift) + job.bytes;
}

/* The next ring request of a job. False: no resources now. */
bool BlockFront::fill_slot(uint32_t job_index, Slot &slot)
{
    Job &job = jobs_[job_index];
    slot.job = job_index;
    slot.orphan = false;
    slot.pieces = 0;
    slot.bytes = 0;
    slot.wire_sector = slot.wire_nr_sectors = 0;
    switch (job.req.kind) {
    case IoKind::Flush:
        slot.op = Op::FlushDiskcache;
        return true;
    case IoKind::Discard: {
        uint64_t from = discard_start(job);
        slot.op = Op::Discard;
        slot.bytes = (job.req.sector.value << kSectorShift) + job.bytes - from;
        slot.wire_sector = from / wire_unit();
        slot.wire_nr_sectors = slot.bytes / wire_unit();
        job.offset = job.bytes;
        return true;
    }
    case IoKind::Read:
    case IoKind::Write:
        break;
    }
    if (job.offset == job.bytes) { /* the flush after a write */
        slot.op = Op::FlushDiskcache;
        job.flush_left = false;
        return true;
    }
    return fill_data(job, slot);
}

bool BlockFront::fill_data(Job &job, Slot &slot)
{
    slot.op = job.req.kind == IoKind::Read ? Op::Read : Op::Write;
    uint64_t at = (job.req.sector.value << kSectorShift) + job.offset;
    slot.wire_sector = at / wire_unit();
    uint32_t pages = pool_.free_pages();
    uint64_t unit = wire_unit();
    while (slot.pieces < plan_.max_segments && job.offset < job.bytes) {
        uint64_t left = job.bytes - job.offset;
        Piece p{};
        p.iov = job.iov;
        p.iov_offset = job.iov_offset;
        p.bytes = direct_bytes(job, left);
        p.bounced = p.bytes == 0;
        uint32_t offset = 0;
        if (p.bounced) {
            if (pages == 0)
                break;
            pages--;
            p.bytes = bounce_bytes(job, left);
        } else {
            uint64_t gpa = job.req.buffer.gpa[job.iov] + job.iov_offset;
            p.gfn = Gfn(gpa >> kPageShift);
            offset = gpa % kPageSize;
        }
        p.first_sect = static_cast<uint8_t>(offset / unit);
        p.last_sect = static_cast<uint8_t>((offset + p.bytes) / unit - 1);
        slot.piece[slot.pieces++] = p;
        slot.bytes += p.bytes;
        advance(job, p.bytes);
        job.offset += p.bytes;
    }
    return slot.pieces > 0;
}

/* How many bytes at the cursor can be granted where they are: whole sectors,
 * aligned, within one page. 0: none. */
uint32_t BlockFront::direct_bytes(const Job &job, uint64_t left) const
{
    if (config_.always_bounce || !job.req.direct)
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

/* ---- the end of a connection ------------------------------------------- */

/* The ring is gone: what was in flight goes to the front of the queue. */
void BlockFront::requeue_in_flight()
{
    for (Slot &slot : slots_) {
        if (slot.state != SlotState::InFlight)
            continue;
        release_slot(slot);
        in_flight_--;
        if (slot.orphan) {
            orphans_--;
            free_slot(slot);
        } else {
            slot.state = SlotState::Waiting;
            waiting_++;
            counters_.requeued++;
        }
    }
    unpublished_ = 0;
}

/* Complete what was accepted, all of it or that of one queue. What is still
 * in flight has lost its owner: an orphan, which the guest's memory is taken
 * away from and whose answer is awaited. */
void BlockFront::end_jobs(std::optional<uint32_t> queue, IoStatus status)
{
    auto meant = [&](uint32_t job) { return !queue || jobs_[job].req.queue == *queue; };
    for (Slot &slot : slots_) {
        if (slot.state == SlotState::Free || slot.orphan || !meant(slot.job))
            continue;
        if (slot.state == SlotState::Waiting) {
            waiting_--;
            free_slot(slot);
        } else {
            orphan(slot);
        }
    }
    uint32_t next = pending_head_;
    pending_head_ = pending_tail_ = kNone;
    while (next != kNone) {
        uint32_t job = next;
        next = jobs_[job].next;
        if (!meant(job))
            push_pending(job);
    }
    /* Marked first: what the owner submits from inside completed() is new,
     * and not meant. */
    for (uint32_t i = 0; i < jobs_.size(); i++)
        jobs_[i].doomed = jobs_[i].used && meant(i);
    for (uint32_t i = 0; i < jobs_.size(); i++) {
        if (!jobs_[i].doomed)
            continue;
        jobs_[i].status = status;
        complete_job(i);
    }
    end_batch();
}

void BlockFront::orphan(Slot &slot)
{
    slot.orphan = true;
    orphans_++;
    for (uint32_t i = 0; i < slot.pieces; i++) {
        Piece &p = slot.piece[i];
        if (p.granted && !p.bounced) {
            p.granted = false;
            pool_.release(p.grant, std::nullopt);
        }
    }
}

void BlockFront::cancel(std::optional<uint32_t> queue)
{
    uint32_t before = pool_.quarantined();
    end_jobs(queue, IoStatus::Cancelled);
    /* A backend in another thread may be in the middle of a copy: it holds a
     * page for microseconds. One that holds it for longer keeps it. */
    for (uint32_t n = 0; pool_.quarantined() > before && n < kPatience; n++)
        pool_.sweep_all();
    if (orphans_ && orphan_deadline_ < 0)
        orphan_deadline_ = ports_.clock.now_ns() + config_.handshake_timeout_ns;
    update_deadline();
}

} // namespace pvblk
