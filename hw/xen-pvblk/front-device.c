/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen-pvblk-device: its properties and its life, and what virtio asks of it;
 * features and configuration come from the core.
 */
#include "back.h"
#include "front-attach.h"
#include "front-inspect.h"
#include "front-ports.h"
#include "front-queues.h"
#include "help.h"

#include "hw/qdev-properties.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_ids.h"
#include "system/system.h"
#include "trace.h"

#define MAX_QUEUES 64

static QTAILQ_HEAD(, XenPvblkFrontend) all_devices =
    QTAILQ_HEAD_INITIALIZER(all_devices);

/* ---- configuration and state ------------------------------------------ */

/*
 * virtio goes on with the device after it has called these. So there is no
 * leave(), which may deliver what is done, and end the device by that.
 */

static void get_config(VirtIODevice *vdev, uint8_t *config)
{
    pvblk_device_read_config(XEN_PVBLK_FRONTEND(vdev)->dev, config);
}

static void set_config(VirtIODevice *vdev, const uint8_t *config)
{
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(vdev);

    if (s->dev && !s->gone) {
        pvblk_device_write_wce(s->dev, config[PVBLK_VIRTIO_WCE_OFFSET] != 0);
    }
}

static uint64_t get_features(VirtIODevice *vdev, uint64_t features,
                             Error **errp)
{
    return features | pvblk_device_features(XEN_PVBLK_FRONTEND(vdev)->dev);
}

static PvblkSetStatus set_status(VirtIODevice *vdev, uint8_t status)
{
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(vdev);

    if ((status & VIRTIO_CONFIG_S_DRIVER_OK) && s->dev && !s->gone) {
        trace_xen_pvblk_driver_ok(s, vdev->guest_features);
        pvblk_device_driver_ok(s->dev, vdev->guest_features);
    }
    return PVBLK_SET_STATUS_OK;
}

/*
 * The driver's reset as well as the machine's. The connection to the backend
 * outlives both: ring, grants and event channel belong to the device model.
 */
static void reset(VirtIODevice *vdev)
{
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(vdev);
    XenPvblkFrontHold hold;

    trace_xen_pvblk_reset(s);
    if (!xen_pvblk_front_enter(s)) {
        return;
    }
    hold = xen_pvblk_front_hold_backend(s);
    pvblk_device_reset(s->dev);
    xen_pvblk_front_let_go(hold);
    xen_pvblk_front_queues_reset(s);
    xen_pvblk_front_leave(s);
}

/* QEMU runs this even if the driver did not accept VIRTIO_F_RING_RESET. */
static void queue_reset(VirtIODevice *vdev, uint32_t index)
{
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(vdev);
    XenPvblkFrontHold hold;

    if (index >= s->num_queues || !xen_pvblk_front_enter(s)) {
        return;
    }
    hold = xen_pvblk_front_hold_backend(s);
    pvblk_device_reset_queue(s->dev, index);
    xen_pvblk_front_let_go(hold);
    xen_pvblk_front_queue_reset(s, index);
    xen_pvblk_front_leave(s);
}

/* ---- life ------------------------------------------------------------- */

/* How much of blkif the frontend may use. */
static bool check_ring_properties(XenPvblkFrontend *s, Error **errp)
{
    if (!is_power_of_2(s->max_ring_pages) ||
        s->max_ring_pages > PVBLK_MAX_RING_PAGES) {
        error_setg(errp, "max-ring-pages=%u is not a power of two between 1 "
                   "and %d", s->max_ring_pages, PVBLK_MAX_RING_PAGES);
        return false;
    }
    if (s->ring_queues > PVBLK_MAX_QUEUES) {
        error_setg(errp, "ring-queues=%u is more than %d", s->ring_queues,
                   PVBLK_MAX_QUEUES);
        return false;
    }
    if (s->ring_queues > s->num_queues) {
        error_setg(errp, "ring-queues=%u is more than num-queues=%u; a ring "
                   "needs a virtqueue", s->ring_queues, s->num_queues);
        return false;
    }
    if (s->max_indirect_segments > PVBLK_MAX_SEGMENTS) {
        error_setg(errp, "max-indirect-segments=%u is more than %d, the most "
                   "that a blkif request can hold", s->max_indirect_segments,
                   PVBLK_MAX_SEGMENTS);
        return false;
    }
    if (!g_str_equal(s->abi, "auto") && !g_str_equal(s->abi, "x86_64") &&
        !g_str_equal(s->abi, "x86_32")) {
        error_setg(errp, "abi=%s is not known; use auto, x86_64 or x86_32",
                   s->abi);
        return false;
    }
    return true;
}

