/* SPDX-License-Identifier: MIT */
/*
 * Layer `grant`: the pools run dry and recover; a page that the peer still
 * maps stays in quarantine with its grant until the peer lets go (XSA-396).
 */
#include "front/grant_pool.h"
#include "pvblk/loopback.h"

#include <gtest/gtest.h>

namespace
{

using namespace pvblk;

class GrantPoolTest : public testing::Test
{
protected:
    static HubConfig small()
    {
        HubConfig c;
        c.grants = 64;
        c.private_pages = 40;
        return c;
    }
    ~GrantPoolTest() override
    {
        EXPECT_EQ(hub.oracle.regrants, 0u);
        EXPECT_EQ(hub.oracle.reused_while_mapped, 0u);
        EXPECT_EQ(hub.oracle.bad_revokes, 0u);
    }
    /* A granted page that the peer has mapped; in quarantine after this. */
    struct Stuck {
        GrantRef ref{};
        std::byte *page{nullptr};
    };
    Stuck stuck()
    {
        PageIndex page = *pool.take_page();
        uint32_t g = *pool.grant(page, false);
        Stuck s{pool.ref(g), hub.grants.map(pool.ref(g), false).value()};
        EXPECT_FALSE(pool.release(g, page));
        return s;
    }
    void let_go(Stuck s) { hub.grants.unmap(s.ref, s.page); }

