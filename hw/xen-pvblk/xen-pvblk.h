/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen-pvblk-device: a virtio block device whose disk is reached by a blkif
 * frontend. QOM and virtio are here and in the .c files beside; what happens
 * to a request is the C++ core's business (pvblk/c/device.h).
 *
 * Threads: all of it runs in the main loop, or in a vCPU thread, with the BQL
 * held. The one exception is the event channel's handler, which only
 * schedules a bottom half.
 */
#ifndef HW_XEN_PVBLK_H
#define HW_XEN_PVBLK_H

#include "compat.h"
#include "hw/virtio/virtio.h"
#include "pvblk/c/device.h"
#include "qemu/timer.h"
#include "qom/object.h"

#define TYPE_XEN_PVBLK_DEVICE "xen-pvblk-device"
OBJECT_DECLARE_SIMPLE_TYPE(XenPvblk, XEN_PVBLK_DEVICE)

#define TYPE_XEN_PVBLK_HOSTED_BACKEND "xen-pvblk-hosted-backend"

struct XenDevice;
struct qemu_xs_handle;
struct qemu_xs_watch;

/* One of the frontend's event channels. */
typedef struct XenPvblkChannel {
    struct XenPvblk *dev;
    uint32_t queue;
    uint32_t port; /* 0: none */
    QEMUBH *bh;
} XenPvblkChannel;

/* What the frontend stands on in QEMU's Xen emulation: provider.c. */
typedef struct XenPvblkProvider {
    struct qemu_xs_handle *xsh; /* acts as the guest's domain */
    struct qemu_xs_watch *watch;
    uint32_t first_ref, refs; /* grant references that are ours */
    struct XenPvblkPages *pages; /* lives as long as somebody maps them */
    XenPvblkChannel channels[PVBLK_MAX_QUEUES];
    QEMUTimer *deadline;
} XenPvblkProvider;

typedef struct XenPvblkQueue {
    uint32_t filled; /* elements filled and not yet flushed */
    bool notify;     /* something was given back */
} XenPvblkQueue;

struct XenPvblk {
    VirtIODevice parent_obj;

    /* Properties: docs/device.rst */
    char *drive;
    char *vdev;
    char *backend;
    char *serial;
    uint16_t num_queues;
    uint16_t queue_size;
    uint32_t logical_block_size;
    uint32_t physical_block_size;
    uint32_t discard_granularity;
    OnOffAuto write_cache;
    bool share_rw;
    bool discard;
    bool config_wce;
    char *sector_units;
    uint16_t max_ring_pages;
    uint16_t ring_queues; /* 0: as many as num_queues */
    uint16_t max_indirect_segments;
    bool persistent;
    bool barrier;
    bool secure_discard;
    bool trusted;
    char *abi;
    OnOffAuto event_hold_off;
    uint32_t handshake_timeout_ms;
    uint32_t request_timeout_ms;
    int32_t bootindex;

    bool own_backend; /* made for drive=; a child of ours */
    /* Of that backend, or of the one that vdev= names: what auto means. */
    bool backend_obeys_hold_off;
    bool backend_counts_in_sector_size;
    char *frontend_path, *backend_path;
    XenPvblkProvider provider;
    pvblk_device *dev;

    DeviceState *proxy; /* the transport, which this device is a part of */
    uint32_t busy;      /* calls into the core under way: enter(), leave() */
    bool gone;          /* unrealized; what is left is done by leave() */
    QSIMPLEQ_HEAD(, XenPvblkElement) done; /* to be given back */
    XenPvblkQueue *queues;
    bool config_dirty;  /* tell the guest */
    bool starved;       /* elements were left in a queue for lack of room */
    QEMUBH *work_bh;
    QTAILQ_ENTRY(XenPvblk) next; /* all that are realized */
};

/* ---- backend.c: which backend, and where its nodes are ------------------- */

/* Makes the backend for drive=, or finds the one that vdev= names. Sets
 * own_backend, frontend_path, backend_path, and what auto means for it. */
bool xen_pvblk_backend_attach(XenPvblk *s, Error **errp);
void xen_pvblk_backend_detach(XenPvblk *s);
/*
 * A backend of ours reads from and writes to the guest's pages as they are,
 * without a copy. On hold it has let go of them, and takes no request; any
 * other backend is left alone.
 */
typedef struct XenPvblkHold {
    struct XenDevice *backend; /* NULL where there is nothing to end */
    BlockDriverState *bs;      /* NULL: not on hold */
} XenPvblkHold;
XenPvblkHold xen_pvblk_backend_hold(XenPvblk *s);
void xen_pvblk_backend_let_go(XenPvblkHold hold);
/* Whether the backend that was made for drive= is at work, somewhere up the
 * stack. If so, rest() is called when that is over. */
bool xen_pvblk_backend_await_rest(XenPvblk *s, void (*rest)(void *opaque));
/* Where a backend of ours has its frontend's directory. */
char *xen_pvblk_hosted_path(struct XenDevice *xendev, Error **errp);
/* The number of the virtual device, from the end of its path. */
uint32_t xen_pvblk_backend_number(XenPvblk *s);

/* ---- provider.c: pvblk_ops on the Xen emulation --------------------------- */

extern const struct pvblk_ops xen_pvblk_ops;
bool xen_pvblk_provider_open(XenPvblk *s, uint32_t refs, uint32_t pages,
                             Error **errp);
void xen_pvblk_provider_close(XenPvblk *s);
#define XEN_PVBLK_PAGE 4096
/* The private pages: ring, lists of segments, bounced data. */
void *xen_pvblk_pages_base(XenPvblk *s);

/* ---- device.c: virtqueues ------------------------------------------------- */

/* Around every call into the core: its upcalls take effect in leave(). */
void xen_pvblk_enter(XenPvblk *s);
void xen_pvblk_leave(XenPvblk *s);

/* Called by provider.c's ops. */

void xen_pvblk_give_back(void *opaque, void *element, uint32_t queue,
                         uint32_t written);
void xen_pvblk_forget(void *opaque, void *element, uint32_t queue);
void xen_pvblk_batch_done(void *opaque);
void xen_pvblk_config_changed(void *opaque);

/* ---- inspect.c: properties that show what goes on ------------------------- */

extern const PropertyInfo xen_pvblk_prop_state;
extern const PropertyInfo xen_pvblk_prop_summary;
void xen_pvblk_inspect_class_init(ObjectClass *klass);

#endif /* HW_XEN_PVBLK_H */
