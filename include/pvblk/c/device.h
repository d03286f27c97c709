/* SPDX-License-Identifier: MIT */
/*
 * A virtio-blk device on a blkif frontend, for C: one opaque object, and the
 * operations that it needs from its host. A frontend without virtio is
 * c/front.h.
 *
 * Threads: all calls, in both directions, come on one thread at a time (QEMU:
 * the main loop, with the BQL held). Ownership: `opaque` and `ops`
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
    /* At most one watch. After a change at or below the path, the host calls
     * pvblk_device_store_changed(), but never from inside store_watch() or
     * store_write(). A new watch also counts as a change. */
    int (*store_watch)(void *opaque, const char *path);
    void (*store_unwatch)(void *opaque);

    /* Grants, numbered from 0 to config.grants - 1, for the backend's domain. */
    uint32_t (*grant_ref)(void *opaque, uint32_t index);
    int (*grant_frame)(void *opaque, uint32_t index, uint64_t gfn, bool readonly);
    int (*grant_page)(void *opaque, uint32_t index, uint32_t page, bool readonly);
    int (*grant_revoke)(void *opaque, uint32_t index); /* -EBUSY: still mapped */

    /* Event channels, one per queue of the ring, below PVBLK_MAX_QUEUES. For an
     * event call pvblk_device_event(), but never from inside event_send(). */
    int (*event_open)(void *opaque, uint32_t queue, uint32_t *port);
    int (*event_send)(void *opaque, uint32_t queue);
    void (*event_close)(void *opaque, uint32_t queue);

    /* A monotonic clock, in nanoseconds. After the deadline call
     * pvblk_device_deadline(); at_ns < 0 disarms. */
    int64_t (*clock_now)(void *opaque);
    void (*clock_deadline)(void *opaque, int64_t at_ns);

    /* Virtqueues. The device calls these from inside a call of the host. Note
     * the job, and do it after that call has returned: the job may lead back
     * into the device (a guest may direct an interrupt at this very device), or
     * free it. */
    /* Put the element on the used ring. The first `written` bytes of its in side
     * are valid. */
    void (*give_back)(void *opaque, void *element, uint32_t queue, uint32_t written);
    /* A reset or pvblk_device_free() cancelled the element: detach it, and tell
     * the guest nothing. */
    void (*forget)(void *opaque, void *element, uint32_t queue);
    /* After the last give_back() of a batch: notify the guest. Also after
     * pvblk_device_reset_queue(). There may be room for what
     * pvblk_device_take() refused. */
    void (*batch_done)(void *opaque);
    /* The configuration space changed: notify the guest. */
    void (*config_changed)(void *opaque);

    /* One sentence for a person. The device limits the rate. */
    void (*log)(void *opaque, const char *text);
    void (*trace)(void *opaque, const struct pvblk_trace *trace);
};

struct pvblk_device_config {
    const char *frontend_path;
    const char *backend_path;
    const char *serial;      /* the first 20 bytes count; NULL: none */
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
    bool device_sector_units; /* if sector-size is above 512: see plan.h */
    bool always_notify;       /* even if the backend does not ask for an event */
    /* The most that the frontend does, if the backend offers it. */
    uint32_t max_ring_pages;        /* of each ring; 1 to PVBLK_MAX_RING_PAGES */
    uint32_t max_ring_queues;       /* 1 to PVBLK_MAX_QUEUES */
    uint32_t max_indirect_segments; /* up to 11: no indirect requests */
    bool use_barrier;
    bool use_secure_discard;
    bool use_persistent;
    bool trusted;    /* false: show private pages only, with data and zeros */
    bool x86_32_abi; /* instead of the x86_64 ABI */
};

/* Sets the defaults of front.h and plan.h, and one virtqueue of 256 elements.
 * Paths, grants and pages stay unset. */
void pvblk_device_defaults(struct pvblk_device_config *config);

/* How many grants and private pages of 4 KiB a device can use. Only the limits
 * and features of the ring count; the other fields may be unset. With fewer, the
 * device waits more often; with far too few, pvblk_device_new() fails. */
