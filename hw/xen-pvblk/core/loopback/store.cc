/* SPDX-License-Identifier: MIT */
/* XenStore of both domains: its permissions and its watches. */
#include "loopback/refused.h"
#include "pvblk/loopback.h"

#include <algorithm>
#include <cstring>

namespace pvblk
{

namespace
{

/* `path` is `dir` or lies below it. */
bool below(std::string_view path, std::string_view dir)
{
    return path.substr(0, dir.size()) == dir &&
           (path.size() == dir.size() || path[dir.size()] == '/');
}

} // namespace

Result<size_t> LoopbackStore::read(std::string_view path, std::span<char> out)
{
    if (hub_.faulty(may_write_.empty() ? HubCall::BackStoreRead : HubCall::StoreRead))
        return refused("XenStore read");
    auto it = hub_.tree.find(path);
    if (it == hub_.tree.end())
        return Error{ErrorKind::Missing, "loopback:node", "the node does not exist", 0};
    const std::string &value = it->second;
    std::memcpy(out.data(), value.data(), std::min(value.size(), out.size()));
    return value.size();
}

Status LoopbackStore::write(std::string_view path, std::string_view value)
{
    if (!may_write_.empty()) {
        if (!below(path, may_write_)) {
            hub_.oracle.foreign_writes++;
            return refused("XenStore write outside the domain's own nodes");
        }
        if (hub_.faulty(HubCall::StoreWrite))
            return refused("XenStore write");
    }
    hub_.put_node(std::string(path), std::string(value));
    return Ok{};
}

void LoopbackStore::remove(std::string_view path)
{
    if (!may_write_.empty() && !below(path, may_write_)) {
        hub_.oracle.foreign_writes++;
        return;
    }
    std::vector<std::string> gone;
    for (const auto &[name, value] : hub_.tree)
        if (below(name, path))
            gone.push_back(name);
    for (const std::string &name : gone)
        hub_.tree.erase(name);
    for (const std::string &name : gone)
        hub_.changed(name);
}

Status LoopbackStore::watch(std::string_view path)
{
    if (!may_write_.empty() && hub_.faulty(HubCall::StoreWatch))
        return refused("XenStore watch");
    watched_ = path;
    watch_id_++;
    hub_.changed(watched_); /* a new watch also counts as a change */
    return Ok{};
}

void LoopbackStore::unwatch()
{
    watched_.clear();
    watch_id_++;
}

std::string LoopbackHub::node(const std::string &path) const
{
    auto it = tree.find(path);
    return it == tree.end() ? "" : it->second;
}

void LoopbackHub::put_node(const std::string &path, const std::string &value)
{
    tree[path] = value;
    changed(path);
}

/* Queue a delivery for each watch on `path` or above it. A delivery dies
 * with its watch. */
void LoopbackHub::changed(const std::string &path)
{
    auto queue = [this, &path](LoopbackStore &store, bool is_front) {
        if (store.watched_.empty() || !below(path, store.watched_))
            return;
        uint64_t id = store.watch_id_;
        post(is_front ? HubLine::FrontStore : HubLine::BackStore, [this, &store, id, is_front] {
            if (store.watch_id_ != id)
                return;
            const auto &call = is_front ? front.store : back.store;
            if (call)
                call();
        });
    };
    queue(front_store, true);
    queue(back_store, false);
}

} // namespace pvblk
