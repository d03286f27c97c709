/* SPDX-License-Identifier: MIT */
/* Layer `front`: rings and event channels, from open to close. */
#include "front/rings.h"

#include <cstring>

namespace pvblk
{

Status Rings::open(const Plan &plan)
{
    for (uint32_t i = 0; i < plan.queues; i++)
        if (auto s = open_ring(i, plan); !s)
            return s;
    count_ = plan.queues;
    return Ok{};
}

Status Rings::open_ring(uint32_t index, const Plan &plan)
{
    Ring &r = rings_[index];
    std::array<std::byte *, kMaxRingPages> pages{};
    while (r.pages < plan.ring_pages) {
        auto lent =
            pool_.lend(false, [this](PageIndex p) { std::memset(memory_.page(p), 0, kPageSize); });
        if (!lent)
            return Error{ErrorKind::NoSpace, "grant:table", "no page or grant is left for the ring",
                         r.pages};
        pages[r.pages] = memory_.page(lent->page);
        r.page[r.pages++] = *lent;
    }
    SharedRing shared(plan.abi, pages, plan.ring_pages);
    shared.init();
    r.ring = FrontRing<SharedRing>(shared);
    r.unpublished = 0;
    auto port = events_.open(index);
    if (!port)
        return port.error();
    r.port = port.value();
    r.open = true;
    return Ok{};
}

void Rings::close()
{
    count_ = 0;
    for (uint32_t i = 0; i < kMaxQueues; i++) {
        if (rings_[i].open)
            events_.close(i);
        rings_[i].open = false;
    }
}

void Rings::give_back()
{
    for (Ring &r : rings_)
        while (r.pages) {
            const GrantPool::Lent &lent = r.page[--r.pages];
            pool_.release(lent.grant, lent.page);
        }
}

void Rings::stage(uint32_t i, const WireRequest &req)
{
    rings_[i].ring.stage(req);
    rings_[i].unpublished++;
}

void Rings::publish(Turn &turn)
{
    for (uint32_t i = 0; i < count_ && !turn.fault; i++)
        if (rings_[i].ring.staged())
            publish_ring(i, turn);
}

void Rings::publish_ring(uint32_t index, Turn &turn)
{
    Ring &r = rings_[index];
    turn.progress = true;
    bool wanted = r.ring.publish();
    bool send = wanted || always_notify_;
    owner_.trace(TracePublish{r.unpublished, send});
    r.unpublished = 0;
    counters_.batches++;
    if (!send) {
        counters_.events_suppressed++;
        return;
    }
    counters_.events_sent++;
    if (auto s = events_.notify(index); !s)
        turn.fail({s.error().kind, "evtchn:send", "could not send an event to the backend",
                   s.error().value});
}

std::optional<PageIndex> Rings::page(uint32_t i, uint32_t page) const
{
    if (i >= count_ || page >= rings_[i].pages)
        return std::nullopt;
    return rings_[i].page[page].page;
}

} // namespace pvblk
