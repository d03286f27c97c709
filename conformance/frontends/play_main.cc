/* SPDX-License-Identifier: MIT */
/* See play_main.h. */
#include "frontends/play_main.h"

#include "registry.h"

#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/wait.h>
#include <unistd.h>

namespace pvblk::conformance
{

namespace
{

/* Of one scenario, which takes milliseconds: a frontend that computes for ever ends. */
constexpr unsigned kSeconds = 10;

Facts died(const Scenario &s, int status)
{
    Facts f;
    f.id = s.about.id;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        f.answers = false;
    else
        f.died = WIFSIGNALED(status) ? strsignal(WTERMSIG(status))
                                     : "exit status " + std::to_string(WEXITSTATUS(status));
    return f;
}

/* What the child wrote, and how it ended. */
std::string read_all(int fd)
{
    std::string text;
    char bytes[4096];
    for (ssize_t n; (n = ::read(fd, bytes, sizeof bytes)) > 0;)
        text.append(bytes, static_cast<size_t>(n));
    return text;
}

bool write_all(int fd, const std::string &text)
{
    for (size_t done = 0; done < text.size();) {
        ssize_t n = ::write(fd, text.data() + done, text.size() - done);
        if (n <= 0)
            return false;
        done += static_cast<size_t>(n);
    }
    return true;
}

/* A line of facts, whatever became of the child. */
std::string play_in_child(const Scenario &s, const PlayedFrontend &frontend)
{
    int pipe[2];
    if (::pipe(pipe))
        return "";
    pid_t child = fork();
    if (child == 0) {
        ::close(pipe[0]);
        alarm(kSeconds);
        bool written = write_all(pipe[1], facts_line(play(s, frontend)));
        _exit(written ? 0 : 1);
    }
    ::close(pipe[1]);
    std::string line = read_all(pipe[0]);
    ::close(pipe[0]);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return "";
    return status || line.empty() ? facts_line(died(s, status)) : line;
}

} // namespace

int play_main(const PlayedFrontend &frontend, int argc, char **argv)
{
    std::vector<std::string> unknown;
    auto cases = select(all_front_cases(), {argv + 1, argv + argc}, unknown);
    if (!unknown.empty()) {
        std::fprintf(stderr, "no case is called %s\n", unknown[0].c_str());
        return 2;
    }
    for (const Case *c : cases) {
        const Scenario *s = find_scenario(c->id);
        if (!s)
            continue;
        std::string line = play_in_child(*s, frontend);
        if (line.empty() || std::fputs(line.c_str(), stdout) < 0 || std::fflush(stdout))
            return 3;
    }
    return 0;
}

} // namespace pvblk::conformance
