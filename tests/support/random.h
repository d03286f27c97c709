/* SPDX-License-Identifier: MIT */
/* Choices that depend on the seed alone: splitmix64. */
#pragma once

#include <cstdint>
#include <initializer_list>

namespace pvblk
{

class Random
{
public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t next()
    {
        uint64_t z = (state_ += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    /* 0 … n - 1 */
    uint32_t below(uint64_t n) { return static_cast<uint32_t>(next() % n); }
    uint32_t between(uint32_t least, uint32_t most) { return least + below(most - least + 1); }
    bool one_in(uint32_t n) { return below(n) == 0; }
    template <class T>
    T pick(std::initializer_list<T> list)
    {
        return list.begin()[below(list.size())];
    }

private:
    uint64_t state_;
};

} // namespace pvblk
