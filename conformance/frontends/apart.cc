/* SPDX-License-Identifier: MIT */
/* See apart.h. The child writes its facts to a pipe. */
#include "frontends/apart.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pvblk::conformance
{

namespace
{

/* A scenario takes milliseconds of the processor. The other limit is for a child that sleeps: a
 * busy machine may not reach it. */
constexpr rlim_t kProcessorSeconds = 5;
constexpr unsigned kSeconds = 120;

void limit()
{
    const rlimit most{kProcessorSeconds, kProcessorSeconds + 1}, no_core{0, 0};
    (void)setrlimit(RLIMIT_CPU, &most);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    alarm(kSeconds);
}

/* The call again after a signal; the bytes. */
template <class Call>
ssize_t again(Call call)
{
    ssize_t n;
    do
        n = call();
    while (n < 0 && errno == EINTR);
    return n;
}

std::string read_all(int fd)
{
    std::string text;
    char bytes[4096];
    for (ssize_t n; (n = again([&] { return ::read(fd, bytes, sizeof bytes); })) > 0;)
        text.append(bytes, static_cast<size_t>(n));
    return text;
}

bool write_all(int fd, const std::string &text)
{
    for (size_t done = 0; done < text.size();) {
        ssize_t n = again([&] { return ::write(fd, text.data() + done, text.size() - done); });
        if (n <= 0)
            return false;
        done += static_cast<size_t>(n);
    }
    return true;
}

/* Of a child that left none. */
void note_end(Facts &f, int status)
{
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (signal == SIGXCPU || signal == SIGALRM)
        f.answers = false;
    else
        f.died = signal ? strsignal(signal) : "exit status " + std::to_string(WEXITSTATUS(status));
}

} // namespace

Facts play_apart(const Scenario &s, const PlayedFrontend &frontend)
{
    Facts none;
    none.id = s.about.id;
    int ends[2];
    pid_t child = -1;
    if (::pipe(ends) || (child = fork()) < 0) {
        none.trouble = "the suite cannot start a process";
        return none;
    }
    if (child == 0) {
        ::close(ends[0]);
        limit();
        _exit(write_all(ends[1], facts_line(play(s, frontend))) ? 0 : 1);
    }
    ::close(ends[1]);
    std::string line = read_all(ends[0]), problem;
    ::close(ends[0]);
    int status = 0;
    (void)again([&] { return waitpid(child, &status, 0); });
    auto facts = parse_facts(line, problem);
    if (!status && facts && facts->size() == 1)
        return std::move(facts->front());
    note_end(none, status);
    return none;
}

} // namespace pvblk::conformance
