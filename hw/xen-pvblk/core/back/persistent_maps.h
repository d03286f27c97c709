/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: the pages that a backend keeps mapped. With feature-persistent a
 * frontend grants the same pages again and again, and the backend maps each
 * once (blkif.h feature-persistent). Their number has a limit; beyond it, the
 * least recently used page is unmapped.
 *
 * Every taken page is given back, and only then may it be unmapped.
 * Storage is sized when the object is made; nothing is allocated after.
 * Threads: one at a time.
 */
#pragma once

#include "pvblk/result.h"
#include "pvblk/types.h"

#include <cstddef>
#include <vector>

namespace pvblk
{

class BackGrants;

/* A page of the frontend's that is mapped. */
struct Mapping {
    static constexpr uint32_t kOnce = UINT32_MAX;

    GrantRef ref{};
    std::byte *page{nullptr};
    uint32_t kept{kOnce}; /* index among the kept pages; kOnce: not kept */
};

class PersistentMaps
{
public:
    /* `limit` 0: nothing is kept. */
    PersistentMaps(BackGrants &grants, uint32_t limit);
    PersistentMaps(const PersistentMaps &) = delete;
    PersistentMaps &operator=(const PersistentMaps &) = delete;
    ~PersistentMaps() { clear(); }

    /* If no more pages can be kept, the page is mapped only this once.
     * `write`: the backend wants to write to it. */
    Result<Mapping> take(GrantRef ref, bool write);
    void give_back(const Mapping &mapping);
    /* Instead of give_back(): the caller now owns the mapping, and unmaps it.
     * False: nothing changed, because another user has the page, too. */
    bool part_with(const Mapping &mapping);
    /* Unmap every page that nobody has taken. */
    void clear();

    uint32_t kept() const { return kept_; }
    uint64_t hits() const { return hits_; }

private:
    static constexpr uint32_t kNone = UINT32_MAX;
    struct Entry {
        GrantRef ref{};
        std::byte *page{nullptr};
        uint32_t users{0};
        bool readonly{false};
        uint32_t chain{kNone};               /* next in its bucket, or free */
        uint32_t older{kNone}, newer{kNone}; /* among the idle ones */
    };

    uint32_t &bucket(GrantRef ref);
    uint32_t find(GrantRef ref);
    Result<Mapping> use(uint32_t index, bool write);
    Result<Mapping> keep(GrantRef ref, std::byte *page, bool readonly);
    void set_idle(uint32_t index);
    void set_busy(uint32_t index);
    void drop(uint32_t index);
    void unlink(uint32_t index);

    BackGrants &grants_;
    std::vector<Entry> entries_;
    std::vector<uint32_t> buckets_;
    uint32_t free_{kNone};
    uint32_t oldest_{kNone}, newest_{kNone};
    uint32_t kept_{0};
    uint64_t hits_{0};
};

} // namespace pvblk
