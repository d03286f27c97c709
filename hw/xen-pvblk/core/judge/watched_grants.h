/* SPDX-License-Identifier: MIT */
/*
 * Layer `judge`: the grants that a frontend gave in one connection, and whether
 * they end. Only the backend's port can tell: a grant that has ended cannot be
 * mapped.
 *
 * The set has a fixed size. Beyond it, further grants are not watched.
 */
#pragma once

#include "judge/record.h"

#include <vector>

namespace pvblk
{

class WatchedGrants
{
public:
    explicit WatchedGrants(JudgeRecords &records);

    /* A new connection. */
    void begin();
    /* `most`: different grants of data that its requests can have at a time. */
    void agree(bool persistent, uint64_t most);
    /* At `page`. A write's data is mapped `readonly`. */
    void mapped(BackGrants &grants, GrantRef ref, std::byte *page, bool data, bool readonly);
    /* The backend has it mapped for ever. */
    void excuse(GrantRef ref);
    /* How many the backend could still map. A grant of the same reference for another
     * page is a later one, perhaps of another device: the domain has one table. */
    uint32_t left(BackGrants &grants) const;

private:
    struct Slot {
        std::byte *page{nullptr}; /* null: free */
        GrantRef ref{};
        bool excused{false};
    };
    /* The slot of a reference, or the free one for it; null: there is no room near it. */
    Slot *find(GrantRef ref);
    bool add(GrantRef ref, std::byte *page);

    JudgeRecords &records_;
    std::vector<Slot> slots_; /* open addressing */
    uint32_t used_{0}, data_{0};
    uint32_t probes_{0}; /* for writing, so far */
    bool persistent_{false};
    uint64_t most_{0};
};

} // namespace pvblk
