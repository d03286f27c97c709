/* SPDX-License-Identifier: MIT */
/*
 * The names and limits of blkif that both sides use. Source: Xen's public
 * headers io/blkif.h, io/protocols.h and, for the size of a ring, io/ring.h.
 */
#pragma once

#include "pvblk/types.h"

namespace pvblk
{

/* blkif: XEN_IO_PROTO_ABI_* of protocols.h. */
enum class Abi : uint8_t { X86_32, X86_64 };
#if defined(__x86_64__) || defined(__aarch64__)
inline constexpr Abi kNativeAbi = Abi::X86_64; /* same alignment rules */
#else
inline constexpr Abi kNativeAbi = Abi::X86_32;
#endif
const char *abi_name(Abi abi);

/* blkif: BLKIF_OP_*. Any other value a peer writes is kept as it is. */
enum class Op : uint8_t {
    Read = 0,
    Write = 1,
    WriteBarrier = 2,
    FlushDiskcache = 3,
    Reserved = 4,
    Discard = 5,
    Indirect = 6,
};

/* blkif: BLKIF_RSP_*. */
enum class RspStatus : int16_t { Okay = 0, Error = -1, EOpNotSupp = -2 };

inline constexpr uint32_t kMaxDirectSegments = 11; /* BLKIF_MAX_SEGMENTS_PER_REQUEST */
inline constexpr uint32_t kMaxIndirectPages = 8;   /* BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST */
inline constexpr uint32_t kMaxRingPages = 16;
inline constexpr uint32_t kSegmentSize = 8;
inline constexpr uint32_t kSegmentsPerPage = kPageSize / kSegmentSize;
/* Most segments of one indirect request. */
inline constexpr uint32_t kMaxIndirectSegments = kMaxIndirectPages * kSegmentsPerPage;

} // namespace pvblk
