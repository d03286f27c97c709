/* SPDX-License-Identifier: MIT */
/* Event channels, both ends. One that is pending stays one, as in Xen. */
#include "loopback/refused.h"
#include "pvblk/loopback.h"

#include <algorithm>

namespace pvblk
{

Result<Port> LoopbackEvents::open(uint32_t queue)
{
    if (hub_.faulty(HubCall::EventOpen))
        return refused("event channel");
    /* A port number of its own each time: a stale one is of no use. */
    ends_[queue] = {++last_port_, true, false};
    return Port(last_port_);
}

bool LoopbackEvents::is_open() const
{
    return std::any_of(ends_.begin(), ends_.end(), [](const End &e) { return e.open; });
}

Status LoopbackEvents::notify(uint32_t queue)
{
    const End &own = ends_[queue];
    if (hub_.faulty(HubCall::EventNotify) || !own.open)
        return refused("event");
    auto &peers = hub_.back_events.ends_;
    for (uint32_t i = 0; i < kMaxQueues; i++) {
        auto &peer = peers[i];
        if (peer.pending || peer.port != own.port)
            continue;
        peer.pending = true;
        hub_.post(HubLine::BackEvent, [this, &peer, i, port = own.port] {
            peer.pending = false;
            if (peer.port == port && hub_.back.event)
                hub_.back.event(i);
        });
    }
    return Ok{};
}

Status LoopbackBackEvents::bind(uint32_t queue, Port remote)
{
    const auto &peers = hub_.events.ends_;
    for (uint32_t i = 0; i < kMaxQueues; i++) {
        if (!peers[i].open || peers[i].port != remote.value)
            continue;
        for (const End &e : ends_)
            if (e.port == remote.value)
                return Error{ErrorKind::Busy, "loopback:event", "the port is already bound",
                             remote.value};
        ends_[queue] = {remote.value, i, false, false};
        return Ok{};
    }
    return Error{ErrorKind::Missing, "loopback:event", "the port does not exist", remote.value};
}

Status LoopbackBackEvents::notify(uint32_t queue)
{
    const End &own = ends_[queue];
    if (!own.port)
        return refused("event on a port that is not bound");
    auto &peer = hub_.events.ends_[own.remote];
    if (peer.pending || !peer.open || peer.port != own.port)
        return Ok{};
    peer.pending = true;
    hub_.post(HubLine::FrontEvent, [this, &peer, to = own.remote] {
        peer.pending = false;
        if (peer.open && hub_.front.event)
            hub_.front.event(to);
    });
    return Ok{};
}

void LoopbackBackEvents::again(uint32_t queue)
{
    if (ends_[queue].again)
        return;
    ends_[queue].again = true;
    hub_.post(HubLine::BackEvent, [this, queue, port = ends_[queue].port] {
        ends_[queue].again = false;
        if (port && ends_[queue].port == port && hub_.back.event)
            hub_.back.event(queue);
    });
}

void LoopbackBackEvents::later()
{
    hub_.post(HubLine::BackStore, [this] {
        if (hub_.back.later)
            hub_.back.later();
    });
}

} // namespace pvblk
