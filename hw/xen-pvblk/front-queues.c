/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "front-queues.h"

#include "exec/cpu-common.h"
#include "trace.h"

/* An element on its way through the core, and the core's result. */
typedef struct XenPvblkFrontElement {
    VirtQueueElement elem; /* first: virtqueue_pop() allocates it */
    uint32_t queue;
    uint32_t written;
    QSIMPLEQ_ENTRY(XenPvblkFrontElement) next;
} XenPvblkFrontElement;

/* ---- around a call into the core -------------------------------------- */

void xen_pvblk_front_keep(XenPvblkFrontend *s)
{
    object_ref(OBJECT(s->proxy)); /* s is a part of it */
    s->queues.busy++;
}

bool xen_pvblk_front_enter(XenPvblkFrontend *s)
{
    if (!s->dev || s->gone) {
        return false;
    }
    xen_pvblk_front_keep(s);
    return true;
}

static void give_back_done(XenPvblkFrontend *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    bool packed = virtio_vdev_has_feature(vdev, VIRTIO_F_RING_PACKED);
    XenPvblkFrontElement *e;

    while (!s->gone && (e = QSIMPLEQ_FIRST(&s->queues.done))) {
        VirtQueue *vq = virtio_get_queue(vdev, e->queue);

        QSIMPLEQ_REMOVE_HEAD(&s->queues.done, next);
        s->queues.of[e->queue].notify = true;
        if (packed) {
            /* One by one: a guest can shrink a packed ring below a batch. */
            virtqueue_push(vq, &e->elem, e->written);
        } else {
            virtqueue_fill(vq, &e->elem, e->written,
                           s->queues.of[e->queue].filled++);
        }
        g_free(e);
    }
}

/* One used index and at most one interrupt a queue for the whole batch. */
static void deliver(XenPvblkFrontend *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);

    give_back_done(s);
    for (uint32_t i = 0; i < s->num_queues && !s->gone; i++) {
        XenPvblkFrontQueue *q = &s->queues.of[i];
        uint32_t filled = q->filled;

        if (!q->notify) {
            continue;
        }
        q->notify = false;
        q->filled = 0;
        if (filled) {
            virtqueue_flush(virtio_get_queue(vdev, i), filled);
        }
        virtio_notify(vdev, virtio_get_queue(vdev, i));
    }
    if (s->queues.config_dirty && !s->gone) {
        s->queues.config_dirty = false;
        virtio_notify_config(vdev);
    }
    /* New work from this waits for the next turn: no guest keeps us here. */
    if (!QSIMPLEQ_EMPTY(&s->queues.done) && !s->gone) {
        qemu_bh_schedule(s->queues.work_bh);
    }
}

void xen_pvblk_front_leave(XenPvblkFrontend *s)
{
    DeviceState *proxy = s->proxy;

    if (s->queues.busy == 1) {
        deliver(s);
    }
    if (--s->queues.busy == 0 && s->gone) {
        s->at_rest(s);
    }
    object_unref(OBJECT(proxy));
}

/* ---- to the core ------------------------------------------------------ */

/*
 * Whether grants can name the pages: guest-physical addresses of RAM. A DMA has
 * to copy other memory (ROM, a device's memory) through a buffer.
 */
static bool in_ram(const struct iovec *iov, unsigned int n)
{
    ram_addr_t offset;

    for (unsigned int i = 0; i < n; i++) {
        if (iov[i].iov_len &&
            !qemu_ram_block_from_host(iov[i].iov_base, false, &offset)) {
            return false;
        }
    }
    return true;
}

static bool take_one(XenPvblkFrontend *s, VirtQueue *vq,
                     XenPvblkFrontElement *e)
{
    const VirtQueueElement *elem = &e->elem;
    struct pvblk_device_element taken = {
        .element = e,
        .queue = e->queue,
        .out_num = elem->out_num,
        .in_num = elem->in_num,
        .out_gpa = elem->out_addr,
        .in_gpa = elem->in_addr,
        .out_iov = elem->out_sg,
        .in_iov = elem->in_sg,
        .direct = VIRTIO_DEVICE(s)->dma_as == &address_space_memory &&
                  in_ram(elem->out_sg, elem->out_num) &&
                  in_ram(elem->in_sg, elem->in_num),
    };

    if (pvblk_device_take(s->dev, &taken)) {
        return true;
    }
    virtqueue_unpop(vq, elem, 0);
    g_free(e);
    return false;
}

/*
 * Take the elements of the queue. Elements without room stay in the queue; we
 * look again when a request completes.
 */
