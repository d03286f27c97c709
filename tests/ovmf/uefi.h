/* SPDX-License-Identifier: MIT */
/*
 * What the three C files here share: the one controller that the driver finds,
 * and what the driver installed on it.
 */
#pragma once

#include <Uefi.h>

#include <Protocol/BlockIo.h>
#include <Protocol/DriverBinding.h>
#include <Protocol/XenBus.h>

#include "seam.h"

/* What the driver's entry point and its Start() installed; NULL before. */
extern EFI_DRIVER_BINDING_PROTOCOL *uefi_binding;
extern EFI_BLOCK_IO_PROTOCOL *uefi_block_io;

/* Frees all pools; how many those were. */
size_t uefi_forget(void);

/* xenbus.c: the sixteen functions, for the frontend of world_frontend(). */
XENBUS_PROTOCOL *xenbus_protocol(void);
