/* SPDX-License-Identifier: MIT */
/*
 * Negotiation: each backend node missing, malformed, huge, zero and in
 * contradiction to others. Serves blkif.h "Backend XenBus Nodes". A case is a
 * set of nodes and either the clause that is cited or what the plan says.
 */
#include "front/negotiation.h"
#include "pvblk/xenbus.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>

namespace
{

using namespace pvblk;

NodeSet disk()
{
    NodeSet n;
    n.set(Node::Sectors, "8192");
    n.set(Node::SectorSize, "512");
    n.set(Node::Info, "0");
    n.set(Node::Mode, "w");
    n.set(Node::FeatureFlushCache, "1");
    n.set(Node::FeatureDiscard, "1");
    return n;
}

NodeSet with(Node node, std::string_view value)
{
    NodeSet n = disk();
    n.set(node, value);
    return n;
}

std::string refusal(const NodeSet &n, FrontPolicy policy = {})
{
    auto plan = negotiate(n, policy);
    return plan ? "accepted" : plan.error().clause;
}

Plan accept(const NodeSet &n, FrontPolicy policy = {})
{
    auto plan = negotiate(n, policy);
    EXPECT_TRUE(plan) << plan.error().what;
    return plan.value();
}

/* 24 characters and more cannot be a legal value of any node. */
constexpr const char *kMalformed[] = {"",
                                      " ",
                                      "x",
                                      "-1",
                                      "0x200",
                                      "1 ",
                                      "512 ",
                                      "1.0",
                                      "18446744073709551616",
                                      "0000000000000000000000000000512"};

/* Every numeric node: text that is no number is refused with its clause,
 * never taken for 0 or for a prefix of it. */
TEST(Plan, MalformedNumberIsRefused)
{
    for (Node node :
         {Node::Sectors, Node::SectorSize, Node::PhysicalSectorSize, Node::Info,
          Node::FeatureFlushCache, Node::FeatureBarrier, Node::FeatureDiscard, Node::DiscardSecure,
          Node::FeaturePersistent, Node::FeatureMaxIndirectSegments, Node::MaxRingPageOrder,
          Node::MaxRingPages, Node::MultiQueueMaxQueues, Node::Trusted})
        for (const char *text : kMalformed)
            EXPECT_EQ(refusal(with(node, text)), std::string("blkif:") + node_name(node))
                << node_name(node) << "=\"" << text << '"';
}

TEST(Plan, HalfASizeIsNone)
{
    for (Node node : {Node::Sectors, Node::SectorSize}) {
        NodeSet n = disk();
        n.clear(node);
        Plan p = accept(n);
        EXPECT_FALSE(p.sized) << node_name(node);
        EXPECT_EQ(p.sectors, 0u);
        EXPECT_EQ(p.sector_size, 512u);
    }
}

/* xenbus:nodes — a backend that is not Connected need not have either of them. */
TEST(Plan, SizeMayComeWithConnected)
{
    NodeSet n;
    n.set(Node::MaxRingPages, "4");
    Plan p = accept(n);
    EXPECT_FALSE(p.sized);
    EXPECT_EQ(p.sectors, 0u);
    EXPECT_EQ(p.sector_size, 512u);
    EXPECT_EQ(p.ring_pages, 4u);
    EXPECT_TRUE(accept(disk()).sized);
}

/* What such a backend has said by then is judged, all the same. */
TEST(Plan, NodesWithoutASizeAreJudged)
{
    for (Node node : {Node::PhysicalSectorSize, Node::Info, Node::FeatureFlushCache,
                      Node::FeatureDiscard, Node::MaxRingPages}) {
        NodeSet unreadable, text;
        unreadable.set_unreadable(node);
        text.set(node, "x");
        EXPECT_EQ(refusal(unreadable), std::string("blkif:") + node_name(node));
        EXPECT_EQ(refusal(text), std::string("blkif:") + node_name(node));
    }
    /* Half a size may come later, but one that cannot be read may be there. */
    for (Node node : {Node::Sectors, Node::SectorSize}) {
        NodeSet unreadable;
        unreadable.set_unreadable(node);
        EXPECT_EQ(refusal(unreadable), std::string("blkif:") + node_name(node));
    }
}

/* blkif.h gives these a default. */
TEST(Plan, OptionalNodesHaveDefaults)
{
    NodeSet n;
    n.set(Node::Sectors, "16");
    n.set(Node::SectorSize, "4096");
    Plan p = accept(n);
    EXPECT_EQ(p.physical_sector_size, 4096u);
    EXPECT_FALSE(p.read_only);
    EXPECT_FALSE(p.cdrom);
    EXPECT_FALSE(p.removable);
    EXPECT_FALSE(p.flush || p.barrier);
    EXPECT_FALSE(p.discard || p.discard_secure);
    EXPECT_FALSE(p.persistent);
    EXPECT_TRUE(p.trusted);
    EXPECT_EQ(p.queues, 1u);
    EXPECT_EQ(p.ring_pages, 1u);
    EXPECT_EQ(p.max_segments, 11u);
}

/* blkif:sector-size — 0, 1536 and 8192 pass OVMF's "multiple of 512". */
TEST(Plan, ImpossibleSectorSizeIsRefused)
{
    for (const char *v : {"0", "1", "256", "511", "513", "1536", "2560", "8192", "65536",
                          "2147483648", "4294967808", "18446744073709551615"})
        EXPECT_EQ(refusal(with(Node::SectorSize, v)), "blkif:sector-size") << v;
    for (const char *v : {"512", "1024", "2048", "4096"})
        EXPECT_EQ(accept(with(Node::SectorSize, v)).sector_size, parse_decimal(v)) << v;
}

/* blkif:physical-sector-size — not below sector-size, no odd multiple. */
TEST(Plan, PhysicalSectorSizeFitsSectorSize)
{
    NodeSet n = with(Node::SectorSize, "4096");
    for (const char *v : {"0", "512", "2048", "6144", "8589934592"}) {
        n.set(Node::PhysicalSectorSize, v);
        EXPECT_EQ(refusal(n), "blkif:physical-sector-size") << v;
    }
    n.set(Node::PhysicalSectorSize, "65536");
    EXPECT_EQ(accept(n).physical_sector_size, 65536u);
}

/* blkif:sectors — 512-byte units, whatever sector-size says (2024). */
TEST(Plan, CapacityCountsIn512Bytes)
{
    EXPECT_EQ(accept(with(Node::SectorSize, "4096")).sectors, 8192u);
    FrontPolicy quirk;
    quirk.large_sector_units = SectorUnits::Device;
    Plan p = accept(with(Node::SectorSize, "4096"), quirk);
    EXPECT_EQ(p.sectors, 8192u * 8) << "QEMU's reading, as a quirk";
    EXPECT_EQ(p.units, SectorUnits::Device);
    /* The quirk is one of large sectors only. */
    EXPECT_EQ(accept(disk(), quirk).units, SectorUnits::Bytes512);
}

TEST(Plan, CapacityIsBounded)
{
    /* 2^54 sectors are 2^63 bytes; 2^55 wrap to 0 bytes. */
    for (const char *v :
         {"18014398509481984", "36028797018963968", "36028797018963976", "18446744073709551615"})
        EXPECT_EQ(refusal(with(Node::Sectors, v)), "blkif:sectors") << v;
    EXPECT_EQ(accept(with(Node::Sectors, "18014398509481983")).sectors, 18014398509481983u);
    FrontPolicy quirk;
    quirk.large_sector_units = SectorUnits::Device;
    NodeSet n = with(Node::SectorSize, "4096");
    n.set(Node::Sectors, "18014398509481983");
    EXPECT_EQ(refusal(n, quirk), "blkif:sectors");
}

TEST(Plan, CapacityIsWholeSectors)
{
    NodeSet n = with(Node::SectorSize, "4096");
    n.set(Node::Sectors, "8193");
    EXPECT_EQ(refusal(n), "blkif:sectors");
}

/* A drive without a medium. */
TEST(Plan, EmptyDiskIsTaken)
{
    EXPECT_EQ(accept(with(Node::Sectors, "0")).sectors, 0u);
}

/* blkif:mode */
TEST(Plan, UnknownModeIsRefused)
{
    for (const char *v : {"", "rw", "W", "R", "w ", "0", "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"})
        EXPECT_EQ(refusal(with(Node::Mode, v)), "blkif:mode") << v;
}

/* blkif:info — where info and mode disagree, the disk is read-only. */
TEST(Plan, DisagreementOnAccessIsReadOnly)
{
    EXPECT_TRUE(accept(with(Node::Mode, "r")).read_only);
    EXPECT_TRUE(accept(with(Node::Info, "4")).read_only);
    NodeSet n = with(Node::Mode, "r");
    n.set(Node::Info, "4");
    EXPECT_TRUE(accept(n).read_only);
    EXPECT_FALSE(accept(disk()).read_only);
}

TEST(Plan, InfoBitsAreRead)
{
    Plan p = accept(with(Node::Info, "1"));
    EXPECT_TRUE(p.cdrom);
    EXPECT_FALSE(p.removable);
    EXPECT_FALSE(p.read_only);
    p = accept(with(Node::Info, "2"));
    EXPECT_TRUE(p.removable);
    EXPECT_FALSE(p.cdrom);
    /* Bits that blkif.h does not define say nothing. */
    p = accept(with(Node::Info, "18446744073709551608"));
    EXPECT_FALSE(p.cdrom || p.removable || p.read_only);
}

/* blkif:feature-* — 0 or 1 and nothing else. */
TEST(Plan, FeatureIsZeroOrOne)
{
    for (Node node :
         {Node::FeatureBarrier, Node::FeaturePersistent, Node::DiscardSecure, Node::Trusted})
        EXPECT_EQ(refusal(with(node, "2")), std::string("blkif:") + node_name(node));
    for (Node node : {Node::FeatureFlushCache, Node::FeatureDiscard}) {
        EXPECT_EQ(refusal(with(node, "2")), std::string("blkif:") + node_name(node));
        NodeSet n = with(node, "0");
        Plan p = accept(n);
        EXPECT_FALSE(node == Node::FeatureFlushCache ? p.flush : p.discard);
    }
    Plan p = accept(disk());
    EXPECT_TRUE(p.flush);
    EXPECT_TRUE(p.discard);
}

TEST(Plan, PolicySwitchesFeaturesOff)
{
    FrontPolicy policy;
    policy.use_flush = policy.use_discard = policy.use_barrier = policy.trusted = false;
    policy.use_persistent = policy.use_secure_discard = false;
    policy.max_ring_pages = policy.max_queues = 1;
    policy.max_indirect_segments = 0;
    NodeSet all = disk();
    for (Node n : {Node::FeatureBarrier, Node::DiscardSecure, Node::FeaturePersistent})
        all.set(n, "1");
    for (Node n : {Node::FeatureMaxIndirectSegments, Node::MaxRingPageOrder, Node::MaxRingPages,
                   Node::MultiQueueMaxQueues})
        all.set(n, "64");
    Plan p = accept(all, policy);
    EXPECT_FALSE(p.flush || p.barrier || p.can_flush());
    EXPECT_FALSE(p.discard || p.discard_secure);
    EXPECT_FALSE(p.persistent || p.trusted);
    EXPECT_EQ(p.queues, 1u);
    EXPECT_EQ(p.ring_pages, 1u);
    EXPECT_EQ(p.max_segments, 11u);
    policy = {};
    policy.use_persistent = true;
    policy.max_queues = 16;
    p = accept(all, policy);
    EXPECT_TRUE(p.flush && p.barrier && p.discard && p.discard_secure);
    EXPECT_TRUE(p.persistent && p.trusted);
    EXPECT_EQ(p.queues, 16u);
    EXPECT_EQ(p.ring_pages, 16u);
    EXPECT_EQ(p.max_segments, 32u);
}

/* The clause for which a disk does without the discard that it offers. */
std::string without_discard(const NodeSet &n)
{
    Plan p = accept(n);
    EXPECT_EQ(p.discard, !p.no_discard);
    EXPECT_FALSE(p.discard_secure);
    return p.no_discard ? p.no_discard->clause : "with it";
}

/* blkif:discard-granularity, blkif:discard-alignment — advice is no reason to
 * refuse a disk. */
TEST(Plan, DiskDoesWithoutAnImpossibleDiscard)
{
    for (const char *v : {"0", "100", "513", "4294967296", "18446744073709551104"})
        EXPECT_EQ(without_discard(with(Node::DiscardGranularity, v)), "blkif:discard-granularity")
            << v;
    NodeSet n = with(Node::DiscardGranularity, "65536");
    for (const char *v : {"100", "65536", "131072", "18446744073709551615"}) {
        n.set(Node::DiscardAlignment, v);
        EXPECT_EQ(without_discard(n), "blkif:discard-alignment") << v;
    }
    for (const char *v : kMalformed) {
        EXPECT_EQ(without_discard(with(Node::DiscardGranularity, v)), "blkif:discard-granularity")
            << v;
        EXPECT_EQ(without_discard(with(Node::DiscardAlignment, v)), "blkif:discard-alignment") << v;
    }
    n.set(Node::FeatureDiscard, "0");
    EXPECT_FALSE(accept(n).no_discard) << "nothing was offered";
    n.set(Node::FeatureDiscard, "1");
    n.set(Node::DiscardAlignment, "4096");
    EXPECT_EQ(without_discard(n), "with it");
    Plan p = accept(n);
    EXPECT_EQ(p.discard_granularity, 65536u);
    EXPECT_EQ(p.discard_alignment, 4096u);
}

TEST(Plan, MissingDiscardGeometryHasDefaults)
{
    Plan p = accept(with(Node::SectorSize, "4096"));
    EXPECT_TRUE(p.discard);
    EXPECT_EQ(p.discard_granularity, 4096u);
    EXPECT_EQ(p.discard_alignment, 0u);
}

/* qemu:D6 — QEMU's xen-cdrom aborts on a discard. */
TEST(Plan, DiscardNeedsAWritableDisk)
{
    EXPECT_FALSE(accept(with(Node::Info, "1")).discard);
    EXPECT_FALSE(accept(with(Node::Mode, "r")).discard);
}

/* read_nodes() on a store of its own: cut values, paths, absent nodes. */
class OneDir final : public Store
{
public:
    Result<size_t> read(std::string_view path, std::span<char> out) override
    {
        if (path == unreadable)
            return Error{ErrorKind::Io, "", "", 0};
        auto it = nodes.find(std::string(path));
        if (it == nodes.end())
            return Error{ErrorKind::Missing, "", "", 0};
        std::copy_n(it->second.begin(), std::min(out.size(), it->second.size()), out.begin());
        return it->second.size();
    }
    Status write(std::string_view, std::string_view) override { return Ok{}; }
    void remove(std::string_view) override {}
    Status watch(std::string_view) override { return Ok{}; }
    void unwatch() override {}

