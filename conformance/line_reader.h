/* SPDX-License-Identifier: MIT */
/* Lines of a file descriptor that somebody else writes to: no line is longer than a limit. */
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace pvblk::conformance
{

class LineReader
{
public:
    /* `longest` in bytes; the file descriptor is borrowed. */
    LineReader(int fd, size_t longest) : fd_(fd), longest_(longest) {}

    /* Nothing: none came until then, or none can come any more. */
    std::optional<std::string> take(std::chrono::steady_clock::time_point until);
    /* Why no more lines come; "": they may. */
    const std::string &gone() const { return gone_; }
    /* For poll(); -1 once no more lines come. */
    int fd() const { return gone_.empty() ? fd_ : -1; }

private:
    int fd_;
    size_t longest_;
    std::string heard_{}, gone_{};
};

} // namespace pvblk::conformance
