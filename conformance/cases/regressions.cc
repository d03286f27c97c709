/* SPDX-License-Identifier: MIT */
/* Cases: bugs that some backend had. */
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

/* A grant reference that no frontend has. */
constexpr GrantRef kNoGrant{0xffff'fff0};

void expect_mapped(Bench &b, uint32_t before, const char *when)
{
    uint32_t now = b.failed() ? before : b.domain.mapped();
    b.expect(now == before, std::string("no page stays mapped after ") + when,
             std::to_string(now) + " pages are mapped, and " + std::to_string(before) + " before");
}

/* The entry of the ring that the last request is in. */
std::byte *slot_at(Bench &b, RingIndex i)
{
    uint32_t slot = i.value & (b.front.size() - 1);
    return b.front.memory() + kSringHeader + slot * wire_layout(b.front.abi()).entry_size;
}

/* ---- advisories ----------------------------------------------------------------- */

void slot_changes_in_flight(Bench &b)
{
    uint64_t other = kFree + 16;
    b.write(other);
    b.domain.hold();
    WireRequest w = b.request(Op::Write, kFree);
    uint32_t pattern = b.fill(w);
    b.may_have_changed(kFree, 8);
    b.send(w);
    look(b);
    if (b.failed())
        return;
    /* A backend that has not looked yet must refuse 255 segments. */
    std::byte *slot = slot_at(b, RingIndex(b.front.index(SringField::ReqProd).value - 1));
    slot[1] = std::byte{255};
    std::memcpy(slot + wire_layout(b.front.abi()).req_sector, &other, sizeof other);
    b.domain.release();
    Answer a = b.answer(w);
    b.expect(a, {{Outcome::Okay, "ring:copy"}, {Outcome::Error, "blkif:max-segments"}});
    if (a.outcome == Outcome::Okay)
        b.written(w, pattern);
    b.read(kFree);
    b.read(other);
}

void response_padding(Bench &b)
{
    if (b.failed())
        return;
    const WireLayout &layout = wire_layout(b.front.abi());
    for (const WireRequest &r : {b.request(Op::Read, 0, 11), b.request(Op::Read, UINT64_MAX / 1024),
                                 b.request(Op(255), 0)}) {
        std::array<std::byte, 112> before{};
        b.front.stage(r);
        /* It is copied before the backend can answer. */
        std::byte *slot = slot_at(b, b.front.index(SringField::ReqProd));
        std::memcpy(before.data(), slot, layout.entry_size);
        if (b.front.publish())
            b.front.notify();
        (void)b.answer(r);
        for (uint32_t i = 0; i < layout.entry_size; i++) {
            bool field =
                i < layout.rsp_op + 1 || (i >= layout.rsp_status && i < layout.rsp_status + 2);
            b.expect(field || slot[i] == before[i] || slot[i] == std::byte{},
                     "a byte outside the response's fields is 0, or as the request left it",
                     "byte " + std::to_string(i) + " of the entry is " +
                         std::to_string(std::to_integer<int>(slot[i])));
        }
    }
}

void watch_flood(Bench &b)
{
    for (uint32_t i = 0; i < 200; i++)
        (void)b.domain.store().write(b.domain.frontend() + "/state",
                                     std::to_string(static_cast<int>(S::Connected)));
    look(b);
    b.read(0);
    b.expect(b.front.their_state() == S::Connected, "the backend stays Connected", their_state(b));
}

void toggle(Bench &b)
{
    for (uint32_t i = 0; i < 10; i++) {
        new_rings(b);
        b.front.state(S::Initialised);
        if (i % 2)
            (void)b.wait_for({S::Connected});
        b.front.state(S::Closed);
        b.front.state(S::Initialising);
    }
    look(b);
    reconnect(b);
}

/* A request of all data pages, but for one that nobody granted. */
WireRequest half_bad(Bench &b, Op op)
{
    WireRequest r = b.request(op, kFree, kMaxDirectSegments);
    r.seg[5].gref = kNoGrant;
    return r;
}

void pages_after_failed_map(Bench &b)
{
    b.may_have_changed(kFree, 88);
    b.expect(b.ask(half_bad(b, Op::Write)), {{Outcome::Error, "blkif:gref"}});
    b.write(kFree, kMaxDirectSegments);
    b.read(kFree, kMaxDirectSegments);
}

void failed_maps_leak(Bench &b)
{
    b.write(kFree, kMaxDirectSegments);
    b.settle();
    uint32_t before = b.domain.mapped();
    for (uint32_t i = 0; i < 20; i++)
        b.expect(b.ask(half_bad(b, Op::Read)), {{Outcome::Error, "blkif:gref"}});
    b.settle();
    expect_mapped(b, before, "20 requests that failed");
}

void unasked_events(Bench &b)
{
    b.read(0);
    b.settle();
    uint32_t events = 0;
    for (uint32_t i = 0; i < 10 && !b.failed(); i++) {
        b.front.notify();
        events += look(b);
    }
    b.expect(events == 0, "the backend sends no event without an answer",
             std::to_string(events) + " events");
}

void unmapped_when_answered(Bench &b)
{
    b.settle();
    uint32_t before = b.domain.mapped();
    b.write(kFree, kMaxDirectSegments);
    expect_mapped(b, before, "a WRITE");
    b.read(kFree, kMaxDirectSegments);
    expect_mapped(b, before, "a READ");
    b.expect(b.ask(b.request(Op::Read, b.offer().sectors)), {{Outcome::Error, "blkif:range"}});
    expect_mapped(b, before, "a request that is refused");
}

void read_keeps_rest(Bench &b)
{
    auto sector = static_cast<uint8_t>(b.offer().sector_size / kSectorSize);
    WireRequest r = b.request(Op::Read, 0, 2);
    r.seg[0].first_sect = static_cast<uint8_t>(8 - sector);
    r.seg[1].last_sect = static_cast<uint8_t>(sector - 1);
    b.poison(r);
    b.expect(b.ask(r), {{Outcome::Okay, "blkif:op"}});
    if (!b.failed())
        b.compare(r);
}

/* READs that end after their connection: their pages are the frontend's again. */
void ends_in_flight(Bench &b)
{
    for (uint32_t round = 0; round < 3; round++) {
        b.domain.hold();
        for (uint32_t i = 0; i < 16 && !b.failed() && b.front.free(); i++)
            b.send(b.request(Op::Read, 8 * i, 2, 2 * i));
        look(b);
        b.front.state(S::Closed);
        expect_closed(b);
        if (b.failed())
            return;
        for (uint32_t i = 0; i < 32; i++)
            std::memset(b.page(i), 0x5a, kPageSize);
        b.domain.release();
        look(b);
        for (uint32_t i = 0; i < 32; i++)
            b.expect(std::all_of(b.page(i), b.page(i) + kPageSize,
                                 [](std::byte x) { return x == std::byte{0x5a}; }),
                     "a closed backend writes to no page",
                     "data page " + std::to_string(i) + " changed");
        reconnect(b);
    }
}

/* ---- fixes --------------------------------------------------------------------------- */

void drain_completion(Bench &b)
{
    b.domain.hold();
    std::array<WireRequest, 3> all{b.request(Op::Write, kFree, 1, 0),
                                   b.request(Op::WriteBarrier, kFree + 8, 1, 1),
                                   b.request(Op::Write, kFree + 16, 1, 2)};
    b.may_have_changed(kFree, 24);
    for (const WireRequest &w : all) {
        b.fill(w);
        b.send(w);
    }
    look(b);
    b.domain.release();
    for (const WireRequest &w : all)
        b.expect(b.answer(w), {{Outcome::Okay, "blkif:barrier"}});
}

void discard_read_only(Bench &b)
{
    b.expect(b.ask(b.discard(0, 8)),
             {{Outcome::Error, "blkif:read-only"}, {Outcome::NotSupported, "blkif:eopnotsupp"}});
}

void quiet_after_closed(Bench &b)
{
    b.front.state(S::Closing);
    (void)b.wait_for({S::Closing, S::Closed});
    b.front.state(S::Closed);
    expect_closed(b);
    if (b.failed())
        return;
    look(b);
    b.front.stage(b.request(Op::Read, 0));
    (void)b.front.publish();
    b.front.notify();
    uint32_t events = look(b);
    b.expect(events == 0, "a closed backend sends no event", std::to_string(events) + " events");
    reconnect(b);
}

/* blkif.h, note 12. */
void large_sectors(Bench &b)
{
    b.write(kFree, 2);
    b.read(kFree, 2);
}

void error_flood(Bench &b)
{
    for (uint32_t round = 0; round < 2 && !b.failed(); round++) {
        std::array<WireRequest, 31> bad;
        for (WireRequest &r : bad) {
            r = b.request(Op::Read, b.offer().sectors);
            b.front.stage(r);
        }
        WireRequest good = b.request(Op::Read, 0);
        b.front.stage(good);
        if (b.front.publish())
            b.front.notify();
        for (const WireRequest &r : bad)
            b.expect(b.answer(r), {{Outcome::Error, "blkif:range"}});
        b.expect(b.answer(good), {{Outcome::Okay, "blkif:op"}});
    }
}

constexpr Case kCases[] = {
    {"xsa/155/slot-changes-in-flight", "ring:copy", Level::Must, Kind::Regression,
     "The frontend changes the entry of a WRITE in flight; the WRITE is the one that was checked.",
     slot_changes_in_flight, kNeedsHold, kAbi},
    {"xsa/216/response-padding", "blkif:padding", Level::Must, Kind::Regression,
     "The padding of a response has nothing of the backend's stack.", response_padding, kNothing,
     kAbi},
    {"xsa/349/watch-flood", "xenbus:state", Level::Practice, Kind::Regression,
     "The frontend writes its state 200 times in a row; the backend goes on.", watch_flood},
    {"xsa/350/connect-and-close", "xenbus:closing", Level::Practice, Kind::Regression,
     "The frontend connects and closes ten times, faster than the backend; the next one connects.",
     toggle, kNothing, kPlain, Start::Waiting},
    {"xsa/365/pages-after-failed-map", "blkif:gref", Level::Must, Kind::Regression,
     "A WRITE with one bad grant among good ones is refused; the good pages serve the next WRITE.",
     pages_after_failed_map, kNothing, kPersistent},
    {"xsa/371/failed-maps-leak", "grant:end-access", Level::Must, Kind::Regression,
     "Requests with one bad grant among good ones leave no page mapped.", failed_maps_leak,
     kNeedsMaps, kPersistent},
    {"xsa/391/unasked-events", "ring:rsp-event", Level::Practice, Kind::Regression,
     "Events without a request get no event in return.", unasked_events, kNeedsQuiet},
    {"xsa/396/unmapped-when-answered", "grant:end-access", Level::Must, Kind::Regression,
     "The pages of a request are unmapped when it is answered.", unmapped_when_answered,
     kNeedsMaps},
    {"xsa/403/read-keeps-rest", "blkif:first-last", Level::Must, Kind::Regression,
     "A READ of single sectors leaves the rest of their pages as it was.", read_keeps_rest,
     kNothing, kPersistent},
    {"xsa/528/ends-in-flight", "xenbus:closing", Level::Practice, Kind::Regression,
     "The frontend goes from Connected to Closed with READs in flight; no page changes later.",
     ends_in_flight, kNeedsHold, kPages | kPersistent},
    {"fix/drain/missed-completion", "blkif:barrier", Level::Must, Kind::Regression,
     "A barrier waits for a WRITE in flight, and another WRITE for the barrier; each is answered.",
     drain_completion, kNeedsHold | kNeedsBarrier},
    {"fix/cve-2013-2140/discard-on-read-only-disk", "blkif:read-only", Level::Must,
     Kind::Regression, "A read-only disk refuses a DISCARD.", discard_read_only, kNeedsReadOnly},
    {"fix/cve-2026-99453/quiet-after-closed", "xenbus:closing", Level::Practice, Kind::Regression,
     "A closed backend sends no event, not even if the frontend sends one.", quiet_after_closed,
     kNeedsQuiet},
    {"fix/large-sectors/no-node", "blkif:feature-large-sector-size", Level::Should,
     Kind::Regression,
     "A frontend without feature-large-sector-size uses a disk of 4096-byte sectors.",
     large_sectors, kNeedsLargeSectors},
    {"fix/error/flood", "blkif:status", Level::Practice, Kind::Regression,
     "A good READ behind 31 bad ones in the same batch is answered OKAY.", error_flood},
};

} // namespace

std::span<const Case> regression_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
