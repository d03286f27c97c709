/* SPDX-License-Identifier: MIT */
/* Layer `front`: the parts that requests pass through, as one. */
#include "front/transfer.h"

namespace pvblk
{

namespace
{

/* How many sweeps to wait at cancellation for pages that are still mapped. */
constexpr uint32_t kPatience = 1000;

/* Sized for the policy's maximum: a later backend may offer more. */
uint32_t most_slots(const FrontPolicy &p)
{
    return p.queues() * p.ring_entries();
}

} // namespace

Transfer::Transfer(FrontPorts ports, FrontOwner &owner, const FrontConfig &config,
                   FrontNodes &nodes, Complaints &complaints, FrontCounters &counters,
                   const Plan &first)
    : owner_(owner), nodes_(nodes), complaints_(complaints), counters_(counters),
      pool_(ports.grants, ports.memory), terms_(config.policy, first),
      rings_(ports.events, ports.memory, pool_, owner, counters, config.always_notify),
      slots_(pool_, most_slots(config.policy), ports.grants.count()),
      splitter_(terms_.plan(), config, slots_, pool_, ports.memory),
      requests_(owner, counters, config.max_requests, first.queues),
      sender_(requests_, splitter_, slots_, rings_, pool_, terms_, ports.clock, owner, counters),
      answers_(rings_, slots_, requests_, terms_, ports.memory, ports.clock, owner, counters)
{
    tell_plan(false);
}

/* The last chance to free quarantined entries. */
Transfer::~Transfer()
{
    pool_.sweep_all();
}

Intake Transfer::submit(const IoRequest &req)
{
    if (IoStatus why = terms_.judge(req); why != IoStatus::Ok)
        return {Verdict::Rejected, why};
    bool data = req.kind == IoKind::Read || req.kind == IoKind::Write;
    if (data && !covers(req.buffer, req.sectors << kSectorShift))
        return {Verdict::Rejected, IoStatus::Error};
    if (!requests_.has_room())
        return {Verdict::Retry, IoStatus::Ok};
    requests_.accept(req);
    return {};
}

Turn Transfer::turn(const Permit &permit)
{
    Turn turn;
    answers_.consume(turn);
    if (permit.may_send() && !turn.fault)
        sender_.send(turn, permit);
    rings_.publish(turn);
    return turn;
}

/* What the backend still works on is an orphan: the owner's memory is taken
 * away from it, and its answer is awaited. */
void Transfer::end(std::optional<uint32_t> queue, IoStatus status)
{
    slots_.each_in_flight([&](Slot &slot) {
        if (!slot.orphan && Requests::meant(*slot.job, queue))
            slots_.orphan(slot);
    });
    requests_.end(queue, status);
}

void Transfer::cancel(std::optional<uint32_t> queue)
{
    uint32_t before = pool_.quarantined();
    end(queue, IoStatus::Cancelled);
    /* A backend in another thread may be in the middle of a copy: it holds a
     * page for microseconds. One that holds it for longer keeps it. Sweeps are
     * bounded, so the backend cannot hold us up by the number of its pages. */
    for (uint32_t n = 0; pool_.quarantined() > before && n < kPatience; n++)
        pool_.sweep();
}

Offer Transfer::offer() const
{
    auto plan = terms_.read(nodes_.read());
    if (!plan)
        return plan.error().kind == ErrorKind::Missing ? Offer::Incomplete : Offer::Complete;
    return plan.value().sized ? Offer::Complete : Offer::Unsized;
}

Status Transfer::publish()
{
    pool_.sweep_all();
    auto plan = terms_.read(nodes_.read());
    if (!plan)
        return plan.error();
    const Plan &announced = terms_.announce(plan.value());
    if (auto s = rings_.open(announced); !s)
        return s;
    return nodes_.publish(announced, rings_);
}

Status Transfer::attach()
{
    auto changed = terms_.adopt_new(nodes_.read());
    if (!changed)
        return changed.error();
    pool_.keep_grants(plan().persistent);
    requests_.line_up(plan().queues);
    counters_.reconnects += was_attached_;
    was_attached_ = true;
    tell_plan(changed.value());
    if (plan().no_discard)
        complaints_.no_discard(*plan().no_discard);
    return Ok{};
}

Status Transfer::refresh()
{
    bool told = plan().no_discard.has_value();
    auto changed = terms_.refresh(nodes_.read());
    if (!changed)
        return changed.error();
    tell_plan(changed.value());
    if (plan().no_discard && !told)
        complaints_.no_discard(*plan().no_discard);
    return Ok{};
}

void Transfer::tell_plan(bool changed)
{
    owner_.trace(TracePlan{plan().sectors, plan().sector_size});
    if (changed)
        owner_.plan_changed();
}

/* In reverse to publish(). */
void Transfer::tear_down(bool given_up)
{
    rings_.close();
    if (requeue_in_flight() && !given_up)
        complaints_.violation({ErrorKind::PeerViolation, "grant:end-access",
                               "the backend left, but keeps pages of requests mapped", 0});
    pool_.drop_kept();
    pool_.keep_grants(false);
    rings_.give_back();
    terms_.retract();
}

/* True: the backend keeps pages of the owner's. Those requests fail: whatever
 * the next backend answers, this one can still write there. */
bool Transfer::requeue_in_flight()
{
    bool kept = false;
    slots_.each_in_flight([&](Slot &slot) {
        bool keeps = !slots_.release(slot) && slots_.shows_guest_memory(slot);
        if (Job *job = slot.job) {
            requests_.part_lost(*job, slot.offset);
            if (keeps)
                job->status = IoStatus::Error;
            kept |= keeps;
        }
        slots_.land(slot);
    });
    return kept;
}

} // namespace pvblk
