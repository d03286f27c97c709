/* SPDX-License-Identifier: MIT */
/*
 * BlockFront (pvblk/front.h) for C: a blkif frontend, as one opaque object. In
 * this order: ports, owner, configuration, life, requests, reports from the
 * ports, inspection. c/device.h is a whole virtio-blk device on a frontend,
 * c/back.h is the other side, and c/loopback.h has ports to try it on.
 *
 * Units: sectors are 512 bytes; other units are in the names.
 * Threads: all calls, in both directions, come on one thread at a time.
 * Ownership: structs and strings passed in are copied. The targets of `opaque`
 * outlive the frontend. Strings passed out are valid until the next call.
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

/* ---- ports: see ports.h ---------------------------------------------------- */

struct pvblk_front_ports {
    void *opaque; /* first argument of each */

    /* XenStore, as the frontend's domain. Paths are absolute. */
    /* Copies up to `cap` bytes; returns the value's length, or -ENOENT. */
    int (*store_read)(void *opaque, const char *path, char *buf, size_t cap);
    /* `value` has no terminator. */
    int (*store_write)(void *opaque, const char *path, const char *value, size_t len);
    void (*store_remove)(void *opaque, const char *path);
    /* At most one watch. After a change at or below the path, the host calls
     * pvblk_front_store_changed(), but never from inside store_watch() or
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

    /* Event channels, one per queue of the ring, below PVBLK_MAX_QUEUES. For an
     * event call pvblk_front_event(), but never from inside event_send(). */
    int (*event_open)(void *opaque, uint32_t queue, uint32_t *port);
    int (*event_send)(void *opaque, uint32_t queue);
    void (*event_close)(void *opaque, uint32_t queue);

    /* A monotonic clock, in nanoseconds. After the deadline call
     * pvblk_front_deadline(); at_ns < 0 disarms. */
    int64_t (*clock_now)(void *opaque);
    void (*clock_deadline)(void *opaque, int64_t at_ns);
};

/* ---- owner ----------------------------------------------------------------- */

/* From inside completed() the owner may call pvblk_front_submit() and functions
 * that take a const pvblk_front; from inside the others only the latter. Any
 * other function may call completed() before it returns. All but completed()
 * may be NULL. */
struct pvblk_front_owner {
    void *opaque; /* first argument of each */

    /* `error`: 0, -EIO, -EOPNOTSUPP (not done, and never will be) or
     * -ECANCELED. Once for each accepted request. */
    void (*completed)(void *opaque, void *cookie, uint32_t queue, int error);
    /* After the last completed() of a batch. */
    void (*batch_done)(void *opaque);
    /* Size or access changed: ask pvblk_front_disk(). */
    void (*disk_changed)(void *opaque);
    /* One sentence for a person. The frontend limits the rate. */
    void (*log)(void *opaque, const char *text);
    void (*trace)(void *opaque, const struct pvblk_trace *trace);
};

/* ---- configuration --------------------------------------------------------- */

/* FrontConfig of front.h and FrontPolicy of plan.h: the most that the frontend
 * does, if the backend offers it. */
struct pvblk_front_config {
    const char *frontend_path; /* /local/domain/1/device/vbd/51712 */
    const char *backend_path;  /* /local/domain/0/backend/vbd/1/51712 */
    uint32_t virtual_device;   /* 51712; its low 16 bits are blkif_request.handle */
    uint32_t max_requests;     /* accepted and not completed; 1 to 65536 */
    uint32_t handshake_timeout_ms;
    uint32_t request_timeout_ms; /* 0: none */
    bool always_notify;          /* even if the backend does not ask for an event */
    bool always_bounce;          /* copy all data; grant no page of the guest */

    uint32_t max_ring_pages;        /* of each ring; 1 to PVBLK_MAX_RING_PAGES */
    uint32_t max_ring_queues;       /* 1 to PVBLK_MAX_QUEUES */
    uint32_t max_indirect_segments; /* up to 11: no indirect requests */
    bool use_flush;
    bool use_barrier;
    bool use_discard;
    bool use_secure_discard;
    bool use_persistent;
    bool trusted;             /* false: show private pages only, with data and zeros */
    bool device_sector_units; /* if sector-size is above 512: see plan.h */
    bool x86_32_abi;          /* instead of the x86_64 ABI */
};

