/* SPDX-License-Identifier: MIT */
/* Finding Xen, and the hypercalls that every guest needs. */
#include "hypercall.h"

#include "console.h"

#include <xen/arch-x86/cpuid.h>

Page hypercall_page;

/* cpuid.h, XEN_CPUID_FIRST_LEAF: another hypervisor's leaves may stand before Xen's, in steps of
 * 0x100. */
bool find_xen()
{
    for (uint32_t base = 0x40000000; base < 0x40010000; base += 0x100) {
        Cpuid r = cpuid(base);
        if (r.ebx != XEN_CPUID_SIGNATURE_EBX || r.ecx != XEN_CPUID_SIGNATURE_ECX ||
            r.edx != XEN_CPUID_SIGNATURE_EDX)
            continue;
        uint32_t msr = cpuid(base + 2).ebx; /* XEN_HVM_CPUID leaf 3 */
        wrmsr(msr, reinterpret_cast<uint64_t>(&hypercall_page));
        return true;
    }
    return false;
}

long map_xen_page(unsigned space, unsigned long index, const Page &page)
{
    xen_add_to_physmap map{};
    map.domid = DOMID_SELF;
    map.space = space;
    map.idx = index;
    map.gpfn = page.frame();
    return hypercall(__HYPERVISOR_memory_op, XENMEM_add_to_physmap,
                     reinterpret_cast<uint64_t>(&map));
}

long get_parameter(uint32_t which, uint64_t &value)
{
    xen_hvm_param p{};
    p.domid = DOMID_SELF;
    p.index = which;
    long error = hypercall(__HYPERVISOR_hvm_op, HVMOP_get_param, reinterpret_cast<uint64_t>(&p));
    value = p.value;
    return error;
}

long set_parameter(uint32_t which, uint64_t value)
{
    xen_hvm_param p{};
    p.domid = DOMID_SELF;
    p.index = which;
    p.value = value;
    return hypercall(__HYPERVISOR_hvm_op, HVMOP_set_param, reinterpret_cast<uint64_t>(&p));
}

/* sched.h, SCHEDOP_shutdown. Without Xen, nothing of a PC is sure to end it: stop. */
void power_off()
{
    sched_shutdown shutdown{};
    shutdown.reason = SHUTDOWN_poweroff;
    if (hypercall_page.byte[0])
        hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, reinterpret_cast<uint64_t>(&shutdown));
    for (;;)
        asm volatile("cli; hlt");
}
