/* SPDX-License-Identifier: MIT */
/* All scenarios, and the words of their parts. */
#include "frontends/scenario.h"

#include "pvblk/judge.h"

#include <algorithm>
#include <memory>

namespace pvblk::conformance
{

namespace
{

Level level(JudgeLevel l)
{
    return l == JudgeLevel::Must     ? Level::Must
           : l == JudgeLevel::Should ? Level::Should
                                     : Level::Practice;
}

/* "front/keeps/ring-req-prod", in the words of the registry. */
struct ClauseText {
    std::string id, what;
};

std::vector<ClauseText> clause_texts()
{
    std::vector<ClauseText> all;
    for (const JudgeRuleInfo &rule : judge_rules()) {
        std::string name = rule.clause, what = rule.what;
        std::replace(name.begin(), name.end(), ':', '/');
        what[0] = static_cast<char>(std::toupper(what[0]));
        all.push_back({"front/" + name, "In all scenarios: " + what + "."});
    }
    return all;
}

} // namespace

const std::vector<Scenario> &all_scenarios()
{
    static const std::vector<Scenario> kAll = [] {
        std::vector<Scenario> all = variations(), hostile = lies();
        std::move(hostile.begin(), hostile.end(), std::back_inserter(all));
        return all;
    }();
    return kAll;
}

const std::vector<Case> &clause_cases()
{
    static const std::vector<ClauseText> kTexts = clause_texts();
    static const std::vector<Case> kAll = [] {
        std::vector<Case> all;
        for (uint32_t i = 0; i < kJudgeRules; i++) {
            const JudgeRuleInfo &rule = judge_rules()[i];
            all.push_back({kTexts[i].id.c_str(), rule.clause, level(rule.level), Kind::Valid,
                           kTexts[i].what.c_str(), nullptr});
        }
        return all;
    }();
    return kAll;
}

const Scenario *find_scenario(std::string_view id)
{
    id = id.substr(0, id.find('~'));
    const auto &all = all_scenarios();
    auto it = std::ranges::find_if(all, [&](const Scenario &s) { return s.about.id == id; });
    return it == all.end() ? nullptr : &*it;
}

std::string then_text(uint8_t then)
{
    std::string text;
    for (auto [bit, words] :
         {std::pair{kGoesOn, "goes on"}, std::pair{kIoError, "reports an I/O error"},
          std::pair{kGivesUp, "gives the disk up"},
          std::pair{kWaits, "waits until the backend behaves, then goes on"},
          std::pair{kWaitsForEver, "waits"}})
        if (then & bit)
            text += (text.empty() ? "" : ", or ") + std::string(words);
    return text;
}

const char *act_name(Act a)
{
    static constexpr const char *kNames[] = {"", "grow", "shrink", "close"};
    return kNames[static_cast<uint32_t>(a)];
}

const char *pace_name(Pace p)
{
    static constexpr const char *kNames[] = {"", "late", "reversed"};
    return kNames[static_cast<uint32_t>(p)];
}

} // namespace pvblk::conformance