/* Sets the defaults of front.h and plan.h, without paths. */
void pvblk_front_defaults(struct pvblk_front_config *config);

/* How many grants and private pages a frontend can use. With fewer, it waits
 * more often; with far too few, pvblk_front_new() fails. */
uint32_t pvblk_front_wanted_grants(const struct pvblk_front_config *config);
uint32_t pvblk_front_wanted_pages(const struct pvblk_front_config *config);

/* ---- life ------------------------------------------------------------------ */

/*
 * NULL on error: then `error` holds one sentence. Reads the backend's nodes. The
 * frontend writes nothing before pvblk_front_start().
 */
pvblk_front *pvblk_front_new(const struct pvblk_front_config *config,
                             const struct pvblk_front_ports *ports,
                             const struct pvblk_front_owner *owner, char *error, size_t error_size);
/* Cancels accepted requests, unwatches, writes Closed and ends all grants. NULL:
 * does nothing. */
void pvblk_front_free(pvblk_front *front);

void pvblk_front_start(pvblk_front *front);
/* Also the way out of "broken". Accepted requests wait meanwhile. */
void pvblk_front_reconnect(pvblk_front *front);
/* Close for good, as far as the backend cooperates. */
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
    uint64_t sector, sectors; /* of 512 bytes; 0 for a flush */
    /* The data: `count` pieces, each contiguous both here (iov) and in
     * guest-physical memory (gpa, bytes), without the first `skip` bytes. The
     * data and both arrays are borrowed until the request completes. */
    const uint64_t *gpa;
    const struct iovec *iov;
    uint32_t count;
    uint64_t skip;
    /* The gpa are guest-physical addresses of RAM, so the pages can be granted.
     * False: the data is copied through private pages. */
    bool direct;
    bool flush_after; /* a write that completes only once it is stable */
    uint32_t queue;   /* its ring is this modulo the number of queues */
    void *cookie;     /* for completed() */
};

/*
 * 0: accepted. A request may come before "connected", and then waits. -EAGAIN:
 * no room; offer it again after the next completion. -EIO, -EOPNOTSUPP: it
 * will not work on this connection. -EINVAL: no such kind. -ECANCELED: the
 * frontend is being freed.
 *
 * sector and sectors are multiples of sector_size of struct pvblk_disk, and
 * within its sectors. The pieces of a read or write are at least as long as the
 * request. A discard and a flush have no data, and a flush has 0 sectors. -EIO:
 * the request breaks a rule, or would change a read_only disk, or the state is
 * "broken" or "stopped". -EOPNOTSUPP: the disk has no discard or
 * secure_discard, or the backend withdrew its flush. If the backend never
 * offered a flush, a flush succeeds.
 */
int pvblk_front_submit(pvblk_front *front, const struct pvblk_front_io *io);
/* Call after a batch of submits: sends to the backend, completes finished
 * requests. Returns whether anything moved. */
bool pvblk_front_pump(pvblk_front *front);

/* Completes each accepted request, or those of one queue, with -ECANCELED before
 * this returns. The backend can map none of their memory any more. */
void pvblk_front_cancel_all(pvblk_front *front);
void pvblk_front_cancel_queue(pvblk_front *front, uint32_t queue);

/* ---- reports from the ports ------------------------------------------------ */

void pvblk_front_event(pvblk_front *front, uint32_t queue);
void pvblk_front_store_changed(pvblk_front *front);
void pvblk_front_deadline(pvblk_front *front);

/* ---- inspection ------------------------------------------------------------ */

/* "idle", "connecting", "connected", "broken" …: FrontState of front.h. */
const char *pvblk_front_state(const pvblk_front *front);
/* "" unless the state is "broken". */
const char *pvblk_front_broken_because(const pvblk_front *front);

struct pvblk_disk {
    uint64_t sectors;              /* 0: not known yet */
    uint32_t sector_size;          /* bytes; requests are multiples of it */
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
