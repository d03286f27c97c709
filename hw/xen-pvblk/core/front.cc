/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: the life cycle. Every change of state goes through the
 * table in xenbus.cc; this file holds what the table's actions do.
 */
#include "pvblk/front.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace pvblk {

namespace {

/* A hostile backend may flap for ever; what it costs per event is bounded. */
constexpr uint32_t kMaxSteps = 8;
/* At most this many lines per window, however often the peer errs. */
constexpr uint32_t kLogBurst = 5;
constexpr int64_t kLogWindowNs = 10'000'000'000;

/* "dir/name" in a buffer of its own; paths are short (XenStore: 3072). */
class Path {
public:
    Path(const std::string &dir, std::string_view name)
    {
        len_ = std::min(dir.size(), text_.size() - name.size() - 1);
        std::memcpy(text_.data(), dir.data(), len_);
        text_[len_++] = '/';
        std::memcpy(text_.data() + len_, name.data(), name.size());
        len_ += name.size();
    }
    operator std::string_view() const { return {text_.data(), len_}; }

private:
    std::array<char, 512> text_;
    size_t len_;
};

} // namespace

Result<std::unique_ptr<BlockFront>> BlockFront::create(FrontPorts ports, FrontOwner &owner,
                                                       FrontConfig config)
{
    auto plan = negotiate(read_nodes(ports.store, config.backend_path), config.policy);
    if (!plan)
        return plan.error();
    uint32_t entries = plan.value().ring_entries();
    if (ports.grants.count() < wanted_grants(entries) || ports.memory.pages() < kWantedPages)
        return Error{ErrorKind::NoSpace, "grant:table",
                     "the grant table has no room for one more frontend", ports.grants.count()};
    return std::unique_ptr<BlockFront>(
        new BlockFront(ports, owner, std::move(config), plan.value()));
}

