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

bool read_stamp(const std::byte *at, uint64_t sector, Stamp &stamp)
{
    uint64_t first, word;
    std::memcpy(&first, at, sizeof first);
    for (uint32_t i = 1; i < kWords; i++) {
        std::memcpy(&word, at + i * sizeof word, sizeof word);
        if (word != first)
            return false;
    }
    stamp = first >> 24;
    return first == 0 || (stamp != 0 && (first & 0xffffff) == sector);
}

void DiskModel::add(const Write &w, uint64_t sector, uint64_t sectors)
{
    for (uint64_t s = sector; s < std::min(sector + sectors, this->sectors()); s++)
        sectors_[s].push_back(w);
    for (auto &[id, read] : reads_)
        for (uint64_t s = std::max(sector, read.sector);
             s < std::min(sector + sectors, read.sector + read.may.size()); s++)
            read.may[s - read.sector].insert(w.stamp);
}

void DiskModel::begin_write(uint64_t id, Stamp stamp, uint64_t sector, uint64_t sectors)
{
    add({id, stamp, now_++, kOpen}, sector, sectors);
}

void DiskModel::end_write(uint64_t id, uint64_t sector, uint64_t sectors, bool well)
{
    uint64_t now = now_++;
    for (uint64_t s = sector; s < std::min(sector + sectors, this->sectors()); s++) {
        auto &all = sectors_[s];
        auto own =
            std::find_if(all.begin(), all.end(), [id](const Write &w) { return w.id == id; });
        if (own == all.end())
            continue; /* the disk shrank meanwhile */
        own->end = now;
        uint64_t begin = own->begin;
        if (well)
            std::erase_if(all, [begin](const Write &w) { return w.end < begin; });
    }
}

/* What was beyond the end may be there again, or zeros. */
void DiskModel::resize(uint64_t sectors)
{
    uint64_t now = now_++;
    sectors_.resize(sectors, {Write{0, kAnything, now, now}});
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
            for (const Write &w : sectors_[s])
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
    for (auto &all : sectors_)
        all.push_back({0, kAnything, now, now});
    for (auto &[id, read] : reads_)
        for (auto &may : read.may)
            may.insert(kAnything);
}

} // namespace pvblk::sim
