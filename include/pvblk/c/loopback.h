/* SPDX-License-Identifier: MIT */
/*
 * What C sees of the loopback (pvblk/loopback.h): a XenStore, a grant table,
 * event channels and a clock in this process, and on them a backend of ours
 * with a disk in memory. It takes a frontend: one of c/front.h, or one of your
 * own. To test a backend of your own, or more than one frontend, use the hub of
 * loopback.h from C++. Belongs to the library pvblk-loopback.
 *
 * No port calls back from inside a call: pvblk_loopback_run() delivers, in
 * order. Units: 512-byte sectors, bytes, nanoseconds. Threads: one. Ownership:
 * the frontend is freed before the loopback that it is on.
 */
#ifndef PVBLK_C_LOOPBACK_H
#define PVBLK_C_LOOPBACK_H

#include "pvblk/c/front.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pvblk_loopback pvblk_loopback;

/* With a backend that waits for its frontend, on a disk of so many sectors,
 * all zeroes. There are grants and private pages for PVBLK_MAX_QUEUES queues of
 * a frontend that is else as pvblk_front_defaults() says; where one may have
 * more in flight than they are enough for, pvblk_front_new() refuses it. */
pvblk_loopback *pvblk_loopback_new(uint64_t disk_sectors);
void pvblk_loopback_free(pvblk_loopback *loopback);

/* ---- for the frontend ------------------------------------------------------ */

void pvblk_loopback_ports(pvblk_loopback *loopback, struct pvblk_front_ports *ports);
/* Valid as long as the loopback. */
const char *pvblk_loopback_frontend_path(const pvblk_loopback *loopback);
const char *pvblk_loopback_backend_path(const pvblk_loopback *loopback);
/* Who hears of events, XenStore and deadlines from now on; NULL: nobody. */
void pvblk_loopback_attach(pvblk_loopback *loopback, pvblk_front *front);

/* The same for a frontend of your own, which does by the ports what a driver
 * does by hypercalls. */
struct pvblk_loopback_listener {
    void *opaque; /* first argument of each; outlives the loopback, or listens no more */
    void (*event)(void *opaque, uint32_t queue); /* on a channel that event_open() made */
    void (*store_changed)(void *opaque);         /* what store_watch() watches */
    void (*deadline)(void *opaque);              /* that of clock_deadline() passed */
};
/* The struct is copied; none of its functions is NULL. No struct: nobody. */
void pvblk_loopback_listen(pvblk_loopback *loopback,
                           const struct pvblk_loopback_listener *listener);

/* ---- what happens ---------------------------------------------------------- */

/* Deliver what waits until nothing does. False: the two sides keep each other
 * busy without end. */
bool pvblk_loopback_run(pvblk_loopback *loopback);
/* The same, then let time pass, with the deadlines on the way. */
void pvblk_loopback_advance(pvblk_loopback *loopback, int64_t ns);

/* The backend goes wrong as a plan of docs/faults.rst says; "": it does not.
 * -EINVAL: `error` holds one sentence, and the plan before stays. -ENODEV: the
 * backend was killed; `error` says so. */
int pvblk_loopback_set_faults(pvblk_loopback *loopback, const char *text, char *error,
                              size_t error_size);
/* The backend is gone without a word, and with it all that it had mapped. */
void pvblk_loopback_kill_back(pvblk_loopback *loopback);

/* What no honest frontend and backend do, counted: calls `emit` for each field
 * of HubOracle (loopback.h), in a fixed order. All are 0 at the end of a test
 * of a frontend that keeps the rules, whatever its backend does; but for
 * "denied-maps", "readonly-maps" and "bad-unmaps", which a backend may cause. */
void pvblk_loopback_oracle(const pvblk_loopback *loopback, pvblk_emit *emit, void *opaque);

/* ---- memory ---------------------------------------------------------------- */

/* What is on the disk. */
void *pvblk_loopback_disk(pvblk_loopback *loopback);
/* The guest's RAM, 4 MiB: a place in it, in bytes, as this process and as the
 * guest addresses it. NULL and 0: beyond its end. */
void *pvblk_loopback_ram(pvblk_loopback *loopback, uint64_t offset);
uint64_t pvblk_loopback_gpa(pvblk_loopback *loopback, uint64_t offset);

#ifdef __cplusplus
}
#endif

#endif /* PVBLK_C_LOOPBACK_H */
