/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen-pvblk-device: the virtio side. Elements go from the virtqueues to the
 * core and back; features and configuration come from the core.
 */
#include "xen-pvblk.h"

#include "block/block.h"
#include "hw/qdev-properties.h"
#include "hw/virtio/virtio-bus.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_ids.h"
#include "system/system.h"
#include "trace.h"

#define MAX_QUEUES 64

static QTAILQ_HEAD(, XenPvblk) all_devices =
    QTAILQ_HEAD_INITIALIZER(all_devices);

/* ---- virtqueues ---------------------------------------------------------- */

/* Take what is there. What finds no room stays in the queue, and is looked
 * for again when something completes. */
static void take_all(XenPvblk *s, VirtQueue *vq, uint32_t index)
{
    VirtQueueElement *elem;

    do {
        virtio_queue_set_notification(vq, 0);
        while (pvblk_device_has_room(s->dev) &&
               (elem = virtqueue_pop(vq, sizeof(*elem)))) {
            struct pvblk_element e = {
                .element = elem,
                .queue = index,
                .out_num = elem->out_num,
                .in_num = elem->in_num,
                .out_gpa = elem->out_addr,
                .in_gpa = elem->in_addr,
                .out_iov = elem->out_sg,
                .in_iov = elem->in_sg,
            };

            if (!pvblk_device_take(s->dev, &e)) {
                virtqueue_unpop(vq, elem, 0);
                g_free(elem);
                break;
            }
        }
        virtio_queue_set_notification(vq, 1);
    } while (pvblk_device_has_room(s->dev) && !virtio_queue_empty(vq));

    if (!pvblk_device_has_room(s->dev) && !s->starved) {
        trace_xen_pvblk_starved(s);
        s->starved = true;
    }
}

static void handle_output(VirtIODevice *vdev, VirtQueue *vq)
{
    XenPvblk *s = XEN_PVBLK_DEVICE(vdev);

    take_all(s, vq, virtio_get_queue_index(vq));
    pvblk_device_pump(s->dev);
}

static void starved_bh(void *opaque)
{
    XenPvblk *s = opaque;
    VirtIODevice *vdev = VIRTIO_DEVICE(s);

    if (!s->dev || !(vdev->status & VIRTIO_CONFIG_S_DRIVER_OK)) {
        return;
    }
    for (uint32_t i = 0; i < s->num_queues; i++) {
        take_all(s, virtio_get_queue(vdev, i), i);
    }
    pvblk_device_pump(s->dev);
}

void xen_pvblk_give_back(void *opaque, void *element, uint32_t queue,
                         uint32_t written)
{
    XenPvblk *s = opaque;
    VirtQueue *vq = virtio_get_queue(VIRTIO_DEVICE(s), queue);

    virtqueue_fill(vq, element, written, s->filled[queue]++);
    g_free(element);
}

void xen_pvblk_forget(void *opaque, void *element, uint32_t queue)
{
    XenPvblk *s = opaque;

    virtqueue_detach_element(virtio_get_queue(VIRTIO_DEVICE(s), queue),
                             element, 0);
    g_free(element);
}

/* One used index and at most one interrupt a queue for the whole batch. */
void xen_pvblk_batch_done(void *opaque)
{
    XenPvblk *s = opaque;
    VirtIODevice *vdev = VIRTIO_DEVICE(s);

    for (uint32_t i = 0; i < s->num_queues; i++) {
        if (s->filled[i]) {
            VirtQueue *vq = virtio_get_queue(vdev, i);

            virtqueue_flush(vq, s->filled[i]);
            s->filled[i] = 0;
            virtio_notify(vdev, vq);
        }
    }
    if (s->starved) {
        s->starved = false;
        qemu_bh_schedule(s->starved_bh);
    }
}

/* ---- configuration and state --------------------------------------------- */

void xen_pvblk_config_changed(void *opaque)
{
    virtio_notify_config(VIRTIO_DEVICE(opaque));
}

static void get_config(VirtIODevice *vdev, uint8_t *config)
{
    pvblk_device_read_config(XEN_PVBLK_DEVICE(vdev)->dev, config);
}

static void set_config(VirtIODevice *vdev, const uint8_t *config)
{
    pvblk_device_write_wce(XEN_PVBLK_DEVICE(vdev)->dev,
                           config[PVBLK_VIRTIO_WCE_OFFSET] != 0);
}

static uint64_t get_features(VirtIODevice *vdev, uint64_t features,
                             Error **errp)
{
    /* One queue cannot be reset alone: the queues share a ring, and the ring
     * does not say which queue a request came from. */
    virtio_clear_feature(&features, VIRTIO_F_RING_RESET);
    return features | pvblk_device_features(XEN_PVBLK_DEVICE(vdev)->dev);
}

