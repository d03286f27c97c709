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
/* Slots that are looked at for a reference: a frontend may choose those that collide. */
constexpr uint32_t kMostSteps = 64;
/* Each costs the frontend's host a failed mapping, and may be a line in a log. */
constexpr uint32_t kMostProbes = 8;

} // namespace

WatchedGrants::WatchedGrants(JudgeRecords &records) : records_(records), slots_(kSlots) {}

void WatchedGrants::begin()
{
    if (used_)
        std::fill(slots_.begin(), slots_.end(), Slot{});
    used_ = data_ = probes_ = 0;
    persistent_ = false;
    most_ = 0;
}

void WatchedGrants::agree(bool persistent, uint64_t most)
{
    persistent_ = persistent;
    most_ = persistent && most < kMostUsed ? most : 0; /* 0: there is no telling */
}

WatchedGrants::Slot *WatchedGrants::find(GrantRef ref)
{
    uint32_t at = ref.value * 2654435761u;
    for (uint32_t i = 0; i < kMostSteps; i++) {
        Slot &s = slots_[(at + i) % kSlots];
        if (!s.page || s.ref == ref)
            return &s;
    }
    return nullptr;
}

/* False: it is known, or there is no room. */
bool WatchedGrants::add(GrantRef ref, std::byte *page)
{
    Slot *s = find(ref);
    bool is_new = s && !s->page;
    if (!s || (is_new && used_ == kMostUsed))
        return false;
    *s = {page, ref, s->excused};
    used_ += is_new;
    return is_new;
}

void WatchedGrants::excuse(GrantRef ref)
{
    if (Slot *s = find(ref); s && s->page)
        s->excused = true;
}

void WatchedGrants::mapped(BackGrants &grants, GrantRef ref, std::byte *page, bool data,
                           bool readonly)
{
    records_.kept(JudgeRule::Gref);
    bool is_new = add(ref, page);
    if (!data)
        return;
    data_ += is_new;
    if (most_)
        records_.note(JudgeRule::FrontPersistent, !is_new || data_ <= most_,
                      "more different grants than its requests can have at a time", data_);
    if (persistent_ || !readonly || probes_ == kMostProbes)
        return;
    probes_++;
    auto writable = grants.map(ref, false);
    if (writable)
        grants.unmap(ref, writable.value());
    records_.note(JudgeRule::ReadonlyGrant, !writable.ok(),
                  "the page of a write is granted for writing, too", ref.value);
}

uint32_t WatchedGrants::left(BackGrants &grants) const
{
    return static_cast<uint32_t>(std::count_if(slots_.begin(), slots_.end(), [&](const Slot &s) {
        if (!s.page || s.excused)
            return false;
        auto page = grants.map(s.ref, true);
        if (page)
            grants.unmap(s.ref, page.value());
        return page.ok() && page.value() == s.page;
    }));
}

} // namespace pvblk
