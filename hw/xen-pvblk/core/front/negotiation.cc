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
#include <optional>

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
    {"sectors", "blkif:sectors", "the backend's node sectors is missing",
     "the backend's node sectors is not a decimal number of 64 bits"},
    {"sector-size", "blkif:sector-size", "the backend's node sector-size is missing",
     "the backend's node sector-size is not a decimal number"},
    {"physical-sector-size", "blkif:physical-sector-size", "",
     "the backend's node physical-sector-size is not a decimal number"},
    {"info", "blkif:info", "", "the backend's node info is not a decimal number"},
    {"mode", "blkif:mode", "", "the backend's node mode is neither r nor w"},
    {"feature-flush-cache", "blkif:feature-flush-cache", "",
     "the backend's node feature-flush-cache is neither 0 nor 1"},
    {"feature-barrier", "blkif:feature-barrier", "",
     "the backend's node feature-barrier is neither 0 nor 1"},
    {"feature-discard", "blkif:feature-discard", "",
     "the backend's node feature-discard is neither 0 nor 1"},
    {"discard-granularity", "blkif:discard-granularity", "",
     "the backend's node discard-granularity is not a decimal number"},
    {"discard-alignment", "blkif:discard-alignment", "",
     "the backend's node discard-alignment is not a decimal number"},
    {"discard-secure", "blkif:discard-secure", "",
     "the backend's node discard-secure is neither 0 nor 1"},
    {"feature-persistent", "blkif:feature-persistent", "",
     "the backend's node feature-persistent is neither 0 nor 1"},
    {"feature-max-indirect-segments", "blkif:feature-max-indirect-segments", "",
     "the backend's node feature-max-indirect-segments is not a decimal number"},
    {"max-ring-page-order", "blkif:max-ring-page-order", "",
     "the backend's node max-ring-page-order is not a decimal number"},
    {"max-ring-pages", "blkif:max-ring-pages", "",
     "the backend's node max-ring-pages is not a decimal number"},
    {"multi-queue-max-queues", "blkif:multi-queue-max-queues", "",
     "the backend's node multi-queue-max-queues is not a decimal number"},
    {"device-type", "blkif:device-type", "", ""},
    {"trusted", "blkif:trusted", "", "the frontend's node trusted is neither 0 nor 1"},
};

const NodeText &text(Node n)
{
    return kText[static_cast<uint32_t>(n)];
}

Error malformation(Node n)
{
    return {ErrorKind::Malformed, text(n).clause, text(n).malformed, 0};
}

/*
 * Reads nodes and keeps the first complaint. So a caller can read several nodes,
 * and check for a complaint once, at the end. A node that could not be read
 * counts as missing.
 */
class Reader
{
public:
    explicit Reader(const NodeSet &nodes) : nodes_(nodes) {}

    bool has(Node n) const { return nodes_.has(n); }
    /* No default for what may well be there: a feature-flush-cache that we
     * missed would make us call data stable that is not. */
    bool readable(Node n)
    {
        if (nodes_.unreadable(n))
            refuse({ErrorKind::Io, text(n).clause, "a node could not be read", 0});
        return nodes_.has(n) && !nodes_.unreadable(n);
    }
    uint64_t number(Node n)
    {
        if (!has(n))
            refuse({ErrorKind::Missing, text(n).clause, text(n).missing, 0});
        return number_or(n, 0);
    }
    uint64_t number_or(Node n, uint64_t fallback)
    {
        auto v = parsed_or(n, fallback);
        if (!v)
            malformed(n);
        return v.value_or(fallback);
    }
    /* nullopt: it is no number. The caller decides what that means. */
    std::optional<uint64_t> parsed_or(Node n, uint64_t fallback)
    {
        if (!readable(n))
            return fallback;
        return nodes_.too_long(n) ? std::nullopt : parse_decimal(nodes_.get(n));
    }
    bool boolean(Node n, bool fallback = false)
    {
        uint64_t v = number_or(n, fallback);
        if (v > 1)
            malformed(n);
        return v == 1;
    }
    /* "" where there is none. */
    std::string_view word(Node n) { return readable(n) ? nodes_.get(n) : std::string_view(); }
    void malformed(Node n) { refuse(malformation(n)); }
    void refuse(const Error &error)
    {
        if (!first_)
            first_ = error;
    }
    const std::optional<Error> &first() const { return first_; }

private:
    const NodeSet &nodes_;
    std::optional<Error> first_{};
};

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

void plan_sector_size(Reader &nodes, const FrontPolicy &policy, Plan &plan)
{
    /* Both are read: one that cannot be does not come later. */
    bool sector_size = nodes.readable(Node::SectorSize), sectors = nodes.readable(Node::Sectors);
    plan.sized = sectors && sector_size;
    if (plan.sized) {
        uint64_t size = nodes.number(Node::SectorSize);
        /* 0, 1536 and 8192 all pass OVMF's "multiple of 512". */
        if (!power_of_two(size) || size < kSectorSize || size > kPageSize)
            return nodes.refuse({ErrorKind::OutOfRange, "blkif:sector-size",
                                 "the backend's sector-size is not a power of two from 512 to 4096",
                                 size});
        plan.sector_size = static_cast<uint32_t>(size);
        if (plan.sector_size != kSectorSize)
            plan.units = policy.large_sector_units;
    }
    uint64_t physical = nodes.number_or(Node::PhysicalSectorSize, plan.sector_size);
    /* sector-size comes later: the physical one cannot be compared with it yet. */
    if (!plan.sized)
        return;
    if (!power_of_two(physical) || physical < plan.sector_size || physical > UINT32_MAX)
        return nodes.refuse(
            {ErrorKind::OutOfRange, "blkif:physical-sector-size",
             "the backend's physical-sector-size is not sector-size times a power of two",
             physical});
    plan.physical_sector_size = static_cast<uint32_t>(physical);
}

