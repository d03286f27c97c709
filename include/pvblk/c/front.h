/* SPDX-License-Identifier: MIT */
/*
 * What C sees of BlockFront (pvblk/front.h): a blkif frontend, as one opaque
 * object. In this order: what it stands on, whom it tells, what it is made
 * like, its life, requests, what its ports report, what is seen from outside.
 * A whole virtio-blk device on a frontend is c/device.h, the other side is
 * c/back.h, and c/loopback.h has ports to try it on.
 *
 * Units: sectors are 512 bytes; the rest says it in its name.
 * Threads: everything is called, in both directions, on one thread at a time.
 * Ownership: structs and strings passed in are copied; what an `opaque` points
 * at outlives the frontend; strings passed out are valid until the next call.
 * Errors: 0 or a negative errno.
 */
#ifndef PVBLK_C_FRONT_H
#define PVBLK_C_FRONT_H

#include "pvblk/c/trace.h"
#include "pvblk/c/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pvblk_front pvblk_front;

/* ---- what it stands on: the ports of ports.h ------------------------------- */

struct pvblk_front_ports {
    void *opaque; /* first argument of each */

    /* XenStore, as the frontend's domain. Paths are absolute. */
    /* Copies up to `cap` bytes; returns the value's length, or -ENOENT. */
    int (*store_read)(void *opaque, const char *path, char *buf, size_t cap);
    /* `value` has no terminator. */
    int (*store_write)(void *opaque, const char *path, const char *value, size_t len);
    void (*store_remove)(void *opaque, const char *path);
    /* At most one; a change at or below the path calls
     * pvblk_front_store_changed(), never from inside store_watch() or
     * store_write(). A new watch also counts as a change. */
    int (*store_watch)(void *opaque, const char *path);
    void (*store_unwatch)(void *opaque);

    /* Grants, numbered from 0 to `grants` - 1, for the backend's domain. */
    uint32_t grants;
    uint32_t (*grant_ref)(void *opaque, uint32_t index);
    int (*grant_frame)(void *opaque, uint32_t index, uint64_t gfn, bool readonly);
    int (*grant_page)(void *opaque, uint32_t index, uint32_t page, bool readonly);
    int (*grant_revoke)(void *opaque, uint32_t index); /* -EBUSY: still mapped */

    /* Private pages for rings and copies: `pages` times 4 KiB from pages_base
     * on, page aligned, zeroed. */
    uint32_t pages;
    void *pages_base;

    /* Event channels, one a queue of the ring's, below PVBLK_MAX_QUEUES; an
     * event calls pvblk_front_event(), never from inside event_send(). */
    int (*event_open)(void *opaque, uint32_t queue, uint32_t *port);
    int (*event_send)(void *opaque, uint32_t queue);
    void (*event_close)(void *opaque, uint32_t queue);

    /* Monotonic, nanoseconds. A passed deadline calls pvblk_front_deadline();
     * at_ns < 0 disarms. */
    int64_t (*clock_now)(void *opaque);
    void (*clock_deadline)(void *opaque, int64_t at_ns);
};

/* ---- whom it tells --------------------------------------------------------- */

/* From inside completed(), pvblk_front_submit() may be called, and what takes a
 * const pvblk_front; from inside the others only the latter. Any other call may
 * lead to completed(), before it returns. All but completed() may be NULL. */
struct pvblk_front_owner {
    void *opaque; /* first argument of each */

    /* `error`: 0, -EIO, -EOPNOTSUPP (not done, and never will be) or
     * -ECANCELED. Once for each accepted request. */
    void (*completed)(void *opaque, void *cookie, uint32_t queue, int error);
    /* After the last completed() of a batch. */
    void (*batch_done)(void *opaque);
    /* Size or access changed: pvblk_front_disk() tells. */
    void (*disk_changed)(void *opaque);
    /* One sentence for a person; not more often than a log can bear. */
    void (*log)(void *opaque, const char *text);
    void (*trace)(void *opaque, const struct pvblk_trace *trace);
};

/* ---- what it is made like -------------------------------------------------- */

/* FrontConfig of front.h, and what the frontend is willing to do where the
 * backend offers it: FrontPolicy of plan.h. */
struct pvblk_front_config {
    const char *frontend_path; /* /local/domain/1/device/vbd/51712 */
    const char *backend_path;  /* /local/domain/0/backend/vbd/1/51712 */
    uint32_t virtual_device;   /* 51712; its low 16 bits are blkif_request.handle */
    uint32_t max_requests;     /* accepted and not completed; 1 to 65536 */
    uint32_t handshake_timeout_ms;
    uint32_t request_timeout_ms; /* 0: none */
    bool always_notify;          /* even where the backend does not ask */
    bool always_bounce;          /* no page of the guest's is granted: data is copied */

    uint32_t max_ring_pages;        /* of each ring; 1 to PVBLK_MAX_RING_PAGES */
    uint32_t max_ring_queues;       /* 1 to PVBLK_MAX_QUEUES */
    uint32_t max_indirect_segments; /* up to 11: no indirect requests */
    bool use_flush;
    bool use_barrier;
    bool use_discard;
    bool use_secure_discard;
    bool use_persistent;
    bool trusted;             /* false: the backend sees zeroed private pages alone */
    bool device_sector_units; /* where sector-size is above 512: see plan.h */
    bool x86_32_abi;          /* instead of x86_64's */
};

