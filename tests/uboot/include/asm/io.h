/* SPDX-License-Identifier: MIT */
/* That of U-Boot's sandbox, with the fences of its Arm: where a driver that
 * polls its ring lets the rest of the world go on. */
#pragma once

#include_next <asm/io.h>

void uboot_fence(void);

#define mb() uboot_fence()
#define rmb() uboot_fence()
#define wmb() uboot_fence()
