/* SPDX-License-Identifier: MIT */
/*
 * The ports of a frontend on Linux's own Xen devices: /dev/xen/xenbus,
 * /dev/xen/evtchn and /dev/xen/gntalloc. It is a library of its own,
 * pvblk-linux. It needs no library of Xen's, so a program can be static. The
 * program runs as root in a guest of Xen or of QEMU's Xen emulation, or in
 * dom0.
 *
 * Each part works alone. LinuxFront joins them to a BlockFront; examples/vbd.cc
 * reads a sector with it. A frontend of your own, or one that breaks rules on
 * purpose, takes LinuxStore, LinuxEvents and LinuxPages.
 *
 * The kernel needs the modules xen-evtchn and xen-gntalloc. It must not load
 * xen-blkfront, which takes every block device of the domain.
 *
 * gntalloc has these limits:
 * - It grants only pages that it allocated itself. So the data of requests must
 *   be in such pages, too: LinuxGrants has memory for it.
 * - A page is granted when it is allocated, and until it goes. It is either
 *   writable for the peer or not, for good.
 * - Nobody can ask whether the peer still maps a page. LinuxPages::end() gives
 *   the page up all the same. While the peer maps it, the kernel keeps page and
 *   grant, and the peer can map it once more. Nobody else uses the page. The
 *   kernel tries every second, and frees both when the peer has unmapped it.
 * - All programs together have 1024 pages at a time, unless
 *   /sys/module/xen_gntalloc/parameters/limit says otherwise.
 *
 * Errors are sentences that say what to do; Error::value is the errno. Threads:
 * one at a time. Memory is allocated by create(), list() and watch(); no peer
 * can make this grow.
 */
#pragma once

#include "pvblk/front.h"

