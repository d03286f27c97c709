/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: BlockBack, a blkif backend. Publishes every node that blkif.h
 * of 2024 has for one, follows the frontend's state, and serves up to
 * kMaxQueues rings of up to 16 pages (queue.h). Knows nothing of QEMU.
 *
 * The frontend is hostile: one whose nodes break a clause is told so in the
 * node `error` and by Closing, and may start anew.
 *
 * A FaultPlan makes the backend itself hostile, at the points of the catalogue;
 * back_faults.h says how. BackKnobs bends what no plan can, for tests.
 *
 * Units: 512-byte sectors unless a name says otherwise; see back_config.h.
 * Threads: that of the ports, but for event_received() and what BackQueue
 * calls, which may be another one: BackEvents::pause() keeps them apart.
 * Errors: what the peer does is answered on the wire and counted; why a
 * connect or a ring failed is in last_error().
 */
#pragma once

#include "back/queue.h"
#include "fault/back_faults.h"
#include "pvblk/back_config.h"
#include "pvblk/xenbus.h"

namespace pvblk
{

/* Of all queues together, since the back was made. */
struct BackCounters {
    uint64_t connects{0}, connect_failures{0};
    uint64_t requests{0}, responses{0}, refused{0}, unsupported{0};
    uint64_t indirect{0}, segments{0}, map_failures{0};
    uint64_t persistent_hits{0}, persistent_kept{0};
    uint64_t events_received{0}, events_sent{0};
    uint64_t bytes_read{0}, bytes_written{0};
    uint64_t faults{0}; /* that the plan of now made happen */
};

/* What was agreed upon with the frontend. */
struct BackPlan {
    Abi abi{kNativeAbi};
    uint32_t queues{1};
    uint32_t ring_pages{1};
    bool persistent{false};
    std::array<RingNodes, kMaxQueues> rings{};
    bool operator==(const BackPlan &) const = default;
};

class BlockBack
{
public:
    BlockBack(BackPorts ports, BackConfig config);
    ~BlockBack();
    BlockBack(const BlockBack &) = delete;
    BlockBack &operator=(const BlockBack &) = delete;

    /* Publish nodes, then InitWait, and watch the frontend. */
    Status start();
    /* The same in two steps, for who has to do something in between. */
    void publish();
    Status watch();
    /* Ask the frontend to close (hot unplug): Closing. */
    void close();
    /* Gone without a word: no nodes, no ring, no mappings but kept ones. */
    void vanish();
    /* The storage changed its size: new `sectors`, Connected again. */
    void resized();

    /* Providers call these. */
    void store_changed();
    void event_received(uint32_t queue);
    /* Only after BackEvents::later(). */
    void later();

    /* From now on the backend obeys this plan. What the one before it put off
     * is done or given up. Not from inside of another call. */
    void set_faults(FaultPlan plan);
    const FaultPlan &faults() const { return faults_.plan(); }

    XenbusState state() const { return state_; }
    /* Of the connection that is; as it was, once it is no more. */
    const BackPlan &plan() const { return plan_; }
    BackCounters counters() const;
    const Error &last_error() const;
    /* Whether a ring stands still, for what its frontend did. */
    bool halted() const;

    /* ---- bending it: test code only ------------------------------------- */
    BackKnobs &knobs() { return knobs_; }
    BackConfig &config() { return config_; }
    /* Manual completion, any order; see BackKnobs::hold. */
    size_t held() const { return queues_[0]->held(); }
    const WireRequest &held_request(size_t i) const { return queues_[0]->held_request(i); }
    void complete(size_t i) { queues_[0]->complete(i); }
    void complete_all();
    /* Unmap what keep_mapped and keep_ring kept. */
    void let_go();
    /* push_raw() writes a response at our producer and publishes it, whatever
     * is in it; raw_ring() is the shared area itself. Of queue 0, which has
     * to be up. */
    void push_raw(const WireResponse &rsp) { queues_[0]->push_raw(rsp); }
    SharedRing &raw_ring() { return queues_[0]->raw_ring(); }
    void kick() { queues_[0]->kick(); }
    BackQueue &queue(uint32_t i) { return *queues_[i]; }
    void write_state_raw(std::string_view text) { write_state(text); }

private:
    struct Node {
        const char *name;
        std::optional<std::string> value;
    };
    std::vector<Node> nodes() const;
    void look();
    void publish_nodes();
    void set_state(XenbusState state);
    void write_state(XenbusState state);
    void write_state(std::string_view text);
    void remove_state();
    void write(std::string_view name, std::string_view value);
    void remove(std::string_view name);
    void write_number(std::string_view name, uint64_t value);
    bool allows(std::string_view name);

    void frontend_ready();
    void connect(const BackPlan &plan);
    void disconnect();
    void refuse(const Error &error);
    void disappear();

    /* back_faults.cc */
    void bend_node(std::string_view name, const std::optional<std::string> &honest);
    void bend_state(XenbusState before);
    void write_late_nodes();
    bool bend_connect();
    void bend_tick(std::string_view what);
    void bend_size(std::string_view node, uint64_t value);
    void bend_life(FaultKind kind);
    uint64_t faults_fired() const;

    /* nodes.cc: the frontend's nodes */
    Result<BackPlan> read_plan();
    Result<uint64_t> read_number(std::string_view name);
    Result<bool> read_flag(std::string_view name);
    Result<Abi> read_abi();
    Result<uint32_t> read_queues();
    Result<uint32_t> read_ring_pages();
    Result<RingNodes> read_ring(const std::string &dir, uint32_t pages);

    BackPorts ports_;
    BackConfig config_;
    const bool offers_discard_; /* unless a toolstack forbids it */
    BackKnobs knobs_{};
    XenbusState state_{XenbusState::Unknown};
    BackFaults faults_{ports_, state_};
    BackPlan plan_{};
    Error error_{};
    uint64_t connects_{0}, connect_failures_{0};
    bool connected_{false};
    /* A change of the store, or later(), is being worked on; what came
     * meanwhile: */
    bool busy_{false};
    bool look_{false}, resized_{false}, later_{false};
    BarrierGate gate_{}; /* of the queues, which go before it */
    std::vector<std::unique_ptr<BackQueue>> queues_{};
};

} // namespace pvblk
