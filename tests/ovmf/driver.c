/* SPDX-License-Identifier: MIT */
/*
 * The calls into OVMF's driver, each one as firmware makes it: its entry
 * point, the driver binding on the one controller, the block I/O protocol.
 */
#include "uefi.h"

#include <BlockFront.h> /* OvmfPkg/XenPvBlkDxe */

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

struct OvmfOutcome ovmf_start(void)
{
    return uefi_run(do_start, NULL);
}

struct OvmfOutcome ovmf_stop(void)
{
    return uefi_run(do_stop, NULL);
}

struct OvmfOutcome ovmf_read(uint64_t lba, size_t bytes, void *buffer)
{
    struct Transfer t = {lba, bytes, buffer};

    return uefi_run(do_read, &t);
}

struct OvmfOutcome ovmf_write(uint64_t lba, size_t bytes, void *buffer)
{
    struct Transfer t = {lba, bytes, buffer};

    return uefi_run(do_write, &t);
}

struct OvmfOutcome ovmf_flush(void)
{
    return uefi_run(do_flush, NULL);
}

struct OvmfDisk ovmf_disk(void)
{
    struct OvmfDisk disk = {0};

    if (!uefi_block_io)
        return disk;
    const EFI_BLOCK_IO_MEDIA *media = uefi_block_io->Media;
    const XEN_BLOCK_FRONT_DEVICE *dev = BASE_CR(uefi_block_io, XEN_BLOCK_FRONT_DEVICE, BlockIo);
    disk.last_block = media->LastBlock;
    disk.block_size = media->BlockSize;
    disk.io_align = media->IoAlign;
    disk.read_only = media->ReadOnly;
    disk.removable = media->RemovableMedia;
    disk.cdrom = dev->MediaInfo.CdRom;
    disk.barrier = dev->MediaInfo.FeatureBarrier;
    disk.flush = dev->MediaInfo.FeatureFlushCache;
    return disk;
}
