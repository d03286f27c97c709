/* SPDX-License-Identifier: MIT */
/* The frontend's C seam: c/front.h over one BlockFront. */
#include "pvblk/c/front.h"

#include "c/fields.h"
#include "c/front_host.h"
#include "c/trace.h"

#include <cerrno>
#include <cstdio>

using namespace pvblk;

namespace
{

int errno_of(IoStatus status)
{
    switch (status) {
    case IoStatus::Ok: return 0;
    case IoStatus::Unsupported: return -EOPNOTSUPP;
    case IoStatus::Cancelled: return -ECANCELED;
    case IoStatus::Error: break;
    }
    return -EIO;
}

class HostOwner final : public FrontOwner
{
public:
    explicit HostOwner(const pvblk_front_owner &owner) : o_(owner) {}
    void completed(void *cookie, uint32_t queue, IoStatus status) override
    {
        o_.completed(o_.opaque, cookie, queue, errno_of(status));
    }
    void batch_done() override
    {
        if (o_.batch_done)
            o_.batch_done(o_.opaque);
    }
    void plan_changed() override
    {
        if (o_.disk_changed)
            o_.disk_changed(o_.opaque);
    }
    void log(const char *text) override
    {
        if (o_.log)
            o_.log(o_.opaque, text);
    }
    void trace(const Trace &t) override
    {
        if (!o_.trace)
            return;
        pvblk_trace out = c_trace(t);
        o_.trace(o_.opaque, &out);
    }

private:
    const pvblk_front_owner o_;
};

FrontPolicy front_policy(const pvblk_front_config &c)
{
    FrontPolicy p = host_policy(c);
    p.use_flush = c.use_flush;
    return p;
}

FrontConfig front_config(const pvblk_front_config &c)
{
    FrontConfig f;
    f.frontend_path = c.frontend_path;
    f.backend_path = c.backend_path;
    f.policy = front_policy(c);
    f.handle = static_cast<uint16_t>(c.virtual_device);
    f.max_requests = c.max_requests;
    f.handshake_timeout_ns = host_ns(c.handshake_timeout_ms);
    f.request_timeout_ns = host_ns(c.request_timeout_ms);
    f.always_notify = c.always_notify;
    f.always_bounce = c.always_bounce;
    return f;
}

/* What no frontend can be made of; nullptr: nothing. */
const char *wrong_in(const pvblk_front_config &c, const pvblk_front_ports &p)
{
    if (!c.frontend_path || !c.backend_path)
        return "frontend_path or backend_path is missing";
    if (!c.max_requests || c.max_requests > 65536)
        return "max_requests is not between 1 and 65536";
    if (!c.handshake_timeout_ms)
        return "handshake_timeout_ms is 0; use at least 1";
    if (!p.pages_base || reinterpret_cast<uintptr_t>(p.pages_base) % kPageSize)
        return "pages_base is not page aligned";
    return nullptr;
}

} // namespace

struct pvblk_front {
    pvblk_front(const pvblk_front_ports &p, const pvblk_front_owner &o)
        : host(p), ports({&host, host.opaque}, host.grants, host.pages_base, host.pages), owner(o)
    {
    }

    const pvblk_front_ports host;
    HostFrontPorts<pvblk_front_ports> ports;
    HostOwner owner;
    bool ending{false};                /* what is cancelled does not come back */
    std::unique_ptr<BlockFront> front; /* goes before what it stands on */
};

void pvblk_front_defaults(pvblk_front_config *config)
{
    const FrontConfig f;
    *config = {};
    host_defaults(*config);
    config->max_requests = f.max_requests;
    config->always_bounce = f.always_bounce;
    config->use_flush = f.policy.use_flush;
}

uint32_t pvblk_front_wanted_grants(const pvblk_front_config *config)
{
    return BlockFront::wanted_grants(front_policy(*config));
}

uint32_t pvblk_front_wanted_pages(const pvblk_front_config *config)
{
    return BlockFront::wanted_pages(front_policy(*config));
}

