/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "back-ports.h"

#include "back-storage.h"
#include "block/aio-wait.h"
#include "hw/xen/xen-bus-helper.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "store.h"
#include "system/block-backend.h"
#include "trace.h"

/* Limit of messages about frontends' mistakes, for the backend's life. */
#define MAX_REPORTS 16

/* ---- around a call into the core -------------------------------------- */

bool xen_pvblk_back_enter(XenPvblkBackend *s)
{
    return s->back && !s->ending && xen_device_begin(XEN_DEVICE(s));
}

void xen_pvblk_back_leave(XenPvblkBackend *s)
{
    xen_device_end(XEN_DEVICE(s));
}

/* ---- XenStore --------------------------------------------------------- */

static int store_read(void *opaque, const char *path, char *buf, size_t cap)
{
    return xen_pvblk_store_read(XEN_DEVICE(opaque)->xsh, path, buf, cap);
}

static int store_write(void *opaque, const char *path, const char *value,
                       size_t len)
{
    return xen_pvblk_store_write(XEN_DEVICE(opaque)->xsh, path, value, len);
}

static void store_remove(void *opaque, const char *path)
{
    qemu_xen_xs_destroy(XEN_DEVICE(opaque)->xsh, XBT_NULL, path);
}

/*
 * xen-bus has a copy of the state. If the node differs from its copy when its
 * watch fires, it writes the node's value again. The watch fires after this, so
 * xen-bus finds no difference, whatever the node says.
 */
void xen_pvblk_back_sync_state(XenPvblkBackend *s)
{
    XenDevice *xendev = XEN_DEVICE(s);
    unsigned int state;

    if (xs_node_scanf(xendev->xsh, XBT_NULL, xendev->backend_path, "state",
                      NULL, "%u", &state) != 1) {
        state = XenbusStateUnknown;
    }
    xendev->backend_state = state;
}

static int state_write(void *opaque, const char *path, const char *value,
                       size_t len)
{
    int ret = store_write(opaque, path, value, len);

    xen_pvblk_back_sync_state(opaque);
    return ret;
}

static void state_remove(void *opaque, const char *path)
{
    store_remove(opaque, path);
    xen_pvblk_back_sync_state(opaque);
}

static void watch_fired(void *opaque, const char *path)
{
    XenPvblkBackend *s = opaque;

    if (xen_pvblk_back_enter(s)) {
        pvblk_back_store_changed(s->back);
        xen_pvblk_back_leave(s);
    }
}

static int store_watch(void *opaque, const char *path)
{
    XenPvblkBackend *s = opaque;

    s->watch = qemu_xen_xs_watch(XEN_DEVICE(s)->xsh, path, watch_fired, s);
    return s->watch ? 0 : -errno;
}

static void store_unwatch(void *opaque)
{
    XenPvblkBackend *s = opaque;

    if (s->watch) {
        qemu_xen_xs_unwatch(XEN_DEVICE(s)->xsh, s->watch);
        s->watch = NULL;
    }
}

/* ---- grants ----------------------------------------------------------- */

static void *grant_map(void *opaque, uint32_t ref, bool readonly)
{
    XenDevice *xendev = XEN_DEVICE(opaque);

    return qemu_xen_gnttab_map_refs(xendev->xgth, 1, xendev->frontend_id, &ref,
                                    PROT_READ | (readonly ? 0 : PROT_WRITE));
}

static void grant_unmap(void *opaque, uint32_t ref, void *page)
{
    qemu_xen_gnttab_unmap(XEN_DEVICE(opaque)->xgth, page, &ref, 1);
}

/* ---- events ----------------------------------------------------------- */

/* Also off, for an event that was on its way when it was switched off. */
static bool event(void *opaque)
{
    XenPvblkBackQueue *q = opaque;

    if (!qatomic_read(&q->on)) {
        return false;
    }
    pvblk_back_event(q->backend->back, q->index);
    return true;
}

static void event_bh(void *opaque)
{
    event(opaque);
}

/*
 * In the queue's own thread: what it was doing is over, and nothing that it
 * has asked for comes any more.
 */
static void settle(void *opaque)
{
    XenPvblkBackQueue *q = opaque;

    qemu_bh_cancel(q->bh);
    qatomic_dec(&q->backend->settling);
    aio_wait_kick();
}

/*
 * Off takes effect when `settling` is 0: this does not wait. Scheduling a
 * bottom half orders `on` before what runs in it: after settle(), the queue's
 * thread sees that it is off; event_bh() sees that it is on.
 */
