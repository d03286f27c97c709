/* SPDX-License-Identifier: MIT */
/* Layer `fault`: the faults of nodes and states. Each case is the sentence of
 * fault_catalogue.h. */
#include "fault/bent_nodes.h"

#include <algorithm>
#include <utility>

namespace pvblk
{

BentNodes::Node &BentNodes::entry(std::vector<Node> &nodes, std::string_view name)
{
    for (Node &n : nodes)
        if (n.name == name)
            return n;
    return nodes.emplace_back(Node{std::string(name), {}, true});
}

const std::string *BentNodes::changed(std::string_view name) const
{
    for (const Node &n : changed_)
        if (n.name == name && n.holds)
            return &n.value;
    return nullptr;
}

void BentNodes::change(std::string_view name, std::string_view value)
{
    Node &n = entry(changed_, name);
    n.value = value;
    n.holds = false;
}

void BentNodes::connecting()
{
    for (Node &n : changed_)
        n.holds = true;
}

bool BentNodes::publish(std::string_view name, const std::optional<std::string> &honest)
{
    HookedBack &back = plan_.back();
    std::optional<std::string> value = honest;
    if (const std::string *changed = this->changed(name))
        value = *changed;
    if (auto f = plan_.at(FaultPoint::PublishNode, 0, 0, name)) {
        switch (f->kind) {
        case FaultKind::NodeMissing: value.reset(); break;
        case FaultKind::NodeLate:
            if (value)
                entry(late_, name).value = *value;
            return true;
        case FaultKind::NodeChanged: change(name, f->text); break;
        case FaultKind::NodeLong: value = std::string(f->number, '9'); break;
        default: value = f->text; break; /* all the others are a value */
        }
    }
    auto named = [name](const Node &n) { return n.name == name; };
    if (value) {
        back.write(name, *value);
        if (!honest)
            entry(invented_, name);
    } else if (honest || std::erase_if(invented_, named)) {
        back.remove(name);
    }
    return true;
}

void BentNodes::set_state(XenbusState before)
{
    HookedBack &back = plan_.back();
    auto f = plan_.at(FaultPoint::SetState);
    auto is = [&f](FaultKind kind) { return f && f->kind == kind; };
    if (is(FaultKind::StateValue))
        back.write_state(f->text);
    else if (is(FaultKind::StateMissing))
        back.remove_state();
    else if (!is(FaultKind::StateSkipped))
        back.write_state(back.state());
    if (is(FaultKind::StateRepeated))
        back.write_state(back.state());
    if (is(FaultKind::StateReversed))
        back.write_state(before);
    write_late();
    if (is(FaultKind::NotifyAfterClose))
        plan_.notify_all(1);
}

void BentNodes::write_late()
{
    for (const Node &n : std::exchange(late_, {}))
        plan_.back().write(n.name, n.value);
}

void BentNodes::resize(std::string_view name, uint64_t value)
{
    HookedBack &back = plan_.back();
    back.write(name, std::to_string(value));
    back.set_state(back.state());
}

void BentNodes::forget(bool there)
{
    changed_.clear();
    if (!there)
        return;
    late_.clear(); /* they are among all that is written now */
    for (const Node &n : std::exchange(invented_, {}))
        plan_.back().remove(n.name);
}

void BentNodes::reset()
{
    changed_.clear();
    late_.clear();
    invented_.clear();
}

} // namespace pvblk