BlockFront::BlockFront(FrontPorts ports, FrontOwner &owner, FrontConfig config, Plan plan)
    : ports_(ports), owner_(owner), config_(std::move(config)), plan_(plan),
      pool_(ports.grants, ports.memory)
{
    init_io();
    owner_.trace(TraceKind::Plan, plan_.sectors, plan_.sector_size, 0, "");
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

void BlockFront::start()
{
    /* All of the backend's nodes, not just state: see nodes_complete(). */
    if (auto s = ports_.store.watch(config_.backend_path); !s) {
        fault(s.error());
        return;
    }
    stopping_ = false;
    step(FrontEvent::Start);
}

void BlockFront::reconnect()
{
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

/* blkif.h: nodes can be read when the backend is in InitWait. QEMU's backend
 * shows InitWait first and its nodes after; one that connects in between
 * fails and is not tried again. */
bool BlockFront::nodes_complete()
{
    auto plan = negotiate(read_nodes(ports_.store, config_.backend_path), config_.policy);
    return plan || plan.error().kind != ErrorKind::Missing;
}

/* Unknown where the backend has none; an error where it is no state. */
Result<XenbusState> BlockFront::backend_state()
{
    std::array<char, 16> text;
    auto len = ports_.store.read(Path(config_.backend_path, "state"), text);
    if (len)
        return parse_xenbus_state({text.data(), std::min(len.value(), text.size())});
    if (len.error().kind == ErrorKind::Missing)
        return XenbusState::Unknown;
    /* Not to be read is not to be gone. */
    return Error{ErrorKind::Io, "xenbus:store", "could not read the backend's state", 0};
}

/* Read the backend's state and follow it, as long as that moves us. */
void BlockFront::look()
{
    if (looking_ || state_ == FrontState::Idle || state_ == FrontState::Stopped)
        return;
    looking_ = true;
    for (uint32_t i = 0; i < kMaxSteps; i++) {
        auto read = backend_state();
        if (!read) {
            fault(read.error());
            break;
        }
        XenbusState seen = read.value();
        owner_.trace(TraceKind::Backend, static_cast<uint64_t>(seen), 0, 0,
                     xenbus_state_name(seen));
        if (seen == XenbusState::InitWait && !nodes_complete())
            seen = XenbusState::Initialising;
        FrontState before = state_;
        step(back_event(seen));
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
        owner_.trace(TraceKind::State, static_cast<uint64_t>(before), static_cast<uint64_t>(event),
                     static_cast<uint64_t>(state_), front_state_name(state_));
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
    case FrontAction::None:
        break;
    case FrontAction::Begin:
        act_begin();
        break;
    case FrontAction::Publish:
        act_publish();
        break;
    case FrontAction::Attach:
        act_attach();
        break;
    case FrontAction::Refresh:
        act_refresh();
        break;
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
    case FrontAction::Break:
        complain(broken_);
        [[fallthrough]];
    case FrontAction::End:
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
    auto seen = backend_state();
    bool live = seen && (seen.value() == XenbusState::Initialised ||
                         seen.value() == XenbusState::Connected ||
                         seen.value() == XenbusState::Closing);
    if (!live)
        write_state(XenbusState::Initialising);
    look();
}

/* Negotiate, set up ring and event channel, tell the backend. What fails on
 * the way is undone by tear_down(), in reverse. */
void BlockFront::act_publish()
{
    auto plan = negotiate(read_nodes(ports_.store, config_.backend_path), config_.policy);
    if (!plan)
        return fault(plan.error());
    tear_down();
    pool_.sweep_all();
    auto page = pool_.take_page();
    if (!page)
        return fault({ErrorKind::NoSpace, "grant:table", "no page left for the ring", 0});
    ring_page_ = *page;
    std::array<std::byte *, kMaxRingPages> pages{ports_.memory.page(ring_page_)};
    std::memset(pages[0], 0, kPageSize);
    SharedRing shared(plan.value().abi, pages, plan.value().ring_pages);
    shared.init();
    auto grant = pool_.grant(ring_page_, false);
    if (!grant) {
        pool_.give_page(ring_page_);
        return fault({ErrorKind::NoSpace, "grant:table", "no grant left for the ring", 0});
    }
    ring_grant_ = *grant;
    ring_ = FrontRing<SharedRing>(shared);
    ring_up_ = true;

    auto port = ports_.events.open();
    if (!port)
        return fault(port.error());
    events_open_ = true;

    /* One page: ring-ref, and never ring-page-order, not even 0. Nodes that
     * an earlier frontend left would override what we write. */
    for (const char *stale : {"ring-page-order", "num-ring-pages", "multi-queue-num-queues"})
        ports_.store.remove(Path(config_.frontend_path, stale));
    bool device_units = plan.value().units == SectorUnits::Device;
    bool ok = write_node("protocol", abi_name(plan.value().abi)) &&
              write_number("ring-ref", pool_.ref(ring_grant_).value) &&
              write_number("event-channel", port.value().value);
    if (device_units)
        ok = ok && write_node("feature-large-sector-size", "1");
    else
        ports_.store.remove(Path(config_.frontend_path, "feature-large-sector-size"));
    if (!ok)
        return fault({ErrorKind::Io, "xenbus:store", "could not write our XenStore nodes", 0});
    write_state(XenbusState::Initialised);
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

void BlockFront::act_refresh()
{
    adopt_plan(false);
}

bool BlockFront::adopt_plan(bool new_connection)
{
    auto next = negotiate(read_nodes(ports_.store, config_.backend_path), config_.policy);
    if (!next) {
        fault(next.error());
        return false;
    }
    Plan &p = next.value();
    /* The owner's guest was told these and cannot be told otherwise. */
    if (p.sector_size != plan_.sector_size || p.units != plan_.units) {
        fault({ErrorKind::Contradiction, "blkif:sector-size",
               "the backend changed its sector-size", p.sector_size});
        return false;
    }
    /* What the backend answered EOPNOTSUPP to stays off as long as it is the
     * same connection, whatever its nodes say. */
    if (new_connection) {
        flush_withdrawn_ = false;
    } else {
        p.flush &= plan_.flush;
        p.discard &= plan_.discard;
    }
    bool changed = p.sectors != plan_.sectors || p.read_only != plan_.read_only;
    plan_ = p;
    owner_.trace(TraceKind::Plan, plan_.sectors, plan_.sector_size, 0, "");
    if (changed)
        owner_.plan_changed();
    return true;
}

/* Undo act_publish() in reverse. What was in flight waits for the next
 * connection. */
void BlockFront::tear_down()
{
    if (events_open_) {
        ports_.events.close();
        events_open_ = false;
    }
    requeue_in_flight();
    if (ring_up_) {
        ring_up_ = false;
        pool_.release(ring_grant_, ring_page_);
    }
}

/* The peer broke a rule: sticky, until a reconnect. */
void BlockFront::fault(const Error &error)
{
    counters_.violations++;
    broken_ = error;
    owner_.trace(TraceKind::Fault, error.value, 0, 0, error.what);
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

bool BlockFront::write_node(const char *name, std::string_view value)
{
    return ports_.store.write(Path(config_.frontend_path, name), value).ok();
}

bool BlockFront::write_number(const char *name, uint64_t value)
{
    std::array<char, 24> text;
    int n = std::snprintf(text.data(), text.size(), "%llu",
                          static_cast<unsigned long long>(value));
    return write_node(name, {text.data(), static_cast<size_t>(n)});
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
    if (orphan_deadline_ >= 0 && (at < 0 || orphan_deadline_ < at))
        at = orphan_deadline_;
    if (config_.request_timeout_ns > 0 && in_flight_ > 0) {
        for (const Slot &slot : slots_) {
            if (slot.state != SlotState::InFlight)
                continue;
            int64_t due = slot.issued_ns + config_.request_timeout_ns;
            if (at < 0 || due < at)
                at = due;
        }
    }
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
    } else if (orphan_deadline_ >= 0 && now >= orphan_deadline_) {
        /* New requests wait for it, and it does not come: start over. The
         * second step says not to wait for what is in flight. */
        orphan_deadline_ = -1;
        step(FrontEvent::Reconnect);
        if (state_ == FrontState::Draining)
            step(FrontEvent::Reconnect);
    } else if (config_.request_timeout_ns > 0) {
        for (const Slot &slot : slots_) {
            if (slot.state == SlotState::InFlight &&
                now - slot.issued_ns >= config_.request_timeout_ns) {
                fault({ErrorKind::TimedOut, "ring:answer",
                       "the backend did not answer a request in time",
                       static_cast<uint64_t>(now - slot.issued_ns)});
                break;
            }
        }
    }
    update_deadline();
}

} // namespace pvblk
