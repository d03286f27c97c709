/* SPDX-License-Identifier: MIT */
#include "timer.h"

#include "clock.h"
#include "console.h"

Timer timer;

void Timer::init()
{
    port_ = events.bind_virq(VIRQ_TIMER);
    start();
}

void Timer::start()
{
    vcpu_set_periodic_timer op{1000000000 / kTicksPerSecond};
    if (long error = vcpu_op(VCPUOP_set_periodic_timer, 0, op))
        fail("VCPUOP_set_periodic_timer: error ", error);
}

void Timer::stop()
{
    if (long error = hypercall(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0))
        fail("VCPUOP_stop_periodic_timer: error ", error);
}

namespace
{

Clock pc_clock;

/* Until the next tick, or for `limit` milliseconds; how long that was. */
uint64_t next_tick_within(uint64_t limit)
{
    uint32_t ticks = timer.ticks();
    uint64_t begin = pc_clock.milliseconds(), now = begin;
    for (; timer.ticks() == ticks && now - begin < limit; now = pc_clock.milliseconds())
        asm volatile("pause");
    return now - begin;
}

void expect_silence(const char *after)
{
    next_tick_within(20); /* what was on its way */
    uint32_t ticks = timer.ticks();
    next_tick_within(200);
    if (timer.ticks() != ticks)
        fail("a timer event came after ", after);
}

void set_singleshot(uint64_t when)
{
    vcpu_set_singleshot_timer op{};
    op.timeout_abs_ns = when;
    if (long error = vcpu_op(VCPUOP_set_singleshot_timer, 0, op))
        fail("VCPUOP_set_singleshot_timer: error ", error);
}

constexpr uint64_t kFarAway = 1ull << 61; /* in nanoseconds: 73 years */

void test_periodic()
{
    uint32_t first = timer.ticks();
    uint64_t begin = pc_clock.milliseconds(), passed = 0;
    while (passed < 1000) {
        next_tick_within(100);
        passed = pc_clock.milliseconds() - begin;
    }
    uint32_t came = timer.ticks() - first;
    /* Ticks that coincide are one event, and an emulated machine may be slow. More than were asked
     * for is wrong. */
    if (came < 10 || came > passed * Timer::kTicksPerSecond / 1000 + 2)
        fail("the periodic timer ticked ", came, " times in ", passed, " ms");
    timer.stop();
    expect_silence("VCPUOP_stop_periodic_timer");
    say("timers: periodic, ", came, " ticks in ", passed, " ms: ok");
}

/* vcpu.h: timeout_abs_ns is Xen's system time. All that a guest without its clock knows is past and
 * far future. */
void test_singleshot()
{
    uint32_t begin = timer.ticks();
    set_singleshot(1);
    next_tick_within(2000);
    if (timer.ticks() - begin != 1)
        fail("a single-shot timer of the past made ", timer.ticks() - begin, " events");
    expect_silence("a single-shot timer's only one");
    set_singleshot(kFarAway);
    expect_silence("a single-shot timer was set 73 years ahead");
    if (long error = hypercall(__HYPERVISOR_vcpu_op, VCPUOP_stop_singleshot_timer, 0))
        fail("VCPUOP_stop_singleshot_timer: error ", error);
    expect_silence("VCPUOP_stop_singleshot_timer");
    say("timers: single-shot, past, future and stopped: ok");
}

/* xen.h: set_timer_op takes a timeout that is absurdly far away for a mistake, and fires after 100
 * ms. */
void test_set_timer_op()
{
    hypercall(__HYPERVISOR_set_timer_op, kFarAway);
    uint64_t after = next_tick_within(2000);
    if (after < 90 || after >= 2000)
        fail("set_timer_op, 73 years ahead, fired after ", after, " ms and not after about 100");
    hypercall(__HYPERVISOR_set_timer_op, kFarAway);
    hypercall(__HYPERVISOR_set_timer_op, 0);
    expect_silence("set_timer_op(0)");
    say("timers: set_timer_op, fired after ", after, " ms, and stopped: ok");
}

} // namespace

void test_timers()
{
    if (!pc_clock.init())
        fail("this machine has no ACPI timer to compare with");
    test_periodic();
    test_singleshot();
    test_set_timer_op();
    timer.start();
}
