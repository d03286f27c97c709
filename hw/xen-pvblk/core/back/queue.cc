/* SPDX-License-Identifier: MIT */
/* Layer `back`: a ring's life, and the work of one event. */
#include "back/queue.h"

#include <utility>

namespace pvblk
{

namespace
{

/* Passes over the ring per event, so that a frontend that never stops
 * pushing cannot keep our caller's loop. */
constexpr uint32_t kMaxPasses = 4;
/* Segments that are looked at per event: to map and unmap one is what refusing
 * a request costs. */
constexpr uint32_t kMaxWork = 4096;

} // namespace

BackQueue::BackQueue(BackPorts ports, const BackConfig &config, HooksPointer hooks,
                     BarrierGate &gate, uint32_t index)
    : ports_(ports), hooks_(hooks), gate_(gate), index_(index), memory_(ports.grants, *this, hooks),
      requests_(ports, config, hooks, gate, *this, counters_)
{
    gate_.add(*this);
}

/* ---- the ring's life ----------------------------------------------------- */

Status BackQueue::start(Abi abi, const RingNodes &nodes, bool persistent)
{
    if (auto s = memory_.map(abi, nodes); !s)
        return s;
    /* The index where an earlier backend stopped; 0 for a new ring. */
    ring_ = BackRing<BackArea>(BackArea(area(), *this, hooks_), area().load(SringField::RspProd));
    halted_ = unheard_ = false;
    telling_ = told_ = ring_.rsp_prod().value;
    taken_before_ = counters_.requests.get();
    requests_.start(ring_.size(), persistent);
    up_ = true; /* an event may come from inside of bind() */
    tell_hooks();
    if (auto s = ports_.events.bind(index_, nodes.port); !s) {
        end(false);
        return Error{s.error().kind, "blkif:event-channel",
                     "the frontend's event-channel cannot be bound", nodes.port.value};
    }
    return Ok{};
}

/* A frontend that makes a ring sets its indices; no other writes rsp_prod. While
 * publish() runs, both the old and the new value are ours. */
bool BackQueue::stale() const
{
    if (!up_)
        return false;
    if (halted_)
        return true;
    uint32_t told = told_;
    uint32_t found = memory_.shared().load(SringField::RspProd).value;
    SharedRing::fence_acquire(); /* partner: fence_release() in BackRing::publish() */
    return found - told > telling_ - told;
}

void BackQueue::tell_hooks()
{
    if (up_ && hooks_)
        hooks_->opened(*this, ring_.rsp_prod());
}

void BackQueue::stop()
{
    if (up_)
        end(true);
    memory_.unmap(); /* as much as map() came to */
}

/* Forgets requests that are held or still on the ring. */
void BackQueue::end(bool bound)
{
    requests_.stop();
    if (hooks_)
        hooks_->closed(*this);
    gate_.forget(*this);
    if (bound)
        ports_.events.unbind(index_);
    up_ = false;
}

/* Linux: the ring stops; only a new connection starts it again. */
void BackQueue::halt(const Error &error)
{
    error_ = error;
    halted_ = true;
    if (ports_.owner)
        ports_.owner->violation(error);
}

/* ---- from the ring -------------------------------------------------------- */

/* How many requests wait. If none waits, it asks for an event. */
Result<uint32_t> BackQueue::waiting()
{
    if (rests())
        return 0u;
    auto n = ring_.requests();
    if (n && n.value() == 0)
        n = ring_.rearm();
    return n;
}

void BackQueue::event()
{
    counters_.events_received++;
    bool more = false;
    in_event_ = true;
    work_ = 0;
    bool admitted = gate_.admits(*this);
    for (uint32_t pass = 0; up_ && gate_.admits(*this) && requests_.resume() && !halted_; pass++) {
        auto n = waiting();
        if (!n) {
            halt(n.error());
            break;
        }
        if (n.value() == 0)
            break;
        if (pass == kMaxPasses || work_ >= kMaxWork) {
            more = true;
            break;
        }
        for (uint32_t i = 0; i < n.value() && work_ < kMaxWork && may_take(); i++)
            take();
    }
    if (up_)
        gate_.event_over(*this, admitted);
    in_event_ = false;
    flush();
    if (more)
        ports_.events.again(index_);
}

bool BackQueue::may_take()
{
    return gate_.admits(*this) && !requests_.waits() && !halted_ && !rests();
}

void BackQueue::take()
{
    WireRequest wire = ring_.take();
    counters_.requests++;
    work_ += requests_.work(wire);
    if (hooks_ && hooks_->take(*this, wire))
        return;
    if (!requests_.accept(wire))
        halt({ErrorKind::NoSpace, "ring:req-prod",
              "the frontend's req_prod counts more requests than the ring holds",
              counters_.requests.get()});
}

/* ---- and back ------------------------------------------------------------- */

void BackQueue::stage(const WireResponse &rsp)
{
    ring_.stage(rsp);
    counters_.responses++;
}

void BackQueue::flush()
{
    if (in_event_)
        return;
    if (up_ && publish_staged())
        notify();
    if (hooks_)
        hooks_->flushed(*this);
}

/* Returns whether to send the frontend an event. */
bool BackQueue::publish_staged()
{
    if (hooks_)
        if (auto told = hooks_->publish(*this))
            return *told;
    return ring_.staged() && publish();
}

bool BackQueue::publish()
{
    telling_ = ring_.rsp_prod().value;
    bool event = ring_.publish();
    told_ = telling_.load();
    return event;
}

void BackQueue::notify()
{
    if (!hooks_ || !hooks_->notify(*this))
        send_event(index_);
}

/* Reports only the first failure of a connection: a frontend can cause as many
 * as it has requests. */
void BackQueue::send_event(uint32_t to)
{
    auto sent = ports_.events.notify(to);
    if (sent)
        counters_.events_sent++;
    else if (!std::exchange(unheard_, true) && ports_.owner)
        ports_.owner->violation({sent.error().kind, "evtchn:send",
                                 "could not send an event to the frontend", sent.error().value});
}

} // namespace pvblk
