/* SPDX-License-Identifier: MIT */
/* blkif-conformance: see docs/conformance.rst. */
#include "frontends/command.h"
#include "frontends/config.h"
#include "frontends/serve.h"
#include "linux_domain.h"
#include "loopback_domain.h"
#include "operator.h"
#include "options.h"
#include "profile.h"
#include "registry.h"
#include "report/report.h"
#include "runner.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <unistd.h>

#ifndef PVBLK_SUITE_VERSION
#define PVBLK_SUITE_VERSION "unknown"
#endif

namespace pvblk::conformance
{

/* A place for a breakpoint: `./pvblk conformance loopback --gdb CASE` stops here. */
[[gnu::noinline]] void before_first_case();
void before_first_case()
{
    asm volatile("");
}

namespace
{

constexpr int kUsage = 2, kHarness = 3;

int refuse(const std::string &why, int code = kUsage)
{
    std::fprintf(stderr, "blkif-conformance: %s\n", why.c_str());
    return code;
}

std::optional<std::string> contents(const std::string &path)
{
    std::ifstream in(path, std::ios::binary);
    if (!in || std::filesystem::is_directory(path))
        return std::nullopt;
    return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string now()
{
    std::time_t t = std::time(nullptr);
    char text[32];
    std::tm utc{};
    std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &utc));
    return text;
}

/* ---- without a subject ------------------------------------------------------------- */

int list(const std::vector<const Case *> &cases)
{
    for (const Case *c : cases) {
        std::string needs;
        for (uint32_t bit = 0; bit < kNeedBits; bit++)
            if (c->needs >> bit & 1)
                needs += " " + std::string(need_name(1u << bit));
        std::string axes;
        for (Axis a : {kAbi, kPages, kQueues, kPersistent})
            if (c->axes & a)
                axes += std::string(" ") + axis_suffix(a);
        std::printf("%s\n    %s\n    %s, %s, %s%s%s%s%s; since %s\n", c->id, c->what, c->clause,
                    level_name(c->level), kind_name(c->kind), needs.empty() ? "" : "; needs",
                    needs.c_str(), axes.empty() ? "" : "; also", axes.c_str(), c->since);
    }
    std::printf("%zu cases\n", cases.size());
    return 0;
}

int coverage(const std::vector<const Case *> &cases)
{
    struct Row {
        uint32_t positive{0}, negative{0};
    };
    std::map<std::string, Row> rows;
    for (const Case *c : cases) {
        Row &row = rows[c->clause];
        bool positive = c->kind == Kind::Valid || c->kind == Kind::Liveness;
        (positive ? row.positive : row.negative)++;
    }
    std::printf("%-34s %8s %8s\n", "clause", "positive", "negative");
    for (const auto &[clause, row] : rows)
        std::printf("%-34s %8u %8u\n", clause.c_str(), row.positive, row.negative);
    std::printf("%zu clauses, %zu cases\n", rows.size(), cases.size());
    return 0;
}

/* ---- reports -------------------------------------------------------------------------- */

std::string report(const std::vector<Run> &runs, const Options &o, std::string &problem)
{
    std::string all;
    for (const Run &run : runs)
        switch (o.format) {
        case Options::Format::Tap: all += tap(run); break;
        case Options::Format::Junit: all += junit(run); break;
        case Options::Format::Jsonl: all += jsonl(run); break;
        case Options::Format::Html: break;
        case Options::Format::Text:
            for (const CaseResult &r : run.results)
                if (!o.quiet && r.verdict != Verdict::Skip)
                    all += line(r);
            if (!o.quiet || o.baseline.empty())
                all += summary(run);
            break;
        }
    if (o.format == Options::Format::Html)
        all = html(runs);
    else if (runs.size() > 1 &&
             (o.format == Options::Format::Tap || o.format == Options::Format::Junit ||
              o.format == Options::Format::Jsonl))
        problem = "this format holds one run: give one file";
    return all;
}

int put(const std::string &text, const Options &o)
{
    FILE *out = o.output.empty() ? stdout : std::fopen(o.output.c_str(), "wb");
    if (!out)
        return refuse(o.output + " cannot be written: choose another name for -o", kHarness);
    bool good = std::fwrite(text.data(), 1, text.size(), out) == text.size();
    good &= std::fflush(out) == 0;
    if (out != stdout)
        good &= std::fclose(out) == 0;
    return good ? 0 : refuse("the report could not be written: is the disk full?", kHarness);
}

std::optional<Run> read_run(const std::string &path, std::string &problem)
{
    auto text = contents(path);
    if (!text) {
        problem = path + " cannot be read: name a file that --format jsonl wrote";
        return std::nullopt;
    }
    auto run = parse_jsonl(*text, problem);
    if (!run) {
        problem = path + ": " + problem + "; name a file that --format jsonl wrote";
        return std::nullopt;
    }
    /* A terse line, or one of a subject's death, has not all of it. */
    for (CaseResult &r : run->results)
        if (const Case *c = r.clause.empty() ? find_case(r.id) : nullptr)
            describe(r, *c);
    return run;
}

/* Lines for the cases whose verdict changed, in both directions. */
std::string changes(const Run &before, const Run &after)
{
    std::map<std::string, Verdict> old;
    for (const CaseResult &r : before.results)
        old[r.id] = r.verdict;
    std::string all;
    for (const CaseResult &r : after.results) {
        auto it = old.find(r.id);
        if (it == old.end())
            all += clean(r.id) + ": new, " + verdict_name(r.verdict) + "\n";
        else if (it->second != r.verdict)
            all += clean(r.id) + ": " + verdict_name(it->second) + " -> " +
                   verdict_name(r.verdict) + "\n";
        if (it != old.end())
            old.erase(it);
    }
    for (const auto &[id, verdict] : old)
        all += clean(id) + ": gone, it was " + verdict_name(verdict) + "\n";
    return all.empty() ? "no case changed\n" : all;
}

/* Nothing: none is asked for, or `problem` says why it cannot be. */
std::optional<Run> read_baseline(const Options &o, std::string &problem)
{
    return o.baseline.empty() ? std::nullopt : read_run(o.baseline, problem);
}

/* After the report, but not into what another program reads. */
void put_changes(const std::vector<Run> &runs, const Options &o, const std::optional<Run> &before)
{
    bool free = o.format == Options::Format::Text || !o.output.empty();
    for (const Run &run : runs) {
        std::string title = runs.size() > 1 ? clean(run.subject) + ":\n" : "";
        if (before)
            std::fputs((title + changes(*before, run)).c_str(), free ? stdout : stderr);
    }
}

/* That of the worst run; 77 if all of them were skipped. */
int worst_code(const std::vector<Run> &runs)
{
    for (int code : {4, 1, 3, 0})
        for (const Run &run : runs)
            if (exit_code(run) == code)
                return code;
    return 77;
}

/* The report and what changed; the exit code. */
int publish(const std::vector<Run> &runs, const Options &o, const std::optional<Run> &before)
{
    std::string problem;
    std::string text = report(runs, o, problem);
    if (!problem.empty())
        return refuse(problem);
    int code = put(text, o);
    put_changes(runs, o, before);
    return code ? code : worst_code(runs);
}

std::string name_of(const std::string &path)
{
    return path.substr(path.rfind('/') + 1);
}

bool is_judged(const Run &run)
{
    return !run.profile.empty() ||
           std::any_of(run.results.begin(), run.results.end(),
                       [](const CaseResult &r) { return r.verdict == Verdict::Deviation; });
}

/* Runs of one subject get the names of their files. */
void tell_apart(std::vector<Run> &runs, const std::vector<std::string> &files)
{
    std::map<std::string, uint32_t> times;
    for (const Run &run : runs)
        times[run.subject]++;
    for (size_t i = 0; i < runs.size(); i++)
        if (times[runs[i].subject] > 1)
            runs[i].subject += " (" + files[i] + ")";
}

int show_runs(const Options &o, const Profile &profile)
{
    std::vector<Run> runs;
    std::string problem;
    for (const std::string &path : o.words) {
        auto run = read_run(path, problem);
        if (!run)
            return refuse(problem);
        if (!o.profile.empty() && is_judged(*run))
            return refuse(path + " was judged by a profile already, which hides what the cases "
                                 "saw: name the file of a run without --profile");
        if (!o.profile.empty())
            run->profile = name_of(o.profile);
        for (CaseResult &r : run->results)
            profile.apply(r);
        runs.push_back(std::move(*run));
    }
    tell_apart(runs, o.words);
    auto before = read_baseline(o, problem);
    if (!problem.empty())
        return refuse(problem);
    return publish(runs, o, before);
}

/* As a word for a shell. */
std::string quoted(const std::string &text)
{
    std::string word = "'";
    for (char c : text)
        word += c == '\'' ? "'\\''" : std::string(1, c);
    return word + "'";
}

/* ---- a run ------------------------------------------------------------------------------ */

/* For the signal that ends us, in the middle of a case or elsewhere. */
struct Current {
    const Options *options{nullptr};
    Run *run{nullptr};
    bool streams{false}; /* each result is written at once */
    /* What is to be played, and how many of it have begun. */
    const std::vector<Runner::Planned> *plan{nullptr};
    size_t begun{0};
};
Current current;

/* The report's text may never come to its end: what this signal interrupted may hold a
 * lock, and nobody may read the file. */
void limit_the_end()
{
    constexpr unsigned kSeconds = 5;
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    std::signal(SIGALRM, SIG_DFL);
    (void)sigprocmask(SIG_UNBLOCK, &alarms, nullptr);
    alarm(kSeconds);
}

/* What the signal means for the case that it interrupted. */
CaseResult interrupted(const Runner::Planned &p, int signal)
{
    CaseResult r = Runner::not_played(p, "the time limit ended the case");
    if (!current.options->loopback)
        return r;
    /* Both ends are in this process, and a wait ends at once. */
    bool late = signal == SIGALRM;
    r.why.clear();
    r.verdict = late ? Verdict::Wedged : Verdict::Crash;
    r.expected = "the backend lives, and comes to an end";
    r.seen = late ? "it did not return within the time limit"
                  : "signal " + std::to_string(signal) + " in the process of both ends";
    return r;
}

void died(int signal)
{
    std::signal(signal, SIG_DFL);
    limit_the_end();
    /* Nothing is safe here, and nothing can be lost any more. */
    bool late = signal == SIGALRM;
    if (!current.plan)
        std::_Exit(refuse(late ? "the time limit was over before the first case: give more time"
                               : "signal " + std::to_string(signal) + " before the first case",
                          kHarness));
    std::vector<CaseResult> &results = current.run->results;
    size_t known = results.size();
    for (size_t i = known; i < current.plan->size() && (late || i < current.begun); i++) {
        const Runner::Planned &p = (*current.plan)[i];
        results.push_back(i < current.begun
                              ? interrupted(p, signal)
                              : Runner::not_played(p, "the time limit was over before the case"));
    }
    const Options &o = *current.options;
    if (late && known == current.plan->size() && !o.loopback && !o.allow_writes)
        (void)refuse("the time limit was over before the disk was empty again");
    if (current.streams) {
        for (size_t i = known; i < results.size(); i++)
            std::fputs(json_line(results[i], o.terse).c_str(), stdout);
        std::fflush(stdout);
    } else {
        std::string problem;
        (void)put(report({*current.run}, o, problem), o);
    }
    std::_Exit(exit_code(*current.run));
}

/* Without those that an earlier run played, to this one. */
void go_on_after(std::vector<Runner::Planned> &plan, const std::string &id)
{
    auto last = std::find_if(plan.begin(), plan.end(),
                             [&](const Runner::Planned &p) { return p.play.id() == id; });
    plan.erase(plan.begin(), last == plan.end() ? last : last + 1);
}

int run_on(std::vector<Domain *> domains, const Options &o, const std::vector<const Case *> &cases,
           const Profile &profile)
{
    Operator op(STDIN_FILENO, stdout, o.operator_can, 3 * o.patience);
    std::vector<std::unique_ptr<OperatedDomain>> operated;
    for (size_t i = 0; i < domains.size() && o.operator_can; i++) {
        std::string vbd = i < o.vbds.size() ? o.vbds[i] : "loopback";
        operated.push_back(std::make_unique<OperatedDomain>(*domains[i], op, vbd));
        domains[i] = operated.back().get();
    }
    RunnerOptions settings{o.patience, o.allow_writes || o.loopback, o.repeat};
    /* The last tenth of the time is for the disk: it is empty again at the end. */
    if (o.time_limit.count())
        settings.until =
            std::chrono::steady_clock::now() + std::chrono::milliseconds(o.time_limit) * 9 / 10;
    Runner runner(std::move(domains), settings);
    Run run{o.subject.empty() ? (o.loopback ? "loopback" : "vbd " + o.vbds[0]) : o.subject,
            o.version,
            PVBLK_SUITE_VERSION,
            now(),
            "",
            name_of(o.profile),
            0,
            {}};
    run.command = o.loopback ? "blkif-conformance --loopback" : "blkif-conformance";
    for (const std::string &vbd : o.vbds)
        run.command += " --vbd " + vbd;
    if (o.allow_writes)
        run.command += " --allow-writes";
    if (!o.plan.empty())
        run.command += " --plan " + quoted(o.plan);
    std::string problem;
    auto before = read_baseline(o, problem);
    if (!problem.empty())
        return refuse(problem);
    bool stream = o.format == Options::Format::Jsonl && o.output.empty();
    current = {&o, &run, stream, nullptr, 0};
    if (o.operator_can) /* one that is gone is no end of the run */
        std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGALRM, died);
    alarm(static_cast<unsigned>(o.time_limit.count()));
    if (problem = runner.prepare(); !problem.empty())
        return refuse(problem, kHarness);
    auto plan = runner.plan(cases);
    if (o.seed) {
        std::mt19937_64 random(o.seed);
        std::shuffle(plan.begin(), plan.end(), random);
        std::stable_partition(plan.begin(), plan.end(), [](const Runner::Planned &p) {
            return p.play.what->after != After::MayEnd;
        });
    }
    if (o.wait_for_gdb) {
        std::fprintf(stderr,
                     "process %d waits: gdb -p %d, then `continue`, then press Enter here\n",
                     int(getpid()), int(getpid()));
        (void)std::getchar();
    }
    run.planned = static_cast<uint32_t>(plan.size());
    before_first_case();
    if (!o.after.empty())
        go_on_after(plan, o.after);
    current.plan = &plan;
    if (o.loopback)
        for (int s : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL})
            std::signal(s, died);
    if (stream)
        std::fputs(json_head(run).c_str(), stdout);
    runner.run(
        plan,
        [&](const Play &p) {
            current.begun = run.results.size() + 1;
            if (o.progress)
                std::fprintf(stderr, "case %s\n", p.id().c_str());
        },
        [&](CaseResult r) {
            if (std::string trouble = op.trouble(); !trouble.empty()) {
                r.verdict = Verdict::Inconclusive;
                r.why = trouble + (r.why.empty() ? "" : "; " + r.why);
            }
            profile.apply(r);
            if (stream) { /* the subject may take us along: each line is out at once */
                std::fputs(json_line(r, o.terse).c_str(), stdout);
                std::fflush(stdout);
            }
            run.results.push_back(std::move(r));
        });
    runner.clean_up();
    alarm(0);
    int code = stream ? 0 : put(report({run}, o, problem), o);
    put_changes({run}, o, before);
    return code ? code : exit_code(run);
}

