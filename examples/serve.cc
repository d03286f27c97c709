/* SPDX-License-Identifier: MIT */
/*
 * serve DOMAIN NUMBER FILE [NAME=NUMBER …]: serves a file to a block device of a
 * domain. NAME is queues, ring-page-order, segments, persistent, kept,
 * sector-size, read-only, discard or discard-secure.
 *
 * It takes a command a line, and answers each by a line that begins with "ok" or
 * "error":
 *     faults [RULE; RULE …]   go wrong by this plan; without rules, be honest
 *     resize SECTORS          give the file another size, of 512-byte sectors
 *     close                   ask the frontend to close
 *     counters                tell the state, the plan and the traffic
 *     quit                    end; the frontend waits for the next program
 */
#include <pvblk/fault.h>
#include <pvblk/linux_back.h>

#include <algorithm>
#include <cstdio>
#include <poll.h>
#include <unistd.h>

using namespace pvblk;

/* A frontend can do wrong as often as it wants: this tells of a few times. */
struct Owner final : BackOwner {
    void violation(const Error &error) override
    {
        if (told++ < 16)
            std::fprintf(stderr, "serve: the frontend: %s\n", sentence(error).c_str());
    }
    uint32_t told{0};
};

static int fail(const std::string &why)
{
    std::fprintf(stderr, "serve: %s\n", why.c_str());
    return 1;
}

static bool read_option(BackConfig &c, const std::string &word)
{
    const size_t equals = std::min(word.find('='), word.size());
    const std::string name = word.substr(0, equals);
    const auto value = parse_decimal(word.substr(std::min(equals + 1, word.size())));
    if (!value || *value > UINT32_MAX)
        return false;
    const auto number = static_cast<uint32_t>(*value);
    const struct {
        const char *name;
        uint32_t *number;
        bool *flag;
    } options[] = {{"queues", &c.max_queues, nullptr},
                   {"ring-page-order", &c.max_ring_page_order, nullptr},
                   {"segments", &c.max_indirect_segments, nullptr},
                   {"persistent", nullptr, &c.persistent},
                   {"kept", &c.max_persistent, nullptr},
                   {"sector-size", &c.sector_size, nullptr},
                   {"read-only", nullptr, &c.read_only},
                   {"discard", nullptr, &c.discard},
                   {"discard-secure", nullptr, &c.discard_secure}};
    for (const auto &option : options) {
        if (name != option.name)
            continue;
        if (option.number)
            *option.number = number;
        else
            *option.flag = number != 0;
        return option.number || number <= 1;
    }
    return false;
}

static std::string counters(LinuxBack &linux_back)
{
    const BackPlan &plan = linux_back.back().plan();
    const BackCounters c = linux_back.back().counters();
    std::string text = "ok";
    for (auto [name, value] : std::initializer_list<std::pair<const char *, uint64_t>>{
             {"state", static_cast<uint64_t>(linux_back.back().state())},
             {"queues", plan.queues},
             {"ring-pages", plan.ring_pages},
             {"persistent", plan.persistent},
             {"connects", c.connects},
             {"requests", c.requests},
             {"responses", c.responses},
             {"refused", c.refused},
             {"indirect", c.indirect},
             {"map-failures", c.map_failures},
             {"persistent-hits", c.persistent_hits},
             {"bytes-read", c.bytes_read},
             {"bytes-written", c.bytes_written},
             {"mapped", linux_back.mapped()}})
        text += std::string(" ") + name + "=" + std::to_string(value);
    return text;
}

/* Does a command; its answer. */
static std::string obey(const std::string &line, LinuxBack &linux_back, LinuxStorage &storage,
                        BackFaults &faults)
{
    const std::string word = line.substr(0, line.find(' '));
    std::string rest = line.substr(std::min(word.size() + 1, line.size()));
    if (word == "faults") {
        std::replace(rest.begin(), rest.end(), ';', '\n');
        auto plan = FaultPlan::parse(rest);
        if (!plan)
            return "error: " + plan.error().what;
        faults.obey(std::move(plan.value()));
    } else if (word == "resize") {
        auto sectors = parse_decimal(rest);
        if (!sectors)
            return "error: resize needs a number of 512-byte sectors";
        if (Status done = storage.resize(*sectors); !done)
            return "error: " + sentence(done.error());
        linux_back.back().resized();
    } else if (word == "close") {
        linux_back.back().close();
    } else if (word == "counters") {
        return counters(linux_back);
    } else {
        return "error: the commands are faults, resize, close, counters and quit";
    }
    return "ok";
}

/* The lines of standard input. */
class Commands
{
public:
    /* -1 after the end: nobody commands any more. */
    int fd() const { return fd_; }
    /* A line that has come. It never waits. */
    std::optional<std::string> take()
    {
        pollfd news{fd_, POLLIN, 0};
        while (text_.find('\n') == text_.npos && ::poll(&news, 1, 0) > 0 && fd_ >= 0) {
            char bytes[4096];
            ssize_t n = ::read(fd_, bytes, sizeof(bytes));
            if (n <= 0)
                fd_ = -1;
            else
                text_.append(bytes, static_cast<size_t>(n));
        }
        size_t end = text_.find('\n');
        if (end == text_.npos)
            return std::nullopt;
        std::string line = text_.substr(0, end);
        text_.erase(0, end + 1);
        return line;
    }

private:
    int fd_{STDIN_FILENO};
    std::string text_{};
};

/* [serve] */
/* Serves until somebody says "quit". */
static Status serve(LinuxBack &linux_back, LinuxStorage &storage, BackFaults &faults)
{
    for (Commands commands;;) {
        if (Status turned = linux_back.turn(-1, commands.fd()); !turned)
            return turned;
        while (auto line = commands.take()) {
            if (*line == "quit")
                return Ok{};
            std::puts(obey(*line, linux_back, storage, faults).c_str());
        }
    }
}

int main(int argc, char **argv)
{
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    if (argc < 4)
        return fail("usage: serve DOMAIN NUMBER FILE [NAME=NUMBER ...]");
    const auto domain = parse_decimal(argv[1]), number = parse_decimal(argv[2]);
    if (!domain || *domain > UINT16_MAX || !number || *number > UINT32_MAX)
        return fail("DOMAIN and NUMBER are numbers, such as 1 and 51712 (xvda)");
    LinuxBackConfig config;
    config.frontend = DomId(static_cast<uint16_t>(*domain));
    config.vdev = static_cast<uint32_t>(*number);
    for (int i = 4; i < argc; i++)
        if (!read_option(config.back, argv[i]))
            return fail(std::string(argv[i]) + " is no option, or its value is out of range");

    auto storage = LinuxStorage::open(argv[3], config.back.read_only);
    if (!storage)
        return fail(std::string(argv[3]) + ": " + sentence(storage.error()));
    Owner owner;
    BackFaults faults;
    auto linux_back = LinuxBack::create(*storage.value(), config, &owner, faults.hooks());
    if (!linux_back)
        return fail(sentence(linux_back.error()));
    if (Status started = linux_back.value()->back().start(); !started)
        return fail(sentence(started.error()));
    std::puts("ok ready");
    Status served = serve(*linux_back.value(), *storage.value(), faults);
    return served ? 0 : fail(sentence(served.error()));
}
/* [end of serve] */
