/* SPDX-License-Identifier: MIT */
#include "upcall.h"

#include "apic.h"
#include "console.h"
#include "hypercall.h"
#include "pci.h"

namespace
{

constexpr struct {
    Upcall upcall;
    const char *name;
} names[] = {{Upcall::Vector, "vector"},
             {Upcall::Callback, "callback"},
             {Upcall::Gsi, "gsi"},
             {Upcall::Intx, "intx"}};

constexpr uint32_t kFreeGsi =
    5; /* an ISA interrupt that no device of a PC without a sound card uses */

bool through_apic;

void set_callback(uint64_t type, uint64_t value)
{
    if (long error = set_parameter(HVM_PARAM_CALLBACK_IRQ, type << 56 | value))
        fail("HVM_PARAM_CALLBACK_IRQ: error ", error);
}

void set_vector()
{
    xen_hvm_evtchn_upcall_vector op{};
    op.vcpu = 0;
    op.vector = kUpcallVector;
    long error = hypercall(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector,
                           reinterpret_cast<uint64_t>(&op));
    if (error)
        fail("HVMOP_set_evtchn_upcall_vector: error ", error);
}

void set_gsi()
{
    io_apic::route_level(kFreeGsi, kUpcallVector, local_apic::id());
    set_callback(HVM_PARAM_CALLBACK_TYPE_GSI, kFreeGsi);
}

/* params.h: domain in bits 47:32, bus in 31:16, device and function in 15:8, pin in 1:0, where 0 is
 * INTA. */
void set_intx()
{
    pci::Device platform;
    if (!pci::find(0x5853, 0x0001, platform))
        fail("there is no Xen platform device on bus 0");
    io_apic::route_level(platform.interrupt_line(), kUpcallVector, local_apic::id());
    set_callback(HVM_PARAM_CALLBACK_TYPE_PCI_INTX,
                 static_cast<uint64_t>(platform.devfn) << 8 | (platform.interrupt_pin() - 1));
}

} // namespace

Upcall upcall_from(const CommandLine &options)
{
    if (!options.has_value("upcall"))
        return Upcall::Vector;
    for (const auto &known : names) {
        if (options.says("upcall", known.name))
            return known.upcall;
    }
    fail("upcall= is one of vector, callback, gsi, intx");
}

const char *upcall_name(Upcall upcall)
{
    return names[static_cast<int>(upcall)].name;
}

void set_upcall(Upcall upcall)
{
    through_apic = upcall != Upcall::Callback;
    mask_old_interrupts();
    local_apic::enable();
    switch (upcall) {
    case Upcall::Vector: set_vector(); break;
    case Upcall::Callback: set_callback(HVM_PARAM_CALLBACK_TYPE_VECTOR, kUpcallVector); break;
    case Upcall::Gsi: set_gsi(); break;
    case Upcall::Intx: set_intx(); break;
    }
}

/* The pin of a level-triggered one is low by now: evtchn_upcall_pending was cleared before. */
void end_upcall()
{
    if (through_apic)
        local_apic::end_of_interrupt();
}
