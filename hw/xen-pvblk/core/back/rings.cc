/* SPDX-License-Identifier: MIT */
/* Layer `back`: a connection's rings. */
#include "back/rings.h"

#include <algorithm>
#include <cassert>

namespace pvblk
{

BackRings::BackRings(BackPorts ports, const BackConfig &config, HooksPointer hooks)
    : ports_(ports), hooks_(hooks)
{
    for (uint32_t i = 0; i < std::min(config.max_queues, kMaxQueues); i++)
        queues_.push_back(std::make_unique<BackQueue>(ports, config, hooks, gate_, i));
}

Status BackRings::start(const BackPlan &plan)
{
    plan_ = plan;
    up_ = true;
    for (auto &queue : queues_)
        queue->forget_halt();
    for (uint32_t i = 0; i < plan.queues; i++) {
        if (auto s = queues_[i]->start(plan.abi, plan.rings[i], plan.persistent); !s) {
            stop();
            return s;
        }
    }
    return Ok{};
}

void BackRings::kick()
{
    for (uint32_t i = 0; i < plan_.queues; i++)
        ports_.events.again(i);
}

void BackRings::stop()
{
    if (!up_)
        return;
    up_ = false;
    for (uint32_t i = 0; i < plan_.queues; i++)
        ports_.events.pause(i);
    ports_.storage.drain();
    for (uint32_t i = 0; i < plan_.queues; i++) {
        assert(queues_[i]->idle()); /* Storage::drain() */
        queues_[i]->stop();
    }
    if (hooks_)
        hooks_->disconnected();
}

bool BackRings::stale() const
{
    return std::any_of(queues_.begin(), queues_.end(), [](auto &q) { return q->stale(); });
}

bool BackRings::used() const
{
    return std::any_of(queues_.begin(), queues_.end(), [](auto &q) { return q->used(); });
}

void BackRings::tell_hooks()
{
    for (auto &queue : queues_)
        queue->tell_hooks();
}

void BackRings::add_to(BackCounters &sum) const
{
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
}

const BackQueue *BackRings::halted() const
{
    for (const auto &queue : queues_)
        if (queue->halted())
            return queue.get();
    return nullptr;
}

} // namespace pvblk
