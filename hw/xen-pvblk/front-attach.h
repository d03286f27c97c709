/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which backend a frontend talks to, and where the nodes of both are. */
#ifndef HW_XEN_PVBLK_FRONT_ATTACH_H
#define HW_XEN_PVBLK_FRONT_ATTACH_H

#include "front.h"
#include "hw/xen/xen-bus.h"

/* Makes the backend for drive=, or finds the one that vdev= names. */
bool xen_pvblk_front_attach(XenPvblkFrontend *s, Error **errp);
void xen_pvblk_front_detach(XenPvblkFrontend *s);

/*
 * A backend of ours reads from and writes to the guest's pages as they are,
 * without a copy. On hold it has let go of them, and takes no request; any
 * other backend is left alone.
 */
typedef struct XenPvblkFrontHold {
    XenDevice *backend;   /* NULL where there is nothing to end */
    BlockDriverState *bs; /* NULL: not on hold */
} XenPvblkFrontHold;

XenPvblkFrontHold xen_pvblk_front_hold_backend(XenPvblkFrontend *s);
void xen_pvblk_front_let_go(XenPvblkFrontHold hold);

/*
 * Whether the backend that was made for drive= is at work, somewhere up the
 * stack. If so, rest() is called when that is over.
 */
bool xen_pvblk_front_await_backend(XenPvblkFrontend *s,
                                   void (*rest)(void *opaque));
/* The number of the virtual device, from the end of its path. */
uint32_t xen_pvblk_front_number(XenPvblkFrontend *s);

#endif /* HW_XEN_PVBLK_FRONT_ATTACH_H */