static bool check_properties(XenPvblkFrontend *s, Error **errp)
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
        error_setg(errp, "handshake-timeout-ms=0 would wait forever for the "
                   "backend; use at least 1 (the default is 10000)");
        return false;
    }
    if (s->serial && strlen(s->serial) > VIRTIO_BLK_ID_BYTES) {
        error_setg(errp, "serial=%s is longer than %d bytes, the most that "
                   "virtio-blk allows", s->serial, VIRTIO_BLK_ID_BYTES);
        return false;
    }
    if (!g_str_equal(s->sector_units, "auto") &&
        !g_str_equal(s->sector_units, "512") &&
        !g_str_equal(s->sector_units, "device")) {
        error_setg(errp, "sector-units=%s is not known; use auto, 512 or "
                   "device", s->sector_units);
        return false;
    }
    return check_ring_properties(s, errp);
}

static bool device_units(XenPvblkFrontend *s)
{
    return g_str_equal(s->sector_units, "auto")
           ? s->peer.counts_in_sector_size
           : g_str_equal(s->sector_units, "device");
}

static bool always_notify(XenPvblkFrontend *s)
{
    return s->event_hold_off == ON_OFF_AUTO_AUTO
           ? !s->peer.obeys_hold_off
           : s->event_hold_off == ON_OFF_AUTO_OFF;
}

static struct pvblk_device_config core_config(XenPvblkFrontend *s)
{
    return (struct pvblk_device_config) {
        .frontend_path = s->peer.frontend_path,
        .backend_path = s->peer.backend_path,
        .serial = s->serial,
        .virtual_device = xen_pvblk_front_number(s),
        .num_queues = s->num_queues,
        .queue_size = s->queue_size,
        .handshake_timeout_ms = s->handshake_timeout_ms,
        .request_timeout_ms = s->request_timeout_ms,
        .config_wce = s->config_wce,
        .use_discard = s->discard,
        .device_sector_units = device_units(s),
        .always_notify = always_notify(s),
        .max_ring_pages = s->max_ring_pages,
        .max_ring_queues = s->ring_queues ?: MIN(s->num_queues,
                                                 PVBLK_MAX_QUEUES),
        .max_indirect_segments = s->max_indirect_segments,
        .use_barrier = s->barrier,
        .use_secure_discard = s->secure_discard,
        .use_persistent = s->persistent,
        .trusted = s->trusted,
        .x86_32_abi = g_str_equal(s->abi, "x86_32"),
    };
}

static bool make_core(XenPvblkFrontend *s, Error **errp)
{
    struct pvblk_device_config config = core_config(s);
    uint32_t refs = pvblk_device_wanted_grants(&config);
    uint32_t pages = pvblk_device_wanted_pages(&config);
    char error[256];

    if (!xen_pvblk_front_ports_open(s, refs, pages, errp)) {
        return false;
    }
    config.grants = refs;
    config.pages = pages;
    config.pages_base = xen_pvblk_front_pages_base(s);
    s->dev = pvblk_device_new(&config, &xen_pvblk_front_ops, s, error,
                              sizeof(error));
    if (!s->dev) {
        error_setg(errp, "%s", error);
        return false;
    }
    return true;
}

static bool other_user(XenPvblkFrontend *s, Error **errp)
{
    XenPvblkFrontend *other;

    QTAILQ_FOREACH(other, &all_devices, next) {
        if (g_str_equal(other->peer.backend_path, s->peer.backend_path)) {
            error_setg(errp, "vdev=%s: another xen-pvblk device uses this "
                       "backend; a backend serves one frontend", s->vdev);
            return true;
        }
    }
    return false;
}

static void release(XenPvblkFrontend *s)
{
    g_clear_pointer(&s->dev, pvblk_device_free);
    /* The backend unmaps what it has of ours before it is taken away. */
    xen_pvblk_front_detach(s);
    xen_pvblk_front_ports_close(s);
}

static void unrealize_now(XenPvblkFrontend *s)
{
    XenPvblkFrontHold hold;

    trace_xen_pvblk_unrealize(s);
    QTAILQ_REMOVE(&all_devices, s, next);
    hold = xen_pvblk_front_hold_backend(s);
    /* Before the queues go: elements in flight are detached from them. */
    xen_pvblk_front_queues_reset(s);
    g_clear_pointer(&s->dev, pvblk_device_free);
    xen_pvblk_front_let_go(hold);
    xen_pvblk_front_queues_close(s);
    virtio_cleanup(VIRTIO_DEVICE(s));
    release(s);
}

static void backend_at_rest(void *opaque)
{
    xen_pvblk_front_leave(opaque);
}

/*
 * The backend of drive= goes with the device: not from inside of its own wait
 * for a request, the end of which has brought us here. Until that is over, its
 * work counts as ours.
 */
static void unrealize_at_rest(XenPvblkFrontend *s)
{
    if (xen_pvblk_front_await_backend(s, backend_at_rest)) {
        xen_pvblk_front_keep(s);
    } else {
        unrealize_now(s);
    }
}

