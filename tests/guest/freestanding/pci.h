/* SPDX-License-Identifier: MIT */
/* Looking up a device on bus 0, by PCI's configuration mechanism #1. */
#pragma once

#include "cpu.h"

namespace pci
{

struct Device {
    uint8_t devfn;

    uint32_t config(uint8_t offset) const
    {
        outl(0xcf8, 1u << 31 | static_cast<uint32_t>(devfn) << 8 | offset);
        return inl(0xcfc);
    }
    /* Where the firmware routed the interrupt pin, and which pin it is: 1 is INTA. */
    uint8_t interrupt_line() const { return static_cast<uint8_t>(config(0x3c)); }
    uint8_t interrupt_pin() const { return static_cast<uint8_t>(config(0x3c) >> 8); }
};

inline bool find(uint16_t vendor, uint16_t product, Device &device)
{
    for (uint32_t devfn = 0; devfn < 256; devfn++) {
        device = {static_cast<uint8_t>(devfn)};
        if (device.config(0) == (static_cast<uint32_t>(product) << 16 | vendor))
            return true;
    }
    return false;
}

} // namespace pci
