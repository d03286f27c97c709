/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: tells the owner of a backend's mistakes: each as a trace, and as
 * a line for a person, at a limited rate. It does not know the consequences.
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
    /* The connection became Broken because of it. */
    void broken(const Error &error);
    /* The disk is used without discard for it. */
    void no_discard(const Error &error);

private:
    void log(const char *result, const Error &error, const char *advice);
    bool may_log();

    FrontOwner &owner_;
    Clock &clock_;
    FrontCounters &counters_;
    const std::string &who_;
    int64_t window_ns_{-1}; /* its beginning; < 0: none yet */
    uint32_t lines_{0};     /* in the window */
};

} // namespace pvblk
