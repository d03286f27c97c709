/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: one ring of a backend, and the requests on it. Takes them,
 * checks them in full, maps what they grant, hands the frontend's own pages to
 * the Storage port, and answers. Knows nothing of XenStore.
 *
 * Life of a request: free → taken (copied and checked) → [held, by a knob] →
 * at the storage → answered → free. There are as many as the ring has slots.
 *
 * The frontend is hostile: a request, and the segments of an indirect one, are
 * copied once; nothing of them is used before all of it was checked. A request
 * that breaks a clause is answered with that clause's status; a producer index
 * that lies halts the ring until the next connection, as Linux's does.
 *
 * Where a fault plan bends a decision, a function called bend_… does it; they
 * are in queue_faults.cc.
 *
 * Nothing is allocated between start() and stop(). Threads: start() and stop()
 * while nothing else runs (after BackEvents::pause() and Storage::drain()), the
 * rest on the one thread that event() is called on, which is the Storage's.
 */
#pragma once

#include "back/barrier_gate.h"
#include "back/persistent_maps.h"
#include "fault/back_faults.h"
#include "proto/ring.h"
#include "pvblk/back_config.h"
#include "pvblk/ports.h"

#include <atomic>
#include <memory>
#include <span>

namespace pvblk
{

/* Written by one thread, read by any. */
class Counter
{
public:
    void operator++(int) { add(1); }
    void add(uint64_t n) { __atomic_store_n(&value_, value_ + n, __ATOMIC_RELAXED); }
    uint64_t get() const { return __atomic_load_n(&value_, __ATOMIC_RELAXED); }

private:
    uint64_t value_{0};
};

/* Since the queue was made, over all connections. */
struct QueueCounters {
    Counter requests{}, responses{}, refused{}, unsupported{};
    Counter indirect{}, segments{}, map_failures{}, persistent_hits{};
    Counter events_received{}, events_sent{};
    Counter bytes_read{}, bytes_written{};
};

/* What the frontend's nodes say of a ring. */
struct RingNodes {
    std::array<GrantRef, kMaxRingPages> refs{};
    uint32_t pages{0};
    Port port{};
    bool operator==(const RingNodes &) const = default;
};

class BackQueue final : private StorageClient, private BarrierGate::Ring
{
public:
    /* `gate`: of all queues of the backend. */
    BackQueue(BackPorts ports, const BackConfig &config, const BackKnobs &knobs, BackFaults &faults,
              BarrierGate &gate, uint32_t index);
    ~BackQueue() { stop(); }
    BackQueue(const BackQueue &) = delete;
    BackQueue &operator=(const BackQueue &) = delete;

    Status start(Abi abi, const RingNodes &nodes, bool persistent);
    void stop();
    bool up() const { return up_; }

    void event();

    bool halted() const { return halted_; }
    void forget_halt() { halted_ = false; }
    /* Nothing of it is at the storage. */
    bool idle() const { return working_ == 0; }
    /* Why; only once halted() is true. */
    const Error &error() const { return error_; }
    const QueueCounters &counters() const { return counters_; }
    /* Pages that stay mapped. Exact only while nothing else runs. */
    uint32_t persistent_kept() const { return maps_ ? maps_->kept() : 0; }

    /* ---- for BlockBack and its BackFaults */
    void bend_prepare();
    /* The plan is another one: whatever was put off is done. */
    void bend_settle();
    /* Time passes for what waits for it. */
    void bend_tick();
    void bend_tick(const Fault &fault);
    void bend_later();

    /* ---- for BackKnobs and hostile tests: see BlockBack */
    size_t held() const { return held_.size(); }
    const WireRequest &held_request(size_t i) const { return requests_[held_[i]].wire; }
    void complete(size_t i);
    void push_raw(const WireResponse &rsp);
    SharedRing &raw_ring() { return shared_; }
    void kick();
    void let_go();

private:
    /* What is still to be done of a request. A barrier is: all before it, then
     * a flush, then its data, stable; an empty one needs no data. */
    enum class Step : uint8_t { Work, BarrierWait, BarrierFlush, BarrierWrite };

    struct Request {
        WireRequest wire{};
        StorageOp op{StorageOp::Read};
        Step step{Step::Work};
        uint32_t segments{0}, mapped{0};
        uint64_t sector{0}, sectors{0}; /* 512 bytes */
        /* By fault: what happens to data that was read; Okay without being
         * done; pages stay mapped after the response. */
        std::optional<Fault> bend{};
        bool pretend{false}, lingers{false};
        bool barrier{false}; /* the gate is closed for it */
    };

