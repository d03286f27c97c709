/* SPDX-License-Identifier: MIT */
#include "evtchn.h"

#include "console.h"

Events events;

namespace
{

/* This page of ours disappears behind Xen's (XENMEM_add_to_physmap, XENMAPSPACE_shared_info). */
Page shared_info_page;

shared_info &shared()
{
    return *reinterpret_cast<shared_info *>(&shared_info_page);
}

} // namespace

void Events::init()
{
    if (long error = map_xen_page(XENMAPSPACE_shared_info, 0, shared_info_page))
        fail("cannot map the shared info page, error ", error);
}

evtchn_port_t Events::allocate(domid_t remote)
{
    evtchn_alloc_unbound op{};
    op.dom = DOMID_SELF;
    op.remote_dom = remote;
    if (long error = event_channel_op(EVTCHNOP_alloc_unbound, op))
        fail("EVTCHNOP_alloc_unbound: error ", error);
    adopt(op.port);
    return op.port;
}

evtchn_port_t Events::bind_virq(uint32_t virq)
{
    evtchn_bind_virq op{};
    op.virq = virq;
    op.vcpu = 0;
    if (long error = event_channel_op(EVTCHNOP_bind_virq, op))
        fail("EVTCHNOP_bind_virq: error ", error);
    adopt(op.port);
    return op.port;
}

/* Whether ports begin masked is up to Xen. Unmasking also raises what became pending before. */
void Events::adopt(evtchn_port_t port)
{
    if (port >= kCounted)
        fail("port ", port, " is beyond those this guest counts");
    evtchn_unmask op{port};
    if (long error = event_channel_op(EVTCHNOP_unmask, op))
        fail("EVTCHNOP_unmask: error ", error);
}

void Events::close(evtchn_port_t port)
{
    evtchn_close op{port};
    if (long error = event_channel_op(EVTCHNOP_close, op))
        fail("EVTCHNOP_close: error ", error);
}

void Events::notify(evtchn_port_t port)
{
    evtchn_send op{port};
    if (long error = event_channel_op(EVTCHNOP_send, op))
        fail("EVTCHNOP_send: error ", error);
}

/* Xen interrupts only where this was clear. */
void Events::hold()
{
    store(shared().vcpu_info[0].evtchn_upcall_pending, uint8_t{1});
}

/*
 * Xen sets the port's bit, then its word's bit in the selector, then upcall_pending, and interrupts
 * only where the last of them was clear. We go the other way round and clear each level before we
 * look at the next one: whatever Xen sets behind our back interrupts again. Each exchange is a full
 * barrier; its partners are the atomic operations with which Xen sets these bits.
 */
void Events::collect()
{
    vcpu_info &vcpu = shared().vcpu_info[0];
    store(upcalls_, upcalls_ + 1);
    __atomic_exchange_n(&vcpu.evtchn_upcall_pending, uint8_t{0}, __ATOMIC_SEQ_CST);
    xen_ulong_t words =
        __atomic_exchange_n(&vcpu.evtchn_pending_sel, xen_ulong_t{0}, __ATOMIC_SEQ_CST);
    for (; words; words &= words - 1) {
        auto word = static_cast<uint32_t>(__builtin_ctzl(words));
        xen_ulong_t ports = load(shared().evtchn_pending[word]) & ~load(shared().evtchn_mask[word]);
        __atomic_fetch_and(&shared().evtchn_pending[word], ~ports, __ATOMIC_SEQ_CST);
        for (; ports; ports &= ports - 1) {
            uint32_t port = word * 64 + static_cast<uint32_t>(__builtin_ctzl(ports));
            store(count_[port % kCounted], count_[port % kCounted] + 1);
        }
    }
}
