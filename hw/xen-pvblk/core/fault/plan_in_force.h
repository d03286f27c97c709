/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`: the plan that a backend obeys now, and what of the backend's
 * life a fault of it has begun. Whoever bends a decision asks at().
 *
 * Threads: one, that of the ports: a backend with a plan has no other for I/O.
 */
#pragma once

#include "back/hooks.h"
#include "pvblk/fault.h"

namespace pvblk
{

/* Never 0: that is a decision about no request. */
constexpr FaultOpSet fault_ops(const WireRequest &req)
{
    FaultOpSet ops = fault_op(req.op);
    if (req.op == Op::Indirect)
        ops |= fault_op(req.indirect_op);
    return ops;
}

/* A parameter where 32 bits are what counts. */
constexpr uint32_t fault_low(const Fault &fault)
{
    return static_cast<uint32_t>(fault.number);
}

class PlanInForce
{
public:
    /* Of what began with the backend before this one nothing is left. */
    void attach(HookedBack *back);
    HookedBack &back() const { return *back_; }
    bool attached() const { return back_ != nullptr; }

    const FaultPlan &plan() const { return plan_; }
    bool any() const { return plan_.rules() != 0; }
    void take(FaultPlan plan);
    std::optional<Fault> at(FaultPoint point, FaultOpSet ops = 0, uint32_t queue = 0,
                            std::string_view name = {})
    {
        if (!any())
            return std::nullopt;
        return plan_.at({point, back_->state(), ops, queue, name});
    }

    /* ---- life: put off until later() */
    /* A lifecycle fault. False: it is none. */
    bool begin(const Fault &fault);
    /* Does what began. */
    void later();
    /* BackHooks::later() will be called; it was. */
    void call_later();
    void called() { called_ = false; }
    /* The rings are about to be given up, and nothing is answered any more. */
    bool silent() const;
    /* No ring is looked at. */
    bool still() const { return stalled_ || silent(); }
    void stall(bool on) { stalled_ = on; }
    /* The backend's nodes go when the frontend is Closed. */
    bool unplugged() const { return unplugged_; }
    void forget_unplug() { unplugged_ = false; }

    /* ---- channels that are bound */
    void bound(uint32_t queue, bool on);
    bool is_bound(uint32_t queue) const { return queue < kMaxQueues && (bound_ >> queue & 1); }
    void notify_all(uint64_t times);

    /* Map and unmap a page, as somebody who has no business with it. */
    void touch(GrantRef ref, bool readonly);

private:
    void live(FaultKind kind);

    HookedBack *back_{nullptr};
    FaultPlan plan_{};
    std::optional<FaultKind> due_{};
    bool stalled_{false};
    bool unplugged_{false};
    bool called_{false};
    uint32_t bound_{0}; /* bit: queue */
};

} // namespace pvblk
