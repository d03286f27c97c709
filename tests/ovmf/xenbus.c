/* SPDX-License-Identifier: MIT */
/*
 * XENBUS_PROTOCOL (OvmfPkg/Include/Protocol/XenBus.h) on the loopback. Serves
 * what XenBusDxe does on Xen, with its habits: a node that is missing leaves
 * the result as it was, SetState() writes only what is new, and a grant that
 * the backend still maps is "not ready" and stays.
 */
#include "uefi.h"

#include <IndustryStandard/Xen/io/xenbus.h>
#include <Library/BaseLib.h>
#include <Library/DebugLib.h>
#include <Library/MemoryAllocationLib.h>
#include <Library/PrintLib.h>

/* Longest value that a node of this protocol has. */
#define VALUE_MAX 256

static XENSTORE_STATUS status_of(enum WorldStatus status)
{
    switch (status) {
    case WORLD_OK: return XENSTORE_STATUS_SUCCESS;
    case WORLD_MISSING: return XENSTORE_STATUS_ENOENT;
    case WORLD_AGAIN: return XENSTORE_STATUS_EAGAIN;
    default: return XENSTORE_STATUS_EIO;
    }
}

static const CHAR8 *joined(const CHAR8 *dir, const CHAR8 *node)
{
    static char path[VALUE_MAX];

    AsciiSPrint(path, sizeof path, "%a/%a", dir, node);
    return path;
}

static XENSTORE_STATUS read_node(const CHAR8 *dir, const CHAR8 *node, VOID **result)
{
    char text[VALUE_MAX];
    enum WorldStatus status = world_read(joined(dir, node), text, sizeof text);

    if (status == WORLD_OK)
        *result = AllocateCopyPool(AsciiStrSize(text), text);
    return status_of(status);
}

static XENSTORE_STATUS EFIAPI xs_read(XENBUS_PROTOCOL *bus, CONST XENSTORE_TRANSACTION *transaction,
                                      CONST CHAR8 *node, VOID **result)
{
    (void)transaction;
    return read_node(bus->Node, node, result);
}

static XENSTORE_STATUS EFIAPI xs_backend_read(XENBUS_PROTOCOL *bus,
                                              CONST XENSTORE_TRANSACTION *transaction,
                                              CONST CHAR8 *node, VOID **result)
{
    (void)transaction;
    return read_node(bus->Backend, node, result);
}

static XENSTORE_STATUS EFIAPI xs_printf(XENBUS_PROTOCOL *bus,
                                        CONST XENSTORE_TRANSACTION *transaction, CONST CHAR8 *dir,
                                        CONST CHAR8 *node, CONST CHAR8 *format, ...)
{
    char value[VALUE_MAX];
    VA_LIST args;

    (void)bus;
    (void)transaction;
    VA_START(args, format);
    AsciiVSPrint(value, sizeof value, format, args);
    VA_END(args);
    return status_of(world_write(joined(dir, node), value));
}

static XENSTORE_STATUS EFIAPI xs_remove(XENBUS_PROTOCOL *bus,
                                        CONST XENSTORE_TRANSACTION *transaction, CONST CHAR8 *node)
{
    (void)transaction;
    return status_of(world_remove(joined(bus->Node, node)));
}

static XENSTORE_STATUS EFIAPI transaction_start(XENBUS_PROTOCOL *bus,
                                                XENSTORE_TRANSACTION *transaction)
{
    (void)bus;
    transaction->Id = 1;
    world_transaction_start();
    return XENSTORE_STATUS_SUCCESS;
}

static XENSTORE_STATUS EFIAPI transaction_end(XENBUS_PROTOCOL *bus,
                                              CONST XENSTORE_TRANSACTION *transaction,
                                              BOOLEAN abort)
{
    (void)bus;
    (void)transaction;
    return status_of(world_transaction_end(abort));
}

static XENSTORE_STATUS EFIAPI set_state(XENBUS_PROTOCOL *bus,
                                        CONST XENSTORE_TRANSACTION *transaction, XenBusState state)
{
    char text[VALUE_MAX];
    enum WorldStatus status = world_read(joined(bus->Node, "state"), text, sizeof text);

    if (status != WORLD_OK || AsciiStrDecimalToUintn(text) == (UINTN)state)
        return status_of(status);
    return xs_printf(bus, transaction, bus->Node, "state", "%d", state);
}

static EFI_STATUS EFIAPI grant_access(XENBUS_PROTOCOL *bus, domid_t domain, UINTN frame,
                                      BOOLEAN readonly, grant_ref_t *ref)
{
    (void)bus;
    (void)domain;
    *ref = world_grant(frame, readonly);
    ASSERT(*ref != 0);
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI grant_end_access(XENBUS_PROTOCOL *bus, grant_ref_t ref)
{
    (void)bus;
    return world_end_access(ref) ? EFI_SUCCESS : EFI_NOT_READY;
}

static UINT32 EFIAPI event_allocate(XENBUS_PROTOCOL *bus, domid_t domain, evtchn_port_t *port)
{
    (void)bus;
    (void)domain;
    *port = world_open_port();
    return *port == 0;
}

static UINT32 EFIAPI event_notify(XENBUS_PROTOCOL *bus, evtchn_port_t port)
{
    (void)bus;
    return !world_notify(port);
}

static UINT32 EFIAPI event_close(XENBUS_PROTOCOL *bus, evtchn_port_t port)
{
    (void)bus;
    world_close_port(port);
    return 0;
}

static XENSTORE_STATUS EFIAPI register_watch(XENBUS_PROTOCOL *bus, CONST CHAR8 *node, VOID **token)
{
    *token = bus;
    return status_of(world_watch(joined(bus->Node, node)));
}

static XENSTORE_STATUS EFIAPI register_watch_backend(XENBUS_PROTOCOL *bus, CONST CHAR8 *node,
                                                     VOID **token)
{
    *token = bus;
    return status_of(world_watch(joined(bus->Backend, node)));
}

static VOID EFIAPI unregister_watch(XENBUS_PROTOCOL *bus, VOID *token)
{
    (void)bus;
    if (token)
        world_unwatch();
}

static XENSTORE_STATUS EFIAPI wait_for_watch(XENBUS_PROTOCOL *bus, VOID *token)
{
    (void)bus;
    (void)token;
    if (!world_wait())
        driver_hung("waits for a watch that will not fire");
    return XENSTORE_STATUS_SUCCESS;
}

XENBUS_PROTOCOL *xenbus_protocol(void)
{
    static XENBUS_PROTOCOL bus = {
        .XsRead = xs_read,
        .XsBackendRead = xs_backend_read,
        .XsPrintf = xs_printf,
        .XsRemove = xs_remove,
        .XsTransactionStart = transaction_start,
        .XsTransactionEnd = transaction_end,
        .SetState = set_state,
        .GrantAccess = grant_access,
        .GrantEndAccess = grant_end_access,
        .EventChannelAllocate = event_allocate,
        .EventChannelNotify = event_notify,
        .EventChannelClose = event_close,
        .RegisterWatch = register_watch,
        .RegisterWatchBackend = register_watch_backend,
        .UnregisterWatch = unregister_watch,
        .WaitForWatch = wait_for_watch,
        .Type = "vbd",
        .DeviceId = 51712, /* xvda */
    };

    bus.Node = world_frontend();
    bus.Backend = world_backend();
    return &bus;
}
