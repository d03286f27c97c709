/* SPDX-License-Identifier: MIT */
/*
 * The C seam: ports that call the host's operations, and the functions of
 * c/device.h over one BlockFront and one VirtioBlkShim.
 */
#include "pvblk/c/device.h"

#include "c/host.h"
#include "virtio/shim.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

using namespace pvblk;

namespace
{

/* What is not accepted stays in its virtqueue; the rings hold less anyway. */
constexpr uint32_t kMaxRequests = 4096;

using FrontHost = Host<pvblk_ops>;

class HostGrants final : public Grants
{
public:
    HostGrants(FrontHost h, uint32_t count) : h_(h), count_(count) {}
    uint32_t count() const override { return count_; }
    GrantRef ref(uint32_t i) const override { return GrantRef(h_.ops->grant_ref(h_.opaque, i)); }
    Status grant_frame(uint32_t i, Gfn gfn, bool ro) override
    {
        return host_status(h_.ops->grant_frame(h_.opaque, i, gfn.value, ro), "grant:table",
                           "could not grant a guest page");
    }
    Status grant_page(uint32_t i, PageIndex page, bool ro) override
    {
        return host_status(h_.ops->grant_page(h_.opaque, i, page.value, ro), "grant:table",
                           "could not grant a private page");
    }
    Status revoke(uint32_t i) override
    {
        return host_status(h_.ops->grant_revoke(h_.opaque, i), "grant:end-access",
                           "the peer still has the page mapped");
    }

private:
    FrontHost h_;
    uint32_t count_;
};

class HostEvents final : public Events
{
public:
    explicit HostEvents(FrontHost h) : h_(h) {}
    Result<Port> open(uint32_t queue) override
    {
        uint32_t port = 0;
        int err = h_.ops->event_open(h_.opaque, queue, &port);
        if (err < 0)
            return host_error(err, "evtchn:alloc", "could not allocate an event channel");
        return Port(port);
    }
    Status notify(uint32_t queue) override
    {
        return host_status(h_.ops->event_send(h_.opaque, queue), "evtchn:send",
                           "could not send an event");
    }
    void close(uint32_t queue) override { h_.ops->event_close(h_.opaque, queue); }

private:
    FrontHost h_;
};

class HostMemory final : public Memory
{
public:
    HostMemory(void *base, uint32_t pages) : base_(static_cast<std::byte *>(base)), pages_(pages) {}
    uint32_t pages() const override { return pages_; }
    std::byte *page(PageIndex i) override
    {
        return base_ + static_cast<size_t>(i.value) * kPageSize;
    }

private:
    std::byte *base_;
    uint32_t pages_;
};

class HostClock final : public Clock
{
public:
    explicit HostClock(FrontHost h) : h_(h) {}
    int64_t now_ns() override { return h_.ops->clock_now(h_.opaque); }
    void set_deadline(int64_t at) override { h_.ops->clock_deadline(h_.opaque, at); }

private:
    FrontHost h_;
};

class HostQueues final : public ShimOwner
{
public:
    explicit HostQueues(FrontHost h) : h_(h) {}
    void give_back(void *e, uint32_t q, uint32_t n) override
    {
        h_.ops->give_back(h_.opaque, e, q, n);
    }
    void forget(void *e, uint32_t q) override { h_.ops->forget(h_.opaque, e, q); }
    void batch_done() override { h_.ops->batch_done(h_.opaque); }
    void config_changed() override { h_.ops->config_changed(h_.opaque); }
    void log(const char *text) override { h_.ops->log(h_.opaque, text); }
    void trace(TraceKind kind, uint64_t a, uint64_t b, uint64_t c, const char *text) override
    {
        h_.ops->trace(h_.opaque, static_cast<pvblk_trace_kind>(kind), a, b, c, text);
    }

private:
    FrontHost h_;
};

ShimConfig shim_config(const pvblk_config &c)
{
    ShimConfig s;
    s.serial = c.serial ? c.serial : "";
    s.num_queues = c.num_queues;
    s.queue_size = c.queue_size;
    s.config_wce = c.config_wce;
    return s;
}

FrontPolicy front_policy(const pvblk_config &c)
{
    FrontPolicy p;
    p.abi = c.x86_32_abi ? Abi::X86_32 : Abi::X86_64;
    if (c.device_sector_units)
        p.large_sector_units = SectorUnits::Device;
    p.use_barrier = c.use_barrier;
    p.use_discard = c.use_discard;
    p.use_secure_discard = c.use_secure_discard;
    p.use_persistent = c.use_persistent;
    p.trusted = c.trusted;
    p.max_ring_pages = c.max_ring_pages;
    p.max_queues = c.max_ring_queues;
    p.max_indirect_segments = c.max_indirect_segments;
    return p;
}

FrontConfig front_config(const pvblk_config &c)
{
    FrontConfig f;
    f.frontend_path = c.frontend_path;
    f.backend_path = c.backend_path;
    f.policy = front_policy(c);
    f.handle = static_cast<uint16_t>(c.virtual_device);
    f.max_requests = std::min(c.num_queues * c.queue_size, kMaxRequests);
    f.handshake_timeout_ns = int64_t{c.handshake_timeout_ms} * 1'000'000;
    f.request_timeout_ns = int64_t{c.request_timeout_ms} * 1'000'000;
    f.always_notify = c.always_notify;
    return f;
}

} // namespace

