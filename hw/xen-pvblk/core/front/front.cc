/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: the life cycle. Every change of state goes through the
 * table in states.cc; this file holds what the table's actions do.
 */
#include "pvblk/front.h"
#include "front/path.h"
#include "front/states.h"

namespace pvblk
{

namespace
{

/* A hostile backend may flap for ever; what it costs per event is bounded. */
constexpr uint32_t kMaxSteps = 8;
/* At most this many lines per window, however often the peer errs. */
constexpr uint32_t kLogBurst = 5;
constexpr int64_t kLogWindowNs = 10'000'000'000;
/* What a backend gets for its nodes, once it is InitWait and has not the first. */
constexpr int64_t kSettleNs = 100'000'000;

bool exists(Store &store, const std::string &end)
{
    std::array<char, 16> text;
    return store.read(Path(end, "state"), text).ok();
}

/* In these a backend may be using a ring. */
bool in_session(XenbusState s)
{
    return s == XenbusState::Initialised || s == XenbusState::Connected ||
           s == XenbusState::Closing;
}

} // namespace

Result<std::unique_ptr<BlockFront>> BlockFront::create(FrontPorts ports, FrontOwner &owner,
                                                       FrontConfig config)
{
    auto plan = negotiate(read_nodes(ports.store, config.backend_path, config.frontend_path),
                          config.policy);
    if (!plan)
        return plan.error();
    if (!plan.value().sized && !exists(ports.store, config.backend_path))
        return Error{ErrorKind::Missing, "xenbus:state",
                     "there is no backend here: it has neither a size nor a state", 0};
    uint32_t need = least(config.policy);
    if (ports.grants.count() < need || ports.memory.pages() < need)
        return Error{ErrorKind::NoSpace, "grant:table",
                     "grants or private pages do not suffice for the rings and one request of "
                     "the largest size a queue; allow fewer queues, ring pages or segments",
                     need};
    return std::unique_ptr<BlockFront>(
        new BlockFront(ports, owner, std::move(config), plan.value()));
}

BlockFront::BlockFront(FrontPorts ports, FrontOwner &owner, FrontConfig config, Plan plan)
    : ports_(ports), owner_(owner), config_(std::move(config)), plan_(plan),
      pool_(ports.grants, ports.memory)
{
    init_io();
    owner_.trace(TracePlan{plan_.sectors, plan_.sector_size});
}

BlockFront::~BlockFront()
{
    ports_.store.unwatch();
    /* Leave the backend in good order for whoever comes next. */
    if (state_ != FrontState::Idle && state_ != FrontState::Stopped)
        write_state(XenbusState::Closed);
    tear_down();
    pool_.sweep_all(); /* the last chance for what is quarantined */
    ports_.clock.set_deadline(-1);
}

/* All of the backend's nodes, not just state: see nodes_complete(). */
bool BlockFront::watch_backend()
{
    if (watching_)
        return true;
    auto s = ports_.store.watch(config_.backend_path);
    if (!s)
        fault(s.error());
    watching_ = s.ok();
    return watching_;
}

void BlockFront::start()
{
    if (!watch_backend())
        return;
    stopping_ = false;
    step(FrontEvent::Start);
}

void BlockFront::reconnect()
{
    /* It may be Broken for want of the watch. */
    if (state_ == FrontState::Broken && !watch_backend())
        return;
    stopping_ = false;
    step(FrontEvent::Reconnect);
}

void BlockFront::stop()
{
    stopping_ = true;
    step(FrontEvent::Stop);
}

void BlockFront::store_changed()
{
    look();
}

/* What the backend offers can be read at InitWait; how large its disk is, then
 * or when it is Connected. One of the two nodes alone: it is writing. Neither
 * of them: they are for later, or it is QEMU's, which shows InitWait first and
 * its nodes after (one that connects in between fails and is not tried again);
 * so they are given a moment. */
bool BlockFront::nodes_complete()
{
    auto plan = read_plan();
    if (!plan)
        return plan.error().kind != ErrorKind::Missing;
    if (plan.value().sized || settled_)
        return true;
    if (settle_deadline_ < 0) {
        settle_deadline_ = ports_.clock.now_ns() + kSettleNs;
        update_deadline();
    }
    return false;
}

/* Unknown where that end has none; an error where it is no state. */
Result<XenbusState> BlockFront::state_of(const std::string &end)
{
    std::array<char, 16> text;
    auto len = ports_.store.read(Path(end, "state"), text);
    if (len)
        return parse_xenbus_state({text.data(), std::min(len.value(), text.size())});
    if (len.error().kind == ErrorKind::Missing)
        return XenbusState::Unknown;
    /* Not to be read is not to be gone. */
    return Error{ErrorKind::Io, "xenbus:store", "could not read the backend's state", 0};
}

/* xenbus.h: a backend without wishes goes from Initialising to Initialised at
 * once. One that is Initialised is that, or it has a session with a frontend
 * that died; see fresh_. */
XenbusState BlockFront::interpret(XenbusState seen)
{
    if (state_ == FrontState::WaitInit || state_ == FrontState::Lost) {
        /* Reconfiguring and Reconfigured are states of a session, too. */
        fresh_ |= !in_session(seen) && seen < XenbusState::Reconfiguring;
        if (seen == XenbusState::Initialised && fresh_)
            seen = XenbusState::InitWait;
    }
    if (seen != XenbusState::InitWait) {
        /* The next one gets a moment of its own. */
        settled_ = false;
        settle_deadline_ = -1;
    } else if (!nodes_complete()) {
        return XenbusState::Initialising;
    }
    return seen;
}

/* Read the backend's state and follow it, as long as that moves us. */
void BlockFront::look()
{
    if (looking_ || state_ == FrontState::Idle || state_ == FrontState::Stopped)
        return;
    looking_ = true;
    for (uint32_t i = 0; i < kMaxSteps; i++) {
        auto read = state_of(config_.backend_path);
        if (!read) {
            fault(read.error());
            break;
        }
        XenbusState seen = read.value();
        owner_.trace(TraceBackend{seen});
        FrontState before = state_;
        step(back_event(interpret(seen)));
        if (state_ == before)
            break;
    }
    looking_ = false;
}

void BlockFront::step(FrontEvent event)
{
    FrontState before = state_;
    FrontStep next = front_step(state_, event, stopping_);
    state_ = next.next;
    if (before != state_)
        owner_.trace(TraceState{before, event, state_});
    if (event == FrontEvent::Deadline && next.action == FrontAction::Break)
        broken_ = {ErrorKind::TimedOut, "xenbus:deadline",
                   "the backend did not follow within the handshake timeout", 0};
    else if (next.action == FrontAction::Break && event != FrontEvent::Violation)
        broken_ = {ErrorKind::PeerViolation, "xenbus:state",
                   "the backend closed while we were connecting", static_cast<uint64_t>(event)};
    act(next.action, event);
}

void BlockFront::act(FrontAction action, FrontEvent event)
{
    switch (action) {
    case FrontAction::None: break;
    case FrontAction::Begin: act_begin(); break;
    case FrontAction::Publish: act_publish(); break;
    case FrontAction::Attach: act_attach(); break;
    case FrontAction::Refresh: adopt_plan(false); break;
    case FrontAction::Drain:
        /* A slow disk may take its time, a backend that leaves may not. */
        if (event == FrontEvent::BackClosing)
            arm_handshake();
        if (in_flight_ == 0)
            step(FrontEvent::Drained);
        break;
    case FrontAction::SendClosing:
        write_state(XenbusState::Closing);
        arm_handshake();
        look();
        break;
    case FrontAction::SendClosed:
        fresh_ = true;
        write_state(XenbusState::Closed);
        arm_handshake();
        look();
        break;
    case FrontAction::Restart:
        tear_down();
        act_begin();
        break;
    case FrontAction::Lose:
        /* Nothing is written: the backend's toolstack may have removed our
         * directory, and a node would bring back a piece of it. */
        tear_down();
        arm_handshake();
        break;
    case FrontAction::Break: complain(broken_); [[fallthrough]];
    case FrontAction::End:
        fresh_ = false; /* we do not look any more */
        tear_down();
        disarm_handshake();
        write_state(XenbusState::Closed);
        end_jobs(std::nullopt, IoStatus::Error);
        break;
    }
}

void BlockFront::act_begin()
{
    broken_ = {};
    arm_handshake();
    /* Over a live backend the old session is closed first (rule 1); writing
     * Initialising under it would go unheard. */
    auto seen = state_of(config_.backend_path);
    bool live = seen && in_session(seen.value());
    if (live && seen.value() == XenbusState::Initialised) {
        auto ours = state_of(config_.frontend_path);
        fresh_ |= ours && (ours.value() == XenbusState::Unknown ||
                           ours.value() == XenbusState::Initialising);
        live = !fresh_;
    }
    if (!live)
        write_state(XenbusState::Initialising);
    look();
}

/* Connected means that the backend's nodes are final: read them again. */
void BlockFront::act_attach()
{
    if (!adopt_plan(true))
        return;
    disarm_handshake();
    write_state(XenbusState::Connected);
    if (was_connected_)
        counters_.reconnects++;
    was_connected_ = true;
    pump();
}

/* The peer broke a rule: sticky, until a reconnect. */
void BlockFront::fault(const Error &error)
{
    counters_.violations++;
    broken_ = error;
    owner_.trace(TraceFault{error.what, error.value});
    step(FrontEvent::Violation);
}

void BlockFront::complain(const Error &error)
{
    int64_t now = ports_.clock.now_ns();
    if (last_log_ns_ < 0 || now - last_log_ns_ > kLogWindowNs) {
        last_log_ns_ = now;
        log_burst_ = 0;
    }
    if (log_burst_++ >= kLogBurst)
        return;
    std::array<char, 256> line;
    std::snprintf(line.data(), line.size(),
                  "%s: connection broken: %s (%s, value %llu); reset the device or reconnect",
                  config_.frontend_path.c_str(), error.what, error.clause,
                  static_cast<unsigned long long>(error.value));
    owner_.log(line.data());
}

void BlockFront::write_state(XenbusState state)
{
    write_number("state", static_cast<uint64_t>(state));
}

/* One deadline covers the whole handshake: a backend that keeps changing its
 * state does not get more time by it. */
void BlockFront::arm_handshake()
{
    if (handshake_deadline_ < 0)
        handshake_deadline_ = ports_.clock.now_ns() + config_.handshake_timeout_ns;
    update_deadline();
}

void BlockFront::disarm_handshake()
{
    handshake_deadline_ = -1;
    update_deadline();
}

void BlockFront::update_deadline()
{
    if (!orphans_)
        orphan_deadline_ = -1;
    int64_t at = handshake_deadline_;
    for (int64_t other : {orphan_deadline_, settle_deadline_})
        if (other >= 0 && (at < 0 || other < at))
            at = other;
    /* Nobody looks for the oldest of all slots each time: when this passes. */
    if (config_.request_timeout_ns <= 0 || !in_flight_)
        request_deadline_ = -1;
    else if (request_deadline_ < 0)
        request_deadline_ = ports_.clock.now_ns() + config_.request_timeout_ns;
    if (request_deadline_ >= 0 && (at < 0 || request_deadline_ < at))
        at = request_deadline_;
    if (at == armed_)
        return;
    armed_ = at;
    ports_.clock.set_deadline(at);
}

void BlockFront::deadline_passed()
{
    int64_t now = ports_.clock.now_ns();
    armed_ = -1;
    if (handshake_deadline_ >= 0 && now >= handshake_deadline_) {
        handshake_deadline_ = -1;
        step(FrontEvent::Deadline);
    } else if (settle_deadline_ >= 0 && now >= settle_deadline_) {
        settle_deadline_ = -1;
        settled_ = true;
        look();
    } else if (orphan_deadline_ >= 0 && now >= orphan_deadline_) {
        /* New requests wait for it, and it does not come: start over. The
         * second step says not to wait for what is in flight. */
        orphan_deadline_ = -1;
        step(FrontEvent::Reconnect);
        if (state_ == FrontState::Draining)
            step(FrontEvent::Reconnect);
    } else if (request_deadline_ >= 0 && now >= request_deadline_) {
        requests_overdue(now);
    }
    update_deadline();
}

/* A request that may be due is, or the next one will be. */
void BlockFront::requests_overdue(int64_t now)
{
    int64_t oldest = now;
    for (const Slot &slot : slots_)
        if (slot.in_flight)
            oldest = std::min(oldest, slot.issued_ns);
    request_deadline_ = oldest + config_.request_timeout_ns;
    if (now >= request_deadline_)
        fault({ErrorKind::TimedOut, "ring:answer", "the backend did not answer a request in time",
               static_cast<uint64_t>(now - oldest)});
}

} // namespace pvblk
