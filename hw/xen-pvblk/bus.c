/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen-bus, and what a device says where there is none.
 *
 * QEMU's own words are "No 'xen-bus' bus found". It looks for a device's bus
 * before it asks a listener whether the device may be added. So our backend
 * names no type of bus until there is a xen-bus, and a listener refuses it.
 */
#include "bus.h"

#include "back.h"
#include "hw/xen/xen.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "qobject/qdict.h"

XenBus *xen_pvblk_find_bus(const char *who, Error **errp)
{
    Object *bus = object_resolve_path_type("", TYPE_XEN_BUS, NULL);

    if (xen_mode != XEN_EMULATE || !bus) {
        error_setg(errp, "%s needs QEMU's Xen emulation: add xen-emu=on to "
                   "-machine (for example -machine pc,xen-emu=on), or for a "
                   "Xen guest use -accel tcg,xen-version=0x40011 or -accel "
                   "kvm,xen-version=0x40011,kernel-irqchip=split", who);
        return NULL;
    }
    return XEN_BUS(bus);
}

XenDevice *xen_pvblk_next_block_device(XenBus *bus, BusChild **pos)
{
    BusChild *kid = *pos ? QTAILQ_NEXT(*pos, sibling)
                         : QTAILQ_FIRST(&BUS(bus)->children);

    for (; kid; kid = QTAILQ_NEXT(kid, sibling)) {
        if (object_dynamic_cast(OBJECT(kid->child), TYPE_XEN_BLOCK_DEVICE)) {
            *pos = kid;
            return XEN_DEVICE(kid->child);
        }
    }
    return NULL;
}

/* ---- where there is no bus -------------------------------------------- */

static DeviceClass *backend_class(void)
{
    return DEVICE_CLASS(object_class_by_name(TYPE_XEN_PVBLK_BACKEND));
}

/* A listener may hide a device that is about to be added, or refuse it. */
static bool refuse_without_bus(DeviceListener *listener, const QDict *options,
                               bool from_json, Error **errp)
{
    if (!backend_class()->bus_type &&
        g_strcmp0(qdict_get_try_str(options, "driver"),
                  TYPE_XEN_PVBLK_BACKEND) == 0) {
        xen_pvblk_find_bus(TYPE_XEN_PVBLK_BACKEND, errp);
    }
    return false;
}

static DeviceListener listener = { .hide_device = refuse_without_bus };

void xen_pvblk_await_bus(DeviceClass *dc)
{
    dc->bus_type = NULL;
    device_listener_register(&listener);
}

/* QEMU calls this when a xen-bus is realized. */
static void bus_is_there(void)
{
    backend_class()->bus_type = TYPE_XEN_BUS;
}

xen_backend_init(bus_is_there);
