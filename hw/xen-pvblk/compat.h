/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The differences between the QEMU releases that README names, by probes of
 * what is there and never by version numbers.
 */
#ifndef HW_XEN_PVBLK_COMPAT_H
#define HW_XEN_PVBLK_COMPAT_H

#include "qemu/osdep.h"
/*
 * checkpatch takes __has_include() for an architecture's own define; it is the
 * probe of where a header is.
 */
#if __has_include("system/memory.h")
#include "system/memory.h"
#include "system/address-spaces.h"
#define PVBLK_CLASS_DATA const void *
#else
#include "exec/memory.h"
#include "exec/address-spaces.h"
#define PVBLK_CLASS_DATA void *
#endif
#include "hw/virtio/virtio.h"

/* VirtioDeviceClass.set_status returns nothing in some, an int in others. */
typedef typeof(((VirtioDeviceClass *)NULL)->set_status(NULL, 0)) PvblkSetStatus;
#define PVBLK_SET_STATUS_OK ((PvblkSetStatus)0)

#endif /* HW_XEN_PVBLK_COMPAT_H */
