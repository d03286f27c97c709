/* SPDX-License-Identifier: MIT */
/*
 * What a backend's owner may ask for: each field of BackConfig, at its limits
 * and beyond them. Of what is refused no frontend sees anything.
 */
#include "support/rig.h"

namespace
{

using namespace pvblk;

struct ConfigCase {
    const char *clause; /* "": taken */
    void (*change)(BackConfig &);
};

const ConfigCase kConfigs[] = {
    {"", [](BackConfig &) {}},
    {"blkif:sector-size", [](BackConfig &c) { c.sector_size = 0; }},
    {"blkif:sector-size", [](BackConfig &c) { c.sector_size = 256; }},
    {"blkif:sector-size", [](BackConfig &c) { c.sector_size = 1536; }},
    {"blkif:sector-size", [](BackConfig &c) { c.sector_size = 8192; }},
    {"", [](BackConfig &c) { c.sector_size = 4096; }},
    {"", [](BackConfig &c) { c.sector_size = 4096, c.units = SectorUnits::Device; }},
    {"blkif:physical-sector-size", [](BackConfig &c) { c.physical_sector_size = 1536; }},
    {"blkif:physical-sector-size",
     [](BackConfig &c) { c.sector_size = 4096, c.physical_sector_size = 512; }},
    {"", [](BackConfig &c) { c.physical_sector_size = 65536; }},
    {"blkif:discard-granularity",
     [](BackConfig &c) { c.sector_size = 4096, c.discard_granularity = 512; }},
    {"", [](BackConfig &c) { c.discard_granularity = 1536; }},
    {"blkif:discard-alignment", [](BackConfig &c) { c.discard_alignment = 512; }},
    {"blkif:discard-alignment",
     [](BackConfig &c) { c.discard_granularity = 4096, c.discard_alignment = 4096; }},
    {"blkif:discard-alignment",
     [](BackConfig &c) { c.discard_granularity = 4096, c.discard_alignment = 100; }},
    {"", [](BackConfig &c) { c.discard_granularity = 4096, c.discard_alignment = 3584; }},
    {"blkif:max-ring-page-order", [](BackConfig &c) { c.max_ring_page_order = 5; }},
    {"", [](BackConfig &c) { c.max_ring_page_order = 4; }},
    {"blkif:multi-queue-max-queues", [](BackConfig &c) { c.max_queues = 0; }},
    {"blkif:multi-queue-max-queues", [](BackConfig &c) { c.max_queues = kMaxQueues + 1; }},
    {"blkif:multi-queue-max-queues", [](BackConfig &c) { c.max_queues = UINT32_MAX; }},
    {"", [](BackConfig &c) { c.max_queues = kMaxQueues; }},
    {"blkif:feature-max-indirect-segments",
     [](BackConfig &c) { c.max_indirect_segments = kMaxIndirectSegments + 1; }},
    {"", [](BackConfig &c) { c.max_indirect_segments = kMaxIndirectSegments; }},
    {"ring:in-flight", [](BackConfig &c) { c.max_segments_in_flight = 10; }},
    {"", [](BackConfig &c) { c.max_segments_in_flight = 11; }},
    {"ring:in-flight",
     [](BackConfig &c) { c.max_indirect_segments = 100, c.max_segments_in_flight = 99; }},
    {"", [](BackConfig &c) { c.max_indirect_segments = c.max_segments_in_flight = 100; }},
    {"ring:in-flight", [](BackConfig &c) { c.max_segments_in_flight = kMaxSegmentsInFlight + 1; }},
    {"", [](BackConfig &c) { c.max_segments_in_flight = kMaxSegmentsInFlight; }},
};

TEST(BackConfig, WhatCannotBeIsRefusedAndNotPublished)
{
    for (const ConfigCase &c : kConfigs) {
        SCOPED_TRACE(&c - kConfigs);
        RigSetup s;
        c.change(s.back);
        Rig rig(s);
        auto started = rig.back->start();
        bool taken = std::string_view(c.clause).empty();
        ASSERT_EQ(started.ok(), taken);
        EXPECT_STREQ(started.error().clause, c.clause);
        EXPECT_EQ(rig.back_node("state"), taken ? "2" : "");
        EXPECT_EQ(rig.hub.has_node(rig.hub.config.backend_path + "/sectors"), taken);
        if (taken)
            continue;
        EXPECT_EQ(started.error().kind, ErrorKind::OutOfRange);
        EXPECT_STRNE(started.error().what, "");
        EXPECT_EQ(rig.back->state(), XenbusState::Unknown);
    }
}

/* What is taken is what our own frontend can make a plan of. */
TEST(BackConfig, WhatIsTakenConnects)
{
    for (const ConfigCase &c : kConfigs) {
        if (*c.clause)
            continue;
        SCOPED_TRACE(&c - kConfigs);
        RigSetup s;
        c.change(s.back);
        s.front.policy.large_sector_units = s.back.units;
        Rig rig(s);
        EXPECT_TRUE(rig.try_connect()) << rig.refusal.what;
    }
}

} // namespace
