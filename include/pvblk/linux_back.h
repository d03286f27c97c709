/* SPDX-License-Identifier: MIT */
/*
 * The ports of a backend on Linux's own Xen devices: /dev/xen/xenbus,
 * /dev/xen/evtchn and /dev/xen/gntdev; and a disk that is a file. They are in the
 * library pvblk-linux, with the ports of a frontend (linux.h). The program runs
 * as root in dom0, or in a driver domain.
 *
 * Each part works alone. LinuxBack joins them to a BlockBack; examples/serve.cc
 * serves a file with it.
 *
 * The kernel needs the modules xen-evtchn and xen-gntdev. A toolstack writes the
 * nodes of both ends. The backend's directory has a type of its own, such as
 * backend/pvblk/1/51712: xen-blkback takes each directory below backend/vbd, and
 * QEMU those below backend/qdisk.
 *
 * A program that dies leaves its nodes, and the frontend waits. The next program
 * that serves the device finds the ring as it was, and goes on. It must offer the
 * same features: the nodes of the first one stay.
 *
 * Errors are sentences that say what to do; Error::value is the errno. Threads:
 * one at a time. The frontend is hostile: it can make nothing here allocate, and
 * no call of turn() last longer than its requests take.
 */
#pragma once

#include "pvblk/back.h"
#include "pvblk/linux.h"

namespace pvblk
{

/* The backend's ends of event channels, all to one frontend's domain. */
class LinuxBackEvents final : public BackEvents
{
public:
    static Result<std::unique_ptr<LinuxBackEvents>> create(DomId frontend);
    /* On an open /dev/xen/evtchn, which must not block. */
    LinuxBackEvents(LinuxFile device, DomId frontend)
        : device_(std::move(device)), frontend_(frontend)
    {
    }

    Status bind(uint32_t queue, Port remote) override;
    Status notify(uint32_t queue) override;
    void again(uint32_t queue) override;
    void pause(uint32_t queue) override;
    void unbind(uint32_t queue) override;
    void later() override { later_ = true; }

    /* Is readable when take() may have news. */
    int fd() const { return device_.fd(); }
    /* Whether take() or take_later() have something now, whatever fd() says. */
    bool pending() const;
    /* A queue that waits for BlockBack::event_received(): the queues take turns.
     * It never waits. */
    std::optional<uint32_t> take();
    /* Whether BlockBack::later() was asked for. */
    bool take_later() { return std::exchange(later_, false); }

private:
    struct End {
        uint32_t port{0}; /* 0: unbound */
        bool on{false};
        bool due{false}; /* an event came, or again() was called */
    };
    void receive();

    LinuxFile device_;
    DomId frontend_;
    std::array<End, kMaxQueues> ends_{};
    uint32_t next_{0}; /* the queue whose turn it is */
    bool later_{false};
};

/*
 * A frontend's pages, each a mapping of its own. Linux allows a process
 * vm.max_map_count mappings, 65530 by default. If a frontend needs more, map()
 * fails, and so do its requests.
 */
class LinuxBackGrants final : public BackGrants
{
public:
    static Result<std::unique_ptr<LinuxBackGrants>> create(DomId frontend);
    /* On an open /dev/xen/gntdev. */
    LinuxBackGrants(LinuxFile device, DomId frontend)
        : device_(std::move(device)), frontend_(frontend)
    {
    }

    Result<std::byte *> map(GrantRef ref, bool readonly) override;
    void unmap(GrantRef ref, std::byte *page) override;
    /* How many pages are mapped now. */
    uint64_t mapped() const { return mapped_; }

private:
    void forget(uint64_t index);

    LinuxFile device_;
    DomId frontend_;
    uint64_t mapped_{0};
};

/*
 * A disk that is a regular file or a block device. submit() does the request
 * before it returns. A discard makes a hole; where the file system has none, it
 * does nothing, which blkif allows. A secure discard writes zeros.
 */
class LinuxStorage final : public Storage
{
public:
    /* Locks the file: a second program gets an error. */
    static Result<std::unique_ptr<LinuxStorage>> open(const std::string &path, bool read_only);
    explicit LinuxStorage(LinuxFile file) : file_(std::move(file)) {}

    uint64_t sectors() const override { return bytes_ / kSectorSize; }
    void submit(const StorageRequest &req, StorageClient &client) override;
    void drain() override {}

    /* Reads the size of the file anew. Then call BlockBack::resized(). */
    Status measure();
    /* The same, after a regular file got this size. */
    Status resize(uint64_t sectors);

private:
    bool work(const StorageRequest &req);
    bool transfer(const StorageRequest &req);
    bool discard(const StorageRequest &req);
    bool erase(const StorageRequest &req);
    bool flush();

    LinuxFile file_;
    uint64_t bytes_{0};
    std::array<struct iovec, kMaxVectors> rest_{}; /* of the request under way */
};

struct LinuxBackConfig {
    DomId frontend{};     /* the domain that uses the device */
    uint32_t vdev{51712}; /* of that domain's devices; 51712 is xvda */
    /* The folder below backend/ that has the device; "": find it. */
    std::string type{};
    BackConfig back{}; /* create() sets the paths */
};

/* The parts of a LinuxBack. */
struct LinuxBackPorts {
    std::unique_ptr<LinuxStore> store{};
    std::unique_ptr<LinuxBackEvents> events{};
    std::unique_ptr<LinuxBackGrants> grants{};
};

/* A BlockBack for one device of another domain or of the own one, and the loop
 * that drives it. */
class LinuxBack
{
public:
    /* Storage, owner and hooks outlive it. BackFaults has hooks (fault.h). */
    static Result<std::unique_ptr<LinuxBack>> create(Storage &storage, LinuxBackConfig config,
                                                     BackOwner *owner = nullptr,
                                                     BackHooks *hooks = nullptr);
    /* The config with the paths of the device's nodes. It believes the backend's
     * own directory alone, since a guest writes the frontend's. */
    static Result<BackConfig> find(LinuxStore &store, const LinuxBackConfig &config);
    /* On ports that are there already; the config has the paths. */
    LinuxBack(LinuxBackPorts ports, Storage &storage, BackConfig config, BackOwner *owner,
              BackHooks *hooks);

    BlockBack &back() { return back_; }
    /* How many of the frontend's pages are mapped now. */
    uint64_t mapped() const { return ports_.grants->mapped(); }

    /* Tells the back what happened. If nothing did, waits for the next event or
     * change, or until `also`, a file descriptor, is readable; up to that time
     * (< 0: for ever). */
    Status turn(int timeout_ms, int also = -1);

private:
    Status wait(int timeout_ms, int also);

    LinuxBackPorts ports_;
    BlockBack back_;
};

} // namespace pvblk
