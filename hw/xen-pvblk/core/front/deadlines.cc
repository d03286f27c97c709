/* SPDX-License-Identifier: MIT */
/* Layer `front`: the earliest of several deadlines. */
#include "front/deadlines.h"

namespace pvblk
{

void Deadlines::start(Wait w, int64_t ns)
{
    if (at(w) < 0)
        set(w, clock_.now_ns() + ns);
}

void Deadlines::set(Wait w, int64_t at_ns)
{
    at(w) = at_ns;
    tell();
}

std::optional<Wait> Deadlines::passed()
{
    int64_t now = clock_.now_ns();
    told_ = kNever; /* it has only one, and that is used up */
    for (uint32_t i = 0; i < kWaits; i++)
        if (at_[i] >= 0 && now >= at_[i]) {
            stop(static_cast<Wait>(i));
            return static_cast<Wait>(i);
        }
    tell();
    return std::nullopt;
}

void Deadlines::tell()
{
    int64_t first = kNever;
    for (int64_t at : at_)
        if (at >= 0 && (first < 0 || at < first))
            first = at;
    if (first == told_)
        return;
    told_ = first;
    clock_.set_deadline(first);
}

} // namespace pvblk
