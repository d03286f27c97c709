/* SPDX-License-Identifier: MIT */
/* The hub: what is queued, in which order it is delivered, and which calls fail. */
#include "pvblk/loopback.h"

#include <algorithm>

namespace pvblk
{

LoopbackHub::LoopbackHub(HubConfig c)
    : config(std::move(c)), front_store(*this, config.frontend_path), back_store(*this, ""),
      grants(*this, config.grants), memory(config.private_pages), guest(config.guest_pages),
      storage(config.disk_sectors)
{
}

void LoopbackHub::attach(BlockFront *f)
{
    front = {[f](uint32_t queue) { f->event_received(queue); }, [f] { f->store_changed(); },
             [f] { f->deadline_passed(); }};
}

void LoopbackHub::attach(BlockBack *b)
{
    back = {[b](uint32_t queue) { b->event_received(queue); }, [b] { b->store_changed(); },
            [b] { b->later(); }};
}

bool LoopbackHub::run_one()
{
    if (queue_.empty())
        return false;
    auto next = std::move(queue_.front());
    queue_.pop_front();
    next.job();
    return true;
}

bool LoopbackHub::run_line(HubLine line)
{
    auto next = std::find_if(queue_.begin(), queue_.end(),
                             [line](const Delivery &d) { return d.line == line; });
    if (next == queue_.end())
        return false;
    auto job = std::move(next->job);
    queue_.erase(next);
    job();
    return true;
}

bool LoopbackHub::run(uint32_t limit)
{
    for (uint32_t i = 0; i < limit; i++)
        if (!run_one())
            return true;
    return queue_.empty();
}

void LoopbackHub::advance(int64_t ns)
{
    int64_t end = clock.now + ns;
    run();
    while (clock.deadline >= 0 && clock.deadline <= end) {
        clock.now = std::max(clock.now, clock.deadline);
        clock.deadline = -1;
        if (front.deadline)
            front.deadline();
        run();
    }
    clock.now = end;
}

void LoopbackHub::fail(HubCall call, uint32_t nth, uint32_t times)
{
    faults_[static_cast<size_t>(call)] = {nth, times};
}

bool LoopbackHub::faulty(HubCall call)
{
    calls_[static_cast<size_t>(call)]++;
    Fault &f = faults_[static_cast<size_t>(call)];
    if (!f.times)
        return false;
    if (f.skip) {
        f.skip--;
        return false;
    }
    f.times--;
    return true;
}

} // namespace pvblk
