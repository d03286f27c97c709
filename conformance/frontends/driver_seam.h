/* SPDX-License-Identifier: MIT */
/*
 * Between another project's driver, which is C on headers of its own, and the
 * loopback, which is C++. Neither side's types cross it.
 *
 * Down: DriverCalls, which driver_run() makes. The driver spins where it waits.
 * A call that cannot end any more is left by longjmp, and so is one that met an
 * assertion. Only C frames are skipped by it.
 * Up: world_…() is what a driver's own system stands on; driver_world.cc has
 * them. None of them calls the driver. Most of them first deliver one event or
 * watch: so time passes for a driver that waits.
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

/* ---- calls that may not come back ------------------------------------------ */

#define DRIVER_TEXT_SIZE 256

/* "Success", or the driver's word for its error, or what kept the call from
 * returning: "hung: …", "assert: …". */
struct DriverOutcome {
    char text[DRIVER_TEXT_SIZE];
};

/* `job` writes `text`. If it ends by one of the next two functions, its frames
 * are gone. */
struct DriverOutcome driver_run(void (*job)(void *args, char *text), void *args);
/* `why` and the driver's last line are the outcome. */
__attribute__((noreturn)) void driver_hung(const char *why);
/* `why` alone is the outcome. */
__attribute__((noreturn)) void driver_died(const char *why);
/* A line that the driver printed. */
void driver_said(const char *line);

/* The disk as the driver shows it to its users. */
struct DriverDisk {
    uint64_t blocks;
    uint32_t block_size; /* bytes */
    bool read_only;
};

/* The calls into one driver, each one as its own system makes them. `block`
 * counts in block_size. */
struct DriverCalls {
    struct DriverOutcome (*start)(void);
    struct DriverDisk (*disk)(void); /* all zero unless started */
    struct DriverOutcome (*read)(uint64_t block, size_t bytes, void *buffer);
    struct DriverOutcome (*write)(uint64_t block, size_t bytes, void *buffer);
    struct DriverOutcome (*flush)(void); /* NULL: it cannot */
    struct DriverOutcome (*stop)(void);
    /* Frees what the driver did not, and forgets it; how many pieces that were. */
    size_t (*forget)(void);
};

/* ---- the world ---------------------------------------------------------------- */

enum WorldStatus { WORLD_OK, WORLD_MISSING, WORLD_FAILED, WORLD_AGAIN };

/* XenStore as the frontend's domain; a path without a slash in front is below
 * the domain's own. `out` gets a terminated string. */
enum WorldStatus world_read(const char *path, char *out, size_t size);
enum WorldStatus world_write(const char *path, const char *value);
enum WorldStatus world_remove(const char *path);
/* Writes that follow are kept until the end. */
void world_transaction_start(void);
enum WorldStatus world_transaction_end(bool abort);
enum WorldStatus world_watch(const char *path);
void world_unwatch(void);
/* Until the watch fires. False: it never will. */
bool world_wait(void);

/* `frame`: address >> 12 of a page that world_pages() gave. 0: no entry of the
 * grant table is free. */
uint32_t world_grant(uint64_t frame, bool readonly);
/* False: the backend has it mapped. */
bool world_end_access(uint32_t ref);
/* 0: there is none. */
uint32_t world_open_port(void);
bool world_notify(uint32_t port);
void world_close_port(uint32_t port);

/* The driver polls shared memory. False: it would do so for ever. */
bool world_poll(void);

/* NULL: there are no more. */
void *world_pages(size_t pages);
void world_free_pages(void *at, size_t pages);
void world_log(const char *line);
/* Directories of the two ends. */
const char *world_frontend(void);
const char *world_backend(void);

#ifdef __cplusplus
}
#endif
