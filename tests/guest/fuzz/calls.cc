/* SPDX-License-Identifier: MIT */
/*
 * The hypercalls, as data: for each, what its argument consists of. A letter is a field, filled
 * with something that is mostly right for its kind.
 */
#include "calls.h"

#include "arena.h"
#include "hypercall.h"
#include "text.h"

#include <xen/grant_table.h>
#include <xen/physdev.h>
#include <xen/version.h>

namespace
{

/*
 *   d domain, 16 bits          p port, 32           v vCPU, 32          V virtual IRQ, 32
 *   q PIRQ, 32                 I GSI, 32            g frame, 64         o offset in a page, 32
 *   t time or period, 64       a address, 64        s map space, 32     S map space, 16
 *   i small index, 64          m small number, 16   u vector, 8         n parameter, 32
 *   c callback, 64             w small word, 32     x anything, 32      , 16 zero bits
 *   f frame, 32                z length of a list, 16
 *   A B E lists of indices, frames and errors, 64    j k l the same, 32
 */
struct Kind {
    uint32_t number, command;
    const char *fields;
    uint32_t weight;
    /* Names frames. The argument is then where nobody but this processor writes, lest others make a
     * frame of ours of it, and has the layout of the code that calls. */
    bool frames{false};
    Layout layout{Layout::Any};
};

constexpr uint32_t kMaxList = 16, kMaxArgument = 64;

/* Not in the arena. */
struct Lists {
    uint8_t argument[kMaxArgument];
    uint64_t index[kMaxList], frame[kMaxList];
    uint32_t index32[kMaxList], frame32[kMaxList], error[kMaxList];
} lists[2];

constexpr Kind kinds[] = {
    {__HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, "d,pp", 8},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, "Vvp", 8},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_bind_pirq, "qxp", 6},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_close, "p", 6},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_send, "p", 16},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_status, "d,pxxxx", 6},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, "ddp", 8},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, "vp", 8},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_bind_vcpu, "pv", 8},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_unmask, "p", 8},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_init_control, "gwv", 1},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_expand_array, "g", 1},
    {__HYPERVISOR_event_channel_op, EVTCHNOP_set_priority, "pw", 1},
    {__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, "a", 3},
    {__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_time_memory_area, "a", 3},
    {__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, "gox", 8, true},
    {__HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, "t", 8},
    {__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, "", 8},
    {__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, "twx", 8},
    {__HYPERVISOR_vcpu_op, VCPUOP_stop_singleshot_timer, "", 4},
    {__HYPERVISOR_hvm_op, HVMOP_set_param, "d,nc", 10},
    {__HYPERVISOR_hvm_op, HVMOP_get_param, "d,nc", 6},
    {__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, "vu,,", 6},
    {__HYPERVISOR_hvm_op, HVMOP_pagetable_dying, "d,xg", 1},
    {__HYPERVISOR_memory_op, XENMEM_add_to_physmap, "dmsig", 10, true, Layout::Bits64},
    {__HYPERVISOR_memory_op, XENMEM_add_to_physmap, "dmswf", 4, true, Layout::Bits32},
    {__HYPERVISOR_memory_op, XENMEM_add_to_physmap_batch, "dSz,ABE", 3, true, Layout::Bits64},
    {__HYPERVISOR_memory_op, XENMEM_add_to_physmap_batch, "dSz,jkl", 2, true, Layout::Bits32},
    {__HYPERVISOR_memory_op, XENMEM_memory_map, "xxa", 4},
    {__HYPERVISOR_memory_op, XENMEM_memory_map, "xx", 2},
    {__HYPERVISOR_memory_op, XENMEM_current_reservation, "d", 1},
    {__HYPERVISOR_memory_op, XENMEM_maximum_reservation, "d", 1},
    {__HYPERVISOR_console_io, CONSOLEIO_write, "", 3},
    {__HYPERVISOR_console_io, CONSOLEIO_read, "", 1},
    {__HYPERVISOR_grant_table_op, GNTTABOP_query_size, "d,xxx", 2},
    {__HYPERVISOR_grant_table_op, GNTTABOP_set_version, "w", 2},
    {__HYPERVISOR_grant_table_op, GNTTABOP_get_version, "d,w", 2},
    {__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, "d,wwwa", 1},
    {__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, "awwdmxwa", 1},
    {__HYPERVISOR_grant_table_op, GNTTABOP_copy, "adwm,mwm", 1},
    {__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, "d,wIqwwwwg", 6},
    {__HYPERVISOR_physdev_op, PHYSDEVOP_unmap_pirq, "d,q", 4},
    {__HYPERVISOR_physdev_op, PHYSDEVOP_eoi, "q", 3},
    {__HYPERVISOR_physdev_op, PHYSDEVOP_irq_status_query, "qx", 3},
    {__HYPERVISOR_physdev_op, PHYSDEVOP_get_free_pirq, "wx", 6},
    {__HYPERVISOR_physdev_op, PHYSDEVOP_pirq_eoi_gmfn_v2, "g", 1},
    {__HYPERVISOR_xen_version, XENVER_version, "", 1},
    {__HYPERVISOR_xen_version, XENVER_get_features, "wx", 2},
    {__HYPERVISOR_xen_version, XENVER_guest_handle, "xxxx", 1},
    {__HYPERVISOR_sched_op, SCHEDOP_yield, "", 2},
    {__HYPERVISOR_sched_op, SCHEDOP_poll, "aw,,t", 2},
};