static PvblkSetStatus set_status(VirtIODevice *vdev, uint8_t status)
{
    XenPvblk *s = XEN_PVBLK_DEVICE(vdev);

    if (status & VIRTIO_CONFIG_S_DRIVER_OK) {
        bool direct = vdev->dma_as == &address_space_memory;

        trace_xen_pvblk_driver_ok(s, vdev->guest_features, direct);
        pvblk_device_driver_ok(s->dev, vdev->guest_features, direct);
    }
    return PVBLK_SET_STATUS_OK;
}

/* The driver's reset as well as the machine's. The connection to the backend
 * outlives both: ring, grants and event channel belong to the device model. */
static void reset(VirtIODevice *vdev)
{
    XenPvblk *s = XEN_PVBLK_DEVICE(vdev);

    trace_xen_pvblk_reset(s);
    pvblk_device_reset(s->dev);
    s->starved = false;
    qemu_bh_cancel(s->starved_bh);
}

/* ---- life ---------------------------------------------------------------- */

static bool check_properties(XenPvblk *s, Error **errp)
{
    if (!s->num_queues || s->num_queues > MAX_QUEUES) {
        error_setg(errp, "num-queues=%u is not between 1 and %d",
                   s->num_queues, MAX_QUEUES);
        return false;
    }
    if (s->queue_size < 4 || s->queue_size > VIRTQUEUE_MAX_SIZE ||
        !is_power_of_2(s->queue_size)) {
        error_setg(errp, "queue-size=%u is not a power of two between 4 "
                   "and %d", s->queue_size, VIRTQUEUE_MAX_SIZE);
        return false;
    }
    if (!s->handshake_timeout_ms) {
        error_setg(errp, "handshake-timeout-ms=0: a wait for the backend "
                   "needs a limit; the default is 10000");
        return false;
    }
    if (s->serial && strlen(s->serial) > VIRTIO_BLK_ID_BYTES) {
        error_setg(errp, "serial= is longer than the %d bytes that virtio "
                   "has for it", VIRTIO_BLK_ID_BYTES);
        return false;
    }
    if (!g_str_equal(s->sector_units, "auto") &&
        !g_str_equal(s->sector_units, "512") &&
        !g_str_equal(s->sector_units, "device")) {
        error_setg(errp, "sector-units=%s is not known; use auto, 512 or "
                   "device", s->sector_units);
        return false;
    }
    return true;
}

/* auto: as QEMU's own backends behave, where it is one of ours. */
static bool device_units(XenPvblk *s)
{
    if (g_str_equal(s->sector_units, "auto")) {
        return s->own_backend;
    }
    return g_str_equal(s->sector_units, "device");
}

static bool make_core(XenPvblk *s, Error **errp)
{
    char error[256];
    struct pvblk_config config = {
        .frontend_path = s->frontend_path,
        .backend_path = s->backend_path,
        .serial = s->serial,
        .virtual_device = xen_pvblk_backend_number(s),
        .grants = s->provider.refs,
        .pages = pvblk_wanted_pages(),
        .pages_base = memory_region_get_ram_ptr(&s->provider.pages),
        .num_queues = s->num_queues,
        .queue_size = s->queue_size,
        .handshake_timeout_ms = s->handshake_timeout_ms,
        .request_timeout_ms = s->request_timeout_ms,
        .config_wce = s->config_wce,
        .use_discard = s->discard,
        .device_sector_units = device_units(s),
        /* QEMU's xen-block re-arms req_event only when it is idle. */
        .always_notify = s->event_hold_off != ON_OFF_AUTO_ON,
    };

    s->dev = pvblk_device_new(&config, &xen_pvblk_ops, s, error,
                              sizeof(error));
    if (!s->dev) {
        error_setg(errp, "%s", error);
        return false;
    }
    return true;
}

static bool other_user(XenPvblk *s, Error **errp)
{
    XenPvblk *other;

    QTAILQ_FOREACH(other, &all_devices, next) {
        if (g_str_equal(other->backend_path, s->backend_path)) {
            error_setg(errp, "vdev=%s: another xen-pvblk device uses this "
                       "backend; a backend has one frontend", s->vdev);
            return true;
        }
    }
    return false;
}

static void release(XenPvblk *s)
{
    g_clear_pointer(&s->dev, pvblk_device_free);
    xen_pvblk_provider_close(s);
    xen_pvblk_backend_detach(s);
    g_clear_pointer(&s->starved_bh, qemu_bh_delete);
    g_clear_pointer(&s->filled, g_free);
}

