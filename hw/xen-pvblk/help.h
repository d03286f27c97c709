/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What -device …,help says of each property. */
#ifndef HW_XEN_PVBLK_HELP_H
#define HW_XEN_PVBLK_HELP_H

#include "compat.h"
#include "qom/object.h"

/* For a class that has its properties already. */
void xen_pvblk_describe_front(ObjectClass *klass);
void xen_pvblk_describe_pci(ObjectClass *klass);
void xen_pvblk_describe_back(ObjectClass *klass);

#endif /* HW_XEN_PVBLK_HELP_H */
