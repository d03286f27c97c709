/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen-pvblk-backend: a Xen block backend of its own, all of blkif, on QEMU's
 * xen-bus and any block node. QOM, XenDevice and the block layer are in the
 * back-….c files; the C++ core handles the requests (pvblk/c/back.h).
 *
 * The object is declared here. A file calls only those after it in this list:
 *   back-device.c   QOM and xen-bus: properties, realize, unrealize
 *   back-inspect.c  properties that show the backend's work; fault plans
 *   back-ports.c    the core's ports, on xen-bus
 *   back-storage.c  the core's storage, on the block layer
 *
 * Threads: XenStore, realize and resize in the main loop with the BQL held.
 * Events and the end of I/O come in the AioContext of the block node, which is
 * the iothread's while a frontend is connected, if there is one.
 * Who writes each field, and what protects it:
 *
 * field       written by                            what protects it
 * ----------  ------------------------------------  -------------------------
 * q->channel  event_bind(), event_unbind()          no event comes then: not
 * q->bh                                             yet, or event_pause() was
 * q->on       attend(); read by event() in ctx      atomic; off for good once
 *                                                   settle() has run in ctx
 * q->paused   event_bind(), event_pause()           main loop only
 * settling    attend() counts up, settle(), in      atomic; 0 lets a drain and
 *             ctx, down                             event_pause() go on
 * ctx         move_to()                             no queue is bound then
 * idle        new_io(), io_done(), in ctx           ctx only, but for open and
 *                                                   close, without a queue
 * bytes       xen_pvblk_back_measure()              atomic
 * abandon     xen_pvblk_back_abandon() in the main  atomic
 *             loop; read by erase() in ctx
 * reported    violation(), move_to(): any thread    atomic
 * ending      backend_unrealize()                   main loop only
 *
 * `paused` differs from off: a drained section switches its queues on again at
 * its end. xen_pvblk_back_storage_drain(), between pause and unbind, is one.
 * `ending` keeps bottom halves of the main loop away from the core while it is
 * being freed, which polls. Events need it until the last ring has stopped.
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
    bool on;                  /* events are served */
    bool paused;              /* ... and will not be again */
    QEMUBH *bh;               /* pvblk_back_event() without an event */
} XenPvblkBackQueue;

struct XenPvblkBackend {
    XenBlockDevice parent_obj; /* drive, vdev, block sizes, iothread */

    /* Properties: docs/backend.rst */
    uint32_t max_queues;
    uint32_t max_indirect_segments;
    uint32_t max_segments_in_flight;
    uint32_t max_persistent;
    bool persistent;
    bool flush;
    bool barrier;
    bool discard;
    bool discard_secure;
    bool cdrom;
    bool removable;
    bool judge;
    char *sector_units;
    char *faults; /* a file with a fault plan */

    /* back-device.c */
    pvblk_back *back; /* NULL: not realized */
    QEMUBH *resized_bh;
    QEMUTimer *look_timer; /* NULL: there is no judge */
    bool ending; /* unrealize is under way */

    /* back-ports.c */
    struct qemu_xs_watch *watch;
    AioContext *ctx;  /* where events and I/O are */
    QEMUBH *later_bh; /* pvblk_back_later() */
    int settling;     /* queues that are being switched off */
    uint32_t reported; /* number of reports so far */
    XenPvblkBackQueue queues[PVBLK_MAX_QUEUES];

    /* back-storage.c */
    QSIMPLEQ_HEAD(, XenPvblkBackIo) idle;
    uint64_t bytes;   /* of the node */
    void *zeros;      /* for secure discards */
    uint32_t abandon; /* not 0: those end with the next piece */
};

#endif /* HW_XEN_PVBLK_BACK_H */
