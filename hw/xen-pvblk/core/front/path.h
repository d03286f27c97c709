/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: paths and names of XenStore nodes, in fixed buffers.
 */
#pragma once

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

namespace pvblk
{

/* "dir/name"; paths are short (XenStore: 3072). */
class Path
{
public:
    Path(const std::string &dir, std::string_view name)
    {
        len_ = std::min(dir.size(), text_.size() - name.size() - 1);
        std::memcpy(text_.data(), dir.data(), len_);
        text_[len_++] = '/';
        std::memcpy(text_.data() + len_, name.data(), name.size());
        len_ += name.size();
    }
    operator std::string_view() const { return {text_.data(), len_}; }

private:
    std::array<char, 512> text_;
    size_t len_;
};

/* A name with numbers in it, in printf's format. */
class Name
{
public:
    [[gnu::format(printf, 2, 3)]] explicit Name(const char *format, ...)
    {
        va_list args;
        va_start(args, format);
        int n = std::vsnprintf(text_.data(), text_.size(), format, args);
        va_end(args);
        len_ = std::min(static_cast<size_t>(n), text_.size() - 1);
    }
    operator std::string_view() const { return {text_.data(), len_}; }

private:
    std::array<char, 48> text_;
    size_t len_;
};

} // namespace pvblk