struct pvblk_device {
    pvblk_device(const pvblk_config &config, FrontHost host)
        : store(host, "could not watch the backend's state"), grants(host, config.grants),
          events(host), memory(config.pages_base, config.pages), clock(host), queues(host),
          shim(queues, shim_config(config))
    {
    }

    HostStore<pvblk_ops> store;
    HostGrants grants;
    HostEvents events;
    HostMemory memory;
    HostClock clock;
    HostQueues queues;
    VirtioBlkShim shim;
    std::unique_ptr<BlockFront> front; /* goes before what it stands on */
};

static_assert(PVBLK_MAX_QUEUES == kMaxQueues);

uint32_t pvblk_wanted_grants(const pvblk_config *config)
{
    return BlockFront::wanted_grants(front_policy(*config));
}

uint32_t pvblk_wanted_pages(const pvblk_config *config)
{
    return BlockFront::wanted_pages(front_policy(*config));
}

pvblk_device *pvblk_device_new(const pvblk_config *config, const pvblk_ops *ops, void *opaque,
                               char *error, size_t error_size)
{
    auto dev = std::make_unique<pvblk_device>(*config, FrontHost{ops, opaque});
    FrontPorts ports{dev->store, dev->grants, dev->events, dev->memory, dev->clock};
    FrontConfig fc = front_config(*config);
    uint32_t max_requests = fc.max_requests;
    auto front = BlockFront::create(ports, dev->shim, std::move(fc));
    if (!front) {
        const Error &e = front.error();
        std::snprintf(error, error_size, "%s: %s (%s, value %llu)", config->backend_path, e.what,
                      e.clause, static_cast<unsigned long long>(e.value));
        return nullptr;
    }
    dev->front = std::move(front.value());
    dev->shim.attach(*dev->front, max_requests);
    return dev.release();
}

void pvblk_device_free(pvblk_device *dev)
{
    if (!dev)
        return;
    dev->front->cancel_all();
    delete dev;
}

void pvblk_device_start(pvblk_device *dev)
{
    dev->front->start();
}
void pvblk_device_reconnect(pvblk_device *dev)
{
    dev->front->reconnect();
}
void pvblk_device_stop(pvblk_device *dev)
{
    dev->front->stop();
}
void pvblk_device_event(pvblk_device *dev, uint32_t q)
{
    dev->front->event_received(q);
}
void pvblk_device_store_changed(pvblk_device *dev)
{
    dev->front->store_changed();
}
void pvblk_device_deadline(pvblk_device *dev)
{
    dev->front->deadline_passed();
}

uint64_t pvblk_device_features(const pvblk_device *dev)
{
    return dev->shim.features();
}

void pvblk_device_read_config(const pvblk_device *dev, uint8_t *config)
{
    static_assert(static_cast<uint32_t>(PVBLK_VIRTIO_CONFIG_SIZE) == kVirtioBlkConfigSize);
    static_assert(static_cast<uint32_t>(PVBLK_VIRTIO_WCE_OFFSET) == kVirtioBlkWceOffset);
    dev->shim.read_config(std::span<uint8_t, kVirtioBlkConfigSize>(config, kVirtioBlkConfigSize));
}

