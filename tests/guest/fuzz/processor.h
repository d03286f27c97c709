/* SPDX-License-Identifier: MIT */
/* A virtual processor that makes hypercalls from everywhere: ring 0, ring 3 and 32-bit code. */
#pragma once

#include "random.h"

#include <xen/errno.h>

/* Whose layouts the argument has, where that matters: of 64-bit or of 32-bit code. */
enum class Layout { Any, Bits64, Bits32 };

struct Call {
    uint64_t number;
    uint64_t argument[6];
    Layout layout{Layout::Any};
};

class Processor
{
public:
    Processor(uint32_t number, uint64_t seed) : number_(number), random_(seed * 2 + number) {}

    /* Its own descriptor tables and stacks. To be called on it. */
    void init();

    uint32_t number() const { return number_; }
    Random &random() { return random_; }

    /* From one of these places; fails if ring 3 was not refused. */
    long call(const Call &call);
    /* The hypercall page again, anywhere; in 64-bit mode, which makes Xen take us for a 64-bit
     * guest again. */
    void write_hypercall_msr(uint64_t value);

    struct Counters {
        uint64_t calls, succeeded, refused, faults, interrupts, store_messages, disk_steps;
    };
    Counters counters{};

private:
    friend void handle_interrupt(struct InterruptFrame *frame);

    long call_from_ring3(const Call &call);
    void note(const Call &call, long result);

    struct [[gnu::packed]] TaskState {
        uint32_t reserved;
        uint64_t rsp0;
        uint8_t rest[92];
    };

    uint32_t number_;
    Random random_;
    uint64_t gdt_[8]{};
    TaskState task_state_{};
    uint64_t kernel_stack_{0};
    long ring3_result_{0};
    alignas(16) uint8_t interrupt_stack_[8192];
    alignas(16) uint8_t user_stack_[1024];
};

/* How many hypercalls, by number and command, Xen knew so far, on all processors. */
uint32_t distinct_calls();