static void attend(XenPvblkBackQueue *q, bool on)
{
    XenPvblkBackend *s = q->backend;

    if (q->on == on) {
        return;
    }
    qatomic_set(&q->on, on);
    xen_device_set_event_channel_context(XEN_DEVICE(s), q->channel,
                                         on ? s->ctx : NULL, &error_abort);
    if (on) {
        qemu_bh_schedule(q->bh); /* what came meanwhile */
    } else {
        qatomic_inc(&s->settling);
        aio_bh_schedule_oneshot(s->ctx, settle, q);
    }
}

void xen_pvblk_back_drained_begin(void *opaque)
{
    XenPvblkBackend *s = opaque;

    for (uint32_t i = 0; i < PVBLK_MAX_QUEUES; i++) {
        if (s->queues[i].channel) {
            attend(&s->queues[i], false);
        }
    }
}

bool xen_pvblk_back_drained_poll(void *opaque)
{
    XenPvblkBackend *s = opaque;

    return qatomic_read(&s->settling) > 0;
}

void xen_pvblk_back_drained_end(void *opaque)
{
    XenPvblkBackend *s = opaque;

    for (uint32_t i = 0; i < PVBLK_MAX_QUEUES; i++) {
        if (s->queues[i].channel && !s->queues[i].paused) {
            attend(&s->queues[i], true);
        }
    }
}

/*
 * The first queue takes the node to the iothread, the last one brings it back:
 * meanwhile it belongs to whoever uses it.
 */
static int move_to(XenPvblkBackend *s, AioContext *ctx)
{
    BlockBackend *blk = XEN_BLOCK_DEVICE(s)->props.conf.blk;
    Error *err = NULL;

    if (s->ctx != ctx && blk_set_aio_context(blk, ctx, &err) < 0) {
        if (qatomic_fetch_inc(&s->reported) < MAX_REPORTS) {
            error_report_err(err);
        } else {
            error_free(err);
        }
        return -EBUSY;
    }
    s->ctx = ctx;
    return 0;
}

static bool any_bound(XenPvblkBackend *s)
{
    for (uint32_t i = 0; i < PVBLK_MAX_QUEUES; i++) {
        if (s->queues[i].channel) {
            return true;
        }
    }
    return false;
}

static int event_bind(void *opaque, uint32_t queue, uint32_t port)
{
    XenPvblkBackend *s = opaque;
    XenPvblkBackQueue *q = &s->queues[queue];
    IOThread *iothread = XEN_BLOCK_DEVICE(s)->props.iothread;
    Error *err = NULL;
    int ret;

    if (!any_bound(s) && iothread) {
        ret = move_to(s, iothread_get_aio_context(iothread));
        if (ret < 0) {
            return ret;
        }
    }
    q->channel = xen_device_bind_event_channel(XEN_DEVICE(s), port, event, q,
                                               &err);
    if (!q->channel) {
        error_free(err); /* the core says it */
        if (!any_bound(s)) {
            move_to(s, qemu_get_aio_context());
        }
        return -ENOENT;
    }
    q->paused = false;
    q->bh = aio_bh_new_guarded(s->ctx, event_bh, q,
                               &DEVICE(s)->mem_reentrancy_guard);
    if (blk_in_drain(XEN_BLOCK_DEVICE(s)->props.conf.blk)) {
        xen_device_set_event_channel_context(XEN_DEVICE(s), q->channel, NULL,
                                             &error_abort);
    } else {
        attend(q, true);
    }
    return 0;
}

static int event_send(void *opaque, uint32_t queue)
{
    XenPvblkBackend *s = opaque;
    Error *err = NULL;

    xen_device_notify_event_channel(XEN_DEVICE(s), s->queues[queue].channel,
                                    &err);
    if (err) {
        error_free(err); /* the frontend closed its end: it asked for it */
        return -EIO;
    }
    return 0;
}

static void event_again(void *opaque, uint32_t queue)
{
    XenPvblkBackend *s = opaque;

    /* Switched on again, it looks by itself. */
    if (qatomic_read(&s->queues[queue].on)) {
        qemu_bh_schedule(s->queues[queue].bh);
    }
}

static void event_pause(void *opaque, uint32_t queue)
{
    XenPvblkBackend *s = opaque;
    XenPvblkBackQueue *q = &s->queues[queue];

    if (q->channel) {
        q->paused = true;
        attend(q, false);
        AIO_WAIT_WHILE_UNLOCKED(NULL, qatomic_read(&s->settling) > 0);
    }
}

