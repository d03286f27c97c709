/* SPDX-License-Identifier: MIT */
/*
 * Layer `wire`: the layout of shared memory, byte by byte.
 *
 * blkif.h defines requests and responses as C structs, so their layout is
 * that of the frontend's ABI. The offsets below are checked against Xen's
 * public headers at build time (tests/unit/layout_test.cc).
 *
 * This is the only layer that loads from or stores to memory that a peer can
 * change. Every field is loaded once, into a copy; no function hands out a
 * pointer into a ring (XSA-155).
 */
#pragma once

#include "pvblk/protocol.h"
#include "pvblk/result.h"
#include "pvblk/types.h"

#include <array>
#include <cstdint>
#include <span>

namespace pvblk
{

inline constexpr uint8_t kDiscardSecure = 1; /* BLKIF_DISCARD_SECURE */

/* blkif_request_segment, decoded. first and last are inclusive, in units of
 * 512 bytes (or of sector-size under SectorUnits::Device). */
struct WireSegment {
    GrantRef gref{};
    uint8_t first_sect{};
    uint8_t last_sect{};
};

/* blkif_request, blkif_request_discard and blkif_request_indirect, decoded.
 * `sector` and `nr_sectors` are raw: the plan decides their unit. */
struct WireRequest {
    Op op{Op::Read};
    uint8_t nr_segments{}; /* for Discard: the flag byte; not for Indirect */
    uint16_t handle{};
    RequestId id{};
    uint64_t sector{};
    uint64_t nr_sectors{}; /* Discard only */
    std::array<WireSegment, kMaxDirectSegments> seg{};
    /* Indirect only. Pages beyond the segments are not copied. */
    Op indirect_op{Op::Read};
    uint16_t nr_indirect_segments{};
    std::array<GrantRef, kMaxIndirectPages> indirect{};
};

struct WireResponse {
    RequestId id{};
    Op op{Op::Read};
    int16_t status{}; /* raw: a peer may write anything */
};

/* Where the fields lie, in bytes. */
struct WireLayout {
    uint32_t entry_size; /* union blkif_sring_entry */
    uint32_t req_id, req_sector, req_seg;
    uint32_t discard_nr_sectors;
    uint32_t indirect_handle, indirect_gref; /* its sector is at req_sector */
    uint32_t rsp_id, rsp_op, rsp_status, rsp_size;
};

inline constexpr WireLayout kLayoutX86_64{112, 8, 16, 24, 24, 24, 28, 0, 8, 10, 16};
inline constexpr WireLayout kLayoutX86_32{108, 4, 12, 20, 20, 20, 24, 0, 8, 10, 12};

constexpr const WireLayout &wire_layout(Abi abi)
{
    return abi == Abi::X86_32 ? kLayoutX86_32 : kLayoutX86_64;
}

inline constexpr uint32_t kSringHeader = 64; /* ring.h: struct name_sring up to ring[] */

constexpr uint32_t indirect_pages(uint32_t segments)
{
    return (segments + kSegmentsPerPage - 1) / kSegmentsPerPage;
}

/* ring.h __CONST_RING_SIZE: the largest power of two of entries that fit. */
constexpr uint32_t ring_entries(Abi abi, uint32_t pages)
{
    uint32_t fit = (pages * kPageSize - kSringHeader) / wire_layout(abi).entry_size;
    uint32_t n = 1;
    while (n * 2 <= fit)
        n *= 2;
    return n;
}

/* The simulator builds the core with PVBLK_OBSERVE_SLOTS. Then every load of a
 * slot is reported, with the ring's first page, to find slots loaded twice. */
enum class SlotHolds : uint8_t { Request, Response };
#ifdef PVBLK_OBSERVE_SLOTS
void observe_slot(const std::byte *ring, RingIndex i, SlotHolds what);
#else
inline void observe_slot(const std::byte *, RingIndex, SlotHolds) {}
#endif

/* The four indices of ring.h's sring header: their byte offsets. */
enum class SringField : uint32_t { ReqProd = 0, ReqEvent = 4, RspProd = 8, RspEvent = 12 };

/*
 * The shared area of one ring: up to 16 pages that need not be contiguous in
 * this process. Owns nothing: the pages belong to the Memory port (frontend)
 * or to the backend's mapping, and outlive the SharedRing.
 *
 * Threads: any number of processes or vCPUs may touch the memory at the same
 * time; one thread at a time uses one SharedRing object.
 */
class SharedRing
{
public:
    SharedRing() = default;
    SharedRing(Abi abi, const std::array<std::byte *, kMaxRingPages> &pages, uint32_t nr_pages);

    uint32_t entries() const { return entries_; }
    Abi abi() const { return abi_; }

    /* A frontend calls this before it grants the pages: SHARED_RING_INIT. */
    void init();

    /* Index accesses. The ring layer takes care of ordering: it pairs each
     * access with a fence and names the partner. */
    RingIndex load(SringField f) const;
    void store(SringField f, RingIndex i);
    static void fence_full() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
    static void fence_acquire() { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
    static void fence_release() { __atomic_thread_fence(__ATOMIC_RELEASE); }

    void put_request(RingIndex i, const WireRequest &req);
    WireRequest get_request(RingIndex i) const;
    void put_response(RingIndex i, const WireResponse &rsp);
    WireResponse get_response(RingIndex i) const;

private:
    uint32_t slot_offset(RingIndex i) const;
    void copy_out(uint32_t offset, void *dst, uint32_t len) const;
    void copy_in(uint32_t offset, const void *src, uint32_t len);

    std::array<std::byte *, kMaxRingPages> pages_{};
    uint32_t entries_{0};
    Abi abi_{kNativeAbi};
};

/* Segments of an indirect request in one of its pages, from the page's start
 * on. `page` is shared memory: each word is loaded or stored once. At most
 * kSegmentsPerPage. */
void put_segments(std::byte *page, std::span<const WireSegment> segments);
void get_segments(const std::byte *page, std::span<WireSegment> segments);

/* Encode and decode one entry in a private buffer (for the ring above, fuzzers,
 * dissectors). `buf` holds an entry of entry_size. encode_request() returns the
 * number of bytes that the request occupies. */
uint32_t encode_request(Abi abi, const WireRequest &req, uint8_t *buf);
WireRequest decode_request(Abi abi, const uint8_t *buf);
void encode_response(Abi abi, const WireResponse &rsp, uint8_t *buf);
WireResponse decode_response(Abi abi, const uint8_t *buf);

} // namespace pvblk
