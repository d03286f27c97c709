/* SPDX-License-Identifier: MIT */
/* What every check needs: a name, a way to fail with it, and time. */
#pragma once

#include "clock.h"
#include "console.h"
#include "hypercall.h"

#include <xen/errno.h>

/* The check that runs. */
extern const char *current_check;

template <class... T>
[[noreturn]] void wrong(const T &...why)
{
    fail(current_check, ": ", why...);
}

inline void expect_result(const char *of, long result, long wanted)
{
    if (result != wanted)
        wrong(of, " gives ", result, " and not ", wanted);
}

extern Clock pc_clock;

/* Busy, so that it also holds while no event can come. */
inline void pause_for(uint64_t milliseconds)
{
    uint64_t begin = pc_clock.milliseconds();
    while (pc_clock.milliseconds() - begin < milliseconds)
        asm volatile("pause");
}

/* Busy as well, for what QEMU does when it gets to it: no fixed time is enough on a busy host. */
template <class Condition>
bool comes_true(Condition condition)
{
    for (uint64_t begin = pc_clock.milliseconds(); !condition();) {
        if (pc_clock.milliseconds() - begin > 10'000)
            return false;
        asm volatile("pause");
    }
    return true;
}

/* A pause without QEMU, which the clock has to wait for where QEMU is busy. */
inline void spin(uint64_t tsc_ticks)
{
    for (uint64_t begin = __builtin_ia32_rdtsc(); __builtin_ia32_rdtsc() - begin < tsc_ticks;) {
    }
}

/* After a mark at which the operator makes QEMU busy, it is so when this has passed. */
inline constexpr uint64_t kBusy = 200'000'000;

/* Xen's system time in nanoseconds, also where more than the four seconds of Clock have passed. */
uint64_t system_time();

/* Upcalls, the timer and XenStore, for a guest that has just started or was reset. */
void bring_up_events();
void bring_up_rest();

/* SHUTDOWN_soft_reset: afterwards there are no ports and no pages of Xen's. */
void soft_reset();

/* In calls.cc: hypercalls, memory, vcpu_info and timers. */
void misaligned_locked_instruction();
void ring_0_hypercalls();
void features_that_tcg_has();
void runstate_is_filled();
void clock_is_the_system_time();
void memory_map_has_the_tables();
void memory_map_without_room();
void reservation_is_the_memory();
void console_takes_a_page();
void pages_beyond_the_address_width();
void batch_of_many_pages();
void misaligned_vcpu_info();
void vcpu_info_in_rom();
void too_short_period();
void stopped_timer_ticks();
void periodic_timer_survives_reset();

/* In requests.cc: XenStore. */
void mkdir_answers_mkdir();
void mkdir_where_forbidden();
void header_in_pieces();
void header_in_pieces_without_payload();
void missed_event_is_made_up_for();
void store_has_no_time_for_others();
void store_works_while_stopped();
void illegal_request_kills_store_for_good();

/* A WRITE is on XenStore's ring when this returns, and its answer is still to be taken. */
void write_by_hand(const char *path, const char *value);
void take_answers_to_writes();

/* In disk.cc. */
void write_wraps_around();
void read_wraps_around();
void endless_discard();
void discard_beyond_end();
void unknown_operation();
void producer_runs_away();
void producer_goes_back();
void discard_on_cdrom();
void frontend_before_its_disk();
void closed_while_unplugged();
void connects_while_it_closes();
