/* SPDX-License-Identifier: MIT */
/*
 * The backend for C: one opaque object, and the operations that it needs from
 * its host. In this order: requests to the disk, ports, configuration, life,
 * reports from the host, inspection, fault plans. The frontend's header is
 * c/front.h.
 *
 * Units: bytes, unless a name says otherwise.
 * Threads: the host's XenStore thread. A host may have one more thread for I/O:
 * on it the host calls pvblk_back_event() and pvblk_back_io_done(), and the
 * backend calls grant_map, grant_unmap, event_send, event_again,
 * storage_submit and refused. The backend calls violation on either thread. With
 * a fault plan or a judge, use one thread only. No operation except storage_submit() calls
 * back from inside.
 * Ownership: `opaque` and `ops` outlive the backend; strings passed in are
 * copied, strings passed out are valid until the next call.
 * Errors: 0 or a negative errno.
 */
#ifndef PVBLK_C_BACK_H
#define PVBLK_C_BACK_H

#include "pvblk/c/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pvblk_back pvblk_back;

/* ---- requests to the disk --------------------------------------------------- */

enum pvblk_back_io_kind {
    PVBLK_BACK_READ,
    PVBLK_BACK_WRITE,
    PVBLK_BACK_WRITE_STABLE, /* done only once it is on stable storage */
    PVBLK_BACK_FLUSH,
    PVBLK_BACK_DISCARD,
    PVBLK_BACK_SECURE_DISCARD, /* nobody can read the old data any more */
};

/* The most vectors of one request: IOV_MAX, less two that QEMU adds to pad one. */
enum { PVBLK_BACK_MAX_VECTORS = 1022 };

struct pvblk_back_io {
    enum pvblk_back_io_kind kind;
    uint64_t offset, bytes;
    const struct iovec *iov; /* the frontend's pages; valid until it is done */
    uint32_t iov_count;
    void *client; /* for pvblk_back_io_done() */
    uint64_t tag;
};

/* ---- requests that it refused ----------------------------------------------- */

struct pvblk_back_refused {
    uint32_t queue;
    uint64_t id;
    uint32_t op;        /* as on the wire */
    int32_t status;     /* of the response */
    const char *clause; /* of docs/protocol.rst: the one that the request broke */
    const char *reason; /* a sentence */
    uint64_t value;     /* the wrong number, if there is one */
};

/* ---- what a judge saw (judge.h) ----------------------------------------------- */

enum pvblk_back_seen_kind {
    PVBLK_BACK_SEEN_STATE,    /* of the frontend: `op` has it, `text` its name */
    PVBLK_BACK_SEEN_REQUEST,  /* `count` has its segments, `value` its sector */
    PVBLK_BACK_SEEN_RESPONSE, /* `status` */
    PVBLK_BACK_SEEN_BROKEN,   /* `clause`; `text` says how; `value` */
};

struct pvblk_back_seen {
    enum pvblk_back_seen_kind kind;
    uint32_t queue;
    uint64_t id;
    uint32_t op; /* as on the wire */
    uint32_t count;
    int32_t status;
    uint64_t value;
    const char *clause, *text;
};

/* ---- ports: see ports.h ------------------------------------------------------- */

struct pvblk_back_ops {
    /* XenStore, as dom0. Paths are absolute. */
    /* Copies up to `cap` bytes; returns the value's length, or -ENOENT. */
    int (*store_read)(void *opaque, const char *path, char *buf, size_t cap);
    /* `value` has no terminator; with a fault plan it may be any bytes. */
    int (*store_write)(void *opaque, const char *path, const char *value, size_t len);
    void (*store_remove)(void *opaque, const char *path);
    /* The same, only for the backend's own node `state`. A host with a copy of
     * the state updates the copy here. */
    int (*state_write)(void *opaque, const char *path, const char *value, size_t len);
    void (*state_remove)(void *opaque, const char *path);
    /* At most one watch. After a change at or below the path, the host calls
     * pvblk_back_store_changed(). A new watch also counts as a change. */
    int (*store_watch)(void *opaque, const char *path);
    void (*store_unwatch)(void *opaque);

    /* The page that the frontend granted, for reading, or for reading and
     * writing. NULL: the grant does not exist, has ended, or does not allow it. */
    void *(*grant_map)(void *opaque, uint32_t ref, bool readonly);
    void (*grant_unmap)(void *opaque, uint32_t ref, void *page);

    /* Event channels, one per queue of the ring, below PVBLK_MAX_QUEUES, each
     * bound to a port of the frontend. For an event, call pvblk_back_event(). */
    int (*event_bind)(void *opaque, uint32_t queue, uint32_t port);
    int (*event_send)(void *opaque, uint32_t queue);
    /* An event without a sender: call pvblk_back_event() soon. */
    void (*event_again)(void *opaque, uint32_t queue);
    /* Stop the events of a queue: when this returns, no pvblk_back_event() for
     * it is running, and none follows. While this, event_bind() or
     * storage_drain() wait, the host may make other calls of the backend. */
    void (*event_pause)(void *opaque, uint32_t queue);
    void (*event_unbind)(void *opaque, uint32_t queue);
    /* Call pvblk_back_later() soon, from inside no other call. */
    void (*later)(void *opaque);

