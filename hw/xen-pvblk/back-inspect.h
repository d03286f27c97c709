/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A backend's properties: they show its work, and set its faults. */
#ifndef HW_XEN_PVBLK_BACK_INSPECT_H
#define HW_XEN_PVBLK_BACK_INSPECT_H

#include "back.h"

/* The plan in the file that faults= names. */
bool xen_pvblk_back_load_faults(XenPvblkBackend *s, Error **errp);
void xen_pvblk_back_inspect_class_init(ObjectClass *klass);

#endif /* HW_XEN_PVBLK_BACK_INSPECT_H */
