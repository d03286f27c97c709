/* SPDX-License-Identifier: MIT */
/* See line_reader.h. */
#include "line_reader.h"

#include <algorithm>
#include <poll.h>
#include <unistd.h>

namespace pvblk::conformance
{

std::optional<std::string> LineReader::take(std::chrono::steady_clock::time_point until)
{
    using namespace std::chrono;
    for (;;) {
        size_t end = heard_.find('\n');
        if (end != std::string::npos) {
            std::string one = heard_.substr(0, end);
            heard_.erase(0, end + 1);
            return one;
        }
        if (heard_.size() > longest_)
            gone_ = "sends lines without an end";
        if (!gone_.empty())
            return std::nullopt;
        auto left = ceil<milliseconds>(until - steady_clock::now()).count();
        struct pollfd fd = {fd_, POLLIN, 0};
        if (poll(&fd, 1, static_cast<int>(std::max<int64_t>(left, 0))) <= 0)
            return std::nullopt;
        char some[128];
        ssize_t n = ::read(fd_, some, sizeof(some));
        if (n > 0)
            heard_.append(some, static_cast<size_t>(n));
        else
            gone_ = "is gone";
    }
}

} // namespace pvblk::conformance
