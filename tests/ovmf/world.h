/* SPDX-License-Identifier: MIT */
/*
 * What OVMF's driver stands on, and the backend that it meets: BlockBack on a
 * LoopbackHub, with a toolstack's nodes.
 *
 *     World w;
 *     ASSERT_EQ(w.start(), "Success");
 *     EXPECT_EQ(w.read(0, 4096, buffer), "Success");
 *     EXPECT_EQ(w.stop(), "Success");
 *
 * The world goes on one delivery with each call that the driver makes into
 * it: XenStore, event, fence. So a driver that waits lets time pass, and one
 * that waits for what will never come is seen: nothing is left to deliver.
 *
 * A hostile backend is made of ports: Bend is what the world does to what
 * BlockBack says or holds, so that these tests need nothing of its insides.
 * At its end a World expects that nothing leaked; a test about what does
 * leak says `tidy = false`.
 */
#pragma once

#include "proto/wire.h"
#include "pvblk/loopback.h"
#include "seam.h"
#include "support/pattern.h"
#include "support/spy_ports.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
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

/* Where a barrier is offered, the driver pushes one before each flush. */
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
    std::map<std::string, std::string> front_nodes{{"device-type", "disk"}};
    std::map<std::string, std::string> back_nodes{};
    /* What the backend says instead of the truth. */
    std::map<std::string, std::string, std::less<>> bent_nodes{}, bent_states{};
};

/* For a CD-ROM with a medium. */
WorldSetup cdrom_setup(const std::string &params = "aio:/images/cd.iso");

class World
{
public:
    explicit World(WorldSetup s = {});
    ~World();
    World(const World &) = delete;
    World &operator=(const World &) = delete;

    /* Each returns OvmfOutcome's text. */
    std::string start();
    std::string stop();
    std::string read(uint64_t lba, size_t bytes, void *buffer);
    std::string write(uint64_t lba, size_t bytes, void *buffer);
    std::string flush() { return ovmf_flush().text; }
    OvmfDisk disk() const { return ovmf_disk(); }

    /* A buffer that the driver can grant, `skip` bytes into its first page. */
    std::byte *buffer(size_t bytes, size_t skip = 0);
    std::byte *sector(uint64_t at) { return hub.storage.data.data() + at * kSectorSize; }

    std::string front_node(const std::string &name) const;
    std::string back_node(const std::string &name) const;
    /* The driver said a line with these words. */
    bool said(const std::string &words) const;
    /* The frontend's ring, as long as it is granted; requests ever pushed. */
    SharedRing ring() const;
    uint32_t pushed() const { return ring().load(SringField::ReqProd).value; }

    WorldSetup setup;
    LoopbackHub hub;
    BentStore store{hub.back_store};
    BentGrants back_grants{hub.grants};
    SpyEvents back_events{hub.back_events};
    std::unique_ptr<BlockBack> back;

    bool tidy{true};
    uint32_t grants_made{0};
    uint32_t grants_stuck{0};                    /* ended while the backend had them mapped */
    uint32_t freed_while_granted{0};             /* pages given back too early (XSA-396) */
    std::string front_states{};                  /* written by the driver, one digit each */
    std::vector<WorldStatus> transaction_ends{}; /* instead of success, in order */
    uint32_t transactions{0};

    /* What seam.h's functions of these names do. */
    WorldStatus xs_read(const std::string &path, std::span<char> out);
    WorldStatus xs_write(const std::string &path, const char *value);
    void transaction_start() { transaction_.emplace(); }
    WorldStatus transaction_end(bool abort);
    WorldStatus watch(const std::string &path);
    bool wait();
    uint32_t grant(uint64_t frame, bool readonly);
    bool end_access(uint32_t ref);
    uint32_t open_port();
    bool notify(uint32_t port);
    bool poll();
    void *take_pages(size_t n);
    void free_pages(void *at, size_t n);
    void log(const char *line) { log_.emplace_back(line); }

private:
    struct Write {
        std::string path, value;
    };
    struct Grant {
        enum class Use : uint8_t { Free, Open, Stuck };
        uint64_t page{0};
        Use use{Use::Free};
    };
    void expect_tidy();
    bool apply(const Write &w);
    std::optional<uint64_t> page_of(uint64_t frame) const;

    bool started_{false};
    uint32_t watch_events_{0};
    uint32_t idle_polls_{0};
    uint32_t port_{0};
    std::optional<std::vector<Write>> transaction_{};
    std::vector<Grant> grants_;
    std::vector<bool> pages_; /* of guest RAM: taken */
    size_t pages_of_driver_{0};
    std::vector<std::string> log_{};
};

} // namespace pvblk
