/* SPDX-License-Identifier: MIT */
/*
 * Calls to Xen. It is found by CPUID (xen/arch-x86/cpuid.h), fills the page with instructions that
 * call it when the page's address is written to the MSR that it names, and takes up to five
 * arguments in registers (xen/arch-x86/xen-x86_64.h).
 */
#pragma once

#include "cpu.h"

#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <xen/xen.h>

#include <xen/event_channel.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

extern Page hypercall_page;

/* False where there is no Xen. */
bool find_xen();

inline constexpr uint32_t kHypercallStub = 32; /* bytes for each number in the page */

inline long hypercall(unsigned number, uint64_t a1 = 0, uint64_t a2 = 0, uint64_t a3 = 0,
                      uint64_t a4 = 0, uint64_t a5 = 0)
{
    register uint64_t r10 asm("r10") = a4;
    register uint64_t r8 asm("r8") = a5;
    const void *entry = hypercall_page.byte + number * kHypercallStub;
    long result;
    asm volatile("call *%[entry]"
                 : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                 : [entry] "r"(entry)
                 : "rcx", "r11", "memory");
    return result;
}

template <class T>
inline long event_channel_op(unsigned command, T &argument)
{
    return hypercall(__HYPERVISOR_event_channel_op, command, reinterpret_cast<uint64_t>(&argument));
}

template <class T>
inline long vcpu_op(unsigned command, unsigned vcpu, T &argument)
{
    return hypercall(__HYPERVISOR_vcpu_op, command, vcpu, reinterpret_cast<uint64_t>(&argument));
}

/* XENMEM_add_to_physmap: from now on, `page` is not RAM of ours but page `index` of what Xen has in
 * `space`. */
long map_xen_page(unsigned space, unsigned long index, const Page &page);

/* HVMOP_get_param and HVMOP_set_param, hvm/params.h. */
long get_parameter(uint32_t which, uint64_t &value);
long set_parameter(uint32_t which, uint64_t value);
