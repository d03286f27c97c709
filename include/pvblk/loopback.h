/* SPDX-License-Identifier: MIT */
/*
 * An in-process provider of all ports: one frontend domain and dom0 on one
 * XenStore, one grant table, one event channel, one virtual clock and a disk
 * in memory. No Xen, no QEMU, no threads: only the calls decide what happens,
 * so a run repeats exactly. Use it to test your frontend or backend against
 * ours.
 *
 * examples/read.cc is a READ on it from beginning to end. In
 * examples/frontend_test.cc another frontend meets our backend, with fault plans.
 *
 * No port calls back from inside a call, except that Storage::submit() may
 * report the end at once. Events and watches are queued; run() delivers them in
 * order until the queue is empty. advance() moves the clock. run_line()
 * delivers one line before the others, as Xen may do.
 *
 * Oracles: `oracle` counts the mistakes that no honest pair makes; nothing
 * asserts. LoopbackHub::fail() makes the n-th call of a kind fail, so that a
 * test can reach every error path.
 *
 * Units: bytes, 512-byte sectors, nanoseconds as the ports say. Threads: one.
 * Ownership: the hub outlives the front and the back. May allocate.
 */
#pragma once

#include "pvblk/back.h"
#include "pvblk/front.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace pvblk
{

class LoopbackHub;

/* Port calls that may fail on demand. */
enum class HubCall : uint8_t {
    StoreRead,
    StoreWrite,
    StoreWatch,
    GrantFrame,
    GrantPage,
    Revoke,
    EventOpen,
    EventNotify,
    BackStoreRead, /* the others are the frontend's */
};
inline constexpr uint32_t kHubCalls = 9;

/* Lines on which deliveries stay in order: a domain's XenStore watches, and
 * the events sent to it. */
enum class HubLine : uint8_t { FrontStore, FrontEvent, BackStore, BackEvent };
inline constexpr uint32_t kHubLines = 4;

/* A domain's access to XenStore. Nodes are kept flat: a directory is the set
 * of paths below it. */
class LoopbackStore final : public Store
{
public:
    /* `may_write`: the only subtree this domain may change; "" for dom0. */
    LoopbackStore(LoopbackHub &hub, std::string may_write)
        : hub_(hub), may_write_(std::move(may_write))
    {
    }
    Result<size_t> read(std::string_view path, std::span<char> out) override;
    Status write(std::string_view path, std::string_view value) override;
    void remove(std::string_view path) override;
    Status watch(std::string_view path) override;
    void unwatch() override;

private:
    friend class LoopbackHub;
    LoopbackHub &hub_;
    std::string may_write_; /* not "": the frontend's store, and fail() applies */
    std::string watched_{};
    uint64_t watch_id_{0}; /* 0: none. Drops queued events of an old watch */
};

/* The frontend domain's grant table, for both ends. */
class LoopbackGrants final : public Grants, public BackGrants
{
public:
    LoopbackGrants(LoopbackHub &hub, uint32_t count) : hub_(hub), entries_(count) {}
    uint32_t count() const override { return static_cast<uint32_t>(entries_.size()); }
    GrantRef ref(uint32_t index) const override { return GrantRef(kFirst + index); }
    Status grant_frame(uint32_t index, Gfn gfn, bool readonly) override;
    Status grant_page(uint32_t index, PageIndex page, bool readonly) override;
    Status revoke(uint32_t index) override;

    Result<std::byte *> map(GrantRef ref, bool readonly) override;
    void unmap(GrantRef ref, std::byte *page) override;

    /* For the end of a test: entries granted, and mappings that exist. */
    uint32_t in_use() const;
    uint32_t mapped() const;
    /* Whether the backend has mapped this page of the guest. */
    bool is_mapped(Gfn gfn) const;

    /* Xen reserves entries 0…7 of a grant table. */
    static constexpr uint32_t kFirst = 8;

private:
    enum class Use : uint8_t { Free, Open, Ended };
    struct Entry {
        Use use{Use::Free};
        bool readonly{false};
        bool is_page{false};
        uint64_t frame{0}; /* gfn, or page index */
        uint32_t maps{0};
    };
    Status grant(uint32_t index, Entry entry);
    std::byte *address(const Entry &entry) const;

    LoopbackHub &hub_;
    std::vector<Entry> entries_;
};

/* The frontend's ends of the event channels. Events that arrive while one is
 * pending merge with it, as in Xen. */
class LoopbackEvents final : public Events
{
public:
    explicit LoopbackEvents(LoopbackHub &hub) : hub_(hub) {}
    Result<Port> open(uint32_t queue) override;
    Status notify(uint32_t queue) override;
    void close(uint32_t queue) override { ends_[queue].open = false; }
    /* Whether any channel is open. */
    bool is_open() const;

private:
    friend class LoopbackBackEvents;
    struct End {
        uint32_t port{0};
        bool open{false};
        bool pending{false};
    };
    LoopbackHub &hub_;
    uint32_t last_port_{0};
    std::array<End, kMaxQueues> ends_{};
};

class LoopbackBackEvents final : public BackEvents
{
public:
    explicit LoopbackBackEvents(LoopbackHub &hub) : hub_(hub) {}
    /* `remote` may be any open port that nobody has bound. */
    Status bind(uint32_t queue, Port remote) override;
    Status notify(uint32_t queue) override;
    void again(uint32_t queue) override;
    void pause(uint32_t) override {} /* one thread: no call is running */
    void unbind(uint32_t queue) override { ends_[queue].port = 0; }
    void later() override;

private:
    friend class LoopbackEvents;
    struct End {
        uint32_t port{0};  /* of the frontend; 0: not bound */
        uint32_t remote{}; /* the frontend's queue with this port */
        bool pending{false};
        bool again{false};
    };
    LoopbackHub &hub_;
    std::array<End, kMaxQueues> ends_{};
};

/* Page-aligned memory of a fixed size; zeroed. */
class LoopbackPages
{
public:
    explicit LoopbackPages(uint32_t pages);
    std::byte *page(uint32_t i) const { return base_ + static_cast<size_t>(i) * kPageSize; }
    uint32_t pages() const { return pages_; }

private:
    std::vector<std::byte> store_;
    std::byte *base_;
    uint32_t pages_;
};

class LoopbackMemory final : public Memory
{
public:
    explicit LoopbackMemory(uint32_t pages) : pages_(pages) {}
    uint32_t pages() const override { return pages_.pages(); }
    std::byte *page(PageIndex index) override { return pages_.page(index.value); }

private:
    LoopbackPages pages_;
};

/* The guest's RAM. Its addresses differ from ours, so a test notices if code
 * mixes them up. */
class LoopbackGuest
{
public:
    static constexpr uint64_t kBase = 0x1'2345'0000; /* guest-physical, bytes */

    explicit LoopbackGuest(uint32_t pages) : pages_(pages) {}
    uint64_t bytes() const { return static_cast<uint64_t>(pages_.pages()) * kPageSize; }
    /* The address of byte `offset` of RAM: the guest's, and ours. */
    uint64_t gpa(uint64_t offset) const { return kBase + offset; }
    std::byte *host(uint64_t offset) const { return pages_.page(0) + offset; }
    /* nullptr: the guest has no RAM there. */
    std::byte *frame(Gfn gfn) const;

private:
    LoopbackPages pages_;
};

class LoopbackClock final : public Clock
{
public:
    int64_t now_ns() override { return now; }
    void set_deadline(int64_t at_ns) override { deadline = at_ns; }

    int64_t now{0};
    int64_t deadline{-1};
};

/* A disk in memory that counts its requests. */
class RamStorage final : public Storage
{
public:
    explicit RamStorage(uint64_t sectors) : data(sectors * kSectorSize) {}
    uint64_t sectors() const override { return data.size() / kSectorSize; }
    void submit(const StorageRequest &req, StorageClient &client) override;
    void drain() override;

    /* While it is set, requests wait for finish(), in any order. */
    bool defer{false};
    size_t waiting() const { return waiting_.size(); }
    const StorageRequest &waiting(size_t i) const { return waiting_[i].req; }
    void finish(size_t i);

    struct Range {
        uint64_t sector, sectors;
    };
    std::vector<std::byte> data;
    std::vector<Range> discards{};
    uint64_t reads{0}, writes{0}, stable_writes{0}, flushes{0}, secure_discards{0};
    /* A backend's bugs. Such a request fails: */
    uint64_t out_of_range{0};     /* requests beyond the end */
    uint64_t too_many_vectors{0}; /* requests of more than kMaxVectors */
    bool fail{false};             /* every operation fails while it is set */

private:
    struct Waiting {
        StorageRequest req;
        StorageClient *client;
    };
    bool work(const StorageRequest &req);
    bool transfer(const StorageRequest &req);
    void discard(const StorageRequest &req);
    std::vector<Waiting> waiting_{};
};

/* Mistakes that an honest frontend and backend never make. */
struct HubOracle {
    uint64_t denied_maps{0};         /* map of a grant that does not exist (any more) */
    uint64_t readonly_maps{0};       /* map for writing of a read-only grant */
    uint64_t bad_frames{0};          /* grant of a frame that is not RAM */
    uint64_t bad_unmaps{0};          /* unmap of a page that is not mapped */
    uint64_t regrants{0};            /* entry granted again while in use */
    uint64_t reused_while_mapped{0}; /* private page granted again while the
                                        peer still maps it (XSA-396) */
    uint64_t bad_revokes{0};         /* revoke of a grant that was never given */
    uint64_t foreign_writes{0};      /* write to a node of another domain */
};

struct HubConfig {
    std::string frontend_path{"/local/domain/1/device/vbd/51712"};
    std::string backend_path{"/local/domain/0/backend/vbd/1/51712"};
    uint32_t guest_pages{1024}; /* of RAM */
    /* Enough for one queue of the default FrontPolicy. Another policy needs at
     * least BlockFront::min_pool(). With wanted_pages() and wanted_grants(),
     * requests never wait for pages or grants. */
    uint32_t private_pages{72};
    uint32_t grants{368};
    uint64_t disk_sectors{8192};
};

/* Receivers of the hub's upcalls. Empty: the upcall is lost. */
struct HubFront {
    std::function<void(uint32_t queue)> event{};
    std::function<void()> store{}, deadline{};
};
struct HubBack {
    std::function<void(uint32_t queue)> event{};
    std::function<void()> store{}, later{};
};

class LoopbackHub
{
public:
    explicit LoopbackHub(HubConfig config = {});
    LoopbackHub(const LoopbackHub &) = delete;
    LoopbackHub &operator=(const LoopbackHub &) = delete;

    FrontPorts front_ports() { return {front_store, grants, events, memory, clock}; }
    BackPorts back_ports() { return {back_store, grants, back_events, storage, nullptr}; }
    /* This object gets the hub's upcalls from now on: sets `front` or `back`. */
    void attach(BlockFront *f);
    void attach(BlockBack *b);
    void detach_front() { front = {}; }
    void detach_back() { back = {}; }

    /* Deliver until the queue is empty. False: it was not empty after `limit`
     * deliveries; two ends keep each other busy. */
    bool run(uint32_t limit = 100'000);
    /* Deliver one. False: the queue was empty. */
    bool run_one();
    /* Deliver the next of this line. False: the line was empty. */
    bool run_line(HubLine line);
    /* run(), then let time pass; deadlines fire on the way. */
    void advance(int64_t ns);

    /* Make the nth call from now (0: the next) of a kind fail, `times` times. */
    void fail(HubCall call, uint32_t nth = 0, uint32_t times = 1);
    void fail_none() { faults_ = {}; }
    uint64_t calls(HubCall call) const { return calls_[static_cast<size_t>(call)]; }
    /* For the hub's own ports: count a call; true if it has to fail. */
    bool faulty(HubCall call);

    /* XenStore without permissions, as a toolstack has it. */
    std::string node(const std::string &path) const;
    bool has_node(const std::string &path) const { return tree.count(path) != 0; }
    void put_node(const std::string &path, const std::string &value);

    const HubConfig config;
    HubOracle oracle{};
    HubFront front{};
    HubBack back{};
    LoopbackStore front_store, back_store;
    LoopbackGrants grants;
    LoopbackEvents events{*this};
    LoopbackBackEvents back_events{*this};
    LoopbackMemory memory;
    LoopbackGuest guest;
    LoopbackClock clock{};
    RamStorage storage;

    /* For the hub's own ports. */
    void changed(const std::string &path);
    void post(HubLine line, std::function<void()> job) { queue_.push_back({line, std::move(job)}); }
    std::map<std::string, std::string, std::less<>> tree{};

private:
    struct Fault {
        uint32_t skip{0}, times{0};
    };
    struct Delivery {
        HubLine line;
        std::function<void()> job;
    };
    std::deque<Delivery> queue_{};
    std::array<Fault, kHubCalls> faults_{};
    std::array<uint64_t, kHubCalls> calls_{};
};

} // namespace pvblk
