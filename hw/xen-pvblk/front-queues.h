/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtqueues: elements on their way to the core and back, and the frame around
 * each call into the core.
 *
 * Giving an element back unmaps it, and an interrupt is a write to memory. The
 * guest can direct both to this device's registers, or to those that unplug
 * it. So the core's upcalls only note the work; it is done when the outermost
 * call into the core has returned. Every call that has upcalls stands between
 * enter() and leave(). Exceptions: calls that only read; the calls
 * pvblk_device_driver_ok() and write_wce(), after which virtio still needs the
 * device; and the last call, pvblk_device_free().
 */
#ifndef HW_XEN_PVBLK_FRONT_QUEUES_H
#define HW_XEN_PVBLK_FRONT_QUEUES_H

#include "front.h"

/* False: there is no core, or soon will not be; then without leave(). */
bool xen_pvblk_front_enter(XenPvblkFrontend *s);
void xen_pvblk_front_leave(XenPvblkFrontend *s);
/* Like enter(), without a call into the core, even if the device is gone. */
void xen_pvblk_front_keep(XenPvblkFrontend *s);

/* After virtio_init(). */
void xen_pvblk_front_queues_open(XenPvblkFrontend *s);
/* After the core has gone: no element is in flight. */
void xen_pvblk_front_queues_close(XenPvblkFrontend *s);
/* Drops the core's finished elements, of one queue or of all, unreturned. */
void xen_pvblk_front_queue_reset(XenPvblkFrontend *s, uint32_t index);
void xen_pvblk_front_queues_reset(XenPvblkFrontend *s);

/* Upcalls of struct pvblk_device_ops; `opaque` is the frontend. */
void xen_pvblk_front_give_back(void *opaque, void *element, uint32_t queue,
                               uint32_t written);
void xen_pvblk_front_forget(void *opaque, void *element, uint32_t queue);
void xen_pvblk_front_batch_done(void *opaque);
void xen_pvblk_front_config_changed(void *opaque);

#endif /* HW_XEN_PVBLK_FRONT_QUEUES_H */
