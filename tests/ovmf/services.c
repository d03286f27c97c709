/* SPDX-License-Identifier: MIT */
/*
 * The part of UEFI that OVMF's block frontend stands on: pools and pages,
 * debug output, ASSERT, the four boot services of its driver binding. String
 * and print functions are EDK2's own. MemoryFence() is where a driver that
 * polls its ring lets the rest of the world go on.
 */
#include "uefi.h"

#include <Library/BaseLib.h>
#include <Library/BaseMemoryLib.h>
#include <Library/DebugLib.h>
#include <Library/MemoryAllocationLib.h>
#include <Library/PrintLib.h>
#include <Library/UefiBootServicesTableLib.h>
#include <Library/UefiLib.h>
#include <Protocol/ComponentName.h>
#include <Protocol/ComponentName2.h>

#include <stdlib.h>
#include <string.h>

EFI_DRIVER_BINDING_PROTOCOL *uefi_binding;
EFI_BLOCK_IO_PROTOCOL *uefi_block_io;

static bool asserts = true;

void ovmf_set_asserts(bool on)
{
    asserts = on;
}

/* ---- DebugLib --------------------------------------------------------------- */

BOOLEAN EFIAPI DebugPrintEnabled(VOID)
{
    return TRUE;
}

BOOLEAN EFIAPI DebugPrintLevelEnabled(CONST UINTN level)
{
    return level != 0;
}

VOID EFIAPI DebugPrint(UINTN level, CONST CHAR8 *format, ...)
{
    char line[160];
    VA_LIST args;

    (void)level;
    VA_START(args, format);
    AsciiVSPrint(line, sizeof line, format, args);
    VA_END(args);
    line[strcspn(line, "\n")] = 0;
    driver_said(line);
}

BOOLEAN EFIAPI DebugAssertEnabled(VOID)
{
    return asserts;
}

VOID EFIAPI DebugAssert(CONST CHAR8 *file, UINTN line, CONST CHAR8 *condition)
{
    char why[160];
    const char *name = strrchr(file, '/');

    AsciiSPrint(why, sizeof why, "%a:%d %a", name ? name + 1 : file, line, condition);
    driver_died(why);
}

/* ---- BaseLib, BaseMemoryLib -------------------------------------------------- */

VOID EFIAPI MemoryFence(VOID)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!world_poll())
        driver_hung("polls the ring");
}

VOID *EFIAPI CopyMem(VOID *to, CONST VOID *from, UINTN bytes)
{
    return memmove(to, from, bytes);
}

VOID *EFIAPI ZeroMem(VOID *at, UINTN bytes)
{
    return memset(at, 0, bytes);
}

GUID *EFIAPI CopyGuid(GUID *to, CONST GUID *from)
{
    return memcpy(to, from, sizeof *to);
}

/* ---- MemoryAllocationLib: the heap, and pages of the world -------------------- */

/* A pool's header; what the driver sees follows it. */
struct Pool {
    struct Pool *next;
    UINTN size;
};
static struct Pool *pools;

VOID *EFIAPI AllocatePool(UINTN size)
{
    struct Pool *pool = malloc(sizeof *pool + size);

    if (!pool)
        abort();
    pool->next = pools;
    pool->size = size;
    pools = pool;
    return pool + 1;
}

VOID *EFIAPI AllocateZeroPool(UINTN size)
{
    return memset(AllocatePool(size), 0, size);
}

VOID *EFIAPI AllocateCopyPool(UINTN size, CONST VOID *from)
{
    return memcpy(AllocatePool(size), from, size);
}

VOID EFIAPI FreePool(VOID *at)
{
    for (struct Pool **p = &pools; *p; p = &(*p)->next) {
        if (*p + 1 != at)
            continue;
        struct Pool *gone = *p;
        *p = gone->next;
        free(gone);
        return;
    }
    driver_died("FreePool of what is no pool");
}

VOID *EFIAPI AllocatePages(UINTN pages)
{
    return world_pages(pages);
}

VOID EFIAPI FreePages(VOID *at, UINTN pages)
{
    world_free_pages(at, pages);
}

