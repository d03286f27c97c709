/* SPDX-License-Identifier: MIT */
/* Layer `front`: pending requests onto the rings. */
#include "front/sender.h"

namespace pvblk
{

void Sender::send(Turn &turn, const Permit &permit)
{
    /* Orphans: an old write of a cancelled request must not overtake. */
    if (slots_.orphans())
        return;
    if (pool_.quarantined())
        turn.progress |= pool_.sweep();
    /* All rings share the pools, so each gets its turn to be first. */
    uint32_t first = turn_++;
    for (uint32_t i = 0; i < rings_.count() && !turn.fault; i++)
        send_from((first + i) % rings_.count(), turn, permit);
}

void Sender::send_from(uint32_t ring, Turn &turn, const Permit &permit)
{
    while (Job *job = permit.may_send() ? requests_.head(ring) : nullptr) {
        if (is_over(*job)) {
            turn.progress = true;
            requests_.pop(ring);
            if (!job->outstanding)
                requests_.complete(*job);
            continue;
        }
        Slot *slot = rings_.ring(ring).free() ? slots_.spare(*job) : nullptr;
        if (!slot)
            return;
        switch (splitter_.fill(*slot)) {
        case Filled::Done:
            turn.progress = true;
            launch(*slot, ring);
            break;
        case Filled::Refused:
            turn.progress = true;
            job->status = IoStatus::Error;
            break;
        case Filled::NoRoom:
            if (may_wait_for_room(turn))
                return;
            break;
        }
    }
}

/* A part of it failed, the plan of now does not allow it, or there is nothing
 * to do. */
bool Sender::is_over(Job &job) const
{
    if (job.status == IoStatus::Ok)
        job.status = terms_.judge(job.req);
    return job.status != IoStatus::Ok || splitter_.nothing_to_send(job);
}

/* The next response brings room. Where nothing is in flight that would, all
 * that is in quarantine is looked at, not just a few entries: false, room came
 * free. If none did, waiting would be for ever. */
bool Sender::may_wait_for_room(Turn &turn)
{
    if (slots_.in_flight())
        return true;
    if (pool_.sweep_all())
        return false;
    turn.fail({ErrorKind::NoSpace, "grant:end-access", "the backend keeps all our pages mapped",
               pool_.quarantined()});
    return true;
}

void Sender::launch(Slot &slot, uint32_t ring)
{
    Job &job = *slot.job;
    job.outstanding++;
    if (job.all_sent())
        requests_.pop(ring);
    slots_.launch(slot, ring, clock_.now_ns());
    WireRequest req = splitter_.encode(slot);
    rings_.stage(ring, req);
    count(slot);
    owner_.trace(TraceRequest{req.id, req.op, slot.pieces, req.sector});
}

void Sender::count(const Slot &slot)
{
    counters_.segments += slot.pieces;
    counters_.grants += slot.pieces + slot.lists;
    counters_.ring_indirect += slot.lists != 0;
    slots_.each_piece(
        slot, [this](uint32_t, const Piece &p) { counters_.bounced_segments += p.bounced; });
    switch (slot.op) {
    case Op::Read: counters_.ring_reads++; break;
    case Op::Write: counters_.ring_writes++; break;
    case Op::Discard: counters_.ring_discards++; break;
    case Op::WriteBarrier: counters_.ring_barriers++; break;
    default: counters_.ring_flushes++; break;
    }
}

} // namespace pvblk
