/* SPDX-License-Identifier: MIT */
/*
 * The runner: plays cases on a subject's disks and judges twice, first by the
 * case's own expectation, then by the state that it left: does the backend go on,
 * is the rest of the disk as it was, has the backend let go of all pages.
 */
#pragma once

#include "bench.h"
#include "result.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace pvblk::conformance
{

struct RunnerOptions {
    std::chrono::milliseconds patience{3000}; /* for one answer */
    bool allow_writes{false};                 /* on a disk that is not empty */
    uint32_t repeat{1};
    /* Cases that have not begun by then are not played. */
    std::chrono::steady_clock::time_point until{std::chrono::steady_clock::time_point::max()};
};

/* One way to play a case. */
struct Play {
    const Case *what{nullptr};
    Axis axis{kPlain};
    std::string id() const;
};
const char *axis_suffix(Axis a); /* "~x86_32"; "" for kPlain */

class Runner
{
public:
    /* The first domain's disk is the one for most cases; others are for cases that
     * need a read-only disk, one of large sectors, or a backend that offers less.
     * They outlive this. */
    Runner(std::vector<Domain *> domains, RunnerOptions options);

    /* Connects to each disk once, and makes it ready. A sentence: this subject
     * cannot be judged, and why. */
    std::string prepare();
    /* Each case along the axes that it names; those that this subject cannot do
     * have a reason. */
    struct Planned {
        Play play{};
        std::string skip{}; /* "": it runs */
    };
    std::vector<Planned> plan(const std::vector<const Case *> &cases) const;
    /* The result of a case that is skipped, or, for this reason, cannot be played. */
    static CaseResult not_played(const Planned &p, const std::string &why);
    /* Before each case that is played `begins` is called, and `ended` after every case. */
    void run(const std::vector<Planned> &plan, const std::function<void(const Play &)> &begins,
             const std::function<void(CaseResult)> &ended);
    /* Puts zeros on each disk that was found empty. */
    void clean_up();

private:
    struct Seat {
        std::unique_ptr<Bench> bench{};
        uint32_t has{0};
        std::string problem{}; /* "": it is usable */
    };
    Seat *seat_for(uint32_t needs);
    const Seat *seat_for(uint32_t needs) const;
    std::string unusable() const;
    std::string prepare(Seat &seat, bool first);
    bool time_is_over() const;
    void play(const Play &p, CaseResult &r, const std::function<void(const Play &)> &begins);
    void play(const Play &p, Seat &seat, CaseResult &r);
    void judge_state(const Case &c, Bench &b, CaseResult &r);
    bool goes_on(Bench &b);
    static void write_guarded(Bench &b);
    static void guard_again(Bench &b);
    bool rest_is_untouched(Bench &b);
    static void judge_body(Bench &b, CaseResult &r);

    RunnerOptions options_;
    Log log_{};
    std::vector<Seat> seats_{};
    std::string wedged_by_{}; /* ID of the case after which nothing works */
};

} // namespace pvblk::conformance
