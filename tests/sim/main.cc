/* SPDX-License-Identifier: MIT */
/* The simulator's command line: many seeds, and what they met. See scene.h. */
#include "plan_maker.h"
#include "scene.h"

#include "support/counting_new.h"
#include "unreachable.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

using namespace pvblk;
using namespace pvblk::sim;

struct Words {
    uint64_t first{0}, seeds{1000};
    uint32_t jobs{1};
    Canary canary{Canary::None};
    bool fresh{false}, show{false}, all{false}, plan{false};
};

constexpr const char *kHelp =
    "pvblk-sim: a frontend, a backend and everything between them, by seed\n"
    "\n"
    "  --seeds N      how many (1000), from\n"
    "  --first S      this one on (0)\n"
    "  --seed S       this one alone\n"
    "  --fresh        begin at a random seed, which is printed\n"
    "  --show         each step, on stdout\n"
    "  --plan S       no run: print the fault plan that this seed makes\n"
    "  --jobs N       processes (1)\n"
    "  --all          the seeds have to meet everything that can be met: all\n"
    "                 faults, all rare states, each cell of the table\n"
    "  --canary WHAT  a lie that the oracles have to find: data, memory, twice,\n"
    "                 lost, slot, cache\n"
    "\n"
    "Even seeds are for safety, faults to the end; odd ones for liveness, where\n"
    "they stop and all has to end well. Status 1: an oracle found something.\n";

std::optional<Words> read_words(int argc, char **argv)
{
    Words w;
    for (int i = 1; i < argc; i++) {
        std::string_view word = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : nullptr;
        auto number = [&] { return std::strtoull(argv[++i], nullptr, 0); };
        if (word == "--show")
            w.show = true;
        else if (word == "--fresh")
            w.fresh = true, w.first = std::random_device{}();
        else if (word == "--all")
            w.all = true;
        else if (!value)
            return std::nullopt;
        else if (word == "--seeds")
            w.seeds = number();
        else if (word == "--first")
            w.first = number();
        else if (word == "--seed")
            w.first = number(), w.seeds = 1;
        else if (word == "--plan")
            w.first = number(), w.plan = true;
        else if (word == "--jobs")
            w.jobs = static_cast<uint32_t>(std::max(number(), 1ull));
        else if (word == "--canary") {
            auto at = std::find(std::begin(kCanaries), std::end(kCanaries), argv[++i]);
            if (at == std::end(kCanaries))
                return std::nullopt;
            w.canary = static_cast<Canary>(at - std::begin(kCanaries));
        } else
            return std::nullopt;
    }
    return w;
}

Tally play(const Words &w, uint64_t first, uint64_t seeds, bool tells)
{
    Tally tally;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        if (tells && seed != first && (seed - first) % 1000 == 0)
            std::fprintf(stderr, "progress %llu/%llu\n",
                         static_cast<unsigned long long>((seed - first) * w.jobs),
                         static_cast<unsigned long long>(w.seeds));
        SceneOptions options{seed, seed % 2 ? Mode::Liveness : Mode::Safety, w.canary, w.show};
        Scene(options, tally).play();
    }
    return tally;
}

/* Each process has a share, and sends its tally. */
std::optional<Tally> play_all(const Words &w)
{
    std::vector<int> pipes;
    for (uint32_t job = 0; job < w.jobs; job++) {
        int ends[2];
        if (pipe(ends))
            return std::nullopt;
        pid_t child = fork();
        if (child < 0)
            return std::nullopt;
        if (child == 0) {
            uint64_t from = w.seeds * job / w.jobs, to = w.seeds * (job + 1) / w.jobs;
            Tally tally = play(w, w.first + from, to - from, job == 0);
            bool sent = write(ends[1], &tally, sizeof tally) == sizeof tally;
            std::fflush(stdout);
            _exit(sent ? 0 : 1);
        }
        close(ends[1]);
        pipes.push_back(ends[0]);
    }
    Tally sum;
    bool well = true;
    for (int end : pipes) {
        Tally part;
        well &= read(end, &part, sizeof part) == sizeof part;
        sum.add(part);
    }
    int status;
    while (wait(&status) > 0)
        well &= status == 0;
    return well ? std::optional(sum) : std::nullopt;
}

void print_table(const Tally &tally)
{
    std::printf("\nfaults, by group, and where the frontend was:\n%-10s", "");
    for (uint32_t s = 0; s < kFrontStates; s++)
        std::printf("%11s", front_state_name(static_cast<FrontState>(s)));
    std::printf("\n");
    for (uint32_t g = 0; g < kFaultGroupCount; g++) {
        std::printf("%-10.*s", static_cast<int>(kFaultGroups[g].size()), kFaultGroups[g].data());
        for (uint32_t s = 0; s < kFrontStates; s++) {
            if (why_unreachable(g, static_cast<FrontState>(s)))
                std::printf("%11s", "-");
            else
                std::printf("%11llu", static_cast<unsigned long long>(tally.table[g][s]));
        }
        std::printf("\n");
    }
    std::printf("-: cannot be, see tests/sim/unreachable.h\n");
}

/* What these seeds should have met and did not; returns how much. */
uint32_t print_missed(const Tally &tally)
{
    uint32_t missed = 0;
    auto say = [&](const std::string &what) {
        std::printf("MISSED %s\n", what.c_str());
        missed++;
    };
    for (uint32_t i = 0; i < kSometimes; i++)
        if (!tally.sometimes[i])
            say("sometimes " + std::string(kSometimesText[i]));
    for (uint32_t i = 0; i < kFaultKinds; i++)
        if (!tally.fired[i])
            say("fault " + std::string(kFaults[i].name));
    for (uint32_t g = 0; g < kFaultGroupCount; g++) {
        for (uint32_t s = 0; s < kFrontStates; s++) {
            auto state = static_cast<FrontState>(s);
            std::string cell = std::string(kFaultGroups[g]) + " in " + front_state_name(state);
            if (const char *why = why_unreachable(g, state); why && tally.table[g][s])
                say("that this cannot be: " + cell + " (" + why + ")");
            else if (!why && !tally.table[g][s])
                say(cell);
        }
    }
    return missed;
}

} // namespace

int main(int argc, char **argv)
{
    auto words = read_words(argc, argv);
    if (!words) {
        std::fputs(kHelp, argc == 2 && !std::strcmp(argv[1], "--help") ? stdout : stderr);
        return argc == 2 && !std::strcmp(argv[1], "--help") ? 0 : 2;
    }
    if (words->plan) {
        Random random(words->first);
        std::fputs(make_plan(random).c_str(), stdout);
        return 0;
    }
    auto number = [](uint64_t n) { return static_cast<unsigned long long>(n); };
    if (words->fresh) /* now, as a crash says nothing */
        std::printf("fresh seeds, from %llu on\n", number(words->first));
    std::fflush(stdout);
    auto tally = play_all(*words);
    if (!tally)
        return 1;
    for (uint32_t i = 0; i < kSometimes; i++)
        std::printf("%10llu  sometimes %.*s\n", number(tally->sometimes[i]),
                    static_cast<int>(kSometimesText[i].size()), kSometimesText[i].data());
    print_table(*tally);
    std::printf("\nfrom seed %llu on: %llu seeds, %llu steps, %llu requests, %llu faults; the "
                "dearest upcall made %llu port calls and traces; hash %016llx\n",
                number(words->first), number(tally->seeds), number(tally->steps),
                number(tally->requests), number(tally->faults), number(tally->max_work),
                number(tally->hash));
    if (words->all && print_missed(*tally))
        return 1;
    return 0;
}
