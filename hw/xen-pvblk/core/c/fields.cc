/* SPDX-License-Identifier: MIT */
/* See fields.h. Names and order are an interface: scripts and tests read them. */
#include "c/fields.h"

#include "front/negotiation.h"

namespace pvblk
{

void emit_plan(Fields fields, const Plan &p)
{
    fields.text("protocol", abi_name(p.abi));
    fields.number("queues", p.queues);
    fields.number("ring-pages", p.ring_pages);
    fields.number("ring-entries", p.ring_entries());
    fields.number("max-segments", p.max_segments);
    fields.number("indirect-pages", list_pages(p.max_segments));
    fields.flag("persistent", p.persistent);
    fields.flag("trusted", p.trusted);
    fields.number("sectors", p.sectors);
    fields.number("sector-size", p.sector_size);
    fields.number("physical-sector-size", p.physical_sector_size);
    fields.text("sector-units", p.units == SectorUnits::Device ? "device" : "512");
    fields.flag("read-only", p.read_only);
    fields.flag("cdrom", p.cdrom);
    fields.flag("flush", p.flush);
    fields.flag("barrier", p.barrier);
    fields.flag("discard", p.discard);
    fields.flag("discard-secure", p.discard_secure);
    fields.number("discard-granularity", p.discard_granularity);
    fields.number("discard-alignment", p.discard_alignment);
}

void emit_counters(Fields fields, const BlockFront &front)
{
    const FrontCounters &c = front.counters();
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"ring-reads", c.ring_reads},
        {"ring-writes", c.ring_writes},
        {"ring-flushes", c.ring_flushes},
        {"ring-barriers", c.ring_barriers},
        {"ring-discards", c.ring_discards},
        {"ring-indirect", c.ring_indirect},
        {"segments", c.segments},
        {"bounced-segments", c.bounced_segments},
        {"grants", c.grants},
        {"events-sent", c.events_sent},
        {"events-suppressed", c.events_suppressed},
        {"events-received", c.events_received},
        {"bytes-read", c.bytes_read},
        {"bytes-written", c.bytes_written},
        {"bytes-discarded", c.bytes_discarded},
        {"responses", c.responses},
        {"errors", c.errors},
        {"unsupported", c.unsupported},
        {"batches", c.batches},
        {"latency-ns-total", c.latency_ns_total},
        {"latency-ns-max", c.latency_ns_max},
        {"violations", c.violations},
        {"reconnects", c.reconnects},
        {"requeued", c.requeued},
        {"in-flight", front.in_flight()},
        {"accepted", front.accepted()},
        {"quarantined", front.quarantined()},
        {"persistent-grants", front.persistent_grants()},
    };
    for (const auto &row : rows)
        fields.number(row.name, row.value);
}

} // namespace pvblk
