/* SPDX-License-Identifier: MIT */
/*
 * Negotiation: the backend's nodes to a plan. Each refusal cites the clause
 * of docs/protocol.rst that it serves and says what the node should hold.
 */
#include "front/negotiation.h"

#include "pvblk/xenbus.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace pvblk
{

namespace
{

/* Where each node's clause and complaints live; index: Node. */
struct NodeText {
    const char *name;
    const char *clause;
    const char *missing;
    const char *malformed;
};

constexpr NodeText kText[kNodes] = {
    {"sectors", "blkif:sectors", "backend node sectors is missing",
     "backend node sectors is not a decimal number of 64 bits"},
    {"sector-size", "blkif:sector-size", "backend node sector-size is missing",
     "backend node sector-size is not a decimal number"},
    {"physical-sector-size", "blkif:physical-sector-size", "",
     "backend node physical-sector-size is not a decimal number"},
    {"info", "blkif:info", "", "backend node info is not a decimal number"},
    {"mode", "blkif:mode", "", "backend node mode is neither r nor w"},
    {"feature-flush-cache", "blkif:feature-flush-cache", "",
     "backend node feature-flush-cache is neither 0 nor 1"},
    {"feature-barrier", "blkif:feature-barrier", "",
     "backend node feature-barrier is neither 0 nor 1"},
    {"feature-discard", "blkif:feature-discard", "",
     "backend node feature-discard is neither 0 nor 1"},
    {"discard-granularity", "blkif:discard-granularity", "",
     "backend node discard-granularity is not a decimal number"},
    {"discard-alignment", "blkif:discard-alignment", "",
     "backend node discard-alignment is not a decimal number"},
    {"discard-secure", "blkif:discard-secure", "",
     "backend node discard-secure is neither 0 nor 1"},
    {"feature-persistent", "blkif:feature-persistent", "",
     "backend node feature-persistent is neither 0 nor 1"},
    {"feature-max-indirect-segments", "blkif:feature-max-indirect-segments", "",
     "backend node feature-max-indirect-segments is not a decimal number"},
    {"max-ring-page-order", "blkif:max-ring-page-order", "",
     "backend node max-ring-page-order is not a decimal number"},
    {"max-ring-pages", "blkif:max-ring-pages", "",
     "backend node max-ring-pages is not a decimal number"},
    {"multi-queue-max-queues", "blkif:multi-queue-max-queues", "",
     "backend node multi-queue-max-queues is not a decimal number"},
    {"device-type", "blkif:device-type", "", ""},
    {"trusted", "blkif:trusted", "", "our node trusted is neither 0 nor 1"},
};

const NodeText &text(Node n)
{
    return kText[static_cast<uint32_t>(n)];
}

Error malformed(Node n)
{
    return {ErrorKind::Malformed, text(n).clause, text(n).malformed, 0};
}

/* No default for what may well be there: a feature-flush-cache that we missed
 * would make us call data stable that is not. */
Error unreadable(Node n)
{
    return {ErrorKind::Io, text(n).clause, "a node could not be read", 0};
}

Result<uint64_t> number(const NodeSet &nodes, Node n)
{
    if (!nodes.has(n))
        return Error{ErrorKind::Missing, text(n).clause, text(n).missing, 0};
    if (nodes.unreadable(n))
        return unreadable(n);
    auto v = nodes.too_long(n) ? std::nullopt : parse_decimal(nodes.get(n));
    if (!v)
        return malformed(n);
    return *v;
}

Result<uint64_t> number_or(const NodeSet &nodes, Node n, uint64_t fallback)
{
    if (!nodes.has(n))
        return fallback;
    return number(nodes, n);
}

Result<bool> boolean(const NodeSet &nodes, Node n, bool fallback = false)
{
    if (!nodes.has(n))
        return fallback;
    auto v = number(nodes, n);
    if (!v)
        return v.error();
    if (v.value() > 1)
        return malformed(n);
    return v.value() == 1;
}

constexpr bool power_of_two(uint64_t v)
{
    return v && (v & (v - 1)) == 0;
}

/* The largest power of two of ring pages that `most` allows; at least one. */
constexpr uint32_t whole_ring(uint64_t most)
{
    return std::bit_floor(static_cast<uint32_t>(std::clamp<uint64_t>(most, 1, kMaxRingPages)));
}

/* blkif.h VDISK_*: bits of `info`. */
constexpr uint64_t kInfoCdrom = 1, kInfoRemovable = 2, kInfoReadonly = 4;

Status plan_sector_size(const NodeSet &nodes, const FrontPolicy &policy, Plan &plan)
{
    auto physical = number_or(nodes, Node::PhysicalSectorSize, 0);
    plan.sized = nodes.has(Node::Sectors) || nodes.has(Node::SectorSize);
    /* A sector-size that comes later: nothing yet to compare the physical one with. */
    if (!plan.sized)
        return physical ? Status(Ok{}) : Status(physical.error());
    auto size = number(nodes, Node::SectorSize);
    if (!size)
        return size.error();
    /* 0, 1536 and 8192 all pass OVMF's "multiple of 512". */
    if (!power_of_two(size.value()) || size.value() < kSectorSize || size.value() > kPageSize)
        return Error{ErrorKind::OutOfRange, "blkif:sector-size",
                     "backend's sector-size is not a power of two from 512 to 4096", size.value()};
    plan.sector_size = static_cast<uint32_t>(size.value());
    if (plan.sector_size != kSectorSize)
        plan.units = policy.large_sector_units;

    if (!physical)
        return physical.error();
    uint64_t phys = nodes.has(Node::PhysicalSectorSize) ? physical.value() : plan.sector_size;
    if (!power_of_two(phys) || phys < plan.sector_size || phys > UINT32_MAX)
        return Error{ErrorKind::OutOfRange, "blkif:physical-sector-size",
                     "backend's physical-sector-size is not sector-size times a power of two",
                     phys};
    plan.physical_sector_size = static_cast<uint32_t>(phys);
    return Ok{};
}

Status plan_capacity(const NodeSet &nodes, Plan &plan)
{
    if (!plan.sized)
        return Ok{};
    auto sectors = number(nodes, Node::Sectors);
    if (!sectors)
        return sectors.error();
    uint32_t unit = unit_bytes(plan.units, plan.sector_size);
    uint64_t bytes;
    if (__builtin_mul_overflow(sectors.value(), unit, &bytes) || bytes > INT64_MAX)
        return Error{ErrorKind::OutOfRange, "blkif:sectors",
                     "backend's sectors is more than 2^63 bytes", sectors.value()};
    if (bytes % plan.sector_size)
        return Error{ErrorKind::Contradiction, "blkif:sectors",
                     "backend's sectors is no whole number of sector-size", sectors.value()};
    plan.sectors = bytes >> kSectorShift;
    return Ok{};
}

Status plan_access(const NodeSet &nodes, const FrontPolicy &policy, Plan &plan)
{
    auto info = number_or(nodes, Node::Info, 0);
    if (!info)
        return info.error();
    plan.cdrom = info.value() & kInfoCdrom;
    plan.removable = info.value() & kInfoRemovable;
    plan.read_only = info.value() & kInfoReadonly;
    if (nodes.unreadable(Node::Mode))
        return unreadable(Node::Mode);
    if (nodes.has(Node::Mode)) {
        std::string_view mode = nodes.get(Node::Mode);
        if (nodes.too_long(Node::Mode) || (mode != "r" && mode != "w"))
            return malformed(Node::Mode);
        /* Where mode and info disagree, the safe one wins. */
        plan.read_only |= mode == "r";
    }
    if (nodes.unreadable(Node::DeviceType))
        return unreadable(Node::DeviceType);
    /* Of what blkif.h lists ("disk", "cdrom", "floppy", etc.) one matters. */
    plan.cdrom |= nodes.get(Node::DeviceType) == "cdrom";
    auto trusted = boolean(nodes, Node::Trusted, true);
    if (!trusted)
        return trusted.error();
    plan.trusted = trusted.value() && policy.trusted;
    return Ok{};
}

Status plan_discard(const NodeSet &nodes, const FrontPolicy &policy, Plan &plan)
{
    auto discard = boolean(nodes, Node::FeatureDiscard);
    if (!discard)
        return discard.error();
    auto secure = boolean(nodes, Node::DiscardSecure);
    if (!secure)
        return secure.error();
    auto granularity = number_or(nodes, Node::DiscardGranularity, plan.sector_size);
    if (!granularity)
        return granularity.error();
    auto alignment = number_or(nodes, Node::DiscardAlignment, 0);
    if (!alignment)
        return alignment.error();
    if (!discard.value())
        return Ok{};
    if (granularity.value() == 0 || granularity.value() > UINT32_MAX / 2 ||
        granularity.value() % plan.sector_size)
        return Error{ErrorKind::Contradiction, "blkif:discard-granularity",
                     "backend's discard-granularity is no multiple of sector-size",
                     granularity.value()};
    if (alignment.value() >= granularity.value() || alignment.value() % plan.sector_size)
        return Error{ErrorKind::Contradiction, "blkif:discard-alignment",
                     "backend's discard-alignment is no sector offset within discard-granularity",
                     alignment.value()};
    plan.discard_granularity = static_cast<uint32_t>(granularity.value());
    plan.discard_alignment = static_cast<uint32_t>(alignment.value());
    /* Never to what cannot be written: QEMU's xen-cdrom aborts on it. */
    bool writable = !plan.read_only && !plan.cdrom;
    plan.discard = policy.use_discard && writable;
    plan.discard_secure = policy.use_secure_discard && writable && secure.value();
    return Ok{};
}

Status plan_features(const NodeSet &nodes, const FrontPolicy &policy, Plan &plan)
{
    auto flush = boolean(nodes, Node::FeatureFlushCache);
    if (!flush)
        return flush.error();
    plan.flush = flush.value() && policy.use_flush;
    auto barrier = boolean(nodes, Node::FeatureBarrier);
    if (!barrier)
        return barrier.error();
    plan.barrier = barrier.value() && policy.use_barrier;
    auto persistent = boolean(nodes, Node::FeaturePersistent);
    if (!persistent)
        return persistent.error();
    plan.persistent = persistent.value() && policy.use_persistent;
    return plan_discard(nodes, policy, plan);
}

/* Rings and requests: what both sides allow. A backend's number that is larger
 * than blkif.h has room for is no lie, and means as much as we want. */
Status plan_transport(const NodeSet &nodes, const FrontPolicy &policy, Plan &plan)
{
    auto order = number_or(nodes, Node::MaxRingPageOrder, 0);
    if (!order)
        return order.error();
    auto pages = number_or(nodes, Node::MaxRingPages, 1);
    if (!pages)
        return pages.error();
    auto queues = number_or(nodes, Node::MultiQueueMaxQueues, 1);
    if (!queues)
        return queues.error();
    auto indirect = number_or(nodes, Node::FeatureMaxIndirectSegments, 0);
    if (!indirect)
        return indirect.error();
    /* blkif.h, ring-page-order: MAX(ffs(max-ring-pages) - 1, max-ring-page-order). */
    uint32_t by_order = 1u << std::min<uint64_t>(order.value(), 4);
    plan.ring_pages = std::min(std::max(by_order, whole_ring(pages.value())), policy.ring_pages());
    plan.queues = static_cast<uint32_t>(std::clamp<uint64_t>(queues.value(), 1, policy.queues()));
    plan.max_segments = static_cast<uint32_t>(
        std::clamp<uint64_t>(indirect.value(), kMaxDirectSegments, policy.segments()));
    return Ok{};
}

} // namespace

uint32_t FrontPolicy::ring_pages() const
{
    return whole_ring(max_ring_pages);
}

uint32_t FrontPolicy::ring_entries() const
{
    return pvblk::ring_entries(abi, ring_pages());
}

uint32_t Plan::ring_entries() const
{
    return pvblk::ring_entries(abi, ring_pages);
}

uint32_t FrontPolicy::queues() const
{
    return std::clamp(max_queues, 1u, kMaxQueues);
}

uint32_t FrontPolicy::segments() const
{
    return std::clamp(max_indirect_segments, kMaxDirectSegments, kMaxIndirectSegments);
}

const char *node_name(Node n)
{
    return text(n).name;
}

void NodeSet::set_unreadable(Node n)
{
    slot(n) = Slot{};
    slot(n).present = slot(n).unreadable = true;
}

void NodeSet::set(Node n, std::string_view value)
{
    Slot &s = slot(n);
    s.unreadable = false;
    s.present = true;
    s.too_long = value.size() > s.text.size();
    s.len = static_cast<uint8_t>(std::min(value.size(), s.text.size()));
    std::memcpy(s.text.data(), value.data(), s.len);
}

namespace
{

void read_dir(Store &store, std::string_view dir, uint32_t first, uint32_t end, NodeSet &nodes)
{
    std::array<char, 256> path;
    if (dir.empty())
        return;
    if (dir.size() + 32 > path.size()) {
        for (uint32_t i = first; i < end; i++)
            nodes.set_unreadable(static_cast<Node>(i));
        return;
    }
    std::memcpy(path.data(), dir.data(), dir.size());
    path[dir.size()] = '/';
    for (uint32_t i = first; i < end; i++) {
        Node n = static_cast<Node>(i);
        std::string_view name = node_name(n);
        std::memcpy(path.data() + dir.size() + 1, name.data(), name.size());
        std::array<char, 32> value;
        auto len = store.read({path.data(), dir.size() + 1 + name.size()}, value);
        if (len)
            nodes.set(n, {value.data(), std::min(len.value(), value.size())});
        else if (len.error().kind != ErrorKind::Missing)
            nodes.set_unreadable(n);
    }
}

} // namespace

NodeSet read_nodes(Store &store, std::string_view backend_path, std::string_view frontend_path)
{
    NodeSet nodes;
    read_dir(store, backend_path, 0, kBackendNodes, nodes);
    read_dir(store, frontend_path, kBackendNodes, kNodes, nodes);
    return nodes;
}

Result<Plan> negotiate(const NodeSet &nodes, const FrontPolicy &policy)
{
    Plan plan;
    plan.abi = policy.abi;
    if (auto s = plan_sector_size(nodes, policy, plan); !s)
        return s.error();
    if (auto s = plan_capacity(nodes, plan); !s)
        return s.error();
    if (auto s = plan_access(nodes, policy, plan); !s)
        return s.error();
    if (auto s = plan_features(nodes, policy, plan); !s)
        return s.error();
    if (auto s = plan_transport(nodes, policy, plan); !s)
        return s.error();
    return plan;
}

} // namespace pvblk
