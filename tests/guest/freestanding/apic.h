/* SPDX-License-Identifier: MIT */
/* The interrupt controllers of a PC, as far as one interrupt needs them. */
#pragma once

#include "cpu.h"

/* The old pair of i8259, which the firmware left with its timer on vector 8. */
inline void mask_old_interrupts()
{
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}

namespace local_apic
{

inline volatile uint32_t &reg(uint32_t offset)
{
    return *reinterpret_cast<volatile uint32_t *>(0xfee00000ul + offset);
}

inline void enable()
{
    reg(0xf0) = 0x1ff;
} /* spurious vector 0xff, bit 8: enabled */
inline uint8_t id()
{
    return static_cast<uint8_t>(reg(0x20) >> 24);
}
/* End of interrupt: until then, no other of this priority. For a level-triggered one, the I/O APIC
 * hears of it. */
inline void end_of_interrupt()
{
    reg(0xb0) = 0;
}

} // namespace local_apic

namespace io_apic
{

inline void write(uint8_t index, uint32_t value)
{
    *reinterpret_cast<volatile uint32_t *>(0xfec00000ul) = index;
    *reinterpret_cast<volatile uint32_t *>(0xfec00010ul) = value;
}

/* Level-triggered, active high, fixed, to the processor with this APIC ID. */
inline void route_level(uint32_t pin, uint8_t vector, uint8_t apic_id)
{
    auto entry = static_cast<uint8_t>(0x10 + 2 * pin);
    write(static_cast<uint8_t>(entry + 1), static_cast<uint32_t>(apic_id) << 24);
    write(entry, 1u << 15 | vector);
}

} // namespace io_apic
