/* SPDX-License-Identifier: MIT */
/* Hypercalls, the memory map, vcpu_info and timers. */
#include "check.h"

#include "text.h"
#include "timer.h"

#include <initializer_list>
#include <xen/features.h>
#include <xen/physdev.h>
#include <xen/version.h>

namespace
{

constexpr unsigned kUnknownCall = 127; /* the last one with a stub, and no call of Xen's */

struct Words {
    uint64_t word[8];
};

long add_to_physmap(unsigned space, uint64_t frame)
{
    xen_add_to_physmap map{};
    map.domid = DOMID_SELF;
    map.space = space;
    map.gpfn = frame;
    return hypercall(__HYPERVISOR_memory_op, XENMEM_add_to_physmap,
                     reinterpret_cast<uint64_t>(&map));
}

long register_vcpu_info(uint64_t address)
{
    vcpu_register_vcpu_info op{};
    op.mfn = address / kPageSize;
    op.offset = static_cast<uint32_t>(address % kPageSize);
    return vcpu_op(VCPUOP_register_vcpu_info, 0, op);
}

/* How many ticks come within some milliseconds. What was on its way has come before. */
uint32_t ticks_within(uint64_t milliseconds, evtchn_port_t port)
{
    pause_for(20);
    uint32_t begin = events.count(port);
    pause_for(milliseconds);
    return events.count(port) - begin;
}

template <class T>
long memory_op(unsigned command, T &argument)
{
    return hypercall(__HYPERVISOR_memory_op, command, reinterpret_cast<uint64_t>(&argument));
}

struct [[gnu::packed]] MapEntry {
    uint64_t begin, length;
    uint32_t type;
};
constexpr uint32_t kRam = 1, kAcpi = 3;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kNowhere = 1ull << 46; /* no page table of ours maps it */
MapEntry map_entries[64];

/* How many entries the memory map has; it is in map_entries. */
uint32_t memory_map()
{
    xen_memory_map map{};
    map.nr_entries = sizeof map_entries / sizeof map_entries[0];
    map.buffer.p = map_entries;
    expect_result("XENMEM_memory_map", memory_op(XENMEM_memory_map, map), 0);
    return map.nr_entries;
}

constexpr uint32_t kBatch = 65535;
xen_ulong_t batch_index[kBatch];
xen_pfn_t batch_frame[kBatch];
int batch_error[kBatch];
Page batch_page[2], info_page;

/* Where bytes of the BIOS are zero, so that each bit that is set is seen. */
const uint64_t *zeros_in_rom()
{
    for (uint64_t at = 0xfffc0000; at < 0xfffff000; at += sizeof(vcpu_info)) {
        auto *words = reinterpret_cast<const uint64_t *>(at);
        uint64_t any = 0;
        for (uint32_t i = 0; i < sizeof(vcpu_info) / 8; i++)
            any |= load(words[i]);
        if (!any)
            return words;
    }
    wrong("there are no 64 bytes of zero in the BIOS");
}

} // namespace

/*
 * Intel SDM 9.1.2.2: a locked instruction may lie across a cache line. TCG executes it alone, which
 * with -icount must not take for ever.
 */
void misaligned_locked_instruction()
{
    alignas(64) static uint8_t bytes[128];
    auto *word = reinterpret_cast<uint32_t *>(bytes + 62);
    for (int i = 0; i < 1000; i++)
        asm volatile("lock incl %0" : "+m"(*word));
    uint32_t count;
    memcpy(&count, bytes + 62, sizeof count);
    if (count != 1000)
        wrong("counted to ", count, " and not to 1000");
}

/* xen.h: a call that there is not gives -ENOSYS. That holds for all that needs XENFEAT_hvm_pirqs.
 */
void ring_0_hypercalls()
{
    Words words{};
    auto at = reinterpret_cast<uint64_t>(&words);
    expect_result("an unknown hypercall", hypercall(kUnknownCall), -XEN_ENOSYS);
    for (unsigned command = 0; command < 40; command++)
        expect_result("a PHYSDEVOP", hypercall(__HYPERVISOR_physdev_op, command, at), -XEN_ENOSYS);
    words.word[0] = 0xffffffffffffffff;
    expect_result("PHYSDEVOP_eoi", hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_eoi, at),
                  -XEN_ENOSYS);
    evtchn_bind_pirq pirq{};
    pirq.pirq = 16;
    expect_result("EVTCHNOP_bind_pirq", event_channel_op(EVTCHNOP_bind_pirq, pirq), -XEN_ENOSYS);
}

/* features.h: what a guest is told to have must be there. */
void features_that_tcg_has()
{
    expect_result("XENVER_version", hypercall(__HYPERVISOR_xen_version, XENVER_version), 0x40011);
    xen_feature_info info{};
    expect_result(
        "XENVER_get_features",
        hypercall(__HYPERVISOR_xen_version, XENVER_get_features, reinterpret_cast<uint64_t>(&info)),
        0);
    if (!(info.submap & 1u << XENFEAT_hvm_callback_vector))
        wrong("there is no callback vector");
    if (!(info.submap & 1u << XENFEAT_hvm_safe_pvclock))
        wrong("there is no clock");
    if (info.submap & 1u << XENFEAT_hvm_pirqs)
        wrong("there are features that are not there: ", info.submap);
}

