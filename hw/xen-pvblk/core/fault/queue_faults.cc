/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: the faults of a ring, its requests and its pages. Each case is
 * the sentence of fault_catalogue.h. Nothing here trusts the frontend more than
 * the honest half does: what is read from the ring is a copy, and only pages
 * that are mapped are touched.
 */
#include "back/queue.h"

#include <algorithm>
#include <cstring>

namespace pvblk
{

namespace
{

uint32_t low(uint64_t number)
{
    return static_cast<uint32_t>(number);
}

} // namespace

/* ---- grants ---------------------------------------------------------------- */

Result<std::byte *> FaultyGrants::bend_map(GrantRef ref, bool readonly)
{
    auto f = faults_.at(FaultPoint::Map, ops_, queue_, name_);
    if (!f)
        return honest_.map(ref, readonly);
    switch (f->kind) {
    case FaultKind::MapStray:
        faults_.touch(GrantRef(low(f->number)), true);
        return honest_.map(ref, readonly);
    case FaultKind::MapWritable: return honest_.map(ref, false);
    case FaultKind::MapLate:
        if (late_.size() < late_.capacity())
            late_.push_back({ref, readonly});
        pretended_ = true;
        break;
    default: break; /* MapFails */
    }
    return Error{ErrorKind::Io, "blkif:gref", "a fault plan keeps a grant from being mapped",
                 ref.value};
}

void FaultyGrants::map_late()
{
    for (const Late &l : late_)
        faults_.touch(l.ref, l.readonly);
    late_.clear();
}

/* True: the page is not to be given back any more. */
bool BackQueue::bend_unmap(const Mapping &m, std::string_view name, FaultOpSet ops)
{
    auto f = faults_.at(FaultPoint::Unmap, ops, index_, name);
    if (!f)
        return false;
    bool once = m.kept == Mapping::kOnce;
    if (f->kind == FaultKind::MapForEver) {
        if (!faults_.can_keep() || (!once && !maps_->part_with(m)))
            return false;
        faults_.keep(m);
        return true;
    }
    /* PersistentRefused */
    if (once || !maps_->part_with(m))
        return false;
    ports_.grants.unmap(m.ref, m.page);
    return true;
}

/* ---- requests -------------------------------------------------------------- */

/* True: the request is not looked at. */
bool BackQueue::bend_take(const WireRequest &wire)
{
    auto f = faults_.at(FaultPoint::Take, fault_ops(wire), index_);
    if (!f)
        return false;
    if (faults_.begin(*f))
        return faults_.silent();
    return f->kind == FaultKind::ResponseLost;
}

Result<uint32_t> BackQueue::bend_waiting()
{
    if (faults_.still() || forged_requests())
        return 0u;
    auto n = ring_.requests();
    if (!n || n.value())
        return n;
    auto f = faults_.at(FaultPoint::Rearm, 0, index_);
    if (!f)
        return ring_.rearm();
    if (f->kind == FaultKind::RearmSkipped)
        return ring_.requests();
    return ring_.rearm(low(f->number)); /* RearmAhead */
}

/* req_prod is what we made it: there are no such requests. A frontend that
 * pushes just as many waits for its next push. */
bool BackQueue::forged_requests()
{
    if (forged_ && shared_.load(SringField::ReqProd) != forged_->stored)
        forged_.reset();
    return forged_.has_value();
}

/* What the request is answered with in place of being done. */
std::optional<RspStatus> BackQueue::bend_work(const Request &r)
{
    auto f = faults_.at(FaultPoint::BeforeWork, fault_ops(r.wire), index_);
    if (!f)
        return std::nullopt;
    switch (f->kind) {
    case FaultKind::ResponseRefused: return RspStatus::Error;
    case FaultKind::FeatureUnsupported: return RspStatus::EOpNotSupp;
    default: return RspStatus::Okay; /* DataSkipped */
    }
}

/* ---- data ------------------------------------------------------------------ */

/* Before `req` goes to the storage. True: it does not, and is done. */
bool BackQueue::bend_data(uint32_t index, StorageRequest &req)
{
    Request &r = requests_[index];
    if (req.data.empty())
        return false;
    auto f = faults_.at(FaultPoint::Data, fault_ops(r.wire), index_);
    if (!f)
        return false;
    switch (f->kind) {
    case FaultKind::DataShort: return bend_short(index, req, f->number);
    case FaultKind::DataFlipped:
        if (r.op == StorageOp::Read)
            r.bend = f;
        else
            bend_written(index, f->number);
        return false;
    case FaultKind::DataAfterResponse: r.bend = f; return false;
    case FaultKind::DataPoisoned:
        for (uint32_t i = 0; i < r.mapped; i++)
            std::memset(mappings(index)[i].page, static_cast<int>(f->number), kPageSize);
        return true;
    default: unmap_data(index); return true; /* UnmapEarly */
    }
}

bool BackQueue::bend_short(uint32_t index, StorageRequest &req, uint64_t sectors)
{
    if (sectors >= req.sectors)
        return true;
    req.sectors -= sectors;
    uint64_t left = req.sectors << kSectorShift;
    uint32_t count = 0;
    for (struct iovec *v = iov(index); left; v++, count++) {
        v->iov_len = std::min<uint64_t>(v->iov_len, left);
        left -= v->iov_len;
    }
    req.data = {iov(index), count};
    return false;
}

/* The piece that has the bit, and which bit of it that is. */
std::pair<uint32_t, uint64_t> BackQueue::find_bit(uint32_t index, uint64_t bit)
{
    bit %= requests_[index].sectors * kSectorSize * 8;
    uint32_t piece = 0;
    while (bit >= iov(index)[piece].iov_len * 8)
        bit -= iov(index)[piece++].iov_len * 8;
    return {piece, bit};
}

/* The frontend's page is not ours to write to: a copy is. */
void BackQueue::bend_written(uint32_t index, uint64_t bit)
{
    auto [piece, at] = find_bit(index, bit);
    struct iovec &v = iov(index)[piece];
    std::byte *copy = &scratch_[size_t{index} * kPageSize];
    std::memcpy(copy, v.iov_base, v.iov_len);
    copy[at / 8] ^= std::byte{1} << (at % 8);
    v.iov_base = copy;
}

void BackQueue::bend_read(uint32_t index)
{
    Request &r = requests_[index];
    if (r.bend->kind == FaultKind::DataFlipped) {
        auto [piece, at] = find_bit(index, r.bend->number);
        static_cast<std::byte *>(iov(index)[piece].iov_base)[at / 8] ^= std::byte{1} << (at % 8);
    } else { /* DataAfterResponse */
        r.lingers = true;
    }
    r.bend.reset();
}

/* Requests that were answered, and whose pages are still mapped. */
void BackQueue::end_lingering()
{
    for (uint32_t index : lingering_) {
        Request &r = requests_[index];
        for (uint32_t i = 0; i < r.mapped; i++)
            for (size_t at = 0; at < iov(index)[i].iov_len; at++)
                static_cast<std::byte *>(iov(index)[i].iov_base)[at] ^= std::byte{0xff};
        unmap_data(index);
        r.lingers = false;
        free_.push_back(index);
    }
    lingering_.clear();
}

/* ---- responses ------------------------------------------------------------- */

void BackQueue::bend_response(const Request &r, WireResponse rsp)
{
    if (faults_.silent())
        return;
    auto f = faults_.at(FaultPoint::Respond, fault_ops(r.wire), index_);
    if (!f || faults_.begin(*f)) {
        if (!faults_.silent())
            stage_and_note(rsp);
        return;
    }
    WireResponse bent = rsp;
    uint64_t more = 0;
    switch (f->kind) {
    case FaultKind::ResponseId: bent.id = RequestId(f->number); break;
    case FaultKind::ResponseUnknownId: bent.id.value ^= 1ull << 63; break;
    case FaultKind::ResponseFinishedId: bent.id = last_id_.value_or(rsp.id); break;
    case FaultKind::ResponseUnpublishedId:
        bent.id = shared_.get_request(shared_.load(SringField::ReqProd)).id;
        break;
    case FaultKind::ResponseDuplicate: more = f->number; break;
    case FaultKind::ResponseOperation: bent.op = static_cast<Op>(f->number); break;
    case FaultKind::ResponseStatus: bent.status = static_cast<int16_t>(f->number); break;
    case FaultKind::ResponseRewritten:
        bent.status = static_cast<int16_t>(f->number);
        if (rewrites_.size() < requests_.size())
            rewrites_.push_back({ring_.rsp_prod(), rsp});
        break;
    case FaultKind::ResponseReordered:
        if (put_off(rsp, 0))
            return;
        break;
    case FaultKind::ResponseLate:
        if (put_off(rsp, low(f->number)))
            return;
        break;
    default: return; /* ResponseLost */
    }
    for (uint64_t i = 0; i < more; i++)
        ring_.stage_unasked(bent);
    counters_.responses.add(more);
    stage_and_note(bent);
    last_id_ = rsp.id;
}

/* False: as many wait as there can be requests. */
bool BackQueue::put_off(const WireResponse &rsp, uint32_t ticks)
{
    if (deferred_.size() >= requests_.size())
        return false;
    deferred_.push_back({rsp, ticks});
    return true;
}

/* One was written, so those that waited for that follow. */
void BackQueue::stage_and_note(const WireResponse &rsp)
{
    stage(rsp);
    last_id_ = rsp.id;
    std::erase_if(deferred_, [this](const Deferred &d) {
        if (d.ticks == 0)
            stage(d.rsp);
        return d.ticks == 0;
    });
}

/* ---- indices and events ---------------------------------------------------- */

/* In place of ring_.publish(). */
bool BackQueue::bend_publish()
{
    if (faults_.silent())
        return false;
    auto f = faults_.at(FaultPoint::Publish, 0, index_);
    return f ? bend_publish(*f) : ring_.publish();
}

bool BackQueue::bend_publish(const Fault &fault)
{
    bool notify = false;
    switch (fault.kind) {
    case FaultKind::ProducerAhead: return ring_.publish(low(fault.number));
    case FaultKind::ProducerBeyondRing: return ring_.publish(ring_.size() + low(fault.number));
    case FaultKind::ProducerHalfWay: return ring_.publish(1u << 31);
    case FaultKind::ProducerBackwards: return ring_.publish(-(ring_.staged() + low(fault.number)));
    case FaultKind::ProducerFrozen: return false;
    case FaultKind::ProducerFlicker:
        notify = ring_.publish(low(fault.number));
        shared_.store(SringField::RspProd, ring_.rsp_prod());
        return notify;
    case FaultKind::NotifyBeforePublish:
        kick();
        (void)ring_.publish();
        return false;
    case FaultKind::RequestProducerOverwritten:
        notify = ring_.publish();
        bend_indices(fault);
        return notify;
    default: /* of rsp_event, by which publish() decides */
        bend_indices(fault);
        return ring_.publish();
    }
}

/* The fields that are the frontend's own. */
void BackQueue::bend_indices(const Fault &fault)
{
    uint32_t n = low(fault.number);
    switch (fault.kind) {
    case FaultKind::RequestProducerOverwritten: {
        RingIndex now = shared_.load(SringField::ReqProd);
        forged_ = Forged{forged_requests() ? forged_->honest : now, now + n};
        shared_.store(SringField::ReqProd, forged_->stored);
        break;
    }
    case FaultKind::RspEventAhead: shared_.store(SringField::RspEvent, ring_.rsp_prod() + n); break;
    case FaultKind::RspEventBehind:
        shared_.store(SringField::RspEvent, ring_.rsp_prod() + -n);
        break;
    default: break;
    }
}

/* In place of one event. */
void BackQueue::bend_notify()
{
    uint32_t to = index_;
    uint64_t times = 1;
    if (auto f = faults_.at(FaultPoint::Notify, 0, index_)) {
        switch (f->kind) {
        case FaultKind::NotifyStorm: times = f->number; break;
        case FaultKind::NotifyOtherQueue: to = low(f->number); break;
        default: return; /* NotifyLost */
        }
    }
    for (uint64_t i = 0; i < times && faults_.is_bound(to); i++) {
        counters_.events_sent++;
        (void)ports_.events.notify(to);
    }
}

/* ---- time ------------------------------------------------------------------ */

void BackQueue::bend_prepare()
{
    size_t n = requests_.size();
    deferred_.reserve(n);
    rewrites_.reserve(n);
    lingering_.reserve(n);
    scratch_.resize(n * kPageSize);
    grants_.reserve(static_cast<uint32_t>(n));
}

void BackQueue::bend_tick()
{
    if (!up_ || faults_.silent() || deferred_.empty())
        return;
    std::erase_if(deferred_, [this](Deferred &d) {
        bool now = d.ticks && --d.ticks == 0;
        if (now)
            stage(d.rsp);
        return now;
    });
    flush_responses();
}

/* A fault of the ring that happens by itself. */
void BackQueue::bend_tick(const Fault &fault)
{
    if (!bound_)
        return;
    if (fault.kind != FaultKind::ResponseUnasked)
        return bend_indices(fault);
    WireRequest next = shared_.get_request(shared_.load(SringField::ReqProd));
    ring_.stage_unasked({next.id, next.op, static_cast<int16_t>(RspStatus::Okay)});
    counters_.responses++;
    flush_responses();
}

/* The event was sent; what is to happen after it needs a call of its own, so
 * that the frontend has seen it by then. */
void BackQueue::bend_flushed()
{
    if (!rewrites_.empty() || !lingering_.empty() || grants_.any_late())
        faults_.call_later();
}

void BackQueue::bend_later()
{
    for (const Rewrite &w : rewrites_)
        shared_.put_response(w.at, w.rsp);
    rewrites_.clear();
    end_lingering();
    grants_.map_late();
}

void BackQueue::bend_settle()
{
    for (const Deferred &d : deferred_)
        stage(d.rsp);
    deferred_.clear();
    if (forged_requests())
        shared_.store(SringField::ReqProd, forged_->honest);
    forged_.reset();
    flush_responses();
}

} // namespace pvblk
