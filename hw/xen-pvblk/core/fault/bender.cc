/* SPDX-License-Identifier: MIT */
/* Layer `fault`: sends each decision to its part, and changes the plan. */
#include "fault/bender.h"

#include <algorithm>
#include <utility>

namespace pvblk
{

Bender::Bender()
{
    queues_.reserve(kMaxQueues);
    for (uint32_t i = 0; i < kMaxQueues; i++)
        queues_.emplace_back(plan_, kept_);
}

void Bender::attached(HookedBack &back)
{
    plan_.attach(&back);
    nodes_.reset();
    if (plan_.any())
        back.ask_hooks();
}

void Bender::ended()
{
    kept_.let_go(plan_.back().ports().grants);
    plan_.attach(nullptr);
}

/* ---- a plan in the place of another ------------------------------------------ */

void Bender::obey(FaultPlan plan)
{
    bool lied = plan_.any();
    if (!plan_.attached())
        return take(std::move(plan));
    /* From the first plan on, also without one: what that did to a ring stays. */
    plan_.back().ask_hooks();
    settle();
    take(std::move(plan));
    look_again(lied);
}

void Bender::take(FaultPlan plan)
{
    plan_.take(std::move(plan));
    bent_ |= plan_.any();
    if (plan_.any())
        kept_.reserve();
}

/* What the plan put off is done, what it invented goes, and nodes and state
 * say what is true. */
void Bender::settle()
{
    HookedBack &back = plan_.back();
    back.later();
    bool lied = plan_.any();
    take({});
    for (Queue &q : queues_)
        if (q.ring.is_open())
            q.ring.settle();
    bool there = back.state() != XenbusState::Unknown;
    nodes_.forget(lied && there);
    if (lied && there) {
        back.publish_nodes();
        back.write_state(back.state());
    }
}

/* At what a stalled ring has. `lied`: an event may have been lost, and with
 * hold-off no other follows. */
void Bender::look_again(bool lied)
{
    BackEvents &events = plan_.back().ports().events;
    for (uint32_t i = 0; i < kMaxQueues; i++) {
        if (!queues_[i].ring.is_open())
            continue;
        if (plan_.any()) {
            queues_[i].ring.prepare();
            queues_[i].pages.prepare();
        }
        events.again(i);
        if (lied)
            (void)events.notify(i);
    }
}

/* ---- the backend's life -------------------------------------------------------- */

/* The event was sent; what is to happen after it needed a call of its own, so
 * that the frontend has seen it by then. */
void Bender::later()
{
    plan_.called();
    for (Queue &q : queues_) {
        q.ring.later();
        q.pages.later();
    }
    plan_.later();
}

void Bender::flushed(HookedQueue &queue)
{
    if (of(queue).ring.has_later() || of(queue).pages.has_later())
        plan_.call_later();
}

bool Bender::publish_node(std::string_view name, const std::optional<std::string> &honest)
{
    return plan_.any() && nodes_.publish(name, honest);
}

bool Bender::set_state(XenbusState before)
{
    if (!plan_.any())
        return false;
    nodes_.set_state(before);
    return true;
}

bool Bender::connect()
{
    auto f = plan_.at(FaultPoint::Connect);
    if (!f)
        return false;
    if (f->kind == FaultKind::Stall) {
        plan_.back().disconnect();
        plan_.stall(true);
        return false;
    }
    if (!plan_.begin(*f) && f->kind == FaultKind::ConnectRefused)
        plan_.back().write("error", "the fault plan refuses to connect");
    return true;
}

bool Bender::tick(std::string_view what)
{
    if (plan_.any()) {
        for (Queue &q : queues_)
            if (q.ring.is_open())
                q.ring.tick();
        if (auto f = plan_.at(FaultPoint::Tick, 0, 0, what))
            tick(*f);
    }
    return plan_.silent(); /* this backend is as good as gone */
}

void Bender::tick(const Fault &fault)
{
    HookedBack &back = plan_.back();
    /* Without a ring, there is nothing to stall. */
    if ((fault.kind == FaultKind::Stall && !back.connected()) || plan_.begin(fault))
        return;
    uint64_t unit = back.config().unit() / kSectorSize;
    uint64_t sectors = back.ports().storage.sectors();
    switch (fault.kind) {
    case FaultKind::SectorSizeChanged: nodes_.resize("sector-size", fault.number); break;
    case FaultKind::SizeShrinks:
        nodes_.resize("sectors", (sectors - std::min(sectors, fault.number)) / unit);
        break;
    case FaultKind::SizeGrows:
        nodes_.resize("sectors", (sectors + std::min(UINT64_MAX - sectors, fault.number)) / unit);
        break;
    case FaultKind::NotifySpurious: plan_.notify_all(1); break;
    case FaultKind::NotifyStorm: plan_.notify_all(fault.number); break;
    case FaultKind::MapStray: plan_.touch(GrantRef(fault_low(fault)), true); break;
    default:
        for (Queue &q : queues_)
            if (q.ring.is_open())
                q.ring.tick(fault);
    }
}

/* ---- a ring's ------------------------------------------------------------------- */

void Bender::opened(HookedQueue &queue, RingIndex at)
{
    of(queue).ring.open(queue, at);
    of(queue).pages.open(queue);
}

void Bender::closed(HookedQueue &queue)
{
    of(queue).ring.close();
    of(queue).pages.close();
}

bool Bender::take(HookedQueue &queue, const WireRequest &wire)
{
    auto f = plan_.at(FaultPoint::Take, fault_ops(wire), queue.index());
    BentRing &ring = of(queue).ring;
    bool replayed = f && f->kind == FaultKind::ResponseReplayed && ring.replay(wire);
    ring.taken();
    if (!f || replayed)
        return replayed;
    if (plan_.begin(*f))
        return plan_.silent();
    return f->kind == FaultKind::ResponseLost;
}

HookStep Bender::before_work(const HookedRequest &r)
{
    auto f = plan_.at(FaultPoint::BeforeWork, fault_ops(r.wire), r.queue.index());
    if (!f)
        return {};
    switch (f->kind) {
    case FaultKind::ResponseRefused: return {HookStep::Answer, RspStatus::Error};
    case FaultKind::FeatureUnsupported: return {HookStep::Answer, RspStatus::EOpNotSupp};
    default: return {HookStep::Answer, RspStatus::Okay}; /* DataSkipped */
    }
}

std::optional<Result<std::byte *>> Bender::map(HookedQueue &queue, const PageUse &use, GrantRef ref,
                                               bool readonly)
{
    return of(queue).pages.map(queue, use, ref, readonly);
}

bool Bender::unmap(HookedQueue &queue, const PageUse &use, const Mapping &mapping,
                   PersistentMaps *maps)
{
    return of(queue).pages.unmap(queue, use, mapping, maps);
}

HookStep Bender::data(const HookedRequest &r, StorageRequest &req)
{
    return of(r.queue).pages.data(r, req);
}

bool Bender::respond(HookedQueue &queue, const WireRequest &wire, const WireResponse &rsp)
{
    if (!plan_.any())
        return false;
    of(queue).ring.respond(wire, rsp);
    return true;
}

bool Bender::put_response(HookedQueue &queue, const WireResponse &rsp)
{
    of(queue).ring.put_response(rsp);
    return true;
}

bool Bender::store(HookedQueue &queue, SringField field, RingIndex i)
{
    return of(queue).ring.store(field, i);
}

void Bender::loaded(HookedQueue &queue, SringField field, RingIndex i)
{
    of(queue).ring.loaded(field, i);
}

/* ---- what others see of it -------------------------------------------------------- */

BackFaults::BackFaults() : bender_(std::make_unique<Bender>()) {}

BackFaults::~BackFaults() = default;

BackHooks *BackFaults::hooks()
{
    return bender_.get();
}

void BackFaults::obey(FaultPlan plan)
{
    bender_->obey(std::move(plan));
}

const FaultPlan &BackFaults::plan() const
{
    return bender_->plan();
}

} // namespace pvblk
