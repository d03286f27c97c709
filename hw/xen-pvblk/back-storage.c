/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "back-storage.h"

#include "qemu/memalign.h"
#include "system/block-backend.h"

/* The block layer adds up to two vectors when it pads a request. */
QEMU_BUILD_BUG_ON(PVBLK_BACK_MAX_VECTORS + 2 > IOV_MAX);

/* A secure discard overwrites this many bytes at a time. */
#define ERASE_PIECE (1 << 20)

/* A request under way. It is kept for the next one. */
typedef struct XenPvblkBackIo {
    XenPvblkBackend *backend;
    void *client;
    uint64_t tag;
    QEMUIOVector qiov;
    BlockAcctCookie acct;
    bool accounted;
    /* Of a secure discard: what is left to overwrite, with what. */
    uint64_t offset, left;
    bool flushed;
    struct iovec zeros;
    QSIMPLEQ_ENTRY(XenPvblkBackIo) next;
} XenPvblkBackIo;

static BlockBackend *blk_of(XenPvblkBackend *s)
{
    return XEN_BLOCK_DEVICE(s)->props.conf.blk;
}

uint64_t xen_pvblk_back_storage_bytes(void *opaque)
{
    XenPvblkBackend *s = opaque;

    return qatomic_read(&s->bytes);
}

void xen_pvblk_back_measure(XenPvblkBackend *s)
{
    int64_t bytes = blk_getlength(blk_of(s));

    qatomic_set(&s->bytes, bytes < 0 ? 0 :
                ROUND_DOWN(bytes,
                           XEN_BLOCK_DEVICE(s)->props.conf.logical_block_size));
}

static void io_done(void *opaque, int ret)
{
    XenPvblkBackIo *io = opaque;
    XenPvblkBackend *s = io->backend;
    void *client = io->client;
    uint64_t tag = io->tag;

    if (io->accounted) {
        if (ret < 0) {
            block_acct_failed(blk_get_stats(blk_of(s)), &io->acct);
        } else {
            block_acct_done(blk_get_stats(blk_of(s)), &io->acct);
        }
    }
    QSIMPLEQ_INSERT_HEAD(&s->idle, io, next);
    pvblk_back_io_done(client, tag, ret >= 0);
}

static XenPvblkBackIo *new_io(XenPvblkBackend *s,
                              const struct pvblk_back_io *req)
{
    XenPvblkBackIo *io = QSIMPLEQ_FIRST(&s->idle);

    if (io) {
        QSIMPLEQ_REMOVE_HEAD(&s->idle, next);
    } else {
        io = g_new0(XenPvblkBackIo, 1);
    }
    io->backend = s;
    io->client = req->client;
    io->tag = req->tag;
    /* The core's vectors stay as they are until it is done. */
    qemu_iovec_init_external(&io->qiov, (struct iovec *)req->iov,
                             req->iov_count);
    return io;
}

static void account(XenPvblkBackIo *io, uint64_t bytes, enum BlockAcctType type)
{
    block_acct_start(blk_get_stats(blk_of(io->backend)), &io->acct, bytes,
                     type);
    io->accounted = true;
}

/*
 * A secure discard: "no copy may be recoverable" once it is answered. So zeros
 * are written as data is, which no image format makes a mark of, and flushed
 * in the end. The next piece starts before the one before it has ended, so a
 * drain waits for all of them.
 */
static void erase(void *opaque, int ret)
{
    XenPvblkBackIo *io = opaque;
    BlockBackend *blk = blk_of(io->backend);
    uint64_t bytes = MIN(io->left, ERASE_PIECE), offset = io->offset;

    if (qatomic_read(&io->backend->abandon)) {
        io_done(io, -ECANCELED);
    } else if (ret < 0 || io->flushed) {
        io_done(io, ret);
    } else if (!bytes) {
        io->flushed = true;
        blk_aio_flush(blk, erase, io);
    } else {
        io->zeros = (struct iovec) { io->backend->zeros, bytes };
        qemu_iovec_init_external(&io->qiov, &io->zeros, 1);
        io->offset += bytes;
        io->left -= bytes;
        blk_aio_pwritev(blk, offset, &io->qiov, 0, erase, io);
    }
}

void xen_pvblk_back_storage_submit(void *opaque,
                                   const struct pvblk_back_io *req)
{
    XenPvblkBackend *s = opaque;
    BlockBackend *blk = blk_of(s);
    XenPvblkBackIo *io = new_io(s, req);

    io->accounted = false;
    switch (req->kind) {
    case PVBLK_BACK_READ:
        account(io, req->bytes, BLOCK_ACCT_READ);
        blk_aio_preadv(blk, req->offset, &io->qiov, 0, io_done, io);
        break;
    case PVBLK_BACK_WRITE:
    case PVBLK_BACK_WRITE_STABLE:
        account(io, req->bytes, BLOCK_ACCT_WRITE);
        blk_aio_pwritev(blk, req->offset, &io->qiov,
                        req->kind == PVBLK_BACK_WRITE ? 0 : BDRV_REQ_FUA,
                        io_done, io);
        break;
    case PVBLK_BACK_FLUSH:
        account(io, 0, BLOCK_ACCT_FLUSH);
        blk_aio_flush(blk, io_done, io);
        break;
    case PVBLK_BACK_DISCARD:
        account(io, req->bytes, BLOCK_ACCT_UNMAP);
        blk_aio_pdiscard(blk, req->offset, req->bytes, io_done, io);
        break;
    case PVBLK_BACK_SECURE_DISCARD:
        account(io, req->bytes, BLOCK_ACCT_UNMAP);
        io->offset = req->offset;
        io->left = req->bytes;
        io->flushed = false;
        erase(io, 0);
        break;
    }
}

void xen_pvblk_back_abandon(XenPvblkBackend *s, bool on)
{
    if (on) {
        qatomic_inc(&s->abandon);
    } else {
        qatomic_dec(&s->abandon);
    }
}

void xen_pvblk_back_storage_drain(void *opaque)
{
    XenPvblkBackend *s = opaque;

    xen_pvblk_back_abandon(s, true);
    blk_drain(blk_of(s));
    xen_pvblk_back_abandon(s, false);
}

void xen_pvblk_back_storage_open(XenPvblkBackend *s)
{
    QSIMPLEQ_INIT(&s->idle);
    if (s->discard_secure) {
        s->zeros = blk_blockalign(blk_of(s), ERASE_PIECE);
        memset(s->zeros, 0, ERASE_PIECE);
    }
    xen_pvblk_back_measure(s);
}

void xen_pvblk_back_storage_close(XenPvblkBackend *s)
{
    XenPvblkBackIo *io;

    g_clear_pointer(&s->zeros, qemu_vfree);
    while ((io = QSIMPLEQ_FIRST(&s->idle))) {
        QSIMPLEQ_REMOVE_HEAD(&s->idle, next);
        g_free(io);
    }
}
