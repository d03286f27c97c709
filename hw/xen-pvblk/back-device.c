/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen-pvblk-backend: properties, realize, and what a toolstack would write.
 *
 * It is a xen-block device, so that vdev=, drive=, iothread= and the search for
 * a free virtual device are what they are for xen-disk; nothing else of it is
 * used.
 */
#include "back-inspect.h"
#include "back-ports.h"
#include "back-storage.h"
#include "bus.h"
#include "help.h"

#include "hw/qdev-properties.h"
#include "hw/xen/interface/io/blkif.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/timer.h"
#include "system/block-backend.h"

#define LOOK_MS 1000

static bool check_properties(XenPvblkBackend *s, Error **errp)
{
    uint32_t order = XEN_BLOCK_DEVICE(s)->props.max_ring_page_order;

    if (order > 4) {
        error_setg(errp, "max-ring-page-order=%u is more than 4 (a ring of "
                   "16 pages)", order);
        return false;
    }
    if (!s->max_queues || s->max_queues > PVBLK_MAX_QUEUES) {
        error_setg(errp, "max-queues=%u is not between 1 and %d", s->max_queues,
                   PVBLK_MAX_QUEUES);
        return false;
    }
    if (s->max_indirect_segments > 4096) {
        error_setg(errp, "max-indirect-segments=%u is more than 4096, the "
                   "most that a blkif request can hold",
                   s->max_indirect_segments);
        return false;
    }
    if (s->max_segments_in_flight < MAX(s->max_indirect_segments, 11) ||
        s->max_segments_in_flight > 262144) {
        error_setg(errp, "max-segments-in-flight=%u is not between %u (the "
                   "segments of one request) and 262144",
                   s->max_segments_in_flight,
                   MAX(s->max_indirect_segments, 11));
        return false;
    }
    if (s->max_persistent > 65536) {
        error_setg(errp, "max-persistent=%u is more than 65536",
                   s->max_persistent);
        return false;
    }
    if (s->judge && XEN_BLOCK_DEVICE(s)->props.iothread) {
        error_setg(errp, "judge=on needs one thread; remove iothread=");
        return false;
    }
    if (!g_str_equal(s->sector_units, "512") &&
        !g_str_equal(s->sector_units, "device")) {
        error_setg(errp, "sector-units=%s is not known; use 512 or device",
                   s->sector_units);
        return false;
    }
    return true;
}

static bool set_up_block(XenPvblkBackend *s, Error **errp)
{
    ERRP_GUARD();
    XenBlockDevice *blockdev = XEN_BLOCK_DEVICE(s);
    BlockConf *conf = &blockdev->props.conf;

    if (!conf->blk) {
        error_setg(errp, "drive= is missing; give a block node or a drive");
        return false;
    }
    if (!blk_is_inserted(conf->blk)) {
        error_setg(errp, "the drive is empty; blkif has no removable media");
        return false;
    }
    /* A drained section would not wait for requests that it holds back. */
    blk_set_disable_request_queuing(conf->blk, true);
    blockdev->device_type = s->cdrom ? "cdrom" : "disk";
    blockdev->info = s->cdrom || !blk_supports_write_perm(conf->blk) ?
                     VDISK_READONLY : 0;
    /* One of the two sizes is enough to ask for large sectors. */
    if (!conf->physical_block_size &&
        conf->logical_block_size > BDRV_SECTOR_SIZE) {
        conf->physical_block_size = conf->logical_block_size;
    }
    if (!blkconf_blocksizes(conf, errp) ||
        !blkconf_apply_backend_options(conf, blockdev->info & VDISK_READONLY,
                                       true, errp)) {
        return false;
    }
    if (conf->logical_block_size > 4096) {
        error_setg(errp, "logical_block_size=%u is larger than a page; blkif "
                   "allows at most 4096", conf->logical_block_size);
        return false;
    }
    if (conf->discard_granularity == -1) {
        conf->discard_granularity = conf->physical_block_size;
    }
    return true;
}

/* As toolstacks write it: QEMU says xvda0 where they say xvda. */
static char *dev_name(XenPvblkBackend *s)
{
    XenBlockVdev *vdev = &XEN_BLOCK_DEVICE(s)->props.vdev;
    char *name = object_property_get_str(OBJECT(s), "vdev", NULL);

    if (vdev->type != XEN_BLOCK_VDEV_TYPE_DP && !vdev->partition) {
        name[strlen(name) - 1] = '\0';
    }
    return name;
}