constexpr uint32_t total_weight()
{
    uint32_t sum = 0;
    for (const Kind &kind : kinds)
        sum += kind.weight;
    return sum;
}

const Kind &random_kind(Random &random)
{
    uint32_t at = random.below(total_weight());
    for (const Kind &kind : kinds) {
        if (at < kind.weight)
            return kind;
        at -= kind.weight;
    }
    __builtin_unreachable();
}

uint64_t domain(Random &random)
{
    constexpr uint64_t list[] = {DOMID_SELF, DOMID_SELF, DOMID_SELF, 0, 0, 1, 2, DOMID_IO};
    return random.of(list);
}

uint64_t time(Random &random)
{
    switch (random.below(6)) {
    case 0: return 1000000 + random.below(5000000);
    case 1: return random.below(2000000);
    case 2: return 1ull << (40 + random.below(24));
    case 3: return -random.below(1000000);
    case 4: return (1ull << 62) - random.below(3) + 1;
    default: return random.any();
    }
}

/* params.h, HVM_PARAM_CALLBACK_IRQ: the type on top. */
uint64_t callback(Random &random)
{
    uint64_t type = random.below(5), value = random.any();
    switch (type) {
    case HVM_PARAM_CALLBACK_TYPE_GSI: value = random.below(28); break;
    case HVM_PARAM_CALLBACK_TYPE_PCI_INTX: value = random.below(1u << 16); break;
    case HVM_PARAM_CALLBACK_TYPE_VECTOR: value = random.below(256); break;
    }
    return type << 56 | (value & ((1ull << 56) - 1));
}

struct Field {
    uint64_t value;
    uint32_t bytes;
};

uint64_t mostly_below(Random &random, uint32_t n)
{
    return random.one_in(12) ? random.any() : random.below(n);
}

/* One that fits into 32 bits. */
uint32_t frame32(Random &random)
{
    uint64_t frame = arena::frame(random);
    return static_cast<uint32_t>(frame >> 32 ? arena::kBegin / kPageSize : frame);
}

void fill(Random &random, Lists &l)
{
    for (uint32_t i = 0; i < kMaxList; i++) {
        l.index[i] = mostly_below(random, 4);
        l.frame[i] = arena::frame(random);
        l.index32[i] = static_cast<uint32_t>(mostly_below(random, 4));
        l.frame32[i] = frame32(random);
    }
}

/* A list's address, or now and then one where nothing is. */
template <class T>
uint64_t list(Random &random, T *l)
{
    return random.one_in(12) ? arena::nothing(random) : reinterpret_cast<uint64_t>(l);
}

