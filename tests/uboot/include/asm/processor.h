/* SPDX-License-Identifier: MIT */
/* As U-Boot's for Arm. */
#pragma once

#define cpu_relax() uboot_fence()
