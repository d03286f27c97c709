/* SPDX-License-Identifier: MIT */
/*
 * Negotiation as a pure function: from the backend's XenStore nodes and this
 * frontend's policy to a plan, or to the clause that prevents one. No I/O, no
 * state; unit tests and fuzzers call it directly.
 */
#pragma once

#include "proto/wire.h"
#include "pvblk/plan.h"
#include "pvblk/ports.h"

#include <array>
#include <string_view>

namespace pvblk
{

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
class NodeSet
{
public:
    void set(Node n, std::string_view value);
    void clear(Node n) { slot(n) = Slot{}; }
    bool has(Node n) const { return slot(n).present; }
    /* The store failed to read it, so the node may exist: it is refused. */
    void set_unreadable(Node n);
    bool unreadable(Node n) const { return slot(n).unreadable; }
    /* Longer than any legal value: remembered, so that it is refused. */
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

/* Read all nodes below the backend's path, and below the frontend's ("": read
 * none of these). */
NodeSet read_nodes(Store &store, std::string_view backend_path,
                   std::string_view frontend_path = {});

/* Number of pages for the list of an indirect request; 0 for a direct one. */
constexpr uint32_t list_pages(uint32_t segments)
{
    return segments > kMaxDirectSegments ? indirect_pages(segments) : 0;
}

Result<Plan> negotiate(const NodeSet &nodes, const FrontPolicy &policy);

} // namespace pvblk
