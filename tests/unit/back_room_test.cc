/* SPDX-License-Identifier: MIT */
/*
 * What a backend has in memory for a frontend's requests: so much and no more,
 * whatever they ask for (BackConfig::max_segments_in_flight), and nothing is
 * allocated for one. A request that finds no room waits, and so does what is
 * behind it on its ring. A program of its own, because it replaces the global
 * operator new. Serves ring:in-flight.
 */
#include "back/room.h"
#include "support/counting_new.h"
#include "support/paused_ports.h"
#include "support/random.h"
#include "support/rig_front.h"

namespace
{

using namespace pvblk;

/* ---- places in a table ----------------------------------------------------- */

struct Places {
    uint32_t at, count;
};

TEST(BackRoom, PlacesAreOneTakersAtATime)
{
    constexpr uint32_t kSize = 64, kTakers = 16;
    Room room;
    room.start(kSize, kTakers);
    std::vector<Places> taken;
    std::vector<bool> used(kSize);
    Random random(1);
    auto rnd = [&random](uint32_t n) { return random.below(n); };
    auto fits = [&used](uint32_t count) {
        uint32_t row = 0;
        for (bool u : used)
            if ((row = u ? 0 : row + 1) == count)
                return true;
        return false;
    };
    for (int i = 0; i < 20000; i++) {
        if (taken.size() < kTakers && rnd(2)) {
            uint32_t count = 1 + rnd(rnd(8) ? 8 : kSize);
            bool expected = fits(count);
            auto at = room.take(count);
            ASSERT_EQ(at.has_value(), expected) << i;
            for (uint32_t p = 0; at && p < count; p++) {
                ASSERT_LT(*at + p, kSize);
                ASSERT_FALSE(used[*at + p]) << i;
                used[*at + p] = true;
            }
            if (at)
                taken.push_back({*at, count});
        } else if (!taken.empty()) {
            size_t which = rnd(static_cast<uint32_t>(taken.size()));
            Places p = taken[which];
            taken.erase(taken.begin() + static_cast<std::ptrdiff_t>(which));
            for (uint32_t k = 0; k < p.count; k++)
                used[p.at + k] = false;
            room.give_back(p.at, p.count);
        }
    }
    for (const Places &p : taken)
        room.give_back(p.at, p.count);
    EXPECT_EQ(room.take(kSize), 0u) << "all of it, in one piece";
}

/* ---- a frontend that wants much --------------------------------------------- */

constexpr uint32_t kList = 500; /* the guest's frames of lists begin there */

RigSetup narrow(uint32_t max_indirect, uint32_t in_flight)
{
    RigSetup s;
    s.back = BackConfig{};
    s.back.max_indirect_segments = max_indirect;
    s.back.max_segments_in_flight = in_flight;
    s.back.max_queues = 4;
    s.hub.grants = 700;
    s.hub.guest_pages = 600;
    return s;
}

/* Everything that a frontend can ask for by its nodes. */
TEST(BackRoom, MemoryOfAConnectionIsBounded)
{
    for (uint32_t in_flight : {4096u, 16384u}) {
        RigSetup s;
        s.back = BackConfig{};
        s.back.max_queues = kMaxQueues;
        s.back.max_indirect_segments = kMaxIndirectSegments;
        s.back.max_segments_in_flight = in_flight;
        s.hub.private_pages = kMaxQueues * kMaxRingPages;
        Rig rig(s);
        RigFront f(rig, {Abi::X86_64, kMaxQueues, kMaxRingPages, true});
        ASSERT_TRUE(rig.back->start());
        f.node("state", "3");
        allocated_bytes = 0;
        counting_allocations = true;
        rig.hub.run();
        counting_allocations = false;
        ASSERT_EQ(rig.back->state(), XenbusState::Connected);
        uint64_t a_queue = allocated_bytes / kMaxQueues;
        EXPECT_GT(a_queue, in_flight * 8u) << "not counted";
        /* 48 bytes a segment, and 512 requests and 1056 persistent grants. */
        EXPECT_LT(a_queue, in_flight * 48u + 300'000u);
    }
}

/* ... and so is the memory of a backend: the end of a connection gives it back. */
TEST(BackRoom, MemoryGoesWithItsConnection)
{
    RigSetup s = narrow(kMaxIndirectSegments, 65536);
    s.back.max_ring_page_order = 4;
    Rig rig(s);
    RigFront f(rig, {Abi::X86_64, 1, kMaxRingPages, false});
    (void)rig.back->start();
    for (int i = 0; i < 2; i++) {
        f.new_rings();
        f.state(XenbusState::Initialising);
        allocated_bytes = 0;
        counting_allocations = true;
        f.state(XenbusState::Initialised);
        counting_allocations = false;
        ASSERT_EQ(rig.back->state(), XenbusState::Connected);
        EXPECT_GT(allocated_bytes, 65536 * 40u + 512 * 40u)
            << "the last connection's is still there";
        f.state(XenbusState::Closing);
        f.state(XenbusState::Closed);
    }
}

TEST(BackRoom, RequestAllocatesNothing)
{
    Rig rig(narrow(64, 64));
    RigFront f(rig, {Abi::X86_64, 1, 1, true});
    PausedBackEvents events(rig.hub.back_events);
    BackPorts ports = rig.hub.back_ports();
    BlockBack back({ports.store, ports.grants, events, ports.storage, nullptr}, rig.setup.back);
    rig.back->vanish();
    rig.hub.attach(&back);
    ASSERT_TRUE(back.start());
    f.state(XenbusState::Initialised);
    for (uint32_t i = 0; i < 64; i++)
        f.grant(i);
    WireRequest large = f.indirect(Op::Read, 0, 40, kList);
    RamStorage &disk = rig.hub.storage;
    /* The disk's own list of what waits has grown before it is counted. */
    disk.defer = true;
    uint32_t answers = 0;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 8; i++)
            f.rings[0].stage(i % 2 ? large : f.request(Op::Write, 0, 11));
        f.rings[0].publish();
        allocations = 0;
        auto counted = [](auto call) {
            counting_allocations = true;
            call();
            counting_allocations = false;
        };
        counted([&] { back.event_received(0); });
        EXPECT_GT(disk.waiting(), 0u);
        while (disk.waiting()) {
            counted([&] { disk.finish(0); });
            counted([&] { back.event_received(0); });
        }
        while (f.next())
            answers++;
        if (round) {
            EXPECT_EQ(allocations, 0u);
        }
    }
    EXPECT_EQ(answers, 160u);
    disk.defer = false;
    rig.hub.detach_back();
    back.vanish();
}

