/* SPDX-License-Identifier: MIT */
#include "arena.h"

extern "C" uint64_t boot_pds[4 * 512];

namespace arena
{

namespace
{

static_assert(kEnd - kBegin == 2 << 20, "one large page");

constexpr uint64_t kPresent = 1, kWritable = 2, kUser = 4;

alignas(kPageSize) uint64_t page_table[512];

/* Video memory, option ROMs, BIOS, PCI hole, I/O APIC, HPET, local APIC, Xen's own pages, the BIOS
 * at the end. */
constexpr uint64_t special_frames[] = {0xa0,    0xb8,    0xc0,    0xc9,    0xe0,    0xf0,
                                       0xff,    0xe0000, 0xfec00, 0xfed00, 0xfed40, 0xfee00,
                                       0xfeff8, 0xfeffc, 0xfefff, 0xfffc0, 0xfffff};

/* Below 1 MiB only what is no RAM; then neither our image nor what the firmware may have put behind
 * it. */
bool is_ours(uint64_t address)
{
    return address < 0xa0000 || (address >= 0x100000 && address < kBegin);
}

/* A call of 32 bits, and a grant, see but the lower half of a number. */
bool ours(uint64_t address)
{
    return is_ours(address) || is_ours(static_cast<uint32_t>(address));
}

bool frame_is_ours(uint64_t frame)
{
    return is_ours(frame * kPageSize) ||
           is_ours(uint64_t{static_cast<uint32_t>(frame)} * kPageSize);
}

/* The local APIC's interrupt command register can reset a processor: no buffer may overlap it. */
constexpr uint64_t kApicCommand = 0xfee00300 - 64, kApicCommands = 64 + 32;

constexpr uint64_t kNoMemory = 1u << 31; /* an address from here on, up to 4 GiB, is none of RAM */

} // namespace

void init()
{
    for (uint32_t i = 0; i < 512; i++)
        page_table[i] =
            i % kHole == kHole - 1 ? 0 : (kBegin + i * kPageSize) | kPresent | kWritable | kUser;
    boot_pds[kBegin >> 21] = reinterpret_cast<uint64_t>(page_table) | kPresent | kWritable | kUser;
    asm volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
}

bool writable(uint64_t address, uint32_t size)
{
    if (address < kBegin || address + size > kEnd)
        return false;
    uint64_t first = (address - kBegin) / kPageSize,
             last = (address + size - 1 - kBegin) / kPageSize;
    return first % kHole != kHole - 1 && last % kHole != kHole - 1;
}

uint64_t pointer(Random &random, uint32_t size)
{
    uint64_t at = reinterpret_cast<uint64_t>(&mapped_page(random.below(kPages - kPages / kHole)));
    switch (random.below(32)) {
    case 0: /* over the end of a page, into the next or into nothing */
    case 1: return at + kPageSize - 1 - random.below(size + 1);
    case 2: return nothing(random);
    case 3:
    case 4: {
        uint64_t special = random.of(special_frames) * kPageSize + random.below(kPageSize);
        return special - kApicCommand < kApicCommands ? special - kApicCommands : special;
    }
    case 5: return random.any() | 1ull << 32 | kNoMemory; /* nowhere */
    case 6: return at + random.below(kPageSize - size);
    case 7: {
        uint64_t any = random.any();
        return ours(any) ? any | kNoMemory : any;
    }
    default: return at + random.below((kPageSize - size) / 8) * 8;
    }
}

uint64_t nothing(Random &random)
{
    return kBegin + (kHole - 1 + kHole * random.below(kPages / kHole)) * kPageSize;
}

uint64_t frame(Random &random)
{
    uint64_t frame = 0;
    switch (random.below(16)) {
    case 0:
    case 1:
    case 2: frame = random.of(special_frames) + (random.one_in(4) ? random.below(16) : 0); break;
    case 3:
        frame = random.below(2) ? (1ull << 52) - 1 - random.below(4)
                                : random.next() | kNoMemory / kPageSize;
        break;
    case 4: frame = random.any(); break;
    }
    return frame_is_ours(frame) ? page(random.below(kPages)).frame() : frame;
}

} // namespace arena
