/* SPDX-License-Identifier: MIT */
/*
 * Waiting with a deadline: a periodic event (vcpu.h, VCPUOP_set_periodic_timer and VIRQ_TIMER)
 * wakes a processor that sleeps. It counts ticks and not time, as not every emulation has a clock
 * that a guest could read.
 */
#pragma once

#include "evtchn.h"

class Timer
{
public:
    static constexpr uint32_t kTicksPerSecond = 100;

    void init();
    void start();
    void stop();
    uint32_t ticks() const { return events.count(port_); }

private:
    evtchn_port_t port_{0};
};

extern Timer timer;

/*
 * Sleeps until condition() holds; false if `seconds` pass before. Interrupts are off while it
 * looks, and an event that comes after that ends the sleep: none is missed.
 */
template <class Condition>
bool wait_until(Condition condition, uint32_t seconds)
{
    uint32_t begin = timer.ticks();
    bool holds;
    for (;;) {
        interrupts_off();
        holds = condition();
        if (holds || timer.ticks() - begin > seconds * Timer::kTicksPerSecond)
            break;
        sleep_until_interrupt();
    }
    interrupts_on();
    return holds;
}

/* Timers as the subject of a test, measured with the PC's own clock. Leaves the periodic one
 * running. */
void test_timers();