/* ---- one that waits ------------------------------------------------------------ */

TEST(BackRoom, RequestWaitsForRoomAndIsServedLater)
{
    Rig rig(narrow(64, 64));
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    for (uint32_t i = 0; i < 64; i++)
        f.grant(i);
    RamStorage &disk = rig.hub.storage;
    disk.defer = true;
    f.send(f.request(Op::Read, 0, 11));
    f.send(f.indirect(Op::Write, 8, 50, kList));
    f.send(f.indirect(Op::Read, 16, 40, kList + 1));
    f.send(f.request(Op::Read, 24, 1));
    rig.hub.run();
    ASSERT_EQ(disk.waiting(), 2u) << "61 of 64 segments";
    EXPECT_EQ(rig.back->counters().requests, 3u) << "the fourth is behind one that waits";
    /* Nobody turns in circles meanwhile. */
    uint64_t events = rig.back->counters().events_received;
    EXPECT_TRUE(rig.hub.run());
    EXPECT_EQ(rig.back->counters().events_received, events);
    disk.finish(0);
    rig.hub.run();
    ASSERT_EQ(disk.waiting(), 1u) << "12 segments are not enough";
    EXPECT_LE(rig.back->counters().events_received, events + 1);
    disk.finish(0);
    rig.hub.run();
    ASSERT_EQ(disk.waiting(), 2u);
    EXPECT_EQ(disk.waiting(0).at.value, 16u);
    EXPECT_EQ(disk.waiting(1).at.value, 24u);
    disk.drain();
    rig.hub.run();
    for (int i = 0; i < 4; i++) {
        auto rsp = f.next();
        ASSERT_TRUE(rsp) << i;
        EXPECT_EQ(rsp->status, kOkay);
    }
    EXPECT_EQ(rig.back->counters().indirect, 2u);
    EXPECT_EQ(rig.hub.grants.mapped(), 1u);
    disk.defer = false;
}

