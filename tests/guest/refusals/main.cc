/* SPDX-License-Identifier: MIT */
/*
 * What Xen's emulation and the block backend must refuse, or must get right: each check is a
 * function named after the defect that it catches. Always the same, in contrast to fuzz.
 *
 * Options on the command line: only=NAME, which runs that check alone.
 */
#include "check.h"
#include "grant.h"
#include "interrupts.h"
#include "start.h"
#include "store.h"
#include "timer.h"
#include "upcall.h"

const char *const kGuestName = "refusals";

const char *current_check = "start";
Clock pc_clock;

namespace
{

/* Those that leave something behind that others would trip over come last. */
constexpr struct {
    const char *name;
    void (*run)();
} checks[] = {
#define CHECK(name) {#name, name}
    CHECK(misaligned_locked_instruction),
    CHECK(ring_0_hypercalls),
    CHECK(features_that_tcg_has),
    CHECK(runstate_is_filled),
    CHECK(clock_is_the_system_time),
    CHECK(memory_map_has_the_tables),
    CHECK(memory_map_without_room),
    CHECK(reservation_is_the_memory),
    CHECK(console_takes_a_page),
    CHECK(pages_beyond_the_address_width),
    CHECK(batch_of_many_pages),
    CHECK(misaligned_vcpu_info),
    CHECK(vcpu_info_in_rom),
    CHECK(too_short_period),
    CHECK(stopped_timer_ticks),
    CHECK(mkdir_answers_mkdir),
    CHECK(mkdir_where_forbidden),
    CHECK(header_in_pieces),
    CHECK(header_in_pieces_without_payload),
    CHECK(missed_event_is_made_up_for),
    CHECK(write_wraps_around),
    CHECK(read_wraps_around),
    CHECK(endless_discard),
    CHECK(discard_beyond_end),
    CHECK(unknown_operation),
    CHECK(frontend_before_its_disk),
    CHECK(closed_while_unplugged),
    CHECK(connects_while_it_closes),
    CHECK(producer_runs_away),
    CHECK(discard_on_cdrom),
    CHECK(producer_goes_back),
    CHECK(store_has_no_time_for_others),
    CHECK(store_works_while_stopped),
    CHECK(illegal_request_kills_store_for_good),
    CHECK(periodic_timer_survives_reset),
#undef CHECK
};

vcpu_runstate_info runstate;

} // namespace

/* vcpu.h, VCPUOP_register_runstate_memory_area: filled in when it is registered. */
uint64_t system_time()
{
    store(runstate.state_entry_time, uint64_t{0});
    vcpu_register_runstate_memory_area op{};
    op.addr.v = &runstate;
    if (long error = vcpu_op(VCPUOP_register_runstate_memory_area, 0, op))
        wrong("VCPUOP_register_runstate_memory_area: error ", error);
    for (uint64_t begin = pc_clock.milliseconds(); !load(runstate.state_entry_time);) {
        if (pc_clock.milliseconds() - begin > 1000)
            wrong("the runstate area was not filled in");
    }
    if (load(runstate.state) != RUNSTATE_running)
        wrong("the vCPU that asks is in state ", runstate.state);
    return load(runstate.state_entry_time);
}

void bring_up_events()
{
    events.init();
    set_upcall(Upcall::Vector);
    interrupts_on();
}

void bring_up_rest()
{
    timer.init();
    xenstore.init();
    grants = {};
    grants.init();
}

void soft_reset()
{
    interrupts_off();
    sched_shutdown shutdown{};
    shutdown.reason = SHUTDOWN_soft_reset;
    expect_result(
        "SHUTDOWN_soft_reset",
        hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, reinterpret_cast<uint64_t>(&shutdown)),
        0);
    pause_for(20); /* a part of it is done by the vCPU, soon */
}

extern "C" void on_interrupt(InterruptFrame *frame)
{
    if (frame->vector < 32)
        wrong("exception ", frame->vector, " at ", frame->rip, ", error code ", frame->error);
    if (frame->vector != kUpcallVector)
        return;
    events.collect();
    end_upcall();
}

void guest_main(const CommandLine &options)
{
    load_interrupt_table();
    if (!find_xen())
        fail("this machine has no Xen");
    if (!pc_clock.init())
        fail("this machine has no ACPI timer");
    bring_up_events();
    bring_up_rest();

    uint32_t passed = 0;
    for (const auto &check : checks) {
        if (options.has_value("only") && !options.says("only", check.name))
            continue;
        current_check = check.name;
        check.run();
        say(check.name, ": ok");
        passed++;
    }
    say(passed, " checks: ok");
    mark("finished");
    power_off();
}
