/* SPDX-License-Identifier: MIT */
/* What is known of a subject: see profile.h. */
#include "profile.h"

#include "registry.h"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <algorithm>
#include <filesystem>
#include <fnmatch.h>
#include <fstream>
#include <toml++/toml.h>

namespace pvblk::conformance
{

namespace
{

bool covers(const std::string &pattern, const std::string &id)
{
    return fnmatch(pattern.c_str(), id.c_str(), 0) == 0 ||
           fnmatch(pattern.c_str(), id.substr(0, id.find('~')).c_str(), 0) == 0;
}

/* The first entry that covers a case. */
template <class Entries>
auto find(const Entries &entries, const std::string &id) -> decltype(entries.data())
{
    for (const auto &e : entries)
        if (covers(e.pattern, id))
            return &e;
    return nullptr;
}

/* One or several; FAIL if there is none said. Empty: one of them is none. */
std::vector<std::string> verdicts(toml::node_view<const toml::node> said)
{
    std::vector<std::string> all;
    if (!said)
        all.push_back("FAIL");
    else if (const toml::array *list = said.as_array())
        for (const toml::node &one : *list)
            all.push_back(one.value_or(std::string()));
    else
        all.push_back(said.value_or(std::string()));
    static constexpr std::string_view kKnown[] = {"FAIL", "WEDGED", "CRASH", "CORRUPT", "LEAK"};
    for (const std::string &one : all)
        if (std::ranges::find(kKnown, one) == std::end(kKnown))
            return {};
    return all;
}

std::string at(const toml::node &node)
{
    return "line " + std::to_string(node.source().begin.line) + ": ";
}

} // namespace

std::optional<Profile> Profile::read(const std::string &path, std::string &problem)
{
    constexpr uint32_t kMostFiles = 8; /* two may extend each other */
    std::optional<Profile> all;
    std::filesystem::path file = path;
    for (uint32_t i = 0; i < kMostFiles; i++) {
        std::ifstream in(file);
        if (!in.is_open() || std::filesystem::is_directory(file)) {
            problem = file.string() + " cannot be read: name a profile for --profile";
            return std::nullopt;
        }
        std::string text{std::istreambuf_iterator<char>(in), {}};
        auto one = parse(text, problem);
        if (one && !one->unknown_cases().empty()) {
            problem =
                "it names " + one->unknown_cases() + ", and no case is called so: --list shows all";
            one.reset();
        }
        if (!one) {
            problem = file.string() + ", " + problem;
            return std::nullopt;
        }
        file = file.parent_path() / one->extends_;
        bool last = one->extends_.empty();
        if (!all) {
            all = std::move(one);
        } else {
            for (auto list : {&Profile::deviations_, &Profile::skips_})
                ((*all).*list)
                    .insert(((*all).*list).end(), ((*one).*list).begin(), ((*one).*list).end());
            all->skips_are_listed_ |= one->skips_are_listed_;
        }
        if (last)
            return all;
    }
    problem = path + " extends more than " + std::to_string(kMostFiles) +
              " files: do two extend each other?";
    return std::nullopt;
}

std::optional<Profile> Profile::parse(const std::string &text, std::string &problem)
{
    toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        problem = "line " + std::to_string(parsed.error().source().begin.line) + ": " +
                  std::string(parsed.error().description());
        return std::nullopt;
    }
    Profile p;
    for (auto &&[key, node] : parsed.table()) {
        if (key == "subject")
            continue;
        if (key == "extends") {
            p.extends_ = node.value_or(std::string());
            continue;
        }
        if (key == "skips") {
            p.skips_are_listed_ = node.value_or<std::string_view>("") == "listed";
            if (!p.skips_are_listed_ && node.value_or<std::string_view>("") != "any") {
                problem = at(node) + "skips is \"any\" or \"listed\"";
                return std::nullopt;
            }
            continue;
        }
        auto *list = node.as_array();
        if (!list || (key != "deviation" && key != "skip")) {
            problem = at(node) +
                      "a profile has subject, extends, skips, [[deviation]] and [[skip]], not " +
                      std::string(key.str());
            return std::nullopt;
        }
        for (const toml::node &one : *list) {
            const toml::table *entry = one.as_table();
            Entry e;
            if (entry) {
                e.pattern = (*entry)["case"].value_or(std::string());
                e.id = (*entry)["id"].value_or(std::string());
                e.note = (*entry)["note"].value_or(std::string());
                e.seen = (*entry)["seen"].value_or(std::string());
                e.verdicts = verdicts((*entry)["verdict"]);
                e.sometimes = (*entry)["sometimes"].value_or(false);
            }
            if (e.verdicts.empty()) {
                problem =
                    at(one) + "verdict is FAIL, WEDGED, CRASH, CORRUPT or LEAK, or a list of them";
                return std::nullopt;
            }
            if (e.pattern.empty() || e.note.empty() || (key == "deviation" && e.id.empty())) {
                problem = at(one) + "a " + std::string(key.str()) + " needs a case and a note" +
                          (key == "deviation" ? ", and an id" : "");
                return std::nullopt;
            }
            (key == "skip" ? p.skips_ : p.deviations_).push_back(std::move(e));
        }
    }
    return p;
}

std::string Profile::unknown_cases() const
{
    for (const auto *list : {&deviations_, &skips_})
        for (const Entry &e : *list) {
            std::string pattern = e.pattern.substr(0, e.pattern.find('~'));
            auto covered = [&pattern](const Case *c) { return covers(pattern, c->id); };
            if (std::ranges::none_of(all_cases(), covered) &&
                std::ranges::none_of(all_front_cases(), covered))
                return e.pattern;
        }
    return "";
}

void Profile::apply(CaseResult &r) const
{
    auto stale = [&r](const std::string &what) {
        r.seen = std::string(verdict_name(r.verdict)) + (r.seen.empty() ? "" : ": " + r.seen);
        r.verdict = Verdict::Fail;
        r.expected = what;
        r.why = "take the entry out of the profile, if that is what you want";
    };
    if (r.verdict == Verdict::Inconclusive)
        return;
    const Entry *skip = find(skips_, r.id);
    if (r.verdict == Verdict::Skip) {
        if (!skip && skips_are_listed_) {
            r.verdict = Verdict::Fail;
            r.expected = "no skip that the profile does not list";
            r.seen = "SKIP: " + r.why;
            r.why.clear();
        }
        return;
    }
    /* Worse than a stale entry, and with another exit code. */
    if (skip && (r.verdict == Verdict::Wedged || r.verdict == Verdict::Crash))
        return;
    if (skip)
        return stale("a skip, as the profile says: " + skip->note);
    const Entry *e = find(deviations_, r.id);
    if (!e)
        return;
    if (r.verdict == Verdict::Pass) {
        if (!e->sometimes)
            stale("the deviation " + e->id + " of the profile: " + e->note);
        return;
    }
    if (std::ranges::find(e->verdicts, verdict_name(r.verdict)) == e->verdicts.end() ||
        (!e->seen.empty() && r.seen != e->seen))
        return;
    r.verdict = Verdict::Deviation;
    r.deviation = e->id;
    r.why = e->note;
}

} // namespace pvblk::conformance
