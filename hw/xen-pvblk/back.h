/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen-pvblk-backend: a Xen block backend of its own, all of blkif, on QEMU's
 * xen-bus and any block node. QOM, XenDevice and the block layer are here and
 * in the .c files beside; what happens to a request is the C++ core's business
 * (pvblk/c/back.h).
 *
 * Threads: XenStore, realize and resize in the main loop with the BQL held.
 * Events and the end of I/O come in the AioContext of the block node, which is
 * the iothread's while a frontend is connected, if there is one.
 */
#ifndef HW_XEN_PVBLK_BACK_H
#define HW_XEN_PVBLK_BACK_H

#include "compat.h"
#include "hw/xen/xen-block.h"
#include "pvblk/c/back.h"
#include "qom/object.h"

#define TYPE_XEN_PVBLK_BACKEND "xen-pvblk-backend"
OBJECT_DECLARE_SIMPLE_TYPE(XenPvblkBackend, XEN_PVBLK_BACKEND)

typedef struct XenPvblkBackQueue {
    struct XenPvblkBackend *backend;
    uint32_t index;
    XenEventChannel *channel; /* NULL: not bound */
    bool on;                  /* events are served; atomic */
    bool paused;              /* ... and will not be again */
    QEMUBH *bh;               /* pvblk_back_event() without an event */
} XenPvblkBackQueue;

struct XenPvblkBackend {
    XenBlockDevice parent_obj; /* drive, vdev, block sizes, iothread */

    /* Properties: docs/device.rst */
    uint32_t max_queues;
    uint32_t max_indirect_segments;
    uint32_t max_persistent;
    bool persistent;
    bool flush;
    bool barrier;
    bool discard;
    bool discard_secure;
    bool cdrom;
    bool removable;
    char *sector_units;
    char *faults; /* a file with a fault plan */

    pvblk_back *back;
    struct qemu_xs_watch *watch;
    QEMUBH *resized_bh;
    AioContext *ctx; /* where events and I/O are */
    QEMUBH *later_bh; /* pvblk_back_later() */
    uint64_t bytes;   /* of the node; read in ctx */
    bool drained;     /* the block layer wants quiet */
    int settling;     /* queues that are being switched off; atomic */
    bool ending;      /* unrealize is under way */
    XenPvblkBackQueue queues[PVBLK_MAX_QUEUES];
    QSIMPLEQ_HEAD(, XenPvblkBackIo) idle; /* of ctx */
    void *zeros;      /* for secure discards */
    uint32_t abandon; /* not 0: they end with the next piece; atomic */
    uint32_t reported; /* so many faults of frontends */
};

/* ---- back-ports.c: pvblk_back_ops on xen-bus and the block layer ------- */

extern const struct pvblk_back_ops xen_pvblk_back_ops;
void xen_pvblk_back_ports_open(XenPvblkBackend *s);
void xen_pvblk_back_ports_close(XenPvblkBackend *s);
/* xen-bus's copy of our state becomes what the node says. */
void xen_pvblk_back_sync_state(XenPvblkBackend *s);
/* A call into the core that may wait. */
void xen_pvblk_back_call(XenPvblkBackend *s, void (*call)(pvblk_back *back));
/* How large the node is: main loop only, and it waits. */
void xen_pvblk_back_measure(XenPvblkBackend *s);
/* On, as often as off: secure discards are not waited for. */
void xen_pvblk_back_abandon(XenPvblkBackend *s, bool on);
/* The block layer wants quiet, or is done with it. */
void xen_pvblk_back_drained_begin(void *opaque);
bool xen_pvblk_back_drained_poll(void *opaque);
void xen_pvblk_back_drained_end(void *opaque);

#endif /* HW_XEN_PVBLK_BACK_H */
