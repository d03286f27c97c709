/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen-pvblk-device: a virtio block device that reaches its disk through a blkif
 * frontend. QOM and virtio are in the front-….c files; the C++ core handles the
 * requests (pvblk/c/device.h).
 *
 * The object is declared here, with its fields by the file that writes them. A
 * file calls only those after it in this list:
 *   front-device.c   QOM and virtio: properties, realize, reset, unrealize
 *   front-inspect.c  properties that show the device's work
 *   front-ports.c    the core's ports, on QEMU's Xen emulation
 *   front-queues.c   virtqueues, and the frame around each call into the core
 *   front-attach.c   the choice of the backend, and the places of its nodes
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

struct qemu_xs_handle;
struct qemu_xs_watch;

/* front-attach.c */
typedef struct XenPvblkFrontPeer {
    char *frontend_path, *backend_path;
    bool is_own; /* made for drive=; a child of ours */
    /* The meaning of auto for this backend. */
    bool obeys_hold_off;
    bool counts_in_sector_size;
} XenPvblkFrontPeer;

/* One of the frontend's event channels. */
typedef struct XenPvblkFrontChannel {
    struct XenPvblkFrontend *dev;
    uint32_t queue;
    uint32_t port; /* 0: none */
    QEMUBH *bh;
} XenPvblkFrontChannel;

/* front-ports.c */
typedef struct XenPvblkFrontPorts {
    struct qemu_xs_handle *xsh; /* acts as the guest's domain */
    struct qemu_xs_watch *watch;
    uint32_t first_ref, refs; /* our grant references */
    struct XenPvblkPages *pages; /* lives as long as somebody maps them */
    XenPvblkFrontChannel channels[PVBLK_MAX_QUEUES];
    QEMUTimer *deadline;
} XenPvblkFrontPorts;

typedef struct XenPvblkFrontQueue {
    uint32_t filled; /* elements filled and not yet flushed */
    bool notify;     /* an element was given back */
} XenPvblkFrontQueue;

/* front-queues.c */
typedef struct XenPvblkFrontQueues {
    XenPvblkFrontQueue *of; /* num-queues of them */
    QSIMPLEQ_HEAD(, XenPvblkFrontElement) done; /* to be given back */
    bool config_dirty; /* tell the guest */
    bool starved;      /* elements were left in a queue for lack of room */
    QEMUBH *work_bh;
    uint32_t busy; /* calls into the core under way: enter(), leave() */
} XenPvblkFrontQueues;

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

    XenPvblkFrontPeer peer;
    XenPvblkFrontPorts ports;
    XenPvblkFrontQueues queues;

    /* front-device.c */
    DeviceState *proxy; /* the transport, which this device is a part of */
    pvblk_device *dev;  /* NULL: not realized */
    bool gone;          /* unrealized; at_rest() does the rest */
    /* The last call into the core of a device that is gone has returned. */
    void (*at_rest)(XenPvblkFrontend *s);
    QTAILQ_ENTRY(XenPvblkFrontend) next; /* all that are realized */
};

#endif /* HW_XEN_PVBLK_FRONT_H */
