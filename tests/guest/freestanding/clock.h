/* SPDX-License-Identifier: MIT */
/*
 * Time, from ACPI's power management timer: 3.579545 MHz on every PC, and nobody but us needs it
 * here. To be asked at least every four seconds, when its 24 bits have gone round.
 */
#pragma once

#include "cpu.h"

class Clock
{
public:
    /* False if neither of QEMU's PCs is found. */
    bool init();
    uint64_t milliseconds();

private:
    uint16_t port_{0};
    uint32_t last_{0};
    uint64_t ticks_{0};
};
