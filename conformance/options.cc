/* SPDX-License-Identifier: MIT */
/* The command line: see options.h. */
#include "options.h"

#include "operator.h"
#include "pvblk/xenbus.h"

#include <algorithm>
#include <cstring>
#include <getopt.h>

namespace pvblk::conformance
{

const char *const kHelp = R"(blkif-conformance: names the clauses that a blkif backend or frontend breaks

  blkif-conformance --loopback             our own backend, in this process: milliseconds, no Xen
  blkif-conformance --vbd 51712            the backend of this domain's vbd 51712 (xvda), on real or emulated Xen
  blkif-conformance --vbd 51712 'ring/**'  some cases: globs over IDs, or level:must, class:hostile,
                                           clause:ring:req-prod, needs:flush
  blkif-conformance --list [CASE...]       every case, with its clause, level, class and needs
  blkif-conformance --coverage             the number of cases for each clause
  blkif-conformance --report FILE...       shows runs that --format jsonl wrote, here or elsewhere

  blkif-conformance --frontend --loopback [CASE...]   our own frontend, against every backend that we can be
  blkif-conformance --frontend --list [CASE...]       every case of a frontend
  blkif-conformance --frontend --scenarios [CASE...]  the same as JSON lines, for a program that plays them
  blkif-conformance --frontend --facts FILE           judges what such a program saw
  blkif-conformance --serve 51712 --domain 7          a judging backend on a Xen host, for vbd 51712 of domain 7

docs/conformance.rst is the page for backends, docs/conformance-frontends.rst the page for frontends.

The suite WRITES to the disk. It takes only an empty one (all zeros), and puts zeros there at its end.

  --vbd N             again for more disks: a read-only one and one of 4096-byte sectors have cases of their own.
                      No other frontend may use them: take them from Linux's own (docs/conformance.rst)
  --allow-writes      take a disk that is not empty
  --profile FILE      known defects of this backend (TOML): they become DEVIATION, and stale entries FAIL
  --baseline FILE     an earlier run (jsonl): after the report, show each case that changed; with -q only these
  --format F          text, tap, junit, jsonl or html; -o FILE writes it there
  --subject NAME, --version TEXT   for the report
  --patience SECONDS  wait that long for an answer (default 3)
  --time-limit SECONDS   end the whole run then; cases that did not run are INCONCLUSIVE
  --repeat N          play each case N times
  --seed N            play the cases in another order, that of this number
  --shard I/N         the I-th of N parts of the cases
  --plan TEXT         with --loopback: make our backend misbehave (docs/faults.rst)
  --fail CALL:N       with --loopback: make the N-th call of the suite's own fail; CALL is node (a write to
                      XenStore), grant, channel or event. The suite must not blame the backend for it
  --operator WORDS    a helper reads standard output, answers on standard input, and can do these for the suite:
                      hold,resize,restart,quiet,maps or some of them (docs/conformance.rst)
  --image FILE        with --serve: the disk, which is written; else 4 MiB of memory
  --config WORDS      with --serve: what the backend offers, as properties: flush=off,max-queues=1
  --scenario ID       with --serve: the properties and the plan of a scenario
  --gdb               wait for a debugger before the first case
  --progress          name each case on standard error when it begins
  --terse             JSON lines without the text of each case, for a slow line: --report adds it
  --after ID          begin after this case
  -q                  print the sums only

Verdicts: PASS, FAIL, DEVIATION (known), SKIP, WEDGED (answers nothing any more), CRASH, INCONCLUSIVE; of a
frontend also CORRUPT (a wrong byte) and LEAK (grants that stay).
Exit codes: 0 as expected, 1 a FAIL, CORRUPT or LEAK, 2 wrong usage, 3 could not decide, 4 a CRASH or WEDGED,
77 everything was skipped.
)";

uint32_t whole(const std::string &text)
{
    if (text.empty() || text.size() > 7 ||
        !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }))
        return 0;
    return static_cast<uint32_t>(std::strtoul(text.c_str(), nullptr, 10));
}

