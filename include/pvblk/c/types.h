/* SPDX-License-Identifier: MIT */
/* Common to all headers in c/: the limits of a device, and fields to inspect one. */
#ifndef PVBLK_C_TYPES_H
#define PVBLK_C_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PVBLK_MAX_QUEUES = 16, PVBLK_MAX_RING_PAGES = 16, PVBLK_MAX_SEGMENTS = 4096 };

/* One value of a plan or of counters. Name and text are valid during the call. */
struct pvblk_field {
    const char *name;
    enum { PVBLK_FIELD_U64, PVBLK_FIELD_BOOL, PVBLK_FIELD_TEXT } kind;
    uint64_t number;
    const char *text;
};
typedef void pvblk_emit(void *opaque, const struct pvblk_field *field);

#ifdef __cplusplus
}
#endif

#endif /* PVBLK_C_TYPES_H */
