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
#ifndef HW_XEN_PVBLK_FRONT_H
#define HW_XEN_PVBLK_FRONT_H

#include "compat.h"
#include "hw/virtio/virtio.h"
#include "pvblk/c/device.h"
#include "qemu/timer.h"
#include "qom/object.h"

#define TYPE_XEN_PVBLK_FRONTEND "xen-pvblk-device"
OBJECT_DECLARE_SIMPLE_TYPE(XenPvblkFrontend, XEN_PVBLK_FRONTEND)

#define TYPE_XEN_PVBLK_HOSTED_BACKEND "xen-pvblk-hosted-backend"

struct XenDevice;
struct qemu_xs_handle;
struct qemu_xs_watch;

/* One of the frontend's event channels. */
typedef struct XenPvblkFrontChannel {
    struct XenPvblkFrontend *dev;
    uint32_t queue;
    uint32_t port; /* 0: none */
    QEMUBH *bh;
} XenPvblkFrontChannel;

/* What the frontend stands on in QEMU's Xen emulation: front-ports.c. */
typedef struct XenPvblkFrontPorts {
    struct qemu_xs_handle *xsh; /* acts as the guest's domain */
    struct qemu_xs_watch *watch;
    uint32_t first_ref, refs; /* grant references that are ours */
    struct XenPvblkPages *pages; /* lives as long as somebody maps them */
    XenPvblkFrontChannel channels[PVBLK_MAX_QUEUES];
    QEMUTimer *deadline;
} XenPvblkFrontPorts;

typedef struct XenPvblkFrontQueue {
    uint32_t filled; /* elements filled and not yet flushed */
    bool notify;     /* something was given back */
} XenPvblkFrontQueue;

struct XenPvblkFrontend {
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
    XenPvblkFrontPorts ports;
    pvblk_device *dev;

    DeviceState *proxy; /* the transport, which this device is a part of */
    uint32_t busy;      /* calls into the core under way: enter(), leave() */
    bool gone;          /* unrealized; what is left is done by leave() */
    QSIMPLEQ_HEAD(, XenPvblkFrontElement) done; /* to be given back */
    XenPvblkFrontQueue *queues;
    bool config_dirty;  /* tell the guest */
    bool starved;       /* elements were left in a queue for lack of room */
    QEMUBH *work_bh;
    QTAILQ_ENTRY(XenPvblkFrontend) next; /* all that are realized */
};

/* ---- front-attach.c: which backend, and where its nodes are ------------------- */

/* Makes the backend for drive=, or finds the one that vdev= names. Sets
 * own_backend, frontend_path, backend_path, and what auto means for it. */
bool xen_pvblk_front_attach(XenPvblkFrontend *s, Error **errp);
void xen_pvblk_front_detach(XenPvblkFrontend *s);
/*
 * A backend of ours reads from and writes to the guest's pages as they are,
 * without a copy. On hold it has let go of them, and takes no request; any
 * other backend is left alone.
 */
typedef struct XenPvblkHold {
    struct XenDevice *backend; /* NULL where there is nothing to end */
    BlockDriverState *bs;      /* NULL: not on hold */
} XenPvblkHold;
XenPvblkHold xen_pvblk_front_hold_backend(XenPvblkFrontend *s);
void xen_pvblk_front_let_go(XenPvblkHold hold);
/* Whether the backend that was made for drive= is at work, somewhere up the
 * stack. If so, rest() is called when that is over. */
bool xen_pvblk_front_await_backend(XenPvblkFrontend *s, void (*rest)(void *opaque));
/* Where a backend of ours has its frontend's directory. */
char *xen_pvblk_hosted_path(struct XenDevice *xendev, Error **errp);
/* The number of the virtual device, from the end of its path. */
uint32_t xen_pvblk_front_number(XenPvblkFrontend *s);

/* ---- front-ports.c: pvblk_ops on the Xen emulation --------------------------- */

extern const struct pvblk_ops xen_pvblk_front_ops;
bool xen_pvblk_front_ports_open(XenPvblkFrontend *s, uint32_t refs, uint32_t pages,
                             Error **errp);
void xen_pvblk_front_ports_close(XenPvblkFrontend *s);
#define XEN_PVBLK_PAGE 4096
/* The private pages: ring, lists of segments, bounced data. */
void *xen_pvblk_front_pages_base(XenPvblkFrontend *s);

/* ---- front-device.c: virtqueues ------------------------------------------------- */

/* Around every call into the core: its upcalls take effect in leave(). */
void xen_pvblk_front_enter(XenPvblkFrontend *s);
void xen_pvblk_front_leave(XenPvblkFrontend *s);

/* Called by front-ports.c's ops. */

void xen_pvblk_front_give_back(void *opaque, void *element, uint32_t queue,
                         uint32_t written);
void xen_pvblk_front_forget(void *opaque, void *element, uint32_t queue);
void xen_pvblk_front_batch_done(void *opaque);
void xen_pvblk_front_config_changed(void *opaque);

/* ---- front-inspect.c: properties that show what goes on ------------------------- */

extern const PropertyInfo xen_pvblk_front_prop_state;
extern const PropertyInfo xen_pvblk_front_prop_summary;
void xen_pvblk_front_inspect_class_init(ObjectClass *klass);

#endif /* HW_XEN_PVBLK_FRONT_H */
