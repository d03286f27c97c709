/* SPDX-License-Identifier: MIT */
/*
 * Which slots of the rings were loaded, by either end: wire.h tells of each
 * load. A slot is loaded once, in the ring's order; what is loaded twice could
 * have changed in between (XSA-155).
 */
#pragma once

#include <cstdint>
#include <functional>

namespace pvblk::sim
{

/* A new scene. `connection` numbers the backend's connections: the next one begins where the
 * responses end, and looks again at a request that had to wait. */
void forget_slots(std::function<uint64_t()> connection);
/* A fault plan may make the backend look at slots out of order; the frontend
 * never may. On again, a ring's requests count from its next connection on. */
void trust_backend(bool on);
/* False from the first load on that was not the next one of its ring. */
bool slots_in_order();
/* The largest number of slots that a ring's frontend loaded in one connection. */
uint32_t highest_slot();

} // namespace pvblk::sim
