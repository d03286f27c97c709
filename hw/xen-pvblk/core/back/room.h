/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: the free places of a table. A taker gets as many as it asks for,
 * in a row, in the first gap that is large enough. The table itself is elsewhere.
 *
 * Only start() allocates.
 */
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace pvblk
{

class Room
{
public:
    /* All places are free. `takers`: the most at a time. */
    void start(uint32_t size, uint32_t takers)
    {
        gaps_.clear();
        gaps_.reserve(size_t{takers} + 1);
        gaps_.push_back({0, size});
    }
    /* The first of `count` places. nullopt: there are not so many in a row now. */
    std::optional<uint32_t> take(uint32_t count)
    {
        auto gap = std::find_if(gaps_.begin(), gaps_.end(),
                                [count](const Gap &g) { return g.size >= count; });
        if (gap == gaps_.end())
            return std::nullopt;
        uint32_t at = gap->at;
        gap->at += count;
        gap->size -= count;
        if (gap->size == 0)
            gaps_.erase(gap);
        return at;
    }
    void give_back(uint32_t at, uint32_t count)
    {
        auto next =
            std::find_if(gaps_.begin(), gaps_.end(), [at](const Gap &g) { return g.at > at; });
        bool joins_next = next != gaps_.end() && at + count == next->at;
        bool joins_last = next != gaps_.begin() && end_of(*std::prev(next)) == at;
        if (joins_next)
            *next = {at, count + next->size};
        if (!joins_last) {
            if (!joins_next)
                gaps_.insert(next, {at, count});
            return;
        }
        std::prev(next)->size += joins_next ? next->size : count;
        if (joins_next)
            gaps_.erase(next);
    }

private:
    struct Gap {
        uint32_t at, size;
    };
    static uint32_t end_of(const Gap &gap) { return gap.at + gap.size; }

    std::vector<Gap> gaps_{}; /* in order; no two touch */
};

} // namespace pvblk
