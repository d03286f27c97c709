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

    /* A new connection. `most`: different grants of data that its requests can have at a
     * time; 0: no limit is known. */
    void begin();
    void agree(bool persistent, uint64_t most);
    void mapped(BackGrants &grants, GrantRef ref, bool data, bool readonly);
    /* How many the backend could still map. */
    uint32_t left(BackGrants &grants) const;

private:
    bool add(GrantRef ref);

    JudgeRecords &records_;
    std::vector<uint32_t> slots_; /* open addressing; kFree: none */
    uint32_t used_{0}, data_{0};
    uint32_t probes_{0}; /* for writing, so far */
    bool persistent_{false};
    uint64_t most_{0};
};

} // namespace pvblk
