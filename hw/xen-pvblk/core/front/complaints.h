/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: what a backend did wrong, told to the owner: each as a trace,
 * and a line for a person, so many of them in a while and no more. Knows
 * nothing of what follows from it.
 */
#pragma once

#include "pvblk/front.h"

namespace pvblk
{

class Complaints
{
public:
    /* `who`: the frontend's path; outlives this. */
    Complaints(FrontOwner &owner, Clock &clock, FrontCounters &counters, const std::string &who)
        : owner_(owner), clock_(clock), counters_(counters), who_(who)
    {
    }

    void violation(const Error &error);
    /* The connection is Broken for it. */
    void broken(const Error &error);

private:
    bool may_log();

    FrontOwner &owner_;
    Clock &clock_;
    FrontCounters &counters_;
    const std::string &who_;
    int64_t window_ns_{-1}; /* where it began; < 0: none yet */
    uint32_t lines_{0};     /* in it */
};

} // namespace pvblk
