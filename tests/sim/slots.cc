/* SPDX-License-Identifier: MIT */
/* See slots.h. */
#include "slots.h"

#include "proto/wire.h"
#include "support/paused_ports.h"

#include <algorithm>
#include <map>
#include <utility>

namespace pvblk
{

namespace sim
{

namespace
{

struct Ring {
    uint32_t next_request{0}, next_response{0};
    uint64_t connection{0};
    bool bent{false};
};

std::map<const std::byte *, Ring> rings;
std::function<uint64_t()> connection;
bool trusted = true, in_order = true;
uint32_t highest = 0;

/* Since the last time that this was asked of the ring. */
bool is_connected_anew(Ring &ring)
{
    uint64_t now = connection();
    return std::exchange(ring.connection, now) != now;
}

} // namespace

void forget_slots(std::function<uint64_t()> of)
{
    connection = std::move(of);
    rings.clear();
    trusted = in_order = true;
    highest = 0;
}

void trust_backend(bool on)
{
    trusted = on;
    for (auto &[page, ring] : rings)
        ring.bent = true;
}

bool slots_in_order()
{
    return in_order;
}

uint32_t highest_slot()
{
    return highest;
}

} // namespace sim

/* Index 0 begins a connection. */
void observe_slot(const std::byte *page, RingIndex i, SlotHolds what)
{
    AllocationPause pause;
    sim::Ring &ring = sim::rings[page];
    if (what == SlotHolds::Response) {
        sim::in_order &= i.value == 0 || i.value == ring.next_response;
        ring.next_response = i.value + 1;
        sim::highest = std::max(sim::highest, ring.next_response);
        return;
    }
    if (i.value == 0) {
        ring.bent = false;
        (void)is_connected_anew(ring);
    } else if (sim::trusted && !ring.bent && i.value != ring.next_request) {
        sim::in_order &= is_connected_anew(ring);
    }
    ring.next_request = i.value + 1;
}

} // namespace pvblk
