/* SPDX-License-Identifier: MIT */
/* See driver_checks.h. */
#include "support/driver_checks.h"

#include "support/dies.h"

namespace pvblk
{

void check_each_size_and_place(BentWorld &w, size_t request)
{
    ASSERT_EQ(w.start(), "Success");
    uint32_t seed = 0;
    for (size_t bytes : {size_t{512}, size_t{4096}, size_t{4608}, request - 4096, request,
                         request + 512, size_t{131072}})
        for (size_t skip : {0, 512, 3584, 1, 100, 4095}) {
            SCOPED_TRACE(testing::Message() << bytes << " bytes at " << skip);
            uint64_t block = 1 + seed * 3;
            std::byte *from = w.buffer(bytes, skip), *to = w.buffer(bytes + 1, skip);
            fill_pattern(from, bytes, ++seed);
            to[bytes] = std::byte{0x5a};
            ASSERT_EQ(w.write(block, bytes, from), "Success");
            EXPECT_TRUE(has_pattern(w.sector(block), bytes, seed));
            ASSERT_EQ(w.read(block, bytes, to), "Success");
            EXPECT_TRUE(has_pattern(to, bytes, seed));
            EXPECT_EQ(to[bytes], std::byte{0x5a}) << "read beyond the buffer";
        }
}

void check_read_cost(BentWorld &w, const ReadCost &cost)
{
    SCOPED_TRACE(testing::Message() << cost.bytes << " bytes at " << cost.skip);
    ASSERT_EQ(w.start(), "Success");
    w.driver.grants_made = 0;
    EXPECT_EQ(w.read(0, cost.bytes, w.buffer(cost.bytes, cost.skip)), "Success");
    EXPECT_EQ(w.pushed(), cost.requests);
    EXPECT_EQ(w.driver.grants_made, cost.grants);
}

void check_write_and_read(BentWorld &w, uint64_t block, size_t bytes, uint32_t unit)
{
    std::byte *from = w.buffer(bytes), *to = w.buffer(bytes);
    fill_pattern(from, bytes, 1);
    EXPECT_EQ(w.write(block, bytes, from), "Success");
    EXPECT_TRUE(has_pattern(w.sector(block * unit / kSectorSize), bytes, 1));
    EXPECT_EQ(w.read(block, bytes, to), "Success");
    EXPECT_TRUE(has_pattern(to, bytes, 1));
}

void check_ring_goes_round(BentWorld &w)
{
    ASSERT_EQ(w.start(), "Success");
    std::byte *data = w.buffer(512);
    for (uint32_t i = 0; i < 150; i++) {
        fill_pattern(w.sector(i), 512, i);
        ASSERT_EQ(w.read(i, 512, data), "Success") << i;
        ASSERT_TRUE(has_pattern(data, 512, i)) << i;
    }
    EXPECT_EQ(w.pushed(), 150u);
}

void check_each_start_works(BentWorld &w)
{
    std::byte *data = w.buffer(kPageSize);
    for (uint32_t round = 0; round < 3; round++) {
        ASSERT_EQ(w.start(), "Success") << round;
        fill_pattern(data, kPageSize, round);
        EXPECT_EQ(w.write(8 * round, kPageSize, data), "Success");
        EXPECT_EQ(w.stop(), "Success") << round;
        EXPECT_TRUE(has_pattern(w.sector(8 * round), kPageSize, round));
    }
    EXPECT_EQ(w.store.seen, "24562"
                            "4562"
                            "4562");
}

void check_transaction_is_tried_again(BentWorld &w)
{
    w.driver.transaction_ends = {WORLD_AGAIN, WORLD_AGAIN};
    EXPECT_EQ(w.start(), "Success");
    EXPECT_EQ(w.driver.transactions, 3u);
    EXPECT_EQ(w.driver.front_states, "4");
}

void check_leaving_backend(BentWorld &w)
{
    ASSERT_EQ(w.start(), "Success");
    w.back->close();
    w.hub.run();
    EXPECT_EQ(w.back_node("state"), "5");
    EXPECT_EQ(w.read(0, 512, w.buffer(512)), "Success");
    EXPECT_EQ(w.stop(), "Success");
    EXPECT_EQ(w.driver.front_states, "4561");
}

void check_initialising_frees_the_backend(BentWorld &w)
{
    w.tidy = false;
    EXPECT_NE(w.start(), "Success");
    w.store.nodes.clear();
    w.hub.put_node(w.hub.config.frontend_path + "/state", "1");
    w.hub.run();
    EXPECT_EQ(w.back->state(), XenbusState::InitWait);
    EXPECT_EQ(w.hub.grants.mapped(), 0u);
    EXPECT_EQ(w.start(), "Success");
    EXPECT_EQ(w.read(0, 512, w.buffer(512)), "Success");
    EXPECT_EQ(w.stop(), "Success");
}

void check_resize_is_missed(BentWorld &w)
{
    ASSERT_EQ(w.start(), "Success");
    w.hub.storage.data.resize(w.hub.storage.data.size() * 2);
    w.back->resized();
    w.hub.run();
    EXPECT_EQ(w.back_node("sectors"), "16384");
    EXPECT_EQ(w.disk().blocks, 8192u);
}

void replace_first_response(BentWorld &w, Op op, uint64_t id)
{
    w.back_events.before = [&w, op, id] {
        WireResponse rsp = w.ring().get_response(RingIndex(0));
        rsp.op = op;
        rsp.id = RequestId(id);
        w.ring().put_response(RingIndex(0), rsp);
    };
}

void check_crash_on_a_bad_id(BentWorld &w)
{
    auto crash = [&w] {
        w.tidy = false;
        (void)w.start();
        replace_first_response(w, Op::Read, uint64_t{1} << 63); /* not canonical */
        (void)w.read(0, 512, w.buffer(512));
    };
    EXPECT_EXIT(crash(), dies_of(SIGSEGV), kLastWords);
}

void check_jumping_producer_is_followed(BentWorld &w)
{
    w.tidy = false;
    ASSERT_EQ(w.start(), "Success");
    w.back_events.before = [&w] {
        for (uint32_t i = 1; i < 32; i++)
            w.ring().put_response(RingIndex(i), {RequestId(0), Op::FlushDiskcache, 0});
        w.ring().store(SringField::RspProd, RingIndex(33));
    };
    EXPECT_EQ(w.read(0, 512, w.buffer(512)), "Success");
    EXPECT_EQ(w.hub.oracle.bad_revokes, 1u);
}

} // namespace pvblk