namespace
{

enum : int {
    kLoopback = 256,
    kVbd,
    kList,
    kCoverage,
    kReport,
    kAllowWrites,
    kProfile,
    kBaseline,
    kFormat,
    kSubject,
    kVersion,
    kPatience,
    kTimeLimit,
    kRepeat,
    kSeed,
    kShard,
    kPlan,
    kFail,
    kOperator,
    kGdb,
    kProgress,
    kTerse,
    kAfter,
    kFrontend,
    kFacts,
    kScenarios,
    kServe,
    kDomain,
    kImage,
    kConfig,
    kScenario,
};

constexpr struct option kOptions[] = {
    {"loopback", no_argument, nullptr, kLoopback},
    {"vbd", required_argument, nullptr, kVbd},
    {"list", no_argument, nullptr, kList},
    {"coverage", no_argument, nullptr, kCoverage},
    {"report", no_argument, nullptr, kReport},
    {"allow-writes", no_argument, nullptr, kAllowWrites},
    {"profile", required_argument, nullptr, kProfile},
    {"baseline", required_argument, nullptr, kBaseline},
    {"format", required_argument, nullptr, kFormat},
    {"subject", required_argument, nullptr, kSubject},
    {"version", required_argument, nullptr, kVersion},
    {"patience", required_argument, nullptr, kPatience},
    {"time-limit", required_argument, nullptr, kTimeLimit},
    {"repeat", required_argument, nullptr, kRepeat},
    {"seed", required_argument, nullptr, kSeed},
    {"shard", required_argument, nullptr, kShard},
    {"plan", required_argument, nullptr, kPlan},
    {"fail", required_argument, nullptr, kFail},
    {"operator", required_argument, nullptr, kOperator},
    {"gdb", no_argument, nullptr, kGdb},
    {"progress", no_argument, nullptr, kProgress},
    {"terse", no_argument, nullptr, kTerse},
    {"after", required_argument, nullptr, kAfter},
    {"frontend", no_argument, nullptr, kFrontend},
    {"facts", required_argument, nullptr, kFacts},
    {"scenarios", no_argument, nullptr, kScenarios},
    {"serve", required_argument, nullptr, kServe},
    {"domain", required_argument, nullptr, kDomain},
    {"image", required_argument, nullptr, kImage},
    {"config", required_argument, nullptr, kConfig},
    {"scenario", required_argument, nullptr, kScenario},
    {"help", no_argument, nullptr, 'h'},
    {nullptr, 0, nullptr, 0},
};

bool shard(const std::string &text, Options &o)
{
    size_t slash = text.find('/');
    if (slash == std::string::npos)
        return false;
    uint32_t i = whole(text.substr(0, slash));
    o.shards = whole(text.substr(slash + 1));
    o.shard = i - 1;
    return i && o.shards && i <= o.shards;
}

bool format(const std::string &name, Options &o)
{
    static constexpr const char *kNames[] = {"text", "tap", "junit", "jsonl", "html"};
    for (size_t i = 0; i < std::size(kNames); i++)
        if (name == kNames[i]) {
            o.format = static_cast<Options::Format>(i);
            return true;
        }
    return false;
}

/* "" or why this option cannot be. */
std::string take(int option, const std::string &value, Options &o)
{
    uint32_t n = whole(value);
    switch (option) {
    case kLoopback: o.loopback = true; break;
    case kVbd:
        if (!n)
            return "--vbd " + value + " is not the number of a vbd: xvda is 51712";
        o.vbds.push_back(value);
        break;
    case kList: o.what = Options::Do::List; break;
    case kCoverage: o.what = Options::Do::Coverage; break;
    case kReport: o.what = Options::Do::Report; break;
    case kAllowWrites: o.allow_writes = true; break;
    case kProfile: o.profile = value; break;
    case kBaseline: o.baseline = value; break;
    case kFormat:
        if (!format(value, o))
            return "--format " + value + " is none of text, tap, junit, jsonl and html";
        break;
    case kSubject: o.subject = value; break;
    case kVersion: o.version = value; break;
    case kPatience:
        if (!n)
            return "--patience " + value + " is not a whole number of seconds";
        o.patience = std::chrono::seconds(n);
        break;
    case kTimeLimit:
        if (!n)
            return "--time-limit " + value + " is not a whole number of seconds";
        o.time_limit = std::chrono::seconds(n);
        break;
    case kRepeat:
        if (!n)
            return "--repeat " + value + " is not a whole number above 0";
        o.repeat = n;
        break;
    case kSeed:
        if (!n)
            return "--seed " + value + " is not a whole number above 0";
        o.seed = n;
        break;
    case kShard:
        if (!shard(value, o))
            return "--shard " + value + " is not like 1/4, the first of four parts";
        break;
    case kPlan: o.plan = value; break;
    case kFail: o.fail = value; break;
    case kOperator:
        if (auto can = Operator::parse(value); !can)
            return "--operator " + value + " is none of hold, resize, restart, quiet and maps";
        else
            o.operator_can = *can;
        break;
    case kGdb: o.wait_for_gdb = true; break;
    case kProgress: o.progress = true; break;
    case kTerse: o.terse = true; break;
    case kAfter: o.after = value; break;
    case kFrontend: o.frontend = true; break;
    case kFacts: o.facts = value; break;
    case kScenarios: o.what = Options::Do::Scenarios; break;
    case kServe:
        if (!n)
            return "--serve " + value + " is not the number of a vbd: xvda is 51712";
        o.serve = value;
        o.frontend = true;
        break;
    case kDomain: o.domain = value; break;
    case kImage: o.image = value; break;
    case kConfig: o.config = value; break;
    case kScenario: o.scenario = value; break;
    case 'o': o.output = value; break;
    case 'q': o.quiet = true; break;
    case 'h': o.what = Options::Do::Help; break;
    default: break;
    }
    return "";
}

std::string check_serve(const Options &o)
{
    bool words = !o.domain.empty() || !o.image.empty() || !o.config.empty() || !o.scenario.empty();
    if (o.serve.empty())
        return words ? "--domain, --image, --config and --scenario are for --serve" : "";
    if (o.domain.size() > 5 || !parse_decimal(o.domain) || *parse_decimal(o.domain) > 0x7fef)
        return "--serve needs --domain and the number of the frontend's domain: `xl list` has it";
    if (!o.scenario.empty() && (!o.config.empty() || !o.plan.empty()))
        return "--scenario has properties and a plan of its own: leave out --config and --plan";
    return "";
}

/* "" or why these options do not go together. */
std::string check(const Options &o)
{
    if (std::string problem = check_serve(o); !problem.empty())
        return problem;
    if (o.frontend && (!o.vbds.empty() || (!o.plan.empty() && o.serve.empty()) || !o.fail.empty() ||
                       o.operator_can))
        return "--frontend goes with --loopback, --facts, --list or --scenarios alone";
    if (!o.frontend && (!o.facts.empty() || o.what == Options::Do::Scenarios))
        return "--facts and --scenarios are for frontends: add --frontend";
    if (o.frontend && o.what == Options::Do::Run &&
        o.loopback + !o.facts.empty() + !o.serve.empty() != 1)
        return "name one subject: --loopback, --facts and a file, or --serve and a vbd";
    if (!o.frontend && o.what == Options::Do::Run && !o.loopback && o.vbds.empty())
        return "name a subject: --loopback, or --vbd and the number of a vbd";
    if (o.loopback && !o.vbds.empty())
        return "--loopback has disks of its own, and takes no --vbd";
    if (!o.plan.empty() && !o.loopback && o.serve.empty())
        return "--plan is for --loopback: only our own backend obeys it";
    if (!o.fail.empty() && !o.loopback)
        return "--fail is for --loopback: Xen cannot be made to fail";
    if (o.what == Options::Do::Report && o.words.empty())
        return "--report takes files that --format jsonl wrote";
    if (o.operator_can && o.wait_for_gdb)
        return "--gdb reads standard input, and so does --operator: choose one";
    if (o.format == Options::Format::Html && o.output.empty())
        return "--format html needs -o FILE";
    return "";
}

} // namespace

std::optional<Options> parse_options(int argc, char **argv, std::string &problem)
{
    Options o;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":o:qh", kOptions, nullptr)) != -1;) {
        const char *word = argv[optind - 1];
        if (c == '?')
            problem = std::string(word) + " is no option";
        else if (c == ':')
            problem = std::string(word) + " needs a value";
        else
            problem = take(c, optarg ? optarg : "", o);
        if (!problem.empty())
            return std::nullopt;
    }
    o.words.assign(argv + optind, argv + argc);
    problem = o.what == Options::Do::Help ? "" : check(o);
    if (!problem.empty())
        return std::nullopt;
    return o;
}

} // namespace pvblk::conformance
