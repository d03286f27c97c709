/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: one ring of a backend, and its event channel. It takes requests
 * from the ring (BackRequests does the rest), and publishes the responses. It
 * does not know XenStore.
 *
 * The frontend is hostile: a producer index that lies halts the ring until the
 * next connection, as Linux's does.
 *
 * Nothing is allocated between start() and stop(). Threads: call start() and
 * stop() while nothing else runs (after BackEvents::pause() and
 * Storage::drain()). Call the rest on the thread of event(), which is the
 * Storage's.
 */
#pragma once

#include "back/area.h"
#include "back/requests.h"
#include "back/ring_memory.h"
#include "proto/ring.h"

#include <atomic>

namespace pvblk
{

class BackQueue final : public HookedQueue, private BarrierGate::Ring
{
public:
    /* `gate`: of all queues of the backend. */
    BackQueue(BackPorts ports, const BackConfig &config, HooksPointer hooks, BarrierGate &gate,
              uint32_t index);
    BackQueue(const BackQueue &) = delete;
    BackQueue &operator=(const BackQueue &) = delete;

    Status start(Abi abi, const RingNodes &nodes, bool persistent);
    void stop();
    /* Tell the hooks if the ring is up. */
    void tell_hooks();

    void event();

    /* As in BackRings, for this ring; false if it is not up. May run beside event(),
     * not beside start() or stop(). */
    bool stale() const;
    bool used() const { return up_ && counters_.requests.get() != taken_before_; }

    bool halted() const { return halted_; }
    void forget_halt() { halted_ = false; }
    /* Why the ring halted; valid once halted() is true. */
    const Error &error() const { return error_; }
    /* None of its requests is at the storage. */
    bool idle() const { return requests_.idle(); }
    const QueueCounters &counters() const { return counters_; }
    uint32_t persistent_kept() const { return requests_.persistent_kept(); }

    /* As in HookedQueue. */
    uint32_t index() const override { return index_; }
    SharedRing &area() override { return memory_.shared(); }
    void stage(const WireResponse &rsp) override;
    bool publish() override;
    void flush() override;
    void send_event(uint32_t to) override;
    void proceed(uint32_t slot) override { requests_.proceed(slot); }
    void release(uint32_t slot) override { requests_.release(slot); }
    void count_unasked() override { counters_.responses++; }

private:
    bool barrier_turn() override { return requests_.barrier_turn(); }
    void look_again() override { ports_.events.again(index_); }

    Result<uint32_t> waiting();
    bool rests() { return hooks_ && hooks_->rests(*this); }
    bool may_take();
    void take();
    bool publish_staged();
    void notify();
    void halt(const Error &error);
    void end(bool bound);

    BackPorts ports_;
    HooksPointer hooks_;
    BarrierGate &gate_;
    const uint32_t index_;
    QueueCounters counters_{};
    RingMemory memory_;
    BackRing<BackArea> ring_{};
    BackRequests requests_;

    bool up_{false};
    std::atomic<bool> halted_{false};
    /* rsp_prod in the ring, as we wrote it: from told_ to telling_. */
    std::atomic<uint32_t> told_{0}, telling_{0};
    uint64_t taken_before_{0}; /* requests, when it came up */
    Error error_{};
    bool unheard_{false};  /* an event could not be sent, and that was reported */
    uint32_t work_{0};     /* segments, in this event */
    bool in_event_{false}; /* responses are published at its end */
};

} // namespace pvblk