static void device_realize(DeviceState *dev, Error **errp)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(dev);

    if (!check_properties(s, errp)) {
        return;
    }
    s->proxy = qdev_get_parent_bus(dev)->parent;
    s->gone = false;
    s->at_rest = unrealize_at_rest;
    if (!xen_pvblk_front_attach(s, errp) || other_user(s, errp) ||
        !make_core(s, errp)) {
        release(s);
        return;
    }
    trace_xen_pvblk_realize(s, s->peer.frontend_path, s->peer.backend_path);

    virtio_init(vdev, VIRTIO_ID_BLOCK, PVBLK_VIRTIO_CONFIG_SIZE);
    xen_pvblk_front_queues_open(s);
    QTAILQ_INSERT_TAIL(&all_devices, s, next);
    if (xen_pvblk_front_enter(s)) {
        pvblk_device_start(s->dev);
        xen_pvblk_front_leave(s);
    }
}

/* A guest may come here from inside leave(): then the outermost one does it. */
static void device_unrealize(DeviceState *dev)
{
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(dev);

    s->gone = true;
    if (!s->queues.busy) {
        unrealize_at_rest(s);
    }
}

static void instance_init(Object *obj)
{
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(obj);

    device_add_bootindex_property(obj, &s->bootindex, "bootindex",
                                  "/disk@0,0", DEVICE(obj));
    object_property_set_description(obj, "bootindex",
                                    "place in the boot order");
}

static const Property properties[] = {
    DEFINE_PROP_STRING("drive", XenPvblkFrontend, drive),
    DEFINE_PROP_STRING("vdev", XenPvblkFrontend, vdev),
    DEFINE_PROP_STRING("backend", XenPvblkFrontend, backend),
    DEFINE_PROP_STRING("serial", XenPvblkFrontend, serial),
    DEFINE_PROP_UINT16("num-queues", XenPvblkFrontend, num_queues, 1),
    DEFINE_PROP_UINT16("queue-size", XenPvblkFrontend, queue_size, 256),
    DEFINE_PROP_SIZE32("logical_block_size", XenPvblkFrontend,
                       logical_block_size, 0),
    DEFINE_PROP_SIZE32("physical_block_size", XenPvblkFrontend,
                       physical_block_size, 0),
    DEFINE_PROP_SIZE32("discard_granularity", XenPvblkFrontend,
                       discard_granularity, 0),
    DEFINE_PROP_ON_OFF_AUTO("write-cache", XenPvblkFrontend, write_cache,
                            ON_OFF_AUTO_AUTO),
    DEFINE_PROP_BOOL("share-rw", XenPvblkFrontend, share_rw, false),
    DEFINE_PROP_BOOL("discard", XenPvblkFrontend, discard, true),
    DEFINE_PROP_BOOL("config-wce", XenPvblkFrontend, config_wce, true),
    DEFINE_PROP_STRING("sector-units", XenPvblkFrontend, sector_units),
    DEFINE_PROP_ON_OFF_AUTO("event-hold-off", XenPvblkFrontend, event_hold_off,
                            ON_OFF_AUTO_AUTO),
    DEFINE_PROP_UINT16("max-ring-pages", XenPvblkFrontend, max_ring_pages,
                       PVBLK_MAX_RING_PAGES),
    DEFINE_PROP_UINT16("ring-queues", XenPvblkFrontend, ring_queues, 0),
    DEFINE_PROP_UINT16("max-indirect-segments", XenPvblkFrontend,
                       max_indirect_segments, 32),
    DEFINE_PROP_BOOL("persistent", XenPvblkFrontend, persistent, false),
    DEFINE_PROP_BOOL("barrier", XenPvblkFrontend, barrier, true),
    DEFINE_PROP_BOOL("secure-discard", XenPvblkFrontend, secure_discard, true),
    DEFINE_PROP_BOOL("trusted", XenPvblkFrontend, trusted, true),
    DEFINE_PROP_STRING("abi", XenPvblkFrontend, abi),
    DEFINE_PROP_UINT32("handshake-timeout-ms", XenPvblkFrontend,
                       handshake_timeout_ms, 10000),
    DEFINE_PROP_UINT32("request-timeout-ms", XenPvblkFrontend,
                       request_timeout_ms, 0),
    { .name = "state", .info = &xen_pvblk_front_prop_state },
    { .name = "summary", .info = &xen_pvblk_front_prop_summary },
};

/*
 * Xen's backends do not migrate (xen-xenstore says the same), and only this
 * QEMU knows the requests in flight on the ring.
 */
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
    vdc->queue_reset = queue_reset;
    xen_pvblk_describe_front(klass);
    xen_pvblk_front_inspect_class_init(klass);
}

static void instance_post_init(Object *obj)
{
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(obj);

    if (!s->backend) {
        s->backend = g_strdup(TYPE_XEN_PVBLK_BACKEND);
    }
    if (!s->sector_units) {
        s->sector_units = g_strdup("auto");
    }
    if (!s->abi) {
        s->abi = g_strdup("auto");
    }
}

static const TypeInfo types[] = {
    {
        .name = TYPE_XEN_PVBLK_FRONTEND,
        .parent = TYPE_VIRTIO_DEVICE,
        .instance_size = sizeof(XenPvblkFrontend),
        .instance_init = instance_init,
        .instance_post_init = instance_post_init,
        .class_init = class_init,
    },
};

DEFINE_TYPES(types)