/* Small ones that end in any order leave holes; a large one waits until they
 * are one, and no small one from behind it takes them. */
TEST(BackRoom, LargestRequestFitsInTheEnd)
{
    Rig rig(narrow(64, 64));
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    for (uint32_t i = 0; i < 64; i++)
        f.grant(i);
    RamStorage &disk = rig.hub.storage;
    disk.defer = true;
    for (uint32_t i = 0; i < 20; i++)
        f.send(f.request(Op::Read, i, 3));
    f.send(f.indirect(Op::Write, 64, 64, kList));
    for (uint32_t i = 0; i < 11; i++)
        f.send(f.request(Op::Read, 100 + i, 3));
    rig.hub.run();
    ASSERT_EQ(disk.waiting(), 20u);
    for (uint32_t left = 20; left > 0; left--) {
        ASSERT_EQ(disk.waiting(), left);
        disk.finish(left * 7 % left / 2);
        rig.hub.run();
    }
    ASSERT_EQ(disk.waiting(), 1u);
    EXPECT_EQ(disk.waiting(0).at.value, 64u);
    disk.finish(0);
    rig.hub.run();
    EXPECT_EQ(disk.waiting(), 11u);
    disk.drain();
    rig.hub.run();
    disk.defer = false;
    for (int i = 0; i < 32; i++)
        ASSERT_TRUE(f.next()) << i;
}

TEST(BackRoom, QueueThatWaitsKeepsNoOther)
{
    Rig rig(narrow(64, 64));
    RigFront f(rig, {Abi::X86_64, 2, 1, false});
    ASSERT_TRUE(f.connect());
    for (uint32_t i = 0; i < 64; i++)
        f.grant(i);
    rig.hub.storage.defer = true;
    WireRequest large = f.indirect(Op::Read, 0, 64, kList);
    f.send(large, 0);
    f.send(large, 0);
    rig.hub.run();
    EXPECT_EQ(rig.hub.storage.waiting(), 1u);
    f.send(large, 1);
    rig.hub.run();
    ASSERT_EQ(rig.hub.storage.waiting(), 2u);
    rig.hub.storage.finish(1);
    EXPECT_EQ(f.next(1)->status, kOkay);
    EXPECT_FALSE(f.next(0));
    while (rig.hub.storage.waiting()) {
        rig.hub.storage.finish(0);
        rig.hub.run();
    }
    EXPECT_EQ(f.next(0)->status, kOkay);
    EXPECT_EQ(f.next(0)->status, kOkay);
    rig.hub.storage.defer = false;
}

/* blkif:barrier — nor does what had to wait pass one of another ring. */
TEST(BackRoom, RequestThatWaitedPassesNoBarrier)
{
    Rig rig(narrow(64, 64));
    RigFront f(rig, {Abi::X86_64, 2, 1, false});
    ASSERT_TRUE(f.connect());
    for (uint32_t i = 0; i < 64; i++)
        f.grant(i);
    RamStorage &disk = rig.hub.storage;
    disk.defer = true;
    f.send(f.indirect(Op::Write, 0, 60, kList), 0);
    f.send(f.indirect(Op::Write, 8, 60, kList + 1), 0);
    rig.hub.run();
    f.send(f.request(Op::WriteBarrier, 16), 1);
    rig.hub.run();
    ASSERT_EQ(disk.waiting(), 1u);
    disk.finish(0);
    rig.hub.run();
    ASSERT_EQ(disk.waiting(), 1u);
    EXPECT_EQ(disk.waiting(0).op, StorageOp::Flush);
    disk.finish(0);
    rig.hub.run();
    ASSERT_EQ(disk.waiting(), 1u);
    EXPECT_EQ(disk.waiting(0).op, StorageOp::WriteStable);
    disk.finish(0);
    rig.hub.run();
    ASSERT_EQ(disk.waiting(), 1u);
    EXPECT_EQ(disk.waiting(0).at.value, 8u);
    disk.finish(0);
    rig.hub.run();
    EXPECT_EQ(f.next(0)->status, kOkay);
    EXPECT_EQ(f.next(0)->status, kOkay);
    EXPECT_EQ(f.next(1)->status, kOkay);
    disk.defer = false;
}

/* It waits as those on the ring do: the connection ends, and the next one is
 * whole. */