void plan_capacity(Reader &nodes, Plan &plan)
{
    if (!plan.sized)
        return;
    uint64_t sectors = nodes.number(Node::Sectors);
    uint64_t bytes;
    if (__builtin_mul_overflow(sectors, unit_bytes(plan.units, plan.sector_size), &bytes) ||
        bytes > INT64_MAX)
        return nodes.refuse({ErrorKind::OutOfRange, "blkif:sectors",
                             "the backend's sectors is more than 2^63 bytes", sectors});
    if (bytes % plan.sector_size)
        return nodes.refuse({ErrorKind::Contradiction, "blkif:sectors",
                             "the backend's sectors is not a multiple of sector-size", sectors});
    plan.sectors = bytes >> kSectorShift;
}

void plan_access(Reader &nodes, const FrontPolicy &policy, Plan &plan)
{
    uint64_t info = nodes.number_or(Node::Info, 0);
    plan.cdrom = info & kInfoCdrom;
    plan.removable = info & kInfoRemovable;
    plan.read_only = info & kInfoReadonly;
    if (nodes.has(Node::Mode)) {
        std::string_view mode = nodes.word(Node::Mode);
        if (mode != "r" && mode != "w")
            nodes.malformed(Node::Mode);
        /* Where mode and info disagree, the safe one wins. */
        plan.read_only |= mode == "r";
    }
    /* blkif.h lists "disk", "cdrom", "floppy", etc. Only one of them matters. */
    plan.cdrom |= nodes.word(Node::DeviceType) == "cdrom";
    plan.trusted = nodes.boolean(Node::Trusted, true) && policy.trusted;
}

/* Where the granules of a discard lie. */
Status plan_granules(std::optional<uint64_t> granularity, std::optional<uint64_t> alignment,
                     Plan &plan)
{
    if (!granularity)
        return malformation(Node::DiscardGranularity);
    if (!alignment)
        return malformation(Node::DiscardAlignment);
    if (*granularity == 0 || *granularity > UINT32_MAX / 2 || *granularity % plan.sector_size)
        return Error{ErrorKind::Contradiction, "blkif:discard-granularity",
                     "the backend's discard-granularity is not a multiple of sector-size",
                     *granularity};
    if (*alignment >= *granularity || *alignment % plan.sector_size)
        return Error{ErrorKind::Contradiction, "blkif:discard-alignment",
                     "the backend's discard-alignment is not a multiple of sector-size below "
                     "discard-granularity",
                     *alignment};
    plan.discard_granularity = static_cast<uint32_t>(*granularity);
    plan.discard_alignment = static_cast<uint32_t>(*alignment);
    return Ok{};
}

/* A discard is advice: if its granules make no sense, use the disk without. */
void plan_discard(Reader &nodes, const FrontPolicy &policy, Plan &plan)
{
    bool discard = nodes.boolean(Node::FeatureDiscard);
    bool secure = nodes.boolean(Node::DiscardSecure);
    auto granularity = nodes.parsed_or(Node::DiscardGranularity, plan.sector_size);
    auto alignment = nodes.parsed_or(Node::DiscardAlignment, 0);
    if (!discard)
        return;
    if (auto s = plan_granules(granularity, alignment, plan); !s) {
        plan.no_discard = s.error();
        return;
    }
    /* Never discard on a read-only disk: QEMU's xen-cdrom aborts on it. */
    bool writable = !plan.read_only && !plan.cdrom;
    plan.discard = policy.use_discard && writable;
    plan.discard_secure = policy.use_secure_discard && writable && secure;
}

void plan_features(Reader &nodes, const FrontPolicy &policy, Plan &plan)
{
    plan.flush = nodes.boolean(Node::FeatureFlushCache) && policy.use_flush;
    plan.barrier = nodes.boolean(Node::FeatureBarrier) && policy.use_barrier;
    plan.persistent = nodes.boolean(Node::FeaturePersistent) && policy.use_persistent;
}

/* Rings and requests: what both sides allow. A backend's number that is larger
 * than blkif.h has room for is no lie, and means as much as we want. */
void plan_transport(Reader &nodes, const FrontPolicy &policy, Plan &plan)
{
    uint64_t order = nodes.number_or(Node::MaxRingPageOrder, 0);
    uint64_t pages = nodes.number_or(Node::MaxRingPages, 1);
    uint64_t queues = nodes.number_or(Node::MultiQueueMaxQueues, 1);
    uint64_t indirect = nodes.number_or(Node::FeatureMaxIndirectSegments, 0);
    /* blkif.h, ring-page-order: MAX(ffs(max-ring-pages) - 1, max-ring-page-order). */
    uint32_t by_order = 1u << std::min<uint64_t>(order, 4);
    plan.ring_pages = std::min(std::max(by_order, whole_ring(pages)), policy.ring_pages());
    plan.queues = static_cast<uint32_t>(std::clamp<uint64_t>(queues, 1, policy.queues()));
    plan.max_segments = static_cast<uint32_t>(
        std::clamp<uint64_t>(indirect, kMaxDirectSegments, policy.segments()));
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
    Reader reader(nodes);
    plan_sector_size(reader, policy, plan);
    plan_capacity(reader, plan);
    plan_access(reader, policy, plan);
    plan_features(reader, policy, plan);
    plan_discard(reader, policy, plan);
    plan_transport(reader, policy, plan);
    if (reader.first())
        return *reader.first();
    return plan;
}

} // namespace pvblk
