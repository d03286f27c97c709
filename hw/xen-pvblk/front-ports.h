/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ports of the frontend's core, on QEMU's Xen emulation. */
#ifndef HW_XEN_PVBLK_FRONT_PORTS_H
#define HW_XEN_PVBLK_FRONT_PORTS_H

#include "front.h"

#define XEN_PVBLK_PAGE 4096

/* `opaque` is the frontend, which has its ports open. */
extern const struct pvblk_device_ops xen_pvblk_front_ops;

/* Allocates `refs` grant references and `pages` private pages. */
bool xen_pvblk_front_ports_open(XenPvblkFrontend *s, uint32_t refs,
                                uint32_t pages, Error **errp);
/* Also after an open that failed. */
void xen_pvblk_front_ports_close(XenPvblkFrontend *s);
/* The private pages: ring, lists of segments, bounced data. */
void *xen_pvblk_front_pages_base(XenPvblkFrontend *s);

#endif /* HW_XEN_PVBLK_FRONT_PORTS_H */