static bool make_core(XenPvblkBackend *s, Error **errp)
{
    XenBlockDevice *blockdev = XEN_BLOCK_DEVICE(s);
    XenDevice *xendev = XEN_DEVICE(s);
    BlockConf *conf = &blockdev->props.conf;
    g_autofree char *dev = dev_name(s);
    g_autofree char *drive = object_property_get_str(OBJECT(s), "drive", NULL);
    char why[256];
    struct pvblk_back_config config = {
        .frontend_path = xendev->frontend_path,
        .backend_path = xendev->backend_path,
        /* Some frontends (OpenBSD's) take no disk without these nodes. */
        .type = "qdisk",
        .dev = dev,
        .params = drive,
        .sector_size = conf->logical_block_size,
        .physical_sector_size = conf->physical_block_size,
        .discard_granularity = conf->discard_granularity,
        .max_ring_page_order = blockdev->props.max_ring_page_order,
        .max_queues = s->max_queues,
        .max_indirect_segments = s->max_indirect_segments,
        .max_segments_in_flight = s->max_segments_in_flight,
        .max_persistent = s->max_persistent,
        .device_sector_units = g_str_equal(s->sector_units, "device"),
        .read_only = blockdev->info & VDISK_READONLY,
        .cdrom = s->cdrom,
        .removable = s->removable,
        .flush = s->flush,
        .barrier = s->barrier,
        .discard = s->discard && !(blockdev->info & VDISK_READONLY) &&
                   (blk_get_flags(conf->blk) & BDRV_O_UNMAP),
        .discard_secure = s->discard_secure,
        .persistent = s->persistent,
        .judge = s->judge,
    };

    s->back = pvblk_back_new(&config, &xen_pvblk_back_ops, s, why, sizeof(why));
    if (!s->back) {
        error_setg(errp, "%s", why);
    }
    return s->back;
}

/* ---- life ------------------------------------------------------------- */

static void resized_bh(void *opaque)
{
    XenPvblkBackend *s = opaque;

    /* Measuring waits, and so does what ends. */
    if (xen_pvblk_back_enter(s)) {
        xen_pvblk_back_measure(s);
        pvblk_back_resized(s->back);
        xen_pvblk_back_leave(s);
    }
}

/* Runs in the block node's thread, which may not touch XenStore. */
static void resized(void *opaque)
{
    XenPvblkBackend *s = opaque;

    qemu_bh_schedule(s->resized_bh);
}

/* For what shows only if nothing happens: events that were not sent. */
static void look(void *opaque)
{
    XenPvblkBackend *s = opaque;

    if (xen_pvblk_back_enter(s)) {
        pvblk_back_look(s->back);
        xen_pvblk_back_leave(s);
    }
    timer_mod(s->look_timer, qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL) + LOOK_MS);
}

static const BlockDevOps block_ops = {
    .resize_cb = resized,
    .drained_begin = xen_pvblk_back_drained_begin,
    .drained_poll = xen_pvblk_back_drained_poll,
    .drained_end = xen_pvblk_back_drained_end,
};

/* Before a frontend can see InitWait, which says that all nodes exist. */
static void backend_prepare(XenDevice *xendev, Error **errp)
{
    XenPvblkBackend *s = XEN_PVBLK_BACKEND(xendev);
    XenBlockDevice *blockdev = XEN_BLOCK_DEVICE(s);

    if (!check_properties(s, errp) || !set_up_block(s, errp)) {
        return;
    }
    s->ending = false;
    xen_pvblk_back_ports_open(s);
    xen_device_frontend_printf(xendev, "virtual-device", "%lu",
                               blockdev->props.vdev.number);
    xen_device_frontend_printf(xendev, "device-type", "%s",
                               blockdev->device_type);
    if (!make_core(s, errp)) {
        xen_pvblk_back_ports_close(s);
        return;
    }
    if (s->faults && !xen_pvblk_back_load_faults(s, errp)) {
        g_clear_pointer(&s->back, pvblk_back_free);
        xen_pvblk_back_ports_close(s);
        return;
    }
    if (s->judge) {
        s->look_timer = timer_new_ms(QEMU_CLOCK_VIRTUAL, look, s);
        timer_mod(s->look_timer,
                  qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL) + LOOK_MS);
    }
    s->resized_bh = qemu_bh_new_guarded(resized_bh, s,
                                        &DEVICE(s)->mem_reentrancy_guard);
    pvblk_back_publish(s->back);
    blk_set_dev_ops(blockdev->props.conf.blk, &block_ops, s);
    /*
     * xen-bus says InitWait next, if it does not think that it has. The core
     * did so, or has a fault plan not to.
     */
    xendev->backend_state = XenbusStateInitWait;
}

