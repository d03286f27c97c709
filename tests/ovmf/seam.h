/* SPDX-License-Identifier: MIT */
/*
 * Between OVMF's driver, which is C on EDK2's headers, and the tests, which
 * are C++ on the loopback. Neither side's types cross it.
 *
 * Down: ovmf_…() call the driver as a UEFI application would. The driver
 * spins where it waits; a call that cannot end any more is left by longjmp,
 * and so is one that met an ASSERT. Only C frames are skipped by it.
 * Up: world_…() is what the driver's UEFI and XenBus stand on; world.cc has
 * them. None of them calls the driver.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- down: services.c has what runs them, driver.c the calls -------------- */

/* EFI_STATUS in EDK2's words ("Success", "Device Error"), or what kept the
 * call from returning: "hung: …", "assert: file:line condition". */
struct OvmfOutcome {
    char text[256];
};

/* EFI_BLOCK_IO_MEDIA and XEN_BLOCK_FRONT_MEDIA_INFO, as far as tests ask. */
struct OvmfDisk {
    uint64_t last_block;
    uint32_t block_size, io_align; /* bytes */
    bool read_only, removable, cdrom, barrier, flush;
};

/* The binding protocol: Supported() and Start(), Stop(). */
struct OvmfOutcome ovmf_start(void);
struct OvmfOutcome ovmf_stop(void);
/* All zero unless started. */
struct OvmfDisk ovmf_disk(void);
/* The block I/O protocol; `lba` counts blocks of block_size. */
struct OvmfOutcome ovmf_read(uint64_t lba, size_t bytes, void *buffer);
struct OvmfOutcome ovmf_write(uint64_t lba, size_t bytes, void *buffer);
struct OvmfOutcome ovmf_flush(void);

/* Whether ASSERT does something: EDK2's DEBUG builds, or its RELEASE builds. */
void ovmf_set_asserts(bool on);
/* Frees all that the driver did not, and forgets it; how many pools that were. */
size_t ovmf_forget(void);

/* ---- up -------------------------------------------------------------------- */

enum WorldStatus { WORLD_OK, WORLD_MISSING, WORLD_FAILED, WORLD_AGAIN };

/* XenStore as the frontend's domain. `out` gets a terminated string. */
enum WorldStatus world_read(const char *dir, const char *node, char *out, size_t size);
enum WorldStatus world_write(const char *dir, const char *node, const char *value);
enum WorldStatus world_remove(const char *dir, const char *node);
void world_transaction_start(void);
enum WorldStatus world_transaction_end(bool abort);
enum WorldStatus world_watch(const char *dir, const char *node);
void world_unwatch(void);
/* Until the watch fires. False: it never will. */
bool world_wait(void);

/* `frame`: address >> 12 of a page that world_pages() gave. */
uint32_t world_grant(uint64_t frame, bool readonly);
/* False: the backend has it mapped. */
bool world_end_access(uint32_t ref);
/* 0: there is none. */
uint32_t world_open_port(void);
bool world_notify(uint32_t port);
void world_close_port(uint32_t port);

/* The driver polls shared memory. False: it would do so for ever. */
bool world_poll(void);

void *world_pages(size_t pages);
void world_free_pages(void *at, size_t pages);
void world_log(const char *line);
const char *world_frontend(void);
const char *world_backend(void);

#ifdef __cplusplus
}
#endif
