/* SPDX-License-Identifier: MIT */
/* Private pages and the guest's RAM. */
#include "pvblk/loopback.h"

namespace pvblk
{

LoopbackPages::LoopbackPages(uint32_t pages)
    : store_((static_cast<size_t>(pages) + 1) * kPageSize), pages_(pages)
{
    auto address = reinterpret_cast<uintptr_t>(store_.data());
    base_ = store_.data() + (kPageSize - address % kPageSize) % kPageSize;
}

std::byte *LoopbackGuest::frame(Gfn gfn) const
{
    uint64_t first = kBase >> kPageShift;
    if (gfn.value < first || gfn.value - first >= pages_.pages())
        return nullptr;
    return pages_.page(static_cast<uint32_t>(gfn.value - first));
}

} // namespace pvblk
