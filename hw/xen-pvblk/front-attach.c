/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which backend a xen-pvblk device talks to.
 *
 * drive=NODE: a backend of its own, of the type that backend= names: ours, or
 * QEMU's xen-disk or xen-cdrom. One thing differs: its frontend directory is
 * not below device/, where a Xen-aware guest enumerates its devices. Else two
 * frontends would fight for one backend. For the same reason no guest and no
 * user has a name for its virtual device number.
 *
 * vdev=NAME: a backend that exists, made by -device xen-pvblk-backend or
 * -device xen-disk.
 */
#include "front-attach.h"

#include "back-storage.h"
#include "bus.h"
#include "hw/block/block.h"
#include "hw/qdev-properties.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-common.h"
#include "qemu/cutils.h"
#include "system/block-backend.h"

/* Ours, xen-disk and xen-cdrom, made for a device of ours. */
#define TYPE_XEN_PVBLK_HOSTED_BACKEND "xen-pvblk-hosted-backend"
#define TYPE_XEN_PVBLK_DISK "xen-pvblk-disk"
#define TYPE_XEN_PVBLK_CDROM "xen-pvblk-cdrom"

/* Name of the backend's object below the device's. */
#define OWN_BACKEND "xen-backend"

/*
 * "d524288p0" and up: within xen-vbd-interface(7)'s extended numbers, beyond
 * what Linux takes (2^19 of 2^20 disks are left for names).
 */
#define FIRST_HOSTED_DISK (1u << 19)
#define HOSTED_DISKS 4096u

static bool disk_in_use(XenBus *bus, unsigned long disk)
{
    BusChild *pos = NULL;
    XenDevice *xendev;

    while ((xendev = xen_pvblk_next_block_device(bus, &pos))) {
        if (XEN_BLOCK_DEVICE(xendev)->props.vdev.disk == disk) {
            return true;
        }
    }
    return false;
}

static bool choose_disk(XenBus *bus, unsigned long *disk, Error **errp)
{
    for (unsigned long i = 0; i < HOSTED_DISKS; i++) {
        *disk = FIRST_HOSTED_DISK + i;
        if (!disk_in_use(bus, *disk)) {
            return true;
        }
    }
    error_setg(errp, "the machine already has %u xen-pvblk disks, the most "
               "that it can have", HOSTED_DISKS);
    return false;
}

/* QEMU's backends want both of the sizes where sectors are large. */
static uint32_t physical_block_size(XenPvblkFrontend *s)
{
    return s->physical_block_size || s->logical_block_size <= BDRV_SECTOR_SIZE
           ? s->physical_block_size : s->logical_block_size;
}

static bool set_backend_props(XenPvblkFrontend *s, Object *be, Error **errp)
{
    const struct {
        const char *name;
        uint32_t value;
    } sizes[] = {
        { "logical_block_size", s->logical_block_size },
        { "physical_block_size", physical_block_size(s) },
        { "discard_granularity", s->discard_granularity },
    };

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        if (sizes[i].value &&
            !object_property_set_uint(be, sizes[i].name, sizes[i].value,
                                      errp)) {
            return false;
        }
    }
    return object_property_set_str(be, "write-cache",
                                   OnOffAuto_str(s->write_cache), errp) &&
           object_property_set_bool(be, "share-rw", s->share_rw, errp) &&
           object_property_set_str(be, "drive", s->drive, errp);
}

/*
 * QEMU's xen-block re-arms req_event only when it is idle, and counts in
 * sector-size; xen-pvblk-backend keeps to blkif.h, unless told otherwise.
 */
static void adopt(XenPvblkFrontend *s, XenDevice *backend)
{
    Object *ours = object_dynamic_cast(OBJECT(backend), TYPE_XEN_PVBLK_BACKEND);

    s->peer.frontend_path = g_strdup(backend->frontend_path);
    s->peer.backend_path = g_strdup(backend->backend_path);
    s->peer.obeys_hold_off = ours;
    s->peer.counts_in_sector_size =
        !ours || g_str_equal(XEN_PVBLK_BACKEND(ours)->sector_units, "device");
}

