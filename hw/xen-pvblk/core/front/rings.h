/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: the rings of a connection, with their pages, the grants on
 * them, and an event channel each. It does not know the meaning of requests,
 * XenStore and states.
 */
#pragma once

#include "front/grant_pool.h"
#include "front/turn.h"
#include "proto/ring.h"
#include "pvblk/front.h"

#include <array>

namespace pvblk
{

class Rings
{
public:
    Rings(Events &events, Memory &memory, GrantPool &pool, FrontOwner &owner,
          FrontCounters &counters, bool always_notify)
        : events_(events), memory_(memory), pool_(pool), owner_(owner), counters_(counters),
          always_notify_(always_notify)
    {
    }

    /* How many are up: all of them, or none. */
    uint32_t count() const { return count_; }
    /* Opens the plan's rings. After a failure call close() and give_back(). */
    Status open(const Plan &plan);
    /* Stop sending and taking. */
    void close();
    /* Give back the rings' pages, after the requests gave back theirs. */
    void give_back();

    FrontRing<SharedRing> &ring(uint32_t i) { return rings_[i].ring; }
    void stage(uint32_t i, const WireRequest &req);
    /* Publish all staged requests: once per ring, with at most one event. */
    void publish(Turn &turn);

    Port port(uint32_t i) const { return rings_[i].port; }
    GrantRef ref(uint32_t i, uint32_t page) const { return pool_.ref(rings_[i].page[page].grant); }
    /* nullopt: no such page. */
    std::optional<PageIndex> page(uint32_t i, uint32_t page) const;

private:
    struct Ring {
        FrontRing<SharedRing> ring{};
        uint32_t pages{0};
        std::array<GrantPool::Lent, kMaxRingPages> page{};
        bool open{false}; /* the event channel */
        Port port{};
        uint32_t unpublished{0};
    };
    Status open_ring(uint32_t index, const Plan &plan);
    void publish_ring(uint32_t index, Turn &turn);

    Events &events_;
    Memory &memory_;
    GrantPool &pool_;
    FrontOwner &owner_;
    FrontCounters &counters_;
    bool always_notify_;
    uint32_t count_{0};
    std::array<Ring, kMaxQueues> rings_{};
};

} // namespace pvblk
