/* SPDX-License-Identifier: MIT */
/*
 * The hub's ports for a front or back whose allocations are counted: the hub
 * itself may allocate.
 */
#pragma once

#include "support/allocation_count.h"
#include "support/pass_ports.h"

namespace pvblk
{

class PausedEvents final : public PassEvents
{
public:
    using PassEvents::PassEvents;
    Status notify(uint32_t queue) override
    {
        AllocationPause pause;
        return PassEvents::notify(queue);
    }
};

class PausedBackEvents final : public PassBackEvents
{
public:
    using PassBackEvents::PassBackEvents;
    Status notify(uint32_t queue) override
    {
        AllocationPause pause;
        return PassBackEvents::notify(queue);
    }
    void again(uint32_t queue) override
    {
        AllocationPause pause;
        PassBackEvents::again(queue);
    }
};

class PausedStore final : public PassStore
{
public:
    using PassStore::PassStore;
    Result<size_t> read(std::string_view path, std::span<char> out) override
    {
        AllocationPause pause;
        return PassStore::read(path, out);
    }
    Status write(std::string_view path, std::string_view value) override
    {
        AllocationPause pause;
        return PassStore::write(path, value);
    }
    void remove(std::string_view path) override
    {
        AllocationPause pause;
        PassStore::remove(path);
    }
    Status watch(std::string_view path) override
    {
        AllocationPause pause;
        return PassStore::watch(path);
    }
};

} // namespace pvblk