static void device_realize(DeviceState *dev, Error **errp)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    XenPvblk *s = XEN_PVBLK_DEVICE(dev);

    if (!check_properties(s, errp)) {
        return;
    }
    if (!xen_pvblk_backend_attach(s, errp) || other_user(s, errp) ||
        !xen_pvblk_provider_open(s, errp) || !make_core(s, errp)) {
        release(s);
        return;
    }
    trace_xen_pvblk_realize(s, s->frontend_path, s->backend_path);

    virtio_init(vdev, VIRTIO_ID_BLOCK, PVBLK_VIRTIO_CONFIG_SIZE);
    s->filled = g_new0(uint32_t, s->num_queues);
    s->starved_bh = qemu_bh_new_guarded(starved_bh, s,
                                        &dev->mem_reentrancy_guard);
    for (uint32_t i = 0; i < s->num_queues; i++) {
        virtio_add_queue(vdev, s->queue_size, handle_output);
    }
    QTAILQ_INSERT_TAIL(&all_devices, s, next);
    pvblk_device_start(s->dev);
}

static void device_unrealize(DeviceState *dev)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    XenPvblk *s = XEN_PVBLK_DEVICE(dev);

    trace_xen_pvblk_unrealize(s);
    /* xen-block keeps pointers into the ring while it has requests in flight
     * and does not wait for them when it disconnects: let them finish. */
    bdrv_drain_all();
    QTAILQ_REMOVE(&all_devices, s, next);
    /* Before the queues go: elements in flight are detached from them. */
    g_clear_pointer(&s->dev, pvblk_device_free);
    for (uint32_t i = 0; i < s->num_queues; i++) {
        virtio_del_queue(vdev, i);
    }
    virtio_cleanup(vdev);
    release(s);
}

static void instance_init(Object *obj)
{
    XenPvblk *s = XEN_PVBLK_DEVICE(obj);

    device_add_bootindex_property(obj, &s->bootindex, "bootindex",
                                  "/disk@0,0", DEVICE(obj));
}

static const Property properties[] = {
    DEFINE_PROP_STRING("drive", XenPvblk, drive),
    DEFINE_PROP_STRING("vdev", XenPvblk, vdev),
    DEFINE_PROP_STRING("backend", XenPvblk, backend),
    DEFINE_PROP_STRING("serial", XenPvblk, serial),
    DEFINE_PROP_UINT16("num-queues", XenPvblk, num_queues, 1),
    DEFINE_PROP_UINT16("queue-size", XenPvblk, queue_size, 256),
    DEFINE_PROP_SIZE32("logical_block_size", XenPvblk, logical_block_size, 0),
    DEFINE_PROP_SIZE32("physical_block_size", XenPvblk, physical_block_size, 0),
    DEFINE_PROP_SIZE32("discard_granularity", XenPvblk, discard_granularity, 0),
    DEFINE_PROP_ON_OFF_AUTO("write-cache", XenPvblk, write_cache,
                            ON_OFF_AUTO_AUTO),
    DEFINE_PROP_BOOL("share-rw", XenPvblk, share_rw, false),
    DEFINE_PROP_BOOL("discard", XenPvblk, discard, true),
    DEFINE_PROP_BOOL("config-wce", XenPvblk, config_wce, true),
    DEFINE_PROP_STRING("sector-units", XenPvblk, sector_units),
    DEFINE_PROP_ON_OFF_AUTO("event-hold-off", XenPvblk, event_hold_off,
                            ON_OFF_AUTO_AUTO),
    DEFINE_PROP_UINT32("handshake-timeout-ms", XenPvblk, handshake_timeout_ms,
                       10000),
    DEFINE_PROP_UINT32("request-timeout-ms", XenPvblk, request_timeout_ms, 0),
    { .name = "state", .info = &xen_pvblk_prop_state },
    { .name = "summary", .info = &xen_pvblk_prop_summary },
};

/* Xen's backends do not migrate (xen-xenstore says the same), and what is in
 * flight on the ring is known to this QEMU alone. */
static const VMStateDescription vmstate = {
    .name = "xen-pvblk",
    .unmigratable = 1,
};

static void class_init(ObjectClass *klass, PVBLK_CLASS_DATA data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    VirtioDeviceClass *vdc = VIRTIO_DEVICE_CLASS(klass);

    device_class_set_props(dc, properties);
    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);
    dc->desc = "virtio block device on a Xen blkif frontend";
    dc->vmsd = &vmstate;
    vdc->realize = device_realize;
    vdc->unrealize = device_unrealize;
    vdc->get_config = get_config;
    vdc->set_config = set_config;
    vdc->get_features = get_features;
    vdc->set_status = set_status;
    vdc->reset = reset;
    xen_pvblk_inspect_class_init(klass);
}

static void instance_post_init(Object *obj)
{
    XenPvblk *s = XEN_PVBLK_DEVICE(obj);

    if (!s->backend) {
        s->backend = g_strdup("xen-disk");
    }
    if (!s->sector_units) {
        s->sector_units = g_strdup("auto");
    }
}

static const TypeInfo types[] = {
    {
        .name = TYPE_XEN_PVBLK_DEVICE,
        .parent = TYPE_VIRTIO_DEVICE,
        .instance_size = sizeof(XenPvblk),
        .instance_init = instance_init,
        .instance_post_init = instance_post_init,
        .class_init = class_init,
    },
};

DEFINE_TYPES(types)
