/* SPDX-License-Identifier: MIT */
/* What happens in a run: see scene.h. */
#include "scene.h"

#include "slots.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>
#include <utility>

namespace pvblk::sim
{

namespace
{

constexpr int64_t kSecond = 1'000'000'000;
constexpr uint32_t kMaxSteps = 250;

/* TraceKind's order. */
constexpr const char *kTraceNames[] = {"state", "backend's state", "request", "response", "publish",
                                       "event", "not accepted",    "plan",    "violation"};
constexpr const char *kOwnerActions[] = {"the device is unplugged",
                                         "completions submit more",
                                         "reset",
                                         "reset",
                                         "reset of a queue",
                                         "reset of a queue",
                                         "stop",
                                         "reconnect",
                                         "reconnect",
                                         "start",
                                         "start",
                                         "start"};
constexpr const char *kBackActions[] = {"close",      "vanish",     "a new one", "the disk fails",
                                        "a new size", "a new size", "a new size"};
constexpr const char *kHubCallNames[kHubCalls] = {
    "store read",    "store write", "store watch", "grant of a frame",        "grant of a page",
    "end of access", "event open",  "event send",  "the backend's store read"};

/* What the hash of a run is made of, and what --show prints. */
struct TraceNumbers {
    uint64_t a{0}, b{0}, c{0};
    const char *text{""};
};

TraceNumbers numbers(const Trace &t)
{
    auto n = [](auto v) { return static_cast<uint64_t>(v); };
    switch (t.kind) {
    case TraceKind::State: return {n(t.state.from), n(t.state.event), n(t.state.to), ""};
    case TraceKind::Backend: return {n(t.backend.seen), 0, 0, xenbus_state_name(t.backend.seen)};
    case TraceKind::Request:
        return {t.request.id.value, n(t.request.op) << 16 | t.request.segments, t.request.sector,
                ""};
    case TraceKind::Response:
        return {t.response.id.value, n(t.response.op), static_cast<uint16_t>(t.response.status),
                ""};
    case TraceKind::Publish: return {t.publish.requests, t.publish.event, 0, ""};
    case TraceKind::Event: return {t.event.in_flight, 0, 0, ""};
    case TraceKind::Verdict:
        return {n(t.verdict.verdict), n(t.verdict.why), t.verdict.sector.value, ""};
    case TraceKind::Plan: return {t.plan.sectors, t.plan.sector_size, 0, ""};
    case TraceKind::Violation: return {t.violation.value, 0, 0, t.violation.what};
    }
    return {};
}

} // namespace

/* ---- what the scene is made of -------------------------------------------- */

Scene::Scene(const SceneOptions &options, Tally &tally)
    : options_(options), tally_(tally), random_(options.seed * 2 + (options.mode == Mode::Safety))
{
    choose();
    hub_ = std::make_unique<LoopbackHub>(hub_config_);
    hub_->storage.defer = !random_.one_in(4);
    /* Where nothing can be flushed, each write has to be stable. */
    bool cached = (back_config_.flush || back_config_.barrier) && !random_.one_in(4);
    storage_ = std::make_unique<CachedDisk>(hub_->storage, cached);
    storage_->ignores_flush = options_.canary == Canary::Cache;
    store_ = std::make_unique<PausedStore>(hub_->front_store);
    events_ = std::make_unique<PausedEvents>(hub_->events);
    disk_ = std::make_unique<DiskModel>(hub_config_.disk_sectors, cached);
    forget_slots([this] { return backs_ << 32 | (back_ ? back_->counters().connects : 0); });
    new_back(true);
    start_back();
    new_front();
}

Scene::~Scene() = default;

void Scene::choose()
{
    Random &r = random_;
    BackConfig &b = back_config_;
    b.sector_size = r.one_in(4) ? 4096 : 512;
    b.units = b.sector_size > 512 && r.one_in(2) ? SectorUnits::Device : SectorUnits::Bytes512;
    b.read_only = r.one_in(20);
    b.flush = !r.one_in(4);
    b.barrier = r.one_in(2);
    b.discard = !r.one_in(4);
    b.discard_secure = r.one_in(2);
    b.max_ring_page_order = r.below(3);
    b.max_queues = r.pick({1u, 1u, 2u, 4u});
    b.max_indirect_segments = r.pick({0u, 16u, 256u});
    b.persistent = r.one_in(2);
    b.max_persistent = r.pick({4u, 1056u});
    if (b.max_persistent == 4) /* little memory of any kind */
        b.max_segments_in_flight = std::max(16u, b.max_indirect_segments);

    FrontConfig &f = front_config_;
    FrontPolicy &p = f.policy;
    p.abi = r.one_in(3) ? Abi::X86_32 : Abi::X86_64;
    p.large_sector_units = b.units;
    p.use_persistent = r.one_in(3);
    p.trusted = !r.one_in(6);
    p.max_ring_pages = 1u << r.below(3);
    p.max_queues = r.pick({1u, 1u, 2u, 4u});
    p.max_indirect_segments = r.pick({0u, 16u, 32u});
    f.max_requests = r.between(1, 40);
    f.request_timeout_ns = r.one_in(2) ? 5 * kSecond : 0;
    f.always_bounce = r.one_in(8);
    f.always_notify = r.one_in(2);
    f.frontend_path = b.frontend_path = hub_config_.frontend_path;
    f.backend_path = b.backend_path = hub_config_.backend_path;

    uint32_t least = BlockFront::min_pool(p);
    hub_config_.guest_pages = kRegions * kRegionPages;
    hub_config_.grants = std::max(least, BlockFront::wanted_grants(p) / r.between(1, 8));
    hub_config_.private_pages = std::max(least, BlockFront::wanted_pages(p) / r.between(1, 8));
    hub_config_.disk_sectors = 8u * r.between(4, 60);
}

void Scene::new_back(bool fresh)
{
    tally_.met(Sometimes::NewBackend, back_ != nullptr);
    in_back([this, fresh] {
        hub_->detach_back();
        back_.reset();
        note_faults(); /* those of its last requests */
        fired_.clear();
        plan_.clear();
        /* As a toolstack does, but for a backend that crashed and is run again. */
        if (fresh)
            hub_->back_store.remove(back_config_.backend_path);
        faults_ = std::make_unique<BackFaults>();
        BackPorts ports{hub_->back_store, hub_->grants, hub_->back_events, *storage_};
        back_ = std::make_unique<BlockBack>(ports, back_config_, faults_->hooks());
        backs_++;
        hub_->attach(back_.get());
    });
    trust_backend(true);
    auto wrap = [this](auto call) {
        return [this, call](auto... args) { in_back([&] { call(args...); }); };
    };
    hub_->back.event = wrap(hub_->back.event);
    hub_->back.store = wrap(hub_->back.store);
    hub_->back.later = wrap(hub_->back.later);
}

void Scene::start_back()
{
    in_back([this] { (void)back_->start(); });
}

void Scene::new_front()
{
    FrontPorts ports{*store_, hub_->grants, *events_, hub_->memory, hub_->clock};
    auto made = BlockFront::create(ports, *this, front_config_);
    if (!made) {
        check(*made.error().what && *made.error().clause, "a refusal that does not say why");
        return;
    }
    front_ = std::move(made.value());
    told_of_cache_ = front_->plan().can_flush();
    logs_.new_front();
    before_ = {};
    hub_->attach(front_.get());
    auto wrap = [this](auto call) {
        return [this, call](auto... args) { in_front([&] { call(args...); }); };
    };
    hub_->front.event = wrap(hub_->front.event);
    hub_->front.store = wrap(hub_->front.store);
    hub_->front.deadline = wrap(hub_->front.deadline);
    if (honest_ || !random_.one_in(6)) {
        in_front([this] { front_->start(); });
        return;
    }
    /* As a toolstack leaves it for a driver that comes later. */
    new_plan();
    hub_->put_node(hub_config_.frontend_path + "/state", "1");
    hub_->run_line(HubLine::BackStore);
}

/* A device that is unplugged: it closes in order if it can, and is gone. */
void Scene::drop_front()
{
    if (!front_)
        return;
    tally_.met(Sometimes::NewFrontend);
    nested_ = 0;
    in_front([this] {
        cancel(std::nullopt);
        front_->stop();
    });
    check(waiting_ == 0, "a cancelled request is not given back");
    if (!random_.one_in(3)) {
        finish_storage();
        hub_->run();
        hub_->advance(2 * front_config_.handshake_timeout_ns);
    }
    note_counters();
    /* What is still mapped only its end takes back. */
    if (hub_->grants.in_use()) {
        hub_->fail_none();
        new_back(true);
        start_back();
    }
    hub_->detach_front();
    front_.reset();
    check(hub_->grants.in_use() == 0, "a front that is gone leaves grants behind");
    check(!hub_->events.is_open(), "a front that is gone leaves an event channel open");
    check(hub_->clock.deadline < 0, "a front that is gone leaves a deadline behind");
}

/* ---- steps ----------------------------------------------------------------- */

void Scene::play()
{
    uint32_t steps = random_.between(20, kMaxSteps);
    for (step_ = 0; step_ < steps; step_++)
        step();
    tally_.steps += steps;
    tally_.seeds++;
    if (options_.mode == Mode::Liveness)
        recover();
    leave();
}

void Scene::step()
{
    uint32_t what = random_.below(100);
    if (!front_ && what >= 60)
        new_front();
    if (what < 30)
        deliver();
    else if (what < 34)
        leave_in_haste();
    else if (what < 38)
        check(hub_->run() || !plan_.empty(), "front and back keep each other busy");
    else if (what < 62)
        submit_some();
    else if (what < 78)
        storage_step();
    else if (what < 82)
        finish_storage();
    else if (what < 87)
        pass_time();
    else if (what < 91)
        owner_step();
    else if (what < 94)
        backend_step();
    else if (what < 98)
        new_plan();
    else
        fail_port();
    check_all();
}

/* XenStore and events have no order between them, and neither have the ends. */
void Scene::deliver()
{
    uint32_t first = random_.below(kHubLines);
    for (uint32_t i = 0; i < kHubLines; i++)
        if (hub_->run_line(static_cast<HubLine>((first + i) % kHubLines)))
            return;
}

void Scene::storage_step()
{
    if (hub_->storage.waiting())
        in_back([this] { hub_->storage.finish(random_.below(hub_->storage.waiting())); });
}

void Scene::finish_storage()
{
    in_back([this] { hub_->storage.drain(); });
}

void Scene::pass_time()
{
    int64_t ns = 1000;
    for (uint32_t n = random_.below(24); n > 0; n--)
        ns *= 2;
    say("%lld us pass", static_cast<long long>(ns / 1000));
    hub_->advance(ns);
}

void Scene::owner_step()
{
    if (!front_)
        return;
    uint32_t what = random_.below(std::size(kOwnerActions));
    say("owner: %s", kOwnerActions[what]);
    if (what == 0)
        return drop_front();
    if (what == 1) {
        nested_ = random_.below(64); /* completions submit more */
        return;
    }
    nested_ = 0;
    bool in_flight = front_->in_flight() != 0;
    in_front([&] {
        switch (what) {
        case 2:
        case 3: cancel(std::nullopt); break;
        case 4:
        case 5: cancel(random_.below(4)); break;
        case 6: front_->stop(); break;
        case 7:
        case 8: front_->reconnect(); break;
        default:
            if (front_->state() == FrontState::Broken)
                front_->reconnect();
            else
                front_->start();
        }
    });
    tally_.met(Sometimes::CancelsInFlight, (what == 2 || what == 3) && in_flight);
    check((what != 2 && what != 3) || waiting_ == 0, "a cancelled request is not given back");
}

void Scene::backend_step()
{
    uint32_t what = random_.below(std::size(kBackActions));
    say("backend: %s", kBackActions[what]);
    if (back_->state() == XenbusState::Unknown)
        return start_back();
    switch (what) {
    case 0: in_back([this] { back_->close(); }); break;
    case 1: in_back([this] { back_->vanish(); }); break;
    case 2:
        new_back(random_.one_in(2));
        start_back();
        break;
    case 3: hub_->storage.fail = !hub_->storage.fail && random_.one_in(2); break;
    default: resize(); break;
    }
}

void Scene::resize()
{
    if (hub_->storage.waiting())
        return; /* nobody shrinks what is being written */
    uint64_t sectors = 8u * random_.between(4, 60);
    tally_.met(Sometimes::ResizesInFlight, front_ && front_->in_flight());
    storage_->resize(sectors);
    disk_->resize(sectors);
    in_back([this] { back_->resized(); });
}

void Scene::new_plan()
{
    if (random_.one_in(4)) {
        plan_.clear();
    } else if (options_.canary == Canary::Data) {
        plan_ = "at data op=read always: data/flipped 77\n";
    } else {
        /* By turns each group, so that none is crowded out. */
        plan_ = make_plan(random_, kFaultGroups[options_.seed % kFaultGroupCount]);
    }
    auto plan = FaultPlan::parse(plan_);
    while (!plan) {
        /* A rule that cannot come true; the catalogue knows better. */
        plan_ = make_plan(random_);
        plan = FaultPlan::parse(plan_);
    }
    say("plan:\n%s", plan_.c_str());
    trust_backend(plan_.empty());
    fired_.clear();
    in_back([&] { faults_->obey(std::move(plan.value())); });
    fired_.assign(faults_->plan().rules(), 0);
}

void Scene::fail_port()
{
    tally_.met(Sometimes::PortFails);
    auto call = static_cast<HubCall>(random_.below(kHubCalls));
    say("a port is about to fail: %s", kHubCallNames[static_cast<uint32_t>(call)]);
    uint32_t nth = random_.below(8);
    hub_->fail(call, nth, 1 + random_.below(3));
}

/* The frontend goes while the backend has not yet looked at what it was sent. */
void Scene::leave_in_haste()
{
    submit_some();
    if (random_.one_in(2)) { /* the data of stable writes is there, and its flush is what it sent */
        hub_->run_line(HubLine::BackEvent);
        finish_storage();
        hub_->run_line(HubLine::FrontEvent);
    }
    if (!front_)
        return;
    uint32_t what = random_.below(4);
    say("%s leaves in haste", what == 0 ? "backend" : "frontend");
    if (what == 0) {
        finish_storage();
        random_.one_in(2) ? resize() : in_back([this] { back_->close(); });
    } else if (what == 1)
        in_front([this] { front_->stop(); });
    else
        in_front([this] { front_->reconnect(); });
    if (what == 3)
        in_front([this] { front_->reconnect(); });
    for (uint32_t n = random_.below(4); n > 0; n--)
        hub_->run_line(random_.one_in(3) ? HubLine::BackStore : HubLine::FrontStore);
    /* ... or the backend's host stands still until deadlines pass. */
    for (uint32_t n = random_.one_in(3) ? 3 : 0; n > 0 && hub_->clock.deadline >= 0; n--) {
        hub_->clock.now = std::max(hub_->clock.now, hub_->clock.deadline);
        hub_->clock.deadline = -1;
        hub_->front.deadline();
    }
    hub_->run_line(HubLine::BackEvent);
}

/* ---- the end ---------------------------------------------------------------- */

/* All that is under way ends; time passes for what waits for a deadline. */
void Scene::quiet()
{
    hub_->storage.defer = false;
    finish_storage();
    hub_->run();
    hub_->advance(2 * front_config_.handshake_timeout_ns);
}

bool Scene::settled() const
{
    return front_ && front_->state() == FrontState::Connected && front_->accepted() == 0;
}

/* Faults stop. What a user would do next, in that order, has to help. */
void Scene::recover()
{
    nested_ = 0;
    honest_ = true;
    hub_->fail_none();
    hub_->storage.fail = false;
    trust_backend(true);
    fired_.clear();
    in_back([this] { faults_->obey({}); });
    plan_.clear();
    say("faults stop");
    if (back_->state() == XenbusState::Unknown)
        start_back();
    quiet();
    if (!front_)
        new_front();
    if (!front_) { /* it looks at the nodes of when there were faults */
        new_back(true);
        start_back();
        new_front();
    }
    check(front_ != nullptr, "an honest backend is refused");
    if (front_->state() == FrontState::Idle || front_->state() == FrontState::Stopped)
        in_front([this] { front_->start(); });
    quiet();
    auto help = Sometimes::RecoversAlone;
    auto next = [&](Sometimes what, auto call) {
        if (settled())
            return;
        help = what;
        say("recover: %s", std::string(kSometimesText[static_cast<uint32_t>(what)]).c_str());
        call();
        quiet();
    };
    auto reconnect = [this] { in_front([this] { front_->reconnect(); }); };
    next(Sometimes::RecoversByReconnect, reconnect);
    next(Sometimes::RecoversByTwo, reconnect);
    next(Sometimes::RecoversByNewBackend, [this, reconnect] {
        new_back(true);
        start_back();
        quiet();
        if (!settled())
            reconnect();
    });
    tally_.met(help);
    check(front_->state() == FrontState::Connected,
          "an honest backend is there, and the frontend does not connect");
    check(waiting_ == 0 && front_->accepted() == 0,
          "faults stopped, and not all requests have ended");
    use_disk();
}

/* What the backend said of the disk while it lied is read anew; then all works. */
void Scene::use_disk()
{
    in_front([this] { front_->reconnect(); });
    quiet();
    if (front_->quarantined() != 0) { /* what a backend holds for ever, its end alone gives back */
        new_back(true);
        start_back();
        quiet();
    }
    check(settled(), "a reconnect with an honest backend does not end in Connected");
    if (lies_)
        disk_->forget();
    lies_ = hides_cache_ = false;
    Tally before = tally_;
    for (uint32_t i = 0; i < 30; i++) {
        submit_some();
        hub_->run();
    }
    quiet();
    check(waiting_ == 0, "a request of an honest backend never ends");
    auto count = [&](const Tally &t) {
        return t.sometimes[static_cast<uint32_t>(Sometimes::CompletesError)] +
               t.sometimes[static_cast<uint32_t>(Sometimes::CompletesCancelled)];
    };
    check(count(before) == count(tally_), "an honest backend's request ends with an error");
}

void Scene::leave()
{
    nested_ = 0;
    hub_->fail_none();
    drop_front();
    hub_->detach_back();
    in_back([this] { back_.reset(); });
    check(waiting_ == 0, "a request never ended");
    check(hub_->grants.in_use() == 0, "grants are left behind");
    check(hub_->grants.mapped() == 0, "mappings are left behind");
    for (uint32_t i = 0; i < kRegions; i++)
        check_region(i);
    tally_.mix(hub_->clock.now > 0 ? static_cast<uint64_t>(hub_->clock.now) : 0);
}

/* ---- upcalls, and what holds around them -------------------------------------- */

/* A cancel gives a backend that is in the middle of a copy the time to let go:
 * that is the owner's to wait for, and no backend's to cause. */
void Scene::cancel(std::optional<uint32_t> queue)
{
    uint64_t before = hub_->calls(HubCall::Revoke);
    if (queue)
        front_->cancel_queue(*queue);
    else
        front_->cancel_all();
    patience_ += hub_->calls(HubCall::Revoke) - before;
}

void Scene::in_front(const std::function<void()> &call)
{
    patience_ = 0;
    uint64_t before = port_calls(*hub_) + traces_, allocated = allocations;
    bool was = counting_allocations;
    counting_allocations = true;
    call();
    counting_allocations = was;
    uint64_t work = port_calls(*hub_) + traces_ - before - patience_;
    tally_.max_work = std::max(tally_.max_work, work);
    check(work <= kMaxWork, "one upcall costs more work than a ring can hold");
    check(allocations == allocated, "the frontend allocates after it was made");
    note_counters();
}

void Scene::in_back(const std::function<void()> &call)
{
    call();
    note_faults();
    check(hub_->storage.out_of_range == 0, "the backend asks for what the disk does not have");
    fail_power();
}

/* A backend that goes leaves its disk at rest, and may take its cache along. While it has rings the
 * disk stays: a cache that is lost without a word to the frontend would be a lie. */
void Scene::fail_power()
{
    bool had = has_rings_;
    has_rings_ = back_ && (back_->state() == XenbusState::Connected ||
                           back_->state() == XenbusState::Closing);
    if (!had && has_rings_)
        adopted_ = front_ && (front_->state() == FrontState::Connected ||
                              front_->state() == FrontState::Draining);
    if (!had || has_rings_)
        return;
    check(!hub_->storage.waiting(), "a backend without rings is still at the disk");
    if (std::exchange(adopted_, false))
        disk_->forget();
    for (uint64_t s = 0; !lies_ && s < disk_->sectors(); s++)
        check(disk_->may_be(s, storage_->contents(s)),
              "a disk at rest holds what that sector cannot hold (any more, or yet)");
    if (!storage_->cached() || random_.one_in(2))
        return;
    lost_at_ = disk_->now();
    lost_in_ = connections_;
    bool older = storage_->lose(random_, [this](uint64_t sector, const std::byte *bytes) {
        bool may = lies_ || disk_->came_back(sector, bytes);
        check(may, "a lost cache takes a sector along that was stable");
    });
    say("the disk's cache is lost%s", older ? "" : ", which makes no difference");
    tally_.met(Sometimes::LosesCache, older);
}

/* Which faults happened, and where the frontend was. */
void Scene::note_faults()
{
    for (size_t i = 0; faults_ && i < fired_.size() && i < faults_->plan().rules(); i++) {
        uint64_t fired = faults_->plan().counters(i).fired, more = fired - fired_[i];
        if (!more)
            continue;
        fired_[i] = fired;
        const FaultRule &rule = faults_->plan().rule(i);
        say("fault: %s", faults_->plan().rule_text(i).c_str());
        tally_.faults += more;
        tally_.fired[static_cast<uint32_t>(rule.kind)] += more;
        if (front_)
            tally_.table[group_of(rule.kind)][static_cast<uint32_t>(front_->state())] += more;
        bool geometry = back_config_.units == SectorUnits::Device &&
                        (rule.point == FaultPoint::PublishNode || rule.point == FaultPoint::Tick);
        if ((!keeps_data(rule.kind) || geometry) && options_.canary != Canary::Data)
            distrust();
        hides_cache_ |= may_hide_cache(rule);
    }
}

void Scene::note_counters()
{
    if (!front_)
        return;
    const FrontCounters &now = front_->counters(), &was = before_;
    tally_.met(Sometimes::Requeues, now.requeued > was.requeued);
    tally_.met(Sometimes::SuppressesEvent, now.events_suppressed > was.events_suppressed);
    tally_.met(Sometimes::SendsIndirect, now.ring_indirect > was.ring_indirect);
    tally_.met(Sometimes::SendsBarrier, now.ring_barriers > was.ring_barriers);
    tally_.met(Sometimes::SendsDiscard, now.ring_discards > was.ring_discards);
    tally_.met(Sometimes::Bounces, now.bounced_segments > was.bounced_segments);
    tally_.met(Sometimes::UsesPersistent, front_->plan().persistent && front_->persistent_grants());
    tally_.met(Sometimes::Quarantines, front_->quarantined() != 0);
    tally_.met(Sometimes::TimesOut, front_->state() == FrontState::Broken &&
                                        std::string_view(front_->broken().clause) == "ring:answer");
    before_ = now;
}

void Scene::check_all()
{
    const char *defect = hub_defect(hub_->oracle);
    if (!defect && front_)
        defect = front_defect(*hub_, *front_, waiting_);
    check(!defect, defect);
    check(slots_in_order(), "a slot of a ring is loaded twice, or out of order");
    if (!front_)
        return;
    FrontState state = front_->state();
    tally_.mix(static_cast<uint64_t>(state));
    if (state != FrontState::Connected)
        return;
    const Plan &p = front_->plan();
    tally_.met(Sometimes::Connects);
    tally_.met(Sometimes::UsesQueues, p.queues > 1);
    tally_.met(Sometimes::UsesRingPages, p.ring_pages > 1);
    tally_.met(Sometimes::UsesX86_32, p.abi == Abi::X86_32);
    tally_.met(Sometimes::UsesLargeSectors, p.sector_size > kSectorSize);
    tally_.met(Sometimes::UsesDeviceUnits, p.units == SectorUnits::Device);
    tally_.met(Sometimes::WrapsRing, highest_slot() > p.ring_entries());
}

void Scene::log(const char *text)
{
    AllocationPause pause;
    say("log: %s", text);
    check(logs_.line(hub_->clock.now), "a backend floods the log");
}

void Scene::trace(const Trace &t)
{
    AllocationPause pause;
    traces_++;
    TraceNumbers n = numbers(t);
    tally_.mix(static_cast<uint64_t>(t.kind) ^ n.a << 8 ^ n.b << 24 ^ n.c << 40);
    if (t.kind == TraceKind::State) {
        say("front: %s -> %s", front_state_name(t.state.from), front_state_name(t.state.to));
        connections_ += t.state.to == FrontState::Connected;
    } else {
        say("%s: %llx %llx %llx %s", kTraceNames[static_cast<uint32_t>(t.kind)],
            static_cast<unsigned long long>(n.a), static_cast<unsigned long long>(n.b),
            static_cast<unsigned long long>(n.c), n.text);
    }
}

/* ---- what is said ------------------------------------------------------------- */

void Scene::say(const char *format, ...) const
{
    if (!options_.show)
        return;
    AllocationPause pause;
    va_list args;
    va_start(args, format);
    std::printf("%4llu  ", static_cast<unsigned long long>(step_));
    std::vprintf(format, args);
    std::printf("\n");
    va_end(args);
}

void Scene::check(bool holds, const char *otherwise) const
{
    if (holds)
        return;
    counting_allocations = false;
    std::printf("FAILED %s\n", otherwise);
    std::printf("  seed %llu, %s, step %llu\n", static_cast<unsigned long long>(options_.seed),
                options_.mode == Mode::Safety ? "safety" : "liveness",
                static_cast<unsigned long long>(step_));
    if (front_)
        std::printf("  frontend: %s %s\n", front_state_name(front_->state()),
                    front_->broken_because());
    if (!plan_.empty())
        std::printf("  the backend's plan:\n%s", plan_.c_str());
    std::printf("  to see it again, step by step: ./pvblk sim --seed %llu --show\n",
                static_cast<unsigned long long>(options_.seed));
    std::fflush(stdout);
    _exit(1);
}

} // namespace pvblk::sim
