/* SPDX-License-Identifier: MIT */
/* The interrupt descriptor table: every vector ends in on_interrupt(), which each guest defines. */
#pragma once

#include <stdint.h>

/* What interrupts.S leaves on the stack. */
struct InterruptFrame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

extern "C" void on_interrupt(InterruptFrame *frame);

/* For the processor that calls it. */
void load_interrupt_table();
