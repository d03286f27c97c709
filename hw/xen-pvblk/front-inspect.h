/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A frontend's properties that show its work. */
#ifndef HW_XEN_PVBLK_FRONT_INSPECT_H
#define HW_XEN_PVBLK_FRONT_INSPECT_H

#include "front.h"
#include "hw/qdev-properties.h"

/* These go into the class's table of properties: `info qtree` shows them. */
extern const PropertyInfo xen_pvblk_front_prop_state;
extern const PropertyInfo xen_pvblk_front_prop_summary;
/* All others. */
void xen_pvblk_front_inspect_class_init(ObjectClass *klass);

#endif /* HW_XEN_PVBLK_FRONT_INSPECT_H */
