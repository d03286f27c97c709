/* SPDX-License-Identifier: MIT */
/* Layer `fault`: the faults of a ring. Each case is the sentence of
 * fault_catalogue.h. */
#include "fault/bent_ring.h"

namespace pvblk
{

void BentRing::open(HookedQueue &queue, RingIndex at)
{
    queue_ = &queue;
    prod_ = published_ = at;
    plan_.bound(queue.index(), true);
    if (plan_.any())
        prepare();
}

void BentRing::prepare()
{
    deferred_.reserve(area().entries());
    rewrites_.reserve(area().entries());
}

void BentRing::close()
{
    if (queue_)
        plan_.bound(queue_->index(), false);
    queue_ = nullptr;
    deferred_.clear();
    rewrites_.clear();
    last_.reset();
    replayable_ = false;
    forged_.reset();
}

/* req_prod is what we made it: there are no such requests. A frontend that
 * pushes just as many waits for its next push. */
bool BentRing::forged_requests()
{
    if (forged_ && area().load(SringField::ReqProd) != forged_->stored)
        forged_.reset();
    return forged_.has_value();
}

/* ---- responses ------------------------------------------------------------- */

void BentRing::respond(const WireRequest &wire, const WireResponse &rsp)
{
    if (plan_.silent())
        return;
    auto f = plan_.at(FaultPoint::Respond, fault_ops(wire), queue_->index());
    if (!f || plan_.begin(*f)) {
        if (!plan_.silent())
            stage(rsp);
        return;
    }
    WireResponse bent = rsp;
    uint64_t more = 0;
    switch (f->kind) {
    case FaultKind::ResponseId: bent.id = RequestId(f->number); break;
    case FaultKind::ResponseUnknownId: bent.id.value ^= 1ull << 63; break;
    case FaultKind::ResponseFinishedId: bent.id = last_.value_or(rsp).id; break;
    case FaultKind::ResponseUnpublishedId:
        bent.id = area().get_request(area().load(SringField::ReqProd)).id;
        break;
    case FaultKind::ResponseDuplicate: more = f->number; break;
    case FaultKind::ResponseOperation: bent.op = static_cast<Op>(f->number); break;
    case FaultKind::ResponseStatus: bent.status = static_cast<int16_t>(f->number); break;
    case FaultKind::ResponseRewritten:
        bent.status = static_cast<int16_t>(f->number);
        if (rewrites_.size() < area().entries())
            rewrites_.push_back({prod_, rsp});
        break;
    case FaultKind::ResponseReordered:
        if (put_off(rsp, 0))
            return;
        break;
    case FaultKind::ResponseLate:
        if (put_off(rsp, fault_low(*f)))
            return;
        break;
    default: return; /* ResponseLost */
    }
    for (uint64_t i = 0; i < more; i++)
        stage_unasked(bent);
    stage(bent);
    remember(rsp);
}

void BentRing::remember(const WireResponse &rsp)
{
    last_ = rsp;
    replayable_ = true;
}

void BentRing::stage_unasked(const WireResponse &rsp)
{
    put_response(rsp);
    queue_->count_unasked();
}

bool BentRing::replay(const WireRequest &wire)
{
    bool same = replayable_ && (fault_ops(wire) & fault_op(last_->op));
    if (same)
        queue_->stage(*last_);
    return same;
}

/* False: as many responses wait as there can be requests. */
bool BentRing::put_off(const WireResponse &rsp, uint32_t ticks)
{
    if (deferred_.size() >= area().entries())
        return false;
    deferred_.push_back({rsp, ticks});
    return true;
}

/* A response was written, so the responses that waited for it follow. */
void BentRing::stage(const WireResponse &rsp)
{
    queue_->stage(rsp);
    remember(rsp);
    std::erase_if(deferred_, [this](const Deferred &d) {
        if (d.ticks == 0)
            queue_->stage(d.rsp);
        return d.ticks == 0;
    });
}

/* ---- indices and events ---------------------------------------------------- */

void BentRing::put_response(const WireResponse &rsp)
{
    area().put_response(prod_, rsp);
    prod_ = prod_ + 1;
}

/* True: it was stored, or must not be stored. */
bool BentRing::store(SringField field, RingIndex i)
{
    if (field == SringField::RspProd) {
        area().store(field, prod_ + ahead_);
        return true;
    }
    auto f = plan_.at(FaultPoint::Rearm, 0, queue_->index());
    if (!f)
        return false;
    if (f->kind == FaultKind::RearmAhead)
        area().store(field, i + fault_low(*f));
    return true; /* RearmSkipped */
}

void BentRing::loaded(SringField field, RingIndex i)
{
    if (field == SringField::RspEvent)
        event_ = i;
}

/* Replaces the ring's own publish(), which does not know unasked responses. */
bool BentRing::publish()
{
    if (prod_ == published_ || plan_.silent())
        return false;
    auto f = plan_.at(FaultPoint::Publish, 0, queue_->index());
    return f ? publish(*f) : publish_ahead(0);
}

/* Shows the producer `entries` ahead of its true value. */
bool BentRing::publish_ahead(uint32_t entries)
{
    ahead_ = entries;
    (void)queue_->publish(); /* comes back to store() and loaded() */
    ahead_ = 0;
    bool notify = (prod_ - event_) < (prod_ - published_);
    published_ = prod_;
    return notify;
}

bool BentRing::publish(const Fault &fault)
{
    bool told = false;
    switch (fault.kind) {
    case FaultKind::ProducerAhead: return publish_ahead(fault_low(fault));
    case FaultKind::ProducerBeyondRing: return publish_ahead(area().entries() + fault_low(fault));
    case FaultKind::ProducerHalfWay: return publish_ahead(1u << 31);
    case FaultKind::ProducerBackwards:
        return publish_ahead((published_ - prod_) - fault_low(fault));
    case FaultKind::ProducerFrozen: return false;
    case FaultKind::ProducerFlicker:
        told = publish_ahead(fault_low(fault));
        area().store(SringField::RspProd, prod_);
        return told;
    case FaultKind::NotifyBeforePublish:
        if (!notify())
            queue_->send_event(queue_->index());
        (void)publish_ahead(0);
        return false;
    case FaultKind::RequestProducerOverwritten:
        told = publish_ahead(0);
        overwrite(fault);
        return told;
    default: /* of rsp_event, by which we decide */ overwrite(fault); return publish_ahead(0);
    }
}

/* Overwrites the frontend's own fields. */
void BentRing::overwrite(const Fault &fault)
{
    uint32_t n = fault_low(fault);
    switch (fault.kind) {
    case FaultKind::RequestProducerOverwritten: {
        RingIndex now = area().load(SringField::ReqProd);
        forged_ = Forged{forged_requests() ? forged_->honest : now, now + n};
        area().store(SringField::ReqProd, forged_->stored);
        break;
    }
    case FaultKind::RspEventAhead: area().store(SringField::RspEvent, prod_ + n); break;
    case FaultKind::RspEventBehind: area().store(SringField::RspEvent, prod_ + -n); break;
    default: break;
    }
}

/* Replaces one event. False: no fault, send it. */
bool BentRing::notify()
{
    auto f = plan_.at(FaultPoint::Notify, 0, queue_->index());
    if (!f)
        return false;
    uint32_t to = queue_->index();
    uint64_t times = 1;
    switch (f->kind) {
    case FaultKind::NotifyStorm: times = f->number; break;
    case FaultKind::NotifyOtherQueue: to = fault_low(*f); break;
    default: return true; /* NotifyLost */
    }
    for (uint64_t i = 0; i < times && plan_.is_bound(to); i++)
        queue_->send_event(to);
    return true;
}

/* ---- time ------------------------------------------------------------------ */

void BentRing::tick()
{
    if (plan_.silent() || deferred_.empty())
        return;
    std::erase_if(deferred_, [this](Deferred &d) {
        bool now = d.ticks && --d.ticks == 0;
        if (now)
            queue_->stage(d.rsp);
        return now;
    });
    queue_->flush();
}

void BentRing::tick(const Fault &fault)
{
    if (fault.kind != FaultKind::ResponseUnasked)
        return overwrite(fault);
    WireRequest next = area().get_request(area().load(SringField::ReqProd));
    stage_unasked({next.id, next.op, static_cast<int16_t>(RspStatus::Okay)});
    queue_->flush();
}

void BentRing::later()
{
    for (const Rewrite &w : rewrites_)
        area().put_response(w.at, w.rsp);
    rewrites_.clear();
}

void BentRing::settle()
{
    for (const Deferred &d : deferred_)
        queue_->stage(d.rsp);
    deferred_.clear();
    if (forged_requests())
        area().store(SringField::ReqProd, forged_->honest);
    forged_.reset();
    queue_->flush();
}

} // namespace pvblk
