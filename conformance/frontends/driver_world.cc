/* SPDX-License-Identifier: MIT */
/* A driver's world on the loopback: world_…() of driver_seam.h. */
#include "frontends/driver_world.h"

#include <algorithm>

namespace pvblk::conformance
{

namespace
{

/* Fences in a row with nothing to deliver: a request makes fewer than ten. */
constexpr uint32_t kIdlePolls = 1000;
/* Deliveries while one watch is awaited: the two ends keep each other busy. */
constexpr uint32_t kWaitSteps = 100'000;

DriverWorld *world;

size_t pages_in(size_t bytes)
{
    return (bytes + kPageSize - 1) / kPageSize;
}

} // namespace

DriverWorld::DriverWorld(LoopbackHub &on)
    : hub(on), grants_(on.grants.count()), pages_(on.config.guest_pages)
{
    world = this;
    for (auto [name, value] :
         {std::pair{"backend", hub.config.backend_path.c_str()}, std::pair{"backend-id", "0"},
          std::pair{"device-type", "disk"}, std::pair{"state", "1"}}) {
        std::string path = hub.config.frontend_path + "/" + name;
        if (!hub.has_node(path))
            hub.put_node(path, value);
    }
    hub.front.store = [this] { watch_events_++; };
}

DriverWorld::~DriverWorld()
{
    hub.detach_front();
    world = nullptr;
}

std::string DriverWorld::front_node(const std::string &name) const
{
    return hub.node(hub.config.frontend_path + "/" + name);
}

bool DriverWorld::said(const std::string &words) const
{
    return std::any_of(log_.begin(), log_.end(), [&](const std::string &line) {
        return line.find(words) != std::string::npos;
    });
}

SharedRing DriverWorld::ring() const
{
    auto ref = static_cast<uint32_t>(std::stoul(front_node("ring-ref")));
    const Grant &grant = grants_.at(ref - LoopbackGrants::kFirst);
    return SharedRing(Abi::X86_64, {hub.guest.host(grant.page * kPageSize)}, 1);
}

std::byte *DriverWorld::take_buffer(size_t bytes)
{
    void *at = take_pages(pages_in(bytes));
    if (at)
        pages_of_driver -= pages_in(bytes);
    return static_cast<std::byte *>(at);
}

void DriverWorld::give_buffer(std::byte *at, size_t bytes)
{
    pages_of_driver += pages_in(bytes);
    free_pages(at, pages_in(bytes));
}

/* A write that is not in a transaction, or comes with its end. */
bool DriverWorld::apply(const Write &w)
{
    if (!hub.front_store.write(w.path, w.value))
        return false;
    if (w.path == hub.config.frontend_path + "/state")
        front_states += w.value;
    return true;
}

/* The driver's address space is our own; the guest's frames are not. */
std::optional<uint64_t> DriverWorld::page_of(uint64_t frame) const
{
    uint64_t first = reinterpret_cast<uintptr_t>(hub.guest.host(0)) >> kPageShift;
    if (frame < first || frame - first >= pages_.size())
        return std::nullopt;
    return frame - first;
}

/* ---- what the driver calls ----------------------------------------------------- */

WorldStatus DriverWorld::xs_read(const std::string &path, std::span<char> out)
{
    hub.run_one();
    auto len = hub.front_store.read(path, out.first(out.size() - 1));
    if (!len)
        return len.error().kind == ErrorKind::Missing ? WORLD_MISSING : WORLD_FAILED;
    out[std::min(len.value(), out.size() - 1)] = 0;
    return WORLD_OK;
}

WorldStatus DriverWorld::xs_write(const std::string &path, const char *value)
{
    hub.run_one();
    if (!transaction_)
        return apply({path, value}) ? WORLD_OK : WORLD_FAILED;
    transaction_->push_back({path, value});
    return WORLD_OK;
}

WorldStatus DriverWorld::transaction_end(bool abort)
{
    auto writes = std::move(*transaction_);
    transaction_.reset();
    if (abort)
        return WORLD_OK;
    transactions++;
    if (!transaction_ends.empty()) {
        WorldStatus end = transaction_ends.front();
        transaction_ends.erase(transaction_ends.begin());
        return end;
    }
    return std::all_of(writes.begin(), writes.end(), [this](const Write &w) { return apply(w); })
               ? WORLD_OK
               : WORLD_FAILED;
}

WorldStatus DriverWorld::watch(const std::string &path)
{
    watch_events_ = 0;
    return hub.front_store.watch(path) ? WORLD_OK : WORLD_FAILED;
}

bool DriverWorld::wait()
{
    for (uint32_t i = 0; i < kWaitSteps && !watch_events_; i++)
        if (!hub.run_one() && !(idle && idle()))
            return false;
    if (!watch_events_)
        return false;
    watch_events_--;
    return true;
}

/* An entry that is stuck stays so: the drivers' systems do not reuse it either. */
uint32_t DriverWorld::grant(uint64_t frame, bool readonly)
{
    auto page = page_of(frame);
    auto it = std::find_if(grants_.begin(), grants_.end(),
                           [](const Grant &g) { return g.use == Grant::Use::Free; });
    if (it == grants_.end())
        return 0;
    *it = {page.value_or(0), Grant::Use::Open};
    grants_made++;
    auto index = static_cast<uint32_t>(it - grants_.begin());
    /* A frame that is no page of the guest's is the hub's to count. */
    uint64_t gfn = page ? (LoopbackGuest::kBase >> kPageShift) + *page : 0;
    (void)hub.grants.grant_frame(index, Gfn(gfn), readonly);
    return hub.grants.ref(index).value;
}

bool DriverWorld::end_access(uint32_t ref)
{
    uint32_t index = ref - LoopbackGrants::kFirst;
    bool free = static_cast<bool>(hub.grants.revoke(index));
    grants_.at(index).use = free ? Grant::Use::Free : Grant::Use::Stuck;
    grants_stuck += !free;
    return free;
}

uint32_t DriverWorld::open_port()
{
    auto port = hub.events.open(0);
    return port_ = port ? port.value().value : 0;
}

bool DriverWorld::notify(uint32_t port)
{
    bool sent = port == port_ && hub.events.notify(0);
    hub.run_one();
    return sent;
}

bool DriverWorld::poll()
{
    idle_polls_ = hub.run_one() ? 0 : idle_polls_ + 1;
    if (idle_polls_ < kIdlePolls)
        return true;
    idle_polls_ = 0;
    return idle && idle();
}

void *DriverWorld::take_pages(size_t n)
{
    size_t run = 0;
    for (size_t i = 0; i < pages_.size(); i++) {
        run = pages_[i] ? 0 : run + 1;
        if (run < n)
            continue;
        size_t first = i + 1 - n;
        std::fill_n(pages_.begin() + static_cast<std::ptrdiff_t>(first), n, true);
        pages_of_driver += n;
        return hub.guest.host(first * kPageSize);
    }
    return nullptr;
}

/* The systems on driver_seam.h free only what they took. */
void DriverWorld::free_pages(void *at, size_t n)
{
    auto first = page_of(reinterpret_cast<uintptr_t>(at) >> kPageShift);
    for (uint64_t page = *first; page < *first + n; page++) {
        pages_.at(page) = false;
        freed_while_granted += std::any_of(grants_.begin(), grants_.end(), [page](const Grant &g) {
            return g.use != Grant::Use::Free && g.page == page;
        });
    }
    pages_of_driver -= n;
}

} // namespace pvblk::conformance

