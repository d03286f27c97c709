/* SPDX-License-Identifier: MIT */
/* Facts and scenarios as JSON lines. */
#include "frontends/facts.h"

#define JSON_NOEXCEPTION 1
#include <nlohmann/json.hpp>

#include <algorithm>

namespace pvblk::conformance
{

namespace
{

using Json = nlohmann::ordered_json;

std::string text(const Json &j, const char *key)
{
    auto it = j.find(key);
    return it != j.end() && it->is_string() ? it->get<std::string>() : "";
}

uint64_t number(const Json &j, const char *key)
{
    auto it = j.find(key);
    return it != j.end() && it->is_number_unsigned() ? it->get<uint64_t>() : 0;
}

bool flag(const Json &j, const char *key, bool otherwise = false)
{
    auto it = j.find(key);
    return it != j.end() && it->is_boolean() ? it->get<bool>() : otherwise;
}

/* As the property `judgement` has it: "kept 7", or "BROKEN 2 of 7 (SHOULD): how (value 3)". */
ClauseFacts clause(const std::string &said)
{
    ClauseFacts c;
    char *rest = nullptr;
    if (said.starts_with("kept ")) {
        c.kept = std::strtoull(said.c_str() + 5, nullptr, 10);
    } else if (said.starts_with("BROKEN ")) {
        c.broken = std::strtoull(said.c_str() + 7, &rest, 10);
        std::string tail = rest;
        if (tail.starts_with(" of "))
            c.kept = std::strtoull(tail.c_str() + 4, nullptr, 10) - c.broken;
        size_t colon = tail.find(": ");
        c.how = colon == std::string::npos ? tail : tail.substr(colon + 2);
    }
    return c;
}

std::optional<Facts> facts_of(const Json &j)
{
    Facts f;
    f.id = text(j, "id");
    if (!find_scenario(f.id))
        return std::nullopt;
    f.skip = text(j, "skip");
    f.trouble = text(j, "trouble");
    f.connected = flag(j, "connected");
    f.ok = static_cast<uint32_t>(number(j, "ok"));
    f.errors = static_cast<uint32_t>(number(j, "errors"));
    f.wrong = static_cast<uint32_t>(number(j, "wrong"));
    f.waited = flag(j, "waited");
    f.hung = flag(j, "hung");
    f.answers = flag(j, "answers", true);
    f.gave_up = flag(j, "gave-up");
    f.died = text(j, "died");
    f.said = text(j, "said");
    f.amiss = text(j, "amiss");
    f.closed = flag(j, "closed", true);
    f.grants_left = static_cast<uint32_t>(number(j, "grants-left"));
    if (j.contains("again"))
        f.again = flag(j, "again");
    if (j.contains("fired"))
        f.fired = number(j, "fired");
    f.took = std::chrono::milliseconds(std::min<uint64_t>(number(j, "ms"), 1'000'000'000));
    auto judged = j.find("judgement");
    if (judged != j.end() && judged->is_object())
        for (const auto &[name, value] : judged->items())
            if (value.is_string())
                f.clauses[name] = clause(value.get<std::string>());
    if (auto agreed = j.find("agreed"); agreed != j.end() && agreed->is_object())
        f.agreed = Agreed{static_cast<uint32_t>(number(*agreed, "queues")),
                          static_cast<uint32_t>(number(*agreed, "ring-pages")),
                          flag(*agreed, "persistent"),
                          flag(*agreed, "indirect"),
                          flag(*agreed, "flush"),
                          flag(*agreed, "discard")};
    if (j.contains("shown-bytes"))
        f.shown_bytes = number(j, "shown-bytes");
    auto happened = j.find("happened");
    if (happened != j.end() && happened->is_array())
        for (const Json &line : *happened)
            if (line.is_string() && f.happened.size() < Log::kKept)
                f.happened.push_back(
                    {std::chrono::microseconds(0), Lane::Front, line.get<std::string>()});
    return f;
}

/* As clause() reads them. */
Json clauses_of(const Facts &f)
{
    Json j;
    for (const auto &[name, c] : f.clauses)
        j[name] = judgement(c.kept, c.broken, c.how);
    return j;
}

/* Without the end of the line. */
std::string line_of(const Json &j)
{
    return j.dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace

std::optional<std::vector<Facts>> parse_facts(const std::string &text, std::string &problem)
{
    std::vector<Facts> all;
    size_t line = 0;
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.find('\n', at), text.size());
        line++;
        Json j = Json::parse(text.begin() + static_cast<long>(at),
                             text.begin() + static_cast<long>(end), nullptr, false);
        at = end + 1;
        auto facts = j.is_object() ? facts_of(j) : std::nullopt;
        if (!facts) {
            problem = "line " + std::to_string(line) + " holds no facts of a scenario";
            return std::nullopt;
        }
        all.push_back(std::move(*facts));
    }
    return all;
}

std::string facts_line(const Facts &f)
{
    Json j{{"id", f.id},
           {"connected", f.connected},
           {"ok", f.ok},
           {"errors", f.errors},
           {"wrong", f.wrong},
           {"waited", f.waited},
           {"hung", f.hung},
           {"answers", f.answers},
           {"gave-up", f.gave_up},
           {"closed", f.closed},
           {"grants-left", f.grants_left},
           {"ms", f.took.count()}};
    for (auto [key, value] :
         {std::pair{"skip", &f.skip}, std::pair{"trouble", &f.trouble}, std::pair{"died", &f.died},
          std::pair{"said", &f.said}, std::pair{"amiss", &f.amiss}})
        if (!value->empty())
            j[key] = *value;
    if (f.again)
        j["again"] = *f.again;
    if (f.fired)
        j["fired"] = *f.fired;
    if (!f.clauses.empty())
        j["judgement"] = clauses_of(f);
    if (f.agreed)
        j["agreed"] = {{"queues", f.agreed->queues},         {"ring-pages", f.agreed->ring_pages},
                       {"persistent", f.agreed->persistent}, {"indirect", f.agreed->indirect},
                       {"flush", f.agreed->flush},           {"discard", f.agreed->discard}};
    if (f.shown_bytes)
        j["shown-bytes"] = *f.shown_bytes;
    for (const Happening &h : f.happened)
        j["happened"].push_back(h.what);
    return line_of(j) + "\n";
}

std::string judgement_line(BackJudge &judge, uint64_t requests, uint64_t faults)
{
    Facts f;
    note(f, judge);
    Json said = clauses_of(f);
    said["frontend-state"] = xenbus_state_name(judge.frontend_state());
    said["connections"] = judge.connections();
    said["grants-left"] = judge.grants_left();
    return line_of({{"judgement", said}, {"requests", requests}, {"faults", faults}});
}

std::string scenario_lines(const std::vector<const Scenario *> &scenarios)
{
    std::string all;
    for (const Scenario *s : scenarios) {
        Json j{{"id", s->about.id},
               {"class", kind_name(s->about.kind)},
               {"config", s->config},
               {"plan", s->plan},
               {"may-wait", (s->then & (kWaits | kWaitsForEver)) != 0},
               {"act", act_name(s->act)},
               {"pace", pace_name(s->pace)}};
        all += line_of(j) + "\n";
    }
    return all;
}

} // namespace pvblk::conformance
