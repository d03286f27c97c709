/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pvblk_device_ops on QEMU's Xen emulation: XenStore as the guest's domain,
 * grants and event channels that the device model owns
 * (hw/xen/xen-emu-device.h), a virtual clock.
 */
#include "front-ports.h"

#include "front-queues.h"
#include "hw/xen/xen-emu-device.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "store.h"
#include "trace.h"

/*
 * Ring and bounce pages, 4 KiB each, for which the guest has no address. An
 * object of its own: a backend that has one of them mapped holds a reference
 * on the region's owner, and may do so for longer than the device exists.
 */
#define TYPE_XEN_PVBLK_PAGES "xen-pvblk-pages"
OBJECT_DECLARE_SIMPLE_TYPE(XenPvblkPages, XEN_PVBLK_PAGES)

struct XenPvblkPages {
    Object parent_obj;
    MemoryRegion mr;
};

static const TypeInfo pages_types[] = {
    {
        .name = TYPE_XEN_PVBLK_PAGES,
        .parent = TYPE_OBJECT,
        .instance_size = sizeof(XenPvblkPages),
    },
};

DEFINE_TYPES(pages_types)

void *xen_pvblk_front_pages_base(XenPvblkFrontend *s)
{
    return memory_region_get_ram_ptr(&s->ports.pages->mr);
}

/* ---- XenStore --------------------------------------------------------- */

static int store_read(void *opaque, const char *path, char *buf, size_t cap)
{
    XenPvblkFrontend *s = opaque;

    return xen_pvblk_store_read(s->ports.xsh, path, buf, cap);
}

static int store_write(void *opaque, const char *path, const char *value,
                       size_t len)
{
    XenPvblkFrontend *s = opaque;

    return xen_pvblk_store_write(s->ports.xsh, path, value, len);
}

static void store_remove(void *opaque, const char *path)
{
    XenPvblkFrontend *s = opaque;

    qemu_xen_xs_destroy(s->ports.xsh, XBT_NULL, path);
}

static void watch_fired(void *opaque, const char *path)
{
    XenPvblkFrontend *s = opaque;

    if (xen_pvblk_front_enter(s)) {
        pvblk_device_store_changed(s->dev);
        xen_pvblk_front_leave(s);
    }
}

static int store_watch(void *opaque, const char *path)
{
    XenPvblkFrontend *s = opaque;

    if (s->ports.watch) {
        return 0; /* always the same path */
    }
    s->ports.watch = qemu_xen_xs_watch(s->ports.xsh, path, watch_fired, s);
    return s->ports.watch ? 0 : -errno;
}

static void store_unwatch(void *opaque)
{
    XenPvblkFrontend *s = opaque;

    if (s->ports.watch) {
        qemu_xen_xs_unwatch(s->ports.xsh, s->ports.watch);
        s->ports.watch = NULL;
    }
}

/* ---- grants ----------------------------------------------------------- */

static uint32_t grant_ref(void *opaque, uint32_t index)
{
    XenPvblkFrontend *s = opaque;

    return s->ports.first_ref + index;
}

static int grant_frame(void *opaque, uint32_t index, uint64_t gfn,
                       bool readonly)
{
    return xen_gnttab_device_grant_frame(grant_ref(opaque, index), gfn,
                                         readonly);
}

static int grant_page(void *opaque, uint32_t index, uint32_t page,
                      bool readonly)
{
    XenPvblkFrontend *s = opaque;

    return xen_gnttab_device_grant_page(grant_ref(opaque, index),
                                        &s->ports.pages->mr,
                                        (hwaddr)page * XEN_PVBLK_PAGE,
                                        readonly);
}

static int grant_revoke(void *opaque, uint32_t index)
{
    return xen_gnttab_device_revoke(grant_ref(opaque, index));
}

/* ---- events ----------------------------------------------------------- */

/* Any thread, with the event channel lock held: schedule, no more. */
static void event_arrived(void *opaque)
{
    XenPvblkFrontChannel *channel = opaque;

    qemu_bh_schedule(channel->bh);
}

static void event_bh(void *opaque)
{
    XenPvblkFrontChannel *channel = opaque;
    XenPvblkFrontend *s = channel->dev;

    if (xen_pvblk_front_enter(s)) {
        pvblk_device_event(s->dev, channel->queue);
        xen_pvblk_front_leave(s);
    }
}

static int event_open(void *opaque, uint32_t queue, uint32_t *port)
{
    XenPvblkFrontend *s = opaque;
    XenPvblkFrontChannel *channel = &s->ports.channels[queue];
    evtchn_port_t p;
    int ret = xen_evtchn_device_alloc(event_arrived, channel, &p);

    if (ret == 0) {
        channel->port = *port = p;
    }
    return ret;
}

static int event_send(void *opaque, uint32_t queue)
{
    XenPvblkFrontend *s = opaque;

    return xen_evtchn_device_send(s->ports.channels[queue].port);
}

static void event_close(void *opaque, uint32_t queue)
{
    XenPvblkFrontend *s = opaque;
    XenPvblkFrontChannel *channel = &s->ports.channels[queue];

    if (channel->port) {
        xen_evtchn_device_free(channel->port);
        channel->port = 0;
    }
    qemu_bh_cancel(channel->bh);
}

