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
 */
struct Kind {
    uint32_t number, command;
    const char *fields;
    uint32_t weight;
};

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
    {__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, "gox", 8},
    {__HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, "t", 8},
    {__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, "", 8},
    {__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, "twx", 8},
    {__HYPERVISOR_vcpu_op, VCPUOP_stop_singleshot_timer, "", 4},
    {__HYPERVISOR_hvm_op, HVMOP_set_param, "d,nc", 10},
    {__HYPERVISOR_hvm_op, HVMOP_get_param, "d,nc", 6},
    {__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, "vu,,", 6},
    {__HYPERVISOR_hvm_op, HVMOP_pagetable_dying, "d,xg", 1},
    {__HYPERVISOR_memory_op, XENMEM_add_to_physmap, "dmsig", 12},
    {__HYPERVISOR_memory_op, XENMEM_add_to_physmap_batch, "dSm,aaa", 4},
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

Field field(Random &random, char letter)
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
    case 'i': {
        /* Its upper half is a frame where the layouts are those of 32 bits. */
        uint64_t index = mostly_below(random, 4);
        return {index >> 32 ? index | 1ull << 51 : index, 8};
    }
    case 'm': return {mostly_below(random, 8), 2};
    case 'u': return {random.next(), 1};
    case 'n': return {random.one_in(3) ? mostly_below(random, 40) : HVM_PARAM_CALLBACK_IRQ, 4};
    case 'c': return {callback(random), 8};
    case 'w': return {mostly_below(random, 4), 4};
    case 'x': return {random.any(), 4};
    default: return {0, 2};
    }
}

constexpr uint32_t kMaxArgument = 64;

/* Puts the argument where the pointer says, if it can be written to. */
uint64_t argument(Random &random, const char *fields)
{
    uint8_t bytes[kMaxArgument]{};
    uint32_t size = 0;
    for (; *fields; fields++) {
        Field f = field(random, *fields);
        memcpy(bytes + size, &f.value, f.bytes);
        size += f.bytes;
    }
    if (random.one_in(16))
        bytes[random.below(kMaxArgument)] ^= static_cast<uint8_t>(1u << random.below(8));
    uint64_t at = arena::pointer(random, kMaxArgument);
    if (arena::writable(at, kMaxArgument))
        memcpy(reinterpret_cast<void *>(at), bytes, kMaxArgument);
    return at;
}

/* What would end the guest: sched_op, SCHEDOP_shutdown, with whatever the pointer finds. */
bool would_end(const Call &call)
{
    return (call.number & 0xffff) == __HYPERVISOR_sched_op &&
           static_cast<uint32_t>(call.argument[0]) == SCHEDOP_shutdown;
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
    uint64_t at = argument(random, kind.fields);
    Call call{kind.number, {kind.command, at, 1}};
    if (kind.number == __HYPERVISOR_vcpu_op) {
        call.argument[1] = random.one_in(2) ? processor.number() : mostly_below(random, 3);
        call.argument[2] = at;
    } else if (kind.number == __HYPERVISOR_grant_table_op) {
        call.argument[2] = mostly_below(random, 3);
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
