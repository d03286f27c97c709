/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: what makes a backend obey a FaultPlan. BackFaults owns the
 * plan and what of its faults outlives a decision; BackQueue and BlockBack ask
 * it at each point of the catalogue, and do what the answer says in
 * back_faults.cc and queue_faults.cc, all of whose functions are called
 * bend_…: the honest backend is everywhere else.
 *
 * What is put off is bounded by the ring, and given up with the connection;
 * only grants/map-for-ever lasts as long as the backend.
 *
 * Threads: one, that of the ports: a backend with a plan has no other for I/O.
 */
#pragma once

#include "back/persistent_maps.h"
#include "proto/wire.h"
#include "pvblk/fault.h"
#include "pvblk/ports.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pvblk
{

/* Never 0: that is a decision about no request. */
constexpr FaultOpSet fault_ops(const WireRequest &req)
{
    FaultOpSet ops = fault_op(req.op);
    if (req.op == Op::Indirect)
        ops |= fault_op(req.indirect_op);
    return ops;
}

class BackFaults
{
public:
    /* `state`: the backend's, which conditions ask for. */
    BackFaults(BackPorts ports, const XenbusState &state) : ports_(ports), state_(state) {}
    ~BackFaults() { let_go(); }
    BackFaults(const BackFaults &) = delete;
    BackFaults &operator=(const BackFaults &) = delete;

    const FaultPlan &plan() const { return plan_; }
    /* Whether there is anything to ask: the one branch of an honest backend. */
    bool any() const { return plan_.rules() != 0; }
    std::optional<Fault> at(FaultPoint point, FaultOpSet ops = 0, uint32_t queue = 0,
                            std::string_view name = {})
    {
        return plan_.at({point, state_, ops, queue, name});
    }
    void take(FaultPlan plan);

    /* ---- lifecycle: put off until BlockBack::later() */
    /* A lifecycle fault. False: it is none. */
    bool begin(const Fault &fault);
    /* What began, until done(). */
    std::optional<FaultKind> due() const { return due_; }
    void done() { due_.reset(); }
    /* The rings are about to be given up, and nothing is answered any more. */
    bool silent() const { return due_ && gives_up_rings(*due_); }
    static bool gives_up_rings(FaultKind kind);
    /* No ring is looked at. */
    bool still() const { return stalled_ || silent(); }
    void stall(bool on) { stalled_ = on; }

    /* BlockBack::later() will be called. */
    void call_later();
    void called() { called_ = false; }

    /* ---- pages */
    /* Stays mapped until the backend ends, if there is room for one more. */
    bool can_keep() const { return kept_.size() < kMaxKept; }
    void keep(const Mapping &mapping) { kept_.push_back(mapping); }
    void let_go();
    /* Map and unmap it, as somebody who has no business with it. */
    void touch(GrantRef ref, bool readonly);

    /* ---- channels that are bound */
    void bound(uint32_t queue, bool on);
    bool is_bound(uint32_t queue) const { return queue < kMaxQueues && (bound_ >> queue & 1); }
    void notify_all(uint64_t times);

    /* ---- nodes: one entry a name */
    struct Node {
        std::string name, value;
        bool holds{true};
    };
    /* Has another value from the next connect on. */
    void change(std::string_view name, std::string_view value);
    void connecting();
    const std::string *changed(std::string_view name) const;
    /* Is written after the state. */
    void put_off(std::string_view name, std::string_view value);
    std::vector<Node> put_off() { return std::exchange(late_, {}); }
    /* Is there, though an honest backend has none. */
    void invent(std::string_view name) { entry(invented_, name); }
    bool forget_invented(std::string_view name);
    std::vector<Node> invented() { return std::exchange(invented_, {}); }

    /* The backend's nodes go when the frontend is Closed. */
    bool unplugged{false};

private:
    static constexpr size_t kMaxKept = 1024; /* pages */

    static Node &entry(std::vector<Node> &nodes, std::string_view name);

    BackPorts ports_;
    const XenbusState &state_;
    FaultPlan plan_{};
    std::optional<FaultKind> due_{};
    bool stalled_{false};
    bool called_{false};
    uint32_t bound_{0}; /* bit: queue */
    std::vector<Mapping> kept_{};
    std::vector<Node> changed_{}, late_{}, invented_{};
};

/* The grants port of one queue, where maps go wrong. */
class FaultyGrants final : public BackGrants
{
public:
    FaultyGrants(BackGrants &honest, BackFaults &faults, uint32_t queue)
        : honest_(honest), faults_(faults), queue_(queue)
    {
    }
    Result<std::byte *> map(GrantRef ref, bool readonly) override
    {
        return faults_.any() ? bend_map(ref, readonly) : honest_.map(ref, readonly);
    }
    void unmap(GrantRef ref, std::byte *page) override { honest_.unmap(ref, page); }

    /* What is mapped next: `name` as the catalogue has it. */
    void about(std::string_view name, FaultOpSet ops)
    {
        name_ = name;
        ops_ = ops;
    }
    /* map() failed, but its request is to be answered as if it had been done. */
    bool pretended() { return std::exchange(pretended_, false); }

    /* Room for what is mapped late, one a request. */
    void reserve(uint32_t requests) { late_.reserve(requests); }
    bool any_late() const { return !late_.empty(); }
    void map_late();
    void forget() { late_.clear(); }

private:
    struct Late {
        GrantRef ref;
        bool readonly;
    };
    Result<std::byte *> bend_map(GrantRef ref, bool readonly);

    BackGrants &honest_;
    BackFaults &faults_;
    const uint32_t queue_;
    std::string_view name_{};
    FaultOpSet ops_{0};
    bool pretended_{false};
    std::vector<Late> late_{};
};

} // namespace pvblk