Field field(Random &random, Lists &l, char letter)
{
    switch (letter) {
    case 'd': return {domain(random), 2};
    case 'p': return {mostly_below(random, 24), 4};
    case 'v': return {mostly_below(random, 3), 4};
    case 'V': return {random.one_in(2) ? VIRQ_TIMER : mostly_below(random, NR_VIRQS + 1), 4};
    case 'q': return {mostly_below(random, 300), 4};
    case 'I': return {mostly_below(random, 26), 4};
    case 'g': return {arena::frame(random), 8};
    case 'o':
        return {random.one_in(2) ? random.below(64) * 64 : mostly_below(random, kPageSize), 4};
    case 't': return {time(random), 8};
    case 'a': return {arena::pointer(random, 64), 8};
    case 's': return {mostly_below(random, 2), 4};
    case 'S': return {mostly_below(random, 2), 2};
    case 'i': return {mostly_below(random, 4), 8};
    case 'm': return {mostly_below(random, 8), 2};
    case 'u': return {random.next(), 1};
    case 'n': return {random.one_in(3) ? mostly_below(random, 40) : HVM_PARAM_CALLBACK_IRQ, 4};
    case 'c': return {callback(random), 8};
    case 'f': return {frame32(random), 4};
    case 'z': return {random.below(kMaxList + 1), 2};
    case 'A': return {list(random, l.index), 8};
    case 'B': return {list(random, l.frame), 8};
    case 'E': return {list(random, l.error), 8};
    case 'j': return {list(random, l.index32), 4};
    case 'k': return {list(random, l.frame32), 4};
    case 'l': return {list(random, l.error), 4};
    case 'w': return {mostly_below(random, 4), 4};
    case 'x': return {random.any(), 4};
    default: return {0, 2};
    }
}

/* Puts the argument where the pointer says, if it can be written to. */
uint64_t argument(Processor &processor, const Kind &kind)
{
    Random &random = processor.random();
    Lists &l = lists[processor.number()];
    uint8_t bytes[kMaxArgument]{};
    uint32_t size = 0;
    if (kind.frames)
        fill(random, l);
    for (const char *at = kind.fields; *at; at++) {
        Field f = field(random, l, *at);
        memcpy(bytes + size, &f.value, f.bytes);
        size += f.bytes;
    }
    if (kind.frames) {
        memcpy(l.argument, bytes, kMaxArgument);
        return list(random, l.argument);
    }
    if (random.one_in(16))
        bytes[random.below(kMaxArgument)] ^= static_cast<uint8_t>(1u << random.below(8));
    uint64_t at = arena::pointer(random, kMaxArgument);
    if (arena::writable(at, kMaxArgument))
        memcpy(reinterpret_cast<void *>(at), bytes, kMaxArgument);
    return at;
}

/* What would end the guest with whatever the pointer finds: SCHEDOP_shutdown, and what takes
 * frames. */
bool would_end(const Call &call)
{
    auto command = static_cast<uint32_t>(call.argument[0]);
    switch (call.number & 0xffff) {
    case __HYPERVISOR_sched_op: return command == SCHEDOP_shutdown;
    case __HYPERVISOR_memory_op:
        return command == XENMEM_add_to_physmap || command == XENMEM_add_to_physmap_batch;
    case __HYPERVISOR_vcpu_op: return command == VCPUOP_register_vcpu_info;
    }
    return false;
}

void any_call(Processor &processor)
{
    Random &random = processor.random();
    Call call{random.one_in(4) ? random.any() : random.below(64), {}};
    for (uint64_t &a : call.argument)
        a = random.one_in(2) ? arena::pointer(random, kMaxArgument) : mostly_below(random, 32);
    if (!would_end(call))
        processor.call(call);
}

} // namespace

void random_call(Processor &processor)
{
    Random &random = processor.random();
    if (random.one_in(16))
        return any_call(processor);
    const Kind &kind = random_kind(random);
    uint64_t at = argument(processor, kind);
    Call call{kind.number, {kind.command, at, 1}, kind.layout};
    if (kind.number == __HYPERVISOR_vcpu_op) {
        call.argument[1] = random.one_in(2) ? processor.number() : mostly_below(random, 3);
        call.argument[2] = at;
    } else if (kind.number == __HYPERVISOR_grant_table_op) {
        call.argument[2] = mostly_below(random, 3);
    } else if (kind.number == __HYPERVISOR_console_io) {
        call.argument[1] = mostly_below(random, 2 * kPageSize);
        call.argument[2] = at;
    }
    if (random.one_in(24))
        call = {__HYPERVISOR_set_timer_op, {time(random)}};
    processor.call(call);
}

/* Not in the arena, where the other processor could turn it into a power-off. */
void soft_reset(Processor &processor)
{
    static const sched_shutdown reason{SHUTDOWN_soft_reset};
    evtchn_reset ports{DOMID_SELF};
    if (processor.random().one_in(2))
        processor.call(
            {__HYPERVISOR_event_channel_op, {EVTCHNOP_reset, reinterpret_cast<uint64_t>(&ports)}});
    processor.call(
        {__HYPERVISOR_sched_op, {SCHEDOP_shutdown, reinterpret_cast<uint64_t>(&reason)}});
}
