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

    /* Starts all or none. They take no request before kick(). */
    Status start(const BackPlan &plan);
    /* Look at requests that were pushed before we bound the channels. */
    void kick();
    /* In this order: stop taking requests, finish those taken, then unmap their
     * pages and the rings. Without a connection it does nothing. */
    void stop();
    bool up() const { return up_; }
    /* Another frontend made its rings in the pages of this connection. Or one of
     * the rings is halted, so another frontend has to come. */
    bool stale() const;
    /* The backend took a request since start(). */
    bool used() const;
    /* Of the current connection, or else of the last one. */
    const BackPlan &plan() const { return plan_; }

    /* Tell the hooks which rings are up, when the backend begins to ask them. */
    void tell_hooks();

    void event(uint32_t queue) { queues_[queue]->event(); }

    /* Adds their counters. */
    void add_to(BackCounters &sum) const;
    /* The first halted ring; null: none is halted. */
    const BackQueue *halted() const;

private:
    BackPorts ports_;
    HooksPointer hooks_;
    BackPlan plan_{};
    bool up_{false};
    BarrierGate gate_{}; /* of the queues, which are destroyed before it */
    std::vector<std::unique_ptr<BackQueue>> queues_{};
};

} // namespace pvblk
