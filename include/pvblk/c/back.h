/* SPDX-License-Identifier: MIT */
/*
 * What C sees of the backend: one opaque object, and the operations that it
 * needs from its host. The frontend's is c/device.h.
 *
 * Threads: the host's thread that has the XenStore, but for pvblk_back_event()
 * and pvblk_back_io_done(), which come from one other thread if the host has
 * one for I/O; so do, then, grant_map, grant_unmap, event_send, event_again,
 * storage_submit, and fault from either. With a fault plan there is no such
 * thread. Ownership: `opaque` and `ops` outlive
 * the backend; strings passed in are copied, strings passed out are valid until
 * the next call. Errors: 0 or a negative errno.
 */
#ifndef PVBLK_C_BACK_H
#define PVBLK_C_BACK_H

#include "pvblk/c/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pvblk_back pvblk_back;

/* StorageOp of ports.h. */
enum pvblk_back_io_kind {
    PVBLK_BACK_READ,
    PVBLK_BACK_WRITE,
    PVBLK_BACK_WRITE_STABLE,
    PVBLK_BACK_FLUSH,
    PVBLK_BACK_DISCARD,
    PVBLK_BACK_SECURE_DISCARD,
};

struct pvblk_back_io {
    enum pvblk_back_io_kind kind;
    uint64_t offset, bytes;
    const struct iovec *iov; /* the frontend's pages; until it is done */
    uint32_t iov_count;
    void *client; /* for pvblk_back_io_done() */
    uint64_t tag;
};

struct pvblk_back_ops {
    /* XenStore, as dom0: as in struct pvblk_ops. A change at or below the path
     * that is watched calls pvblk_back_store_changed(). */
    int (*store_read)(void *opaque, const char *path, char *buf, size_t cap);
    /* With a fault plan `value` may be any bytes. */
    int (*store_write)(void *opaque, const char *path, const char *value, size_t len);
    void (*store_remove)(void *opaque, const char *path);
    /* The same for the backend's own node `state`, and for nothing else: a host
     * that has a copy of it keeps that in step. */
    int (*state_write)(void *opaque, const char *path, const char *value, size_t len);
    void (*state_remove)(void *opaque, const char *path);
    int (*store_watch)(void *opaque, const char *path);
    void (*store_unwatch)(void *opaque);

    /* NULL: the grant does not exist or does not allow it. */
    void *(*grant_map)(void *opaque, uint32_t ref, bool readonly);
    void (*grant_unmap)(void *opaque, uint32_t ref, void *page);

    /* BackEvents of ports.h; queues are below PVBLK_MAX_QUEUES. */
    int (*event_bind)(void *opaque, uint32_t queue, uint32_t port);
    int (*event_send)(void *opaque, uint32_t queue);
    void (*event_again)(void *opaque, uint32_t queue);
    void (*event_pause)(void *opaque, uint32_t queue);
    void (*event_unbind)(void *opaque, uint32_t queue);
    /* Call pvblk_back_later() soon, from inside of nothing else. */
    void (*later)(void *opaque);

    uint64_t (*storage_bytes)(void *opaque);
    void (*storage_submit)(void *opaque, const struct pvblk_back_io *io);
    void (*storage_drain)(void *opaque);

    /* One sentence for a person: a frontend was refused, or its ring halted. */
    void (*fault)(void *opaque, const char *text);
};

/* BackConfig of pvblk/back.h. */
struct pvblk_back_config {
    const char *frontend_path, *backend_path;
    const char *type, *dev, *params;                 /* NULL: none */
    uint32_t sector_size, physical_sector_size;      /* bytes */
    uint32_t discard_granularity, discard_alignment; /* bytes */
    uint32_t max_ring_page_order, max_queues, max_indirect_segments, max_persistent;
    bool device_sector_units;
    bool read_only, cdrom, removable;
    bool flush, barrier, discard, discard_secure, persistent;
};

pvblk_back *pvblk_back_new(const struct pvblk_back_config *config, const struct pvblk_back_ops *ops,
                           void *opaque);
/* Drains, lets go of everything that is mapped. */
void pvblk_back_free(pvblk_back *back);

/* Nodes, then InitWait; later watch the frontend. */
void pvblk_back_publish(pvblk_back *back);
int pvblk_back_watch(pvblk_back *back);
void pvblk_back_resized(pvblk_back *back);

void pvblk_back_store_changed(pvblk_back *back);
void pvblk_back_event(pvblk_back *back, uint32_t queue);
void pvblk_back_later(pvblk_back *back);
void pvblk_back_io_done(void *client, uint64_t tag, bool ok);

/* Calls `emit` for each field, in a fixed order. */
void pvblk_back_plan(const pvblk_back *back, pvblk_emit *emit, void *opaque);
void pvblk_back_counters(const pvblk_back *back, pvblk_emit *emit, void *opaque);

/* The backend obeys this plan from now on (docs/faults.rst); "" is an honest
 * backend's. -EINVAL: `error` holds one sentence, and the plan before stays. */
int pvblk_back_set_faults(pvblk_back *back, const char *text, char *error, size_t error_size);
const char *pvblk_back_faults(pvblk_back *back);
/* How often each rule's fault happened; a field's name is line and rule. */
void pvblk_back_fault_counters(const pvblk_back *back, pvblk_emit *emit, void *opaque);

/* Why the last connect or ring failed; "": none did. */
const char *pvblk_back_last_error(const pvblk_back *back);

#ifdef __cplusplus
}
#endif

#endif /* PVBLK_C_BACK_H */
