/* SPDX-License-Identifier: MIT */
/* How much was allocated while it was counted. One file of the program includes
 * counting_new.h, which counts. */
#pragma once

#include <cstdint>

inline bool counting_allocations = false;
inline uint64_t allocations = 0;
inline uint64_t allocated_bytes = 0;

namespace pvblk
{

/* Not counted while the hub or the owner has the word. */
class AllocationPause
{
public:
    AllocationPause() : was_(counting_allocations) { counting_allocations = false; }
    ~AllocationPause() { counting_allocations = was_; }
    AllocationPause(const AllocationPause &) = delete;
    AllocationPause &operator=(const AllocationPause &) = delete;

private:
    bool was_;
};

} // namespace pvblk
