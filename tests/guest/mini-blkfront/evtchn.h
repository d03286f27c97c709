/* SPDX-License-Identifier: MIT */
/*
 * Event channels: one bit a port, and one interrupt for all of them ("upcall", see upcall.h). The
 * two-level ABI of xen.h, struct shared_info: evtchn_pending has a bit a port, evtchn_pending_sel a
 * bit a word of it, evtchn_upcall_pending says whether there is any.
 */
#pragma once

#include "hypercall.h"

class Events
{
public:
    /* Maps the shared info page. Afterwards events become pending; upcall.h makes them interrupt.
     */
    void init();

    /* EVTCHNOP_alloc_unbound: a port that domain `remote` may bind to, and be notified through. */
    evtchn_port_t allocate(domid_t remote);
    /* EVTCHNOP_bind_virq: a port for what Xen itself says to this vCPU. */
    evtchn_port_t bind_virq(uint32_t virq);
    /* A port that was there from the start, such as XenStore's. */
    void adopt(evtchn_port_t port);
    void close(evtchn_port_t port);

    /* EVTCHNOP_send. */
    void notify(evtchn_port_t port);

    /* In the interrupt handler: takes all that is pending. */
    void collect();
    /* Until then, no event interrupts. */
    void hold();

    /* How often a port had an event. */
    uint32_t count(evtchn_port_t port) const { return load(count_[port % kCounted]); }
    uint32_t upcalls() const { return load(upcalls_); }

private:
    static constexpr uint32_t kCounted = 64; /* we have three ports, and Xen numbers them from 1 */

    uint32_t count_[kCounted]{};
    uint32_t upcalls_{0};
};

extern Events events;
