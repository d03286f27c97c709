/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: the faults of nodes, states and the backend's life, and what
 * all queues share of them. Each case is the sentence of fault_catalogue.h.
 */
#include "pvblk/back.h"

#include <algorithm>

namespace pvblk
{

/* ---- what outlives a decision ---------------------------------------------- */

void BackFaults::take(FaultPlan plan)
{
    plan_ = std::move(plan);
    stalled_ = unplugged = false;
    changed_.clear();
    if (any())
        kept_.reserve(kMaxKept);
}

bool BackFaults::begin(const Fault &fault)
{
    switch (fault.kind) {
    case FaultKind::Stall: stalled_ = true; return true;
    case FaultKind::Closing:
    case FaultKind::ClosedAtOnce:
    case FaultKind::Unplug:
    case FaultKind::Vanish:
    case FaultKind::Migrate:
    case FaultKind::Restart:
        if (!due_)
            due_ = fault.kind;
        call_later();
        return true;
    default: return false;
    }
}

bool BackFaults::gives_up_rings(FaultKind kind)
{
    return kind != FaultKind::Closing && kind != FaultKind::Unplug;
}

void BackFaults::call_later()
{
    if (!called_)
        ports_.events.later();
    called_ = true;
}

void BackFaults::let_go()
{
    for (const Mapping &m : kept_)
        ports_.grants.unmap(m.ref, m.page);
    kept_.clear();
}

void BackFaults::touch(GrantRef ref, bool readonly)
{
    if (auto page = ports_.grants.map(ref, readonly))
        ports_.grants.unmap(ref, page.value());
}

void BackFaults::bound(uint32_t queue, bool on)
{
    bound_ = on ? bound_ | 1u << queue : bound_ & ~(1u << queue);
}

void BackFaults::notify_all(uint64_t times)
{
    for (uint32_t q = 0; q < kMaxQueues; q++)
        for (uint64_t i = 0; i < times && is_bound(q); i++)
            (void)ports_.events.notify(q);
}

BackFaults::Node &BackFaults::entry(std::vector<Node> &nodes, std::string_view name)
{
    for (Node &n : nodes)
        if (n.name == name)
            return n;
    return nodes.emplace_back(Node{std::string(name), {}, true});
}

void BackFaults::change(std::string_view name, std::string_view value)
{
    Node &n = entry(changed_, name);
    n.value = value;
    n.holds = false;
}

void BackFaults::connecting()
{
    for (Node &n : changed_)
        n.holds = true;
}

const std::string *BackFaults::changed(std::string_view name) const
{
    for (const Node &n : changed_)
        if (n.name == name && n.holds)
            return &n.value;
    return nullptr;
}

void BackFaults::put_off(std::string_view name, std::string_view value)
{
    entry(late_, name).value = value;
}

bool BackFaults::forget_invented(std::string_view name)
{
    return std::erase_if(invented_, [name](const Node &n) { return n.name == name; }) != 0;
}

/* ---- nodes and states ------------------------------------------------------ */

/* `honest`: what the node should say; nullopt: there should be none. */
void BlockBack::bend_node(std::string_view name, const std::optional<std::string> &honest)
{
    std::optional<std::string> value = honest;
    if (const std::string *changed = faults_.changed(name))
        value = *changed;
    if (auto f = faults_.at(FaultPoint::PublishNode, 0, 0, name)) {
        switch (f->kind) {
        case FaultKind::NodeMissing: value.reset(); break;
        case FaultKind::NodeLate:
            if (value)
                faults_.put_off(name, *value);
            return;
        case FaultKind::NodeChanged: faults_.change(name, f->text); break;
        case FaultKind::NodeLong: value = std::string(f->number, '9'); break;
        default: value = f->text; break; /* all the others are a value */
        }
    }
    if (value) {
        write(name, *value);
        if (!honest)
            faults_.invent(name);
    } else if (honest || faults_.forget_invented(name)) {
        remove(name);
    }
}

/* `before`: the state that this one follows. */
void BlockBack::bend_state(XenbusState before)
{
    auto f = faults_.at(FaultPoint::SetState);
    auto kind = f ? f->kind : FaultKind{};
    bool bent = f.has_value();
    if (bent && kind == FaultKind::StateValue)
        write_state(f->text);
    else if (bent && kind == FaultKind::StateMissing)
        remove_state();
    else if (!bent || kind != FaultKind::StateSkipped)
        write_state(state_);
    if (bent && kind == FaultKind::StateRepeated)
        write_state(state_);
    if (bent && kind == FaultKind::StateReversed)
        write_state(before);
    write_late_nodes();
    if (bent && kind == FaultKind::NotifyAfterClose)
        faults_.notify_all(1);
}

void BlockBack::write_late_nodes()
{
    for (const BackFaults::Node &n : faults_.put_off())
        write(n.name, n.value);
}

/* ---- life ------------------------------------------------------------------ */

/* True: there will be no connection now. */
bool BlockBack::bend_connect()
{
    auto f = faults_.at(FaultPoint::Connect);
    if (!f)
        return false;
    if (f->kind == FaultKind::Stall) {
        disconnect();
        faults_.stall(true);
        return false;
    }
    if (!faults_.begin(*f) && f->kind == FaultKind::ConnectRefused)
        write("error", "the fault plan refuses to connect");
    return true;
}

void BlockBack::bend_tick(std::string_view what)
{
    for (auto &queue : queues_)
        queue->bend_tick();
    auto f = faults_.at(FaultPoint::Tick, 0, 0, what);
    if (!f)
        return;
    /* Without a ring there is none to stand still. */
    if ((f->kind == FaultKind::Stall && !connected_) || faults_.begin(*f))
        return;
    uint64_t unit = config_.unit() / kSectorSize;
    uint64_t sectors = ports_.storage.sectors();
    switch (f->kind) {
    case FaultKind::SectorSizeChanged: bend_size("sector-size", f->number); break;
    case FaultKind::SizeShrinks:
        bend_size("sectors", (sectors - std::min(sectors, f->number)) / unit);
        break;
    case FaultKind::SizeGrows:
        bend_size("sectors", (sectors + std::min(UINT64_MAX - sectors, f->number)) / unit);
        break;
    case FaultKind::NotifySpurious: faults_.notify_all(1); break;
    case FaultKind::NotifyStorm: faults_.notify_all(f->number); break;
    case FaultKind::MapStray:
        faults_.touch(GrantRef(static_cast<uint32_t>(f->number)), true);
        break;
    default: /* of each ring */
        for (auto &queue : queues_)
            queue->bend_tick(*f);
    }
}

void BlockBack::bend_size(std::string_view node, uint64_t value)
{
    write_number(node, value);
    set_state(state_);
}

/* What began inside of another call. */
void BlockBack::bend_life(FaultKind kind)
{
    switch (kind) {
    case FaultKind::Unplug: faults_.unplugged = true; [[fallthrough]];
    case FaultKind::Closing: close(); break;
    case FaultKind::ClosedAtOnce:
        disconnect();
        set_state(XenbusState::Closed);
        break;
    case FaultKind::Vanish: disappear(); break;
    case FaultKind::Migrate:
        disconnect();
        for (const auto &[name, value] : nodes())
            if (value)
                remove(name);
        remove_state();
        publish();
        break;
    case FaultKind::Restart:
        disconnect();
        publish();
        break;
    default: break;
    }
}

void BlockBack::later()
{
    if (busy_) {
        later_ = true;
        return;
    }
    busy_ = true;
    faults_.called();
    for (auto &queue : queues_)
        queue->bend_later();
    if (auto kind = faults_.due()) {
        bend_life(*kind);
        faults_.done();
    }
    busy_ = false;
    if (look_)
        store_changed();
    else if (resized_)
        resized();
}

void BlockBack::set_faults(FaultPlan plan)
{
    later();
    bool unplugged = faults_.unplugged, lied = faults_.any();
    faults_.take({});
    faults_.unplugged = unplugged; /* that has begun */
    for (auto &queue : queues_)
        queue->bend_settle();
    if (lied && state_ != XenbusState::Unknown) {
        (void)faults_.put_off(); /* they are among all that is written now */
        for (const BackFaults::Node &n : faults_.invented())
            remove(n.name);
        publish_nodes();
        write_state(state_);
    }
    faults_.take(std::move(plan));
    for (uint32_t i = 0; i < queues_.size(); i++) {
        if (!queues_[i]->up())
            continue;
        if (faults_.any())
            queues_[i]->bend_prepare();
        ports_.events.again(i); /* what a stalled ring has */
        if (lied)
            (void)ports_.events.notify(i); /* a lost one: with hold-off, no other follows */
    }
}

uint64_t BlockBack::faults_fired() const
{
    uint64_t sum = 0;
    for (size_t i = 0; i < faults_.plan().rules(); i++)
        sum += faults_.plan().counters(i).fired;
    return sum;
}

} // namespace pvblk
