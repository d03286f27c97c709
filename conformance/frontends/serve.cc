/* SPDX-License-Identifier: MIT */
/* See serve.h. */
#include "frontends/serve.h"

#include "line_reader.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <sys/mman.h>
#include <unistd.h>

namespace pvblk::conformance
{

namespace
{

constexpr uint64_t kSectors = 8192; /* of a disk in memory: 4 MiB */
constexpr int kLookMs = 1000;       /* the judge wants a look about once a second */

volatile std::sig_atomic_t stopped = 0;

void stop(int)
{
    stopped = 1;
}

Result<std::unique_ptr<LinuxStorage>> open_disk(const ServeOptions &o, bool read_only)
{
    if (!o.image.empty())
        return LinuxStorage::open(o.image, read_only);
    auto disk = std::make_unique<LinuxStorage>(LinuxFile(memfd_create("disk", MFD_CLOEXEC)));
    if (Status sized = disk->resize(kSectors); !sized)
        return sized.error();
    return disk;
}

class Server
{
public:
    /* A sentence: it cannot be. */
    std::string prepare(ServeOptions o);
    /* The same, if Xen failed. */
    std::string run();
    Facts facts();

private:
    std::string obey(const std::string &line);
    std::string tell();

    BackFaults faults_{};
    BackJudge judge_{faults_.hooks()};
    std::unique_ptr<LinuxStorage> disk_{};
    std::unique_ptr<LinuxBack> back_{};
};

std::string Server::prepare(ServeOptions o)
{
    LinuxBackConfig config;
    config.frontend = o.domain;
    config.vdev = o.vdev;
    config.back = o.back;
    auto disk = open_disk(o, config.back.read_only);
    if (!disk)
        return (o.image.empty() ? "memory" : o.image) + ": " + disk.error().what;
    disk_ = std::move(disk.value());
    auto back = LinuxBack::create(*disk_, config, judge_.owner(), judge_.hooks());
    if (!back)
        return back.error().what;
    back_ = std::move(back.value());
    faults_.obey(std::move(o.plan));
    if (Status started = back_->back().start(); !started)
        return sentence(started.error());
    return "";
}

std::string Server::tell()
{
    return "ok " +
           judgement_line(judge_, back_->back().counters().requests, faults_.plan().fired());
}

std::string Server::obey(const std::string &line)
{
    std::string word = line.substr(0, line.find(' '));
    std::string rest = line.substr(std::min(word.size() + 1, line.size()));
    if (word == "faults") {
        std::replace(rest.begin(), rest.end(), ';', '\n');
        auto plan = FaultPlan::parse(rest);
        if (!plan)
            return "error " + plan.error().what;
        faults_.obey(std::move(plan.value()));
    } else if (word == "resize") {
        auto sectors = parse_decimal(rest);
        if (!sectors)
            return "error resize needs a number of 512-byte sectors";
        if (Status done = disk_->resize(*sectors); !done)
            return "error " + sentence(done.error());
        back_->back().resized();
    } else if (word == "close") {
        back_->back().close();
    } else if (word == "judgement") {
        return tell();
    } else {
        return "error the commands are faults, resize, close, judgement and quit";
    }
    return "ok";
}

std::string Server::run()
{
    using namespace std::chrono;
    steady_clock::time_point next_look{};
    std::fputs("ok ready\n", stderr);
    for (LineReader commands(STDIN_FILENO, 2 * FaultPlan::kMaxBytes); !stopped;) {
        /* Without anybody to command, a signal ends it. */
        if (Status turned = back_->turn(kLookMs, commands.fd()); !turned && !stopped)
            return sentence(turned.error());
        /* Not at each turn: an event may be on its way between two of them. */
        if (auto now = steady_clock::now(); now >= next_look) {
            judge_.look();
            next_look = now + milliseconds(kLookMs);
        }
        while (auto line = commands.take(std::chrono::steady_clock::now())) {
            if (*line == "quit")
                return "";
            std::fprintf(stderr, "%s\n", obey(*line).c_str());
        }
    }
    return "";
}

Facts Server::facts()
{
    Facts f;
    f.connected = judge_.connections() != 0;
    note(f, judge_);
    /* Linux maps a page anywhere, so a grant cannot be told from a later one (judge.h). */
    f.clauses.erase("grant:lifetime");
    return f;
}

} // namespace

std::optional<Facts> serve(ServeOptions options, std::string &problem)
{
    Server server;
    for (int s : {SIGINT, SIGTERM})
        std::signal(s, stop);
    problem = server.prepare(std::move(options));
    if (problem.empty())
        problem = server.run();
    if (!problem.empty())
        return std::nullopt;
    return server.facts();
}

} // namespace pvblk::conformance
