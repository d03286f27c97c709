/* SPDX-License-Identifier: MIT */
/*
 * A shared area for FrontRing and BackRing whose memory is Relacy's: indices
 * are atomics of which a load may return any value that C++11 allows, and a
 * slot that two threads use without an order between them is a data race.
 *
 * Each side has a type of its own, so that a Fault can take away what one
 * side's templates rely on: the mutants that need no change of ring.h.
 *
 * A limit: Relacy lets a load return one of the last three stores. A producer
 * index has no more in the scenarios that are searched in full; an event index
 * may, where its side was woken for nothing.
 *
 * ring.h comes before Relacy, which redefines `new`, `free` and `assert`.
 */
#pragma once

#include "proto/ring.h"

#include <relacy/relacy.hpp>
#undef free /* a member of FrontRing */

namespace pvblk::proof
{

enum class Side { Front, Back };

enum class Fault {
    None,
    NoFullFence,
    WeakFullFence, /* acquire and release, which do not order a store before a load */
    NoAcquireFence,
    NoReleaseFence,
    NoRearm, /* *_event is never written */
};

/* What a run was asked to break; set once, before Relacy starts. */
inline Side faulty_side = Side::Front;
inline Fault fault = Fault::None;

/* What the peers share. A slot holds a request or a response: an ID and which
 * of the two, to see one that is read as the other. */
struct Area {
    static constexpr uint32_t kMaxEntries = 4;

    rl::atomic<uint32_t> index[4];
    rl::var<uint64_t> slot[kMaxEntries];
    uint32_t entries{0}; /* constant once the threads run */

    void init(uint32_t n, RingIndex start)
    {
        entries = n;
        uint32_t next = start.value + 1;
        index[0].store(start.value, rl::memory_order_relaxed);
        index[1].store(next, rl::memory_order_relaxed);
        index[2].store(start.value, rl::memory_order_relaxed);
        index[3].store(next, rl::memory_order_relaxed);
    }
};

template <Side side>
class ModelShared
{
public:
    ModelShared() = default;
    explicit ModelShared(Area &area) : area_(&area) {}

    uint32_t entries() const { return area_->entries; }

    RingIndex load(SringField f) const
    {
        return RingIndex(area_->index[place(f)].load(rl::memory_order_relaxed));
    }
    void store(SringField f, RingIndex i)
    {
        bool event = f == SringField::ReqEvent || f == SringField::RspEvent;
        if (event && broken(Fault::NoRearm))
            return;
        area_->index[place(f)].store(i.value, rl::memory_order_relaxed);
    }

    static void fence_full()
    {
        if (broken(Fault::NoFullFence))
            return;
        if (broken(Fault::WeakFullFence))
            rl::atomic_thread_fence(rl::memory_order_acq_rel);
        else
            rl::atomic_thread_fence(rl::memory_order_seq_cst);
    }
    static void fence_acquire()
    {
        if (!broken(Fault::NoAcquireFence))
            rl::atomic_thread_fence(rl::memory_order_acquire);
    }
    static void fence_release()
    {
        if (!broken(Fault::NoReleaseFence))
            rl::atomic_thread_fence(rl::memory_order_release);
    }

    void put_request(RingIndex i, const WireRequest &req) { put(i, req.id, kRequest); }
    WireRequest get_request(RingIndex i) const
    {
        WireRequest req;
        req.id = get(i, kRequest);
        return req;
    }
    void put_response(RingIndex i, const WireResponse &rsp) { put(i, rsp.id, kResponse); }
    WireResponse get_response(RingIndex i) const
    {
        WireResponse rsp;
        rsp.id = get(i, kResponse);
        return rsp;
    }

private:
    static constexpr uint64_t kRequest = 1, kResponse = 2, kKinds = 4;

    static bool broken(Fault f) { return fault == f && faulty_side == side; }
    static uint32_t place(SringField f) { return static_cast<uint32_t>(f) / 4; }

    void put(RingIndex i, RequestId id, uint64_t kind)
    {
        area_->slot[i.value % area_->entries]($) = id.value * kKinds + kind;
    }
    RequestId get(RingIndex i, uint64_t kind) const
    {
        uint64_t word = area_->slot[i.value % area_->entries]($);
        RL_ASSERT(word % kKinds == kind);
        return RequestId(word / kKinds);
    }

    Area *area_{nullptr};
};

/*
 * An event channel: events that nobody waited for merge into one, and a wait
 * takes it. What was written before an event is visible to who it woke, as
 * Xen and QEMU guarantee; without that no protocol could sleep.
 */
class EventChannel
{
public:
    void open() { event_.init(false, false, $); }
    void close() { event_.deinit($); }
    void notify() { event_.set($); }
    void wait() { event_.wait(false, false, $); }

private:
    rl::generic_event event_;
};

} // namespace pvblk::proof
