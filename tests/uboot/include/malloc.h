/* SPDX-License-Identifier: MIT */
/* U-Boot's heap, which is not that of this process. */
#pragma once

#include <linux/string.h>
#include <linux/types.h>

#define malloc uboot_malloc
#define calloc uboot_calloc
#define memalign uboot_memalign
#define free uboot_free
#define strdup uboot_strdup

void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *memalign(size_t alignment, size_t size);
void free(void *at);
char *strdup(const char *text);
