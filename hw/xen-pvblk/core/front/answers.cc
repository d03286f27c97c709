/* SPDX-License-Identifier: MIT */
/* Layer `front`: responses, from the ring to their requests. */
#include "front/answers.h"

#include <algorithm>

namespace pvblk
{

namespace
{

Feature feature_of(const Slot &slot)
{
    switch (slot.op) {
    case Op::FlushDiskcache: return Feature::Flush;
    case Op::WriteBarrier: return Feature::Barrier;
    case Op::Discard: return slot.secure ? Feature::SecureDiscard : Feature::Discard;
    default: return Feature::None;
    }
}

} // namespace

void Answers::consume(Turn &turn)
{
    for (uint32_t i = 0; i < rings_.count(); i++)
        consume_ring(i, turn);
}

/* At most one response per request in flight: bounded by the ring. */
void Answers::consume_ring(uint32_t index, Turn &turn)
{
    FrontRing<SharedRing> &ring = rings_.ring(index);
    while (!turn.fault && index < rings_.count()) {
        auto n = ring.responses();
        if (n && n.value() == 0)
            n = ring.rearm();
        if (!n)
            return turn.fail(n.error());
        if (n.value() == 0)
            return;
        turn.progress = true;
        for (uint32_t i = 0; i < n.value() && !turn.fault; i++)
            handle(index, ring.take(), turn);
    }
}

void Answers::handle(uint32_t ring, const WireResponse &rsp, Turn &turn)
{
    counters_.responses++;
    owner_.trace(TraceResponse{rsp.id, rsp.op, rsp.status});
    auto found = answered(ring, rsp);
    if (!found)
        return turn.fail(found.error());
    Slot &slot = *found.value();
    count_latency(slot);
    Requests::Answer answer = judge(slot, rsp.status);
    /* Access ends before anybody looks at the data (XSA-396), so that it can
     * no longer change. A backend that answered has no business with it. Kept
     * grants do not end: there the copy is what cannot change. */
    bool released = slots_.release(slot);
    Job *job = slot.job;
    if (job && answer.status == IoStatus::Ok)
        deliver(slot);
    slots_.land(slot);
    if (!released)
        answer = {IoStatus::Error, false};
    if (job)
        requests_.part_done(*job, answer, terms_.flush_due());
    if (!released)
        turn.fail({ErrorKind::PeerViolation, "grant:end-access",
                   "the backend answered a request, but keeps its page mapped", rsp.id.value});
}

/* The slot that it answers, or the rule that it breaks. */
Result<Slot *> Answers::answered(uint32_t ring, const WireResponse &rsp)
{
    Slot *slot = slots_.find(rsp.id, ring);
    if (!slot)
        return Error{ErrorKind::PeerViolation, "ring:rsp-id",
                     "the backend answered a request that is not in flight", rsp.id.value};
    /* Linux's blkback answers an indirect request with the inner operation. */
    if (rsp.op != slot->op && !(slot->lists && rsp.op == Op::Indirect))
        return Error{ErrorKind::PeerViolation, "ring:rsp-op",
                     "the backend's answer names another operation than the request",
                     static_cast<uint64_t>(rsp.op)};
    return slot;
}

Requests::Answer Answers::judge(const Slot &slot, int16_t status)
{
    Feature feature = feature_of(slot);
    bool withdrawn = terms_.withdraw(feature, status, slot.pieces != 0);
    if (status == static_cast<int16_t>(RspStatus::Okay))
        return {IoStatus::Ok, false};
    bool unsupported = status == static_cast<int16_t>(RspStatus::EOpNotSupp);
    counters_.unsupported += unsupported;
    counters_.errors += !unsupported; /* -1, and whatever blkif.h does not define */
    /* There is another way to flush. */
    if (withdrawn && feature == Feature::Flush && terms_.plan().barrier)
        return {IoStatus::Ok, true};
    return {unsupported ? IoStatus::Unsupported : IoStatus::Error, false};
}

/* Copies data that was read through private pages to the owner's pages. */
void Answers::deliver(const Slot &slot)
{
    if (slot.op == Op::Read)
        slots_.each_piece(slot, [&](uint32_t, const Piece &p) {
            if (p.bounced)
                scatter({memory_.page(p.page), p.bytes}, slot.job->req.buffer, p.at);
        });
    count_done(slot);
}

void Answers::count_latency(const Slot &slot)
{
    uint64_t latency = static_cast<uint64_t>(clock_.now_ns() - slot.issued_ns);
    counters_.latency_ns_total += latency;
    counters_.latency_ns_max = std::max(counters_.latency_ns_max, latency);
}

void Answers::count_done(const Slot &slot)
{
    if (slot.op == Op::Read)
        counters_.bytes_read += slot.bytes;
    else if (slot.op == Op::Discard)
        counters_.bytes_discarded += slot.bytes;
    else
        counters_.bytes_written += slot.bytes;
}

} // namespace pvblk
