/* SPDX-License-Identifier: MIT */
/* What the suite knows of the disk: see disk.h. */
#include "disk.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace pvblk::conformance
{

void Disk::put(Sector sector, uint32_t pattern, std::byte *at)
{
    /* A few words of a mixing generator: no two sectors or patterns are alike. */
    uint64_t x = sector.value * 0x9e37'79b9'7f4a'7c15 ^ (uint64_t{pattern} << 32 | pattern);
    for (uint32_t i = 0; i < kSectorSize; i += 8) {
        x ^= x >> 29;
        x *= 0xbf58'476d'1ce4'e5b9;
        std::memcpy(at + i, &x, 8);
    }
}

void Disk::resize(uint64_t sectors)
{
    sectors_ = sectors;
    holds_.erase(holds_.lower_bound(sectors), holds_.end());
}

void Disk::commit(Sector at, uint64_t sectors, uint32_t pattern)
{
    for (uint64_t i = 0; i < sectors && at.value + i < sectors_; i++)
        holds_[at.value + i] = pattern;
}

void Disk::unknown(Sector at, uint64_t sectors)
{
    auto end =
        sectors > UINT64_MAX - at.value ? holds_.end() : holds_.lower_bound(at.value + sectors);
    holds_.erase(holds_.lower_bound(at.value), end);
}

bool Disk::knows(Sector at, uint64_t sectors) const
{
    for (uint64_t i = 0; i < sectors; i++)
        if (!holds_.contains(at.value + i))
            return false;
    return true;
}

bool Disk::matches(Sector at, std::span<const std::byte> data, Sector &wrong) const
{
    std::array<std::byte, kSectorSize> want;
    for (size_t i = 0; i < data.size() / kSectorSize; i++) {
        uint64_t sector = at.value + i;
        auto known = holds_.find(sector);
        if (known == holds_.end())
            continue;
        put(Sector(sector), known->second, want.data());
        if (std::memcmp(want.data(), data.data() + i * kSectorSize, kSectorSize) != 0) {
            wrong = Sector(sector);
            return false;
        }
    }
    return true;
}

} // namespace pvblk::conformance
