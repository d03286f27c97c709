/* SPDX-License-Identifier: MIT */
/* Layer `judge`: what a backend does with its frontend, seen and passed on. */
#include "judge/watcher.h"

#include "back/front_reader.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

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

} // namespace

Watcher::Watcher(BackHooks *next, BackOwner *owner, JudgeListener *listener)
    : next_(next), owner_(owner), records_(listener), grants_(records_)
{
    rings_.reserve(kMaxQueues);
    for (uint32_t i = 0; i < kMaxQueues; i++)
        rings_.emplace_back(records_);
}

/* ---- where nothing happens -------------------------------------------------------- */

void Watcher::look()
{
    for (WatchedRing &r : rings_)
        if (r.is_open() && !rests(*r.queue()))
            r.look();
    if (!back_ || up_ || !used_ || looks_ >= kGraceLooks || ++looks_ < kGraceLooks)
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
    offers_.attach(&back);
    handle_ = handle_of(back.config().frontend_path);
    if (next_)
        next_->attached(back);
    back.ask_hooks();
}

void Watcher::ended()
{
    if (next_)
        next_->ended();
    back_ = nullptr;
}

void Watcher::later()
{
    if (!next_)
        return;
    check_own();
    next_->later();
    stored();
}

void Watcher::check_own()
{
    for (WatchedRing &r : rings_)
        r.check_own();
}

void Watcher::stored()
{
    for (WatchedRing &r : rings_)
        r.stored();
}

bool Watcher::publish_node(std::string_view name, const std::optional<std::string> &honest)
{
    return next_ && next_->publish_node(name, honest);
}

bool Watcher::set_state(XenbusState before)
{
    /* All nodes are written that the frontend reads when it sees this state. */
    if (back_->state() == XenbusState::Connected) {
        offers_.read();
        note_use(); /* some frontends are Connected from the start */
    }
    return next_ && next_->set_state(before);
}

/* Both ends are Connected. */
void Watcher::note_use()
{
    if (up_ && front_ == XenbusState::Connected) {
        connections_ += !used_;
        used_ = true;
    }
}

bool Watcher::connect()
{
    return next_ && next_->connect();
}

void Watcher::connected()
{
    up_ = true;
    used_ = false;
    looks_ = 0;
    offers_.read();
    check_nodes();
    if (next_)
        next_->connected();
}

void Watcher::disconnected()
{
    up_ = false;
    if (next_)
        next_->disconnected();
}

void Watcher::gone()
{
    if (next_)
        next_->gone();
}

bool Watcher::leaves()
{
    return next_ && next_->leaves();
}

bool Watcher::tick(std::string_view what)
{
    if (what == "store")
        read_state();
    if (!next_)
        return false;
    check_own();
    bool ignored = next_->tick(what);
    stored();
    return ignored;
}

/* ---- the frontend's nodes ---------------------------------------------------------- */

void Watcher::read_state()
{
    char text[8];
    auto length = back_->ports().store.read(back_->config().frontend_path + "/state", text);
    XenbusState before = front_;
    front_ = XenbusState::Unknown;
    if (length) {
        auto state = parse_xenbus_state({text, std::min(length.value(), sizeof text)});
        records_.note(JudgeRule::State, state.ok(), "the state is no number from 0 to 8");
        if (state)
            front_ = state.value();
    }
    if (front_ != before && records_.listener())
        records_.listener()->frontend_state(front_);
    if (!up_ || front_ != XenbusState::Connected || back_->state() != XenbusState::Connected)
        return;
    note_use();
    auto plan = FrontReader(back_->ports().store, back_->config()).plan();
    records_.note(JudgeRule::Nodes, plan && plan.value() == agreed_,
                  "its nodes changed while it was Connected");
}

/* The frontend takes part in the connection at this moment. */
bool Watcher::is_here() const
{
    XenbusState now = FrontReader(back_->ports().store, back_->config()).state();
    return now == XenbusState::Connected || now == XenbusState::Initialised;
}

bool Watcher::has_node(const std::string &name) const
{
    char text[1];
    return back_->ports().store.read(back_->config().frontend_path + "/" + name, text).ok();
}

/* Of a frontend whose nodes the backend took. */
void Watcher::check_nodes()
{
    using R = JudgeRule;
    for (R rule : {R::FrontendNode, R::EventChannel, R::RingRef, R::Protocol, R::RingPageOrder,
                   R::NumRingPages, R::NumQueues})
        records_.kept(rule);
    auto plan = FrontReader(back_->ports().store, back_->config()).plan();
    if (!plan)
        return; /* it changed just now; read_state() compares */
    agreed_ = plan.value();
    records_.note(R::LargeSectorSize, !has_node("feature-large-sector-size"),
                  "feature-large-sector-size is written");
    if (agreed_.queues > 1)
        records_.note(R::MultiQueue, !has_node("ring-ref") && !has_node("event-channel"),
                      "ring-ref or event-channel is at the top, beside several queues");
    else if (agreed_.ring_pages > 1)
        records_.note(R::RingRefs, !has_node("ring-ref"),
                      "ring-ref is there, beside the ring-refs of several pages");
    uint64_t segments = std::max<uint64_t>(kMaxDirectSegments, offers_.indirect_limit());
    uint64_t lists = indirect_pages(
        static_cast<uint32_t>(std::min<uint64_t>(offers_.indirect_limit(), kMaxIndirectSegments)));
    uint64_t requests = uint64_t{agreed_.queues} * ring_entries(agreed_.abi, agreed_.ring_pages);
    grants_.agree(agreed_.persistent, requests * (segments + lists));
}