    Status map_ring(Abi abi, const RingNodes &nodes);
    void size_for(uint32_t entries, bool persistent);
    void storage_done(uint64_t tag, bool ok) override;
    bool barrier_turn() override;
    void look_again() override;

    void accept(const WireRequest &wire);
    void begin(uint32_t index);
    void work(uint32_t index);
    void submit(uint32_t index, StorageOp op);
    void finish(uint32_t index, RspStatus status);
    void respond(const Request &r, RspStatus status);
    void stage(const WireResponse &rsp);
    Result<uint32_t> waiting();
    void flush_responses();
    bool may_take() const;
    void halt(const Error &error);

    RspStatus check(uint32_t index);
    RspStatus check_data(uint32_t index);
    RspStatus check_flush(Request &r) const;
    RspStatus check_discard(Request &r) const;
    bool take_segments(uint32_t index);
    bool take_indirect(uint32_t index);
    bool in_range(uint64_t unit_sector, uint64_t sectors, Request &r) const;
    bool map_data(uint32_t index);
    void unmap_data(uint32_t index);
    void give_back(const Mapping &mapping, std::string_view name, FaultOpSet ops);

    bool bend_take(const WireRequest &wire);
    Result<uint32_t> bend_waiting();
    bool forged_requests();
    std::optional<RspStatus> bend_work(const Request &r);
    bool bend_data(uint32_t index, StorageRequest &req);
    bool bend_short(uint32_t index, StorageRequest &req, uint64_t sectors);
    void bend_poison(uint32_t index, std::byte value);
    void bend_written(uint32_t index, uint64_t bit);
    void bend_read(uint32_t index);
    std::pair<uint32_t, uint64_t> find_bit(uint32_t index, uint64_t bit);
    void bend_response(const Request &r, WireResponse rsp);
    bool put_off(const WireResponse &rsp, uint32_t ticks);
    void stage_and_note(const WireResponse &rsp);
    bool bend_publish();
    bool bend_publish(const Fault &fault);
    void bend_flushed();
    void bend_indices(const Fault &fault);
    void bend_notify();
    bool bend_unmap(const Mapping &mapping, std::string_view name, FaultOpSet ops);
    void end_lingering();

    std::span<WireSegment> segments(uint32_t index);
    Mapping *mappings(uint32_t index) { return &mappings_[size_t{index} * max_segments_]; }
    struct iovec *iov(uint32_t index) { return &iov_[size_t{index} * max_segments_]; }

    BackPorts ports_;
    const BackConfig &config_;
    const BackKnobs &knobs_;
    BackFaults &faults_;
    BarrierGate &gate_;
    const uint32_t index_;
    FaultyGrants grants_;
    QueueCounters counters_{};

    bool up_{false};
    bool bound_{false};
    bool persistent_{false};
    std::atomic<bool> halted_{false};
    Error error_{};
    std::array<Mapping, kMaxRingPages> ring_pages_{};
    uint32_t nr_ring_pages_{0};
    SharedRing shared_{};
    BackRing<SharedRing> ring_{};
    std::unique_ptr<PersistentMaps> maps_{};

    uint32_t max_segments_{kMaxDirectSegments};
    std::vector<Request> requests_{};
    std::vector<WireSegment> segments_{}; /* max_segments_ a request; so are: */
    std::vector<Mapping> mappings_{};
    std::vector<struct iovec> iov_{};
    std::vector<uint32_t> free_{};
    std::vector<uint32_t> held_{};
    uint32_t work_{0};            /* segments, in this event */
    uint32_t working_{0};         /* at the storage */
    bool in_event_{false};        /* responses are published at its end */
    std::vector<Mapping> kept_{}; /* by knob */

    /* What a fault put off. Sized by bend_prepare(), given up by stop(). */
    struct Deferred {
        WireResponse rsp;
        uint32_t ticks; /* 0: until the next response was written */
    };
    struct Rewrite {
        RingIndex at;
        WireResponse rsp;
    };
    std::vector<Deferred> deferred_{};
    std::vector<Rewrite> rewrites_{};
    std::vector<uint32_t> lingering_{}; /* requests */
    std::vector<std::byte> scratch_{};  /* a page a request */
    std::optional<RequestId> last_id_{};
    struct Forged {
        RingIndex honest, stored;
    };
    std::optional<Forged> forged_{}; /* req_prod, by ourselves */
};

} // namespace pvblk
