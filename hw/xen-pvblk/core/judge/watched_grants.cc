/* SPDX-License-Identifier: MIT */
/* Layer `judge`: the grants of a connection. */
#include "judge/watched_grants.h"

#include <algorithm>

namespace pvblk
{

namespace
{

/* Grants that are watched: enough for 4 queues of 32 requests of 32 segments. */
constexpr uint32_t kSlots = 16384;
constexpr uint32_t kMostUsed = kSlots * 3 / 4;
constexpr uint32_t kFree = UINT32_MAX;
/* Each costs the frontend's host a failed mapping, and may be a line in a log. */
constexpr uint32_t kMostProbes = 8;

} // namespace

WatchedGrants::WatchedGrants(JudgeRecords &records) : records_(records), slots_(kSlots, kFree) {}

void WatchedGrants::begin()
{
    if (used_)
        std::fill(slots_.begin(), slots_.end(), kFree);
    used_ = data_ = probes_ = 0;
    persistent_ = false;
    most_ = 0;
}

void WatchedGrants::agree(bool persistent, uint64_t most)
{
    persistent_ = persistent;
    most_ = persistent && most < kMostUsed ? most : 0;
}

/* False: it is known, or there is no room. */
bool WatchedGrants::add(GrantRef ref)
{
    if (ref.value == kFree || used_ >= kMostUsed)
        return false;
    uint32_t at = ref.value * 2654435761u % kSlots;
    while (slots_[at] != kFree && slots_[at] != ref.value)
        at = (at + 1) % kSlots;
    if (slots_[at] == ref.value)
        return false;
    slots_[at] = ref.value;
    used_++;
    return true;
}

void WatchedGrants::mapped(BackGrants &grants, GrantRef ref, bool data, bool readonly)
{
    records_.kept(JudgeRule::Gref);
    bool is_new = add(ref);
    if (!data)
        return;
    data_ += is_new;
    if (persistent_ && most_)
        records_.note(JudgeRule::FrontPersistent, !is_new || data_ <= most_,
                      "more different grants than its requests can have at a time", data_);
    if (persistent_ || !readonly || probes_ == kMostProbes)
        return;
    probes_++;
    auto page = grants.map(ref, false);
    if (page)
        grants.unmap(ref, page.value());
    records_.note(JudgeRule::ReadonlyGrant, !page.ok(),
                  "the page of a write is granted for writing, too", ref.value);
}

uint32_t WatchedGrants::left(BackGrants &grants) const
{
    return static_cast<uint32_t>(std::count_if(slots_.begin(), slots_.end(), [&](uint32_t slot) {
        if (slot == kFree)
            return false;
        auto page = grants.map(GrantRef(slot), true);
        if (page)
            grants.unmap(GrantRef(slot), page.value());
        return page.ok();
    }));
}

} // namespace pvblk
