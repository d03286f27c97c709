/* SPDX-License-Identifier: MIT */
/* The part of U-Boot's configuration that its headers ask for: as for a 64-bit Xen guest. */
#pragma once

#define CONFIG_64BIT 1
#define CONFIG_BLK 1
#define CONFIG_DM 1
#define CONFIG_DM_DEVICE_REMOVE 1
#define CONFIG_XEN 1

#define CONFIG_ERR_PTR_OFFSET 0
#define CONFIG_LINKER_LIST_ALIGN 8
#define CONFIG_NR_DRAM_BANKS 1
#define CONFIG_PHYS_64BIT 1
#define CONFIG_SANDBOX_BITS_PER_LONG 64
