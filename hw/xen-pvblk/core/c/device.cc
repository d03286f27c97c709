/* SPDX-License-Identifier: MIT */
/*
 * The C seam: ports that call the host's operations, and the functions of
 * c/device.h over one BlockFront and one VirtioBlkShim.
 */
#include "pvblk/c/device.h"

#include "c/fields.h"
#include "c/front_host.h"
#include "c/trace.h"
#include "virtio/shim.h"

#include <algorithm>

using namespace pvblk;

namespace
{

/* What is not accepted stays in its virtqueue; the rings hold less anyway. */
constexpr uint32_t kMaxRequests = 4096;

using FrontHost = Host<pvblk_device_ops>;

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
    void trace(const Trace &t) override
    {
        pvblk_trace out = c_trace(t);
        h_.ops->trace(h_.opaque, &out);
    }

private:
    FrontHost h_;
};

ShimConfig shim_config(const pvblk_device_config &c)
{
    ShimConfig s;
    s.serial = c.serial ? c.serial : "";
    s.num_queues = c.num_queues;
    s.queue_size = c.queue_size;
    s.config_wce = c.config_wce;
    return s;
}

FrontConfig front_config(const pvblk_device_config &c)
{
    FrontConfig f;
    f.frontend_path = c.frontend_path;
    f.backend_path = c.backend_path;
    f.policy = host_policy(c);
    f.handle = static_cast<uint16_t>(c.virtual_device);
    f.max_requests = std::min(c.num_queues * c.queue_size, kMaxRequests);
    f.handshake_timeout_ns = host_ns(c.handshake_timeout_ms);
    f.request_timeout_ns = host_ns(c.request_timeout_ms);
    f.always_notify = c.always_notify;
    return f;
}

} // namespace

struct pvblk_device {
    pvblk_device(const pvblk_device_config &config, FrontHost host)
        : ports(host, config.grants, config.pages_base, config.pages), queues(host),
          shim(queues, shim_config(config))
    {
    }

    HostFrontPorts<pvblk_device_ops> ports;
    HostQueues queues;
    VirtioBlkShim shim;
    std::unique_ptr<BlockFront> front; /* goes before what it stands on */
};

static_assert(PVBLK_MAX_QUEUES == kMaxQueues);

void pvblk_device_defaults(pvblk_device_config *config)
{
    const ShimConfig s;
    *config = {};
    host_defaults(*config);
    config->num_queues = s.num_queues;
    config->queue_size = s.queue_size;
    config->config_wce = s.config_wce;
}

uint32_t pvblk_device_wanted_grants(const pvblk_device_config *config)
{
    return BlockFront::wanted_grants(host_policy(*config));
}

uint32_t pvblk_device_wanted_pages(const pvblk_device_config *config)
{
    return BlockFront::wanted_pages(host_policy(*config));
}

pvblk_device *pvblk_device_new(const pvblk_device_config *config, const pvblk_device_ops *ops,
                               void *opaque, char *error, size_t error_size)
{
    auto dev = std::make_unique<pvblk_device>(*config, FrontHost{ops, opaque});
    FrontConfig fc = front_config(*config);
    uint32_t max_requests = fc.max_requests;
    auto front = BlockFront::create(dev->ports.ports(), dev->shim, std::move(fc));
    if (!front) {
        host_sentence(error, error_size, config->backend_path, front.error());
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

bool pvblk_device_take(pvblk_device *dev, const pvblk_device_element *e)
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
    emit_plan(Fields(emit, opaque), dev->front->plan());
}

void pvblk_device_counters(const pvblk_device *dev, pvblk_emit *emit, void *opaque)
{
    const ShimCounters &s = dev->shim.counters();
    Fields fields(emit, opaque);
    fields.number("guest-requests", s.requests);
    fields.number("guest-malformed", s.malformed);
    fields.number("guest-errors", s.errors);
    emit_counters(fields, *dev->front);
}
