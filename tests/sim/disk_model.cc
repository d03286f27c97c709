/* SPDX-License-Identifier: MIT */
/* See disk_model.h. */
#include "disk_model.h"

#include "pvblk/types.h"

#include <algorithm>
#include <cstring>

namespace pvblk::sim
{

namespace
{

constexpr uint32_t kWords = kSectorSize / sizeof(uint64_t);

} // namespace

void stamp_sector(std::byte *at, uint64_t sector, Stamp stamp)
{
    uint64_t word = stamp << 24 | sector;
    for (uint32_t i = 0; i < kWords; i++)
        std::memcpy(at + i * sizeof word, &word, sizeof word);
}

/* Each word is the same as the next. */
bool read_stamp(const std::byte *at, uint64_t sector, Stamp &stamp)
{
    uint64_t first;
    std::memcpy(&first, at, sizeof first);
    if (std::memcmp(at, at + sizeof first, kSectorSize - sizeof first))
        return false;
    stamp = first >> 24;
    return first == 0 || (stamp != 0 && (first & 0xffffff) == sector);
}

void DiskModel::begin_write(uint64_t id, Stamp stamp, uint64_t sector, uint64_t sectors)
{
    Write w{id, stamp, now_++, kOpen, false};
    for (uint64_t s = sector; s < std::min(sector + sectors, this->sectors()); s++)
        sectors_[s].seen.push_back(w);
    show(stamp, sector, sectors);
}

/* Reads that have not ended may see it. */
void DiskModel::show(Stamp stamp, uint64_t sector, uint64_t sectors)
{
    for (auto &[id, read] : reads_)
        for (uint64_t s = std::max(sector, read.sector);
             s < std::min(sector + sectors, read.sector + read.may.size()); s++)
            read.may[s - read.sector].insert(stamp);
}

void DiskModel::end_write(uint64_t id, uint64_t sector, uint64_t sectors, Ended how)
{
    uint64_t now = now_++;
    for (uint64_t s = sector; s < std::min(sector + sectors, sectors_.size()); s++) {
        auto &all = sectors_[s].seen;
        auto own =
            std::find_if(all.begin(), all.end(), [id](const Write &w) { return w.id == id; });
        if (own == all.end())
            continue; /* it was beyond the end */
        own->end = now;
        own->well = how != Ended::Unknown;
        if (own->well)
            hide(sectors_[s], own->begin, cached_ && how == Ended::Done);
    }
}

/* What ended before a write of that begin is not seen any more. */
void DiskModel::hide(Sector &s, uint64_t begin, bool keep)
{
    auto older = [begin](const Write &w) { return w.end < begin; };
    if (keep)
        std::copy_if(s.seen.begin(), s.seen.end(), std::back_inserter(s.hidden), older);
    else
        std::erase_if(s.hidden, older);
    std::erase_if(s.seen, older);
}

void DiskModel::flushed(uint64_t begin)
{
    for (Sector &s : sectors_) {
        uint64_t newest = 0; /* begin of a write that is stable now */
        auto look = [&](const Write &w) {
            if (w.well && w.end < begin)
                newest = std::max(newest, w.begin);
        };
        if (s.hidden.empty())
            continue;
        std::for_each(s.seen.begin(), s.seen.end(), look);
        std::for_each(s.hidden.begin(), s.hidden.end(), look);
        std::erase_if(s.hidden, [newest](const Write &w) { return w.end < newest; });
    }
}

Stamp DiskModel::stamp_of(uint64_t sector, const std::byte *bytes)
{
    Stamp stamp = 0;
    return read_stamp(bytes, sector, stamp) ? stamp : kAnything;
}

bool DiskModel::may_be(uint64_t sector, const std::byte *bytes) const
{
    const std::vector<Write> &all = sectors_[sector].seen;
    Stamp stamp = stamp_of(sector, bytes);
    return std::any_of(all.begin(), all.end(), [stamp](const Write &w) { return w.left(stamp); });
}

/* From here on it is nothing else, but for writes that have not ended. The write that left it keeps
 * its times: if a later one was open during the loss and ends stable, that one hides it. */
bool DiskModel::came_back(uint64_t sector, const std::byte *bytes)
{
    Sector &s = sectors_[sector];
    s.seen.insert(s.seen.end(), s.hidden.begin(), s.hidden.end());
    s.hidden.clear();
    bool may = may_be(sector, bytes);
    Stamp stamp = stamp_of(sector, bytes);
    std::erase_if(s.seen, [stamp](const Write &w) { return w.end != kOpen && !w.left(stamp); });
    for (Write &w : s.seen)
        if (w.stamp == kAnything)
            w.stamp = stamp;
    show(stamp, sector, 1);
    return may;
}

/* What was beyond the end may be there again, or zeros. A write that has not ended may still land
 * there, if the disk is as large again by then. */
void DiskModel::resize(uint64_t sectors)
{
    uint64_t now = now_++;
    const Write anything{0, kAnything, now, now, false};
    for (uint64_t s = std::min(sectors, size_); s < sectors_.size(); s++) {
        std::erase_if(sectors_[s].seen, [](const Write &w) { return w.end != kOpen; });
        sectors_[s].seen.push_back(anything);
        sectors_[s].hidden.clear();
    }
    sectors_.resize(std::max(sectors, sectors_.size()), Sector{{anything}, {}});
    size_ = sectors;
    for (auto &[id, read] : reads_)
        for (auto &may : read.may)
            may.insert(kAnything);
}

void DiskModel::begin_read(uint64_t id, uint64_t sector, uint64_t sectors)
{
    Read &read = reads_[id];
    read.sector = sector;
    for (uint64_t s = sector; s < sector + sectors; s++) {
        auto &may = read.may.emplace_back();
        if (s >= this->sectors())
            may.insert(kAnything);
        else
            for (const Write &w : sectors_[s].seen)
                may.insert(w.stamp);
    }
}

const std::set<Stamp> &DiskModel::may(uint64_t id, uint64_t sector) const
{
    const Read &read = reads_.at(id);
    return read.may[sector - read.sector];
}

bool DiskModel::may_hold(uint64_t id, uint64_t sector, Stamp stamp) const
{
    return may(id, sector).contains(stamp) || may_hold_anything(id, sector);
}

bool DiskModel::may_hold_anything(uint64_t id, uint64_t sector) const
{
    return may(id, sector).contains(kAnything);
}

size_t DiskModel::choices(uint64_t id, uint64_t sector) const
{
    return may(id, sector).size();
}

void DiskModel::forget()
{
    uint64_t now = now_++;
    for (Sector &s : sectors_)
        s.seen.push_back({0, kAnything, now, now, false});
    for (auto &[id, read] : reads_)
        for (auto &may : read.may)
            may.insert(kAnything);
}

} // namespace pvblk::sim
