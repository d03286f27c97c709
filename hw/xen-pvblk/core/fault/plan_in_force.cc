/* SPDX-License-Identifier: MIT */
/* Layer `fault`: the faults of a backend's life. Each case is the sentence of
 * fault_catalogue.h. */
#include "fault/plan_in_force.h"

#include <utility>

namespace pvblk
{

namespace
{

bool gives_up_rings(FaultKind kind)
{
    return kind != FaultKind::Closing && kind != FaultKind::Unplug;
}

} // namespace

void PlanInForce::attach(HookedBack *back)
{
    back_ = back;
    due_.reset();
    stalled_ = unplugged_ = called_ = false;
    bound_ = 0;
}

void PlanInForce::take(FaultPlan plan)
{
    plan_ = std::move(plan);
    stalled_ = unplugged_ = false;
}

bool PlanInForce::begin(const Fault &fault)
{
    switch (fault.kind) {
    case FaultKind::Stall: stalled_ = true; return true;
    case FaultKind::Closing:
    case FaultKind::ClosedAtOnce:
    case FaultKind::Unplug:
    case FaultKind::Vanish:
    case FaultKind::Migrate:
    case FaultKind::Restart:
        if (!due_)
            due_ = fault.kind;
        call_later();
        return true;
    default: return false;
    }
}

bool PlanInForce::silent() const
{
    return due_ && gives_up_rings(*due_);
}

void PlanInForce::call_later()
{
    if (!std::exchange(called_, true))
        back_->ports().events.later();
}

void PlanInForce::later()
{
    if (due_)
        live(*due_);
    due_.reset();
}

/* The fault that began inside another call. */
void PlanInForce::live(FaultKind kind)
{
    switch (kind) {
    case FaultKind::Unplug: unplugged_ = true; [[fallthrough]];
    case FaultKind::Closing: back_->close(); break;
    case FaultKind::ClosedAtOnce:
        back_->disconnect();
        back_->set_state(XenbusState::Closed);
        break;
    case FaultKind::Vanish: back_->disappear(); break;
    case FaultKind::Migrate:
        back_->disconnect();
        back_->remove_nodes();
        (void)back_->publish();
        break;
    case FaultKind::Restart:
        back_->disconnect();
        (void)back_->publish();
        break;
    default: break;
    }
}

void PlanInForce::bound(uint32_t queue, bool on)
{
    bound_ = on ? bound_ | 1u << queue : bound_ & ~(1u << queue);
}

void PlanInForce::notify_all(uint64_t times)
{
    for (uint32_t q = 0; q < kMaxQueues; q++)
        for (uint64_t i = 0; i < times && is_bound(q); i++)
            (void)back_->ports().events.notify(q);
}

void PlanInForce::touch(GrantRef ref, bool readonly)
{
    BackGrants &grants = back_->ports().grants;
    if (auto page = grants.map(ref, readonly))
        grants.unmap(ref, page.value());
}

} // namespace pvblk
