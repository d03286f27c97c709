/* SPDX-License-Identifier: MIT */
/*
 * Negotiation as a pure function: the backend's XenStore nodes and what this
 * frontend is willing to do, to a plan or to the one clause that stands in
 * its way. No I/O, no state; unit tests and fuzzers call it directly.
 */
#pragma once

#include "pvblk/ports.h"
#include "pvblk/wire.h"

#include <array>
#include <string_view>

namespace pvblk {

/* Nodes that a frontend reads: the backend's (blkif.h "Backend XenBus Nodes"),
 * and those that the toolstack leaves in the frontend's own directory. */
enum class Node : uint8_t {
    Sectors,
    SectorSize,
    PhysicalSectorSize,
    Info,
    Mode,
    FeatureFlushCache,
    FeatureBarrier,
    FeatureDiscard,
    DiscardGranularity,
    DiscardAlignment,
    DiscardSecure,
    FeaturePersistent,
    FeatureMaxIndirectSegments,
    MaxRingPageOrder,
    MaxRingPages,
    MultiQueueMaxQueues,
    DeviceType, /* from here on: the frontend's own */
    Trusted,
};
inline constexpr uint32_t kNodes = 18;
inline constexpr uint32_t kBackendNodes = 16;
const char *node_name(Node n);

/* A copy of those nodes. No legal value is longer than 20 digits. */
class NodeSet {
public:
    void set(Node n, std::string_view value);
    void clear(Node n) { slot(n) = Slot{}; }
    bool has(Node n) const { return slot(n).present; }
    /* There may be one, but the store did not tell: it is refused. */
    void set_unreadable(Node n);
    bool unreadable(Node n) const { return slot(n).unreadable; }
    /* Longer than any legal value: kept as such, so that it is refused. */
    bool too_long(Node n) const { return slot(n).too_long; }
    std::string_view get(Node n) const { return {slot(n).text.data(), slot(n).len}; }

private:
    struct Slot {
        std::array<char, 24> text{};
        uint8_t len{0};
        bool present{false};
        bool too_long{false};
        bool unreadable{false};
    };
    Slot &slot(Node n) { return slots_[static_cast<uint32_t>(n)]; }
    const Slot &slot(Node n) const { return slots_[static_cast<uint32_t>(n)]; }
    std::array<Slot, kNodes> slots_{};
};

/* Read all nodes below the backend's path, and below the frontend's ("": none
 * of those). */
NodeSet read_nodes(Store &store, std::string_view backend_path,
                   std::string_view frontend_path = {});

/*
 * The unit of `sectors`, sector_number, first_sect and last_sect.
 * Bytes512: blkif.h of 2024 and all backends but QEMU's and Windows'.
 * Device: units of sector-size, the text of 2019, which QEMU 10 follows; a
 * quirk, on only together with feature-large-sector-size=1.
 */
enum class SectorUnits : uint8_t { Bytes512, Device };

/* Bytes of that unit, on a disk of this sector-size. */
constexpr uint32_t unit_bytes(SectorUnits units, uint32_t sector_size)
{
    return units == SectorUnits::Device ? sector_size : kSectorSize;
}

/* What this frontend is willing to do; a backend may make less of it. */
struct FrontPolicy {
    Abi abi{kNativeAbi};
    SectorUnits large_sector_units{SectorUnits::Bytes512}; /* where sector-size > 512 */
    bool use_flush{true};
    bool use_barrier{true};
    bool use_discard{true};
    bool use_secure_discard{true};
    /* Grants that stay: all data is copied. Off, the guest's pages are granted
     * where they are. */
    bool use_persistent{false};
    /* False: nothing but zeroed private pages is shown to the backend,
     * whatever the node `trusted` says. */
    bool trusted{true};
    uint32_t max_ring_pages{kMaxRingPages};
    uint32_t max_queues{1};
    uint32_t max_indirect_segments{32}; /* up to 11: no indirect requests */

    /* What these come to within the limits of blkif.h. */
    uint32_t ring_pages() const;
    uint32_t queues() const;
    uint32_t segments() const; /* of the largest request */
    uint32_t ring_entries() const { return pvblk::ring_entries(abi, ring_pages()); }
};

struct Plan {
    Abi abi{kNativeAbi};
    uint32_t queues{1};
    uint32_t ring_pages{1}; /* of each queue; a power of two */
    uint32_t max_segments{kMaxDirectSegments}; /* more than that: by Op::Indirect */
    uint32_t sector_size{kSectorSize};          /* bytes; 512 … 4096 */
    uint32_t physical_sector_size{kSectorSize}; /* bytes */
    uint64_t sectors{0};                        /* capacity, 512-byte sectors */
    /* False: the backend says neither sectors nor sector-size, as one may that
     * is not Connected; the three above are 512, 512 and 0 until it does. */
    bool sized{true};
    SectorUnits units{SectorUnits::Bytes512};
    bool read_only{false};
    bool cdrom{false};
    bool removable{false};
    bool flush{false};
    bool barrier{false};
    bool discard{false};
    bool discard_secure{false};
    bool persistent{false};
    bool trusted{true};
    uint32_t discard_granularity{0}; /* bytes, a multiple of sector_size */
    uint32_t discard_alignment{0};   /* bytes, < discard_granularity */

    uint32_t ring_entries() const { return pvblk::ring_entries(abi, ring_pages); }
    /* By FLUSH_DISKCACHE or else by WRITE_BARRIER. */
    bool can_flush() const { return flush || barrier; }
};

/* Pages that the list of an indirect request takes; none for a direct one. */
constexpr uint32_t list_pages(uint32_t segments)
{
    return segments > kMaxDirectSegments ? indirect_pages(segments) : 0;
}

Result<Plan> negotiate(const NodeSet &nodes, const FrontPolicy &policy);

} // namespace pvblk
