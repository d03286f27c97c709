/* SPDX-License-Identifier: MIT */
/* The last things that happened between the two ends, for the report of a case. */
#pragma once

#include <chrono>
#include <deque>
#include <string>

namespace pvblk::conformance
{

/* Who did it: rows of the timeline in the HTML page. */
enum class Lane : uint8_t { Front, Back, Store };

struct Happening {
    std::chrono::microseconds at{}; /* since the case began */
    Lane lane{};
    std::string what{}; /* "READ id 3, sector 8, 1 segment" */
};

class Log
{
public:
    static constexpr size_t kKept = 48;

    void begin(std::chrono::microseconds now)
    {
        began_ = now;
        kept_.clear();
    }
    void add(std::chrono::microseconds now, Lane lane, std::string what)
    {
        if (kept_.size() == kKept)
            kept_.pop_front();
        kept_.push_back({now - began_, lane, std::move(what)});
    }
    const std::deque<Happening> &kept() const { return kept_; }

private:
    std::chrono::microseconds began_{};
    std::deque<Happening> kept_{};
};

} // namespace pvblk::conformance