int run_on_loopback(const Options &o, const std::vector<const Case *> &cases,
                    const Profile &profile)
{
    using Kind = LoopbackDomain::Kind;
    LoopbackDomain plain, readonly(Kind::ReadOnly), large(Kind::LargeSectors),
        insecure(Kind::Insecure), bare(Kind::Bare);
    for (LoopbackDomain *d : {&plain, &readonly, &large, &insecure, &bare})
        if (auto obeyed = d->obey(o.plan); !obeyed)
            return refuse("--plan: " + obeyed.error().what);
    if (size_t colon = o.fail.find(':'); !o.fail.empty()) {
        uint32_t nth = colon == std::string::npos ? 0 : whole(o.fail.substr(colon + 1));
        if (!nth || !plain.fail(o.fail.substr(0, colon), nth))
            return refuse("--fail " + o.fail + " is not like grant:7, the seventh grant");
    }
    return run_on({&plain, &readonly, &large, &insecure, &bare}, o, cases, profile);
}

int run_on_vbds(const Options &o, const std::vector<const Case *> &cases, const Profile &profile)
{
    std::vector<std::unique_ptr<LinuxDomain>> domains;
    std::vector<Domain *> all;
    for (const std::string &vbd : o.vbds) {
        auto made = LinuxDomain::create(vbd);
        if (!made)
            return refuse(made.error().what, kHarness);
        all.push_back(made.value().get());
        domains.push_back(std::move(made.value()));
    }
    return run_on(all, o, cases, profile);
}

