/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include "arena.h"
#include "hypercall.h"
#include "store.h"
#include "text.h"

#include <xen/grant_table.h>
#include <xen/io/blkif.h>

namespace disk
{

namespace
{

constexpr const char *kState = "device/vbd/51712/state";
constexpr const char *kRing = "device/vbd/51712/ring-ref";
constexpr const char *kPort = "device/vbd/51712/event-channel";
constexpr const char *kProtocol = "device/vbd/51712/protocol";

/* These stay in the arena, where everything else may overwrite them, too. */
Page &table()
{
    return arena::mapped_page(0);
}
Page &ring_page()
{
    return arena::mapped_page(1);
}

constexpr uint32_t kRingRef = 8, kFirstRef = 9, kRefs = 32;
constexpr uint32_t kEntries = 32;

uint32_t port;

void map_table(Processor &processor)
{
    xen_add_to_physmap map{};
    map.domid = DOMID_SELF;
    map.space = XENMAPSPACE_grant_table;
    map.gpfn = table().frame();
    processor.call({__HYPERVISOR_memory_op,
                    {XENMEM_add_to_physmap, reinterpret_cast<uint64_t>(&map)},
                    Layout::Bits64});
}

/* grant_table.h, version 1. The frame of the ring and those of buffers, now and then any other. */
void scribble_grants(Random &random)
{
    auto *entry = reinterpret_cast<grant_entry_v1_t *>(&table());
    store(entry[kRingRef].domid, domid_t{0});
    store(entry[kRingRef].frame,
          static_cast<uint32_t>(random.one_in(16) ? arena::frame(random) : ring_page().frame()));
    store(entry[kRingRef].flags, uint16_t{GTF_permit_access});
    for (uint32_t n = random.below(8); n; n--) {
        grant_entry_v1_t &e = entry[kFirstRef + random.below(kRefs)];
        store(e.domid, static_cast<domid_t>(random.one_in(16) ? random.any() : 0));
        store(e.frame, static_cast<uint32_t>(arena::frame(random)));
        store(e.flags, static_cast<uint16_t>(random.one_in(8) ? random.any() : GTF_permit_access));
    }
}

void allocate_port()
{
    evtchn_alloc_unbound op{DOMID_SELF, 0, 0};
    if (!event_channel_op(EVTCHNOP_alloc_unbound, op))
        port = op.port;
}

void send()
{
    evtchn_send op{port};
    event_channel_op(EVTCHNOP_send, op);
}

uint64_t sector(Random &random)
{
    return random.one_in(16) ? random.any() : random.below(4096);
}

void fill(Random &random, blkif_sring_entry &entry)
{
    constexpr uint8_t operations[] = {
        BLKIF_OP_READ,    BLKIF_OP_READ,          BLKIF_OP_WRITE,   BLKIF_OP_FLUSH_DISKCACHE,
        BLKIF_OP_DISCARD, BLKIF_OP_WRITE_BARRIER, BLKIF_OP_INDIRECT};
    blkif_request &request = entry.req;
    request.operation =
        random.one_in(24) ? static_cast<uint8_t>(random.next()) : random.of(operations);
    request.nr_segments =
        static_cast<uint8_t>(random.one_in(24) ? random.next() : random.below(12));
    request.handle = 0;
    request.id = random.next();
    request.sector_number = sector(random);
    if (request.operation == BLKIF_OP_DISCARD) {
        reinterpret_cast<blkif_request_discard &>(request).nr_sectors = sector(random);
        return;
    }
    for (auto &segment : request.seg) {
        segment.gref = random.one_in(24) ? static_cast<uint32_t>(random.any())
                                         : kFirstRef + random.below(kRefs);
        segment.first_sect =
            static_cast<uint8_t>(random.one_in(24) ? random.next() : random.below(4));
        segment.last_sect =
            static_cast<uint8_t>(random.one_in(24) ? random.next() : 4 + random.below(4));
    }
}

void scribble_ring(Random &random)
{
    auto &ring = reinterpret_cast<blkif_sring &>(ring_page());
    uint32_t n = random.below(8);
    for (uint32_t i = 0; i < n; i++)
        fill(random, ring.ring[(load(ring.req_prod) + i) % kEntries]);
    /* Partner: the backend's barrier after its load of req_prod. */
    fence_release();
    store(ring.req_prod, load(ring.req_prod) + n);
    if (random.one_in(64))
        store(ring.req_prod, static_cast<RING_IDX>(random.any()));
    if (random.one_in(16))
        store(ring.rsp_event, static_cast<RING_IDX>(random.any()));
}

void new_ring(Random &random)
{
    auto &ring = reinterpret_cast<blkif_sring &>(ring_page());
    store(ring.req_prod, RING_IDX{0});
    store(ring.rsp_prod, RING_IDX{0});
    store(ring.req_event, RING_IDX{1});
    store(ring.rsp_event, static_cast<RING_IDX>(random.one_in(8) ? random.any() : 1));
}

/* All that a backend needs to connect, each part of it wrong now and then. */
void announce(Processor &processor)
{
    constexpr const char *protocols[] = {"x86_64-abi", "x86_64-abi", "x86_32-abi", "", "bogus"};
    Random &random = processor.random();
    bool wrong_ring = random.one_in(16), wrong_port = random.one_in(16);
    uint64_t any = random.any();
    const char *protocol = random.of(protocols);
    map_table(processor);
    scribble_grants(random);
    new_ring(random);
    allocate_port();
    xenstore::write(processor, kRing, Decimal(wrong_ring ? any : kRingRef).text);
    xenstore::write(processor, kPort, Decimal(wrong_port ? any : port).text);
    xenstore::write(processor, kProtocol, protocol);
    xenstore::write(processor, kState, "3");
}

} // namespace

void random_step(Processor &processor)
{
    Random &random = processor.random();
    processor.counters.disk_steps++;
    switch (random.below(16)) {
    case 0: announce(processor); break;
    case 1: xenstore::write(processor, kState, Decimal(random.below(8)).text); break;
    case 2:
        map_table(processor);
        scribble_grants(random);
        break;
    case 3:
        /* To Closed and anew, as a guest would that reloads its driver. */
        xenstore::write(processor, kState, "5");
        xenstore::write(processor, kState, "6");
        announce(processor);
        break;
    default: scribble_ring(random); send();
    }
}

} // namespace disk
