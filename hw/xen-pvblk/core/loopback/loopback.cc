/* SPDX-License-Identifier: MIT */
/*
 * The in-process provider: XenStore, grants, events, clock, disk. Serves the
 * port contracts of ports.h and back.h, and counts what breaks the rules of
 * grants (XSA-396) and of XenStore permissions.
 */
#include "pvblk/loopback.h"

#include <algorithm>
#include <cstring>

namespace pvblk
{

namespace
{

constexpr Error refused(const char *what)
{
    return {ErrorKind::Io, "loopback:fault", what, 0};
}

/* `path` is `dir` or lies below it. */
bool below(std::string_view path, std::string_view dir)
{
    return path.substr(0, dir.size()) == dir &&
           (path.size() == dir.size() || path[dir.size()] == '/');
}

} // namespace

/* ---- XenStore ---------------------------------------------------------- */

Result<size_t> LoopbackStore::read(std::string_view path, std::span<char> out)
{
    if (hub_.faulty(may_write_.empty() ? HubCall::BackStoreRead : HubCall::StoreRead))
        return refused("XenStore read");
    auto it = hub_.tree.find(path);
    if (it == hub_.tree.end())
        return Error{ErrorKind::Missing, "loopback:node", "no such node", 0};
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
    hub_.changed(watched_); /* fires once at registration */
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

/* ---- grants ------------------------------------------------------------ */

std::byte *LoopbackGrants::address(const Entry &entry) const
{
    if (entry.is_page)
        return hub_.memory.page(PageIndex(static_cast<uint32_t>(entry.frame)));
    return hub_.guest.frame(Gfn(entry.frame));
}

Status LoopbackGrants::grant(uint32_t index, Entry entry)
{
    if (index >= entries_.size())
        return Error{ErrorKind::OutOfRange, "loopback:grant", "no such grant entry", index};
    if (entries_[index].use != Use::Free)
        hub_.oracle.regrants++;
    if (entry.is_page)
        for (const Entry &e : entries_)
            if (e.maps && e.is_page && e.frame == entry.frame)
                hub_.oracle.reused_while_mapped++;
    if (!address(entry))
        hub_.oracle.bad_frames++;
    entries_[index] = entry;
    return Ok{};
}

Status LoopbackGrants::grant_frame(uint32_t index, Gfn gfn, bool readonly)
{
    if (hub_.faulty(HubCall::GrantFrame))
        return refused("grant");
    return grant(index, {Use::Open, readonly, false, gfn.value, 0});
}

Status LoopbackGrants::grant_page(uint32_t index, PageIndex page, bool readonly)
{
    if (hub_.faulty(HubCall::GrantPage))
        return refused("grant");
    return grant(index, {Use::Open, readonly, true, page.value, 0});
}

Status LoopbackGrants::revoke(uint32_t index)
{
    if (index >= entries_.size() || entries_[index].use == Use::Free) {
        hub_.oracle.bad_revokes++;
        return Error{ErrorKind::OutOfRange, "loopback:grant", "nothing to revoke", index};
    }
    Entry &e = entries_[index];
    e.use = Use::Ended;
    bool faulty = hub_.faulty(HubCall::Revoke);
    if (e.maps || faulty)
        return Error{ErrorKind::Busy, "loopback:grant", "still mapped", index};
    e = Entry{};
    return Ok{};
}

Result<std::byte *> LoopbackGrants::map(GrantRef ref, bool readonly)
{
    uint32_t index = ref.value - kFirst; /* wraps to a huge one below kFirst */
    if (index >= entries_.size() || entries_[index].use != Use::Open) {
        hub_.oracle.denied_maps++;
        return Error{ErrorKind::PeerViolation, "loopback:grant", "no such grant", ref.value};
    }
    Entry &e = entries_[index];
    if (e.readonly && !readonly) {
        hub_.oracle.readonly_maps++;
        return Error{ErrorKind::PeerViolation, "loopback:grant", "read-only grant", ref.value};
    }
    std::byte *page = address(e);
    if (!page)
        return Error{ErrorKind::Io, "loopback:grant", "granted frame is no RAM", e.frame};
    e.maps++;
    return page;
}

void LoopbackGrants::unmap(GrantRef ref, std::byte *page)
{
    uint32_t index = ref.value - kFirst;
    if (index >= entries_.size() || !entries_[index].maps || address(entries_[index]) != page) {
        hub_.oracle.bad_unmaps++;
        return;
    }
    entries_[index].maps--;
}

uint32_t LoopbackGrants::in_use() const
{
    return static_cast<uint32_t>(std::count_if(entries_.begin(), entries_.end(),
                                               [](const Entry &e) { return e.use != Use::Free; }));
}

uint32_t LoopbackGrants::mapped() const
{
    uint32_t n = 0;
    for (const Entry &e : entries_)
        n += e.maps;
    return n;
}

bool LoopbackGrants::is_mapped(Gfn gfn) const
{
    return std::any_of(entries_.begin(), entries_.end(), [gfn](const Entry &e) {
        return e.maps && !e.is_page && e.frame == gfn.value;
    });
}

/* ---- events ------------------------------------------------------------ */

Result<Port> LoopbackEvents::open(uint32_t queue)
{
    if (hub_.faulty(HubCall::EventOpen))
        return refused("event channel");
    /* A port number of its own each time: a stale one is of no use. */
    ends_[queue] = {++last_port_, true, false};
    return Port(last_port_);
}

bool LoopbackEvents::is_open() const
{
    return std::any_of(ends_.begin(), ends_.end(), [](const End &e) { return e.open; });
}

Status LoopbackEvents::notify(uint32_t queue)
{
    const End &own = ends_[queue];
    if (hub_.faulty(HubCall::EventNotify) || !own.open)
        return refused("event");
    auto &peers = hub_.back_events.ends_;
    for (uint32_t i = 0; i < kMaxQueues; i++) {
        auto &peer = peers[i];
        if (peer.pending || peer.port != own.port)
            continue;
        peer.pending = true;
        hub_.post(HubLine::BackEvent, [this, &peer, i, port = own.port] {
            peer.pending = false;
            if (peer.port == port && hub_.back.event)
                hub_.back.event(i);
        });
    }
    return Ok{};
}

Status LoopbackBackEvents::bind(uint32_t queue, Port remote)
{
    const auto &peers = hub_.events.ends_;
    for (uint32_t i = 0; i < kMaxQueues; i++) {
        if (!peers[i].open || peers[i].port != remote.value)
            continue;
        for (const End &e : ends_)
            if (e.port == remote.value)
                return Error{ErrorKind::Busy, "loopback:event", "port is bound", remote.value};
        ends_[queue] = {remote.value, i, false, false};
        return Ok{};
    }
    return Error{ErrorKind::Missing, "loopback:event", "no such port", remote.value};
}

Status LoopbackBackEvents::notify(uint32_t queue)
{
    const End &own = ends_[queue];
    if (!own.port)
        return refused("event on a port that is not bound");
    auto &peer = hub_.events.ends_[own.remote];
    if (peer.pending || !peer.open || peer.port != own.port)
        return Ok{};
    peer.pending = true;
    hub_.post(HubLine::FrontEvent, [this, &peer, to = own.remote] {
        peer.pending = false;
        if (peer.open && hub_.front.event)
            hub_.front.event(to);
    });
    return Ok{};
}

void LoopbackBackEvents::again(uint32_t queue)
{
    if (ends_[queue].again)
        return;
    ends_[queue].again = true;
    hub_.post(HubLine::BackEvent, [this, queue, port = ends_[queue].port] {
        ends_[queue].again = false;
        if (port && ends_[queue].port == port && hub_.back.event)
            hub_.back.event(queue);
    });
}

void LoopbackBackEvents::later()
{
    hub_.post(HubLine::BackStore, [this] {
        if (hub_.back.later)
            hub_.back.later();
    });
}

/* ---- memory and disk --------------------------------------------------- */

LoopbackPages::LoopbackPages(uint32_t pages)
    : store_((static_cast<size_t>(pages) + 1) * kPageSize), pages_(pages)
{
    auto address = reinterpret_cast<uintptr_t>(store_.data());
    base_ = store_.data() + (kPageSize - address % kPageSize) % kPageSize;
}

std::byte *LoopbackGuest::frame(Gfn gfn) const
{
    uint64_t first = kBase >> kPageShift;
    if (gfn.value < first || gfn.value - first >= pages_.pages())
        return nullptr;
    return pages_.page(static_cast<uint32_t>(gfn.value - first));
}

void RamStorage::submit(const StorageRequest &req, StorageClient &client)
{
    if (defer)
        waiting_.push_back({req, &client});
    else
        client.storage_done(req.tag, work(req));
}

void RamStorage::finish(size_t i)
{
    Waiting w = waiting_[i];
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    w.client->storage_done(w.req.tag, work(w.req));
}

void RamStorage::drain()
{
    while (!waiting_.empty())
        finish(0);
}

bool RamStorage::work(const StorageRequest &req)
{
    bool inside = req.at.value <= sectors() && req.sectors <= sectors() - req.at.value;
    if (!inside)
        out_of_range++;
    switch (req.op) {
    case StorageOp::Read: reads++; break;
    case StorageOp::WriteStable: stable_writes++; [[fallthrough]];
    case StorageOp::Write: writes++; break;
    case StorageOp::Flush: flushes++; return !fail;
    case StorageOp::SecureDiscard: secure_discards++; break;
    case StorageOp::Discard: break;
    }
    if (!inside || fail)
        return false;
    if (req.data.empty())
        return discard(req), true;
    return transfer(req);
}

bool RamStorage::transfer(const StorageRequest &req)
{
    std::byte *at = data.data() + req.at.value * kSectorSize;
    uint64_t left = req.sectors * kSectorSize;
    for (const struct iovec &v : req.data) {
        if (v.iov_len > left)
            return out_of_range++, false;
        if (req.op == StorageOp::Read)
            std::memcpy(v.iov_base, at, v.iov_len);
        else
            std::memcpy(at, v.iov_base, v.iov_len);
        at += v.iov_len;
        left -= v.iov_len;
    }
    return left == 0;
}

void RamStorage::discard(const StorageRequest &req)
{
    discards.push_back({req.at.value, req.sectors});
    std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(req.at.value * kSectorSize),
                req.sectors * kSectorSize, std::byte{0});
}

/* ---- the hub ----------------------------------------------------------- */

LoopbackHub::LoopbackHub(HubConfig c)
    : config(std::move(c)), front_store(*this, config.frontend_path), back_store(*this, ""),
      grants(*this, config.grants), memory(config.private_pages), guest(config.guest_pages),
      storage(config.disk_sectors)
{
}

void LoopbackHub::attach(BlockFront *f)
{
    front = {};
    if (f)
        front = {[f](uint32_t queue) { f->event_received(queue); }, [f] { f->store_changed(); },
                 [f] { f->deadline_passed(); }};
}

void LoopbackHub::attach(BlockBack *b)
{
    back = {};
    if (b)
        back = {[b](uint32_t queue) { b->event_received(queue); }, [b] { b->store_changed(); },
                [b] { b->later(); }};
}

bool LoopbackHub::run_one()
{
    if (queue_.empty())
        return false;
    auto next = std::move(queue_.front());
    queue_.pop_front();
    next.job();
    return true;
}

bool LoopbackHub::run_line(HubLine line)
{
    auto next = std::find_if(queue_.begin(), queue_.end(),
                             [line](const Delivery &d) { return d.line == line; });
    if (next == queue_.end())
        return false;
    auto job = std::move(next->job);
    queue_.erase(next);
    job();
    return true;
}

bool LoopbackHub::run(uint32_t limit)
{
    for (uint32_t i = 0; i < limit; i++)
        if (!run_one())
            return true;
    return queue_.empty();
}

void LoopbackHub::advance(int64_t ns)
{
    int64_t end = clock.now + ns;
    run();
    while (clock.deadline >= 0 && clock.deadline <= end) {
        clock.now = std::max(clock.now, clock.deadline);
        clock.deadline = -1;
        if (front.deadline)
            front.deadline();
        run();
    }
    clock.now = end;
}

void LoopbackHub::fail(HubCall call, uint32_t nth, uint32_t times)
{
    faults_[static_cast<size_t>(call)] = {nth, times};
}

bool LoopbackHub::faulty(HubCall call)
{
    calls_[static_cast<size_t>(call)]++;
    Fault &f = faults_[static_cast<size_t>(call)];
    if (!f.times)
        return false;
    if (f.skip) {
        f.skip--;
        return false;
    }
    f.times--;
    return true;
}

} // namespace pvblk