static void event_unbind(void *opaque, uint32_t queue)
{
    XenPvblkBackend *s = opaque;
    XenPvblkBackQueue *q = &s->queues[queue];

    xen_device_unbind_event_channel(XEN_DEVICE(s), q->channel, NULL);
    q->channel = NULL;
    g_clear_pointer(&q->bh, qemu_bh_delete);
    if (!any_bound(s)) {
        /* Back to the main loop: nobody can refuse that. */
        move_to(s, qemu_get_aio_context());
    }
}

static void later_bh(void *opaque)
{
    XenPvblkBackend *s = opaque;

    if (xen_pvblk_back_enter(s)) {
        pvblk_back_later(s->back);
        xen_pvblk_back_leave(s);
    }
}

static void later(void *opaque)
{
    XenPvblkBackend *s = opaque;

    qemu_bh_schedule(s->later_bh);
}

/* ---- what people see -------------------------------------------------- */

/* The trace has all of them. The guest decides how often, so the log has not. */
static void violation(void *opaque, const char *text)
{
    XenPvblkBackend *s = opaque;
    uint32_t before = qatomic_fetch_inc(&s->reported);

    trace_xen_pvblk_back_violation(s, text);
    if (before < MAX_REPORTS) {
        error_report("xen-pvblk-backend: %s%s", text,
                     before + 1 < MAX_REPORTS ? "" :
                     "; no more of these are reported");
    }
}

static void refused(void *opaque, const struct pvblk_back_refused *r)
{
    XenDevice *xendev = XEN_DEVICE(opaque);

    trace_xen_pvblk_back_refused(xendev->frontend_id,
        XEN_BLOCK_DEVICE(opaque)->props.vdev.number, r->queue, r->id, r->op,
        r->status, r->clause, r->reason, r->value);
}

static void seen(void *opaque, const struct pvblk_back_seen *w)
{
    unsigned int domid = XEN_DEVICE(opaque)->frontend_id;
    unsigned long vdev = XEN_BLOCK_DEVICE(opaque)->props.vdev.number;

    switch (w->kind) {
    case PVBLK_BACK_SEEN_STATE:
        trace_xen_pvblk_back_frontend(domid, vdev, w->text);
        break;
    case PVBLK_BACK_SEEN_REQUEST:
        trace_xen_pvblk_back_request(domid, vdev, w->queue, w->id, w->op,
                                     w->count, w->value);
        break;
    case PVBLK_BACK_SEEN_RESPONSE:
        trace_xen_pvblk_back_response(domid, vdev, w->queue, w->id, w->op,
                                      w->status);
        break;
    case PVBLK_BACK_SEEN_BROKEN:
        trace_xen_pvblk_back_broken(domid, vdev, w->clause, w->text, w->value);
        break;
    }
}

const struct pvblk_back_ops xen_pvblk_back_ops = {
    .store_read = store_read,
    .store_write = store_write,
    .store_remove = store_remove,
    .state_write = state_write,
    .state_remove = state_remove,
    .store_watch = store_watch,
    .store_unwatch = store_unwatch,
    .grant_map = grant_map,
    .grant_unmap = grant_unmap,
    .event_bind = event_bind,
    .event_send = event_send,
    .event_again = event_again,
    .event_pause = event_pause,
    .event_unbind = event_unbind,
    .later = later,
    .storage_bytes = xen_pvblk_back_storage_bytes,
    .storage_submit = xen_pvblk_back_storage_submit,
    .storage_drain = xen_pvblk_back_storage_drain,
    .violation = violation,
    .refused = refused,
    .seen = seen,
};

/* ---- life ------------------------------------------------------------- */

void xen_pvblk_back_ports_open(XenPvblkBackend *s)
{
    s->ctx = qemu_get_aio_context();
    s->settling = 0;
    s->reported = 0;
    s->later_bh = qemu_bh_new_guarded(later_bh, s,
                                      &DEVICE(s)->mem_reentrancy_guard);
    for (uint32_t i = 0; i < PVBLK_MAX_QUEUES; i++) {
        s->queues[i] = (XenPvblkBackQueue) { .backend = s, .index = i };
    }
    xen_pvblk_back_storage_open(s);
}

void xen_pvblk_back_ports_close(XenPvblkBackend *s)
{
    xen_pvblk_back_storage_close(s);
    g_clear_pointer(&s->later_bh, qemu_bh_delete);
}
