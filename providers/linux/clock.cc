/* SPDX-License-Identifier: MIT */
#include "pvblk/linux.h"

#include <algorithm>
#include <climits>
#include <time.h>

namespace pvblk
{

int64_t LinuxClock::now_ns()
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

int LinuxClock::timeout_ms(int most)
{
    if (deadline_ < 0)
        return most;
    /* Rounded up: not awake too early, again and again. */
    int64_t left = std::max<int64_t>(deadline_ - now_ns(), 0);
    int64_t ms = std::min<int64_t>((left + 999'999) / 1'000'000, INT_MAX);
    return most < 0 ? static_cast<int>(ms) : std::min(most, static_cast<int>(ms));
}

bool LinuxClock::take()
{
    if (deadline_ < 0 || now_ns() < deadline_)
        return false;
    deadline_ = -1;
    return true;
}

} // namespace pvblk
