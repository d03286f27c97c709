/* SPDX-License-Identifier: MIT */
/* Layer `judge`: the checks of one ring. */
#include "judge/watched_ring.h"

#include <algorithm>

namespace pvblk
{

namespace
{

/* Requests that a frontend may have made before it saw that their kind is not
 * supported any more. */
constexpr uint32_t kUnderWay = 2;

} // namespace

void WatchedRing::open(HookedQueue &queue, RingIndex at)
{
    queue_ = &queue;
    taken_ = at;
    in_flight_.clear();
    in_flight_.reserve(queue.area().entries());
    lost_ = {};
    untold_.reset();
    stored();
    /* Where requests were sent, the others have moved, too: another backend served them. */
    if (queue.area().load(SringField::ReqProd) != RingIndex(0))
        return;
    records_.note(JudgeRule::RingInit, rsp_prod_ == RingIndex(0), "rsp_prod does not begin at 0",
                  rsp_prod_.value);
    records_.note(JudgeRule::RingInit, req_event_ == RingIndex(1), "req_event does not begin at 1",
                  req_event_.value);
}

void WatchedRing::stored(SringField field)
{
    RingIndex i = queue_->area().load(field);
    if (field == SringField::RspProd)
        rsp_prod_ = i;
    if (field == SringField::ReqEvent)
        req_event_ = i;
}

void WatchedRing::stored()
{
    if (!queue_)
        return;
    stored(SringField::RspProd);
    stored(SringField::ReqEvent);
}

void WatchedRing::check_own()
{
    if (!queue_)
        return;
    const SharedRing &area = queue_->area();
    records_.note(JudgeRule::OwnIndex, area.load(SringField::RspProd) == rsp_prod_,
                  "rsp_prod was changed");
    records_.note(JudgeRule::OwnIndex, area.load(SringField::ReqEvent) == req_event_,
                  "req_event was changed");
}

void WatchedRing::loaded(SringField field, RingIndex i)
{
    if (field == SringField::ReqProd)
        check_own();
    if (field != SringField::RspEvent)
        return;
    /* It may lie behind, too. */
    uint32_t ahead = i - rsp_prod_;
    uint32_t most = queue_->area().load(SringField::ReqProd) - rsp_prod_ + 1;
    bool far = ahead > most && ahead < UINT32_MAX / 2;
    records_.note(JudgeRule::Batch, !far, "rsp_event asks for a response beyond its requests",
                  i.value);
}

WatchedRing::Feature WatchedRing::feature(Op op)
{
    switch (op) {
    case Op::WriteBarrier: return Barrier;
    case Op::FlushDiskcache: return Flush;
    case Op::Discard: return Discard;
    default: return None;
    }
}

void WatchedRing::check_offered(const Offers &offers, const WireRequest &wire)
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
    /* Requests whose answer a fault plan swallows stay here; the oldest one goes. */
    if (in_flight_.size() == queue_->area().entries())
        in_flight_.erase(in_flight_.begin());
    in_flight_.push_back(id.value);
}

void WatchedRing::take(const Offers &offers, const WireRequest &wire, uint16_t handle)
{
    taken_ = taken_ + 1;
    untold_.reset();
    records_.kept(JudgeRule::ReqProd);
    check_id(wire.id);
    check_offered(offers, wire);
    if (wire.op == Op::Read || wire.op == Op::Write || wire.op == Op::Indirect)
        records_.note(JudgeRule::Handle, wire.handle == handle,
                      "a request has the handle of another device", wire.handle);
    if (Feature f = feature(wire.op); f != None && lost_[f].lost)
        records_.note(JudgeRule::FeatureLoss, ++lost_[f].since <= kUnderWay,
                      "it goes on to send an operation that was answered as not supported",
                      static_cast<uint64_t>(wire.op));
}

void WatchedRing::answered(const WireRequest &wire, int16_t status)
{
    auto at = std::find(in_flight_.begin(), in_flight_.end(), wire.id.value);
    if (at != in_flight_.end())
        in_flight_.erase(at);
    if (Feature f = feature(wire.op);
        f != None && status == static_cast<int16_t>(RspStatus::EOpNotSupp))
        lost_[f].lost = true;
}

/* An event is due if the requests pass req_event. One that came would have made the
 * backend take them. */
void WatchedRing::look()
{
    if (!queue_ || !in_flight_.empty())
        return;
    RingIndex prod = queue_->area().load(SringField::ReqProd);
    uint32_t waiting = prod - taken_;
    bool due = waiting && waiting <= queue_->area().entries() && prod - req_event_ < waiting;
    if (!due) {
        untold_.reset();
        return;
    }
    if (untold_ == taken_)
        records_.broken(JudgeRule::ReqEvent, "requests passed req_event, and no event came",
                        waiting);
    untold_ = taken_;
}

} // namespace pvblk
