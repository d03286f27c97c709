/* SPDX-License-Identifier: MIT */
#include "processor.h"

#include "apic.h"
#include "console.h"
#include "hypercall.h"
#include "interrupts.h"

extern "C" {
long hypercall64(const Call *call, bool intel);
long hypercall32(const Call *call);
void enter_ring3(uint64_t *kernel_stack, uint64_t user_stack, const Call *call);
bool wrmsr_or_fault(uint32_t msr, uint64_t value);
void take_interrupts();
extern const uint8_t leave_ring3[], wrmsr_instruction[];
}

namespace
{

constexpr uint16_t kTaskState = 0x30;
constexpr uint64_t kRing3Done = 0x80, kInvalidOpcode = 6, kNmi = 2, kGeneralProtection = 13;
constexpr uint64_t kInterruptFlag = 1 << 9;
constexpr uint32_t kWrmsrSize = 2;
constexpr uint32_t kNumbers = 64, kCommands = 32;

uint32_t seen[kNumbers];

/* Found by its task register: the local APIC may be in any state. */
Processor *by_task[2];

Processor &here()
{
    uint64_t base;
    struct [[gnu::packed]] {
        uint16_t limit;
        uint64_t base;
    } gdt;
    asm volatile("sgdt %0" : "=m"(gdt));
    base = gdt.base;
    return reinterpret_cast<uint64_t>(by_task[0]) <= base &&
                   base < reinterpret_cast<uint64_t>(by_task[0] + 1)
               ? *by_task[0]
               : *by_task[1];
}

} // namespace

void Processor::init()
{
    by_task[number_] = this;
    auto base = reinterpret_cast<uint64_t>(&task_state_);
    task_state_.rsp0 = reinterpret_cast<uint64_t>(interrupt_stack_ + sizeof interrupt_stack_);
    const uint64_t descriptors[] = {0,
                                    0x00af9a000000ffff, /* 0x08: 64-bit code */
                                    0x00cf92000000ffff, /* 0x10: data */
                                    0x00cf9a000000ffff, /* 0x18: 32-bit code */
                                    0x00cff2000000ffff, /* 0x20: data, ring 3 */
                                    0x00affa000000ffff, /* 0x28: 64-bit code, ring 3 */
                                    (sizeof task_state_ - 1) | (base & 0xffffff) << 16 |
                                        0x89ull << 40 | (base >> 24 & 0xff) << 56,
                                    base >> 32};
    memcpy(gdt_, descriptors, sizeof gdt_);
    struct [[gnu::packed]] {
        uint16_t limit;
        const void *base;
    } pointer{sizeof gdt_ - 1, gdt_};
    asm volatile("lgdt %0; ltr %1" : : "m"(pointer), "r"(kTaskState));
    load_interrupt_table();
}

/* A call that Xen knows, whatever it says to it. */
void Processor::note(const Call &call, long result)
{
    if (result >= 0)
        counters.succeeded++;
    if (result == -XEN_ENOSYS)
        return;
    uint64_t number = call.number & 0xffff, command = call.argument[0];
    if (number == __HYPERVISOR_set_timer_op)
        command = 0;
    if (number < kNumbers && command < kCommands)
        __atomic_fetch_or(&seen[number], 1u << command, __ATOMIC_RELAXED);
}

long Processor::call(const Call &call)
{
    counters.calls++;
    uint32_t place = random_.below(16);
    if (place == 0)
        return call_from_ring3(call);
    bool bits32 = call.layout == Layout::Any ? place == 1 : call.layout == Layout::Bits32;
    long result = bits32 ? hypercall32(&call) : hypercall64(&call, random_.one_in(2));
    note(call, result);
    take_interrupts();
    return result;
}

long Processor::call_from_ring3(const Call &call)
{
    enter_ring3(&kernel_stack_, reinterpret_cast<uint64_t>(user_stack_ + sizeof user_stack_),
                &call);
    if (ring3_result_ != -XEN_EPERM)
        fail("hypercall ", call.number, " from ring 3 gave ", ring3_result_);
    counters.refused++;
    return ring3_result_;
}

void Processor::write_hypercall_msr(uint64_t value)
{
    if (wrmsr_or_fault(0x40000000, value))
        counters.faults++;
}

/*
 * An interrupt comes with any vector, those of exceptions included, but only where
 * take_interrupts() lets it. The interrupted code goes on with interrupts off: one whose reason
 * nobody removes would come again for ever.
 */
void handle_interrupt(InterruptFrame *frame)
{
    Processor &processor = here();
    if (frame->vector == kRing3Done && frame->cs & 3) {
        processor.ring3_result_ = static_cast<long>(frame->rax);
        frame->rip = reinterpret_cast<uint64_t>(leave_ring3);
        frame->cs = 0x08;
        frame->ss = 0x10;
        frame->rsp = processor.kernel_stack_;
        return;
    }
    if (frame->vector == kGeneralProtection &&
        frame->rip == reinterpret_cast<uint64_t>(wrmsr_instruction)) {
        frame->rip += kWrmsrSize;
        frame->rsi = 1;
        return;
    }
    if (frame->rflags & kInterruptFlag) {
        processor.counters.interrupts++;
        frame->rflags &= ~kInterruptFlag;
        local_apic::end_of_interrupt();
    } else if (frame->vector != kNmi) {
        fail("exception ", frame->vector, " at ", frame->rip, ", error code ", frame->error);
    }
}

extern "C" void on_interrupt(InterruptFrame *frame)
{
    handle_interrupt(frame);
}

uint32_t distinct_calls()
{
    uint32_t n = 0;
    for (uint32_t commands : seen) {
        for (; commands; commands &= commands - 1)
            n++;
    }
    return n;
}