static bool make_backend(XenPvblkFrontend *s, XenBus *bus, Error **errp)
{
    ERRP_GUARD();
    const char *type;
    g_autofree char *vdev = NULL;
    unsigned long disk;
    DeviceState *be;

    if (g_str_equal(s->backend, TYPE_XEN_DISK_DEVICE)) {
        type = TYPE_XEN_PVBLK_DISK;
    } else if (g_str_equal(s->backend, TYPE_XEN_CDROM_DEVICE)) {
        type = TYPE_XEN_PVBLK_CDROM;
    } else if (g_str_equal(s->backend, TYPE_XEN_PVBLK_BACKEND)) {
        type = TYPE_XEN_PVBLK_HOSTED_BACKEND;
    } else {
        error_setg(errp, "backend=%s is not known; use xen-pvblk-backend, "
                   "xen-disk or xen-cdrom", s->backend);
        return false;
    }
    if (!choose_disk(bus, &disk, errp)) {
        return false;
    }
    vdev = g_strdup_printf("d%lup0", disk);

    be = qdev_new(type);
    object_property_add_child(OBJECT(s), OWN_BACKEND, OBJECT(be));
    object_unref(OBJECT(be));
    if (!object_property_set_str(OBJECT(be), "vdev", vdev, errp) ||
        !set_backend_props(s, OBJECT(be), errp) ||
        !qdev_realize(be, BUS(bus), errp)) {
        error_prepend(errp, "drive=%s: ", s->drive);
        object_unparent(OBJECT(be));
        return false;
    }
    s->peer.is_own = true;
    adopt(s, XEN_DEVICE(be));
    return true;
}

/* xvdb, xvdb0 and d1p0 are one disk: xen-block knows the number of each. */
static bool parse_vdev(const char *vdev, unsigned long *number, Error **errp)
{
    Object *scratch = object_new(TYPE_XEN_PVBLK_HOSTED_BACKEND);
    bool valid = object_property_set_str(scratch, "vdev", vdev, NULL);

    *number = xen_pvblk_number(XEN_DEVICE(scratch));
    object_unref(scratch);
    if (!valid) {
        error_setg(errp, "vdev=%s names no virtual disk; use a name like "
                   "vdev=xvdb", vdev);
    }
    return valid;
}

static bool find_backend(XenPvblkFrontend *s, XenBus *bus, Error **errp)
{
    BusChild *pos = NULL;
    XenDevice *xendev;
    unsigned long number;

    if (!parse_vdev(s->vdev, &number, errp)) {
        return false;
    }
    while ((xendev = xen_pvblk_next_block_device(bus, &pos))) {
        if (xendev->frontend_path && xen_pvblk_number(xendev) == number) {
            adopt(s, xendev);
            return true;
        }
    }
    error_setg(errp, "vdev=%s names no backend; put -device "
               "xen-pvblk-backend,drive=…,vdev=%s before this device, or give "
               "drive= instead of vdev=", s->vdev, s->vdev);
    return false;
}

bool xen_pvblk_front_attach(XenPvblkFrontend *s, Error **errp)
{
    XenBus *bus = xen_pvblk_find_bus("xen-pvblk", errp);

    if (!bus) {
        return false;
    }
    if (!s->drive == !s->vdev) {
        error_setg(errp, "give either drive= (a block node or a drive; the "
                   "device makes a backend for it) or vdev= (the vdev of a "
                   "backend that exists)");
        return false;
    }
    return s->drive ? make_backend(s, bus, errp) : find_backend(s, bus, errp);
}

static XenDevice *backend_of_ours(XenPvblkFrontend *s)
{
    XenBus *bus = xen_pvblk_find_bus("xen-pvblk", &error_abort);
    BusChild *pos = NULL;
    XenDevice *xendev;

    while ((xendev = xen_pvblk_next_block_device(bus, &pos))) {
        if (object_dynamic_cast(OBJECT(xendev), TYPE_XEN_PVBLK_BACKEND) &&
            g_strcmp0(xendev->backend_path, s->peer.backend_path) == 0) {
            return xendev;
        }
    }
    return NULL;
}

