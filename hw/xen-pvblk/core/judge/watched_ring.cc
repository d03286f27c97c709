/* SPDX-License-Identifier: MIT */
/* Layer `judge`: the checks of one ring. */
#include "judge/watched_ring.h"

#include <algorithm>
#include <utility>

namespace pvblk
{

namespace
{

/* Requests that a frontend may have under way, but not on the ring, when it takes the
 * answer that their kind is not supported any more. */
constexpr uint32_t kUnderWay = 2;
/* Looks in a row that have to miss an event: it may be on its way. */
constexpr uint32_t kLooks = 2;

} // namespace

void WatchedRing::open(HookedQueue &queue, RingIndex at)
{
    queue_ = &queue;
    bool again = std::exchange(taken_, at) != at;
    in_flight_.clear();
    in_flight_.reserve(queue.area().entries());
    losses_ = {};
    arming_ = asleep_ = rests_ = false;
    untold_looks_ = 0;
    check_new(again);
    /* A frontend that never sets it asks for nothing. */
    strange_event_ = load(SringField::RspEvent);
    strange_prod_.reset();
}

/* `again`: the backend has taken requests after this index before. If it is the same ring,
 * those that were answered may not hold any more. */
void WatchedRing::check_new(bool again)
{
    RingIndex last = std::exchange(rsp_prod_, load(SringField::RspProd));
    RingIndex event = std::exchange(req_event_, load(SringField::ReqEvent));
    /* It is the same ring. */
    forged_ = (std::exchange(late_, false) || forged_) && rsp_prod_ == last;
    bent_event_ = bent_event_ && req_event_ == event;
    /* Where requests were sent, the others have moved, too: another backend served them. */
    if (load(SringField::ReqProd) != RingIndex(0)) {
        forged_ |= again && rsp_prod_ == last;
        return;
    }
    if (!forged_)
        records_.note(JudgeRule::RingInit, rsp_prod_ == RingIndex(0),
                      "rsp_prod does not begin at 0", rsp_prod_.value);
    forged_ |= rsp_prod_ != RingIndex(0);
    if (!bent_event_)
        records_.note(JudgeRule::RingInit, req_event_ == RingIndex(1),
                      "req_event does not begin at 1", req_event_.value);
}

/* ---- indices ------------------------------------------------------------------------- */

/* A frontend that takes the place of another may make its ring in the same pages. An answer
 * to the earlier one, which was under way, comes to it. */
void WatchedRing::storing(SringField field)
{
    late_ |=
        field == SringField::RspProd && load(field) == RingIndex(0) && rsp_prod_ != RingIndex(0);
}

void WatchedRing::stored(SringField field, RingIndex i, bool bent)
{
    RingIndex found = bent ? load(field) : i;
    if (field == SringField::ReqEvent) {
        req_event_ = found;
        bent_event_ = found != i;
        arming_ = true;
        return;
    }
    rsp_prod_ = found;
    forged_ |= found != i;
    for (Loss &l : losses_)
        if (l.said && !std::exchange(l.shown, true)) {
            l.answers = rsp_prod_;
            l.asked = load(SringField::RspEvent);
        }
}

/* A breach counts once, not as often as somebody looks. */
void WatchedRing::check_own(SringField field, RingIndex &own, const char *how)
{
    RingIndex i = load(field);
    records_.note(JudgeRule::OwnIndex, i == own, how, i.value);
    own = i;
}

void WatchedRing::loaded(SringField field, RingIndex i)
{
    if (field == SringField::RspEvent)
        return check_event(i);
    if (field != SringField::ReqProd)
        return;
    check_own(SringField::RspProd, rsp_prod_, "rsp_prod was changed");
    check_own(SringField::ReqEvent, req_event_, "req_event was changed");
    for (Loss &l : losses_)
        if (l.shown && !l.seen)
            note_seen(l, i);
    if (std::exchange(arming_, false))
        asleep_ = i == taken_;
    else if (i != taken_ && std::exchange(asleep_, false))
        records_.kept(JudgeRule::ReqEvent); /* it was woken */
}

/* It may lie behind, too. */
void WatchedRing::check_event(RingIndex i)
{
    if (forged_ || i == strange_event_ || (before_ && i != before_->rsp_event))
        return;
    uint32_t ahead = i - rsp_prod_;
    uint32_t most = load(SringField::ReqProd) - rsp_prod_ + 1;
    bool far = ahead > most && ahead < UINT32_MAX / 2;
    records_.note(JudgeRule::Batch, !far, "rsp_event asks for a response beyond its requests",
                  i.value);
}

/* Changes with any request that waits. The frontend does not change those. */
uint64_t WatchedRing::untaken(uint32_t most) const
{
    uint64_t sum = 0;
    uint32_t waiting = load(SringField::ReqProd) - taken_;
    for (uint32_t i = 0; i < std::min(waiting, most) && waiting <= queue_->area().entries(); i++) {
        WireRequest r = queue_->area().get_request(taken_ + i);
        for (uint64_t part : {r.id.value, uint64_t(r.op), r.sector, uint64_t(r.nr_segments)})
            sum = sum * 31 + part;
    }
    return sum;
}

void WatchedRing::yield(uint32_t requests)
{
    if (queue_)
        before_ = Shared{load(SringField::RspProd), load(SringField::RspEvent),
                         load(SringField::ReqProd), requests, untaken(requests)};
}

void WatchedRing::resume()
{
    auto before = std::exchange(before_, std::nullopt);
    if (!queue_ || !before)
        return;
    if (RingIndex now = load(SringField::RspProd); now != before->rsp_prod)
        rsp_prod_ = now;
    if (RingIndex now = load(SringField::RspEvent); now != before->rsp_event)
        strange_event_ = now;
    if (RingIndex now = load(SringField::ReqProd); now != before->req_prod)
        strange_prod_ = now;
    else
        forged_ |= untaken(before->requests) != before->untaken;
}

/* ---- requests ------------------------------------------------------------------------ */

WatchedRing::Feature WatchedRing::feature(Op op)
{
    switch (op) {
    case Op::WriteBarrier: return Barrier;
    case Op::FlushDiskcache: return Flush;
    case Op::Discard: return Discard;
    default: return None;
    }
}

void WatchedRing::check_offered(Offers &offers, const WireRequest &wire)
{
    auto rule = [](Op op) {
        return op == Op::WriteBarrier     ? JudgeRule::Barrier
               : op == Op::FlushDiskcache ? JudgeRule::Flush
               : op == Op::Discard        ? JudgeRule::Discard
                                          : JudgeRule::Indirect;
    };
    bool has_feature = feature(wire.op) != None || wire.op == Op::Indirect;
    if (has_feature)
        records_.note(rule(wire.op), offers.offers(wire.op),
                      "an operation that the backend's nodes do not offer",
                      static_cast<uint64_t>(wire.op));
    if (wire.op == Op::Discard && wire.nr_segments & kDiscardSecure)
        records_.note(JudgeRule::SecureDiscard, offers.offers_secure_discard(),
                      "a secure discard that the backend's nodes do not offer");
    if (wire.op == Op::Indirect && offers.indirect_limit())
        records_.note(JudgeRule::IndirectLimit,
                      wire.nr_indirect_segments <= offers.indirect_limit(),
                      "an indirect request has more segments than the backend's nodes offer",
                      wire.nr_indirect_segments);
}

void WatchedRing::check_id(RequestId id)
{
    bool twice = std::find(in_flight_.begin(), in_flight_.end(), id.value) != in_flight_.end();
    records_.note(JudgeRule::Id, !twice, "two requests in flight have one id", id.value);
}

/* It has taken the answer if it asks for a later one, or has used the answer's entry anew. */
void WatchedRing::note_seen(Loss &loss, RingIndex req_prod) const
{
    RingIndex event = load(SringField::RspEvent);
    bool later = event != loss.asked && event != strange_event_ && event != loss.answers &&
                 event - loss.answers < INT32_MAX;
    loss.seen = later || req_prod - loss.answers >= queue_->area().entries();
    loss.from = req_prod;
}

void WatchedRing::check_loss(Op op)
{
    for (uint32_t f = 0; f < kFeatures; f++) {
        Loss &l = losses_[f];
        /* taken_ is this request's index. */
        if (!l.seen || taken_ - l.from > INT32_MAX)
            continue;
        if (f == feature(op))
            records_.note(JudgeRule::FeatureLoss, ++l.since <= kUnderWay,
                          "it goes on to send an operation that was answered as not supported",
                          static_cast<uint64_t>(op));
        else if (!std::exchange(l.kept, true))
            records_.kept(JudgeRule::FeatureLoss); /* it does without */
    }
}

void WatchedRing::take(Offers &offers, const WireRequest &wire, uint16_t handle)
{
    untold_looks_ = 0;
    if (!forged_) {
        records_.kept(JudgeRule::ReqProd);
        check_id(wire.id);
        check_offered(offers, wire);
        check_loss(wire.op);
        if (wire.op == Op::Read || wire.op == Op::Write || wire.op == Op::Indirect)
            records_.note(JudgeRule::Handle, wire.handle == handle,
                          "a request has the handle of another device", wire.handle);
    }
    taken_ = taken_ + 1;
    /* Requests whose answer a fault plan swallows stay here; the oldest one goes. */
    if (in_flight_.size() == queue_->area().entries())
        in_flight_.erase(in_flight_.begin());
    in_flight_.push_back(wire.id.value);
}

void WatchedRing::passed(const WireRequest &wire)
{
    using R = JudgeRule;
    auto kept = [this](std::initializer_list<R> rules) {
        for (R rule : rules)
            records_.kept(rule);
    };
    kept({R::Op, R::ReadOnly});
    if (wire.op == Op::FlushDiskcache)
        return kept({R::FlushData});
    if (wire.op == Op::WriteBarrier && wire.nr_segments == 0)
        return;
    kept({R::Range});
    if (wire.op == Op::Discard) {
        kept({R::DiscardCount});
        if (wire.nr_segments & kDiscardSecure)
            kept({R::DiscardSector});
        return;
    }
    kept({R::FirstLast, R::SegmentAlignment, R::SectorNumber});
    kept({wire.op == Op::Indirect ? R::IndirectOp : R::MaxSegments});
}

void WatchedRing::shown(const WireResponse &rsp)
{
    auto at = std::find(in_flight_.begin(), in_flight_.end(), rsp.id.value);
    if (at != in_flight_.end())
        in_flight_.erase(at);
    if (Feature f = feature(rsp.op);
        f != None && rsp.status == static_cast<int16_t>(RspStatus::EOpNotSupp))
        losses_[f].said = true;
}

/* ---- events -------------------------------------------------------------------------- */

/* An event is due if the requests pass req_event while the backend sleeps. One that
 * came would have woken it. */
void WatchedRing::look()
{
    if (!queue_)
        return;
    RingIndex prod = load(SringField::ReqProd);
    uint32_t waiting = prod - taken_;
    bool due = asleep_ && !rests_ && !forged_ && prod != strange_prod_ && waiting &&
               waiting <= queue_->area().entries() && prod - req_event_ < waiting;
    untold_looks_ = due ? untold_looks_ + 1 : 0;
    if (untold_looks_ == kLooks)
        records_.broken(JudgeRule::ReqEvent, "requests passed req_event, and no event came",
                        waiting);
}

} // namespace pvblk
