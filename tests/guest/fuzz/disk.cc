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

constexpr const char *kFrontend = "device/vbd/51712";

/* What the backend is told. The ring of one page is announced by another node. */
constexpr uint32_t kMost = 2;
constexpr const char *kQueues[kMost] = {"device/vbd/51712/queue-0", "device/vbd/51712/queue-1"};
uint32_t queues = 1, pages = 1;
uint32_t port[kMost];

/* These stay in the arena, where everything else may overwrite them, too. main.cc moves shared_info
 * to page 2. */
Page &table()
{
    return arena::mapped_page(0);
}
Page &segment_list()
{
    return arena::mapped_page(1);
}
Page &ring_page(uint32_t i)
{
    static_assert(3 + kMost * kMost <= arena::kHole - 1, "pages of a ring are neighbours");
    return arena::mapped_page(3 + i);
}
blkif_sring &ring(uint32_t queue)
{
    return reinterpret_cast<blkif_sring &>(ring_page(queue * pages));
}

constexpr uint32_t kRingRef = 8, kListRef = kRingRef + kMost * kMost, kFirstRef = kListRef + 1,
                   kRefs = 32;
uint32_t entries()
{
    return 32 * pages;
}

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

void grant(grant_entry_v1_t &entry, uint64_t domain, uint64_t frame, uint64_t flags)
{
    store(entry.domid, static_cast<domid_t>(domain));
    store(entry.frame, static_cast<uint32_t>(frame));
    store(entry.flags, static_cast<uint16_t>(flags));
}

/* grant_table.h, version 1. The frames of rings, of segments and of buffers, now and then any
 * other. */
void scribble_grants(Random &random)
{
    auto *entry = reinterpret_cast<grant_entry_v1_t *>(&table());
    for (uint32_t i = 0; i < queues * pages; i++)
        grant(entry[kRingRef + i], 0,
              random.one_in(16) ? arena::frame(random) : ring_page(i).frame(), GTF_permit_access);
    grant(entry[kListRef], 0, random.one_in(16) ? arena::frame(random) : segment_list().frame(),
          GTF_permit_access);
    for (uint32_t n = random.below(2 * kRefs); n; n--)
        grant(entry[kFirstRef + random.below(kRefs)], random.one_in(16) ? random.any() : 0,
              arena::frame(random), random.one_in(8) ? random.any() : GTF_permit_access);
}

void allocate_ports()
{
    for (uint32_t i = 0; i < queues; i++) {
        evtchn_alloc_unbound op{DOMID_SELF, 0, 0};
        if (!event_channel_op(EVTCHNOP_alloc_unbound, op))
            port[i] = op.port;
    }
}

void send(uint32_t queue)
{
    evtchn_send op{port[queue]};
    event_channel_op(EVTCHNOP_send, op);
}

uint64_t sector(Random &random)
{
    return random.one_in(16) ? random.any() : random.below(4096);
}

blkif_request_segment segment(Random &random)
{
    return {random.one_in(24) ? static_cast<uint32_t>(random.any())
                              : kFirstRef + random.below(kRefs),
            static_cast<uint8_t>(random.one_in(24) ? random.next() : random.below(4)),
            static_cast<uint8_t>(random.one_in(24) ? random.next() : 4 + random.below(4))};
}

/* Also where the backend may be reading segments just now. */
void fill_indirect(Random &random, blkif_request_indirect &request)
{
    constexpr uint8_t operations[] = {BLKIF_OP_READ, BLKIF_OP_WRITE};
    request.indirect_op =
        random.one_in(24) ? static_cast<uint8_t>(random.next()) : random.of(operations);
    request.nr_segments =
        static_cast<uint16_t>(random.one_in(24) ? random.next() : random.below(300));
    request.id = random.next();
    request.sector_number = sector(random);
    request.handle = 0;
    for (auto &list : request.indirect_grefs)
        list = random.one_in(24) ? static_cast<uint32_t>(random.any()) : kListRef;
    auto *list = reinterpret_cast<blkif_request_segment *>(&segment_list());
    constexpr uint32_t kSegments = kPageSize / sizeof *list;
    for (uint32_t n = random.below(64); n; n--)
        list[random.below(kSegments)] = segment(random);
}