/* ---- driver_seam.h --------------------------------------------------------------- */

using pvblk::conformance::world;

namespace
{

std::string absolute(const char *path)
{
    if (*path == '/')
        return path;
    const std::string &frontend = world->hub.config.frontend_path;
    return frontend.substr(0, frontend.find("/device/") + 1) + path;
}

} // namespace

extern "C" {

WorldStatus world_read(const char *path, char *out, size_t size)
{
    return world->xs_read(absolute(path), {out, size});
}

WorldStatus world_write(const char *path, const char *value)
{
    return world->xs_write(absolute(path), value);
}

WorldStatus world_remove(const char *path)
{
    world->hub.front_store.remove(absolute(path));
    return WORLD_OK;
}

void world_transaction_start(void)
{
    world->transaction_start();
}

WorldStatus world_transaction_end(bool abort)
{
    return world->transaction_end(abort);
}

WorldStatus world_watch(const char *path)
{
    return world->watch(absolute(path));
}

void world_unwatch(void)
{
    world->hub.front_store.unwatch();
}

bool world_wait(void)
{
    return world->wait();
}

uint32_t world_grant(uint64_t frame, bool readonly)
{
    return world->grant(frame, readonly);
}

bool world_end_access(uint32_t ref)
{
    return world->end_access(ref);
}

uint32_t world_open_port(void)
{
    return world->open_port();
}

bool world_notify(uint32_t port)
{
    return world->notify(port);
}

void world_close_port(uint32_t)
{
    world->hub.events.close(0);
}

bool world_poll(void)
{
    return world->poll();
}

void *world_pages(size_t pages)
{
    return world->take_pages(pages);
}

void world_free_pages(void *at, size_t pages)
{
    world->free_pages(at, pages);
}

void world_log(const char *line)
{
    world->log(line);
}

const char *world_frontend(void)
{
    return world->hub.config.frontend_path.c_str();
}

const char *world_backend(void)
{
    return world->hub.config.backend_path.c_str();
}

} // extern "C"
