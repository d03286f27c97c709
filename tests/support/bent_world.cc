/* SPDX-License-Identifier: MIT */
/* See bent_world.h. */
#include "support/bent_world.h"

namespace pvblk
{

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

BentWorld::BentWorld(const DriverCalls &calls, WorldSetup s)
    : setup(std::move(s)), hub(setup.hub), calls_(calls)
{
    setup.back.frontend_path = hub.config.frontend_path;
    setup.back.backend_path = hub.config.backend_path;
    for (const auto &[name, value] : setup.front_nodes)
        hub.put_node(hub.config.frontend_path + "/" + name, value);
    for (const auto &[name, value] : setup.back_nodes)
        hub.put_node(hub.config.backend_path + "/" + name, value);
    store.nodes = setup.bent_nodes;
    store.states = setup.bent_states;
    BackHooks *hooks = nullptr;
    if (!setup.faults.empty()) {
        auto plan = FaultPlan::parse(setup.faults);
        EXPECT_TRUE(plan) << plan.error().what;
        hooks = faults.hooks();
        faults.obey(std::move(plan.value()));
    }
    back = std::make_unique<BlockBack>(
        BackPorts{store, back_grants, back_events, hub.storage, nullptr}, setup.back, hooks);
    hub.attach(back.get());
    EXPECT_TRUE(back->start());
}

BentWorld::~BentWorld()
{
    if (tidy && started_) {
        EXPECT_EQ(stop(), "Success");
    }
    hub.run();
    hub.detach_back();
    back.reset();
    back_grants.let_go();
    size_t pieces = calls_.forget();
    if (tidy) {
        EXPECT_EQ(pieces, 0u) << "the driver leaks memory";
        expect_tidy();
    }
    EXPECT_EQ(hub.storage.out_of_range, 0u) << "the backend asked for what is not there";
    EXPECT_EQ(hub.oracle.bad_unmaps, 0u);
    EXPECT_EQ(hub.grants.mapped(), 0u) << "the backend leaks mappings";
}

void BentWorld::expect_tidy()
{
    EXPECT_EQ(driver.pages_of_driver, 0u) << "the driver leaks pages";
    EXPECT_EQ(hub.grants.in_use(), 0u) << "grants leaked";
    EXPECT_FALSE(hub.events.is_open()) << "event channel leaked";
    EXPECT_EQ(driver.grants_stuck, 0u);
    EXPECT_EQ(driver.freed_while_granted, 0u);
    EXPECT_EQ(hub.oracle.denied_maps, 0u);
    EXPECT_EQ(hub.oracle.readonly_maps, 0u);
    EXPECT_EQ(hub.oracle.bad_frames, 0u);
    EXPECT_EQ(hub.oracle.bad_revokes, 0u);
    EXPECT_EQ(hub.oracle.foreign_writes, 0u);
}

std::string BentWorld::start()
{
    std::string text = calls_.start().text;
    started_ = text == "Success";
    return text;
}

std::string BentWorld::stop()
{
    started_ = false;
    return calls_.stop().text;
}

std::string BentWorld::read(uint64_t block, size_t bytes, void *to)
{
    return calls_.read(block, bytes, to).text;
}

std::string BentWorld::write(uint64_t block, size_t bytes, void *from)
{
    return calls_.write(block, bytes, from).text;
}

std::byte *BentWorld::buffer(size_t bytes, size_t skip)
{
    std::byte *at = driver.take_buffer(skip + bytes);
    EXPECT_NE(at, nullptr) << "the world is out of pages";
    return at + skip;
}

std::string BentWorld::back_node(const std::string &name) const
{
    return hub.node(hub.config.backend_path + "/" + name);
}

} // namespace pvblk
