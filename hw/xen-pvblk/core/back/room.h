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
        gaps_.reserve(size_t{takers} + 2); /* one more, until it is joined */
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
        auto gap = gaps_.insert(next, {at, count});
        join(gap);
        if (gap != gaps_.begin())
            join(std::prev(gap));
    }

private:
    struct Gap {
        uint32_t at, size;
    };
    /* Makes one of a gap and the next one, if they touch. */
    void join(std::vector<Gap>::iterator gap)
    {
        auto next = std::next(gap);
        if (next == gaps_.end() || gap->at + gap->size != next->at)
            return;
        gap->size += next->size;
        gaps_.erase(next);
    }

    std::vector<Gap> gaps_{}; /* in order; no two touch */
};

} // namespace pvblk
