/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: the requests of one ring, from the ring to their answer. Each is
 * checked in full; then its grants are mapped, and the frontend's own pages go
 * to the Storage port.
 *
 * Life of a request: free → taken (copied) → checked → at the storage →
 * answered → free. There are as many slots as the ring has. If there is no room
 * for its segments, it waits before it is checked in full. Nothing more is taken
 * from the ring then. Only earlier requests have room: it goes on when one ends.
 *
 * The frontend is hostile. A request, and the segments of an indirect one, are
 * copied once, and not used before all of it was checked. If it breaks a clause,
 * the answer is that clause's status, and BackOwner hears of the clause.
 *
 * Nothing is allocated between start() and stop(). Threads: as of BackQueue.
 */
#pragma once

#include "back/barrier_gate.h"
#include "back/check.h"
#include "back/data_pages.h"

namespace pvblk
{

class BackRequests final : private StorageClient
{
public:
    /* `queue` publishes the staged response, soon after each answer. */
    BackRequests(BackPorts ports, const BackConfig &config, HooksPointer hooks, BarrierGate &gate,
                 HookedQueue &queue, QueueCounters &counters);

    void start(uint32_t slots, bool persistent);
    /* Forgets requests that hooks kept. */
    void stop();

    /* False: there is no slot for it. */
    bool accept(const WireRequest &wire);
    /* A request that waits for room tries again. False: one still waits. */
    bool resume();
    bool waits() const { return !waiting_.empty(); }
    /* A waiting barrier has its turn. False: no barrier waits. */
    bool barrier_turn();
    /* For hooks: see HookedQueue. */
    void proceed(uint32_t slot);
    void release(uint32_t slot);

    /* No request is at the storage. */
    bool idle() const { return working_ == 0; }
    /* What it costs to look at a request, in segments. */
    uint32_t work(const WireRequest &wire) const;
    uint32_t persistent_kept() const { return pages_.kept(); }

private:
    /* The next step. A barrier waits for all requests before it, then flushes,
     * then writes its data, stable. An empty barrier has no data. */
    enum class Step : uint8_t { Check, Work, BarrierWait, BarrierFlush, BarrierWrite };

    struct Request {
        WireRequest wire{};
        Task task{};
        Step step{Step::Check};
        bool gated{false};  /* the gate is closed for it */
        uint32_t parts{0};  /* not yet ended by the storage */
        bool failed{false}; /* a part of it failed */
    };

    void begin(uint32_t slot);
    void enter(uint32_t slot);
    Checked take_data(uint32_t slot, const Disk &disk);
    void advance(uint32_t slot);
    void submit(uint32_t slot, StorageOp op);
    void send(uint32_t slot, StorageRequest req);
    void storage_done(uint64_t tag, bool ok) override;
    void refuse(uint32_t slot, const Refusal &refusal);
    void finish(uint32_t slot, RspStatus status, bool keep = false);
    void vacate(uint32_t slot);
    void respond(const Request &r, RspStatus status);
    HookedRequest hooked(uint32_t slot);

    BackPorts ports_;
    const BackConfig &config_;
    HooksPointer hooks_;
    BarrierGate &gate_;
    HookedQueue &queue_;
    QueueCounters &counters_;
    DataPages pages_;
    std::vector<Request> requests_{};
    std::vector<uint32_t> free_{};
    std::vector<uint32_t> waiting_{}; /* for room; more than one only by hooks */
    uint32_t working_{0};             /* at the storage */
};

} // namespace pvblk
