/* SPDX-License-Identifier: MIT */
/* What a backend did with its ports, and in which order. */
#pragma once

#include "support/pass_ports.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace pvblk
{

/* XenStore. A line of `log` is "name=value" or "-name", by the backend's own
 * nodes; "-" is all of them. */
class SpyStore final : public PassStore
{
public:
    SpyStore(Store &under, std::string_view backend_path)
        : PassStore(under), cut_(backend_path.size() + 1)
    {
    }
    Status write(std::string_view path, std::string_view value) override
    {
        log.emplace_back(std::string(name(path)) + "=" + std::string(value));
        return PassStore::write(path, value);
    }
    void remove(std::string_view path) override
    {
        log.emplace_back("-" + std::string(name(path)));
        PassStore::remove(path);
    }

    size_t count(const std::string &what) const
    {
        return static_cast<size_t>(std::count(log.begin(), log.end(), what));
    }
    bool in_order(const std::string &first, const std::string &second) const
    {
        auto at = std::find(log.begin(), log.end(), first);
        return at != log.end() && std::find(at, log.end(), second) != log.end();
    }

    std::vector<std::string> log{};

private:
    std::string_view name(std::string_view path) const
    {
        return path.size() < cut_ ? "" : path.substr(cut_);
    }
    size_t cut_;
};

/* Events: `before` is called before each, and may change what is on the ring. */
class SpyEvents final : public PassBackEvents
{
public:
    using PassBackEvents::PassBackEvents;
    Status notify(uint32_t queue) override
    {
        sent++;
        if (before)
            before();
        return PassBackEvents::notify(queue);
    }

    uint64_t sent{0};
    std::function<void()> before{};
};

} // namespace pvblk
