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

/* Backend nodes that a frontend reads. blkif.h "Backend XenBus Nodes". */
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
};
inline constexpr uint32_t kNodes = 10;
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

/* Read all nodes below the backend's path. */
NodeSet read_nodes(Store &store, std::string_view backend_path);

/*
 * The unit of `sectors`, sector_number, first_sect and last_sect.
 * Bytes512: blkif.h of 2024 and all backends but QEMU's and Windows'.
 * Device: units of sector-size, the text of 2019, which QEMU 10 follows; a
 * quirk, on only together with feature-large-sector-size=1.
 */
enum class SectorUnits : uint8_t { Bytes512, Device };

struct FrontPolicy {
    Abi abi{kNativeAbi};
    SectorUnits large_sector_units{SectorUnits::Bytes512}; /* where sector-size > 512 */
    bool use_flush{true};
    bool use_discard{true};
};

struct Plan {
    Abi abi{kNativeAbi};
    uint32_t ring_pages{1};
    uint32_t max_segments{kMaxDirectSegments};
    uint32_t sector_size{kSectorSize};          /* bytes; 512 … 4096 */
    uint32_t physical_sector_size{kSectorSize}; /* bytes */
    uint64_t sectors{0};                        /* capacity, 512-byte sectors */
    SectorUnits units{SectorUnits::Bytes512};
    bool read_only{false};
    bool cdrom{false};
    bool removable{false};
    bool flush{false};
    bool discard{false};
    uint32_t discard_granularity{0}; /* bytes, a multiple of sector_size */
    uint32_t discard_alignment{0};   /* bytes, < discard_granularity */

    uint32_t ring_entries() const { return pvblk::ring_entries(abi, ring_pages); }
};

Result<Plan> negotiate(const NodeSet &nodes, const FrontPolicy &policy);

} // namespace pvblk
