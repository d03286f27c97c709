/* SPDX-License-Identifier: MIT */
/*
 * Replaces the global operator new by one that counts while it is told to.
 * For one file of a program only.
 */
#pragma once

#include "support/allocation_count.h"

#include <cstdlib>
#include <new>

inline void *counted_allocation(std::size_t n)
{
    if (counting_allocations)
        allocations++, allocated_bytes += n;
    void *p = std::malloc(n ? n : 1);
    if (!p)
        std::abort();
    return p;
}

/* Out of line, or g++ sees a new of the library's meet a free(). */
[[gnu::noinline]] inline void counted_free(void *p)
{
    std::free(p);
}

void *operator new(std::size_t n)
{
    return counted_allocation(n);
}
void *operator new[](std::size_t n)
{
    return counted_allocation(n);
}
/* The library's own may come from somewhere else (a sanitizer's runtime), and
 * would not match our delete: all of them are ours. */
void *operator new(std::size_t n, const std::nothrow_t &) noexcept
{
    return counted_allocation(n);
}
void *operator new[](std::size_t n, const std::nothrow_t &) noexcept
{
    return counted_allocation(n);
}
void operator delete(void *p, const std::nothrow_t &) noexcept
{
    counted_free(p);
}
void operator delete[](void *p, const std::nothrow_t &) noexcept
{
    counted_free(p);
}
void operator delete(void *p) noexcept
{
    counted_free(p);
}
void operator delete[](void *p) noexcept
{
    counted_free(p);
}
void operator delete(void *p, std::size_t) noexcept
{
    counted_free(p);
}
void operator delete[](void *p, std::size_t) noexcept
{
    counted_free(p);
}