/*
 * Draining polls, and the bus may want to take the device apart meanwhile. If
 * it is about to anyway, that waits for the I/O as well.
 */
XenPvblkFrontHold xen_pvblk_front_hold_backend(XenPvblkFrontend *s)
{
    XenDevice *xendev = backend_of_ours(s);
    XenPvblkFrontHold hold = {};

    if (!xendev) {
        return hold;
    }
    object_ref(OBJECT(xendev));
    if (xen_device_begin(xendev)) {
        hold.backend = xendev;
    }
    hold.bs = blk_bs(XEN_BLOCK_DEVICE(xendev)->props.conf.blk);
    if (hold.bs) {
        bdrv_ref(hold.bs);
        /* The requester is about to forget its long requests: give them up. */
        xen_pvblk_back_abandon(XEN_PVBLK_BACKEND(xendev), true);
        bdrv_drained_begin(hold.bs);
        xen_pvblk_back_abandon(XEN_PVBLK_BACKEND(xendev), false);
    }
    object_unref(OBJECT(xendev));
    return hold;
}

void xen_pvblk_front_let_go(XenPvblkFrontHold hold)
{
    if (hold.bs) {
        bdrv_drained_end(hold.bs);
        bdrv_unref(hold.bs);
    }
    if (hold.backend) {
        xen_device_end(hold.backend);
    }
}

/* By name and not by pointer: the operator may have unplugged it. */
static Object *own_backend(XenPvblkFrontend *s)
{
    return s->peer.is_own ?
           object_resolve_path_component(OBJECT(s), OWN_BACKEND) : NULL;
}

bool xen_pvblk_front_await_backend(XenPvblkFrontend *s,
                                   void (*rest)(void *opaque))
{
    Object *be = own_backend(s);

    return be && xen_device_await_rest(XEN_DEVICE(be), rest, s);
}

void xen_pvblk_front_detach(XenPvblkFrontend *s)
{
    Object *be = own_backend(s);

    if (be) {
        object_unparent(be);
    }
    s->peer.is_own = false;
    g_clear_pointer(&s->peer.frontend_path, g_free);
    g_clear_pointer(&s->peer.backend_path, g_free);
}

uint32_t xen_pvblk_front_number(XenPvblkFrontend *s)
{
    const char *slash = strrchr(s->peer.frontend_path, '/');
    unsigned int number = 0;

    if (slash) {
        qemu_strtoui(slash + 1, NULL, 10, &number);
    }
    return number;
}

static char *hosted_path(XenDevice *xendev, Error **errp)
{
    return g_strdup_printf("/local/domain/%u/xen-pvblk/vbd/%s",
                           xendev->frontend_id, xendev->name);
}

static void hosted_class_init(ObjectClass *klass, PVBLK_CLASS_DATA data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    dc->user_creatable = false; /* comes with xen-pvblk-device */
    dc->bus_type = TYPE_XEN_BUS;
    dc->desc = "Xen block backend of a xen-pvblk device";
    XEN_DEVICE_CLASS(klass)->get_frontend_path = hosted_path;
}

static const TypeInfo hosted_types[] = {
    {
        .name = TYPE_XEN_PVBLK_HOSTED_BACKEND,
        .parent = TYPE_XEN_PVBLK_BACKEND,
        .class_init = hosted_class_init,
    },
    {
        .name = TYPE_XEN_PVBLK_DISK,
        .parent = TYPE_XEN_DISK_DEVICE,
        .class_init = hosted_class_init,
    },
    {
        .name = TYPE_XEN_PVBLK_CDROM,
        .parent = TYPE_XEN_CDROM_DEVICE,
        .class_init = hosted_class_init,
    },
};

DEFINE_TYPES(hosted_types)
