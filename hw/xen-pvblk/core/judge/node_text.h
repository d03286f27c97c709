/* SPDX-License-Identifier: MIT */
/* Layer `judge`: the text of the nodes of one directory. To read one allocates nothing. */
#pragma once

#include "pvblk/ports.h"
#include "pvblk/xenbus.h"

#include <optional>
#include <string>

namespace pvblk
{

class NodeText
{
public:
    void attach(Store &store, const std::string &directory)
    {
        store_ = &store;
        path_ = directory + "/";
        base_ = path_.size();
        path_.reserve(base_ + kMostName);
    }

    bool exists(std::string_view name)
    {
        char text[1];
        return read(name, text).ok();
    }
    /* None: there is no such node, or it cannot be read. A text that was cut is empty. */
    std::optional<std::string_view> text(std::string_view name, std::span<char> buffer)
    {
        auto length = read(name, buffer);
        if (!length)
            return std::nullopt;
        return std::string_view(buffer.data(),
                                length.value() <= buffer.size() ? length.value() : 0);
    }
    /* A peer cannot tell an unreadable number from a missing one for sure. */
    uint64_t number(std::string_view name, uint64_t otherwise)
    {
        char buffer[24];
        return parse_decimal(text(name, buffer).value_or("")).value_or(otherwise);
    }

private:
    static constexpr size_t kMostName = 64;

    Result<size_t> read(std::string_view name, std::span<char> buffer)
    {
        path_.resize(base_);
        path_ += name;
        return store_->read(path_, buffer);
    }

    Store *store_{nullptr};
    std::string path_{};
    size_t base_{0};
};

} // namespace pvblk