/* vcpu.h, RUNSTATE_running, and system time since the machine's start. */
void runstate_is_filled()
{
    uint64_t begin = system_time();
    pause_for(100);
    uint64_t passed = system_time() - begin;
    if (begin > 3600ull * 1000000000 || passed < 50000000 || passed > 10000000000)
        wrong("100 ms are ", passed, " ns after ", begin);
}

/* xen.h, struct vcpu_time_info: what follows from it and from the TSC is Xen's system time. */
void clock_is_the_system_time()
{
    alignas(vcpu_time_info) static volatile vcpu_time_info time;
    vcpu_register_time_memory_area area{};
    area.addr.p = reinterpret_cast<uint64_t>(&time);
    expect_result("VCPUOP_register_vcpu_time_memory_area",
                  vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, area), 0);
    if (!comes_true([&] { return time.tsc_to_system_mul != 0; }))
        wrong("the clock page was not filled in");
    if (!time.version || time.version % 2)
        wrong("the clock page has version ", time.version);
    for (uint32_t i = 0; i < 10; i++) {
        uint64_t before = system_time();
        uint64_t ticks = __builtin_ia32_rdtsc() - time.tsc_timestamp;
        uint64_t after = system_time();
        ticks = time.tsc_shift < 0 ? ticks >> -time.tsc_shift : ticks << time.tsc_shift;
        uint64_t now = time.system_time +
                       static_cast<uint64_t>(
                           static_cast<unsigned __int128>(ticks) * time.tsc_to_system_mul >> 32);
        if (now < before || now > after)
            wrong("the clock page says ", now, " between ", before, " and ", after);
        pause_for(10);
    }
}

/* memory.h, XENMEM_memory_map, in the format of the BIOS: RAM from 1 MiB, and behind it the ACPI
 * tables, which are not free memory. */
void memory_map_has_the_tables()
{
    MapEntry ram{}, tables{};
    for (uint32_t i = 0, count = memory_map(); i < count; i++) {
        if (map_entries[i].type == kRam && map_entries[i].begin == kMiB)
            ram = map_entries[i];
        if (map_entries[i].type == kAcpi)
            tables = map_entries[i];
        for (uint32_t j = 0; j < i; j++) {
            if (map_entries[i].begin < map_entries[j].begin + map_entries[j].length &&
                map_entries[j].begin < map_entries[i].begin + map_entries[i].length)
                wrong("entries ", j, " and ", i, " of the map overlap");
        }
    }
    if (!ram.length || tables.begin != ram.begin + ram.length || tables.length < kMiB / 4)
        wrong("there is RAM up to ", ram.begin + ram.length, ", and ACPI's from ", tables.begin);
}

/* memory.h: the number of entries stored, if there is not room for all. */
void memory_map_without_room()
{
    uint32_t count = memory_map();
    map_entries[count - 1] = {1, 2, 3};
    xen_memory_map map{};
    map.nr_entries = count - 1;
    map.buffer.p = map_entries;
    expect_result("a map with little room", memory_op(XENMEM_memory_map, map), 0);
    if (map_entries[count - 1].begin != 1 || map.nr_entries != count - 1)
        wrong("a map with little room has ", map.nr_entries, " entries");
    map.nr_entries = ~0u;
    map.buffer.p = reinterpret_cast<void *>(kNowhere);
    expect_result("a map for nowhere", memory_op(XENMEM_memory_map, map), -XEN_EFAULT);
}

/* memory.h, XENMEM_current_reservation and XENMEM_maximum_reservation, in pages. */
void reservation_is_the_memory()
{
    domid_t self = DOMID_SELF, other = 0;
    for (unsigned command : {XENMEM_current_reservation, XENMEM_maximum_reservation}) {
        expect_result("the reservation of 64 MiB", memory_op(command, self), 64 * kMiB / kPageSize);
        expect_result("another domain's reservation", memory_op(command, other), -XEN_ESRCH);
    }
}

/* xen.h, CONSOLEIO_write: what it says comes to the console, if there is one. */
void console_takes_a_page()
{
    static char text[kPageSize + 1] = "refusals says this by console_io\n";
    auto at = reinterpret_cast<uint64_t>(text);
    expect_result("a line for Xen's console",
                  hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, strlen(text), at), 0);
    for (uint64_t count : {uint64_t{sizeof text}, uint64_t{0x7fffffff}, ~uint64_t{0}})
        expect_result("too long a text for Xen's console",
                      hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, count, at), -XEN_EINVAL);
    expect_result("a text from nowhere",
                  hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, 16, kNowhere), -XEN_EFAULT);
}

/* A frame that no page table entry can name: XENMEM_add_to_physmap gives -EINVAL. */
void pages_beyond_the_address_width()
{
    for (uint64_t frame : {uint64_t{1} << 40, uint64_t{1} << 52, ~uint64_t{0}}) {
        expect_result("shared_info at an impossible frame",
                      add_to_physmap(XENMAPSPACE_shared_info, frame), -XEN_EINVAL);
        expect_result("a grant table at an impossible frame",
                      add_to_physmap(XENMAPSPACE_grant_table, frame), -XEN_EINVAL);
    }
}

