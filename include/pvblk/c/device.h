/* SPDX-License-Identifier: MIT */
/*
 * A virtio-blk device on a blkif frontend, for C: one opaque object, and the
 * operations that it needs from its host. A frontend without virtio is
 * c/front.h.
 *
 * Threads: everything is called, in both directions, on one thread at a time
 * (QEMU: the main loop with the BQL held). Ownership: `opaque` and `ops`
 * outlive the device; strings passed in are copied, strings passed out are
 * valid until the next call. Errors: 0 or a negative errno.
 */
#ifndef PVBLK_C_DEVICE_H
#define PVBLK_C_DEVICE_H

#include "pvblk/c/trace.h"
#include "pvblk/c/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pvblk_device pvblk_device;

/* ---- what the host provides ---------------------------------------------- */

struct pvblk_device_ops {
    /* XenStore, as the frontend's domain. Paths are absolute. */
    /* Copies up to `cap` bytes; returns the value's length, or -ENOENT. */
    int (*store_read)(void *opaque, const char *path, char *buf, size_t cap);
    /* `value` has no terminator. */
    int (*store_write)(void *opaque, const char *path, const char *value, size_t len);
    void (*store_remove)(void *opaque, const char *path);
    /* At most one; a change at or below the path calls
     * pvblk_device_store_changed(), never from inside store_watch() or
     * store_write(). A new watch also counts as a change. */
    int (*store_watch)(void *opaque, const char *path);
    void (*store_unwatch)(void *opaque);

    /* Grants, numbered from 0 to config.grants - 1, for the backend's domain. */
    uint32_t (*grant_ref)(void *opaque, uint32_t index);
    int (*grant_frame)(void *opaque, uint32_t index, uint64_t gfn, bool readonly);
    int (*grant_page)(void *opaque, uint32_t index, uint32_t page, bool readonly);
    int (*grant_revoke)(void *opaque, uint32_t index); /* -EBUSY: still mapped */

    /* Event channels, one a queue of the ring's, below PVBLK_MAX_QUEUES; an
     * event calls pvblk_device_event(), never from inside event_send(). */
    int (*event_open)(void *opaque, uint32_t queue, uint32_t *port);
    int (*event_send)(void *opaque, uint32_t queue);
    void (*event_close)(void *opaque, uint32_t queue);

    /* Monotonic, nanoseconds. A passed deadline calls
     * pvblk_device_deadline(); at_ns < 0 disarms. */
    int64_t (*clock_now)(void *opaque);
    void (*clock_deadline)(void *opaque, int64_t at_ns);

    /* Virtqueues. Called from inside the device: the host notes what to do and
     * does it when the call into the device has returned, since it may lead
     * back here (an interrupt that a guest directs at this very device), or to
     * the device's end. */
    /* Put the element on the used ring: the first `written` bytes of its in
     * side are valid. */
    void (*give_back)(void *opaque, void *element, uint32_t queue, uint32_t written);
    /* The element was cancelled, by a reset or by pvblk_device_free(): detach
     * it, tell the guest nothing. */
    void (*forget)(void *opaque, void *element, uint32_t queue);
    /* After the last give_back() of a batch: notify the guest. */
    void (*batch_done)(void *opaque);
    /* The configuration space is another one: notify the guest. */
    void (*config_changed)(void *opaque);

    /* One sentence for a person; not more often than a log can bear. */
    void (*log)(void *opaque, const char *text);
    void (*trace)(void *opaque, const struct pvblk_trace *trace);
};

struct pvblk_device_config {
    const char *frontend_path;
    const char *backend_path;
    const char *serial;      /* NULL: none; 20 bytes at most count */
    uint32_t virtual_device; /* 51712; its low 16 bits are blkif_request.handle */
    uint32_t grants;
    uint32_t pages;
    void *pages_base;    /* `pages` times 4 KiB, page aligned, zeroed */
    uint32_t num_queues; /* virtqueues */
    uint32_t queue_size; /* elements of each; more than 2 */
    uint32_t handshake_timeout_ms;
    uint32_t request_timeout_ms; /* 0: none */
    bool config_wce;             /* offer VIRTIO_BLK_F_CONFIG_WCE */
    bool use_discard;
    bool device_sector_units; /* where sector-size is above 512: see plan.h */
    bool always_notify;       /* even where the backend does not ask */
    /* What the frontend is willing to do where the backend offers it. */
    uint32_t max_ring_pages;        /* of each ring; 1 to PVBLK_MAX_RING_PAGES */
    uint32_t max_ring_queues;       /* 1 to PVBLK_MAX_QUEUES */
    uint32_t max_indirect_segments; /* up to 11: no indirect requests */
    bool use_barrier;
    bool use_secure_discard;
    bool use_persistent;
    bool trusted;    /* false: the backend sees zeroed private pages alone */
    bool x86_32_abi; /* instead of x86_64's */
};

