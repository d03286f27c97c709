/* SPDX-License-Identifier: MIT */
/* All cases: see registry.h. */
#include "registry.h"

#include "cases/cases.h"
#include "frontends/scenario.h"

#include <algorithm>
#include <bit>
#include <fnmatch.h>

namespace pvblk::conformance
{

const char *level_name(Level l)
{
    static constexpr const char *kNames[] = {"MUST", "SHOULD", "MAY", "PRACTICE"};
    return kNames[static_cast<uint32_t>(l)];
}

const char *kind_name(Kind k)
{
    static constexpr const char *kNames[] = {"valid", "boundary", "hostile", "liveness",
                                             "regression"};
    return kNames[static_cast<uint32_t>(k)];
}

std::string_view need_name(uint32_t bit)
{
    switch (bit) {
    case kNeedsQuiet: return "quiet";
    case kNeedsMaps: return "maps";
    case kNeedsGrantsToAny: return "grants-to-any";
    case kNeedsHold: return "hold";
    case kNeedsResize: return "resize";
    case kNeedsRestart: return "restart";
    case kNeedsNoRam: return "no-ram";
    case kNeedsFlush: return "flush";
    case kNeedsBarrier: return "barrier";
    case kNeedsDiscard: return "discard";
    case kNeedsSecureDiscard: return "secure-discard";
    case kNeedsPersistent: return "persistent";
    case kNeedsIndirect: return "indirect";
    case kNeedsPages: return "pages";
    case kNeedsQueues: return "queues";
    case kNeedsRingPages: return "ring-pages";
    case kNeedsNoFlush: return "no-flush";
    case kNeedsNoBarrier: return "no-barrier";
    case kNeedsNoDiscard: return "no-discard";
    case kNeedsNoSecureDiscard: return "no-secure-discard";
    case kNeedsNoPersistent: return "no-persistent";
    case kNeedsLongLists: return "long-lists";
    case kNeedsNoIndirect: return "no-indirect";
    case kNeedsReadOnly: return "read-only";
    case kNeedsLargeSectors: return "large-sectors";
    case kNeedsSmallSectors: return "small-sectors";
    case kNeedsGranules: return "disk-of-several-granules";
    default: return "";
    }
}

std::string_view missing_need(uint32_t needs, uint32_t has)
{
    uint32_t missing = needs & ~has;
    return missing ? need_name(missing & -missing) : "";
}

const std::vector<const Case *> &all_cases()
{
    static const std::vector<const Case *> kAll = [] {
        std::vector<const Case *> all;
        for (auto area :
             {node_cases(), offer_cases(), state_cases(), request_cases(), segment_cases(),
              range_cases(), discard_cases(), flush_cases(), grant_cases(), indirect_cases(),
              persistent_cases(), ring_cases(), event_cases(), life_cases(), regression_cases()})
            for (const Case &c : area)
                all.push_back(&c);
        std::stable_partition(all.begin(), all.end(),
                              [](const Case *c) { return c->after != After::MayEnd; });
        return all;
    }();
    return kAll;
}

const std::vector<const Case *> &all_front_cases()
{
    static const std::vector<const Case *> kAll = [] {
        std::vector<const Case *> all;
        for (const Scenario &s : all_scenarios())
            all.push_back(&s.about);
        for (const Case &c : clause_cases())
            all.push_back(&c);
        return all;
    }();
    return kAll;
}

void describe(CaseResult &r, const Case &c)
{
    r.clause = c.clause;
    r.level = level_name(c.level);
    r.kind = kind_name(c.kind);
    r.what = c.what;
}

const Case *find_case(std::string_view id)
{
    id = id.substr(0, id.find('~'));
    const auto &all = id.starts_with("front/") ? all_front_cases() : all_cases();
    auto it = std::ranges::find_if(all, [&](const Case *c) { return c->id == id; });
    return it == all.end() ? nullptr : *it;
}

namespace
{

bool same(std::string_view word, std::string_view name)
{
    return std::equal(word.begin(), word.end(), name.begin(), name.end(),
                      [](char a, char b) { return std::tolower(a) == std::tolower(b); });
}

bool needs_named(uint32_t needs, std::string_view name)
{
    for (uint32_t bit = 0; bit < kNeedBits; bit++)
        if (needs >> bit & 1 && need_name(1u << bit) == name)
            return true;
    return false;
}

bool matches(const Case &c, const std::string &word)
{
    std::string_view rest = word;
    rest.remove_prefix(std::min(word.find(':') + 1, word.size()));
    if (word.starts_with("level:"))
        return same(rest, level_name(c.level));
    if (word.starts_with("class:"))
        return same(rest, kind_name(c.kind));
    if (word.starts_with("clause:"))
        return fnmatch(std::string(rest).c_str(), c.clause, 0) == 0;
    if (word.starts_with("needs:"))
        return needs_named(c.needs, rest);
    /* A case by its ID means all its variations, and one variation its case. */
    return fnmatch(word.substr(0, word.find('~')).c_str(), c.id, 0) == 0;
}

} // namespace

std::vector<const Case *> select(const std::vector<const Case *> &all,
                                 const std::vector<std::string> &words,
                                 std::vector<std::string> &unknown)
{
    if (words.empty())
        return all;
    std::vector<const Case *> chosen;
    for (const std::string &word : words)
        if (std::none_of(all.begin(), all.end(), [&](const Case *c) { return matches(*c, word); }))
            unknown.push_back(word);
    for (const Case *c : all)
        if (std::any_of(words.begin(), words.end(),
                        [&](const std::string &word) { return matches(*c, word); }))
            chosen.push_back(c);
    return chosen;
}

} // namespace pvblk::conformance
