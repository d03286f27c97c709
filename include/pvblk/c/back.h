/* SPDX-License-Identifier: MIT */
/*
 * What C sees of the backend: one opaque object, and the operations that it
 * needs from its host. In this order: requests to the disk, what the backend
 * stands on, what it is made like, its life, what its host reports, what is
 * seen from outside, fault plans. The frontend's is c/front.h.
 *
 * Units: bytes, unless a name says otherwise.
 * Threads: the host's thread that has the XenStore, but for pvblk_back_event()
 * and pvblk_back_io_done(), which come from one other thread if the host has
 * one for I/O; so do, then, grant_map, grant_unmap, event_send, event_again,
 * storage_submit, and violation from either. With a fault plan there is no such
 * thread. No operation calls back from inside, but for storage_submit().
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
    PVBLK_BACK_SECURE_DISCARD, /* what was there cannot be read by anybody any more */
};

struct pvblk_back_io {
    enum pvblk_back_io_kind kind;
    uint64_t offset, bytes;
    const struct iovec *iov; /* the frontend's pages; until it is done */
    uint32_t iov_count;
    void *client; /* for pvblk_back_io_done() */
    uint64_t tag;
};

/* ---- what it stands on: the ports of ports.h --------------------------------- */

struct pvblk_back_ops {
    /* XenStore, as dom0. Paths are absolute. */
    /* Copies up to `cap` bytes; returns the value's length, or -ENOENT. */
    int (*store_read)(void *opaque, const char *path, char *buf, size_t cap);
    /* `value` has no terminator; with a fault plan it may be any bytes. */
    int (*store_write)(void *opaque, const char *path, const char *value, size_t len);
    void (*store_remove)(void *opaque, const char *path);
    /* The same for the backend's own node `state`, and for nothing else: a host
     * that has a copy of it keeps that in step. */
    int (*state_write)(void *opaque, const char *path, const char *value, size_t len);
    void (*state_remove)(void *opaque, const char *path);
    /* At most one. A change at or below the path calls
     * pvblk_back_store_changed(). A new watch also counts as a change. */
    int (*store_watch)(void *opaque, const char *path);
    void (*store_unwatch)(void *opaque);

    /* The page that the frontend granted, for reading only or for both. NULL:
     * the grant does not exist, ended, or does not allow it. */
    void *(*grant_map)(void *opaque, uint32_t ref, bool readonly);
    void (*grant_unmap)(void *opaque, uint32_t ref, void *page);

    /* Event channels, one a queue of the ring's, below PVBLK_MAX_QUEUES. Once
     * bound to the frontend's port, an event calls pvblk_back_event(). */
    int (*event_bind)(void *opaque, uint32_t queue, uint32_t port);
    int (*event_send)(void *opaque, uint32_t queue);
    /* An event that comes from nobody: pvblk_back_event() is called soon. */
    void (*event_again)(void *opaque, uint32_t queue);
    /* No pvblk_back_event() for it is under way any more when this returns, and
     * none follows. It, event_bind() and storage_drain() may let other calls of
     * the backend happen while they wait. */
    void (*event_pause)(void *opaque, uint32_t queue);
    void (*event_unbind)(void *opaque, uint32_t queue);
    /* Call pvblk_back_later() soon, from inside of nothing else. */
    void (*later)(void *opaque);

    uint64_t (*storage_bytes)(void *opaque);
    /* pvblk_back_io_done() tells of its end exactly once, possibly before this
     * returns, on the thread that submitted. Any number at a time, any order. */
    void (*storage_submit)(void *opaque, const struct pvblk_back_io *io);
    /* Returns when everything that was submitted is done. */
    void (*storage_drain)(void *opaque);

    /* One sentence for a person: a frontend was refused, or its ring halted. */
    void (*violation)(void *opaque, const char *text);
};

/* ---- what it is made like ----------------------------------------------------- */

struct pvblk_back_config {
    const char *frontend_path; /* /local/domain/1/device/vbd/51712 */
    const char *backend_path;  /* /local/domain/0/backend/vbd/1/51712 */
    /* Nodes that a toolstack writes, and that some frontends want; NULL: none. */
    const char *type, *dev, *params;
    uint32_t sector_size;          /* a power of two, 512 to 4096 */
    uint32_t physical_sector_size; /* sector_size times a power of two; 0: not told */
    /* Multiples of sector_size; the alignment is less than the granularity.
     * Granularity 0: sector_size. */
    uint32_t discard_granularity, discard_alignment;
    uint32_t max_ring_page_order;   /* 0 to 4 */
    uint32_t max_queues;            /* 1 to PVBLK_MAX_QUEUES */
    uint32_t max_indirect_segments; /* up to PVBLK_MAX_SEGMENTS; 0: no indirect requests */
    uint32_t max_persistent;        /* pages of a queue that stay mapped */
    bool device_sector_units;       /* the wire counts in sector_size: see plan.h */
    bool read_only, cdrom, removable;
    bool flush, barrier, discard, discard_secure, persistent;
};

/* The defaults of back.h, and no paths. */
void pvblk_back_defaults(struct pvblk_back_config *config);

/* ---- its life ------------------------------------------------------------------ */

/* NULL: the config is outside these limits; `error` holds one sentence. Writes
 * nothing before pvblk_back_publish(). */
pvblk_back *pvblk_back_new(const struct pvblk_back_config *config, const struct pvblk_back_ops *ops,
                           void *opaque, char *error, size_t error_size);
/* Drains, and lets go of everything that is mapped. The nodes and the state
 * stay as they are: pvblk_back_vanish() comes before it where they are not to.
 * NULL: nothing. */
void pvblk_back_free(pvblk_back *back);

/* Nodes, then InitWait; later watch the frontend. */
void pvblk_back_publish(pvblk_back *back);
int pvblk_back_watch(pvblk_back *back);
/* Ask the frontend to close (hot unplug): Closing. */
void pvblk_back_close(pvblk_back *back);
/* Gone without a word: no nodes, no ring, no mappings. */
void pvblk_back_vanish(pvblk_back *back);
/* The storage changed its size: the nodes are new, and Connected is again. */
void pvblk_back_resized(pvblk_back *back);

/* ---- what its host reports ------------------------------------------------------ */

void pvblk_back_store_changed(pvblk_back *back);
void pvblk_back_event(pvblk_back *back, uint32_t queue);
void pvblk_back_later(pvblk_back *back);
void pvblk_back_io_done(void *client, uint64_t tag, bool ok);

/* ---- seen from outside ------------------------------------------------------------ */

/* Calls `emit` for each field, in a fixed order. */
void pvblk_back_plan(const pvblk_back *back, pvblk_emit *emit, void *opaque);
void pvblk_back_counters(const pvblk_back *back, pvblk_emit *emit, void *opaque);
/* Why the last connect or ring failed; "": none did. */
const char *pvblk_back_last_error(const pvblk_back *back);

/* ---- fault plans -------------------------------------------------------------------- */

/* The backend obeys this plan from now on (docs/faults.rst); "" is an honest
 * backend's. -EINVAL: `error` holds one sentence, and the plan before stays. */
int pvblk_back_set_faults(pvblk_back *back, const char *text, char *error, size_t error_size);
const char *pvblk_back_faults(pvblk_back *back);
/* How often each rule's fault happened; a field's name is line and rule. */
void pvblk_back_fault_counters(const pvblk_back *back, pvblk_emit *emit, void *opaque);

#ifdef __cplusplus
}
#endif

#endif /* PVBLK_C_BACK_H */
