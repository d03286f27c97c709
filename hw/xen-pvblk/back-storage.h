/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block node under a backend, as its core sees it: the storage_…
 * operations of struct pvblk_back_ops, with the backend as `opaque`.
 */
#ifndef HW_XEN_PVBLK_BACK_STORAGE_H
#define HW_XEN_PVBLK_BACK_STORAGE_H

#include "back.h"

void xen_pvblk_back_storage_open(XenPvblkBackend *s);
/* Call this when no request is under way. */
void xen_pvblk_back_storage_close(XenPvblkBackend *s);

uint64_t xen_pvblk_back_storage_bytes(void *opaque);
void xen_pvblk_back_storage_submit(void *opaque,
                                   const struct pvblk_back_io *req);
/* The connection ends: gives long requests up; nobody waits for them. */
void xen_pvblk_back_storage_drain(void *opaque);

/* Reads the size of the node. Main loop only; this waits. */
void xen_pvblk_back_measure(XenPvblkBackend *s);
/* While on, secure discards end after the current piece. Pair on with off. */
void xen_pvblk_back_abandon(XenPvblkBackend *s, bool on);

#endif /* HW_XEN_PVBLK_BACK_STORAGE_H */
