/* SPDX-License-Identifier: MIT */
/*
 * A disk with a volatile cache, over the loopback's disk in memory. A read shows the last write.
 * When the cache is lost, each sector holds its stable contents, or what a later write left there:
 * any of them, as real caches write back in any order.
 *
 * Stable contents come from a WriteStable, from a SecureDiscard, and from a Flush. A Flush covers
 * the writes that were done before it was submitted, and no others.
 *
 * Units: 512-byte sectors. May allocate.
 */
#pragma once

#include "support/random.h"

#include "pvblk/loopback.h"

namespace pvblk::sim
{

class CachedDisk final : public Storage, private StorageClient
{
public:
    /* Without `cached` each write is stable at once, and nothing can be lost. */
    CachedDisk(RamStorage &disk, bool cached);

    uint64_t sectors() const override { return disk_.sectors(); }
    void submit(const StorageRequest &req, StorageClient &client) override;
    void drain() override { disk_.drain(); }
    void resize(uint64_t sectors);
    bool cached() const { return cached_; }
    std::byte *contents(uint64_t s) const { return disk_.data.data() + s * kSectorSize; }

    /* The cache is lost while nothing is at the disk. f(sector, contents) for each sector that
     * was not stable. Returns whether one of them is older now. */
    template <class F>
    bool lose(Random &random, F f)
    {
        bool older = false, all = random.one_in(2);
        for (uint64_t s = 0; s < versions_.size(); s++) {
            if (versions_[s].empty())
                continue;
            older |= come_back(s, all ? 0 : random.below(versions_[s].size() + 1));
            f(s, contents(s));
        }
        return older;
    }

    bool ignores_flush{false}; /* a lie: a Flush ends well, and does nothing */

private:
    struct Pending {
        StorageRequest req{};
        StorageClient *client{nullptr};
        uint64_t submitted{0};
    };
    struct Version {
        uint64_t done{0};
        std::array<std::byte, kSectorSize> bytes{};
    };
    void storage_done(uint64_t tag, bool ok) override;
    void settle(const Pending &p);
    void flush(uint64_t before);
    void make_stable(uint64_t sector, const std::byte *bytes);
    bool come_back(uint64_t sector, uint64_t version);

    RamStorage &disk_;
    const bool cached_;
    uint64_t now_{0};
    std::vector<std::byte> stable_{};
    std::vector<std::vector<Version>> versions_{}; /* later than stable_, by sector */
    std::vector<Pending> pending_{};
    std::vector<uint64_t> free_{}; /* of pending_ */
};

} // namespace pvblk::sim
