/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chooses the backend of a frontend, and the places of their nodes. */
#ifndef HW_XEN_PVBLK_FRONT_ATTACH_H
#define HW_XEN_PVBLK_FRONT_ATTACH_H

#include "front.h"
#include "hw/xen/xen-bus.h"

/* Makes the backend for drive=, or finds the one that vdev= names. */
bool xen_pvblk_front_attach(XenPvblkFrontend *s, Error **errp);
void xen_pvblk_front_detach(XenPvblkFrontend *s);

/*
 * Our own backend reads and writes the guest's pages directly, without a copy.
 * On hold, it has unmapped them and takes no request. Other backends are left
 * alone.
 */
typedef struct XenPvblkFrontHold {
    XenDevice *backend;   /* NULL: nothing to end */
    BlockDriverState *bs; /* NULL: not on hold */
} XenPvblkFrontHold;

XenPvblkFrontHold xen_pvblk_front_hold_backend(XenPvblkFrontend *s);
void xen_pvblk_front_let_go(XenPvblkFrontHold hold);

/*
 * Whether a call of the backend that was made for drive= is still on the stack.
 * If so, rest() is called when that call is over.
 */
bool xen_pvblk_front_await_backend(XenPvblkFrontend *s,
                                   void (*rest)(void *opaque));
/* The number of the virtual device, from the end of its path. */
uint32_t xen_pvblk_front_number(XenPvblkFrontend *s);

#endif /* HW_XEN_PVBLK_FRONT_ATTACH_H */