uint32_t pvblk_device_wanted_grants(const struct pvblk_device_config *config);
uint32_t pvblk_device_wanted_pages(const struct pvblk_device_config *config);

/* ---- the device ---------------------------------------------------------- */

/*
 * NULL on error: then `error` holds one sentence. Reads the backend's nodes. The
 * device writes nothing before pvblk_device_start().
 */
pvblk_device *pvblk_device_new(const struct pvblk_device_config *config,
                               const struct pvblk_device_ops *ops, void *opaque, char *error,
                               size_t error_size);
/* Cancels the elements in flight (ops->forget) and ends the connection. NULL:
 * does nothing. */
void pvblk_device_free(pvblk_device *dev);

void pvblk_device_start(pvblk_device *dev);
/* Also the way out of "broken". Taken elements wait meanwhile. */
void pvblk_device_reconnect(pvblk_device *dev);
/* Close the connection in good order, as far as possible without waiting. */
void pvblk_device_stop(pvblk_device *dev);

void pvblk_device_event(pvblk_device *dev, uint32_t queue);
void pvblk_device_store_changed(pvblk_device *dev);
void pvblk_device_deadline(pvblk_device *dev);

/* ---- virtio side --------------------------------------------------------- */

enum { PVBLK_VIRTIO_CONFIG_SIZE = 60, PVBLK_VIRTIO_WCE_OFFSET = 32 };

/* VIRTIO_BLK_F_…, without the transport's features. They stay the same as long
 * as the device exists. */
uint64_t pvblk_device_features(const pvblk_device *dev);
/* struct virtio_blk_config up to secure erase: PVBLK_VIRTIO_CONFIG_SIZE bytes,
 * little endian. */
void pvblk_device_read_config(const pvblk_device *dev, uint8_t *config);
/* The one field that a driver may write, at PVBLK_VIRTIO_WCE_OFFSET. */
void pvblk_device_write_wce(pvblk_device *dev, bool writeback);
/* DRIVER_OK: the features that the driver accepted. A driver that cannot flush
 * gets write-through. */
void pvblk_device_driver_ok(pvblk_device *dev, uint64_t features);
/* Gives every element, or those of one queue, back by ops->forget(). */
void pvblk_device_reset(pvblk_device *dev);
void pvblk_device_reset_queue(pvblk_device *dev, uint32_t queue);

/* True while pvblk_device_take() will take another element. */
bool pvblk_device_has_room(const pvblk_device *dev);

/* An element of a virtqueue: out buffers, which the driver wrote, and in
 * buffers, which the driver reads. The struct is copied. The arrays, and the
 * memory that they name, are borrowed until give_back() or forget(). */
struct pvblk_device_element {
    void *element; /* for give_back() and forget() */
    uint32_t queue;
    uint32_t out_num, in_num;
    const uint64_t *out_gpa, *in_gpa; /* guest-physical, one per iovec */
    const struct iovec *out_iov, *in_iov;
    /* The gpa are guest-physical addresses of RAM, so the pages can be granted.
     * False: the data is copied through private pages. */
    bool direct;
};
/* Takes an element. False: the caller keeps it. */
bool pvblk_device_take(pvblk_device *dev, const struct pvblk_device_element *element);
/* Call after a batch of takes: sends to the backend, gives back finished
 * elements. */
void pvblk_device_pump(pvblk_device *dev);

/* ---- inspection ---------------------------------------------------------- */

const char *pvblk_device_state(const pvblk_device *dev);
/* "" unless the state is "broken". */
const char *pvblk_device_broken_because(const pvblk_device *dev);
/* The private page that holds this page of a queue's ring; -1: none now. */
int pvblk_device_ring_page(const pvblk_device *dev, uint32_t queue, uint32_t page);

/* Calls `emit` for each field, in a fixed order. */
void pvblk_device_plan(const pvblk_device *dev, pvblk_emit *emit, void *opaque);
void pvblk_device_counters(const pvblk_device *dev, pvblk_emit *emit, void *opaque);

#ifdef __cplusplus
}
#endif

#endif /* PVBLK_C_DEVICE_H */
