/* SPDX-License-Identifier: MIT */
/* A disk in memory. It counts a backend's requests beyond its end. */
#include "pvblk/loopback.h"

#include <algorithm>
#include <cstring>

namespace pvblk
{

void RamStorage::submit(const StorageRequest &req, StorageClient &client)
{
    if (defer)
        waiting_.push_back({req, &client});
    else
        client.storage_done(req.tag, work(req));
}

void RamStorage::finish(size_t i)
{
    Waiting w = waiting_[i];
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    w.client->storage_done(w.req.tag, work(w.req));
}

void RamStorage::drain()
{
    while (!waiting_.empty())
        finish(0);
}

bool RamStorage::work(const StorageRequest &req)
{
    bool inside = req.at.value <= sectors() && req.sectors <= sectors() - req.at.value;
    bool fits = req.data.size() <= kMaxVectors;
    if (!inside)
        out_of_range++;
    if (!fits)
        too_many_vectors++;
    switch (req.op) {
    case StorageOp::Read: reads++; break;
    case StorageOp::WriteStable: stable_writes++; [[fallthrough]];
    case StorageOp::Write: writes++; break;
    case StorageOp::Flush: flushes++; return !fail;
    case StorageOp::SecureDiscard: secure_discards++; break;
    case StorageOp::Discard: break;
    }
    if (!inside || !fits || fail)
        return false;
    if (req.data.empty())
        return discard(req), true;
    return transfer(req);
}

bool RamStorage::transfer(const StorageRequest &req)
{
    std::byte *at = data.data() + req.at.value * kSectorSize;
    uint64_t left = req.sectors * kSectorSize;
    for (const struct iovec &v : req.data) {
        if (v.iov_len > left)
            return out_of_range++, false;
        if (req.op == StorageOp::Read)
            std::memcpy(v.iov_base, at, v.iov_len);
        else
            std::memcpy(at, v.iov_base, v.iov_len);
        at += v.iov_len;
        left -= v.iov_len;
    }
    return left == 0;
}

void RamStorage::discard(const StorageRequest &req)
{
    discards.push_back({req.at.value, req.sectors});
    std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(req.at.value * kSectorSize),
                req.sectors * kSectorSize, std::byte{0});
}

} // namespace pvblk
