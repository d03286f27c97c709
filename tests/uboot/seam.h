/* SPDX-License-Identifier: MIT */
/*
 * The calls into U-Boot's driver, as U-Boot makes them. The driver is C on
 * U-Boot's headers, the tests are C++ on the loopback; neither side's types
 * cross. frontends/driver_seam.h has what the driver's U-Boot stands on.
 */
#pragma once

#include "frontends/driver_seam.h"

#ifdef __cplusplus
extern "C" {
#endif

/* pvblock_init() of a U-Boot that has just been loaded, the operations of its
 * block device, and its removal before an operating system is started. */
extern const struct DriverCalls uboot_calls;

/* The same U-Boot uses the device again. */
struct DriverOutcome uboot_probe_again(void);
/* How often something was freed that was free already. */
size_t uboot_double_frees(void);

#ifdef __cplusplus
}
#endif