TEST(BackRoom, WaitingRequestEndsWithItsConnection)
{
    Rig rig(narrow(64, 64));
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    for (uint32_t i = 0; i < 64; i++)
        f.grant(i);
    WireRequest large = f.indirect(Op::Read, 0, 64, kList);
    rig.hub.storage.defer = true;
    f.send(large);
    f.send(large);
    rig.hub.run();
    EXPECT_EQ(rig.hub.storage.waiting(), 1u);
    f.state(XenbusState::Closing);
    f.state(XenbusState::Closed);
    EXPECT_EQ(rig.hub.storage.waiting(), 0u);
    EXPECT_EQ(rig.hub.grants.mapped(), 0u);
    rig.hub.storage.defer = false;
    f.new_rings();
    f.state(XenbusState::Initialising);
    f.state(XenbusState::Initialised);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(f.ask(large), kOkay);
}

/* The disk was made smaller meanwhile: what is checked is the disk that it is
 * done on. */
TEST(BackRoom, WaitingRequestIsCheckedWhenItGoesOn)
{
    Rig rig(narrow(64, 64));
    RigFront f(rig);
    ASSERT_TRUE(f.connect());
    for (uint32_t i = 0; i < 64; i++)
        f.grant(i);
    rig.hub.storage.defer = true;
    f.send(f.indirect(Op::Read, 0, 64, kList));
    f.send(f.indirect(Op::Write, 8192 - 512, 64, kList + 1));
    f.send(f.request(Op::Read, 0));
    rig.hub.run();
    ASSERT_EQ(rig.hub.storage.waiting(), 1u);
    rig.hub.storage.data.resize(rig.hub.storage.data.size() - 4096);
    rig.hub.storage.finish(0);
    rig.hub.storage.defer = false;
    rig.hub.run();
    EXPECT_EQ(f.next()->status, kOkay);
    EXPECT_EQ(f.next()->status, kError);
    EXPECT_EQ(f.next()->status, kOkay) << "the ring goes on";
}

/* Any mixture, on any queue, with a disk that is late and fails. */
TEST(BackRoom, EachRequestIsAnsweredHoweverLittleRoomThereIs)
{
    for (uint32_t seed = 1; seed <= 100; seed++) {
        Random random(seed);
        auto rnd = [&random](uint32_t n) { return random.below(n); };
        constexpr uint32_t kQueues = 4, kMost = 32;
        Rig rig(narrow(kMost, kMost + rnd(30)));
        RigFront f(rig, {Abi::X86_64, kQueues, 1, rnd(2) == 0});
        ASSERT_TRUE(f.connect());
        for (uint32_t i = 0; i < kMost; i++)
            f.grant(i);
        std::vector<WireRequest> lists;
        for (uint32_t n : {1u, 12u, 20u, kMost})
            lists.push_back(f.indirect(n % 8 ? Op::Read : Op::Write, 0, n,
                                       kList + static_cast<uint32_t>(lists.size())));
        RamStorage &disk = rig.hub.storage;
        disk.defer = true;
        uint32_t sent = 0, got = 0;
        auto send = [&](uint32_t q) {
            if (f.rings[q].free() == 0)
                return;
            WireRequest r = f.request(rnd(9) ? Op::Write : Op::WriteBarrier, 0, 1 + rnd(11));
            f.send(rnd(2) ? lists[rnd(4)] : r, q);
            sent++;
        };
        auto take = [&](uint32_t q) {
            while (f.next(q))
                got++;
        };
        for (int i = 0; i < 300; i++) {
            switch (rnd(4)) {
            case 0:
                if (disk.waiting())
                    disk.finish(rnd(static_cast<uint32_t>(disk.waiting())));
                break;
            case 1: rig.hub.run_one(); break;
            case 2:
                disk.fail = rnd(4) == 0;
                take(rnd(kQueues));
                break;
            default: send(rnd(kQueues)); break;
            }
        }
        for (int i = 0; i < 3000 && got < sent; i++) {
            ASSERT_TRUE(rig.hub.run());
            if (disk.waiting())
                disk.finish(0);
            for (uint32_t q = 0; q < kQueues; q++)
                take(q);
        }
        ASSERT_EQ(got, sent) << seed;
        EXPECT_TRUE(rig.back_owner.refusals.empty());
        disk.defer = disk.fail = false;
    }
}

} // namespace
