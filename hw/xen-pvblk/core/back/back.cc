/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: nodes and states of the backend. Serves blkif.h "Backend
 * XenBus Nodes" and "STATE DIAGRAMS".
 */
#include "pvblk/back.h"

#include <cassert>
#include <utility>

namespace pvblk
{

namespace
{

/* A frontend that changes its state all the time has others wait no longer. */
constexpr uint32_t kMaxLooks = 4;

} // namespace

BlockBack::BlockBack(BackPorts ports, BackConfig config)
    : ports_(ports), config_(std::move(config)), offers_discard_(config_.discard)
{
    for (uint32_t i = 0; i < config_.max_queues; i++)
        queues_.push_back(std::make_unique<BackQueue>(ports_, config_, knobs_, faults_, gate_, i));
}

BlockBack::~BlockBack()
{
    ports_.store.unwatch();
    disconnect();
    let_go();
}

/* ---- nodes ---------------------------------------------------------------- */

void BlockBack::write(std::string_view name, std::string_view value)
{
    (void)ports_.store.write(config_.backend_path + "/" + std::string(name), value);
}

void BlockBack::write_number(std::string_view name, uint64_t value)
{
    write(name, std::to_string(value));
}

void BlockBack::remove(std::string_view name)
{
    ports_.store.remove(config_.backend_path + "/" + std::string(name));
}

/* All that there may be but `state`; without a value: there is none. */
std::vector<BlockBack::Node> BlockBack::nodes() const
{
    const BackConfig &c = config_;
    uint32_t info = (c.cdrom ? 1u : 0u) | (c.removable ? 2u : 0u) | (c.read_only ? 4u : 0u);
    auto number = [](bool present, uint64_t value) {
        return present ? std::optional(std::to_string(value)) : std::nullopt;
    };
    auto text = [](const std::string &value) {
        return value.empty() ? std::nullopt : std::optional(value);
    };
    bool ring_pages = c.max_ring_page_order != 0;
    uint64_t bytes = ports_.storage.sectors() * kSectorSize;
    /* blkif.h: the size is a multiple of it, where there is one. */
    bool physical = c.physical_sector_size != 0 && bytes % c.physical_sector_size == 0;
    return {
        {"sectors", number(true, bytes / c.unit())},
        {"sector-size", number(true, c.sector_size)},
        {"physical-sector-size", number(physical, c.physical_sector_size)},
        {"info", number(true, info)},
        {"removable", number(c.removable, 1)},
        {"feature-flush-cache", number(c.flush, 1)},
        {"feature-barrier", number(c.barrier, 1)},
        {"feature-discard", number(c.discard, 1)},
        {"discard-secure", number(c.discard && c.discard_secure, 1)},
        /* Linux takes no discard where alignment is left to its default. */
        {"discard-granularity",
         number(c.discard, c.discard_granularity ? c.discard_granularity : c.sector_size)},
        {"discard-alignment", number(c.discard, c.discard_alignment)},
        {"max-ring-page-order", number(ring_pages, c.max_ring_page_order)},
        {"max-ring-pages", number(ring_pages, uint64_t{1} << c.max_ring_page_order)},
        {"multi-queue-max-queues", number(c.max_queues > 1, c.max_queues)},
        {"feature-max-indirect-segments",
         number(c.max_indirect_segments != 0, c.max_indirect_segments)},
        {"feature-persistent", number(c.persistent, 1)},
        {"mode", c.read_only ? "r" : "w"},
        {"type", text(c.type)},
        {"dev", text(c.dev)},
        {"params", text(c.params)},
    };
}

void BlockBack::publish_nodes()
{
    for (const auto &[name, value] : nodes()) {
        /* Others come or stay away for good; a new size may take this one back. */
        if (!value && std::string_view(name) == "physical-sector-size")
            remove(name);
        if (faults_.any())
            bend_node(name, value);
        else if (value)
            write(name, *value);
    }
}

void BlockBack::set_state(XenbusState state)
{
    XenbusState before = std::exchange(state_, state);
    if (faults_.any())
        bend_state(before);
    else
        write_state(state);
}

void BlockBack::write_state(XenbusState state)
{
    write_state(std::to_string(static_cast<uint32_t>(state)));
}

void BlockBack::write_state(std::string_view text)
{
    (void)ports_.store.write_state(config_.backend_path + "/state", text);
}

void BlockBack::remove_state()
{
    ports_.store.remove_state(config_.backend_path + "/state");
}

/* What a toolstack writes for us: 0 says no, and nothing says yes. */
bool BlockBack::allows(std::string_view name)
{
    char text[4];
    auto len = ports_.store.read(config_.backend_path + "/" + std::string(name), text);
    return !len || len.value() != 1 || text[0] != '0';
}

/* ---- life ----------------------------------------------------------------- */

void BlockBack::publish()
{
    config_.discard = offers_discard_ && allows("discard-enable");
    if (!config_.discard)
        for (const char *name : {"feature-discard", "discard-secure"})
            remove(name);
    publish_nodes();
    set_state(XenbusState::InitWait);
}

Status BlockBack::watch()
{
    return ports_.store.watch(config_.frontend_path + "/state");
}

Status BlockBack::start()
{
    publish();
    return watch();
}

void BlockBack::close()
{
    if (state_ == XenbusState::Connected || state_ == XenbusState::InitWait)
        set_state(XenbusState::Closing);
}

void BlockBack::vanish()
{
    ports_.store.unwatch();
    disappear();
}

void BlockBack::disappear()
{
    disconnect();
    state_ = XenbusState::Unknown;
    faults_.unplugged = false;
    ports_.store.remove(config_.backend_path);
}

/* pause(), drain() and bind() wait, and a host may let other things happen
 * meanwhile. What comes then is done when that is over. */
void BlockBack::resized()
{
    if (busy_) {
        resized_ = true;
        return;
    }
    resized_ = false;
    if (state_ == XenbusState::Unknown)
        return; /* gone, or not there yet: publish() says it all */
    publish_nodes();
    /* blkif.h: how a frontend hears of it. Not where a toolstack says Closing. */
    if (state_ == XenbusState::Connected && allows("online"))
        set_state(XenbusState::Connected);
}

void BlockBack::store_changed()
{
    look_ = true;
    if (busy_)
        return;
    busy_ = true;
    for (uint32_t i = 0; i < kMaxLooks && std::exchange(look_, false); i++)
        look();
    busy_ = false;
    if (resized_)
        resized();
    if (std::exchange(later_, false) || look_)
        ports_.events.later();
}

void BlockBack::look()
{
    if (knobs_.deaf_state || state_ == XenbusState::Unknown)
        return;
    if (faults_.any())
        bend_tick("store");
    if (faults_.silent())
        return; /* this backend is as good as gone */
    auto number = read_number("state");
    auto seen = XenbusState::Unknown;
    if (number && number.value() < kXenbusStates)
        seen = static_cast<XenbusState>(number.value());
    switch (seen) {
    case XenbusState::Initialising:
        if (state_ == XenbusState::InitWait || !allows("online"))
            break;
        /* Also without Closing and Closed: a frontend that crashed. */
        disconnect();
        publish();
        break;
    case XenbusState::Initialised:
    case XenbusState::Connected: frontend_ready(); break;
    case XenbusState::Closing:
        if (state_ != XenbusState::Closing && state_ != XenbusState::Closed)
            set_state(XenbusState::Closing);
        break;
    case XenbusState::Unknown:
    case XenbusState::Closed:
        if (state_ == XenbusState::InitWait || state_ == XenbusState::Closed)
            break;
        disconnect();
        set_state(XenbusState::Closed);
        if (faults_.unplugged)
            disappear();
        break;
    default: break;
    }
}

void BlockBack::event_received(uint32_t queue)
{
    if (faults_.any())
        bend_tick("event");
    queues_[queue]->event();
}

/* The frontend has set up its rings. From InitWait that is what we wait for;
 * while Connected it is a new frontend in the place of one that died, if it has
 * other rings (a crash kernel's does so, win-xenvbd's xencrsh). */
void BlockBack::frontend_ready()
{
    bool again = state_ == XenbusState::Connected;
    if (state_ != XenbusState::InitWait && !again)
        return;
    auto plan = read_plan();
    if (again && plan && plan.value() == plan_)
        return;
    if (plan && faults_.any() && bend_connect())
        return;
    if (again)
        disconnect();
    if (plan)
        connect(plan.value());
    else
        refuse(plan.error());
}

void BlockBack::connect(const BackPlan &plan)
{
    plan_ = plan;
    connected_ = true;
    for (auto &queue : queues_)
        queue->forget_halt();
    remove("error");
    for (uint32_t i = 0; i < plan.queues; i++) {
        if (auto s = queues_[i]->start(plan.abi, plan.rings[i], plan.persistent); !s) {
            disconnect();
            refuse(s.error());
            return;
        }
    }
    connects_++;
    faults_.connecting();
    publish_nodes();
    set_state(XenbusState::Connected);
    /* What was pushed before we bound. */
    for (uint32_t i = 0; i < plan.queues; i++)
        ports_.events.again(i);
}

/* In this order: nothing new is taken, what was taken ends, and then its pages
 * and the ring go. What is held (by knob) is forgotten. */
void BlockBack::disconnect()
{
    if (!connected_)
        return;
    connected_ = false;
    for (uint32_t i = 0; i < plan_.queues; i++)
        ports_.events.pause(i);
    ports_.storage.drain();
    for (uint32_t i = 0; i < plan_.queues; i++) {
        assert(queues_[i]->idle()); /* Storage::drain() */
        queues_[i]->stop();
    }
    faults_.stall(false);
}

/* As Linux's blkback does, but that it says why in its own directory. */
void BlockBack::refuse(const Error &error)
{
    error_ = error;
    connect_failures_++;
    if (ports_.owner)
        ports_.owner->fault(error);
    write("error", error.what);
    set_state(XenbusState::Closing);
}

/* ---- seen from outside ---------------------------------------------------- */

BackCounters BlockBack::counters() const
{
    BackCounters sum;
    sum.connects = connects_;
    sum.connect_failures = connect_failures_;
    sum.faults = faults_fired();
    for (const auto &queue : queues_) {
        const QueueCounters &c = queue->counters();
        sum.requests += c.requests.get();
        sum.responses += c.responses.get();
        sum.refused += c.refused.get();
        sum.unsupported += c.unsupported.get();
        sum.indirect += c.indirect.get();
        sum.segments += c.segments.get();
        sum.map_failures += c.map_failures.get();
        sum.persistent_hits += c.persistent_hits.get();
        sum.persistent_kept += queue->persistent_kept();
        sum.events_received += c.events_received.get();
        sum.events_sent += c.events_sent.get();
        sum.bytes_read += c.bytes_read.get();
        sum.bytes_written += c.bytes_written.get();
    }
    return sum;
}

bool BlockBack::halted() const
{
    for (const auto &queue : queues_)
        if (queue->halted())
            return true;
    return false;
}

const Error &BlockBack::last_error() const
{
    for (const auto &queue : queues_)
        if (queue->halted())
            return queue->error();
    return error_;
}

void BlockBack::complete_all()
{
    for (auto &queue : queues_)
        while (queue->held())
            queue->complete(0);
}

void BlockBack::let_go()
{
    for (auto &queue : queues_)
        queue->let_go();
}

} // namespace pvblk