/* ---- a ring's ------------------------------------------------------------------------ */

void Watcher::opened(HookedQueue &queue, RingIndex at)
{
    ring(queue).open(queue, at);
    if (next_)
        next_->opened(queue, at);
}

void Watcher::closed(HookedQueue &queue)
{
    ring(queue).close();
    if (next_)
        next_->closed(queue);
}

bool Watcher::rests(HookedQueue &queue)
{
    return next_ && next_->rests(queue);
}

bool Watcher::take(HookedQueue &queue, const WireRequest &wire)
{
    ring(queue).take(offers_, wire, handle_);
    if (JudgeListener *l = records_.listener())
        l->request(queue.index(), wire.id, wire.op,
                   wire.op == Op::Indirect ? wire.nr_indirect_segments : wire.nr_segments,
                   wire.sector);
    return next_ && next_->take(queue, wire);
}

void Watcher::no_slot(HookedQueue &queue)
{
    if (next_)
        next_->no_slot(queue);
}

HookStep Watcher::before_work(const HookedRequest &r)
{
    return next_ ? next_->before_work(r) : HookStep{};
}

/* Maps the page itself, as the backend would, to see whether it can be mapped. */
std::optional<Result<std::byte *>> Watcher::map(HookedQueue &queue, const PageUse &use,
                                                GrantRef ref, bool readonly)
{
    bool is_ring = use.name == "ring";
    if (is_ring && !up_ && queue.index() == 0 && !ring(queue).is_open())
        grants_.begin();
    forged_ = false;
    if (next_)
        if (auto bent = next_->map(queue, use, ref, readonly)) {
            forged_ = !bent->ok();
            return bent;
        }
    BackGrants &grants = back_->ports().grants;
    auto page = grants.map(ref, readonly);
    if (page)
        grants_.mapped(grants, ref, use.name == "data", readonly);
    return page;
}

RspStatus Watcher::map_failed(HookedQueue &queue)
{
    return next_ ? next_->map_failed(queue) : RspStatus::Error;
}

HookStep Watcher::data(const HookedRequest &r, StorageRequest &req)
{
    return next_ ? next_->data(r, req) : HookStep{};
}

HookStep Watcher::moved(const HookedRequest &r)
{
    return next_ ? next_->moved(r) : HookStep{};
}

bool Watcher::unmap(HookedQueue &queue, const PageUse &use, const Mapping &mapping,
                    PersistentMaps *maps)
{
    return next_ && next_->unmap(queue, use, mapping, maps);
}

bool Watcher::respond(HookedQueue &queue, const WireRequest &wire, const WireResponse &rsp)
{
    ring(queue).answered(wire, rsp.status);
    if (JudgeListener *l = records_.listener())
        l->response(queue.index(), rsp.id, rsp.op, rsp.status);
    return next_ && next_->respond(queue, wire, rsp);
}

bool Watcher::put_response(HookedQueue &queue, const WireResponse &rsp)
{
    return next_ && next_->put_response(queue, rsp);
}

bool Watcher::store(HookedQueue &queue, SringField field, RingIndex i)
{
    if (!next_ || !next_->store(queue, field, i))
        queue.area().store(field, i);
    ring(queue).stored(field);
    return true;
}

void Watcher::loaded(HookedQueue &queue, SringField field, RingIndex i)
{
    ring(queue).loaded(field, i);
    if (next_)
        next_->loaded(queue, field, i);
}

std::optional<bool> Watcher::publish(HookedQueue &queue)
{
    if (!next_)
        return std::nullopt;
    ring(queue).check_own();
    auto told = next_->publish(queue);
    ring(queue).stored();
    return told;
}

bool Watcher::notify(HookedQueue &queue)
{
    return next_ && next_->notify(queue);
}

void Watcher::flushed(HookedQueue &queue)
{
    if (!next_)
        return;
    ring(queue).check_own();
    next_->flushed(queue);
    ring(queue).stored();
}

/* ---- what the backend complains of ----------------------------------------------------- */

void Watcher::complain(const Error &error)
{
    for (const JudgeRuleInfo &rule : judge_rules())
        if (!std::strcmp(rule.clause, error.clause) && offers_.back_up(rule.rule, error.value))
            return records_.broken(rule.rule, error.what, error.value);
}

void Watcher::violation(const Error &error)
{
    /* A ring has too many requests also where a fault plan answers some twice. */
    if (!forged_ && error.kind != ErrorKind::NoSpace)
        complain(error);
    if (owner_)
        owner_->violation(error);
}

void Watcher::refused(const RefusedRequest &request)
{
    /* Who leaves the connection ends the grants of requests that are still under way. */
    bool is_gref = !std::strcmp(request.why.clause, "blkif:gref");
    if (!is_gref || (!forged_ && is_here()))
        complain(request.why);
    if (owner_)
        owner_->refused(request);
}

} // namespace pvblk
