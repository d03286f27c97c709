/* SPDX-License-Identifier: MIT */
/*
 * Memory that this guest offers to be overwritten: by hypercalls, by a backend that was granted it,
 * by pages of Xen's that appear in its place. All that keeps the guest itself running is elsewhere
 * and never offered, neither by address nor by frame: a guest that overwrites itself proves
 * nothing.
 */
#pragma once

#include "cpu.h"
#include "random.h"

namespace arena
{

/* With two bits set above our image's addresses: one bit that flips does not lead there. */
inline constexpr uint64_t kBegin = 12 << 20, kEnd = 14 << 20;
inline constexpr uint32_t kPages = (kEnd - kBegin) / kPageSize;

/* Every eighth page has no virtual address, so that a buffer can end in nothing. */
inline constexpr uint32_t kHole = 8;

/* Replaces the large page that maps it. Once, before there is a second processor. */
void init();

inline Page &page(uint32_t i)
{
    return reinterpret_cast<Page *>(kBegin)[i % kPages];
}
/* Number i of the pages that are mapped. */
inline Page &mapped_page(uint32_t i)
{
    return page(i / (kHole - 1) * kHole + i % (kHole - 1));
}

/* Whether `size` bytes from there can be written to. */
bool writable(uint64_t address, uint32_t size);

/* A guest-virtual address for a buffer of `size` bytes: mostly good ones. */
uint64_t pointer(Random &random, uint32_t size);
/* One of a page that is not mapped. */
uint64_t nothing(Random &random);
/* A guest-physical frame number: RAM that may be overwritten, or something that is no RAM. */
uint64_t frame(Random &random);

} // namespace arena
