/* SPDX-License-Identifier: MIT */
/*
 * What the three C files here share: calls into the driver that may not come
 * back, and the one controller that the driver finds.
 */
#pragma once

#include <Uefi.h>

#include <Protocol/BlockIo.h>
#include <Protocol/DriverBinding.h>
#include <Protocol/XenBus.h>

#include "seam.h"

/* Runs `job`; where it ends by uefi_leave(), its frames are gone. */
struct OvmfOutcome uefi_run(EFI_STATUS (*job)(void *), void *args);
/* Ends the running job; `why` and what the driver last said are the outcome. */
_Noreturn void uefi_leave(const char *kind, const char *why);

/* What the driver's entry point and its Start() installed; NULL before. */
extern EFI_DRIVER_BINDING_PROTOCOL *uefi_binding;
extern EFI_BLOCK_IO_PROTOCOL *uefi_block_io;

/* xenbus.c: the sixteen functions, for the frontend of world_frontend(). */
XENBUS_PROTOCOL *xenbus_protocol(void);
