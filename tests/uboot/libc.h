/* SPDX-License-Identifier: MIT */
/* What libc.c provides beyond U-Boot's own names. */
#pragma once

#include <stddef.h>

/* Frees all pieces; how many of them were in use. */
size_t uboot_forget_heap(void);