/* The defaults of front.h and plan.h, one virtqueue of 256 elements, and
 * neither paths nor grants and pages. */
void pvblk_device_defaults(struct pvblk_device_config *config);

/* How many grants and private pages of 4 KiB a device makes use of, by what it
 * may do on the ring: the other fields may be unset. With fewer it waits more
 * often; where they do not suffice at all, pvblk_device_new() says so. */
uint32_t pvblk_device_wanted_grants(const struct pvblk_device_config *config);
uint32_t pvblk_device_wanted_pages(const struct pvblk_device_config *config);

/* ---- the device ---------------------------------------------------------- */

/*
 * NULL on error: then `error` holds one sentence. Reads the backend's nodes;
 * writes nothing before pvblk_device_start().
 */
pvblk_device *pvblk_device_new(const struct pvblk_device_config *config,
                               const struct pvblk_device_ops *ops, void *opaque, char *error,
                               size_t error_size);
/* Cancels what is in flight (ops->forget) and tears the connection down. NULL:
 * nothing. */
void pvblk_device_free(pvblk_device *dev);

void pvblk_device_start(pvblk_device *dev);
/* Also the way out of "broken"; what was taken waits meanwhile. */
void pvblk_device_reconnect(pvblk_device *dev);
/* Leave the backend in good order, as far as that goes without waiting. */
void pvblk_device_stop(pvblk_device *dev);

void pvblk_device_event(pvblk_device *dev, uint32_t queue);
void pvblk_device_store_changed(pvblk_device *dev);
void pvblk_device_deadline(pvblk_device *dev);

/* ---- virtio side --------------------------------------------------------- */

enum { PVBLK_VIRTIO_CONFIG_SIZE = 60, PVBLK_VIRTIO_WCE_OFFSET = 32 };

/* VIRTIO_BLK_F_…: without those of the transport. The same as long as the
 * device exists. */
uint64_t pvblk_device_features(const pvblk_device *dev);
/* struct virtio_blk_config up to secure erase: PVBLK_VIRTIO_CONFIG_SIZE bytes,
 * little endian. */
void pvblk_device_read_config(const pvblk_device *dev, uint8_t *config);
/* Its one field that a driver may write, at PVBLK_VIRTIO_WCE_OFFSET. */
void pvblk_device_write_wce(pvblk_device *dev, bool writeback);
/* DRIVER_OK: which features the driver took. One that cannot flush gets
 * write-through. */
void pvblk_device_driver_ok(pvblk_device *dev, uint64_t features);
/* Every element, or those of one queue, goes back by ops->forget(). */
void pvblk_device_reset(pvblk_device *dev);
void pvblk_device_reset_queue(pvblk_device *dev, uint32_t queue);

/* True while pvblk_device_take() will take another element. */
bool pvblk_device_has_room(const pvblk_device *dev);

/* An element of a virtqueue: what the driver wrote (out) and what it reads
 * (in). The struct is copied; the arrays, and the memory that they name, are
 * borrowed until give_back() or forget(). */
struct pvblk_device_element {
    void *element; /* for give_back() and forget() */
    uint32_t queue;
    uint32_t out_num, in_num;
    const uint64_t *out_gpa, *in_gpa; /* guest-physical, one an iovec */
    const struct iovec *out_iov, *in_iov;
    /* The gpa are guest-physical addresses of RAM, so that the pages can be
     * granted as they are; otherwise data is copied through private pages. */
    bool direct;
};
/* Takes an element, or (false) leaves it with the caller. */
bool pvblk_device_take(pvblk_device *dev, const struct pvblk_device_element *element);
/* After a batch of takes: sends to the backend, gives back what is done. */
void pvblk_device_pump(pvblk_device *dev);

/* ---- seen from outside --------------------------------------------------- */

const char *pvblk_device_state(const pvblk_device *dev);
/* "" unless the state is "broken". */
const char *pvblk_device_broken_because(const pvblk_device *dev);
/* Which of the private pages holds a page of a queue's ring; -1: there is none
 * such now. */
int pvblk_device_ring_page(const pvblk_device *dev, uint32_t queue, uint32_t page);

/* Calls `emit` for each field, in a fixed order. */
void pvblk_device_plan(const pvblk_device *dev, pvblk_emit *emit, void *opaque);
void pvblk_device_counters(const pvblk_device *dev, pvblk_emit *emit, void *opaque);

#ifdef __cplusplus
}
#endif

#endif /* PVBLK_C_DEVICE_H */