/* memory.h, XENMEM_add_to_physmap_batch: a page that moves to and fro as often as one call can say
 * takes seconds, not minutes. It is a frame of the grant table that is not in use. */
void batch_of_many_pages()
{
    for (uint32_t i = 0; i < kBatch; i++) {
        batch_index[i] = 1;
        batch_frame[i] = batch_page[i % 2].frame();
        batch_error[i] = 1;
    }
    xen_add_to_physmap_batch batch{};
    batch.domid = DOMID_SELF;
    batch.space = XENMAPSPACE_grant_table;
    batch.size = kBatch;
    batch.idxs.p = batch_index;
    batch.gpfns.p = batch_frame;
    batch.errs.p = batch_error;
    uint64_t begin = system_time();
    expect_result("XENMEM_add_to_physmap_batch",
                  hypercall(__HYPERVISOR_memory_op, XENMEM_add_to_physmap_batch,
                            reinterpret_cast<uint64_t>(&batch)),
                  0);
    uint64_t passed = (system_time() - begin) / 1000000;
    for (int error : batch_error)
        expect_result("one of a batch", error, 0);
    if (passed > 20000)
        wrong("it took ", passed, " ms");
}

/* Xen: aligned to the guest's word, and within one page. */
void misaligned_vcpu_info()
{
    auto page = reinterpret_cast<uint64_t>(&info_page);
    expect_result("vcpu_info at 1", register_vcpu_info(page + 1), -XEN_EINVAL);
    expect_result("vcpu_info at 4", register_vcpu_info(page + 4), -XEN_EINVAL);
    expect_result("vcpu_info at 4040", register_vcpu_info(page + 4040), -XEN_EINVAL);
}

/* An event changes vcpu_info, and nobody changes ROM. What comes of such a registration and of the
 * event is up to Xen. The only way back to the default place is a reset. */
void vcpu_info_in_rom()
{
    evtchn_bind_ipi ipi{};
    expect_result("EVTCHNOP_bind_ipi", event_channel_op(EVTCHNOP_bind_ipi, ipi), 0);
    events.adopt(ipi.port);
    evtchn_send send{ipi.port};
    const uint64_t *rom = zeros_in_rom();

    timer.stop();
    interrupts_off();
    register_vcpu_info(reinterpret_cast<uint64_t>(rom));
    pause_for(20);
    event_channel_op(EVTCHNOP_send, send);
    pause_for(20);
    for (uint32_t i = 0; i < sizeof(vcpu_info) / 8; i++) {
        if (load(rom[i]))
            wrong("word ", i, " of the BIOS was changed to ", load(rom[i]));
    }

    auto *info = reinterpret_cast<vcpu_info *>(&info_page);
    expect_result("vcpu_info in RAM", register_vcpu_info(reinterpret_cast<uint64_t>(info)), 0);
    pause_for(20);
    *info = {};
    /* The port may be pending since its event above, and would then not become so again. */
    events.close(ipi.port);
    expect_result("EVTCHNOP_bind_ipi", event_channel_op(EVTCHNOP_bind_ipi, ipi), 0);
    events.adopt(ipi.port);
    send.port = ipi.port;
    expect_result("EVTCHNOP_send", event_channel_op(EVTCHNOP_send, send), 0);
    if (!comes_true([&] { return load(info->evtchn_upcall_pending); }))
        wrong("vcpu_info in RAM sees no event afterwards");

    soft_reset();
    bring_up_events();
    bring_up_rest();
}

/* Xen, VCPUOP_set_periodic_timer: not below one millisecond. */
void too_short_period()
{
    for (uint64_t period : {0, 1, 999999}) {
        vcpu_set_periodic_timer op{period};
        expect_result("a period below 1 ms", vcpu_op(VCPUOP_set_periodic_timer, 0, op),
                      -XEN_EINVAL);
    }
}

/* vcpu.h, VCPUOP_stop_periodic_timer. */
void stopped_timer_ticks()
{
    uint32_t begin = timer.ticks();
    if (!comes_true([&] { return timer.ticks() != begin; }))
        wrong("the timer did not tick while it should");
    for (uint32_t i = 0; i < 50; i++) {
        timer.start();
        pause_for(i % 12);
        timer.stop();
    }
    pause_for(20);
    begin = timer.ticks();
    pause_for(200);
    if (timer.ticks() != begin)
        wrong(timer.ticks() - begin, " ticks came from a timer that was stopped");
    timer.start();
}

/* A reset stops it: the next kernel binds VIRQ_TIMER and has asked for nothing yet. */
void periodic_timer_survives_reset()
{
    timer.start();
    soft_reset();
    bring_up_events();
    evtchn_port_t port = events.bind_virq(VIRQ_TIMER);
    if (uint32_t ticks = ticks_within(200, port))
        wrong(ticks, " ticks came after the reset");
    events.close(port);
    bring_up_rest();
}
