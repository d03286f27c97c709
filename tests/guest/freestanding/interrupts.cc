/* SPDX-License-Identifier: MIT */
#include "interrupts.h"

extern "C" const char interrupt_entries[];

namespace
{

struct Gate {
    uint16_t offset_low, selector;
    uint16_t flags;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

constexpr uint32_t kEntrySize = 32; /* interrupts.S aligns each to this */
constexpr uint16_t kCode = 0x08;
constexpr uint16_t kInterruptGate = 0xee00; /* present, usable from ring 3, interrupts off */

alignas(16) Gate table[256];

} // namespace

void load_interrupt_table()
{
    for (uint32_t i = 0; i < 256; i++) {
        uint64_t entry = reinterpret_cast<uint64_t>(interrupt_entries) + i * kEntrySize;
        table[i] = {static_cast<uint16_t>(entry),
                    kCode,
                    kInterruptGate,
                    static_cast<uint16_t>(entry >> 16),
                    static_cast<uint32_t>(entry >> 32),
                    0};
    }
    struct [[gnu::packed]] {
        uint16_t limit;
        const void *base;
    } pointer{sizeof table - 1, table};
    asm volatile("lidt %0" : : "m"(pointer));
}