void pvblk_device_write_wce(pvblk_device *dev, bool writeback)
{
    dev->shim.write_wce(writeback);
}

void pvblk_device_driver_ok(pvblk_device *dev, uint64_t f)
{
    dev->shim.driver_ok(f);
}
void pvblk_device_reset_queue(pvblk_device *dev, uint32_t q)
{
    dev->shim.reset_queue(q);
}

void pvblk_device_reset(pvblk_device *dev)
{
    dev->shim.reset();
}
bool pvblk_device_has_room(const pvblk_device *dev)
{
    return dev->shim.has_room();
}

bool pvblk_device_take(pvblk_device *dev, const pvblk_element *e)
{
    Element element;
    element.out = {e->out_gpa, e->out_iov, e->out_num};
    element.in = {e->in_gpa, e->in_iov, e->in_num};
    element.cookie = e->element;
    element.queue = e->queue;
    element.direct = e->direct;
    return dev->shim.take(element);
}

void pvblk_device_pump(pvblk_device *dev)
{
    dev->shim.pump();
}

const char *pvblk_device_state(const pvblk_device *dev)
{
    return front_state_name(dev->front->state());
}

const char *pvblk_device_broken_because(const pvblk_device *dev)
{
    return dev->front->state() == FrontState::Broken ? dev->front->broken_because() : "";
}

int pvblk_device_ring_page(const pvblk_device *dev, uint32_t queue, uint32_t page_of_ring)
{
    auto page = dev->front->ring_page(queue, page_of_ring);
    return page ? static_cast<int>(page->value) : -1;
}

void pvblk_device_plan(const pvblk_device *dev, pvblk_emit *emit, void *opaque)
{
    const Plan &p = dev->front->plan();
    auto number = [&](const char *name, uint64_t v) {
        pvblk_field f{name, pvblk_field::PVBLK_FIELD_U64, v, ""};
        emit(opaque, &f);
    };
    auto flag = [&](const char *name, bool v) {
        pvblk_field f{name, pvblk_field::PVBLK_FIELD_BOOL, v, ""};
        emit(opaque, &f);
    };
    auto text = [&](const char *name, const char *v) {
        pvblk_field f{name, pvblk_field::PVBLK_FIELD_TEXT, 0, v};
        emit(opaque, &f);
    };
    text("protocol", abi_name(p.abi));
    number("queues", p.queues);
    number("ring-pages", p.ring_pages);
    number("ring-entries", p.ring_entries());
    number("max-segments", p.max_segments);
    number("indirect-pages", list_pages(p.max_segments));
    flag("persistent", p.persistent);
    flag("trusted", p.trusted);
    number("sectors", p.sectors);
    number("sector-size", p.sector_size);
    number("physical-sector-size", p.physical_sector_size);
    text("sector-units", p.units == SectorUnits::Device ? "device" : "512");
    flag("read-only", p.read_only);
    flag("cdrom", p.cdrom);
    flag("flush", p.flush);
    flag("barrier", p.barrier);
    flag("discard", p.discard);
    flag("discard-secure", p.discard_secure);
    number("discard-granularity", p.discard_granularity);
    number("discard-alignment", p.discard_alignment);
}

void pvblk_device_counters(const pvblk_device *dev, pvblk_emit *emit, void *opaque)
{
    const FrontCounters &c = dev->front->counters();
    const ShimCounters &s = dev->shim.counters();
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"guest-requests", s.requests},
        {"guest-malformed", s.malformed},
        {"guest-errors", s.errors},
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
        {"in-flight", dev->front->in_flight()},
        {"accepted", dev->front->accepted()},
        {"quarantined", dev->front->quarantined()},
        {"persistent-grants", dev->front->persistent_grants()},
    };
    for (const auto &row : rows) {
        pvblk_field f{row.name, pvblk_field::PVBLK_FIELD_U64, row.value, ""};
        emit(opaque, &f);
    }
}

const char *pvblk_front_state_name(uint64_t state)
{
    if (state >= kFrontStates)
        return "?";
    return front_state_name(static_cast<FrontState>(state));
}
