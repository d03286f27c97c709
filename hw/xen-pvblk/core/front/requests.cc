/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: requests. Intake, sending, completion, and what happens to
 * requests when a connection ends.
 */
#include "front/states.h"

#include <algorithm>
#include <cstring>

namespace pvblk
{

namespace
{

/* Looks at pages that are mapped when their request is cancelled. */
constexpr uint32_t kPatience = 1000;

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

} // namespace

/* For the most that the policy allows: another backend may make more of it. */
void BlockFront::init_io()
{
    slots_.resize(config_.policy.queues() * config_.policy.ring_entries());
    free_slots_.reserve(slots_.size());
    for (uint32_t i = static_cast<uint32_t>(slots_.size()); i-- > 0;)
        free_slots_.push_back(i);
    pieces_.resize(ports_.grants.count());
    jobs_.resize(config_.max_requests);
    free_jobs_.reserve(jobs_.size());
    order_.reserve(jobs_.size());
    for (uint32_t i = config_.max_requests; i-- > 0;)
        free_jobs_.push_back(i);
}

Intake BlockFront::refuse(Verdict verdict, IoStatus why, const IoRequest &req)
{
    owner_.trace(TraceVerdict{verdict, why, req.sector});
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
    bool changes = req.kind != IoKind::Read && req.kind != IoKind::Flush;
    if (changes && plan_.read_only)
        return IoStatus::Error;
    if ((req.kind == IoKind::Discard && !plan_.discard) ||
        (req.kind == IoKind::SecureDiscard && !plan_.discard_secure) ||
        (req.kind == IoKind::Flush && !plan_.can_flush()))
        return IoStatus::Unsupported;
    /* No head of it may be left alone. */
    if (req.kind == IoKind::SecureDiscard && off_granularity(req))
        return IoStatus::Error;
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
    job.sequence = sequence_++;
    job.bytes = req.sectors << kSectorShift;
    job.flush_left = req.flush_after && req.kind == IoKind::Write;
    seek(job, 0);
    accepted_++;
    counters_.requests++;
    push_pending(index);
    return {};
}

void BlockFront::push_pending(uint32_t index)
{
    Job &job = jobs_[index];
    Queue &queue = queues_[job.req.queue % plan_.queues];
    job.pending = true;
    job.next = kNone;
    if (queue.tail == kNone)
        queue.head = index;
    else
        jobs_[queue.tail].next = index;
    queue.tail = index;
}

void BlockFront::pop_pending(Queue &queue)
{
    Job &job = jobs_[queue.head];
    job.pending = false;
    queue.head = job.next;
    if (queue.head == kNone)
        queue.tail = kNone;
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

/* All rings are looked at: what one of them frees, another may wait for. */
void BlockFront::event_received(uint32_t)
{
    counters_.events_received++;
    owner_.trace(TraceEvent{in_flight_});
    pump();
}

/* One ring request of a job was answered. `again`: it has to be sent anew. */
void BlockFront::finish_part(uint32_t index, IoStatus status, bool again)
{
    Job &job = jobs_[index];
    job.outstanding--;
    if (status != IoStatus::Ok && job.status == IoStatus::Ok)
        job.status = status;
    /* A pending job is looked at by send_from(), which also ends it early
     * where a part failed. */
    if (job.outstanding || job.pending)
        return;
    /* Where the means to flush was withdrawn, judge() has the last word. */
    bool flush = job.flush_left && (plan_.can_flush() || flush_withdrawn_);
    if (job.status == IoStatus::Ok && (flush || again))
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
    /* Each is the first in turn to take from the pools that all share. */
    uint32_t first = turn_++;
    for (uint32_t i = 0; i < rings_; i++)
        progress |= send_from((first + i) % rings_);
    return progress;
}

bool BlockFront::send_from(uint32_t index)
{
    bool progress = false;
    Queue &queue = queues_[index];
    while (state_ == FrontState::Connected && queue.head != kNone) {
        uint32_t job_index = queue.head;
        Job &job = jobs_[job_index];
        if (job.status == IoStatus::Ok)
            job.status = judge(job.req);
        if (job.status != IoStatus::Ok || nothing_to_discard(job)) {
            pop_pending(queue);
            if (!job.outstanding)
                complete_job(job_index);
            continue;
        }
        if (!queue.ring.free() || free_slots_.empty())
            break;
        Slot &slot = slots_[free_slots_.back()];
        Fill filled = fill_slot(job_index, slot);
        if (filled == Fill::NoRoom) {
            if (found_room())
                continue;
            if (in_flight_ == 0)
                starved();
            break; /* the next response brings room */
        }
        progress = true;
        if (filled == Fill::Refused) {
            job.status = IoStatus::Error;
            continue;
        }
        free_slots_.pop_back();
        job.outstanding++;
        if (job.offset == job.bytes)
            pop_pending(queue);
        slot.ring = index;
        stage(slot);
    }
    return progress;
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

void BlockFront::stage(Slot &slot)
{
    uint32_t index = static_cast<uint32_t>(&slot - slots_.data());
    uint64_t at = (jobs_[slot.job].req.sector.value << kSectorShift) + slot.offset;
    WireRequest req;
    req.op = slot.lists ? Op::Indirect : slot.op;
    req.handle = config_.handle;
    slot.generation++;
    req.id = RequestId(make_id(index, slot.generation));
    req.sector = slot.bytes ? at / wire_unit() : 0;
    if (slot.op == Op::Discard) {
        req.nr_sectors = slot.bytes / wire_unit();
        req.nr_segments = slot.secure ? kDiscardSecure : 0;
    } else {
        put_pieces(slot, req);
    }
    queues_[slot.ring].ring.stage(req);
    queues_[slot.ring].unpublished++;
    slot.in_flight = true;
    slot.issued_ns = ports_.clock.now_ns();
    in_flight_++;
    counters_.segments += slot.pieces;
    counters_.grants += slot.pieces + slot.lists;
    counters_.ring_indirect += slot.lists != 0;
    switch (slot.op) {
    case Op::Read: counters_.ring_reads++; break;
    case Op::Write: counters_.ring_writes++; break;
    case Op::Discard: counters_.ring_discards++; break;
    case Op::WriteBarrier: counters_.ring_barriers++; break;
    default: counters_.ring_flushes++; break;
    }
    owner_.trace(TraceRequest{req.id, req.op, slot.pieces, req.sector});
}

/* The segments, in the request itself or in the pages that it names. */
void BlockFront::put_pieces(const Slot &slot, WireRequest &req)
{
    uint32_t n = 0;
    for (uint32_t i = slot.first; i != kNone; i = pieces_[i].next, n++) {
        const Piece &p = pieces_[i];
        counters_.bounced_segments += p.bounced;
        WireSegment segment{pool_.ref(i), p.first_sect, p.last_sect};
        if (slot.lists)
            put_segments(ports_.memory.page(slot.list[n / kSegmentsPerPage].page) +
                             n % kSegmentsPerPage * kSegmentSize,
                         {&segment, 1});
        else
            req.seg[n] = segment;
    }
    if (!slot.lists) {
        req.nr_segments = static_cast<uint8_t>(n);
        return;
    }
    req.indirect_op = slot.op;
    req.nr_indirect_segments = static_cast<uint16_t>(n);
    for (uint32_t i = 0; i < slot.lists; i++)
        req.indirect[i] = pool_.ref(slot.list[i].grant);
}

/* One publish and at most one event a ring for everything that was staged. */
bool BlockFront::publish()
{
    bool progress = false;
    for (uint32_t i = 0; i < rings_; i++) {
        Queue &queue = queues_[i];
        if (!queue.ring.staged())
            continue;
        progress = true;
        bool wanted = queue.ring.publish();
        bool send = wanted || config_.always_notify;
        owner_.trace(TracePublish{queue.unpublished, send});
        queue.unpublished = 0;
        counters_.batches++;
        if (!send) {
            counters_.events_suppressed++;
            continue;
        }
        counters_.events_sent++;
        if (auto s = ports_.events.notify(i); !s)
            fault({s.error().kind, "evtchn:send", "could not send an event to the backend",
                   s.error().value});
    }
    return progress;
}

void BlockFront::free_slot(Slot &slot)
{
    slot.in_flight = slot.orphan = false;
    free_slots_.push_back(static_cast<uint32_t>(&slot - slots_.data()));
}

/* ---- the end of a connection ------------------------------------------- */

/* The rings are gone: what was in flight lines up for the next ones. */
void BlockFront::requeue_in_flight()
{
    if (!in_flight_)
        return;
    bool kept = false;
    for (Slot &slot : slots_) {
        if (!slot.in_flight)
            continue;
        bool keeps = !release_slot(slot) && shows_guest_memory(slot);
        in_flight_--;
        if (slot.orphan) {
            orphans_--;
        } else {
            Job &job = jobs_[slot.job];
            rewind(job, slot);
            /* Whatever the next backend answers, this one can still write there. */
            if (keeps)
                job.status = IoStatus::Error;
            kept |= keeps;
            counters_.requeued++;
        }
        free_slot(slot);
    }
    /* Unless it is we who gave up. */
    if (kept && state_ != FrontState::Broken && state_ != FrontState::Stopped) {
        counters_.violations++;
        owner_.trace(TraceFault{"the backend left and keeps pages of requests mapped", 0});
    }
    for (Queue &queue : queues_)
        queue.unpublished = 0;
}

/* From the first part on whose fate is not known. What comes after it may be
 * done twice, which nobody can tell while the request is not completed. */
void BlockFront::rewind(Job &job, const Slot &slot)
{
    bool data = job.req.kind == IoKind::Read || job.req.kind == IoKind::Write;
    job.outstanding--;
    seek(job, data ? std::min(job.offset, slot.offset) : 0);
}

void BlockFront::seek(Job &job, uint64_t offset)
{
    job.offset = offset;
    job.iov = 0;
    job.iov_offset = 0;
    advance(job, job.req.buffer.skip + offset);
}

/* All that was accepted, into the queues of the plan, in the order in which it
 * was accepted. Nothing is in flight. A write that has to be stable starts
 * over: a cache may have gone with its backend, or the means to flush it. */
void BlockFront::line_up()
{
    order_.clear();
    for (uint32_t i = 0; i < jobs_.size(); i++)
        if (jobs_[i].used)
            order_.push_back(i);
    std::sort(order_.begin(), order_.end(),
              [this](uint32_t a, uint32_t b) { return jobs_[a].sequence < jobs_[b].sequence; });
    for (Queue &queue : queues_)
        queue.head = queue.tail = kNone;
    for (uint32_t i : order_) {
        Job &job = jobs_[i];
        if (job.req.kind == IoKind::Write && job.req.flush_after) {
            job.flush_left = true;
            seek(job, 0);
        }
        push_pending(i);
    }
}

/* Complete what was accepted, all of it or that of one queue. What is still
 * in flight has lost its owner: an orphan, which the guest's memory is taken
 * away from and whose answer is awaited. */
void BlockFront::end_jobs(std::optional<uint32_t> queue, IoStatus status)
{
    auto meant = [&](uint32_t job) { return !queue || jobs_[job].req.queue == *queue; };
    for (Slot &slot : slots_)
        if (slot.in_flight && !slot.orphan && meant(slot.job))
            orphan(slot);
    for (Queue &q : queues_) {
        uint32_t next = q.head;
        q.head = q.tail = kNone;
        while (next != kNone) {
            uint32_t job = next;
            next = jobs_[job].next;
            if (!meant(job))
                push_pending(job);
        }
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
