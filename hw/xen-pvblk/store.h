/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XenStore for both cores: their store_… operations (pvblk/c/device.h,
 * pvblk/c/back.h) on a handle of QEMU's. Negative: -errno.
 */
#ifndef HW_XEN_PVBLK_STORE_H
#define HW_XEN_PVBLK_STORE_H

#include "compat.h"
#include "hw/xen/xen_backend_ops.h"

/* Copies up to `cap` bytes; returns how long the value is. */
int xen_pvblk_store_read(struct qemu_xs_handle *xsh, const char *path,
                         char *buf, size_t cap);
int xen_pvblk_store_write(struct qemu_xs_handle *xsh, const char *path,
                          const char *value, size_t len);

#endif /* HW_XEN_PVBLK_STORE_H */