    LoopbackHub hub{small()};
    GrantPool pool{hub.grants, hub.memory};
};

TEST_F(GrantPoolTest, PoolHandsOutWhatThereIs)
{
    for (uint32_t i = 0; i < 64; i++)
        ASSERT_TRUE(pool.grant(Gfn(LoopbackGuest::kBase >> kPageShift), true));
    EXPECT_FALSE(pool.grant(Gfn(LoopbackGuest::kBase >> kPageShift), true));
    EXPECT_FALSE(pool.grant(PageIndex(0), true));
    for (uint32_t i = 0; i < 40; i++)
        ASSERT_TRUE(pool.take_page());
    EXPECT_FALSE(pool.take_page());
    for (uint32_t i = 0; i < 64; i++)
        EXPECT_TRUE(pool.release(i, std::nullopt));
    EXPECT_EQ(pool.free_grants(), 64u);
}

/* grant:lifo — what was used last is used first. */
TEST_F(GrantPoolTest, FreedEntryIsReusedFirst)
{
    PageIndex a = *pool.take_page(), b = *pool.take_page();
    EXPECT_NE(a, b);
    pool.give_page(a);
    EXPECT_EQ(*pool.take_page(), a);
}

TEST_F(GrantPoolTest, RefusedGrantKeepsTheEntry)
{
    hub.fail(HubCall::GrantFrame);
    hub.fail(HubCall::GrantPage);
    EXPECT_FALSE(pool.grant(Gfn(0x12345), false));
    EXPECT_FALSE(pool.grant(PageIndex(0), false));
    EXPECT_EQ(pool.free_grants(), 64u);
}

/* grant:end-access */
TEST_F(GrantPoolTest, MappedPageIsQuarantined)
{
    Stuck s = stuck();
    EXPECT_EQ(pool.quarantined(), 1u);
    EXPECT_EQ(pool.free_grants(), 63u);
    EXPECT_EQ(pool.free_pages(), 39u);
    EXPECT_FALSE(pool.sweep());
    while (auto page = pool.take_page())
        EXPECT_NE(hub.memory.page(*page), s.page);
    let_go(s);
    EXPECT_TRUE(pool.sweep());
    EXPECT_EQ(pool.free_grants(), 64u);
    EXPECT_EQ(pool.free_pages(), 1u);
}

/* grant:end-access — no new mapping of what is in quarantine. */
TEST_F(GrantPoolTest, QuarantinedGrantCannotBeMappedAgain)
{
    Stuck s = stuck();
    EXPECT_FALSE(hub.grants.map(s.ref, true));
    EXPECT_EQ(hub.oracle.denied_maps, 1u);
    let_go(s);
    EXPECT_TRUE(pool.sweep());
}

/* A peer that keeps the youngest entries for ever does not keep the sweep
 * from the older ones, which it let go. */
TEST_F(GrantPoolTest, SweepReachesOldEntries)
{
    std::vector<Stuck> all;
    for (int i = 0; i < 36; i++)
        all.push_back(stuck());
    for (int i = 0; i < 4; i++)
        let_go(all[static_cast<size_t>(i)]);
    for (int i = 0; i < 10; i++)
        pool.sweep();
    EXPECT_EQ(pool.quarantined(), 32u);
    for (size_t i = 4; i < all.size(); i++)
        let_go(all[i]);
    while (pool.sweep()) {
    }
    EXPECT_EQ(pool.quarantined(), 0u);
    EXPECT_EQ(pool.free_pages(), 40u);
}

/* grant:sweep-bound — the work per call is bounded, whatever is stuck. */
TEST_F(GrantPoolTest, SweepIsBounded)
{
    for (int i = 0; i < 36; i++)
        stuck();
    uint64_t before = hub.calls(HubCall::Revoke);
    pool.sweep();
    EXPECT_LE(hub.calls(HubCall::Revoke) - before, 16u);
    EXPECT_GE(hub.calls(HubCall::Revoke) - before, 1u);
}

/* What is lent is filled before the peer can see it, and is not there twice. */
TEST_F(GrantPoolTest, LentPageIsFilledBeforeItIsSeen)
{
    uint64_t granted = hub.calls(HubCall::GrantPage);
    auto lent = pool.lend(true, [&](PageIndex) {
        EXPECT_EQ(hub.calls(HubCall::GrantPage), granted) << "granted first";
    });
    ASSERT_TRUE(lent);
    EXPECT_FALSE(hub.grants.map(pool.ref(lent->grant), false)) << "read-only";
    EXPECT_EQ(pool.lendable(), 39u);
    EXPECT_TRUE(pool.take_back(*lent));
    EXPECT_EQ(hub.grants.in_use(), 0u);
    EXPECT_EQ(pool.lendable(), 40u);
}

TEST_F(GrantPoolTest, RefusedLoanKeepsItsPage)
{
    hub.fail(HubCall::GrantPage);
    EXPECT_FALSE(pool.lend(false, [](PageIndex) {}));
    EXPECT_EQ(pool.lendable(), 40u);
    EXPECT_EQ(pool.free_grants(), 64u);
}

/* feature-persistent: the one used last is the next; all end together, and what
 * is still mapped then is in quarantine. */
TEST_F(GrantPoolTest, KeptGrantsAreALifoAndEnd)
{
    auto nothing = [](PageIndex) {};
    pool.keep_grants(true);
    auto a = pool.lend(true, nothing), b = pool.lend(true, nothing);
    ASSERT_TRUE(a && b);
    auto page = hub.grants.map(pool.ref(a->grant), false);
    ASSERT_TRUE(page) << "kept grants are to read and write";
    EXPECT_TRUE(pool.take_back(*b));
    EXPECT_TRUE(pool.take_back(*a)) << "mapped, and no violation";
    EXPECT_EQ(pool.kept(), 2u);
    EXPECT_EQ(pool.lendable(), 40u);
    EXPECT_EQ(pool.lend(false, nothing)->grant, a->grant);
    EXPECT_TRUE(pool.take_back(*a));
    pool.drop_kept();
    pool.keep_grants(false);
    EXPECT_EQ(pool.kept(), 0u);
    EXPECT_EQ(pool.quarantined(), 1u);
    EXPECT_EQ(pool.lendable(), 39u);
    hub.grants.unmap(pool.ref(a->grant), page.value());
    EXPECT_TRUE(pool.sweep());
    EXPECT_EQ(hub.grants.in_use(), 0u);
}

} // namespace