/* A page is aligned well enough for what the driver asks. */
VOID *EFIAPI AllocateAlignedPages(UINTN pages, UINTN alignment)
{
    ASSERT(alignment <= EFI_PAGE_SIZE);
    return world_pages(pages);
}

VOID EFIAPI FreeAlignedPages(VOID *at, UINTN pages)
{
    world_free_pages(at, pages);
}

/* ---- boot services: one controller, with XenBus below and block I/O above ----- */

EFI_GUID gXenBusProtocolGuid = XENBUS_PROTOCOL_GUID;
EFI_GUID gEfiBlockIoProtocolGuid = EFI_BLOCK_IO_PROTOCOL_GUID;
EFI_GUID gEfiDriverBindingProtocolGuid = EFI_DRIVER_BINDING_PROTOCOL_GUID;
EFI_GUID gEfiComponentNameProtocolGuid = EFI_COMPONENT_NAME_PROTOCOL_GUID;
EFI_GUID gEfiComponentName2ProtocolGuid = EFI_COMPONENT_NAME2_PROTOCOL_GUID;
EFI_HANDLE gImageHandle = &gImageHandle;

/* A shell's lists would show these names; here is no shell. */
EFI_COMPONENT_NAME_PROTOCOL gXenPvBlkDxeComponentName;
EFI_COMPONENT_NAME2_PROTOCOL gXenPvBlkDxeComponentName2;

EFI_STATUS EFIAPI EfiLibInstallDriverBindingComponentName2(
    CONST EFI_HANDLE image, CONST EFI_SYSTEM_TABLE *table, EFI_DRIVER_BINDING_PROTOCOL *binding,
    EFI_HANDLE handle, CONST EFI_COMPONENT_NAME_PROTOCOL *name,
    CONST EFI_COMPONENT_NAME2_PROTOCOL *name2)
{
    (void)table;
    (void)name;
    (void)name2;
    binding->ImageHandle = image;
    binding->DriverBindingHandle = handle;
    uefi_binding = binding;
    return EFI_SUCCESS;
}

/* How often the driver has opened XenBus and not closed it. */
static unsigned xenbus_users;

static EFI_STATUS EFIAPI open_protocol(EFI_HANDLE handle, EFI_GUID *guid, VOID **interface,
                                       EFI_HANDLE agent, EFI_HANDLE controller, UINT32 attributes)
{
    (void)handle;
    (void)agent;
    (void)controller;
    if (guid == &gEfiBlockIoProtocolGuid) {
        *interface = uefi_block_io;
        return uefi_block_io ? EFI_SUCCESS : EFI_UNSUPPORTED;
    }
    if (attributes == EFI_OPEN_PROTOCOL_BY_DRIVER && xenbus_users++)
        driver_died("XenBus is opened twice");
    *interface = xenbus_protocol();
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI close_protocol(EFI_HANDLE handle, EFI_GUID *guid, EFI_HANDLE agent,
                                        EFI_HANDLE controller)
{
    (void)handle;
    (void)guid;
    (void)agent;
    (void)controller;
    xenbus_users--;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI install(EFI_HANDLE *handle, ...)
{
    VA_LIST args;

    VA_START(args, handle);
    (void)VA_ARG(args, EFI_GUID *);
    uefi_block_io = VA_ARG(args, EFI_BLOCK_IO_PROTOCOL *);
    VA_END(args);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI uninstall(EFI_HANDLE handle, EFI_GUID *guid, VOID *interface)
{
    (void)handle;
    (void)guid;
    (void)interface;
    uefi_block_io = NULL;
    return EFI_SUCCESS;
}

static EFI_BOOT_SERVICES services = {
    .OpenProtocol = open_protocol,
    .CloseProtocol = close_protocol,
    .InstallMultipleProtocolInterfaces = install,
    .UninstallProtocolInterface = uninstall,
};
EFI_BOOT_SERVICES *gBS = &services;

size_t uefi_forget(void)
{
    size_t n = 0;

    for (; pools; n++) {
        struct Pool *gone = pools;
        pools = gone->next;
        free(gone);
    }
    uefi_block_io = NULL;
    xenbus_users = 0;
    asserts = true;
    return n;
}
