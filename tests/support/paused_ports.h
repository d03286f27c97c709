/* SPDX-License-Identifier: MIT */
/*
 * The hub's ports for a front whose allocations are counted: the hub itself
 * may allocate.
 */
#pragma once

#include "pvblk/loopback.h"
#include "support/allocation_count.h"

namespace pvblk
{

class PausedEvents final : public Events
{
public:
    explicit PausedEvents(Events &e) : e_(e) {}
    Result<Port> open(uint32_t queue) override { return e_.open(queue); }
    Status notify(uint32_t queue) override
    {
        AllocationPause pause;
        return e_.notify(queue);
    }
    void close(uint32_t queue) override { e_.close(queue); }

private:
    Events &e_;
};

class PausedStore final : public Store
{
public:
    explicit PausedStore(Store &s) : s_(s) {}
    Result<size_t> read(std::string_view path, std::span<char> out) override
    {
        AllocationPause pause;
        return s_.read(path, out);
    }
    Status write(std::string_view path, std::string_view value) override
    {
        AllocationPause pause;
        return s_.write(path, value);
    }
    void remove(std::string_view path) override
    {
        AllocationPause pause;
        s_.remove(path);
    }
    Status watch(std::string_view path) override
    {
        AllocationPause pause;
        return s_.watch(path);
    }
    void unwatch() override { s_.unwatch(); }

private:
    Store &s_;
};

} // namespace pvblk
