/* SPDX-License-Identifier: MIT */
/*
 * The bench: what the body of a case works with. It connects, asks, waits and
 * judges. The first thing that is not as it must be ends the case: calls after
 * it do nothing, so that a body is a straight line without ifs.
 */
#pragma once

#include "case.h"
#include "disk.h"
#include "front.h"

#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pvblk::conformance
{

/* What may come of a request. */
enum class Outcome : uint8_t { Okay, Error, NotSupported, Nothing, Other };
const char *outcome_name(Outcome o);

/* One of the legal outcomes, and the clause that allows it. */
struct Legal {
    Outcome outcome{};
    const char *clause{};
};

struct Answer {
    Outcome outcome{Outcome::Nothing};
    WireResponse rsp{};
};

/* Sectors of the disk, in units of 512 bytes. */
struct Extent {
    uint64_t at{0}, sectors{0};
    uint64_t end() const { return at + sectors; }
};

/* The backend's offer: its nodes when it is Connected. */
struct Offer {
    uint64_t sectors{0}; /* in units of 512 bytes */
    uint32_t sector_size{kSectorSize};
    uint64_t info{0};
    uint32_t order{0}, queues{1}, indirect{0};
    bool flush{false}, barrier{false}, discard{false}, secure{false}, persistent{false};
    bool readonly{false};
    bool ring_pages{false}; /* the scheme of max-ring-pages, too */
    /* For discards: a granule, a page long at least, with as many sectors before it and a
     * page after it. Empty: the disk is too small for that. */
    Extent granule{};
    /* As bits of Need. */
    uint32_t has() const;
};

class Bench
{
public:
    /* Data pages that a request of request() names: the most of an indirect one. */
    static constexpr uint32_t kDataPages = 40;

    Bench(Domain &domain, Log &log, std::chrono::milliseconds patience);
    ~Bench();
    Bench(const Bench &) = delete;
    Bench &operator=(const Bench &) = delete;

    /* ---- life: what an honest frontend does */
    /* From whatever was before: Closing, Closed, Initialising, until the backend
     * is in InitWait. False: it does not come there. */
    bool begin();
    /* From InitWait to Connected. */
    bool connect(const Shape &shape);
    bool connect() { return connect(shape()); }
    /* connect() in steps, for a case that bends something in between: rings of this
     * shape and their nodes, */
    bool make_rings(const Shape &shape, RingIndex begin = {});
    bool make_rings() { return make_rings(shape()); }
    /* then Initialised, or the state `as`. The backend must connect, */
    bool finish_connect(XenbusState as = XenbusState::Initialised);
    /* or may refuse: false. */
    bool try_connect(XenbusState as = XenbusState::Initialised);
    /* Closing and Closed, until the backend is Closed; rings are dropped. */
    bool close();
    /* The same, and the rings stay: a backend that has closed does nothing any more
     * with their memory, so it can be judged. */
    bool leave();
    bool reconnect() { return close() && begin() && connect(); }
    /* Waits until the backend is in one of these states. */
    bool wait_for(std::initializer_list<XenbusState> states);
    /* Gives the backend time to act on a node. No failure may come of it: a backend
     * that takes longer is only seen less. */
    void pause();
    /* Waits until nothing comes any more. Needs no ability: without kSeesQuiet
     * it asks for a READ, and is content with its answer. */
    void settle();
    /* Looks until it holds, and asks for no event. False: it does not come to hold. */
    bool until(const std::function<bool()> &holds);
    /* The same for what need not come: a short look. */
    bool soon(const std::function<bool()> &holds);
    /* Waits for an event of a ring. False: none comes. */
    bool woken();
    /* The shape of this run's rings: plain, or along one axis. */
    const Shape &shape() const { return shape_; }
    void shape(const Shape &s) { shape_ = s; }
    bool connected() const { return connected_; }
    /* Looks at the backend's state. If it has left, so have we. */
    bool still_connected();
    /* A backend that is still Connected, after it had time to act, answers a READ. */
    void serve_or_leave();
    const Offer &offer() const { return offer_; }
    /* All that the backend offers. A later connection has the size read anew, alone: each
     * node is a way to XenStore and back. */
    void read_offer();
    void read_size();

    /* ---- requests */
    /* A request of whole pages, `segments` of the data pages from `first` on. */
    WireRequest request(Op op, uint64_t sector, uint32_t segments = 1, uint32_t first = 0);
    /* An indirect one. Its list is on the last data pages. */
    WireRequest indirect(Op op, uint64_t sector, uint32_t segments);
    /* An indirect one of any segments. Its lists are on pages of the case's own. */
    WireRequest indirect(Op op, uint64_t sector, std::span<const WireSegment> segments);
    WireRequest discard(uint64_t sector, uint64_t sectors, uint8_t flag = 0);
    std::byte *page(uint32_t i);
    GrantRef ref(uint32_t i);
    SharedPage &shared(uint32_t i);
    /* A page of the case's own; it is ended with the case. */
    SharedPage own_page(bool readonly = false, Grantee to = Grantee::Backend);
    /* Ends such a page before the case ends. */
    void end_page(const SharedPage &page);
    /* Puts it on the ring, and sends an event if the backend asked for one. */
    void send(const WireRequest &req, uint32_t queue = 0);
    /* The answer of this request, checked for ID and operation. Others that come
     * before it are kept for their own answer(). */
    Answer answer(const WireRequest &req, uint32_t queue = 0);
    Answer ask(const WireRequest &req, uint32_t queue = 0);
    /* The next answer, whatever it is: for requests that are themselves wrong. */
    std::optional<WireResponse> any_answer(uint32_t queue = 0);

    /* ---- data: the disk's model is kept right */
    /* A WRITE of a new pattern, answered OKAY. */
    void write(uint64_t sector, uint32_t segments = 1, uint32_t queue = 0);
    /* A READ, answered OKAY, of what was written. */
    void read(uint64_t sector, uint32_t segments = 1, uint32_t queue = 0);
    /* Fills the pages of a WRITE, and notes what the disk holds once it is done. */
    uint32_t fill(const WireRequest &req);
    void written(const WireRequest &req, uint32_t pattern);
    void may_have_changed(uint64_t sector, uint64_t sectors)
    {
        disk_->unknown(Sector(sector), sectors);
    }
    void may_have_changed(const WireRequest &req) { may_have_changed(req.sector, sectors_of(req)); }
    /* Compares pages of a READ, from its first to its last sector each, with the
     * disk, and the rest of each page with what poison() put there. */
    void poison(const WireRequest &req);
    void compare(const WireRequest &req);
    /* A READ finds in each of these sectors one of these patterns. */
    static constexpr uint32_t kZeros = 0;
    void expect_content(uint64_t sector, uint64_t sectors,
                        std::initializer_list<uint32_t> patterns);
    Disk &disk() { return *disk_; }

    /* ---- judgement */
    /* The answer is one of these. */
    void expect(const Answer &a, std::initializer_list<Legal> legal);
    void expect(bool holds, const std::string &expected, const std::string &seen);
    /* The same of a step of the life, such as close(): the backend's state is seen. */
    void arrives(bool did, const std::string &expected);
    /* For the report of a case that passes, too. */
    void saw(const std::string &what);
    void cannot(const std::string &why); /* the suite's own trouble */
    bool failed() const { return failed_ || could_not(); }

    Domain &domain;
    Front front;

    /* For the runner. */
    void start_case();
    void end_case();
    bool has_failed() const { return failed_; }
    bool could_not() const { return !failed_ && !trouble().empty(); }
    const std::string &expected() const { return expected_; }
    const std::string &seen() const { return seen_; }
    const std::string &trouble() const { return trouble_.empty() ? front.trouble() : trouble_; }

private:
    struct Early {
        uint32_t queue{0};
        WireResponse rsp{};
    };
    bool share_pages();
    /* From Closed on both sides. */
    bool start_over();
    bool wait_for(std::initializer_list<XenbusState> states, std::chrono::milliseconds patience);
    void be_connected(XenbusState as);
    /* nullptr: it is no page of ours. */
    std::byte *page_of(GrantRef ref) const;
    /* The segments of a request, from its lists if it is indirect. */
    std::vector<WireSegment> segments_of(const WireRequest &req) const;
    uint64_t sectors_of(const WireRequest &req) const;
    template <class Visit>
    void each_segment(const WireRequest &req, Visit visit) const;
    void check_echo(const WireRequest &req, const WireResponse &rsp);
    /* Until something happens, or the patience that began at `begun` is over: a
     * backend that only makes noise gains no time. */
    Woken wait(std::chrono::microseconds begun, std::chrono::milliseconds patience);
    /* What was waited for since `begun` has come. */
    void came(std::chrono::microseconds begun);
    bool until(const std::function<bool()> &holds, std::chrono::milliseconds patience);
    /* For what need not come at all: several times as long as what had to come took of
     * late. */
    std::chrono::milliseconds short_patience() const;

    std::chrono::milliseconds patience_;
    /* Of what came; it fades, so that one slow moment of the machine does not last. */
    std::chrono::microseconds slowest_{0};
    Shape shape_{};
    Offer offer_{};
    std::optional<Disk> disk_{};
    std::vector<SharedPage> pages_{}, own_{};
    std::vector<Early> early_{};
    bool begun_{false}, connected_{false}, failed_{false};
    std::string expected_{}, seen_{}, trouble_{};
};

} // namespace pvblk::conformance
