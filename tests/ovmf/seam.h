/* SPDX-License-Identifier: MIT */
/*
 * The calls into OVMF's driver, as a UEFI application makes them. The driver
 * is C on EDK2's headers, the tests are C++ on the loopback; neither side's
 * types cross. frontends/driver_seam.h has what the driver's UEFI and XenBus
 * stand on.
 */
#pragma once

#include "frontends/driver_seam.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The binding protocol's Supported() and Start(), and Stop(); the block I/O
 * protocol. An outcome is EFI_STATUS in EDK2's words ("Success", "Device
 * Error"), or what kept the call from returning. */
extern const struct DriverCalls ovmf_calls;

/* EFI_BLOCK_IO_MEDIA and XEN_BLOCK_FRONT_MEDIA_INFO, as far as tests ask. All
 * zero unless started. */
struct OvmfDisk {
    uint64_t last_block;
    uint32_t block_size, io_align; /* bytes */
    bool read_only, removable, cdrom, barrier, flush;
};
struct OvmfDisk ovmf_disk(void);

/* Whether ASSERT does something: EDK2's DEBUG builds, or its RELEASE builds. */
void ovmf_set_asserts(bool on);

#ifdef __cplusplus
}
#endif