void fill(Random &random, blkif_sring_entry &entry)
{
    constexpr uint8_t operations[] = {
        BLKIF_OP_READ,    BLKIF_OP_READ,          BLKIF_OP_WRITE,   BLKIF_OP_FLUSH_DISKCACHE,
        BLKIF_OP_DISCARD, BLKIF_OP_WRITE_BARRIER, BLKIF_OP_INDIRECT};
    blkif_request &request = entry.req;
    request.operation =
        random.one_in(24) ? static_cast<uint8_t>(random.next()) : random.of(operations);
    if (request.operation == BLKIF_OP_INDIRECT)
        return fill_indirect(random, reinterpret_cast<blkif_request_indirect &>(request));
    request.nr_segments =
        static_cast<uint8_t>(random.one_in(24) ? random.next() : random.below(12));
    request.handle = 0;
    request.id = random.next();
    request.sector_number = sector(random);
    if (request.operation == BLKIF_OP_DISCARD) {
        reinterpret_cast<blkif_request_discard &>(request).nr_sectors = sector(random);
        return;
    }
    for (auto &s : request.seg)
        s = segment(random);
}

void scribble_ring(Random &random, uint32_t queue)
{
    blkif_sring &r = ring(queue);
    uint32_t n = random.below(8);
    for (uint32_t i = 0; i < n; i++)
        fill(random, r.ring[(load(r.req_prod) + i) % entries()]);
    /* Partner: the backend's barrier after its load of req_prod. */
    fence_release();
    store(r.req_prod, load(r.req_prod) + n);
    if (random.one_in(64))
        store(r.req_prod, static_cast<RING_IDX>(random.any()));
    if (random.one_in(16))
        store(r.rsp_event, static_cast<RING_IDX>(random.any()));
}

void new_ring(Random &random, uint32_t queue)
{
    blkif_sring &r = ring(queue);
    store(r.req_prod, RING_IDX{0});
    store(r.rsp_prod, RING_IDX{0});
    store(r.req_event, RING_IDX{1});
    store(r.rsp_event, static_cast<RING_IDX>(random.one_in(8) ? random.any() : 1));
}

void announce_ring(Processor &processor, uint32_t queue)
{
    Random &random = processor.random();
    const char *path = queues == 1 ? kFrontend : kQueues[queue];
    bool wrong_port = random.one_in(16);
    for (uint32_t i = 0; i < pages; i++) {
        const char *name = pages == 1 ? "ring-ref" : i ? "ring-ref1" : "ring-ref0";
        uint64_t ref = random.one_in(16 * kMost) ? random.any() : kRingRef + queue * pages + i;
        xenstore::write(processor, path, name, Decimal(ref).text);
    }
    xenstore::write(processor, path, "event-channel",
                    Decimal(wrong_port ? random.any() : port[queue]).text);
}

/* All that a backend needs to connect, each part of it wrong now and then. */
void announce(Processor &processor)
{
    constexpr const char *protocols[] = {"x86_64-abi", "x86_64-abi", "x86_32-abi", "", "bogus"};
    Random &random = processor.random();
    const char *protocol = random.of(protocols);
    auto node = [&](const char *name, uint64_t value) {
        xenstore::write(processor, kFrontend, name,
                        Decimal(random.one_in(16) ? random.any() : value).text);
    };
    /* Where the backend may begin anew. */
    if (!random.one_in(4))
        xenstore::write(processor, kFrontend, "state", "1");
    map_table(processor);
    scribble_grants(random);
    allocate_ports();
    for (uint32_t i = 0; i < queues; i++) {
        new_ring(random, i);
        announce_ring(processor, i);
    }
    if (pages > 1)
        node("ring-page-order", pages - 1);
    if (queues > 1)
        node("multi-queue-num-queues", queues);
    node("feature-persistent", random.below(2));
    xenstore::write(processor, kFrontend, "protocol", protocol);
    xenstore::write(processor, kFrontend, "state", "3");
}

} // namespace

bool init(const CommandLine &options)
{
    queues = static_cast<uint32_t>(options.number("queues", 1));
    pages = static_cast<uint32_t>(options.number("pages", 1));
    return queues && queues <= kMost && pages && pages <= kMost;
}

void random_step(Processor &processor)
{
    Random &random = processor.random();
    uint32_t queue = random.below(queues);
    processor.counters.disk_steps++;
    switch (random.below(16)) {
    case 0: announce(processor); break;
    case 1: xenstore::write(processor, kFrontend, "state", Decimal(random.below(8)).text); break;
    case 2:
        map_table(processor);
        scribble_grants(random);
        break;
    case 3:
        /* To Closed and anew, as a guest would that reloads its driver. */
        xenstore::write(processor, kFrontend, "state", "5");
        xenstore::write(processor, kFrontend, "state", "6");
        announce(processor);
        break;
    default: scribble_ring(random, queue); send(queue);
    }
}

} // namespace disk
