/* SPDX-License-Identifier: MIT */
/*
 * Splitter and Slots alone: the parts of a request are all of it, each in
 * pieces that a backend takes, and every grant ends with its slot. Serves
 * blkif:segments, blkif:first-last, ring:rsp-id, grant:end-access.
 */
#include "front/splitter.h"
#include "support/front_parts.h"
#include "support/random.h"

namespace
{

using namespace pvblk;

class FrontSplitter : public testing::Test
{
protected:
    explicit FrontSplitter(HubConfig c = {}) : parts(c) {}
    ~FrontSplitter() override
    {
        EXPECT_EQ(parts.hub.grants.in_use(), parts.pool.quarantined());
        EXPECT_EQ(parts.hub.oracle.bad_frames, 0u);
        EXPECT_EQ(parts.hub.oracle.bad_revokes, 0u);
    }
    static Job job(const IoRequest &r)
    {
        Job j;
        j.req = r;
        j.bytes = r.sectors << kSectorShift;
        j.seek(0);
        return j;
    }
    /* The next part, launched. */
    Slot *next(Job &j)
    {
        Slot *slot = slots.spare(j);
        EXPECT_EQ(splitter.fill(*slot), Filled::Done);
        slots.launch(*slot, 0, 0);
        return slot;
    }
    void land(Slot &slot)
    {
        EXPECT_TRUE(slots.release(slot));
        slots.land(slot);
    }
    /* A write's part as a backend sees it, by its grants. */
    std::vector<std::byte> seen(const WireRequest &req)
    {
        std::vector<std::byte> data;
        for (uint32_t i = 0; i < req.nr_segments; i++) {
            const WireSegment &s = req.seg[i];
            auto page = parts.hub.grants.map(s.gref, true);
            EXPECT_TRUE(page && s.first_sect <= s.last_sect && s.last_sect < 8);
            data.insert(data.end(), page.value() + s.first_sect * kSectorSize,
                        page.value() + (s.last_sect + 1) * kSectorSize);
            parts.hub.grants.unmap(s.gref, page.value());
        }
        return data;
    }

    FrontParts parts;
    Plan plan{FrontParts::plan()};
    FrontConfig config{};
    Slots slots{parts.pool, 8, parts.hub.grants.count()};
    Splitter splitter{plan, config, slots, parts.pool, parts.hub.memory};
};

/* Whatever the buffer looks like, and however it is cut. */
TEST_F(FrontSplitter, PartsAreAllOfTheRequestInItsOrder)
{
    Random random(1);
    auto upto = [&](uint32_t n) { return random.below(n); };
    for (uint32_t round = 0; round < 500; round++) {
        std::vector<Part> pieces;
        uint64_t bytes = 0, at = 0;
        for (uint32_t n = 1 + upto(12); n-- > 0;) {
            uint64_t gap = upto(3) ? 0 : upto(5000), size = upto(3) ? 4096 : 1 + upto(9000);
            pieces.push_back({at += gap, size});
            at += size;
            bytes += size;
        }
        TestBuffer buffer(parts.hub, pieces);
        config.always_bounce = upto(4) == 0;
        if (bytes < kSectorSize)
            continue;
        fill_pattern(parts.hub.guest.host(0), at, round);
        Job j = job(buffer.request(IoKind::Write, 8, bytes >> kSectorShift));
        std::vector<std::byte> expected(j.bytes), written;
        gather(j.req.buffer, j.at, expected);
        while (!j.all_sent()) {
            Slot *slot = next(j);
            WireRequest req = splitter.encode(*slot);
            EXPECT_EQ(req.sector, 8 + (written.size() >> kSectorShift));
            auto part = seen(req);
            EXPECT_EQ(part.size(), slot->bytes);
            written.insert(written.end(), part.begin(), part.end());
            land(*slot);
        }
        ASSERT_EQ(written, expected) << "round " << round;
    }
}

TEST_F(FrontSplitter, NoRoomTakesNothing)
{
    TestBuffer buffer(parts.hub, {{0, 4096}});
    Job j = job(buffer.request(IoKind::Read, 0, 8));
    std::vector<uint32_t> held;
    while (auto grant = parts.pool.grant(Gfn(LoopbackGuest::kBase >> kPageShift), true))
        held.push_back(*grant);
    for (bool bounce : {false, true}) {
        config.always_bounce = bounce;
        EXPECT_EQ(splitter.fill(*slots.spare(j)), Filled::NoRoom);
        EXPECT_EQ(j.offset, 0u);
    }
    for (uint32_t grant : held)
        parts.pool.release(grant, std::nullopt);
    config.always_bounce = false;
    land(*next(j));
    EXPECT_TRUE(j.all_sent());
}

TEST_F(FrontSplitter, RefusedGrantGivesBackThoseBeforeIt)
{
    TestBuffer buffer(parts.hub, {{0, 8 * 4096}});
    for (HubCall call : {HubCall::GrantFrame, HubCall::GrantPage}) {
        config.always_bounce = call == HubCall::GrantPage;
        Job j = job(buffer.request(IoKind::Read, 0, 64));
        parts.hub.fail(call, 5);
        EXPECT_EQ(splitter.fill(*slots.spare(j)), Filled::Refused);
        EXPECT_EQ(parts.hub.grants.in_use(), 0u);
        EXPECT_EQ(slots.in_flight(), 0u);
    }
}

TEST_F(FrontSplitter, AnswerToAnEarlierUseOfASlotIsNobodys)
{
    IoRequest flush;
    flush.kind = IoKind::Flush;
    Job a = job(flush), b = job(flush);
    Slot *slot = next(a);
    RequestId id = slots.id(*slot);
    EXPECT_EQ(slots.find(id, 0), slot);
    EXPECT_EQ(slots.find(id, 1), nullptr) << "on another ring";
    EXPECT_EQ(slots.find(RequestId(~0ull), 0), nullptr);
    land(*slot);
    EXPECT_EQ(slots.find(id, 0), nullptr);
    ASSERT_EQ(next(b), slot) << "the slot used last is used first";
    EXPECT_EQ(slots.find(id, 0), nullptr);
    land(*slot);
}

/* grant:end-access — the owner has its memory back; what the backend may still
 * touch is ours alone. */
TEST_F(FrontSplitter, OrphanKeepsPrivatePagesAlone)
{
    /* The second part is off any sector and is bounced. */
    TestBuffer buffer(parts.hub, {{0, 4096}, {8192 + 100, 4096}, {16384, 4096}});
    Job j = job(buffer.request(IoKind::Read, 0, 24));
    Slot *slot = next(j);
    ASSERT_EQ(slot->pieces, 3u);
    EXPECT_TRUE(slots.shows_guest_memory(*slot));
    slots.orphan(*slot);
    EXPECT_EQ(slot->pieces, 1u);
    EXPECT_FALSE(slots.shows_guest_memory(*slot));
    EXPECT_EQ(parts.hub.grants.in_use(), 1u);
    EXPECT_EQ(slots.orphans(), 1u);
    land(*slot);
    EXPECT_EQ(slots.orphans(), 0u);
}

} // namespace
