/* SPDX-License-Identifier: MIT */
/*
 * The calls into OVMF's driver, each one as firmware makes it: its entry
 * point, the driver binding on the one controller, the block I/O protocol.
 */
#include "uefi.h"

#include <BlockFront.h> /* OvmfPkg/XenPvBlkDxe */
#include <Library/PrintLib.h>

EFI_STATUS EFIAPI XenPvBlkDxeDriverEntryPoint(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

static EFI_HANDLE controller = &controller;

struct Transfer {
    uint64_t at;
    size_t bytes;
    void *buffer;
};

static EFI_STATUS do_start(void *args)
{
    EFI_STATUS status;

    (void)args;
    if (!uefi_binding) {
        status = XenPvBlkDxeDriverEntryPoint(gImageHandle, NULL);
        if (EFI_ERROR(status))
            return status;
    }
    status = uefi_binding->Supported(uefi_binding, controller, NULL);
    if (EFI_ERROR(status))
        return status;
    return uefi_binding->Start(uefi_binding, controller, NULL);
}

static EFI_STATUS do_stop(void *args)
{
    (void)args;
    return uefi_binding->Stop(uefi_binding, controller, 0, NULL);
}

static EFI_STATUS do_read(void *args)
{
    struct Transfer *t = args;

    if (!uefi_block_io)
        return EFI_NOT_STARTED;
    return uefi_block_io->ReadBlocks(uefi_block_io, uefi_block_io->Media->MediaId, t->at, t->bytes,
                                     t->buffer);
}

static EFI_STATUS do_write(void *args)
{
    struct Transfer *t = args;

    if (!uefi_block_io)
        return EFI_NOT_STARTED;
    return uefi_block_io->WriteBlocks(uefi_block_io, uefi_block_io->Media->MediaId, t->at, t->bytes,
                                      t->buffer);
}

static EFI_STATUS do_flush(void *args)
{
    (void)args;
    if (!uefi_block_io)
        return EFI_NOT_STARTED;
    return uefi_block_io->FlushBlocks(uefi_block_io);
}

struct Job {
    EFI_STATUS (*call)(void *);
    void *args;
};

/* EFI_STATUS in EDK2's words. */
static void do_job(void *args, char *text)
{
    const struct Job *job = args;

    AsciiSPrint(text, DRIVER_TEXT_SIZE, "%r", job->call(job->args));
}

static struct DriverOutcome run(EFI_STATUS (*call)(void *), void *args)
{
    struct Job job = {call, args};

    return driver_run(do_job, &job);
}

static struct DriverOutcome start(void)
{
    return run(do_start, NULL);
}

static struct DriverOutcome stop(void)
{
    return run(do_stop, NULL);
}

static struct DriverOutcome read(uint64_t lba, size_t bytes, void *buffer)
{
    struct Transfer t = {lba, bytes, buffer};

    return run(do_read, &t);
}

static struct DriverOutcome write(uint64_t lba, size_t bytes, void *buffer)
{
    struct Transfer t = {lba, bytes, buffer};

    return run(do_write, &t);
}

static struct DriverOutcome flush(void)
{
    return run(do_flush, NULL);
}

struct OvmfDisk ovmf_disk(void)
{
    struct OvmfDisk all = {0};

    if (!uefi_block_io)
        return all;
    const EFI_BLOCK_IO_MEDIA *media = uefi_block_io->Media;
    const XEN_BLOCK_FRONT_DEVICE *dev = BASE_CR(uefi_block_io, XEN_BLOCK_FRONT_DEVICE, BlockIo);
    all.last_block = media->LastBlock;
    all.block_size = media->BlockSize;
    all.io_align = media->IoAlign;
    all.read_only = media->ReadOnly;
    all.removable = media->RemovableMedia;
    all.cdrom = dev->MediaInfo.CdRom;
    all.barrier = dev->MediaInfo.FeatureBarrier;
    all.flush = dev->MediaInfo.FeatureFlushCache;
    return all;
}

static struct DriverDisk disk(void)
{
    struct OvmfDisk media = ovmf_disk();

    return (struct DriverDisk){media.block_size ? media.last_block + 1 : 0, media.block_size,
                               media.read_only};
}

const struct DriverCalls ovmf_calls = {
    .start = start,
    .disk = disk,
    .read = read,
    .write = write,
    .flush = flush,
    .stop = stop,
    .forget = uefi_forget,
};
