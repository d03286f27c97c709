/* SPDX-License-Identifier: MIT */
/*
 * The world of OVMF's driver on the loopback: world_…() of seam.h.
 */
#include "world.h"

#include <algorithm>

namespace pvblk
{

namespace
{

/* Fences in a row with nothing to deliver: a request makes fewer than ten. */
constexpr uint32_t kIdlePolls = 1000;
/* Deliveries while one watch is awaited: the two ends keep each other busy. */
constexpr uint32_t kWaitSteps = 100'000;

World *world;

} // namespace

/* ---- ports that bend what the backend does ---------------------------------- */

Status BentStore::write(std::string_view path, std::string_view value)
{
    std::string_view name = path.substr(path.rfind('/') + 1);
    if (auto it = nodes.find(name); it != nodes.end())
        value = it->second;
    if (name == "state") {
        if (auto it = states.find(value); it != states.end())
            value = it->second;
        seen += value;
    }
    return PassStore::write(path, value);
}

void BentGrants::unmap(GrantRef ref, std::byte *page)
{
    if (keep)
        kept_.push_back({ref, page});
    else
        PassBackGrants::unmap(ref, page);
}

void BentGrants::let_go()
{
    for (const Kept &k : kept_)
        PassBackGrants::unmap(k.ref, k.page);
    kept_.clear();
}

/* ---- the world ---------------------------------------------------------------- */

WorldSetup cdrom_setup(const std::string &params)
{
    WorldSetup s;
    s.back.cdrom = s.back.read_only = s.back.removable = true;
    s.front_nodes["device-type"] = "cdrom";
    s.back_nodes["params"] = params;
    return s;
}

World::World(WorldSetup s)
    : setup(std::move(s)), hub(setup.hub), grants_(hub.grants.count()),
      pages_(hub.config.guest_pages)
{
    world = this;
    setup.back.frontend_path = hub.config.frontend_path;
    setup.back.backend_path = hub.config.backend_path;
    for (const auto &[name, value] : setup.front_nodes)
        hub.put_node(hub.config.frontend_path + "/" + name, value);
    for (const auto &[name, value] : setup.back_nodes)
        hub.put_node(hub.config.backend_path + "/" + name, value);
    hub.put_node(hub.config.frontend_path + "/backend-id", "0");
    hub.put_node(hub.config.frontend_path + "/state", "1");
    store.nodes = setup.bent_nodes;
    store.states = setup.bent_states;
    hub.front.store = [this] { watch_events_++; };
    back = std::make_unique<BlockBack>(
        BackPorts{store, back_grants, back_events, hub.storage, nullptr}, setup.back);
    hub.attach(back.get());
    EXPECT_TRUE(back->start());
}

World::~World()
{
    if (tidy && started_) {
        EXPECT_EQ(stop(), "Success");
    }
    hub.run();
    hub.detach_back();
    back.reset();
    back_grants.let_go();
    size_t pools = ovmf_forget();
    if (tidy) {
        EXPECT_EQ(pools, 0u) << "the driver leaks pools";
        expect_tidy();
    }
    EXPECT_EQ(hub.storage.out_of_range, 0u) << "the backend asked for what is not there";
    EXPECT_EQ(hub.oracle.bad_unmaps, 0u);
    EXPECT_EQ(hub.grants.mapped(), 0u) << "the backend leaks mappings";
    world = nullptr;
}

void World::expect_tidy()
{
    EXPECT_EQ(pages_of_driver_, 0u) << "the driver leaks pages";
    EXPECT_EQ(hub.grants.in_use(), 0u) << "grants leaked";
    EXPECT_FALSE(hub.events.is_open()) << "event channel leaked";
    EXPECT_EQ(grants_stuck, 0u);
    EXPECT_EQ(freed_while_granted, 0u);
    EXPECT_EQ(hub.oracle.denied_maps, 0u);
    EXPECT_EQ(hub.oracle.readonly_maps, 0u);
    EXPECT_EQ(hub.oracle.bad_frames, 0u);
    EXPECT_EQ(hub.oracle.bad_revokes, 0u);
    EXPECT_EQ(hub.oracle.foreign_writes, 0u);
}

std::string World::start()
{
    std::string text = ovmf_start().text;
    started_ = text == "Success";
    return text;
}

std::string World::stop()
{
    started_ = false;
    return ovmf_stop().text;
}

std::string World::read(uint64_t lba, size_t bytes, void *to)
{
    return ovmf_read(lba, bytes, to).text;
}

std::string World::write(uint64_t lba, size_t bytes, void *from)
{
    return ovmf_write(lba, bytes, from).text;
}

/* Lives as long as the world: what a test owns is not the driver's leak. */
std::byte *World::buffer(size_t bytes, size_t skip)
{
    size_t pages = (skip + bytes + kPageSize - 1) / kPageSize;
    auto *at = static_cast<std::byte *>(take_pages(pages));
    pages_of_driver_ -= pages;
    return at + skip;
}

std::string World::front_node(const std::string &name) const
{
    return hub.node(hub.config.frontend_path + "/" + name);
}

std::string World::back_node(const std::string &name) const
{
    return hub.node(hub.config.backend_path + "/" + name);
}

bool World::said(const std::string &words) const
{
    return std::any_of(log_.begin(), log_.end(), [&](const std::string &line) {
        return line.find(words) != std::string::npos;
    });
}

SharedRing World::ring() const
{
    auto ref = static_cast<uint32_t>(std::stoul(front_node("ring-ref")));
    const Grant &grant = grants_.at(ref - LoopbackGrants::kFirst);
    return SharedRing(Abi::X86_64, {hub.guest.host(grant.page * kPageSize)}, 1);
}

/* A write that is not in a transaction, or comes with its end. */
bool World::apply(const Write &w)
{
    if (!hub.front_store.write(w.path, w.value))
        return false;
    if (w.path == hub.config.frontend_path + "/state")
        front_states += w.value;
    return true;
}

/* The driver's address space is our own; the guest's frames are not. */
std::optional<uint64_t> World::page_of(uint64_t frame) const
{
    uint64_t first = reinterpret_cast<uintptr_t>(hub.guest.host(0)) >> kPageShift;
    if (frame < first || frame - first >= pages_.size())
        return std::nullopt;
    return frame - first;
}

/* ---- what the driver calls ----------------------------------------------------- */

WorldStatus World::xs_read(const std::string &path, std::span<char> out)
{
    hub.run_one();
    auto len = hub.front_store.read(path, out.first(out.size() - 1));
    if (!len)
        return len.error().kind == ErrorKind::Missing ? WORLD_MISSING : WORLD_FAILED;
    out[std::min(len.value(), out.size() - 1)] = 0;
    return WORLD_OK;
}

WorldStatus World::xs_write(const std::string &path, const char *value)
{
    hub.run_one();
    if (!transaction_)
        return apply({path, value}) ? WORLD_OK : WORLD_FAILED;
    transaction_->push_back({path, value});
    return WORLD_OK;
}

WorldStatus World::transaction_end(bool abort)
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

WorldStatus World::watch(const std::string &path)
{
    watch_events_ = 0;
    return hub.front_store.watch(path) ? WORLD_OK : WORLD_FAILED;
}

bool World::wait()
{
    for (uint32_t i = 0; i < kWaitSteps && !watch_events_; i++)
        if (!hub.run_one())
            return false;
    if (!watch_events_)
        return false;
    watch_events_--;
    return true;
}

/* An entry that is stuck stays so: XenBusDxe does not reuse it either. */
uint32_t World::grant(uint64_t frame, bool readonly)
{
    auto page = page_of(frame);
    auto it = std::find_if(grants_.begin(), grants_.end(),
                           [](const Grant &g) { return g.use == Grant::Use::Free; });
    if (it == grants_.end())
        return ADD_FAILURE() << "the world is out of grants", 0;
    *it = {page.value_or(0), Grant::Use::Open};
    grants_made++;
    auto index = static_cast<uint32_t>(it - grants_.begin());
    uint64_t gfn = page ? (LoopbackGuest::kBase >> kPageShift) + *page : 0;
    EXPECT_TRUE(hub.grants.grant_frame(index, Gfn(gfn), readonly));
    return hub.grants.ref(index).value;
}

bool World::end_access(uint32_t ref)
{
    uint32_t index = ref - LoopbackGrants::kFirst;
    bool free = static_cast<bool>(hub.grants.revoke(index));
    grants_.at(index).use = free ? Grant::Use::Free : Grant::Use::Stuck;
    grants_stuck += !free;
    return free;
}

uint32_t World::open_port()
{
    auto port = hub.events.open(0);
    return port_ = port ? port.value().value : 0;
}

bool World::notify(uint32_t port)
{
    bool sent = port == port_ && hub.events.notify(0);
    hub.run_one();
    return sent;
}

bool World::poll()
{
    idle_polls_ = hub.run_one() ? 0 : idle_polls_ + 1;
    if (idle_polls_ < kIdlePolls)
        return true;
    idle_polls_ = 0;
    return false;
}

void *World::take_pages(size_t n)
{
    size_t run = 0;
    for (size_t i = 0; i < pages_.size(); i++) {
        run = pages_[i] ? 0 : run + 1;
        if (run < n)
            continue;
        size_t first = i + 1 - n;
        std::fill_n(pages_.begin() + static_cast<std::ptrdiff_t>(first), n, true);
        pages_of_driver_ += n;
        return hub.guest.host(first * kPageSize);
    }
    ADD_FAILURE() << "the world is out of pages";
    return nullptr;
}

void World::free_pages(void *at, size_t n)
{
    auto first = page_of(reinterpret_cast<uintptr_t>(at) >> kPageShift);
    ASSERT_TRUE(first) << "pages that were never given";
    for (uint64_t page = *first; page < *first + n; page++) {
        pages_.at(page) = false;
        freed_while_granted += std::any_of(grants_.begin(), grants_.end(), [page](const Grant &g) {
            return g.use != Grant::Use::Free && g.page == page;
        });
    }
    pages_of_driver_ -= n;
}

} // namespace pvblk

/* ---- seam.h -------------------------------------------------------------------- */

using pvblk::world;

namespace
{

std::string path(const char *dir, const char *node)
{
    return std::string(dir) + "/" + node;
}

} // namespace

extern "C" {

WorldStatus world_read(const char *dir, const char *node, char *out, size_t size)
{
    return world->xs_read(path(dir, node), {out, size});
}

WorldStatus world_write(const char *dir, const char *node, const char *value)
{
    return world->xs_write(path(dir, node), value);
}

WorldStatus world_remove(const char *dir, const char *node)
{
    world->hub.front_store.remove(path(dir, node));
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

WorldStatus world_watch(const char *dir, const char *node)
{
    return world->watch(path(dir, node));
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
