/* SPDX-License-Identifier: MIT */
/* The grant table, both ends; counts what no honest end does (XSA-396). */
#include "loopback/refused.h"
#include "pvblk/loopback.h"

#include <algorithm>

namespace pvblk
{

std::byte *LoopbackGrants::address(const Entry &entry) const
{
    if (entry.is_page)
        return hub_.memory.page(PageIndex(static_cast<uint32_t>(entry.frame)));
    return hub_.guest.frame(Gfn(entry.frame));
}

Status LoopbackGrants::grant(uint32_t index, Entry entry)
{
    if (index >= entries_.size())
        return Error{ErrorKind::OutOfRange, "loopback:grant", "the grant entry does not exist",
                     index};
    if (entries_[index].use != Use::Free)
        hub_.oracle.regrants++;
    if (entry.is_page)
        for (const Entry &e : entries_)
            if (e.maps && e.is_page && e.frame == entry.frame)
                hub_.oracle.reused_while_mapped++;
    if (!address(entry))
        hub_.oracle.bad_frames++;
    entries_[index] = entry;
    return Ok{};
}

Status LoopbackGrants::grant_frame(uint32_t index, Gfn gfn, bool readonly)
{
    if (hub_.faulty(HubCall::GrantFrame))
        return refused("grant");
    return grant(index, {Use::Open, readonly, false, gfn.value, 0});
}

Status LoopbackGrants::grant_page(uint32_t index, PageIndex page, bool readonly)
{
    if (hub_.faulty(HubCall::GrantPage))
        return refused("grant");
    return grant(index, {Use::Open, readonly, true, page.value, 0});
}

Status LoopbackGrants::revoke(uint32_t index)
{
    if (index >= entries_.size() || entries_[index].use == Use::Free) {
        hub_.oracle.bad_revokes++;
        return Error{ErrorKind::OutOfRange, "loopback:grant", "the grant entry is not in use",
                     index};
    }
    Entry &e = entries_[index];
    e.use = Use::Ended;
    bool faulty = hub_.faulty(HubCall::Revoke);
    if (e.maps || faulty)
        return Error{ErrorKind::Busy, "loopback:grant", "the grant is still mapped", index};
    e = Entry{};
    return Ok{};
}

Result<std::byte *> LoopbackGrants::map(GrantRef ref, bool readonly)
{
    uint32_t index = ref.value - kFirst; /* wraps to a huge one below kFirst */
    if (index >= entries_.size() || entries_[index].use != Use::Open) {
        hub_.oracle.denied_maps++;
        return Error{ErrorKind::PeerViolation, "loopback:grant", "the grant does not exist",
                     ref.value};
    }
    Entry &e = entries_[index];
    if (e.readonly && !readonly) {
        hub_.oracle.readonly_maps++;
        return Error{ErrorKind::PeerViolation, "loopback:grant", "the grant allows only reading",
                     ref.value};
    }
    std::byte *page = address(e);
    if (!page)
        return Error{ErrorKind::Io, "loopback:grant", "the granted frame is not RAM", e.frame};
    e.maps++;
    return page;
}

void LoopbackGrants::unmap(GrantRef ref, std::byte *page)
{
    uint32_t index = ref.value - kFirst;
    if (index >= entries_.size() || !entries_[index].maps || address(entries_[index]) != page) {
        hub_.oracle.bad_unmaps++;
        return;
    }
    entries_[index].maps--;
}

uint32_t LoopbackGrants::in_use() const
{
    return static_cast<uint32_t>(std::count_if(entries_.begin(), entries_.end(),
                                               [](const Entry &e) { return e.use != Use::Free; }));
}

uint32_t LoopbackGrants::mapped() const
{
    uint32_t n = 0;
    for (const Entry &e : entries_)
        n += e.maps;
    return n;
}

bool LoopbackGrants::is_mapped(Gfn gfn) const
{
    return std::any_of(entries_.begin(), entries_.end(), [gfn](const Entry &e) {
        return e.maps && !e.is_page && e.frame == gfn.value;
    });
}

} // namespace pvblk
