/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ports of the backend's core: xen-bus (XenStore, grants, event channels),
 * and back-storage.h.
 */
#ifndef HW_XEN_PVBLK_BACK_PORTS_H
#define HW_XEN_PVBLK_BACK_PORTS_H

#include "back.h"

/* `opaque` is the backend, which has its ports open. */
extern const struct pvblk_back_ops xen_pvblk_back_ops;

void xen_pvblk_back_ports_open(XenPvblkBackend *s);
void xen_pvblk_back_ports_close(XenPvblkBackend *s);

/*
 * Around a call into the core that may wait, in the main loop: xen-bus does
 * not take the device apart meanwhile. False: there is no core, it is about to
 * be taken apart; then without leave().
 */
bool xen_pvblk_back_enter(XenPvblkBackend *s);
void xen_pvblk_back_leave(XenPvblkBackend *s);

/* Copies the state in our node to xen-bus's own field. */
void xen_pvblk_back_sync_state(XenPvblkBackend *s);

/* BlockDevOps: a drained section of the block layer begins, or ends. */
void xen_pvblk_back_drained_begin(void *opaque);
bool xen_pvblk_back_drained_poll(void *opaque);
void xen_pvblk_back_drained_end(void *opaque);

#endif /* HW_XEN_PVBLK_BACK_PORTS_H */
