/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`: the plan that a backend obeys now, and the lifecycle fault that
 * it has begun. Code that bends a decision asks at().
 *
 * Threads: the ports' thread. A backend with a plan does I/O on it, too.
 */
#pragma once

#include "back/hooks.h"
#include "pvblk/fault.h"

namespace pvblk
{

/* Never 0, which means a decision without a request. */
constexpr FaultOpSet fault_ops(const WireRequest &req)
{
    FaultOpSet ops = fault_op(req.op);
    if (req.op == Op::Indirect)
        ops |= fault_op(req.indirect_op);
    return ops;
}

/* The low 32 bits of a parameter. */
constexpr uint32_t fault_low(const Fault &fault)
{
    return static_cast<uint32_t>(fault.number);
}

class PlanInForce
{
public:
    /* Forgets everything that began with the previous backend. */
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

    /* ---- life: delayed until later() */
    /* Begins a lifecycle fault. False: it is no lifecycle fault. */
    bool begin(const Fault &fault);
    /* Does the fault that began. */
    void later();
    /* Asks for a call of BackHooks::later(); called(): it came. */
    void call_later();
    void called() { called_ = false; }
    /* The backend is about to give up its rings, and answers nothing any more. */
    bool silent() const;
    /* The backend looks at no ring. */
    bool still() const { return stalled_ || silent(); }
    void stall(bool on) { stalled_ = on; }
    /* The backend's nodes are removed when the frontend is Closed. */
    bool unplugged() const { return unplugged_; }
    void forget_unplug() { unplugged_ = false; }

    /* ---- channels that are bound */
    void bound(uint32_t queue, bool on);
    bool is_bound(uint32_t queue) const { return queue < kMaxQueues && (bound_ >> queue & 1); }
    void notify_all(uint64_t times);

    /* Map and unmap a page that the backend has no business with. */
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