pvblk_front *pvblk_front_new(const pvblk_front_config *config, const pvblk_front_ports *ports,
                             const pvblk_front_owner *owner, char *error, size_t error_size)
{
    if (const char *wrong = wrong_in(*config, *ports)) {
        std::snprintf(error, error_size, "%s", wrong);
        return nullptr;
    }
    auto self = std::make_unique<pvblk_front>(*ports, *owner);
    auto made = BlockFront::create(self->ports.ports(), self->owner, front_config(*config));
    if (!made) {
        host_sentence(error, error_size, config->backend_path, made.error());
        return nullptr;
    }
    self->front = std::move(made.value());
    return self.release();
}

void pvblk_front_free(pvblk_front *front)
{
    if (!front)
        return;
    front->ending = true;
    front->front->cancel_all();
    delete front;
}

void pvblk_front_start(pvblk_front *front)
{
    front->front->start();
}

void pvblk_front_reconnect(pvblk_front *front)
{
    front->front->reconnect();
}

void pvblk_front_stop(pvblk_front *front)
{
    front->front->stop();
}

int pvblk_front_submit(pvblk_front *front, const pvblk_front_io *io)
{
    static_assert(static_cast<int>(IoKind::SecureDiscard) == PVBLK_FRONT_SECURE_DISCARD);
    if (io->kind < PVBLK_FRONT_READ || io->kind > PVBLK_FRONT_SECURE_DISCARD)
        return -EINVAL;
    if (front->ending)
        return -ECANCELED;
    IoRequest r;
    r.kind = static_cast<IoKind>(io->kind);
    r.sector = Sector(io->sector);
    r.sectors = io->sectors;
    r.buffer = {io->gpa, io->iov, io->count, io->skip};
    r.flush_after = io->flush_after;
    r.direct = io->direct;
    r.cookie = io->cookie;
    r.queue = io->queue;
    Intake intake = front->front->submit(r);
    if (intake.verdict == Verdict::Retry)
        return -EAGAIN;
    return intake.verdict == Verdict::Accepted ? 0 : errno_of(intake.why);
}

bool pvblk_front_pump(pvblk_front *front)
{
    return front->front->pump();
}

void pvblk_front_cancel_all(pvblk_front *front)
{
    front->front->cancel_all();
}

void pvblk_front_cancel_queue(pvblk_front *front, uint32_t queue)
{
    front->front->cancel_queue(queue);
}

void pvblk_front_event(pvblk_front *front, uint32_t queue)
{
    front->front->event_received(queue);
}

void pvblk_front_store_changed(pvblk_front *front)
{
    front->front->store_changed();
}

void pvblk_front_deadline(pvblk_front *front)
{
    front->front->deadline_passed();
}

const char *pvblk_front_state(const pvblk_front *front)
{
    return front_state_name(front->front->state());
}

const char *pvblk_front_broken_because(const pvblk_front *front)
{
    return front->front->broken_because();
}

void pvblk_front_disk(const pvblk_front *front, struct pvblk_disk *disk)
{
    const Plan &p = front->front->plan();
    disk->sectors = p.sectors;
    disk->sector_size = p.sector_size;
    disk->physical_sector_size = p.physical_sector_size;
    disk->discard_granularity = p.discard_granularity;
    disk->discard_alignment = p.discard_alignment;
    disk->read_only = p.read_only;
    disk->cdrom = p.cdrom;
    disk->removable = p.removable;
    disk->flush = p.can_flush();
    disk->discard = p.discard;
    disk->secure_discard = p.discard_secure;
}

void pvblk_front_plan(const pvblk_front *front, pvblk_emit *emit, void *opaque)
{
    emit_plan(Fields(emit, opaque), front->front->plan());
}

void pvblk_front_counters(const pvblk_front *front, pvblk_emit *emit, void *opaque)
{
    emit_counters(Fields(emit, opaque), *front->front);
}