static void backend_realize(XenDevice *xendev, Error **errp)
{
    XenPvblkBackend *s = XEN_PVBLK_BACKEND(xendev);
    int ret;

    xen_pvblk_back_sync_state(s);
    ret = pvblk_back_watch(s->back);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot watch the frontend's state");
    }
}

static void backend_unrealize(XenDevice *xendev)
{
    XenPvblkBackend *s = XEN_PVBLK_BACKEND(xendev);

    if (!s->back) {
        return;
    }
    /*
     * Rings are served until the core has stopped them: it is there so long.
     * Then the node is back in the main loop, and no other thread resizes it.
     */
    s->ending = true;
    g_clear_pointer(&s->look_timer, timer_free);
    pvblk_back_free(s->back);
    s->back = NULL;
    blk_set_dev_ops(XEN_BLOCK_DEVICE(s)->props.conf.blk, NULL, NULL);
    g_clear_pointer(&s->resized_bh, qemu_bh_delete);
    xen_pvblk_back_ports_close(s);
}

/* ---- class ------------------------------------------------------------ */

static const Property properties[] = {
    DEFINE_PROP_UINT32("max-queues", XenPvblkBackend, max_queues, 4),
    DEFINE_PROP_UINT32("max-indirect-segments", XenPvblkBackend,
                       max_indirect_segments, 256),
    DEFINE_PROP_UINT32("max-segments-in-flight", XenPvblkBackend,
                       max_segments_in_flight, 16384),
    DEFINE_PROP_BOOL("persistent", XenPvblkBackend, persistent, true),
    DEFINE_PROP_UINT32("max-persistent", XenPvblkBackend, max_persistent, 1056),
    DEFINE_PROP_BOOL("flush", XenPvblkBackend, flush, true),
    DEFINE_PROP_BOOL("barrier", XenPvblkBackend, barrier, true),
    DEFINE_PROP_BOOL("discard", XenPvblkBackend, discard, true),
    DEFINE_PROP_BOOL("discard-secure", XenPvblkBackend, discard_secure, false),
    DEFINE_PROP_BOOL("cdrom", XenPvblkBackend, cdrom, false),
    DEFINE_PROP_BOOL("removable", XenPvblkBackend, removable, false),
    DEFINE_PROP_BOOL("judge", XenPvblkBackend, judge, false),
    DEFINE_PROP_STRING("sector-units", XenPvblkBackend, sector_units),
    DEFINE_PROP_STRING("faults", XenPvblkBackend, faults),
};

static void backend_init(Object *obj)
{
    XEN_PVBLK_BACKEND(obj)->sector_units = g_strdup("512");
}

static void backend_class_init(ObjectClass *klass, PVBLK_CLASS_DATA data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    XenDeviceClass *xdc = XEN_DEVICE_CLASS(klass);

    dc->desc = "Xen block backend: all of blkif";
    xen_pvblk_await_bus(dc);
    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);
    device_class_set_props(dc, properties);
    xen_pvblk_describe_back(klass);
    xdc->prepare = backend_prepare;
    xdc->realize = backend_realize;
    xdc->unrealize = backend_unrealize;
    /* The core has its own watch: xen-bus does not pass on all changes. */
    xdc->frontend_changed = NULL;
    xen_pvblk_back_inspect_class_init(klass);
}

static const TypeInfo types[] = {
    {
        .name = TYPE_XEN_PVBLK_BACKEND,
        .parent = TYPE_XEN_BLOCK_DEVICE,
        .instance_size = sizeof(XenPvblkBackend),
        .instance_init = backend_init,
        .class_init = backend_class_init,
    },
};

DEFINE_TYPES(types)
