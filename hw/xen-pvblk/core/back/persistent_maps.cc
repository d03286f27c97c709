/* SPDX-License-Identifier: MIT */
/* Layer `back`: a hash of grant references with an LRU list of the idle ones. */
#include "back/persistent_maps.h"

#include "pvblk/ports.h"

namespace pvblk
{

PersistentMaps::PersistentMaps(BackGrants &grants, uint32_t limit)
    : grants_(grants), entries_(limit), buckets_(1)
{
    while (buckets_.size() < size_t{limit} * 2)
        buckets_.resize(buckets_.size() * 2);
    buckets_.assign(buckets_.size(), kNone);
    for (uint32_t i = limit; i-- > 0;) {
        entries_[i].chain = free_;
        free_ = i;
    }
}

uint32_t &PersistentMaps::bucket(GrantRef ref)
{
    /* References of one frontend are dense: the low bits are a good hash. */
    return buckets_[ref.value & (buckets_.size() - 1)];
}

uint32_t PersistentMaps::find(GrantRef ref)
{
    uint32_t i = bucket(ref);
    while (i != kNone && entries_[i].ref != ref)
        i = entries_[i].chain;
    return i;
}

Result<Mapping> PersistentMaps::take(GrantRef ref, bool write)
{
    uint32_t found = entries_.empty() ? kNone : find(ref);
    if (found != kNone)
        return use(found, write);
    auto page = grants_.map(ref, !write);
    if (!page)
        return page.error();
    return keep(ref, page.value(), !write);
}

Result<Mapping> PersistentMaps::use(uint32_t index, bool write)
{
    Entry &e = entries_[index];
    if (e.readonly && write) {
        if (e.users)
            return Error{ErrorKind::Busy, "blkif:gref",
                         "the grant is already mapped for reading only", e.ref.value};
        GrantRef ref = e.ref;
        drop(index);
        return take(ref, true);
    }
    if (e.users++ == 0)
        set_busy(index);
    hits_++;
    return Mapping{e.ref, e.page, index};
}

Result<Mapping> PersistentMaps::keep(GrantRef ref, std::byte *page, bool readonly)
{
    if (free_ == kNone && oldest_ != kNone)
        drop(oldest_);
    if (free_ == kNone)
        return Mapping{ref, page, Mapping::kOnce};
    uint32_t index = free_;
    free_ = entries_[index].chain;
    uint32_t &head = bucket(ref);
    entries_[index] = {ref, page, 1, readonly, head, kNone, kNone};
    head = index;
    kept_++;
    return Mapping{ref, page, index};
}

void PersistentMaps::give_back(const Mapping &m)
{
    if (m.kept == Mapping::kOnce)
        grants_.unmap(m.ref, m.page);
    else if (--entries_[m.kept].users == 0)
        set_idle(m.kept);
}

void PersistentMaps::set_idle(uint32_t index)
{
    entries_[index].older = newest_;
    entries_[index].newer = kNone;
    (newest_ == kNone ? oldest_ : entries_[newest_].newer) = index;
    newest_ = index;
}

void PersistentMaps::set_busy(uint32_t index)
{
    Entry &e = entries_[index];
    (e.older == kNone ? oldest_ : entries_[e.older].newer) = e.newer;
    (e.newer == kNone ? newest_ : entries_[e.newer].older) = e.older;
    e.older = e.newer = kNone;
}

bool PersistentMaps::part_with(const Mapping &m)
{
    if (m.kept == Mapping::kOnce)
        return true;
    if (entries_[m.kept].users != 1)
        return false;
    unlink(m.kept);
    return true;
}

/* Of an idle one only. */
void PersistentMaps::drop(uint32_t index)
{
    set_busy(index);
    grants_.unmap(entries_[index].ref, entries_[index].page);
    unlink(index);
}

void PersistentMaps::unlink(uint32_t index)
{
    Entry &e = entries_[index];
    uint32_t *link = &bucket(e.ref);
    while (*link != index)
        link = &entries_[*link].chain;
    *link = e.chain;
    e = Entry{};
    e.chain = free_;
    free_ = index;
    kept_--;
}

void PersistentMaps::clear()
{
    while (oldest_ != kNone)
        drop(oldest_);
}

} // namespace pvblk