/* Nothing: `problem` is a sentence. */
std::optional<ServeOptions> serve_options(const Options &o, std::string &problem)
{
    ServeOptions s{DomId(static_cast<uint16_t>(whole(o.domain))), whole(o.serve), o.image, {}, {}};
    const Scenario *scenario = o.scenario.empty() ? nullptr : find_scenario(o.scenario);
    if (!scenario && !o.scenario.empty())
        problem = "no scenario is called " + o.scenario + ": --frontend --list shows all";
    if (std::string bad = read_config(scenario ? scenario->config : o.config, s.back); !bad.empty())
        problem =
            "--config: " + bad + " is no property of a backend here: docs/backend.rst has them";
    auto plan = FaultPlan::parse(scenario ? scenario->plan : o.plan);
    if (!plan)
        problem = "--plan: " + plan.error().what;
    if (!problem.empty())
        return std::nullopt;
    s.plan = std::move(plan.value());
    return s;
}

/* Our own frontend, or what another program saw of one. */
int run_frontend(const Options &o, const std::vector<const Case *> &cases, const Profile &profile)
{
    std::vector<const Scenario *> scenarios;
    for (const Case *c : cases)
        if (const Scenario *s = find_scenario(c->id))
            scenarios.push_back(s);
    if (o.what == Options::Do::Scenarios) {
        std::fputs(scenario_lines(scenarios).c_str(), stdout);
        return 0;
    }
    std::string problem;
    auto before = read_baseline(o, problem);
    if (!problem.empty())
        return refuse(problem);
    std::string subject =
        o.serve.empty() ? "frontend:ours" : "vbd " + o.serve + " of domain " + o.domain;
    Run run{o.subject.empty() ? subject : o.subject,
            o.version,
            PVBLK_SUITE_VERSION,
            now(),
            "blkif-conformance --frontend --loopback",
            name_of(o.profile),
            0,
            {}};
    auto ended = [&](CaseResult r) {
        profile.apply(r);
        run.results.push_back(std::move(r));
    };
    if (!o.serve.empty()) {
        auto serving = serve_options(o, problem);
        if (!serving)
            return refuse(problem);
        auto facts = serve(std::move(*serving), problem);
        if (!facts)
            return refuse(problem, kHarness);
        run.command = "blkif-conformance --serve " + o.serve + " --domain " + o.domain;
        for (CaseResult &r : clause_verdicts({*facts}))
            ended(std::move(r));
    } else if (o.facts.empty()) {
        play_our_front(scenarios, ended);
    } else {
        auto text = contents(o.facts);
        if (!text)
            return refuse(o.facts + " cannot be read: name a file of facts");
        auto facts = parse_facts(*text, problem);
        if (!facts)
            return refuse(o.facts + ": " + problem);
        for (const Facts &f : *facts)
            ended(verdict(*find_scenario(f.id), f));
        for (CaseResult &r : clause_verdicts(*facts))
            ended(std::move(r));
    }
    run.planned = static_cast<uint32_t>(run.results.size());
    return publish({run}, o, before);
}

