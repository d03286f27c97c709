/* SPDX-License-Identifier: MIT */
/*
 * The layout of wire.h against Xen's public headers, at compile time: the
 * native ABI as it is, x86_32 by packing the same headers to 4 bytes, which
 * is how i386 aligns 64-bit integers. Serves blkif.h (requests, responses,
 * constants), ring.h (shared header, __CONST_RING_SIZE) and protocols.h.
 */
#include "proto/wire.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <xen/grant_table.h>
#include <xen/io/protocols.h>
#include <xen/io/ring.h>

/* What blkif.h includes is in above; only its own types go into these. */
namespace xen_native
{
#include <xen/io/blkif.h>
constexpr uint32_t ring_size(uint32_t bytes)
{
    return __CONST_RING_SIZE(blkif, bytes);
}
} // namespace xen_native

#undef __XEN_PUBLIC_IO_BLKIF_H__
#undef BLKIF_MAX_SEGMENTS_PER_REQUEST
#pragma pack(push, 4)
namespace xen_x86_32
{
#include <xen/io/blkif.h>
constexpr uint32_t ring_size(uint32_t bytes)
{
    return __CONST_RING_SIZE(blkif, bytes);
}
} // namespace xen_x86_32
#pragma pack(pop)

namespace
{

using namespace pvblk;

#define SAME_LAYOUT(ns, L)                                                                         \
    static_assert(sizeof(union ns::blkif_sring_entry) == L.entry_size);                            \
    static_assert(offsetof(struct ns::blkif_request, operation) == 0);                             \
    static_assert(offsetof(struct ns::blkif_request, nr_segments) == 1);                           \
    static_assert(offsetof(struct ns::blkif_request, handle) == 2);                                \
    static_assert(offsetof(struct ns::blkif_request, id) == L.req_id);                             \
    static_assert(offsetof(struct ns::blkif_request, sector_number) == L.req_sector);              \
    static_assert(offsetof(struct ns::blkif_request, seg) == L.req_seg);                           \
    static_assert(sizeof(ns::blkif_request::seg) == kMaxDirectSegments * kSegmentSize);            \
    static_assert(offsetof(struct ns::blkif_request_discard, operation) == 0);                     \
    static_assert(offsetof(struct ns::blkif_request_discard, flag) == 1);                          \
    static_assert(offsetof(struct ns::blkif_request_discard, handle) == 2);                        \
    static_assert(offsetof(struct ns::blkif_request_discard, id) == L.req_id);                     \
    static_assert(offsetof(struct ns::blkif_request_discard, sector_number) == L.req_sector);      \
    static_assert(offsetof(struct ns::blkif_request_discard, nr_sectors) == L.discard_nr_sectors); \
    static_assert(offsetof(struct ns::blkif_request_indirect, operation) == 0);                    \
    static_assert(offsetof(struct ns::blkif_request_indirect, indirect_op) == 1);                  \
    static_assert(offsetof(struct ns::blkif_request_indirect, nr_segments) == 2);                  \
    static_assert(offsetof(struct ns::blkif_request_indirect, id) == L.req_id);                    \
    static_assert(offsetof(struct ns::blkif_request_indirect, sector_number) == L.req_sector);     \
    static_assert(offsetof(struct ns::blkif_request_indirect, handle) == L.indirect_handle);       \
    static_assert(offsetof(struct ns::blkif_request_indirect, indirect_grefs) == L.indirect_gref); \
    static_assert(sizeof(ns::blkif_request_indirect::indirect_grefs) == kMaxIndirectPages * 4);    \
    static_assert(sizeof(struct ns::blkif_request_segment) == kSegmentSize);                       \
    static_assert(offsetof(struct ns::blkif_request_segment, gref) == 0);                          \
    static_assert(offsetof(struct ns::blkif_request_segment, first_sect) == 4);                    \
    static_assert(offsetof(struct ns::blkif_request_segment, last_sect) == 5);                     \
    static_assert(offsetof(struct ns::blkif_response, id) == L.rsp_id);                            \
    static_assert(offsetof(struct ns::blkif_response, operation) == L.rsp_op);                     \
    static_assert(offsetof(struct ns::blkif_response, status) == L.rsp_status);                    \
    static_assert(sizeof(ns::blkif_response::status) == 2);                                        \
    static_assert(sizeof(struct ns::blkif_response) == L.rsp_size);                                \
    static_assert(offsetof(struct ns::blkif_sring, req_prod) == uint32_t(SringField::ReqProd));    \
    static_assert(offsetof(struct ns::blkif_sring, req_event) == uint32_t(SringField::ReqEvent));  \
    static_assert(offsetof(struct ns::blkif_sring, rsp_prod) == uint32_t(SringField::RspProd));    \
    static_assert(offsetof(struct ns::blkif_sring, rsp_event) == uint32_t(SringField::RspEvent));  \
    static_assert(offsetof(struct ns::blkif_sring, ring) == kSringHeader)

SAME_LAYOUT(xen_x86_32, kLayoutX86_32);
static_assert(kNativeAbi == Abi::X86_64, "this test checks x86_64 through the native headers");
SAME_LAYOUT(xen_native, kLayoutX86_64);

constexpr bool same_ring_sizes()
{
    for (uint32_t pages = 1; pages <= kMaxRingPages; pages *= 2)
        if (ring_entries(Abi::X86_64, pages) != xen_native::ring_size(pages * kPageSize) ||
            ring_entries(Abi::X86_32, pages) != xen_x86_32::ring_size(pages * kPageSize))
            return false;
    return true;
}
static_assert(same_ring_sizes());
static_assert(ring_entries(Abi::X86_64, 1) == 32);
static_assert(ring_entries(Abi::X86_32, 1) == 32);

static_assert(uint8_t(Op::Read) == BLKIF_OP_READ);
static_assert(uint8_t(Op::Write) == BLKIF_OP_WRITE);
static_assert(uint8_t(Op::WriteBarrier) == BLKIF_OP_WRITE_BARRIER);
static_assert(uint8_t(Op::FlushDiskcache) == BLKIF_OP_FLUSH_DISKCACHE);
static_assert(uint8_t(Op::Reserved) == BLKIF_OP_RESERVED_1);
static_assert(uint8_t(Op::Discard) == BLKIF_OP_DISCARD);
static_assert(uint8_t(Op::Indirect) == BLKIF_OP_INDIRECT);
static_assert(int16_t(RspStatus::Okay) == BLKIF_RSP_OKAY);
static_assert(int16_t(RspStatus::Error) == BLKIF_RSP_ERROR);
static_assert(int16_t(RspStatus::EOpNotSupp) == BLKIF_RSP_EOPNOTSUPP);
static_assert(kMaxIndirectPages == BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST);
static_assert(kDiscardSecure == BLKIF_DISCARD_SECURE);
static_assert(kMaxDirectSegments == BLKIF_MAX_SEGMENTS_PER_REQUEST);

/* The rest is compile time; these two are strings. */
TEST(Layout, ProtocolNamesAreXens)
{
    EXPECT_EQ(std::string_view(abi_name(Abi::X86_32)), XEN_IO_PROTO_ABI_X86_32);
    EXPECT_EQ(std::string_view(abi_name(Abi::X86_64)), XEN_IO_PROTO_ABI_X86_64);
}

} // namespace
