/* SPDX-License-Identifier: MIT */
/*
 * Another project's driver in a test: a hub, the driver's world on it, and
 * BlockBack with a toolstack's nodes.
 *
 *     World w; // a BentWorld with the calls of one driver
 *     ASSERT_EQ(w.start(), "Success");
 *     EXPECT_EQ(w.read(0, 4096, w.buffer(4096)), "Success");
 *     EXPECT_EQ(w.stop(), "Success");
 *
 * A hostile backend is made of ports: Bend… is what the world does to what
 * BlockBack says or holds, so that these tests need nothing of its insides. A
 * fault plan does the rest. At its end a world expects that nothing leaked; a
 * test about what does leak says `tidy = false`.
 */
#pragma once

#include "frontends/driver_world.h"
#include "pvblk/fault.h"
#include "support/pattern.h"
#include "support/spy_ports.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace pvblk
{

/* BlockBack's XenStore: notes the states that a frontend gets to see. */
class BentStore final : public PassStore
{
public:
    using PassStore::PassStore;
    Status write(std::string_view path, std::string_view value) override;

    /* By a node's last component: what it says instead. */
    std::map<std::string, std::string, std::less<>> nodes{};
    /* Instead of a state, by its digit. */
    std::map<std::string, std::string, std::less<>> states{};
    std::string seen{}; /* one digit a state */
};

/* BlockBack's mappings: may be kept although it gave them back. */
class BentGrants final : public PassBackGrants
{
public:
    using PassBackGrants::PassBackGrants;
    void unmap(GrantRef ref, std::byte *page) override;
    void let_go();

    bool keep{false};

private:
    struct Kept {
        GrantRef ref;
        std::byte *page;
    };
    std::vector<Kept> kept_{};
};

/* Where a barrier is offered, the drivers push one before each flush. */
inline BackConfig without_barrier()
{
    BackConfig c;
    c.barrier = false;
    return c;
}

struct WorldSetup {
    HubConfig hub{};
    BackConfig back{without_barrier()};
    /* Of the toolstack, relative to each end's directory. */
    std::map<std::string, std::string> front_nodes{};
    std::map<std::string, std::string> back_nodes{};
    /* What the backend says instead of the truth. */
    std::map<std::string, std::string, std::less<>> bent_nodes{}, bent_states{};
    std::string faults{}; /* a plan */
};

class BentWorld
{
public:
    explicit BentWorld(const DriverCalls &calls, WorldSetup s = {});
    ~BentWorld();
    BentWorld(const BentWorld &) = delete;
    BentWorld &operator=(const BentWorld &) = delete;

    /* Each returns DriverOutcome's text. */
    std::string start();
    std::string stop();
    std::string read(uint64_t block, size_t bytes, void *to);
    std::string write(uint64_t block, size_t bytes, void *from);
    std::string flush() { return calls_.flush().text; }
    DriverDisk disk() const { return calls_.disk(); }

    /* A buffer that the driver can grant, `skip` bytes into its first page. It
     * lives as long as the world: what a test owns is not the driver's leak. */
    std::byte *buffer(size_t bytes, size_t skip = 0);
    std::byte *sector(uint64_t at) { return hub.storage.data.data() + at * kSectorSize; }
    std::string front_node(const std::string &name) const { return driver.front_node(name); }
    std::string back_node(const std::string &name) const;
    bool said(const std::string &words) const { return driver.said(words); }
    SharedRing ring() const { return driver.ring(); }
    uint32_t pushed() const { return driver.pushed(); }

    WorldSetup setup;
    LoopbackHub hub;
    conformance::DriverWorld driver{hub};
    BentStore store{hub.back_store};
    BentGrants back_grants{hub.grants};
    SpyEvents back_events{hub.back_events};
    BackFaults faults{};
    std::unique_ptr<BlockBack> back;
    bool tidy{true};

private:
    void expect_tidy();

    const DriverCalls &calls_;
    bool started_{false};
};

/* Whether `text` has these words. */
inline bool has(const std::string &text, const std::string &words)
{
    return text.find(words) != std::string::npos;
}

} // namespace pvblk
