/* SPDX-License-Identifier: MIT */
/*
 * How Xen tells a vCPU that events are pending. A guest chooses one way (hvm/hvm_op.h,
 * hvm/params.h); today's Linux takes the first that works.
 */
#pragma once

#include "text.h"

enum class Upcall {
    Vector,   /* HVMOP_set_evtchn_upcall_vector: an interrupt of the local APIC, for each vCPU */
    Callback, /* HVM_PARAM_CALLBACK_IRQ, type vector: an interrupt that no APIC knows of */
    Gsi,  /* HVM_PARAM_CALLBACK_IRQ, type GSI: a pin of the I/O APIC, level-triggered, for vCPU 0
             only */
    Intx, /* HVM_PARAM_CALLBACK_IRQ, type PCI INTx: the Xen platform device's interrupt pin,
             likewise */
};

/* Of `upcall=...`; fails on an unknown word. */
Upcall upcall_from(const CommandLine &options);
const char *upcall_name(Upcall upcall);

inline constexpr unsigned kUpcallVector = 0x40;

void set_upcall(Upcall upcall);

/* At the end of the interrupt handler. */
void end_upcall();
