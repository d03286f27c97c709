/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: responses. Each is copied once, checked against the private
 * copy of its request, and then believed. Serves blkif.h struct
 * blkif_response, ring.h, XSA-155, XSA-396.
 */
#include "pvblk/front.h"

#include <algorithm>

namespace pvblk
{

bool BlockFront::consume()
{
    bool progress = false;
    for (uint32_t i = 0; i < rings_; i++)
        progress |= consume_ring(i);
    return progress;
}

/* At most one response per request in flight: bounded by the ring. */
bool BlockFront::consume_ring(uint32_t index)
{
    bool progress = false;
    FrontRing<SharedRing> &ring = queues_[index].ring;
    while (rings_) {
        auto n = ring.responses();
        if (n && n.value() == 0)
            n = ring.rearm();
        if (!n) {
            fault(n.error());
            return true;
        }
        if (n.value() == 0)
            break;
        for (uint32_t i = 0; i < n.value(); i++) {
            progress = true;
            if (!handle_response(index, ring.take()))
                return true; /* Broken: the ring is gone */
        }
    }
    return progress;
}

/* Whose answer it is; nullptr: a lie, which broke the connection. */
BlockFront::Slot *BlockFront::answered_slot(uint32_t ring, const WireResponse &rsp)
{
    uint64_t index = rsp.id.value & ((1u << kSlotBits) - 1);
    Slot *slot = index < slots_.size() ? &slots_[index] : nullptr;
    if (!slot || !slot->in_flight || slot->ring != ring ||
        rsp.id.value != make_id(static_cast<uint32_t>(index), slot->generation)) {
        fault({ErrorKind::PeerViolation, "ring:rsp-id",
               "the backend answered a request that is not in flight", rsp.id.value});
        return nullptr;
    }
    /* Linux's blkback answers an indirect request with the inner operation. */
    if (rsp.op != slot->op && !(slot->lists && rsp.op == Op::Indirect)) {
        fault({ErrorKind::PeerViolation, "ring:rsp-op",
               "the backend's answer names another operation than the request",
               static_cast<uint64_t>(rsp.op)});
        return nullptr;
    }
    return slot;
}

BlockFront::Feature BlockFront::feature_of(const Slot &slot)
{
    switch (slot.op) {
    case Op::FlushDiskcache: return Feature::Flush;
    case Op::WriteBarrier: return Feature::Barrier;
    case Op::Discard: return slot.secure ? Feature::SecureDiscard : Feature::Discard;
    default: return Feature::None;
    }
}

/* blkif.h: a feature may be withdrawn at any time, by EOPNOTSUPP. QEMU's and
 * FreeBSD's backends have no such answer: an ERROR to the first use of what was
 * never done on this connection says the same. But not to a barrier with data:
 * that may have failed for the data's sake. */
bool BlockFront::withdraw(Feature feature, int16_t status, bool with_data)
{
    bool &proven = proven_[static_cast<uint32_t>(feature)];
    if (status == static_cast<int16_t>(RspStatus::Okay))
        proven = true;
    if ((proven || with_data) && status != static_cast<int16_t>(RspStatus::EOpNotSupp))
        return false;
    switch (feature) {
    case Feature::None: return false;
    case Feature::Flush: plan_.flush = false; break;
    case Feature::Barrier: plan_.barrier = false; break;
    case Feature::Discard: plan_.discard = false; break;
    case Feature::SecureDiscard: plan_.discard_secure = false; break;
    }
    if (feature == Feature::Flush || feature == Feature::Barrier)
        flush_withdrawn_ = !plan_.can_flush();
    return true;
}

/* What an answer means to the owner. `again`: nothing yet, since there is
 * another way to flush. */
IoStatus BlockFront::judge_status(const Slot &slot, int16_t status, bool &again)
{
    Feature feature = feature_of(slot);
    bool withdrawn = withdraw(feature, status, slot.pieces != 0);
    again = withdrawn && feature == Feature::Flush && plan_.barrier;
    if (status == static_cast<int16_t>(RspStatus::Okay))
        return IoStatus::Ok;
    if (status == static_cast<int16_t>(RspStatus::EOpNotSupp)) {
        counters_.unsupported++;
        return again ? IoStatus::Ok : IoStatus::Unsupported;
    }
    counters_.errors++; /* -1, and whatever blkif.h does not define */
    return again ? IoStatus::Ok : IoStatus::Error;
}

void BlockFront::count_done(const Slot &slot)
{
    if (slot.op == Op::Read)
        counters_.bytes_read += slot.bytes;
    else if (slot.op == Op::Discard)
        counters_.bytes_discarded += slot.bytes;
    else
        counters_.bytes_written += slot.bytes;
}

/* False if the response broke the connection. */
bool BlockFront::handle_response(uint32_t ring, const WireResponse &rsp)
{
    counters_.responses++;
    owner_.trace(TraceResponse{rsp.id, rsp.op, rsp.status});
    Slot *slot = answered_slot(ring, rsp);
    if (!slot)
        return false;
    uint64_t latency = static_cast<uint64_t>(ports_.clock.now_ns() - slot->issued_ns);
    counters_.latency_ns_total += latency;
    counters_.latency_ns_max = std::max(counters_.latency_ns_max, latency);

    bool again = false;
    IoStatus status = judge_status(*slot, rsp.status, again);
    /* Access ends before anybody looks at the data (XSA-396), so that it can
     * no longer change. A backend that answered has no business with it. Kept
     * grants do not end: there the copy is what cannot change. */
    bool released = release_slot(*slot);
    uint32_t index = slot->job;
    if (!slot->orphan && status == IoStatus::Ok) {
        if (slot->op == Op::Read)
            for (uint32_t i = slot->first; i != kNone; i = pieces_[i].next)
                if (pieces_[i].bounced)
                    copy(pieces_[i], jobs_[index].req.buffer, true);
        count_done(*slot);
    }
    bool orphan = slot->orphan;
    if (orphan)
        orphans_--;
    in_flight_--;
    free_slot(*slot);
    if (!orphan)
        finish_part(index, released ? status : IoStatus::Error, again && released);
    if (!released) {
        fault({ErrorKind::PeerViolation, "grant:end-access",
               "the backend answered a request and keeps its page mapped", rsp.id.value});
        return false;
    }
    return true;
}

} // namespace pvblk
