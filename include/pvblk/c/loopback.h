/* SPDX-License-Identifier: MIT */
/*
 * What C sees of the loopback (pvblk/loopback.h): a XenStore, a grant table,
 * event channels and a clock in this process, and on them a backend of ours
 * with a disk in memory. For a frontend of c/front.h, and to try that and what
 * is built on it without Xen and without QEMU. Belongs to the library
 * pvblk-loopback.
 *
 * Nothing calls back from inside a call of a port: pvblk_loopback_run()
 * delivers, in order. Units: 512-byte sectors, bytes, nanoseconds. Threads:
 * one. Ownership: the frontend is freed before the loopback that it is on.
 */
#ifndef PVBLK_C_LOOPBACK_H
#define PVBLK_C_LOOPBACK_H

#include "pvblk/c/front.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pvblk_loopback pvblk_loopback;

/* With a backend that waits for its frontend, on a disk of so many sectors,
 * all zeroes. */
pvblk_loopback *pvblk_loopback_new(uint64_t disk_sectors);
void pvblk_loopback_free(pvblk_loopback *loopback);

/* ---- for the frontend ------------------------------------------------------ */

void pvblk_loopback_ports(pvblk_loopback *loopback, struct pvblk_front_ports *ports);
/* Valid as long as the loopback. */
const char *pvblk_loopback_frontend_path(const pvblk_loopback *loopback);
const char *pvblk_loopback_backend_path(const pvblk_loopback *loopback);
/* Who hears of events, XenStore and deadlines from now on; NULL: nobody. */
void pvblk_loopback_attach(pvblk_loopback *loopback, pvblk_front *front);

/* ---- what happens ---------------------------------------------------------- */

/* Deliver what waits until nothing does. False: the two sides keep each other
 * busy without end. */
bool pvblk_loopback_run(pvblk_loopback *loopback);
/* The same, then let time pass, with the deadlines on the way. */
void pvblk_loopback_advance(pvblk_loopback *loopback, int64_t ns);

/* The backend goes wrong as a plan of docs/faults.rst says; "": it does not.
 * -EINVAL: `error` holds one sentence, and the plan before stays. */
int pvblk_loopback_set_faults(pvblk_loopback *loopback, const char *text, char *error,
                              size_t error_size);
/* The backend is gone without a word, and with it all that it had mapped. */
void pvblk_loopback_kill_back(pvblk_loopback *loopback);

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
