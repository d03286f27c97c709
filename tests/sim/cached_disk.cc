/* SPDX-License-Identifier: MIT */
/* See cached_disk.h. */
#include "cached_disk.h"

#include <algorithm>
#include <cstring>

namespace pvblk::sim
{

CachedDisk::CachedDisk(RamStorage &disk, bool cached) : disk_(disk), cached_(cached)
{
    resize(disk.sectors());
}

void CachedDisk::resize(uint64_t sectors)
{
    disk_.data.resize(sectors * kSectorSize);
    if (!cached_)
        return;
    stable_.resize(sectors * kSectorSize);
    versions_.resize(sectors);
}

void CachedDisk::submit(const StorageRequest &req, StorageClient &client)
{
    if (!cached_)
        return disk_.submit(req, client);
    if (free_.empty()) {
        free_.push_back(pending_.size());
        pending_.emplace_back();
    }
    uint64_t tag = free_.back();
    free_.pop_back();
    pending_[tag] = {req, &client, now_};
    StorageRequest ours = req;
    ours.tag = tag;
    disk_.submit(ours, *this);
}

/* The client may submit from inside. */
void CachedDisk::storage_done(uint64_t tag, bool ok)
{
    Pending p = pending_[tag];
    free_.push_back(tag);
    if (ok)
        settle(p);
    p.client->storage_done(p.req.tag, ok);
}

void CachedDisk::settle(const Pending &p)
{
    if (p.req.op == StorageOp::Read)
        return;
    if (p.req.op == StorageOp::Flush)
        return flush(ignores_flush ? 0 : p.submitted);
    bool stable = p.req.op == StorageOp::WriteStable || p.req.op == StorageOp::SecureDiscard;
    for (uint64_t s = p.req.at.value; s < p.req.at.value + p.req.sectors; s++) {
        if (stable) {
            make_stable(s, contents(s));
            versions_[s].clear();
        } else {
            Version &v = versions_[s].emplace_back();
            v.done = now_;
            std::memcpy(v.bytes.data(), contents(s), kSectorSize);
        }
    }
    now_++;
}

void CachedDisk::flush(uint64_t before)
{
    for (uint64_t s = 0; s < versions_.size(); s++) {
        auto &all = versions_[s];
        auto later = std::find_if(all.begin(), all.end(),
                                  [before](const Version &v) { return v.done >= before; });
        if (later == all.begin())
            continue;
        make_stable(s, std::prev(later)->bytes.data());
        all.erase(all.begin(), later);
    }
}

void CachedDisk::make_stable(uint64_t sector, const std::byte *bytes)
{
    std::memcpy(&stable_[sector * kSectorSize], bytes, kSectorSize);
}

/* 0: the stable one. Whether a later one is gone. */
bool CachedDisk::come_back(uint64_t sector, uint64_t version)
{
    auto &all = versions_[sector];
    bool older = version < all.size();
    if (version)
        make_stable(sector, all[version - 1].bytes.data());
    std::memcpy(contents(sector), &stable_[sector * kSectorSize], kSectorSize);
    all.clear();
    return older;
}

} // namespace pvblk::sim
