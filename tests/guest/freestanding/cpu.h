/* SPDX-License-Identifier: MIT */
/* The x86 instructions that C++ has no words for. */
#pragma once

#include <stddef.h>
#include <stdint.h>

inline void outb(uint16_t port, uint8_t value)
{
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

inline void outl(uint16_t port, uint32_t value)
{
    asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

inline uint32_t inl(uint16_t port)
{
    uint32_t value;
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

struct Cpuid {
    uint32_t eax, ebx, ecx, edx;
};

inline Cpuid cpuid(uint32_t leaf)
{
    Cpuid r;
    asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(0));
    return r;
}

inline void wrmsr(uint32_t msr, uint64_t value)
{
    asm volatile("wrmsr"
                 :
                 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                 : "memory");
}

inline void interrupts_off()
{
    asm volatile("cli" : : : "memory");
}
inline void interrupts_on()
{
    asm volatile("sti" : : : "memory");
}

/* STI takes effect after the instruction that follows it: no interrupt can come before HLT, and be
 * slept through. */
inline void sleep_until_interrupt()
{
    asm volatile("sti; hlt" : : : "memory");
}

/* x86 keeps loads in order and stores in order. These stop the compiler; fence_full() also stops a
 * store from being passed by a later load. Each use names its partner. */
inline void fence_acquire()
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}
inline void fence_release()
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
}
inline void fence_full()
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* For memory that somebody else changes or sees: exactly one access. */
template <class T>
inline T load(const T &from)
{
    return __atomic_load_n(&from, __ATOMIC_RELAXED);
}

template <class T>
inline void store(T &to, T value)
{
    __atomic_store_n(&to, value, __ATOMIC_RELAXED);
}

inline constexpr uint32_t kPageSize = 4096;

/* A page of its own. Pointers are guest-physical addresses, see boot.S. */
struct alignas(kPageSize) Page {
    uint8_t byte[kPageSize];

    uint64_t frame() const { return reinterpret_cast<uint64_t>(this) / kPageSize; }
};
