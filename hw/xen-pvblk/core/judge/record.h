/* SPDX-License-Identifier: MIT */
/* Layer `judge`: what was seen of each clause. */
#pragma once

#include "pvblk/judge.h"

#include <array>
#include <string_view>

namespace pvblk
{

class JudgeRecords
{
public:
    explicit JudgeRecords(JudgeListener *listener) : listener_(listener) {}

    void kept(JudgeRule rule) { of(rule).kept++; }
    void broken(JudgeRule rule, const char *how, uint64_t value = 0)
    {
        JudgeRecord &r = of(rule);
        if (!r.broken++) {
            r.first = how;
            r.value = value;
        }
        if (listener_)
            listener_->broken(judge_rules()[static_cast<uint32_t>(rule)], how, value);
    }
    /* One of the two. */
    void note(JudgeRule rule, bool good, const char *otherwise, uint64_t value = 0)
    {
        if (good)
            kept(rule);
        else
            broken(rule, otherwise, value);
    }
    const JudgeRecord &at(JudgeRule rule) const { return all_[static_cast<uint32_t>(rule)]; }
    JudgeListener *listener() const { return listener_; }

private:
    JudgeRecord &of(JudgeRule rule) { return all_[static_cast<uint32_t>(rule)]; }

    JudgeListener *listener_;
    std::array<JudgeRecord, kJudgeRules> all_{};
};

} // namespace pvblk
