/* SPDX-License-Identifier: MIT */
/* U-Boot's console, which is not that of this process. */
#pragma once

#include_next <stdio.h>

#define printf uboot_printf
#define puts uboot_puts

int uboot_printf(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));
int uboot_puts(const char *text);
