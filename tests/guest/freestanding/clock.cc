/* SPDX-License-Identifier: MIT */
#include "clock.h"

#include "pci.h"

namespace
{

constexpr uint32_t kMask = 0xffffff;
constexpr uint64_t kTicksPer1000Seconds = 3579545000;

} // namespace

/* The firmware has put the power management registers at the address in the chip set's register
 * 0x40. */
bool Clock::init()
{
    pci::Device chip;
    if (!pci::find(0x8086, 0x7113, chip) && !pci::find(0x8086, 0x2918, chip))
        return false;
    port_ = static_cast<uint16_t>((chip.config(0x40) & 0xff80) + 8);
    last_ = inl(port_) & kMask;
    return true;
}

uint64_t Clock::milliseconds()
{
    uint32_t now = inl(port_) & kMask;
    ticks_ += (now - last_) & kMask;
    last_ = now;
    return ticks_ * 1000000 / kTicksPer1000Seconds;
}
