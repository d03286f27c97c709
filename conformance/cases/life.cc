/* SPDX-License-Identifier: MIT */
/* Cases: connections that end, and those that follow. */
#include "cases/cases.h"
#include "cases/steps.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace pvblk::conformance
{

namespace
{

using namespace steps;
using S = XenbusState;

void initialise(Bench &b)
{
    b.front.drop_rings();
    b.front.forget_nodes();
    b.front.state(S::Initialising);
    expect_state(b, {S::InitWait}, "the backend comes to InitWait for a new frontend");
}

/* WRITEs of a page each, as many as a small ring has. The disk holds them back. */
void fill_ring(Bench &b)
{
    b.domain.hold();
    uint32_t n = b.failed() ? 0 : std::min(b.front.free(), 32u);
    for (uint32_t i = 0; i < n; i++) {
        WireRequest w = b.request(Op::Write, kFree + 8 * i, 1, i);
        b.fill(w);
        b.may_have_changed(w.sector, 8);
        b.send(w);
    }
    look(b);
}

void leave(Bench &b)
{
    b.front.state(S::Closing);
    (void)b.wait_for({S::Closing, S::Closed});
    b.front.state(S::Closed);
    expect_closed(b);
}

/* ---- another connection ----------------------------------------------------- */

void idle(Bench &b)
{
    reconnect(b);
    b.read(0);
}

void ten_times(Bench &b)
{
    for (uint32_t i = 0; i < 10; i++) {
        b.write(kFree + 8 * i);
        reconnect(b);
        b.read(kFree + 8 * i);
    }
}

void in_flight(Bench &b)
{
    fill_ring(b);
    leave(b);
    b.domain.release();
    reconnect(b);
}

void from_init_wait(Bench &b)
{
    leave(b);
    initialise(b);
    connect(b);
}

void from_initialised(Bench &b)
{
    new_rings(b);
    b.front.state(S::Initialised);
    leave(b);
    initialise(b);
    connect(b);
}

void from_closing(Bench &b)
{
    b.front.state(S::Closing);
    (void)b.wait_for({S::Closing, S::Closed});
    b.front.drop_rings();
    b.front.state(S::Closed);
    expect_closed(b);
    initialise(b);
    connect(b);
}

void without_closing(Bench &b)
{
    b.front.state(S::Closed);
    expect_closed(b);
    initialise(b);
    connect(b);
}

/* Connects with rings of this shape, and uses the last of them. */
void connect_as(Bench &b, const Shape &shape)
{
    begin(b);
    b.shape(shape);
    connect(b);
    b.write(kFree, 2, shape.queues - 1);
    b.read(kFree, 2, shape.queues - 1);
}

void other_abi(Bench &b)
{
    connect_as(b, {.abi = Abi::X86_64});
    connect_as(b, {.abi = Abi::X86_32});
    connect_as(b, {.abi = Abi::X86_64});
}

void other_pages(Bench &b)
{
    connect_as(b, {.pages = 1});
    connect_as(b, {.pages = 1u << b.offer().order});
    connect_as(b, {.pages = 1});
}

void other_queues(Bench &b)
{
    connect_as(b, {.queues = 1});
    connect_as(b, {.queues = std::min(b.offer().queues, 4u)});
    connect_as(b, {.queues = 1});
}

void stale_queues(Bench &b)
{
    connect_as(b, {.queues = 2});
    leave(b);
    b.front.drop_rings();
    b.front.remove("multi-queue-num-queues");
    b.front.state(S::Initialising);
    expect_state(b, {S::InitWait}, "the backend comes to InitWait for a new frontend");
    b.shape({});
    connect(b);
    b.read(0);
}

void data_survives(Bench &b)
{
    b.write(kFree, 11);
    b.write(kFree + 128);
    reconnect(b);
    b.read(kFree, 11);
    b.read(kFree + 128);
}

void after_flush(Bench &b)
{
    b.write(kFree, 4);
    b.expect(b.ask(b.request(Op::FlushDiskcache, 0, 0)), {{Outcome::Okay, "blkif:flush"}});
    reconnect(b);
    b.read(kFree, 4);
}

/* ---- the end of a connection ---------------------------------------------------- */

void expect_unmapped(Bench &b)
{
    uint32_t mapped = b.failed() ? 0 : b.domain.mapped();
    b.expect(mapped == 0, "a closed backend has no page mapped",
             std::to_string(mapped) + " pages are mapped");
}

void close_unmaps(Bench &b)
{
    b.write(kFree, 11);
    b.read(kFree, 11);
    leave(b);
    expect_unmapped(b);
    reconnect(b);
}

void close_unmaps_in_flight(Bench &b)
{
    fill_ring(b);
    leave(b);
    expect_unmapped(b);
    reconnect(b);
}

void close_leaves_ring(Bench &b)
{
    constexpr std::byte kMark{0x5a};
    fill_ring(b);
    leave(b);
    if (b.failed())
        return;
    std::fill_n(b.front.memory(), kPageSize, kMark);
    b.domain.release();
    b.front.state(S::Initialising);
    expect_state(b, {S::InitWait}, "the backend comes to InitWait for a new frontend");
    bool same = std::all_of(b.front.memory(), b.front.memory() + kPageSize,
                            [](std::byte x) { return x == kMark; });
    b.expect(same, "a closed backend writes nothing to the ring", "the ring's page changed");
    reconnect(b);
}

void closing_serves(Bench &b)
{
    b.domain.hold();
    WireRequest w = b.request(Op::Write, kFree);
    uint32_t pattern = b.fill(w);
    b.may_have_changed(kFree, 8);
    b.send(w);
    look(b);
    b.front.state(S::Closing);
    (void)b.wait_for({S::Closing});
    b.domain.release();
    b.expect(b.answer(w), {{Outcome::Okay, "xenbus:closing"}});
    if (!b.failed())
        b.written(w, pattern);
    reconnect(b);
    b.read(kFree);
}

void request_after_closing(Bench &b)
{
    b.front.state(S::Closing);
    (void)b.wait_for({S::Closing, S::Closed});
    WireRequest w = b.request(Op::Write, kFree);
    b.fill(w);
    b.may_have_changed(kFree, 8);
    b.send(w);
    look(b);
    b.front.state(S::Closed);
    expect_closed(b);
    reconnect(b);
}

/* The directory itself is the toolstack's. */
void nodes_removed(Bench &b)
{
    fill_ring(b);
    b.front.forget_nodes();
    b.front.remove("state");
    bool gone = b.wait_for({S::Closed, S::Unknown, S::InitWait});
    b.expect(gone, "the backend ends the connection of a frontend that is gone", their_state(b));
    expect_unmapped(b);
    b.domain.release();
    b.domain.restart();
    reconnect(b);
}

/* ---- a frontend that starts over without closing ----------------------------------- */

void crash_initialising(Bench &b)
{
    b.write(kFree);
    initialise(b);
    connect(b);
    b.read(kFree);
}

void crash_initialised(Bench &b)
{
    b.write(kFree);
    new_rings(b);
    b.front.state(S::Initialised);
    look(b);
    b.read(kFree);
    b.front.state(S::Connected);
}

void crash_connected(Bench &b)
{
    b.write(kFree);
    b.shape({.abi = Abi::X86_32});
    new_rings(b);
    b.front.state(S::Connected);
    look(b);
    b.read(kFree);
}

/* A frontend with the ring's page and the event channel of one that died. */
class Heir
{
public:
    explicit Heir(Bench &b)
        : bench_(b), ring_(fresh(SharedRing(b.front.abi(), {b.front.memory()}, 1)))
    {
    }
    bool read(uint64_t sector)
    {
        WireRequest r = bench_.request(Op::Read, sector);
        bench_.poison(r);
        ring_.stage(r);
        if (ring_.publish())
            bench_.front.notify();
        (void)ring_.rearm();
        (void)bench_.until([this] {
            auto answers = ring_.responses();
            return !answers || answers.value();
        });
        auto n = ring_.responses();
        if (!n || n.value() != 1)
            return false;
        WireResponse rsp = ring_.take();
        bench_.compare(r);
        return rsp.id == r.id && rsp.status == static_cast<int16_t>(RspStatus::Okay);
    }

private:
    static SharedRing fresh(SharedRing ring)
    {
        ring.init();
        return ring;
    }
    Bench &bench_;
    FrontRing<SharedRing> ring_;
};

void crash_same_ring(Bench &b)
{
    b.write(kFree);
    b.read(kFree);
    if (b.failed())
        return;
    Heir heir(b);
    b.front.state(S::Initialised);
    look(b);
    bool served = heir.read(kFree);
    b.expect(served, "the first READ of the new frontend is answered OKAY",
             "rsp_prod = " + std::to_string(b.front.index(SringField::RspProd).value));
    reconnect(b);
}

void crash_in_flight(Bench &b)
{
    fill_ring(b);
    initialise(b);
    b.domain.release();
    connect(b);
}

void crash_old_write(Bench &b)
{
    fill_ring(b);
    initialise(b);
    b.domain.release();
    connect(b);
    b.write(kFree, 11);
    b.settle();
    b.read(kFree, 11);
}

void crash_faster(Bench &b)
{
    b.front.state(S::Closing);
    b.front.state(S::Closed);
    initialise(b);
    connect(b);
}

/* ---- another size --------------------------------------------------------------------- */

/* Changes the size of the disk until the end of the case. */
class Resized
{
public:
    explicit Resized(Bench &b) : bench_(b), kept_(b.disk()), sectors_(b.offer().sectors) {}
    ~Resized()
    {
        bench_.domain.resize(sectors_);
        (void)reached(sectors_);
        bench_.read_size();
        bench_.disk() = kept_;
        /* What lay beyond a smaller end. */
        for (uint64_t s = 256; lost_ && s > 0 && bench_.connected(); s -= 64)
            bench_.write(sectors_ - s, 8);
    }
    Resized(const Resized &) = delete;
    Resized &operator=(const Resized &) = delete;

    uint64_t original() const { return sectors_; }
    void to(uint64_t sectors)
    {
        if (sectors < sectors_) {
            kept_.unknown(Sector(sectors), sectors_ - sectors);
            lost_ = true;
        }
        bench_.domain.resize(sectors);
        bench_.expect(reached(sectors), "the node sectors is " + std::to_string(sectors),
                      std::to_string(bench_.front.number("sectors")));
        bench_.read_size();
    }

private:
    bool reached(uint64_t sectors)
    {
        constexpr std::chrono::seconds kPatience{3};
        Domain &d = bench_.domain;
        for (auto end = d.now() + kPatience; bench_.front.number("sectors") != sectors;) {
            Woken woken = d.wait(kPatience);
            /* A backend that only makes noise gains no time. */
            if (woken == Woken::Quiet || woken == Woken::TimeUp || d.now() >= end)
                return bench_.front.number("sectors") == sectors;
        }
        return true;
    }
    Bench &bench_;
    Disk kept_;
    uint64_t sectors_;
    bool lost_{false};
};

void still_connected(Bench &b)
{
    expect_state(b, {S::Connected}, "the backend stays Connected");
}

void grows(Bench &b)
{
    Resized size(b);
    size.to(size.original() + 1024);
    still_connected(b);
    b.write(size.original() + 512, 4);
    b.read(size.original() + 512, 4);
    b.expect(b.ask(b.request(Op::Read, size.original() + 1024)), {{Outcome::Error, "blkif:range"}});
}

void shrinks(Bench &b)
{
    Resized size(b);
    size.to(size.original() / 2);
    still_connected(b);
    b.expect(b.ask(b.request(Op::Read, size.original() / 2 - 8)), {{Outcome::Okay, "blkif:op"}});
    b.expect(b.ask(b.request(Op::Read, size.original() / 2)), {{Outcome::Error, "blkif:range"}});
}

void grows_in_flight(Bench &b)
{
    b.domain.hold();
    WireRequest r = b.request(Op::Read, 0);
    b.send(r);
    look(b);
    Resized size(b);
    size.to(size.original() + 1024);
    b.domain.release();
    b.expect(b.answer(r), {{Outcome::Okay, "blkif:resize"}});
}

void shrinks_in_flight(Bench &b)
{
    b.domain.hold();
    WireRequest r = b.request(Op::Read, b.offer().sectors - 8);
    b.send(r);
    look(b);
    Resized size(b);
    size.to(size.original() / 2);
    b.domain.release();
    b.expect(b.answer(r), {{Outcome::Okay, "blkif:resize"}, {Outcome::Error, "blkif:range"}});
    still_connected(b);
}

void resized_while_waiting(Bench &b)
{
    Resized size(b);
    size.to(size.original() + 1024);
    connect(b);
    b.expect(b.offer().sectors == size.original() + 1024,
             "a new connection begins with the new size", std::to_string(b.offer().sectors));
    b.write(size.original() + 512);
    b.read(size.original() + 512);
}

/* ---- a backend that comes back ----------------------------------------------------------- */

void restart_idle(Bench &b)
{
    b.write(kFree);
    b.domain.restart();
    reconnect(b);
    b.read(kFree);
}

void restart_in_flight(Bench &b)
{
    fill_ring(b);
    b.domain.restart();
    b.domain.release();
    reconnect(b);
}

void restart_waiting(Bench &b)
{
    b.domain.restart();
    expect_state(b, {S::InitWait}, "a backend that comes back waits for its frontend");
    connect(b);
}

void restart_same_rings(Bench &b)
{
    std::array<std::byte, kPageSize> before{};
    b.write(kFree);
    b.read(kFree);
    if (b.failed())
        return;
    std::memcpy(before.data(), b.front.memory(), kPageSize);
    b.domain.restart();
    bool goes_on = b.wait_for({S::Connected});
    look(b);
    bool kept = std::memcmp(before.data() + kSringHeader, b.front.memory() + kSringHeader,
                            kPageSize - kSringHeader) == 0;
    b.expect(kept, "a backend that comes back answers nothing twice", "old entries changed");
    b.saw(goes_on ? "goes on with the same rings" : "waits for new rings");
    if (goes_on)
        b.read(kFree);
    reconnect(b);
}

constexpr Case kCases[] = {
    {"life/reconnect/idle", "xenbus:states", Level::Practice, Kind::Valid,
     "A frontend that closed connects again with new rings; each driver that is loaded twice "
     "relies on it.",
     idle, kNothing, kAllAxes},
    {"life/reconnect/ten-times", "xenbus:states", Level::Practice, Kind::Liveness,
     "A frontend connects ten times in a row.", ten_times},
    {"life/reconnect/in-flight", "xenbus:closing", Level::Practice, Kind::Liveness,
     "A frontend closes with 32 WRITEs in flight, and connects again.", in_flight, kNeedsHold,
     kPages | kPersistent},
    {"life/reconnect/from-init-wait", "xenbus:closing", Level::Practice, Kind::Boundary,
     "A frontend closes before it made its rings; the next one connects.", from_init_wait, kNothing,
     kPlain, Start::Waiting},
    {"life/reconnect/from-initialised", "xenbus:closing", Level::Practice, Kind::Boundary,
     "A frontend closes at once after Initialised; the next one connects.", from_initialised,
     kNothing, kPlain, Start::Waiting},
    {"life/reconnect/from-closing", "xenbus:closing", Level::Practice, Kind::Boundary,
     "A frontend dies in Closing; the next one writes Closed and Initialising, and connects.",
     from_closing},
    {"life/reconnect/without-closing", "xenbus:closing", Level::Practice, Kind::Boundary,
     "A frontend goes from Connected to Closed; the backend closes, and the next one connects.",
     without_closing},
    {"life/reconnect/other-abi", "blkif:abi", Level::Practice, Kind::Valid,
     "A frontend of the other ABI follows, and one of the first ABI follows it.", other_abi,
     kNothing, kPlain, Start::Waiting},
    {"life/reconnect/other-pages", "ring:multi-page", Level::Practice, Kind::Valid,
     "A frontend with the largest ring follows one of a single page, and the other way round.",
     other_pages, kNeedsPages, kPlain, Start::Waiting},
    {"life/reconnect/other-queues", "blkif:multi-queue", Level::Practice, Kind::Valid,
     "A frontend with several queues follows one with a single queue, and the other way round.",
     other_queues, kNeedsQueues, kPlain, Start::Waiting},
    {"life/reconnect/stale-queues", "blkif:one-queue", Level::Must, Kind::Boundary,
     "A frontend with one queue connects although an earlier one left its queue-0 and queue-1.",
     stale_queues, kNeedsQueues, kPlain, Start::Waiting},
    {"life/reconnect/data-survives", "blkif:op", Level::Must, Kind::Valid,
     "A READ returns what a WRITE of the connection before wrote.", data_survives, kNothing,
     kAllAxes},
    {"life/reconnect/after-flush", "blkif:flush", Level::Must, Kind::Valid,
     "A READ returns what was written and flushed in the connection before.", after_flush,
     kNeedsFlush},
    {"life/close/unmaps", "xenbus:closing", Level::Practice, Kind::Valid,
     "A closed backend has no page mapped; a frontend ends its grants then.", close_unmaps,
     kNeedsMaps, kPages | kQueues | kPersistent},
    {"life/close/unmaps-in-flight", "xenbus:closing", Level::Practice, Kind::Liveness,
     "A backend that closed with requests in flight has no page mapped.", close_unmaps_in_flight,
     kNeedsMaps | kNeedsHold, kPersistent},
    {"life/close/leaves-ring", "xenbus:closing", Level::Practice, Kind::Liveness,
     "A backend that closed with requests in flight writes no answer to the ring later.",
     close_leaves_ring, kNeedsHold},
    {"life/close/closing-serves", "xenbus:closing", Level::Practice, Kind::Valid,
     "A WRITE that is in flight when the frontend says Closing is answered.", closing_serves,
     kNeedsHold},
    {"life/close/request-after-closing", "xenbus:closing", Level::May, Kind::Hostile,
     "A frontend sends a WRITE after Closing; it may be lost, and the next frontend connects.",
     request_after_closing},
    {"life/close/nodes-removed", "xenbus:state", Level::Practice, Kind::Hostile,
     "The nodes of a frontend go while WRITEs are in flight; the backend lets go of its pages.",
     nodes_removed, kNeedsHold | kNeedsRestart | kNeedsMaps},
    {"life/crash/initialising", "xenbus:crash", Level::Practice, Kind::Liveness,
     "A new frontend says Initialising while the backend is Connected, as after a crash; it "
     "connects.",
     crash_initialising},
    {"life/crash/initialised", "xenbus:crash", Level::Practice, Kind::Liveness,
     "A new frontend says Initialised with other rings while the backend is Connected; it is "
     "served.",
     crash_initialised},
    {"life/crash/connected", "xenbus:crash", Level::Practice, Kind::Liveness,
     "A new frontend of the other ABI says only Connected, as win-xenvbd's crash driver does; it "
     "is served.",
     crash_connected},
    {"life/crash/same-ring", "xenbus:crash", Level::Practice, Kind::Liveness,
     "A new frontend says Initialised with a fresh ring in the old page; it is served from index "
     "0.",
     crash_same_ring},
    {"life/crash/in-flight", "xenbus:crash", Level::Practice, Kind::Liveness,
     "A new frontend says Initialising while WRITEs of the old one are in flight; it connects.",
     crash_in_flight, kNeedsHold},
    {"life/crash/old-write", "xenbus:crash", Level::Practice, Kind::Liveness,
     "A WRITE of a frontend that died never comes after a WRITE of the next one.", crash_old_write,
     kNeedsHold},
    {"life/crash/faster-than-backend", "xenbus:skip-tolerate", Level::May, Kind::Boundary,
     "A frontend writes Closing, Closed and Initialising without a wait; it connects.",
     crash_faster},
    {"life/resize/grows", "blkif:resize", Level::Practice, Kind::Valid,
     "A disk grows in use: the node sectors follows, and its new sectors are served.", grows,
     kNeedsResize},
    {"life/resize/shrinks", "blkif:resize", Level::Practice, Kind::Boundary,
     "A disk shrinks in use: the node sectors follows, and a READ beyond the new end is refused.",
     shrinks, kNeedsResize},
    {"life/resize/grows-in-flight", "blkif:resize", Level::Practice, Kind::Liveness,
     "A disk grows while a READ is in flight; the READ is answered OKAY.", grows_in_flight,
     kNeedsResize | kNeedsHold},
    {"life/resize/shrinks-in-flight", "blkif:resize", Level::Practice, Kind::Liveness,
     "A disk shrinks below a READ that is in flight; the READ is answered.", shrinks_in_flight,
     kNeedsResize | kNeedsHold},
    {"life/resize/while-waiting", "blkif:resize", Level::Practice, Kind::Boundary,
     "A disk grows while no frontend is connected; the next one finds the new size.",
     resized_while_waiting, kNeedsResize, kPlain, Start::Waiting},
    {"life/restart/idle", "xenbus:return", Level::Practice, Kind::Liveness,
     "The backend goes and comes back; the frontend connects again and finds its data.",
     restart_idle, kNeedsRestart},
    {"life/restart/in-flight", "xenbus:return", Level::Practice, Kind::Liveness,
     "The backend goes with WRITEs in flight and comes back; the frontend connects again.",
     restart_in_flight, kNeedsRestart | kNeedsHold},
    {"life/restart/while-waiting", "xenbus:return", Level::Practice, Kind::Boundary,
     "The backend goes before its frontend connects; it comes back to InitWait.", restart_waiting,
     kNeedsRestart, kPlain, Start::Waiting},
    {"life/restart/same-rings", "ring:front-inits", Level::May, Kind::Boundary,
     "A backend that comes back and connects to the old rings goes on where they stopped.",
     restart_same_rings, kNeedsRestart},
};

} // namespace

std::span<const Case> life_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
