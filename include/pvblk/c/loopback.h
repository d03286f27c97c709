/* SPDX-License-Identifier: MIT */
/*
 * The loopback (pvblk/loopback.h) for C: a XenStore, a grant table, event
 * channels and a clock in this process, and our backend with a disk in memory.
 * Attach a frontend to it: one of c/front.h, or your own. To test your own
 * backend, or several frontends, use the hub of loopback.h from C++. Belongs to
 * the library pvblk-loopback.
 *
 * No port calls back from inside a call: pvblk_loopback_run() delivers, in
 * order. Units: 512-byte sectors, bytes, nanoseconds. Threads: one. Ownership:
 * free the frontend before its loopback.
 */
#ifndef PVBLK_C_LOOPBACK_H
#define PVBLK_C_LOOPBACK_H

#include "pvblk/c/front.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pvblk_loopback pvblk_loopback;

/* The backend has a zeroed disk of `disk_sectors`, and waits for its frontend.
 * There are grants and private pages for PVBLK_MAX_QUEUES queues of a frontend
 * with the other defaults of pvblk_front_defaults(). If a frontend needs more,
 * pvblk_front_new() refuses it. */
pvblk_loopback *pvblk_loopback_new(uint64_t disk_sectors);
void pvblk_loopback_free(pvblk_loopback *loopback);

/* ---- for the frontend ------------------------------------------------------ */

void pvblk_loopback_ports(pvblk_loopback *loopback, struct pvblk_front_ports *ports);
/* Valid as long as the loopback. */
const char *pvblk_loopback_frontend_path(const pvblk_loopback *loopback);
const char *pvblk_loopback_backend_path(const pvblk_loopback *loopback);
/* From now on this frontend gets events, store changes and deadlines; NULL:
 * nobody does. */
void pvblk_loopback_attach(pvblk_loopback *loopback, pvblk_front *front);

/* The same for your own frontend. It calls the ports where a driver makes
 * hypercalls. */
struct pvblk_loopback_listener {
    void *opaque; /* first argument of each; valid as long as it listens */
    void (*event)(void *opaque, uint32_t queue); /* on a channel of event_open() */
    void (*store_changed)(void *opaque);         /* below the path of store_watch() */
    void (*deadline)(void *opaque);              /* set by clock_deadline() */
};
/* Copies the struct; none of its functions is NULL. NULL: nobody listens. */
void pvblk_loopback_listen(pvblk_loopback *loopback,
                           const struct pvblk_loopback_listener *listener);

/* ---- run ------------------------------------------------------------------- */

/* Deliver until nothing waits. False: the two sides keep each other busy without
 * end. */
bool pvblk_loopback_run(pvblk_loopback *loopback);
/* The same, then let time pass; deadlines fire on the way. */
void pvblk_loopback_advance(pvblk_loopback *loopback, int64_t ns);

/* The backend obeys this plan (docs/faults.rst); "" makes it honest. -EINVAL:
 * `error` holds one sentence, and the old plan stays. -ENODEV: the backend was
 * killed; `error` says so. */
int pvblk_loopback_set_faults(pvblk_loopback *loopback, const char *text, char *error,
                              size_t error_size);
/* The backend disappears without notice, and with it all its mappings. */
void pvblk_loopback_kill_back(pvblk_loopback *loopback);

/* Counters of mistakes that no honest frontend or backend makes. Calls `emit`
 * for each field of HubOracle (loopback.h), in a fixed order. A bad backend can
 * cause "denied-maps", "readonly-maps" and "bad-unmaps". If the frontend keeps
 * the rules, all others are 0 at the end of a test. */
void pvblk_loopback_oracle(const pvblk_loopback *loopback, pvblk_emit *emit, void *opaque);

/* ---- memory ---------------------------------------------------------------- */

/* The disk's content. */
void *pvblk_loopback_disk(pvblk_loopback *loopback);
/* The address of byte `offset` of the guest's 4 MiB of RAM: in this process, and
 * in the guest. NULL and 0: beyond its end. */
void *pvblk_loopback_ram(pvblk_loopback *loopback, uint64_t offset);
uint64_t pvblk_loopback_gpa(pvblk_loopback *loopback, uint64_t offset);

#ifdef __cplusplus
}
#endif

#endif /* PVBLK_C_LOOPBACK_H */