    std::map<std::string, std::string> nodes;
    std::string unreadable;
};

TEST(Plan, NodesAreReadWholeFromTheirPath)
{
    OneDir store;
    store.nodes = {
        {"/b/sectors", "2048"}, {"/b/sector-size", "512"}, {"/b/mode", std::string(5000, 'w')}};
    NodeSet n = read_nodes(store, "/b");
    EXPECT_EQ(n.get(Node::Sectors), "2048");
    EXPECT_FALSE(n.has(Node::FeatureDiscard));
    EXPECT_TRUE(n.too_long(Node::Mode));
    /* What is the toolstack's to say, the backend does not. */
    store.nodes["/b/trusted"] = store.nodes["/f/sectors"] = "0";
    store.nodes["/f/device-type"] = "cdrom";
    NodeSet own = read_nodes(store, "/b", "/f");
    EXPECT_FALSE(own.has(Node::Trusted));
    EXPECT_EQ(own.get(Node::Sectors), "2048");
    EXPECT_EQ(own.get(Node::DeviceType), "cdrom");
    EXPECT_EQ(refusal(n), "blkif:mode");
    EXPECT_EQ(refusal(read_nodes(store, std::string(4000, 'b'))), "blkif:sector-size");
}

/* blkif:default — a node that cannot be read is not a node that is not there:
 * the default would make a writable disk, or one without a cache. */
TEST(Plan, UnreadableNodeIsRefused)
{
    for (Node node :
         {Node::Sectors, Node::SectorSize, Node::PhysicalSectorSize, Node::Info, Node::Mode,
          Node::FeatureFlushCache, Node::FeatureBarrier, Node::FeatureDiscard,
          Node::DiscardGranularity, Node::DiscardAlignment, Node::DiscardSecure,
          Node::FeaturePersistent, Node::FeatureMaxIndirectSegments, Node::MaxRingPageOrder,
          Node::MaxRingPages, Node::MultiQueueMaxQueues, Node::DeviceType, Node::Trusted}) {
        OneDir store;
        store.nodes = {{"/b/sectors", "2048"}, {"/b/sector-size", "512"}};
        bool own = node == Node::DeviceType || node == Node::Trusted;
        store.unreadable = std::string(own ? "/f/" : "/b/") + node_name(node);
        auto plan = negotiate(read_nodes(store, "/b", "/f"), {});
        ASSERT_FALSE(plan) << node_name(node);
        EXPECT_EQ(plan.error().kind, ErrorKind::Io);
        EXPECT_EQ(plan.error().clause, std::string("blkif:") + node_name(node));
    }
}

} // namespace
