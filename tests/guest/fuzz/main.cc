/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest: two processors call Xen with random and nearly valid arguments, until so much
 * time has passed or so many calls were made. Xen, which here is an emulator, has to survive, and
 * to refuse what comes from ring 3.
 *
 * Options: seed=N, seconds=S or calls=N for each processor, and those of disk.h. With `calm`,
 * XenStore gets well-formed messages only, so that more reaches the disk: an impossible one ends
 * the conversation. All choices follow from the seed and the number of the processor; only how the
 * two interleave does not.
 */
#include "apic.h"
#include "arena.h"
#include "calls.h"
#include "clock.h"
#include "console.h"
#include "disk.h"
#include "hypercall.h"
#include "processor.h"
#include "start.h"
#include "store.h"

#include <xen/xen.h>

const char *const kGuestName = "fuzz";

extern "C" const uint8_t trampoline_begin[], trampoline_end[];

namespace
{

constexpr uint64_t kTrampoline = 0x8000;

uint64_t seed, calls_each;
bool stop, second_began, second_ended, calm;
alignas(Processor) uint8_t place[2][sizeof(Processor)];

Processor &processor(uint32_t number)
{
    return *reinterpret_cast<Processor *>(place[number]);
}

} // namespace

inline void *operator new(size_t, void *at)
{
    return at;
}

namespace
{

/* Events that nobody clears would be the last ones to interrupt. Where the pages are changes, so
 * this is one place. */
void clear_events(Processor &p)
{
    Random &random = p.random();
    Page &page = arena::mapped_page(2);
    if (random.one_in(4)) {
        xen_add_to_physmap map{};
        map.domid = DOMID_SELF;
        map.space = XENMAPSPACE_shared_info;
        map.gpfn = page.frame();
        p.call({__HYPERVISOR_memory_op,
                {XENMEM_add_to_physmap, reinterpret_cast<uint64_t>(&map)},
                Layout::Bits64});
    }
    auto &shared = reinterpret_cast<shared_info &>(page);
    vcpu_info &vcpu = shared.vcpu_info[p.number()];
    store(vcpu.evtchn_upcall_pending, uint8_t{0});
    store(vcpu.evtchn_pending_sel, random.one_in(8) ? random.any() : 0);
    store(shared.evtchn_pending[random.below(64)], random.one_in(8) ? random.any() : 0);
    store(shared.evtchn_mask[random.below(64)], random.one_in(8) ? random.any() : 0);
}

/* Anywhere but where a write is a message to a local APIC: the page would tell a processor to
 * reset. */
void move_hypercall_page(Processor &p)
{
    constexpr uint64_t kApic = 0xfee00, kMessages = 0x100;
    Random &random = p.random();
    uint64_t frame = arena::frame(random);
    if (frame - kApic < kMessages)
        frame = kApic;
    p.write_hypercall_msr(frame * kPageSize | (random.one_in(8) ? random.below(8) : 0));
}

void step(Processor &p)
{
    Random &random = p.random();
    switch (random.below(32)) {
    case 0:
    case 1:
    case 2: return clear_events(p);
    case 3:
    case 4:
    case 5:
    case 6:
    case 7: return calm ? disk::random_step(p) : xenstore::random_request(p);
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
    case 13: return disk::random_step(p);
    case 14:
        if (random.one_in(8))
            move_hypercall_page(p);
        return;
    case 15:
        if (random.one_in(16)) {
            soft_reset(p);
            xenstore::restart();
        }
        return;
    default: return random_call(p);
    }
}

void run(Processor &p)
{
    while (!load(stop) && (!calls_each || p.counters.calls < calls_each))
        step(p);
}

void report(const Processor &p)
{
    const auto &c = p.counters;
    say("vCPU ", p.number(), ": ", c.calls, " calls, ", c.succeeded, " succeeded, ", c.refused,
        " refused in ring 3, ", c.store_messages, " XenStore messages, ", c.disk_steps,
        " disk steps, ", c.interrupts, " interrupts, ", c.faults, " #GP");
}

/* INIT, SIPI, SIPI to all but ourselves (Intel SDM 9.4.4), and half a second to answer. */
bool start_second(Clock &clock)
{
    memcpy(reinterpret_cast<void *>(kTrampoline), trampoline_begin,
           static_cast<size_t>(trampoline_end - trampoline_begin));
    auto wait = [&clock](uint64_t limit) {
        for (uint64_t end = clock.milliseconds() + limit;
             clock.milliseconds() < end && !load(second_began);)
            asm volatile("pause");
    };
    local_apic::enable();
    local_apic::reg(0x300) = 0xc4500;
    wait(20);
    for (int i = 0; i < 2; i++) {
        local_apic::reg(0x300) = 0xc4600 | kTrampoline / kPageSize;
        wait(500);
    }
    return load(second_began);
}

void wait_for_second(Clock &clock)
{
    constexpr uint64_t kLimit = 20000;
    for (uint64_t end = clock.milliseconds() + kLimit; !load(second_ended);) {
        if (clock.milliseconds() > end)
            fail("vCPU 1 does not end");
        asm volatile("pause");
    }
}

} // namespace

extern "C" void second_processor()
{
    local_apic::enable();
    Processor &p = processor(1);
    p.init();
    store(second_began, true);
    run(p);
    store(second_ended, true);
    for (;;)
        asm volatile("cli; hlt");
}

void guest_main(const CommandLine &options)
{
    seed = options.number("seed", 1);
    calls_each = options.number("calls", 0);
    uint64_t seconds = options.number("seconds", calls_each ? 0 : 10);
    Clock clock;
    if (!find_xen())
        fail("this machine has no Xen");
    if (!clock.init())
        fail("this machine has no ACPI timer");
    if (!xenstore::init())
        fail("there is no XenStore");
    calm = options.has("calm");
    if (!disk::init(options))
        fail("queues= and pages= are 1 or 2");
    mask_old_interrupts();
    arena::init();
    for (uint32_t i = 0; i < 2; i++)
        new (place[i]) Processor(i, seed);
    Processor &p = processor(0);
    p.init();
    bool two = start_second(clock);
    say("seed ", seed, ", ", two ? 2 : 1, " vCPUs");

    uint64_t end = clock.milliseconds() + seconds * 1000;
    while ((!seconds || clock.milliseconds() < end) &&
           (!calls_each || p.counters.calls < calls_each)) {
        for (int i = 0; i < 64; i++)
            step(p);
    }
    if (seconds)
        store(stop, true);
    if (two)
        wait_for_second(clock);

    report(p);
    if (two)
        report(processor(1));
    const auto &a = p.counters, &b = processor(1).counters;
    if (!a.calls || !a.refused || !a.store_messages || (two && (!b.calls || !b.refused)))
        fail("some part of it did nothing");
    say("seed ", seed, ": ", a.calls + b.calls, " calls, ", a.refused + b.refused,
        " ring-3 calls refused, ", distinct_calls(), " distinct hypercalls, ok");
    mark("finished");
    power_off();
}