    uint64_t (*storage_bytes)(void *opaque);
    /* For each request call pvblk_back_io_done() exactly once, on the submitting
     * thread, possibly before this returns. Any number at a time, any order. */
    void (*storage_submit)(void *opaque, const struct pvblk_back_io *io);
    /* Returns when every submitted request is done. */
    void (*storage_drain)(void *opaque);

    /* The backend refused a frontend, halted its ring, or could not send it an
     * event. `text` is one sentence for a person. */
    void (*violation)(void *opaque, const char *text);
    /* A request was refused. Called as often as the frontend wants: for a trace,
     * not for a log. `request` is valid during the call. May be NULL. */
    void (*refused)(void *opaque, const struct pvblk_back_refused *request);
    /* With a judge: the same goes for all that it sees. May be NULL. */
    void (*seen)(void *opaque, const struct pvblk_back_seen *what);
};

/* ---- configuration ------------------------------------------------------------ */

struct pvblk_back_config {
    const char *frontend_path; /* /local/domain/1/device/vbd/51712 */
    const char *backend_path;  /* /local/domain/0/backend/vbd/1/51712 */
    /* Nodes that a toolstack writes and some frontends read; NULL: none. */
    const char *type, *dev, *params;
    uint32_t sector_size;          /* a power of two, 512 to 4096 */
    uint32_t physical_sector_size; /* sector_size times a power of two; 0: no node */
    /* Multiples of sector_size; the alignment is less than the granularity.
     * Granularity 0: sector_size. */
    uint32_t discard_granularity, discard_alignment;
    uint32_t max_ring_page_order;    /* 0 to 4 */
    uint32_t max_queues;             /* 1 to PVBLK_MAX_QUEUES */
    uint32_t max_indirect_segments;  /* up to PVBLK_MAX_SEGMENTS; 0: no indirect requests */
    uint32_t max_segments_in_flight; /* of a queue; max(11, max_indirect_segments) to 262144 */
    uint32_t max_persistent;         /* pages of a queue that may stay mapped */
    bool device_sector_units;        /* the wire counts in sector_size: see plan.h */
    bool read_only, cdrom, removable;
    bool flush, barrier, discard, discard_secure, persistent;
    bool judge; /* record which clauses the frontend keeps; needs one thread */
};

/* Sets the defaults of back.h, without paths. */
void pvblk_back_defaults(struct pvblk_back_config *config);

/* ---- life ---------------------------------------------------------------------- */

/* NULL: the config breaks a limit above; `error` holds one sentence. The backend
 * writes nothing before pvblk_back_publish(). */
pvblk_back *pvblk_back_new(const struct pvblk_back_config *config, const struct pvblk_back_ops *ops,
                           void *opaque, char *error, size_t error_size);
/* Drains, and unmaps everything. The nodes and the state stay; to remove them,
 * call pvblk_back_vanish() first. NULL: does nothing. */
void pvblk_back_free(pvblk_back *back);

/* Publish nodes, then InitWait. Then watch the frontend. */
void pvblk_back_publish(pvblk_back *back);
int pvblk_back_watch(pvblk_back *back);
/* Ask the frontend to close (hot unplug): Closing. */
void pvblk_back_close(pvblk_back *back);
/* Disappear without notice: remove nodes, give up rings, unmap all. */
void pvblk_back_vanish(pvblk_back *back);
/* The storage has a new size: write `sectors`, then Connected again. */
void pvblk_back_resized(pvblk_back *back);

/* ---- reports from the host ------------------------------------------------------ */

void pvblk_back_store_changed(pvblk_back *back);
void pvblk_back_event(pvblk_back *back, uint32_t queue);
void pvblk_back_later(pvblk_back *back);
void pvblk_back_io_done(void *client, uint64_t tag, bool ok);

/* ---- inspection ------------------------------------------------------------------- */

/* Calls `emit` for each field, in a fixed order. */
void pvblk_back_plan(const pvblk_back *back, pvblk_emit *emit, void *opaque);
void pvblk_back_counters(const pvblk_back *back, pvblk_emit *emit, void *opaque);
/* Why the last connect or ring failed, with the clause; "": none failed. */
const char *pvblk_back_last_error(const pvblk_back *back);

/* With a judge, about once a second, and not from inside another call: it looks
 * for events that were not sent, and for grants that did not end. */
void pvblk_back_look(pvblk_back *back);
/* A field for each clause that the judge has seen kept or broken. Its text is
 * "kept N" or "BROKEN N of M: how (value V)"; of a clause that is no MUST, "BROKEN
 * N of M (SHOULD): …" or "… (PRACTICE): …". Then come "frontend-state", as last seen, and two
 * numbers: "connections", and "grants-left" of the last connection. Without a judge there are none.
 */
void pvblk_back_judgement(pvblk_back *back, pvblk_emit *emit, void *opaque);

/* ---- fault plans -------------------------------------------------------------------- */

enum { PVBLK_MAX_FAULT_PLAN = 65536 }; /* bytes of a plan's text */

/* The backend obeys this plan from now on (docs/faults.rst); "" makes it honest.
 * -EINVAL: `error` holds one sentence, and the old plan stays. */
int pvblk_back_set_faults(pvblk_back *back, const char *text, char *error, size_t error_size);
const char *pvblk_back_faults(pvblk_back *back);
/* How often each rule's fault happened. A field's name is the rule's line and
 * text. */
void pvblk_back_fault_counters(const pvblk_back *back, pvblk_emit *emit, void *opaque);

#ifdef __cplusplus
}
#endif

#endif /* PVBLK_C_BACK_H */
