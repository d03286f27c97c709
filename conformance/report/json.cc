/* SPDX-License-Identifier: MIT */
/* JSON lines: see report.h. */
#include "report.h"

#define JSON_NOEXCEPTION 1
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace pvblk::conformance
{

namespace
{

using Json = nlohmann::ordered_json;

constexpr int64_t kMostMs = 1'000'000'000; /* a case takes no longer than some days */

constexpr std::array<const char *, 3> kLanes{"front", "back", "store"};

/* The backend's text may hold anything. */
std::string dump(const Json &j)
{
    return j.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string text(const Json &j, const char *key)
{
    auto it = j.find(key);
    return it != j.end() && it->is_string() ? it->get<std::string>() : "";
}

/* A whole number from 0 on, of a file that anybody may have written. */
int64_t number(const Json &j, const char *key, int64_t most)
{
    auto it = j.find(key);
    if (it == j.end() || !it->is_number_integer())
        return 0;
    return it->is_number_unsigned() ? static_cast<int64_t>(std::min<uint64_t>(
                                          it->get<uint64_t>(), static_cast<uint64_t>(most)))
                                    : std::clamp<int64_t>(it->get<int64_t>(), 0, most);
}

std::optional<Verdict> verdict_of(const std::string &name)
{
    for (uint32_t v = 0; v < kVerdicts; v++)
        if (name == verdict_name(static_cast<Verdict>(v)))
            return static_cast<Verdict>(v);
    return std::nullopt;
}

std::optional<CaseResult> result_of(const Json &j)
{
    CaseResult r;
    auto verdict = verdict_of(text(j, "verdict"));
    r.id = text(j, "id");
    if (!verdict || r.id.empty())
        return std::nullopt;
    r.verdict = *verdict;
    r.clause = text(j, "clause");
    r.level = text(j, "level");
    r.kind = text(j, "class");
    r.what = text(j, "what");
    r.expected = text(j, "expected");
    r.seen = text(j, "seen");
    r.why = text(j, "why");
    r.deviation = text(j, "deviation");
    r.took = std::chrono::milliseconds(number(j, "ms", kMostMs));
    auto happened = j.find("happened");
    if (happened == j.end() || !happened->is_array())
        return r;
    for (const Json &h : *happened) {
        if (!h.is_object())
            continue;
        Lane lane = Lane::Front;
        for (size_t i = 0; i < kLanes.size(); i++)
            if (text(h, "lane") == kLanes[i])
                lane = static_cast<Lane>(i);
        r.happened.push_back(
            {std::chrono::microseconds(number(h, "us", 1000 * kMostMs)), lane, text(h, "what")});
    }
    return r;
}

} // namespace

std::string json_head(const Run &run)
{
    Json j{{"format", "blkif-conformance/1"},
           {"subject", run.subject},
           {"version", run.version},
           {"suite", run.suite},
           {"date", run.date},
           {"command", run.command},
           {"planned", run.planned}};
    if (!run.profile.empty())
        j["profile"] = run.profile;
    return dump(j) + "\n";
}

std::string json_line(const CaseResult &r, bool terse)
{
    Json j{{"id", r.id}, {"verdict", verdict_name(r.verdict)}};
    if (!terse)
        j.update(
            Json{{"clause", r.clause}, {"level", r.level}, {"class", r.kind}, {"what", r.what}});
    for (auto [key, value] : {std::pair{"expected", &r.expected}, std::pair{"seen", &r.seen},
                              std::pair{"why", &r.why}, std::pair{"deviation", &r.deviation}})
        if (!value->empty())
            j[key] = *value;
    j["ms"] = r.took.count();
    for (const Happening &h : r.happened)
        j["happened"].push_back(Json{
            {"us", h.at.count()}, {"lane", kLanes[static_cast<size_t>(h.lane)]}, {"what", h.what}});
    return dump(j) + "\n";
}

std::string jsonl(const Run &run)
{
    std::string all = json_head(run);
    for (const CaseResult &r : run.results)
        all += json_line(r);
    return all;
}

std::optional<Run> parse_jsonl(const std::string &all, std::string &problem)
{
    Run run;
    size_t at_line = 0;
    for (size_t at = 0; at < all.size();) {
        size_t end = std::min(all.find('\n', at), all.size());
        std::string one = all.substr(at, end - at);
        at = end + 1;
        at_line++;
        if (one.empty())
            continue;
        Json j = Json::parse(one, nullptr, false);
        std::string where = "line " + std::to_string(at_line);
        if (!j.is_object()) {
            problem = where + " is no JSON object";
            return std::nullopt;
        }
        if (at_line == 1) {
            if (text(j, "format") != "blkif-conformance/1") {
                problem = where + " does not say \"format\": \"blkif-conformance/1\"";
                return std::nullopt;
            }
            run.subject = text(j, "subject");
            run.version = text(j, "version");
            run.suite = text(j, "suite");
            run.date = text(j, "date");
            run.command = text(j, "command");
            run.profile = text(j, "profile");
            run.planned = static_cast<uint32_t>(number(j, "planned", 100'000));
            continue;
        }
        auto r = result_of(j);
        if (!r) {
            problem = where + " has no \"id\", or no \"verdict\" that exists";
            return std::nullopt;
        }
        run.results.push_back(std::move(*r));
    }
    if (!at_line) {
        problem = "it is empty";
        return std::nullopt;
    }
    return run;
}

} // namespace pvblk::conformance
