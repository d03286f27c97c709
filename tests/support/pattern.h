/* SPDX-License-Identifier: MIT */
/* Data that differs by seed and by position, so that what lands elsewhere is seen. */
#pragma once

#include <cstddef>
#include <cstdint>

namespace pvblk
{

inline std::byte pattern_byte(uint64_t i, uint32_t seed)
{
    return static_cast<std::byte>((i * 7 + i / 509 + seed * 131 + 1) & 0xff);
}

inline void fill_pattern(std::byte *at, uint64_t bytes, uint32_t seed)
{
    for (uint64_t i = 0; i < bytes; i++)
        at[i] = pattern_byte(i, seed);
}

/* Whether the pattern is there from its byte `from` on. */
inline bool has_pattern(const std::byte *at, uint64_t bytes, uint32_t seed, uint64_t from = 0)
{
    for (uint64_t i = 0; i < bytes; i++)
        if (at[i] != pattern_byte(from + i, seed))
            return false;
    return true;
}

} // namespace pvblk
