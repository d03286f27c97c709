/* SPDX-License-Identifier: MIT */
/*
 * Two serial ports: what is for people goes to the first one; the second one is the control line of
 * the tests, on which this guest says `PVBLK: word ...` and may be told something.
 */
#pragma once

#include "cpu.h"
#include "text.h"

class SerialPort
{
public:
    constexpr explicit SerialPort(uint16_t base) : base_(base) {}

    void put(const char *s) const
    {
        for (; *s; s++) {
            while (!(inb(base_ + kLineStatus) & kTransmitterEmpty)) {
            }
            outb(base_, static_cast<uint8_t>(*s));
        }
    }
    void put(char *s) const { put(const_cast<const char *>(s)); }
    void put(unsigned long value) const { put(Decimal(value).text); }
    void put(unsigned int value) const { put(static_cast<unsigned long>(value)); }
    void put(long value) const
    {
        if (value < 0)
            put("-");
        put(value < 0 ? -static_cast<unsigned long>(value) : static_cast<unsigned long>(value));
    }
    void put(int value) const { put(static_cast<long>(value)); }

    /* Takes a byte, if one has come. A port that does not exist reads as ones. */
    bool take() const
    {
        uint8_t status = inb(base_ + kLineStatus);
        if (status == 0xff || !(status & kDataReady))
            return false;
        inb(base_);
        return true;
    }

private:
    static constexpr uint16_t kLineStatus = 5;
    static constexpr uint8_t kDataReady = 1, kTransmitterEmpty = 0x20;
    uint16_t base_;
};

inline constexpr SerialPort console{0x3f8};
inline constexpr SerialPort control{0x2f8};

/* The guest's name, before each of its lines. */
extern const char *const kGuestName;

template <class... T>
void say(const T &...parts)
{
    console.put(kGuestName);
    console.put(": ");
    (console.put(parts), ...);
    console.put("\n");
}

template <class... T>
void mark(const T &...parts)
{
    control.put("PVBLK: ");
    (control.put(parts), ...);
    control.put("\n");
}

/* In hypercall.cc. */
[[noreturn]] void power_off();

/* Says why, and ends the guest. */
template <class... T>
[[noreturn]] void fail(const T &...why)
{
    say("FAILED: ", why...);
    mark("FAILED ", why...);
    power_off();
}
