/* SPDX-License-Identifier: MIT */
/* Batches of requests, and lies in the ring's memory: see batch.h. */
#include "cases/batch.h"

#include <array>
#include <cstring>

namespace pvblk::conformance
{

namespace
{

constexpr uint32_t kPlaces = 32; /* of the disk's start, and as many data pages */

WireRequest read_of(Bench &b, uint32_t i)
{
    return b.request(Op::Read, 8ull * (i % kPlaces), 1, i % kPlaces);
}

} // namespace

std::vector<WireRequest> stage_reads(Bench &b, uint32_t n, uint32_t queue)
{
    std::vector<WireRequest> reads;
    for (uint32_t i = 0; i < n && !b.failed(); i++) {
        reads.push_back(read_of(b, i));
        b.poison(reads.back());
        b.front.stage(reads.back(), queue);
    }
    return reads;
}

void push(Bench &b, uint32_t queue)
{
    if (!b.failed() && b.front.publish(queue))
        b.front.notify(queue);
}

void expect_reads(Bench &b, const std::vector<WireRequest> &reads, uint32_t queue)
{
    for (const WireRequest &r : reads) {
        b.expect(b.answer(r, queue), {{Outcome::Okay, "blkif:op"}});
        if (!b.failed())
            b.compare(r);
    }
}

void read_batch(Bench &b, uint32_t n, uint32_t queue)
{
    auto reads = stage_reads(b, n, queue);
    push(b, queue);
    expect_reads(b, reads, queue);
}

void rest(Bench &b)
{
    (void)b.soon([] { return false; });
}

bool all_answered(const Bench &b, uint32_t queue)
{
    return b.front.index(SringField::RspProd, queue) == b.front.index(SringField::ReqProd, queue);
}

void scribble(Bench &b, uint32_t slot, const WireRequest &req)
{
    std::array<uint8_t, 128> bytes{};
    uint32_t length = encode_request(b.front.abi(), req, bytes.data());
    uint32_t entry = wire_layout(b.front.abi()).entry_size;
    b.front.say(Lane::Front, "slot " + std::to_string(slot) + " := " + describe(req));
    std::memcpy(b.front.memory() + kSringHeader + slot * entry, bytes.data(), length);
    SharedRing::fence_full();
}

void scribble_writes(Bench &b, uint32_t first, uint32_t n)
{
    std::memset(b.page(0), 0x66, kPageSize);
    for (uint32_t i = 0; i < n && !b.failed(); i++)
        scribble(b, first + i, b.request(Op::Write, 8ull * i));
}

} // namespace pvblk::conformance
