/* SPDX-License-Identifier: MIT */
/* Layer `front`: complaints about a backend, at a limited rate. */
#include "front/complaints.h"

#include <array>
#include <cstdio>

namespace pvblk
{

namespace
{

/* At most this many lines a window, however often the peer errs. */
constexpr uint32_t kBurst = 5;
constexpr int64_t kWindowNs = 10'000'000'000;

} // namespace

void Complaints::violation(const Error &error)
{
    counters_.violations++;
    owner_.trace(TraceViolation{error.what, error.value});
}

void Complaints::broken(const Error &error)
{
    log("connection broken", error, "; reset the device or reconnect");
}

void Complaints::no_discard(const Error &error)
{
    violation(error);
    log("no discard", error, "");
}

void Complaints::log(const char *result, const Error &error, const char *advice)
{
    if (!may_log())
        return;
    std::array<char, 256> line;
    std::snprintf(line.data(), line.size(), "%s: %s: %s (%s, value %llu)%s", who_.c_str(), result,
                  error.what, error.clause, static_cast<unsigned long long>(error.value), advice);
    owner_.log(line.data());
}

bool Complaints::may_log()
{
    int64_t now = clock_.now_ns();
    if (window_ns_ < 0 || now - window_ns_ > kWindowNs) {
        window_ns_ = now;
        lines_ = 0;
    }
    return lines_++ < kBurst;
}

} // namespace pvblk
