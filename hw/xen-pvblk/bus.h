/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xen-bus: whether there is one, and which block devices are on it. */
#ifndef HW_XEN_PVBLK_BUS_H
#define HW_XEN_PVBLK_BUS_H

#include "compat.h"
#include "hw/xen/xen-block.h"
#include "hw/xen/xen-bus.h"

/* NULL where QEMU emulates no Xen; the error says how it would. */
XenBus *xen_pvblk_find_bus(const char *who, Error **errp);

/* For our backend's class: until there is a bus, QEMU refuses it so, too. */
void xen_pvblk_await_bus(DeviceClass *dc);

/* Begins where *pos is NULL; NULL after the last one. */
XenDevice *xen_pvblk_next_block_device(XenBus *bus, BusChild **pos);

static inline unsigned long xen_pvblk_number(XenDevice *xendev)
{
    return XEN_BLOCK_DEVICE(xendev)->props.vdev.number;
}

#endif /* HW_XEN_PVBLK_BUS_H */