#include <array>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pvblk
{

/* messages.h: private to this library. */
class XenbusMessages;
enum class XenbusOp : uint32_t;

/* The number of a domain. */
using DomId = Named<struct DomIdTag, uint16_t>;

/* Closes the file descriptor that it owns. */
class LinuxFile
{
public:
    LinuxFile() = default;
    explicit LinuxFile(int fd) : fd_(fd) {}
    LinuxFile(LinuxFile &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    LinuxFile &operator=(LinuxFile &&other) noexcept
    {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~LinuxFile();
    int fd() const { return fd_; }

private:
    int fd_{-1};
};

/*
 * XenStore. Paths are absolute, or relative to the domain's own directory. If
 * the connection ends or breaks the protocol, every later call fails.
 */
class LinuxStore final : public Store
{
public:
    static Result<std::unique_ptr<LinuxStore>> create();
    /* On a connection that is open already, such as a socket of xenstored. */
    explicit LinuxStore(LinuxFile connection);
    ~LinuxStore();

    Result<size_t> read(std::string_view path, std::span<char> out) override;
    Status write(std::string_view path, std::string_view value) override;
    void remove(std::string_view path) override;
    /* The store has one watch. A new one replaces it. */
    Status watch(std::string_view path) override;
    void unwatch() override;
    /* A node's value, and the names of its children. */
    Result<std::string> read(std::string_view path);
    Result<std::vector<std::string>> list(std::string_view path);

    /* Is readable when take() may have news. */
    int fd() const;
    /*
     * Whether the watch fired since the last call. It never waits, and reads at
     * most one message. So call it once before you wait for fd(): the message
     * may have come together with an answer.
     */
    Result<bool> take();

private:
    Status call(XenbusOp op, std::initializer_list<std::string_view> parts);
    void note_event();

    std::unique_ptr<XenbusMessages> messages_;
    std::string watched_{};
    uint32_t token_{0}; /* of the current watch: events with another one are stale */
    uint32_t last_request_{0};
    bool fired_{false};
};

/* Event channels to one other domain. */
class LinuxEvents final : public Events
{
public:
    static Result<std::unique_ptr<LinuxEvents>> create(DomId peer);
    /* On an open /dev/xen/evtchn, which must not block. */
    LinuxEvents(LinuxFile device, DomId peer) : device_(std::move(device)), peer_(peer) {}

    /* Closes the queue's old channel, if there is one. */
    Result<Port> open(uint32_t queue) override;
    Status notify(uint32_t queue) override;
    void close(uint32_t queue) override;

    /* Is readable when take() may have news. */
    int fd() const { return device_.fd(); }
    /* A queue that got an event. It can get the next one from now on. */
    std::optional<uint32_t> take();

private:
    LinuxFile device_;
    DomId peer_;
    std::array<uint32_t, kMaxQueues> ports_{}; /* 0: closed */
};

/*
 * Zeroed pages of kPageSize, granted to another domain. Their addresses follow
 * each other. The pages go one by one, or together with this object.
 */
class LinuxPages
{
public:
    /* `readonly`: the peer cannot write to them. */
    static Result<LinuxPages> create(DomId peer, uint32_t count, bool readonly);
    LinuxPages() = default; /* no pages */
    LinuxPages(LinuxPages &&other) noexcept { *this = std::move(other); }
    LinuxPages &operator=(LinuxPages &&other) noexcept;
    ~LinuxPages() { end(); }

    uint32_t count() const { return static_cast<uint32_t>(refs_.size()); }
    std::byte *page(uint32_t i) const { return base_ + size_t{i} * kPageSize; }
    /* 0 after the page has gone. */
    GrantRef ref(uint32_t i) const { return refs_[i]; }
    /* Ends the grant, also while the peer maps the page: see above. From then on
     * an access to the page's address is a fault (SIGSEGV). */
    void end(uint32_t i);
    /* The same for all pages. None is left: count() is 0. */
    void end();

private:
    Status allocate(DomId peer, bool readonly);
    Status map(uint32_t i);

    LinuxFile device_{};
    std::vector<GrantRef> refs_{};
    std::byte *base_{nullptr};
    uint64_t index_{0}; /* gntalloc's name for the first page */
};

/* Memory for the data of requests: bytes 0 … bytes() - 1. */
class LinuxGuest
{
public:
    LinuxGuest() = default;
    LinuxGuest(LinuxPages pages, uint64_t first) : pages_(std::move(pages)), first_(first) {}
    uint64_t bytes() const { return uint64_t{pages_.count()} * kPageSize; }
    /* The address of a byte in GuestBuffer: a number that only this library
     * knows. */
    uint64_t gpa(uint64_t offset) const { return (first_ << kPageShift) + offset; }
    std::byte *host(uint64_t offset) const { return pages_.page(0) + offset; }
    /* The grant of a frame, if the frame is one of these pages. */
    std::optional<GrantRef> ref(Gfn gfn) const;

private:
    LinuxPages pages_{};
    uint64_t first_{0}; /* frame */
};

struct LinuxGrantsConfig {
    uint32_t grants{0};        /* BlockFront::wanted_grants() */
    uint32_t private_pages{0}; /* BlockFront::wanted_pages() */
    uint32_t read_pages{0};    /* of for_reads */
    uint32_t write_pages{0};   /* of for_writes */
};

/*
 * The grants and pages of a BlockFront. Every page is granted as long as this
 * object lives, and a grant is a page's reference while the front uses it. So:
 *
 * - revoke() only forgets the reference. It never says Busy, and the backend
 *   keeps its access: it can read old data, and change data that has arrived.
 *   All of it is data of this disk. BlockFront::cancel_all() ends no access.
 * - The backend can write to all private pages, also if the front asks for a
 *   grant to read.
 */
class LinuxGrants final : public Grants, public Memory
{
public:
    static Result<std::unique_ptr<LinuxGrants>> create(DomId backend, LinuxGrantsConfig config);

    uint32_t count() const override { return static_cast<uint32_t>(refs_.size()); }
    GrantRef ref(uint32_t index) const override { return refs_[index]; }
    Status grant_frame(uint32_t index, Gfn gfn, bool readonly) override;
    Status grant_page(uint32_t index, PageIndex page, bool readonly) override;
    Status revoke(uint32_t index) override;

    uint32_t pages() const override { return private_.count(); }
    std::byte *page(PageIndex index) override { return private_.page(index.value); }

    /* Memory for any data. */
    const LinuxGuest &for_reads() const { return for_reads_; }
    /* Memory for the data of writes: the backend cannot change it. */
    const LinuxGuest &for_writes() const { return for_writes_; }

private:
    LinuxGrants() = default;

    std::vector<GrantRef> refs_{};
    LinuxPages private_{};
    LinuxGuest for_reads_{}, for_writes_{};
};

/* CLOCK_MONOTONIC. */
class LinuxClock final : public Clock
{
public:
    int64_t now_ns() override;
    void set_deadline(int64_t at_ns) override { deadline_ = at_ns; }

    /* For poll(): `most`, or less if the deadline comes earlier. Negative: no
     * limit. */
    int timeout_ms(int most);
    /* Whether the deadline has passed. It is disarmed then. */
    bool take();

private:
    int64_t deadline_{-1};
};

struct LinuxFrontConfig {
    uint32_t vdev{51712}; /* of the own domain's devices; 51712 is xvda */
    FrontConfig front{};  /* create() sets the paths and the handle */
    uint32_t read_pages{64};
    uint32_t write_pages{64};
    /* Fewer than wanted_pages() are enough: requests then wait for a page. Other
     * programs need some of gntalloc's 1024, too. */
    uint32_t most_private_pages{512};
};

/* A BlockFront for a block device of the own domain, and the loop that drives
 * it. */
class LinuxFront
{
public:
    static Result<std::unique_ptr<LinuxFront>> create(FrontOwner &owner, LinuxFrontConfig config);

    BlockFront &front() { return *front_; }
    const LinuxGuest &for_reads() const { return grants_->for_reads(); }
    const LinuxGuest &for_writes() const { return grants_->for_writes(); }

    /* Sends all that can be sent. If nothing moved, waits for the next event,
     * change or deadline, up to that time (< 0: for ever). Tells the front of
     * it. */
    Status turn(int timeout_ms);

private:
    LinuxFront() = default;
    Status wait(int timeout_ms);

    std::unique_ptr<LinuxStore> store_{};
    std::unique_ptr<LinuxEvents> events_{};
    std::unique_ptr<LinuxGrants> grants_{};
    LinuxClock clock_{};
    std::unique_ptr<BlockFront> front_{};
};

} // namespace pvblk