int start(const Options &o)
{
    std::vector<std::string> unknown;
    const auto &all = o.frontend ? all_front_cases() : all_cases();
    auto cases = o.what == Options::Do::Report ? all : select(all, o.words, unknown);
    if (!unknown.empty())
        return refuse("no case is called " + unknown[0] +
                      (o.frontend ? ": --list --frontend shows all of frontends"
                                  : ": --list shows all of backends, --list --frontend those of "
                                    "frontends"));
    if (o.shards > 1) {
        std::vector<const Case *> part;
        for (size_t i = o.shard; i < cases.size(); i += o.shards)
            part.push_back(cases[i]);
        cases = part;
    }
    Profile profile;
    if (!o.profile.empty()) {
        std::string problem;
        auto read = Profile::read(o.profile, problem);
        if (!read)
            return refuse(problem);
        profile = *read;
    }
    switch (o.what) {
    case Options::Do::Help: std::fputs(kHelp, stdout); return 0;
    case Options::Do::List: return list(cases);
    case Options::Do::Coverage: return coverage(cases);
    case Options::Do::Report: return show_runs(o, profile);
    case Options::Do::Scenarios:
    case Options::Do::Run: break;
    }
    if (o.frontend)
        return run_frontend(o, cases, profile);
    return o.loopback ? run_on_loopback(o, cases, profile) : run_on_vbds(o, cases, profile);
}

} // namespace

} // namespace pvblk::conformance

int main(int argc, char **argv)
{
    using namespace pvblk::conformance;
    std::string problem;
    auto options = parse_options(argc, argv, problem);
    return options ? start(*options) : refuse(problem + "; --help shows how to use it");
}
