/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block node under a backend, as its core sees it: the storage_…
 * operations of struct pvblk_back_ops, with the backend as `opaque`.
 */
#ifndef HW_XEN_PVBLK_BACK_STORAGE_H
#define HW_XEN_PVBLK_BACK_STORAGE_H

#include "back.h"

void xen_pvblk_back_storage_open(XenPvblkBackend *s);
/* Nothing is under way. */
void xen_pvblk_back_storage_close(XenPvblkBackend *s);

uint64_t xen_pvblk_back_storage_bytes(void *opaque);
void xen_pvblk_back_storage_submit(void *opaque,
                                   const struct pvblk_back_io *req);
/* The connection ends: what takes long is given up, nobody waits for it. */
void xen_pvblk_back_storage_drain(void *opaque);

/* How large the node is: main loop only, and it waits. */
void xen_pvblk_back_measure(XenPvblkBackend *s);
/* On, as often as off: secure discards end with the piece under way. */
void xen_pvblk_back_abandon(XenPvblkBackend *s, bool on);

#endif /* HW_XEN_PVBLK_BACK_STORAGE_H */
