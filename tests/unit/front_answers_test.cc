/* SPDX-License-Identifier: MIT */
/*
 * Sender, Rings and Answers between requests and a backend's end of the rings.
 * A fault ends the turn in which it is found: nothing that comes after it is
 * taken, sent or completed. Serves ring:rsp-id, grant:end-access, evtchn:send.
 */
#include "front/answers.h"
#include "front/sender.h"
#include "support/front_parts.h"

namespace
{

using namespace pvblk;

struct Always final : Permit {
    bool may_send() const override { return true; }
};

class FrontAnswers : public testing::Test
{
protected:
    FrontAnswers()
    {
        EXPECT_TRUE(rings.open(terms.plan()));
        for (uint32_t i = 0; i < kRings; i++) {
            std::array<std::byte *, kMaxRingPages> pages{parts.hub.memory.page(*rings.page(i, 0))};
            back[i] = BackRing<SharedRing>(SharedRing(terms.plan().abi, pages, 1));
        }
    }
    ~FrontAnswers() override
    {
        rings.close();
        slots.each_in_flight([this](Slot &slot) {
            slots.release(slot);
            slots.land(slot);
        });
        requests.end(std::nullopt, IoStatus::Error);
        parts.pool.sweep_all();
        rings.give_back();
        EXPECT_EQ(parts.hub.grants.in_use(), 0u);
    }
    static Plan two_rings()
    {
        Plan p = FrontParts::plan();
        p.queues = kRings;
        return p;
    }
    void submit(IoKind kind, uint32_t queue)
    {
        IoRequest r = parts.follow(buffer.request(kind, 0, 8));
        r.queue = queue;
        requests.accept(r);
    }
    Turn send()
    {
        Turn turn;
        Always permit;
        sender.send(turn, permit);
        rings.publish(turn);
        return turn;
    }
    Turn consume()
    {
        Turn turn;
        answers.consume(turn);
        return turn;
    }
    /* The backend takes a request, and answers one. */
    WireRequest take(uint32_t ring)
    {
        EXPECT_EQ(back[ring].requests().value(), 1u);
        return back[ring].take();
    }
    void answer(uint32_t ring, const WireRequest &req, int16_t status = 0)
    {
        back[ring].stage({req.id, req.op, status});
        back[ring].publish();
    }

    static constexpr uint32_t kRings = 2;
    FrontParts parts;
    TestBuffer buffer{parts.hub, {{0, 4096}}};
    FrontConfig config{};
    Terms terms{{}, two_rings()};
    Rings rings{parts.hub.events, parts.hub.memory, parts.pool, parts.owner, parts.counters, true};
    Slots slots{parts.pool, 64, parts.hub.grants.count()};
    Splitter splitter{terms.plan(), config, slots, parts.pool, parts.hub.memory};
    Requests requests{parts.owner, parts.counters, 64, kRings};
    Sender sender{requests, splitter,        slots,       rings,         parts.pool,
                  terms,    parts.hub.clock, parts.owner, parts.counters};
    Answers answers{rings,           slots,       requests,      terms, parts.hub.memory,
                    parts.hub.clock, parts.owner, parts.counters};
    std::array<BackRing<SharedRing>, kRings> back{};
};

TEST_F(FrontAnswers, AnswerCompletesItsRequest)
{
    submit(IoKind::Read, 1);
    EXPECT_TRUE(send().progress);
    EXPECT_FALSE(consume().progress);
    answer(1, take(1));
    Turn turn = consume();
    EXPECT_TRUE(turn.progress);
    EXPECT_FALSE(turn.fault);
    EXPECT_EQ(parts.owner.results[0], IoStatus::Ok);
    EXPECT_EQ(slots.in_flight(), 0u);
}

TEST_F(FrontAnswers, LieEndsTheTurnBeforeTheNextAnswer)
{
    submit(IoKind::Read, 0);
    submit(IoKind::Read, 1);
    send();
    WireRequest lie = take(0), truth = take(1);
    lie.id.value++;
    answer(0, lie);
    answer(1, truth);
    Turn turn = consume();
    ASSERT_TRUE(turn.fault);
    EXPECT_STREQ(turn.fault->clause, "ring:rsp-id");
    EXPECT_EQ(parts.counters.responses, 1u) << "the other ring was looked at";
    EXPECT_TRUE(parts.owner.order.empty());
    EXPECT_EQ(rings.count(), kRings) << "a ring went away under the loop";
}

TEST_F(FrontAnswers, EventThatCannotBeSentEndsTheTurn)
{
    submit(IoKind::Read, 0);
    submit(IoKind::Read, 1);
    parts.hub.fail(HubCall::EventNotify);
    Turn turn = send();
    ASSERT_TRUE(turn.fault);
    EXPECT_STREQ(turn.fault->clause, "evtchn:send");
    EXPECT_EQ(parts.counters.batches, 1u);
    EXPECT_EQ(back[1].requests().value(), 0u) << "published after the fault";
}

/* XSA-396: who answers and keeps the page could still change what was read. */
TEST_F(FrontAnswers, DataOfAPageThatStaysMappedIsAnError)
{
    for (bool bounced : {false, true}) {
        config.always_bounce = bounced;
        size_t id = parts.owner.results.size();
        submit(IoKind::Read, 0);
        send();
        WireRequest req = take(0);
        auto page = parts.hub.grants.map(req.seg[0].gref, false);
        answer(0, req);
        Turn turn = consume();
        ASSERT_TRUE(turn.fault);
        EXPECT_STREQ(turn.fault->clause, "grant:end-access");
        EXPECT_EQ(parts.owner.results[id], IoStatus::Error);
        EXPECT_EQ(parts.pool.quarantined(), 1u);
        parts.hub.grants.unmap(req.seg[0].gref, page.value());
        EXPECT_TRUE(parts.pool.sweep());
    }
}

TEST_F(FrontAnswers, StarvingIsAFaultOnlyWhereNothingWillFreeRoom)
{
    std::vector<uint32_t> held;
    while (auto grant = parts.pool.grant(Gfn(LoopbackGuest::kBase >> kPageShift), true))
        held.push_back(*grant);
    parts.pool.release(held.back(), std::nullopt);
    held.pop_back();
    submit(IoKind::Read, 0);
    submit(IoKind::Read, 1);
    EXPECT_FALSE(send().fault) << "the first one's answer brings room";
    answer(0, take(0));
    EXPECT_FALSE(consume().fault);
    held.push_back(*parts.pool.grant(Gfn(LoopbackGuest::kBase >> kPageShift), true));
    Turn turn = send();
    ASSERT_TRUE(turn.fault);
    EXPECT_STREQ(turn.fault->clause, "grant:end-access");
    for (uint32_t grant : held)
        parts.pool.release(grant, std::nullopt);
}

TEST_F(FrontAnswers, NothingIsSentBesideAnOrphan)
{
    submit(IoKind::Read, 0);
    send();
    slots.each_in_flight([this](Slot &slot) { slots.orphan(slot); });
    requests.end(std::nullopt, IoStatus::Cancelled);
    submit(IoKind::Write, 0);
    EXPECT_FALSE(send().progress);
    answer(0, take(0));
    EXPECT_FALSE(consume().fault);
    EXPECT_TRUE(send().progress);
}

} // namespace