static void take_all(XenPvblkFrontend *s, VirtQueue *vq, uint32_t index)
{
    XenPvblkFrontElement *e;

    do {
        virtio_queue_set_notification(vq, 0);
        while (pvblk_device_has_room(s->dev) &&
               (e = virtqueue_pop(vq, sizeof(*e)))) {
            e->queue = index;
            if (!take_one(s, vq, e)) {
                break;
            }
        }
        virtio_queue_set_notification(vq, 1);
    } while (pvblk_device_has_room(s->dev) && !virtio_queue_empty(vq));

    if (!pvblk_device_has_room(s->dev) && !s->queues.starved) {
        trace_xen_pvblk_starved(s);
        s->queues.starved = true;
    }
}

static void handle_output(VirtIODevice *vdev, VirtQueue *vq)
{
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(vdev);

    if (!xen_pvblk_front_enter(s)) {
        return;
    }
    take_all(s, vq, virtio_get_queue_index(vq));
    pvblk_device_pump(s->dev);
    xen_pvblk_front_leave(s);
}

/* For want of room, or of a turn, something was left. */
static void work_bh(void *opaque)
{
    XenPvblkFrontend *s = opaque;

    if (!xen_pvblk_front_enter(s)) {
        return;
    }
    for (uint32_t i = 0; i < s->num_queues; i++) {
        take_all(s, virtio_get_queue(VIRTIO_DEVICE(s), i), i);
    }
    pvblk_device_pump(s->dev);
    xen_pvblk_front_leave(s);
}

/* ---- upcalls of the core ---------------------------------------------- */

void xen_pvblk_front_give_back(void *opaque, void *element, uint32_t queue,
                               uint32_t written)
{
    XenPvblkFrontend *s = opaque;
    XenPvblkFrontElement *e = element;

    e->written = written;
    QSIMPLEQ_INSERT_TAIL(&s->queues.done, e, next);
}

void xen_pvblk_front_forget(void *opaque, void *element, uint32_t queue)
{
    XenPvblkFrontend *s = opaque;
    XenPvblkFrontElement *e = element;

    virtqueue_detach_element(virtio_get_queue(VIRTIO_DEVICE(s), queue),
                             &e->elem, 0);
    g_free(e);
}

void xen_pvblk_front_batch_done(void *opaque)
{
    XenPvblkFrontend *s = opaque;

    if (s->queues.starved) {
        s->queues.starved = false;
        qemu_bh_schedule(s->queues.work_bh);
    }
}

void xen_pvblk_front_config_changed(void *opaque)
{
    XenPvblkFrontend *s = opaque;

    s->queues.config_dirty = true;
}

/* ---- life ------------------------------------------------------------- */

/* Finished elements of a queue (-1: of all) that are not given back yet. */
static void drop_done(XenPvblkFrontend *s, int queue)
{
    QSIMPLEQ_HEAD(, XenPvblkFrontElement) kept =
        QSIMPLEQ_HEAD_INITIALIZER(kept);
    XenPvblkFrontElement *e;

    while ((e = QSIMPLEQ_FIRST(&s->queues.done))) {
        QSIMPLEQ_REMOVE_HEAD(&s->queues.done, next);
        if (queue < 0 || e->queue == queue) {
            xen_pvblk_front_forget(s, e, e->queue);
        } else {
            QSIMPLEQ_INSERT_TAIL(&kept, e, next);
        }
    }
    QSIMPLEQ_CONCAT(&s->queues.done, &kept);
    for (uint32_t i = 0; i < s->num_queues; i++) {
        if (queue < 0 || i == queue) {
            s->queues.of[i] = (XenPvblkFrontQueue) {};
        }
    }
}

void xen_pvblk_front_queue_reset(XenPvblkFrontend *s, uint32_t index)
{
    drop_done(s, index);
}

void xen_pvblk_front_queues_reset(XenPvblkFrontend *s)
{
    drop_done(s, -1);
    s->queues.starved = false;
    s->queues.config_dirty = false;
}

void xen_pvblk_front_queues_open(XenPvblkFrontend *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);

    s->queues = (XenPvblkFrontQueues) {
        .of = g_new0(XenPvblkFrontQueue, s->num_queues),
        .work_bh = virtio_bh_new_guarded(DEVICE(s), work_bh, s),
    };
    QSIMPLEQ_INIT(&s->queues.done);
    for (uint32_t i = 0; i < s->num_queues; i++) {
        virtio_add_queue(vdev, s->queue_size, handle_output);
    }
}

void xen_pvblk_front_queues_close(XenPvblkFrontend *s)
{
    for (uint32_t i = 0; i < s->num_queues; i++) {
        virtio_del_queue(VIRTIO_DEVICE(s), i);
    }
    g_clear_pointer(&s->queues.work_bh, qemu_bh_delete);
    g_clear_pointer(&s->queues.of, g_free);
}