/* ---- clock ------------------------------------------------------------ */

static int64_t clock_now(void *opaque)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

static void clock_deadline(void *opaque, int64_t at_ns)
{
    XenPvblkFrontend *s = opaque;

    if (at_ns < 0) {
        timer_del(s->ports.deadline);
    } else {
        timer_mod_ns(s->ports.deadline, at_ns);
    }
}

static void deadline_passed(void *opaque)
{
    XenPvblkFrontend *s = opaque;

    if (xen_pvblk_front_enter(s)) {
        pvblk_device_deadline(s->dev);
        xen_pvblk_front_leave(s);
    }
}

/* ---- what people see -------------------------------------------------- */

static void log_line(void *opaque, const char *text)
{
    error_report("xen-pvblk: %s", text);
}

static void trace_event(void *opaque, const struct pvblk_trace *t)
{
    switch (t->kind) {
    case PVBLK_TRACE_STATE:
        trace_xen_pvblk_state(opaque, t->state.from, t->state.to,
                              t->state.event);
        break;
    case PVBLK_TRACE_BACKEND:
        trace_xen_pvblk_backend(opaque, t->backend.state);
        break;
    case PVBLK_TRACE_REQUEST:
        trace_xen_pvblk_request(opaque, t->request.id, t->request.op,
                                t->request.segments, t->request.sector);
        break;
    case PVBLK_TRACE_RESPONSE:
        trace_xen_pvblk_response(opaque, t->response.id, t->response.op,
                                 t->response.status);
        break;
    case PVBLK_TRACE_PUBLISH:
        trace_xen_pvblk_publish(opaque, t->publish.requests,
                                t->publish.event);
        break;
    case PVBLK_TRACE_EVENT:
        trace_xen_pvblk_event(opaque, t->event.in_flight);
        break;
    case PVBLK_TRACE_VERDICT:
        trace_xen_pvblk_verdict(opaque, t->verdict.verdict, t->verdict.why,
                                t->verdict.sector);
        break;
    case PVBLK_TRACE_PLAN:
        trace_xen_pvblk_plan(opaque, t->plan.sectors, t->plan.sector_size);
        break;
    case PVBLK_TRACE_VIOLATION:
        trace_xen_pvblk_fault(opaque, t->violation.what,
                              t->violation.value);
        break;
    }
}

const struct pvblk_device_ops xen_pvblk_front_ops = {
    .store_read = store_read,
    .store_write = store_write,
    .store_remove = store_remove,
    .store_watch = store_watch,
    .store_unwatch = store_unwatch,
    .grant_ref = grant_ref,
    .grant_frame = grant_frame,
    .grant_page = grant_page,
    .grant_revoke = grant_revoke,
    .event_open = event_open,
    .event_send = event_send,
    .event_close = event_close,
    .clock_now = clock_now,
    .clock_deadline = clock_deadline,
    .give_back = xen_pvblk_front_give_back,
    .forget = xen_pvblk_front_forget,
    .batch_done = xen_pvblk_front_batch_done,
    .config_changed = xen_pvblk_front_config_changed,
    .log = log_line,
    .trace = trace_event,
};

/* ---- resources -------------------------------------------------------- */

bool xen_pvblk_front_ports_open(XenPvblkFrontend *s, uint32_t refs,
                                uint32_t pages, Error **errp)
{
    XenPvblkFrontPorts *p = &s->ports;
    int ret;

    for (uint32_t i = 0; i < PVBLK_MAX_QUEUES; i++) {
        XenPvblkFrontChannel *channel = &p->channels[i];

        channel->dev = s;
        channel->queue = i;
        channel->bh = virtio_bh_new_guarded(DEVICE(s), event_bh, channel);
    }
    p->deadline = timer_new_ns(QEMU_CLOCK_VIRTUAL, deadline_passed, s);

    p->xsh = xen_xenstore_open_device();
    if (!p->xsh) {
        error_setg_errno(errp, errno, "cannot open XenStore");
        return false;
    }
    ret = xen_gnttab_device_alloc(refs, &p->first_ref);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "the grant table has no room for %u more "
                         "references; lower max-ring-pages, ring-queues or "
                         "max-indirect-segments", refs);
        return false;
    }
    p->refs = refs;
    p->pages = XEN_PVBLK_PAGES(object_new(TYPE_XEN_PVBLK_PAGES));
    return memory_region_init_ram_nomigrate(&p->pages->mr, OBJECT(p->pages),
                                            "xen-pvblk.pages",
                                            (uint64_t)pages * XEN_PVBLK_PAGE,
                                            errp);
}

void xen_pvblk_front_ports_close(XenPvblkFrontend *s)
{
    XenPvblkFrontPorts *p = &s->ports;

    if (p->xsh) {
        store_unwatch(s);
        qemu_xen_xs_close(p->xsh);
        p->xsh = NULL;
    }
    if (p->refs) {
        xen_gnttab_device_free(p->first_ref, p->refs);
        p->refs = 0;
    }
    g_clear_pointer(&p->pages, object_unref);
    for (uint32_t i = 0; i < PVBLK_MAX_QUEUES; i++) {
        g_clear_pointer(&p->channels[i].bh, qemu_bh_delete);
    }
    g_clear_pointer(&p->deadline, timer_free);
}
