/* SPDX-License-Identifier: MIT */
/* The loopback's C seam: c/loopback.h over a LoopbackHub and a BlockBack. */
#include "c/loopback.h"

#include "c/fields.h"
#include "c/host.h"

#include <cerrno>
#include <cstdio>

using namespace pvblk;

namespace
{

LoopbackHub &hub(void *opaque)
{
    return static_cast<pvblk_loopback *>(opaque)->hub;
}

HubConfig hub_config(uint64_t disk_sectors)
{
    FrontPolicy most; /* c/loopback.h promises pools for that */
    most.max_queues = kMaxQueues;
    HubConfig c;
    c.disk_sectors = disk_sectors;
    c.grants = BlockFront::wanted_grants(most);
    c.private_pages = BlockFront::wanted_pages(most);
    return c;
}

BackConfig back_config(const HubConfig &hub)
{
    BackConfig b;
    b.frontend_path = hub.frontend_path;
    b.backend_path = hub.backend_path;
    return b;
}

void fill_store(pvblk_front_ports &p)
{
    p.store_read = [](void *o, const char *path, char *buf, size_t cap) {
        auto n = hub(o).front_store.read(path, {buf, cap});
        return n ? static_cast<int>(n.value()) : host_errno(n.error());
    };
    p.store_write = [](void *o, const char *path, const char *value, size_t len) {
        return host_errno(hub(o).front_store.write(path, {value, len}));
    };
    p.store_remove = [](void *o, const char *path) { hub(o).front_store.remove(path); };
    p.store_watch = [](void *o, const char *path) {
        return host_errno(hub(o).front_store.watch(path));
    };
    p.store_unwatch = [](void *o) { hub(o).front_store.unwatch(); };
}

void fill_grants(pvblk_front_ports &p)
{
    p.grant_ref = [](void *o, uint32_t i) { return hub(o).grants.ref(i).value; };
    p.grant_frame = [](void *o, uint32_t i, uint64_t gfn, bool ro) {
        return host_errno(hub(o).grants.grant_frame(i, Gfn(gfn), ro));
    };
    p.grant_page = [](void *o, uint32_t i, uint32_t page, bool ro) {
        return host_errno(hub(o).grants.grant_page(i, PageIndex(page), ro));
    };
    p.grant_revoke = [](void *o, uint32_t i) { return host_errno(hub(o).grants.revoke(i)); };
}

void fill_events_and_clock(pvblk_front_ports &p)
{
    p.event_open = [](void *o, uint32_t queue, uint32_t *port) {
        auto made = hub(o).events.open(queue);
        if (!made)
            return host_errno(made.error());
        *port = made.value().value;
        return 0;
    };
    p.event_send = [](void *o, uint32_t queue) { return host_errno(hub(o).events.notify(queue)); };
    p.event_close = [](void *o, uint32_t queue) { hub(o).events.close(queue); };
    p.clock_now = [](void *o) { return hub(o).clock.now_ns(); };
    p.clock_deadline = [](void *o, int64_t at) { hub(o).clock.set_deadline(at); };
}

} // namespace

pvblk_loopback::pvblk_loopback(uint64_t disk_sectors)
    : hub(hub_config(disk_sectors)),
      back(std::make_unique<BlockBack>(hub.back_ports(), back_config(hub.config), faults.hooks()))
{
    hub.attach(back.get());
}

pvblk_loopback *pvblk_loopback_new(uint64_t disk_sectors)
{
    auto loopback = std::make_unique<pvblk_loopback>(disk_sectors);
    /* It fails where a watch does, and dom0's never does here. */
    return loopback->back->start() ? loopback.release() : nullptr;
}

void pvblk_loopback_free(pvblk_loopback *loopback)
{
    delete loopback;
}

void pvblk_loopback_ports(pvblk_loopback *loopback, pvblk_front_ports *ports)
{
    *ports = {};
    ports->opaque = loopback;
    ports->grants = loopback->hub.grants.count();
    ports->pages = loopback->hub.memory.pages();
    ports->pages_base = loopback->hub.memory.page(PageIndex(0));
    fill_store(*ports);
    fill_grants(*ports);
    fill_events_and_clock(*ports);
}

const char *pvblk_loopback_frontend_path(const pvblk_loopback *loopback)
{
    return loopback->hub.config.frontend_path.c_str();
}

const char *pvblk_loopback_backend_path(const pvblk_loopback *loopback)
{
    return loopback->hub.config.backend_path.c_str();
}

void pvblk_loopback_attach(pvblk_loopback *loopback, pvblk_front *front)
{
    static constexpr auto of = [](void *opaque) { return static_cast<pvblk_front *>(opaque); };
    const pvblk_loopback_listener listener = {
        front,
        [](void *o, uint32_t queue) { pvblk_front_event(of(o), queue); },
        [](void *o) { pvblk_front_store_changed(of(o)); },
        [](void *o) { pvblk_front_deadline(of(o)); },
    };
    pvblk_loopback_listen(loopback, front ? &listener : nullptr);
}

void pvblk_loopback_listen(pvblk_loopback *loopback, const pvblk_loopback_listener *listener)
{
    loopback->hub.detach_front();
    if (!listener)
        return;
    const pvblk_loopback_listener to = *listener;
    loopback->hub.front = {[to](uint32_t queue) { to.event(to.opaque, queue); },
                           [to] { to.store_changed(to.opaque); }, [to] { to.deadline(to.opaque); }};
}

bool pvblk_loopback_run(pvblk_loopback *loopback)
{
    return loopback->hub.run();
}

void pvblk_loopback_advance(pvblk_loopback *loopback, int64_t ns)
{
    loopback->hub.advance(ns);
}

int pvblk_loopback_set_faults(pvblk_loopback *loopback, const char *text, char *error,
                              size_t error_size)
{
    if (!loopback->back) {
        std::snprintf(error, error_size, "the backend was killed; no backend can obey the plan");
        return -ENODEV;
    }
    auto plan = FaultPlan::parse(text);
    if (!plan) {
        std::snprintf(error, error_size, "%s", plan.error().what.c_str());
        return -EINVAL;
    }
    loopback->faults.obey(std::move(plan.value()));
    return 0;
}

void pvblk_loopback_kill_back(pvblk_loopback *loopback)
{
    loopback->hub.detach_back();
    loopback->back.reset();
}

void pvblk_loopback_oracle(const pvblk_loopback *loopback, pvblk_emit *emit, void *opaque)
{
    const HubOracle &o = loopback->hub.oracle;
    Fields fields(emit, opaque);
    fields.number("denied-maps", o.denied_maps);
    fields.number("readonly-maps", o.readonly_maps);
    fields.number("bad-frames", o.bad_frames);
    fields.number("bad-unmaps", o.bad_unmaps);
    fields.number("regrants", o.regrants);
    fields.number("reused-while-mapped", o.reused_while_mapped);
    fields.number("bad-revokes", o.bad_revokes);
    fields.number("foreign-writes", o.foreign_writes);
}

void *pvblk_loopback_disk(pvblk_loopback *loopback)
{
    return loopback->hub.storage.data.data();
}

void *pvblk_loopback_ram(pvblk_loopback *loopback, uint64_t offset)
{
    LoopbackGuest &ram = loopback->hub.guest;
    return offset < ram.bytes() ? ram.host(offset) : nullptr;
}

uint64_t pvblk_loopback_gpa(pvblk_loopback *loopback, uint64_t offset)
{
    LoopbackGuest &ram = loopback->hub.guest;
    return offset < ram.bytes() ? ram.gpa(offset) : 0;
}
