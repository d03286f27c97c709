/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`: the hooks of a backend that obeys a FaultPlan. At each point of
 * the catalogue they ask the plan, and commit the fault that it answers. Without
 * a fault the backend is honest.
 *
 * Its parts do the work: PlanInForce (the plan, and the backend's life),
 * BentNodes, and for each queue BentRing and BentPages.
 */
#pragma once

#include "fault/bent_nodes.h"
#include "fault/bent_pages.h"
#include "fault/bent_ring.h"

#include <vector>

namespace pvblk
{

class Bender : public BackHooks
{
public:
    Bender();
    virtual ~Bender() = default;
    Bender(const Bender &) = delete;
    Bender &operator=(const Bender &) = delete;

    /* As BackFaults::obey(). */
    void obey(FaultPlan plan);
    const FaultPlan &plan() const { return plan_.plan(); }

    void attached(HookedBack &back) override;
    void ended() override;
    bool bends() const override { return bent_; }
    void later() override;
    bool publish_node(std::string_view name, const std::optional<std::string> &honest) override;
    bool set_state(XenbusState before) override;
    bool connect() override;
    void connected() override { nodes_.connecting(); }
    void disconnected() override { plan_.stall(false); }
    void gone() override { plan_.forget_unplug(); }
    bool leaves() override { return plan_.unplugged(); }
    bool tick(std::string_view what) override;

    void opened(HookedQueue &queue, RingIndex at) override;
    void closed(HookedQueue &queue) override;
    bool rests(HookedQueue &queue) override { return of(queue).ring.rests(); }
    bool take(HookedQueue &queue, const WireRequest &wire) override;
    void no_slot(HookedQueue &queue) override { of(queue).pages.end_lingering(); }
    HookStep before_work(const HookedRequest &r) override;
    std::optional<Result<std::byte *>> map(HookedQueue &queue, const PageUse &use, GrantRef ref,
                                           bool readonly) override;
    RspStatus map_failed(HookedQueue &queue) override { return of(queue).pages.map_failed(); }
    HookStep data(const HookedRequest &r, StorageRequest &req) override;
    HookStep moved(const HookedRequest &r) override { return of(r.queue).pages.moved(r); }
    bool unmap(HookedQueue &queue, const PageUse &use, const Mapping &mapping,
               PersistentMaps *maps) override;
    bool respond(HookedQueue &queue, const WireRequest &wire, const WireResponse &rsp) override;
    bool put_response(HookedQueue &queue, const WireResponse &rsp) override;
    bool store(HookedQueue &queue, SringField field, RingIndex i) override;
    void loaded(HookedQueue &queue, SringField field, RingIndex i) override;
    std::optional<bool> publish(HookedQueue &queue) override { return of(queue).ring.publish(); }
    bool notify(HookedQueue &queue) override { return of(queue).ring.notify(); }
    void flushed(HookedQueue &queue) override;

private:
    struct Queue {
        Queue(PlanInForce &plan, KeptPages &kept) : ring(plan), pages(plan, kept) {}
        BentRing ring;
        BentPages pages;
    };
    Queue &of(HookedQueue &queue) { return queues_[queue.index()]; }
    void tick(const Fault &fault);
    void take(FaultPlan plan);
    void settle();
    void look_again(bool lied);

    PlanInForce plan_{};
    bool bent_{false}; /* there was a plan; what it did to a ring stays */
    KeptPages kept_{};
    BentNodes nodes_{plan_};
    std::vector<Queue> queues_{}; /* kMaxQueues */
};

} // namespace pvblk
