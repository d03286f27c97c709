/* SPDX-License-Identifier: MIT */
/* Layer `judge`: what a backend does with its frontend, seen and passed on. */
#include "judge/watcher.h"

#include "back/front_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pvblk
{

namespace
{

/* Looks after the end of a connection, until its grants have to have ended. */
constexpr uint32_t kGraceLooks = 2;

/* The last component of the frontend's path; requests carry its lower 16 bits. */
uint16_t handle_of(const std::string &path)
{
    return static_cast<uint16_t>(
        parse_decimal(std::string_view(path).substr(path.rfind('/') + 1)).value_or(0));
}

/* Of a backend without a plan: each hook does nothing. */
class NoHooks final : public BackHooks
{
} no_hooks;

} // namespace

Watcher::Watcher(BackHooks *next, BackOwner *owner, JudgeListener *listener)
    : next_(next ? *next : no_hooks), owner_(owner), records_(listener), grants_(records_)
{
    rings_.reserve(kMaxQueues);
    for (uint32_t i = 0; i < kMaxQueues; i++)
        rings_.emplace_back(records_);
}

/* ---- where nothing happens -------------------------------------------------------- */

void Watcher::look()
{
    /* A ring may wait for another ring's barrier. */
    if (std::none_of(rings_.begin(), rings_.end(), [](auto &r) { return r.is_busy(); }))
        for (WatchedRing &r : rings_)
            r.look();
    /* Only a frontend that closed has to let go of them. */
    if (!back_ || up_ || !used_ || front_ != XenbusState::Closed || looks_ == kGraceLooks ||
        ++looks_ < kGraceLooks)
        return;
    uint32_t left = grants_left();
    records_.note(JudgeRule::GrantLifetime, left == 0,
                  "grants are left after the connection has ended", left);
}

uint32_t Watcher::grants_left()
{
    return back_ && !up_ ? grants_.left(back_->ports().grants) : 0;
}

/* ---- the backend's life ------------------------------------------------------------ */

void Watcher::attached(HookedBack &back)
{
    back_ = &back;
    offers_.attach(back);
    nodes_.attach(back.ports().store, back.config().frontend_path);
    handle_ = handle_of(back.config().frontend_path);
    next_.attached(back);
    back.ask_hooks();
}

void Watcher::ended()
{
    next_.ended();
    back_ = nullptr;
}

/* A plan may rewrite any old response, and with it the request that came to its place. */
void Watcher::later()
{
    for (WatchedRing &r : rings_)
        yield(r, UINT32_MAX);
    next_.later();
    for (WatchedRing &r : rings_)
        r.resume();
}

bool Watcher::publish_node(std::string_view name, const std::optional<std::string> &honest)
{
    return next_.publish_node(name, honest);
}

bool Watcher::set_state(XenbusState before)
{
    /* All nodes are written that the frontend reads when it sees this state. */
    if (back_->state() == XenbusState::Connected) {
        offers_.read();
        agree();
        note_use();
    }
    return next_.set_state(before);
}

bool Watcher::connect()
{
    if (next_.connect())
        return true;
    grants_.begin();
    used_ = false;
    return false;
}

void Watcher::connected()
{
    up_ = true;
    used_ = false;
    looks_ = 0;
    offers_.begin();
    check_nodes();
    next_.connected();
}

void Watcher::disconnected()
{
    up_ = false;
    next_.disconnected();
}

void Watcher::gone()
{
    next_.gone();
}

bool Watcher::leaves()
{
    return next_.leaves();
}

bool Watcher::tick(std::string_view what)
{
    if (what == "store")
        read_state();
    for (WatchedRing &r : rings_)
        yield(r);
    bool ignored = next_.tick(what);
    for (WatchedRing &r : rings_)
        r.resume();
    return ignored;
}

/* ---- the frontend's nodes ---------------------------------------------------------- */

void Watcher::read_state()
{
    char buffer[24];
    auto text = nodes_.text("state", buffer);
    XenbusState before = front_;
    front_ = XenbusState::Unknown;
    if (text) {
        auto state = parse_xenbus_state(*text);
        records_.note(JudgeRule::State, state.ok(), "the state is no number from 0 to 8");
        if (state)
            front_ = state.value();
    }
    if (front_ != before && records_.listener())
        records_.listener()->frontend_state(front_);
    note_use();
    if (!up_ || !used_ || front_ != XenbusState::Connected)
        return;
    /* Its nodes may go once it closes, also while they are read. */
    auto plan = front_plan();
    if (plan && (*plan == agreed_ || state_now() == front_))
        records_.note(JudgeRule::Nodes, *plan == agreed_,
                      "its nodes changed while it was Connected");
}

/* None: there is no such state. */
std::optional<XenbusState> Watcher::state_now()
{
    char buffer[24];
    auto state = parse_xenbus_state(nodes_.text("state", buffer).value_or(""));
    return state ? std::optional(state.value()) : std::nullopt;
}

void Watcher::note_use()
{
    bool both = front_ == XenbusState::Connected && back_->state() == XenbusState::Connected;
    if (up_ && both)
        connections_ += !std::exchange(used_, true);
}

/* Equal to no other if a node is wrong. None: they cannot be read. */
std::optional<BackPlan> Watcher::front_plan()
{
    auto plan = FrontReader(back_->ports().store, back_->config()).plan();
    if (plan)
        return plan.value();
    if (plan.error().kind == ErrorKind::Io)
        return std::nullopt;
    BackPlan wrong;
    wrong.queues = 0;
    return wrong;
}

/* Of a frontend whose nodes the backend took. */
void Watcher::check_nodes()
{
    using R = JudgeRule;
    for (R rule : {R::FrontendNode, R::EventChannel, R::RingRef, R::Protocol, R::RingPageOrder,
                   R::NumRingPages, R::NumQueues})
        records_.kept(rule);
    agreed_ = back_->plan();
    /* Each end may keep the grants, whatever the other one does. */
    persists_ = nodes_.number("feature-persistent", 0) == 1;
    /* By the text of 2019, which counts in sector-size, it should. */
    records_.note(R::LargeSectorSize,
                  back_->config().units == SectorUnits::Device ||
                      !nodes_.exists("feature-large-sector-size"),
                  "feature-large-sector-size is written");
    if (agreed_.queues > 1)
        records_.note(R::MultiQueue, !nodes_.exists("ring-ref") && !nodes_.exists("event-channel"),
                      "ring-ref or event-channel is at the top, beside several queues");
    for (uint32_t i = 0; i < agreed_.queues && agreed_.ring_pages > 1; i++) {
        std::string queue = agreed_.queues > 1 ? "queue-" + std::to_string(i) + "/" : "";
        records_.note(R::RingRefs, !nodes_.exists(queue + "ring-ref"),
                      "ring-ref is there, beside the ring-refs of several pages", i);
    }
}

void Watcher::agree()
{
    uint64_t limit = std::min<uint64_t>(offers_.indirect_limit(), kMaxIndirectSegments);
    uint64_t segments = std::max<uint64_t>(kMaxDirectSegments, limit);
    uint64_t requests = uint64_t{agreed_.queues} * ring_entries(agreed_.abi, agreed_.ring_pages);
    grants_.agree(persists_, requests * (segments + indirect_pages(static_cast<uint32_t>(limit))));
}

/* ---- a ring's ------------------------------------------------------------------------ */

/* Without a plan, what changes meanwhile is the frontend's: it runs on another processor. */
void Watcher::yield(WatchedRing &ring, uint32_t requests)
{
    if (next_.bends())
        ring.yield(requests);
}

void Watcher::opened(HookedQueue &queue, RingIndex at)
{
    ring(queue).open(queue, at);
    next_.opened(queue, at);
}

void Watcher::closed(HookedQueue &queue)
{
    ring(queue).close();
    next_.closed(queue);
}

bool Watcher::rests(HookedQueue &queue)
{
    bool rests = next_.rests(queue);
    ring(queue).rests(rests);
    return rests;
}

bool Watcher::take(HookedQueue &queue, const WireRequest &wire)
{
    ring(queue).take(offers_, wire, handle_);
    if (JudgeListener *l = records_.listener())
        l->request(queue.index(), wire.id, wire.op,
                   wire.op == Op::Indirect ? wire.nr_indirect_segments : wire.nr_segments,
                   wire.sector);
    return next_.take(queue, wire);
}

void Watcher::no_slot(HookedQueue &queue)
{
    next_.no_slot(queue);
}

HookStep Watcher::before_work(const HookedRequest &r)
{
    return next_.before_work(r);
}

/* Maps the page itself, as the backend would, to see whether it can be mapped. */
std::optional<Result<std::byte *>> Watcher::map(HookedQueue &queue, const PageUse &use,
                                                GrantRef ref, bool readonly)
{
    forged_ = false;
    if (auto bent = next_.map(queue, use, ref, readonly)) {
        forged_ = !bent->ok();
        return bent;
    }
    BackGrants &grants = back_->ports().grants;
    auto page = grants.map(ref, readonly);
    if (page)
        grants_.mapped(grants, ref, page.value(), use.name == "data", readonly);
    return page;
}

RspStatus Watcher::map_failed(HookedQueue &queue)
{
    return next_.map_failed(queue);
}

HookStep Watcher::data(const HookedRequest &r, StorageRequest &req)
{
    /* A barrier with data comes once more, for the data. */
    bool last = req.op != StorageOp::Flush || r.wire.op != Op::WriteBarrier || !r.wire.nr_segments;
    HookStep step = next_.data(r, req);
    if (last && step.what != HookStep::Keep && !ring(r.queue).is_forged())
        ring(r.queue).passed(r.wire);
    return step;
}

HookStep Watcher::moved(const HookedRequest &r)
{
    return next_.moved(r);
}

bool Watcher::unmap(HookedQueue &queue, const PageUse &use, const Mapping &mapping,
                    PersistentMaps *maps)
{
    bool done = next_.unmap(queue, use, mapping, maps);
    if (done) /* by a fault, which may keep it mapped: the frontend cannot end it */
        grants_.excuse(mapping.ref);
    return done;
}

bool Watcher::respond(HookedQueue &queue, const WireRequest &wire, const WireResponse &rsp)
{
    if (JudgeListener *l = records_.listener())
        l->response(queue.index(), rsp.id, rsp.op, rsp.status);
    yield(ring(queue));
    bool done = next_.respond(queue, wire, rsp);
    ring(queue).resume();
    return done;
}

bool Watcher::put_response(HookedQueue &queue, const WireResponse &rsp)
{
    ring(queue).shown(rsp);
    return next_.put_response(queue, rsp);
}

bool Watcher::store(HookedQueue &queue, SringField field, RingIndex i)
{
    ring(queue).storing(field);
    if (!next_.store(queue, field, i))
        queue.area().store(field, i);
    ring(queue).stored(field, i, next_.bends());
    return true;
}

void Watcher::loaded(HookedQueue &queue, SringField field, RingIndex i)
{
    ring(queue).loaded(field, i);
    next_.loaded(queue, field, i);
}

std::optional<bool> Watcher::publish(HookedQueue &queue)
{
    yield(ring(queue));
    auto told = next_.publish(queue);
    ring(queue).resume();
    return told;
}

bool Watcher::notify(HookedQueue &queue)
{
    bool done = next_.notify(queue);
    sent_ = !done;
    return done;
}

void Watcher::flushed(HookedQueue &queue)
{
    if (std::exchange(sent_, false))
        records_.kept(JudgeRule::EventReceived);
    next_.flushed(queue);
}

/* ---- what the backend complains of ----------------------------------------------------- */

void Watcher::complain(const Error &error)
{
    for (const JudgeRuleInfo &rule : judge_rules())
        if (!std::strcmp(rule.clause, error.clause) && offers_.back_up(rule.rule, error))
            return records_.broken(rule.rule, error.what, error.value);
}

/* The frontend takes part in the connection, or is about to. */
bool Watcher::is_there()
{
    using S = XenbusState;
    auto now = state_now();
    return now && now != S::Unknown && now != S::Initialising && now != S::Closing &&
           now != S::Closed;
}

/* By a fault, or because the frontend has left. */
bool Watcher::is_excused(const Error &error)
{
    auto is = [&error](const char *clause) { return !std::strcmp(error.clause, clause); };
    if (is("blkif:ring-ref"))
        return forged_;
    if (is("blkif:gref"))
        return forged_ || !is_there();
    if (is("evtchn:send"))
        return !is_there();
    if (is("ring:req-prod"))
        return error.kind == ErrorKind::NoSpace ||
               std::any_of(rings_.begin(), rings_.end(), [](auto &r) { return r.is_forged(); });
    return false;
}

void Watcher::violation(const Error &error)
{
    sent_ = false;
    if (!is_excused(error))
        complain(error);
    if (owner_)
        owner_->violation(error);
}

void Watcher::refused(const RefusedRequest &request)
{
    if (!rings_[request.queue].is_forged() && !is_excused(request.why))
        complain(request.why);
    if (owner_)
        owner_->refused(request);
}

} // namespace pvblk
