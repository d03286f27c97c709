/* SPDX-License-Identifier: MIT */
/*
 * Layer `wire`: encode and decode, both ABIs, at known bytes; padding that
 * leaks nothing (XSA-216); entries that cross a page; init of the shared
 * header. Offsets as such are layout_test.cc's business.
 */
#include "proto/wire.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

namespace
{

using namespace pvblk;

class WireTest : public testing::TestWithParam<Abi>
{
protected:
    WireTest() { std::memset(buf, 0xaa, sizeof buf); }
    const WireLayout &layout() const { return wire_layout(GetParam()); }
    uint64_t at(uint32_t off, uint32_t bytes) const
    {
        uint64_t v = 0;
        std::memcpy(&v, buf + off, bytes);
        return v;
    }
    uint8_t buf[128];
};
INSTANTIATE_TEST_SUITE_P(Abi, WireTest, testing::Values(Abi::X86_32, Abi::X86_64));

WireRequest full_request(Op op)
{
    WireRequest r;
    r.op = op;
    r.nr_segments = 11;
    r.handle = 0xca00;
    r.id = RequestId(0x1122334455667788);
    r.sector = 0x99a1bbccddeeff01;
    for (uint32_t i = 0; i < kMaxDirectSegments; i++)
        r.seg[i] = {GrantRef(0x10000 + i), static_cast<uint8_t>(i % 8),
                    static_cast<uint8_t>(7 - i % 8)};
    return r;
}

/* blkif:request */
TEST_P(WireTest, RequestFieldsLieInTheirPlaces)
{
    uint32_t len = encode_request(GetParam(), full_request(Op::Write), buf);
    EXPECT_EQ(len, layout().req_seg + 11 * 8);
    EXPECT_LE(len, layout().entry_size);
    EXPECT_EQ(buf[0], 1);
    EXPECT_EQ(buf[1], 11);
    EXPECT_EQ(at(2, 2), 0xca00u);
    EXPECT_EQ(at(layout().req_id, 8), 0x1122334455667788u);
    EXPECT_EQ(at(layout().req_sector, 8), 0x99a1bbccddeeff01u);
    EXPECT_EQ(at(layout().req_seg + 8 * 3, 4), 0x10003u);
    EXPECT_EQ(buf[layout().req_seg + 8 * 3 + 4], 3);
    EXPECT_EQ(buf[layout().req_seg + 8 * 3 + 5], 4);
}

TEST_P(WireTest, DecodedRequestIsTheEncoded)
{
    WireRequest in = full_request(Op::Read);
    encode_request(GetParam(), in, buf);
    WireRequest out = decode_request(GetParam(), buf);
    EXPECT_EQ(out.op, in.op);
    EXPECT_EQ(out.nr_segments, in.nr_segments);
    EXPECT_EQ(out.handle, in.handle);
    EXPECT_EQ(out.id, in.id);
    EXPECT_EQ(out.sector, in.sector);
    for (uint32_t i = 0; i < kMaxDirectSegments; i++) {
        EXPECT_EQ(out.seg[i].gref, in.seg[i].gref);
        EXPECT_EQ(out.seg[i].first_sect, in.seg[i].first_sect);
        EXPECT_EQ(out.seg[i].last_sect, in.seg[i].last_sect);
    }
}

/* blkif:discard */
TEST_P(WireTest, DiscardHasItsOwnLayout)
{
    WireRequest r = full_request(Op::Discard);
    r.nr_segments = 1; /* the flag byte: BLKIF_DISCARD_SECURE */
    r.nr_sectors = 0x0102030405060708;
    EXPECT_EQ(encode_request(GetParam(), r, buf), layout().discard_nr_sectors + 8);
    EXPECT_EQ(buf[0], 5);
    EXPECT_EQ(buf[1], 1);
    EXPECT_EQ(at(layout().discard_nr_sectors, 8), 0x0102030405060708u);
    EXPECT_EQ(decode_request(GetParam(), buf).nr_sectors, r.nr_sectors);
}

/* blkif:indirect — operation, count and pages have their own places. */
TEST_P(WireTest, IndirectHasItsOwnLayout)
{
    WireRequest r = full_request(Op::Indirect);
    r.indirect_op = Op::Write;
    r.nr_indirect_segments = 0x1234;
    for (uint32_t i = 0; i < kMaxIndirectPages; i++)
        r.indirect[i] = GrantRef(0x20000 + i);
    EXPECT_EQ(encode_request(GetParam(), r, buf), layout().indirect_gref + 32);
    EXPECT_EQ(buf[0], 6);
    EXPECT_EQ(buf[1], 1);
    EXPECT_EQ(at(2, 2), 0x1234u);
    EXPECT_EQ(at(layout().req_sector, 8), r.sector);
    EXPECT_EQ(at(layout().indirect_handle, 2), r.handle);
    EXPECT_EQ(at(layout().indirect_gref + 4 * 7, 4), 0x20007u);
    for (uint32_t i = 0; i < layout().indirect_gref + 32; i++)
        EXPECT_NE(buf[i], 0xaa) << "stale byte " << i;
    WireRequest out = decode_request(GetParam(), buf);
    EXPECT_EQ(out.op, Op::Indirect);
    EXPECT_EQ(out.indirect_op, Op::Write);
    EXPECT_EQ(out.nr_segments, 0);
    EXPECT_EQ(out.nr_indirect_segments, 0x1234);
    EXPECT_EQ(out.handle, r.handle);
    EXPECT_EQ(out.id, r.id);
    EXPECT_EQ(out.sector, r.sector);
    EXPECT_EQ(out.indirect, r.indirect);
}

/* blkif:indirect — a page holds 512 segments of 8 bytes, in every ABI. */
TEST(WireSegments, PageOfSegmentsIsReadAsPut)
{
    alignas(4) std::byte page[kPageSize];
    std::memset(page, 0xaa, sizeof page);
    std::array<WireSegment, kSegmentsPerPage> in{}, out{};
    for (uint32_t i = 0; i < in.size(); i++)
        in[i] = {GrantRef(i * 3 + 1), static_cast<uint8_t>(i % 8), 7};
    put_segments(page, in);
    EXPECT_EQ(page[kPageSize - 8], std::byte((511 * 3 + 1) & 0xff));
    EXPECT_EQ(page[kPageSize - 4], std::byte(511 % 8));
    EXPECT_EQ(page[kPageSize - 3], std::byte(7));
    EXPECT_EQ(page[kPageSize - 1], std::byte(0)) << "stale byte in the padding";
    get_segments(page, out);
    for (uint32_t i = 0; i < in.size(); i++) {
        EXPECT_EQ(out[i].gref, in[i].gref);
        EXPECT_EQ(out[i].first_sect, in[i].first_sect);
        EXPECT_EQ(out[i].last_sect, in[i].last_sect);
    }
    put_segments(page, std::span(in).first(1));
    EXPECT_EQ(page[8], std::byte(4)) << "wrote past the segments";
}

/* blkif:max-segments — a hostile count is kept, but nothing is read past it. */
TEST_P(WireTest, SegmentCountOf255StaysInTheEntry)
{
    WireRequest r = full_request(Op::Read);
    r.nr_segments = 255;
    uint32_t len = encode_request(GetParam(), r, buf);
    EXPECT_LE(len, layout().entry_size);
    EXPECT_EQ(buf[layout().entry_size], 0xaa);
    WireRequest out = decode_request(GetParam(), buf);
    EXPECT_EQ(out.nr_segments, 255);
    EXPECT_EQ(out.seg[10].gref, r.seg[10].gref);
}

/* XSA-216: no byte that is sent comes from an earlier user of the memory. */
TEST_P(WireTest, PaddingHasNoStaleBytes)
{
    uint32_t len = encode_request(GetParam(), full_request(Op::Write), buf);
    for (uint32_t i = 0; i < len; i++)
        EXPECT_NE(buf[i], 0xaa) << "request byte " << i;
    std::memset(buf, 0xaa, sizeof buf);
    encode_response(GetParam(), {RequestId(1), Op::Read, 0}, buf);
    for (uint32_t i = 0; i < layout().rsp_size; i++)
        EXPECT_NE(buf[i], 0xaa) << "response byte " << i;
    EXPECT_EQ(buf[layout().rsp_size], 0xaa) << "wrote past the response";
}

/* blkif:response — also values that blkif.h does not define. */
TEST_P(WireTest, DecodedResponseIsTheEncoded)
{
    for (int status : {0, -1, -2, -3, 1, 32767, -32768}) {
        WireResponse in{RequestId(0xfedcba9876543210), static_cast<Op>(200),
                        static_cast<int16_t>(status)};
        encode_response(GetParam(), in, buf);
        WireResponse out = decode_response(GetParam(), buf);
        EXPECT_EQ(out.id, in.id);
        EXPECT_EQ(out.op, in.op);
        EXPECT_EQ(out.status, in.status);
    }
}

/* ring:multi-page — 16 pages that lie apart; each slot keeps its own bytes,
 * and nothing outside the entries changes. */
TEST_P(WireTest, EntryThatCrossesAPageIsWhole)
{
    constexpr uint32_t kPages = 16;
    struct Page {
        alignas(kPageSize) std::byte bytes[kPageSize];
        std::byte guard[kPageSize];
    };
    auto store = std::make_unique<Page[]>(kPages);
    std::array<std::byte *, kMaxRingPages> pages{};
    for (uint32_t i = 0; i < kPages; i++) {
        std::memset(&store[i], 0x5a, sizeof store[i]);
        pages[i] = store[kPages - 1 - i].bytes; /* and in no order */
    }
    SharedRing ring(GetParam(), pages, kPages);
    EXPECT_EQ(ring.entries(), 512u);
    WireRequest r = full_request(Op::Write);
    for (uint32_t i = 0; i < ring.entries(); i++) {
        r.id = RequestId(i);
        r.seg[10].gref = GrantRef(i * 3);
        ring.put_request(RingIndex(0xffffff00u + i), r);
    }
    for (uint32_t i = 0; i < ring.entries(); i++) {
        WireRequest out = ring.get_request(RingIndex(0xffffff00u + i));
        EXPECT_EQ(out.id.value, i);
        EXPECT_EQ(out.seg[10].gref.value, i * 3);
    }
    for (uint32_t i = 0; i < kPages; i++)
        for (std::byte b : store[i].guard)
            ASSERT_EQ(b, std::byte{0x5a});
}

/* ring:init — SHARED_RING_INIT: producers 0, both sides want the first event. */
TEST(Wire, FreshRingAsksForFirstEvents)
{
    alignas(kPageSize) static std::byte page[kPageSize];
    std::memset(page, 0xff, sizeof page);
    SharedRing ring(Abi::X86_64, {page}, 1);
    ring.init();
    EXPECT_EQ(ring.load(SringField::ReqProd), RingIndex(0));
    EXPECT_EQ(ring.load(SringField::RspProd), RingIndex(0));
    EXPECT_EQ(ring.load(SringField::ReqEvent), RingIndex(1));
    EXPECT_EQ(ring.load(SringField::RspEvent), RingIndex(1));
}

/* ring.h __RING_SIZE: a power of two that fits; 108 and 112 differ nowhere. */
TEST(Wire, RingFitsItsPages)
{
    for (Abi abi : {Abi::X86_32, Abi::X86_64})
        for (uint32_t pages = 1; pages <= kMaxRingPages; pages++) {
            uint32_t n = ring_entries(abi, pages);
            EXPECT_EQ(n & (n - 1), 0u);
            EXPECT_LE(kSringHeader + n * wire_layout(abi).entry_size, pages * kPageSize);
            EXPECT_GT(kSringHeader + 2 * n * wire_layout(abi).entry_size, pages * kPageSize);
        }
}

} // namespace
