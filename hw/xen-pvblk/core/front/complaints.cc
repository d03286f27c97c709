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
    if (!may_log())
        return;
    std::array<char, 256> line;
    std::snprintf(line.data(), line.size(),
                  "%s: connection broken: %s (%s, value %llu); reset the device or reconnect",
                  who_.c_str(), error.what, error.clause,
                  static_cast<unsigned long long>(error.value));
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
