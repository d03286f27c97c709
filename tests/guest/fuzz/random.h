/* SPDX-License-Identifier: MIT */
/* Where all choices come from: the same seed makes the same choices. */
#pragma once

#include <stddef.h>
#include <stdint.h>

class Random
{
public:
    explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 0x1234567)
    {
        for (int i = 0; i < 8; i++)
            next();
    }

    /* xorshift64*. */
    uint64_t next()
    {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545f4914f6cdd1d;
    }
    uint32_t below(uint32_t n) { return static_cast<uint32_t>((next() >> 32) * n >> 32); }
    /* True once in n times. */
    bool one_in(uint32_t n) { return below(n) == 0; }

    template <class T, size_t N>
    const T &of(const T (&list)[N])
    {
        return list[below(N)];
    }
    /* A number of any size: each number of bits is as likely as another. */
    uint64_t any()
    {
        uint64_t bits = next();
        return one_in(8) ? -(bits >> 60) : bits >> below(64);
    }

private:
    uint64_t state_;
};
