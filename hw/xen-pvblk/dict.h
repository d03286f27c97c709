/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Read-only properties that are dictionaries, filled from either core. */
#ifndef HW_XEN_PVBLK_DICT_H
#define HW_XEN_PVBLK_DICT_H

#include "compat.h"
#include "pvblk/c/device.h"
#include "qom/object.h"

/* Emits the current fields; none, if the object is not realized. */
typedef void XenPvblkFields(Object *obj, pvblk_emit *emit, void *opaque);

void xen_pvblk_add_dict(ObjectClass *klass, const char *name,
                        const char *description, XenPvblkFields *fields);

#endif /* HW_XEN_PVBLK_DICT_H */
