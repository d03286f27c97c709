/* SPDX-License-Identifier: MIT */
/* Layer `back`: the counters of one queue. */
#pragma once

#include <cstdint>

namespace pvblk
{

/* One thread writes it, any thread may read it. */
class Counter
{
public:
    void operator++(int) { add(1); }
    void add(uint64_t n) { __atomic_store_n(&value_, value_ + n, __ATOMIC_RELAXED); }
    uint64_t get() const { return __atomic_load_n(&value_, __ATOMIC_RELAXED); }

private:
    uint64_t value_{0};
};

/* Since the queue was made, over all connections. */
struct QueueCounters {
    Counter requests{}, responses{}, refused{}, unsupported{};
    Counter indirect{}, segments{}, map_failures{}, persistent_hits{};
    Counter events_received{}, events_sent{};
    Counter bytes_read{}, bytes_written{};
};

} // namespace pvblk