/* The defaults of front.h and plan.h, and no paths. */
void pvblk_front_defaults(struct pvblk_front_config *config);

/* How many grants and private pages it makes use of. With fewer it waits more
 * often; where they do not suffice at all, pvblk_front_new() says so. */
uint32_t pvblk_front_wanted_grants(const struct pvblk_front_config *config);
uint32_t pvblk_front_wanted_pages(const struct pvblk_front_config *config);

/* ---- its life -------------------------------------------------------------- */

/*
 * NULL on error: then `error` holds one sentence. Reads the backend's nodes;
 * writes nothing before pvblk_front_start().
 */
pvblk_front *pvblk_front_new(const struct pvblk_front_config *config,
                             const struct pvblk_front_ports *ports,
                             const struct pvblk_front_owner *owner, char *error, size_t error_size);
/* Cancels what was accepted, unwatches, writes Closed and ends all grants.
 * NULL: nothing. */
void pvblk_front_free(pvblk_front *front);

void pvblk_front_start(pvblk_front *front);
/* Also the way out of "broken"; what was accepted waits meanwhile. */
void pvblk_front_reconnect(pvblk_front *front);
/* Close for good, as far as the backend plays along. */
void pvblk_front_stop(pvblk_front *front);

/* ---- requests -------------------------------------------------------------- */

enum pvblk_front_io_kind {
    PVBLK_FRONT_READ,
    PVBLK_FRONT_WRITE,
    PVBLK_FRONT_FLUSH,
    PVBLK_FRONT_DISCARD,
    PVBLK_FRONT_SECURE_DISCARD,
};

struct pvblk_front_io {
    enum pvblk_front_io_kind kind;
    uint64_t sector, sectors; /* of 512 bytes; of a flush: 0 */
    /* The data: `count` pieces, each contiguous both here (iov) and in
     * guest-physical memory (gpa, bytes). Its first `skip` bytes do not count.
     * Borrowed, with both arrays, until the request completes. */
    const uint64_t *gpa;
    const struct iovec *iov;
    uint32_t count;
    uint64_t skip;
    /* The gpa are guest-physical addresses of RAM, so that the pages can be
     * granted as they are; otherwise data is copied through private pages. */
    bool direct;
    bool flush_after; /* a write that completes only once it is stable */
    uint32_t queue;   /* its ring is this modulo the number of queues */
    void *cookie;     /* for completed() */
};

/*
 * 0: accepted. It may come before "connected", and then waits. -EAGAIN: no
 * room; offer it again after the next completion. -EIO, -EOPNOTSUPP: it will
 * never work. -EINVAL: no such kind. -ECANCELED: the frontend is being freed.
 *
 * sector and sectors are multiples of sector_size of struct pvblk_disk, and
 * within its sectors; what has data has pieces that are as long, or longer.
 * Else, and for any change of a read_only disk, it is -EIO. A discard and a
 * flush have no data; sectors of a flush is 0. -EOPNOTSUPP: the disk has no
 * discard, secure_discard or flush. In "broken" and "stopped" everything is
 * -EIO.
 */
int pvblk_front_submit(pvblk_front *front, const struct pvblk_front_io *io);
/* After a batch of submits: sends to the backend, completes what is done.
 * Whether anything moved. */
bool pvblk_front_pump(pvblk_front *front);

/* Each accepted request, or those of one queue, is completed with -ECANCELED
 * before this returns, and the backend can map none of its memory any more. */
void pvblk_front_cancel_all(pvblk_front *front);
void pvblk_front_cancel_queue(pvblk_front *front, uint32_t queue);

/* ---- what its ports report ------------------------------------------------- */

void pvblk_front_event(pvblk_front *front, uint32_t queue);
void pvblk_front_store_changed(pvblk_front *front);
void pvblk_front_deadline(pvblk_front *front);

/* ---- seen from outside ----------------------------------------------------- */

/* "idle", "connecting", "connected", "broken" …: FrontState of front.h. */
const char *pvblk_front_state(const pvblk_front *front);
/* "" unless the state is "broken". */
const char *pvblk_front_broken_because(const pvblk_front *front);

struct pvblk_disk {
    uint64_t sectors;              /* 0: not known yet */
    uint32_t sector_size;          /* bytes; what requests are multiples of */
    uint32_t physical_sector_size; /* bytes */
    uint32_t discard_granularity;  /* bytes */
    uint32_t discard_alignment;    /* bytes */
    bool read_only, cdrom, removable;
    bool flush, discard, secure_discard;
};
void pvblk_front_disk(const pvblk_front *front, struct pvblk_disk *disk);

/* Call `emit` for each field, in a fixed order. */
void pvblk_front_plan(const pvblk_front *front, pvblk_emit *emit, void *opaque);
void pvblk_front_counters(const pvblk_front *front, pvblk_emit *emit, void *opaque);

#ifdef __cplusplus
}
#endif

#endif /* PVBLK_C_FRONT_H */
