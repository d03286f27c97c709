/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: all rings of a backend, which begin and end together.
 */
#pragma once

#include "back/queue.h"

namespace pvblk
{

class BackRings
{
public:
    BackRings(BackPorts ports, const BackConfig &config, HooksPointer hooks);

    /* All or none. Nothing is taken from them before kick(). */
    Status start(const BackPlan &plan);
    /* What was pushed before we bound. */
    void kick();
    /* In this order: nothing new is taken, what was taken ends, and then its
     * pages and the ring go. Nothing, where there is no connection. */
    void stop();
    bool up() const { return up_; }
    /* Of the connection that is; as it was, once it is no more. */
    const BackPlan &plan() const { return plan_; }

    /* Those that are up, to hooks that are asked from now on. */
    void tell_hooks();

    void event(uint32_t queue) { queues_[queue]->event(); }

    /* What they counted is added. */
    void add_to(BackCounters &sum) const;
    /* The first one that stands still; null: none does. */
    const BackQueue *halted() const;

private:
    BackPorts ports_;
    HooksPointer hooks_;
    BackPlan plan_{};
    bool up_{false};
    BarrierGate gate_{}; /* of the queues, which go before it */
    std::vector<std::unique_ptr<BackQueue>> queues_{};
};

} // namespace pvblk
