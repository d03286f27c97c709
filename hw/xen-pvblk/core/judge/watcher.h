/* SPDX-License-Identifier: MIT */
/*
 * Layer `judge`: the hooks and the owner of a backend that is watched. Each call
 * goes on to the next hooks and the next owner; what they answer counts.
 */
#pragma once

#include "judge/watched_grants.h"
#include "judge/watched_ring.h"

namespace pvblk
{

class Watcher final : public BackHooks, public BackOwner
{
public:
    Watcher(BackHooks *next, BackOwner *owner, JudgeListener *listener);

    /* As in BackJudge. */
    void look();
    uint32_t grants_left();
    const JudgeRecord &record(JudgeRule rule) const { return records_.at(rule); }
    uint64_t connections() const { return connections_; }
    XenbusState frontend_state() const { return front_; }

    /* As in BackHooks. */
    void attached(HookedBack &back) override;
    void ended() override;
    void later() override;
    bool publish_node(std::string_view name, const std::optional<std::string> &honest) override;
    bool set_state(XenbusState before) override;
    bool connect() override;
    void connected() override;
    void disconnected() override;
    void gone() override;
    bool leaves() override;
    bool tick(std::string_view what) override;
    void opened(HookedQueue &queue, RingIndex at) override;
    void closed(HookedQueue &queue) override;
    bool rests(HookedQueue &queue) override;
    bool take(HookedQueue &queue, const WireRequest &wire) override;
    void no_slot(HookedQueue &queue) override;
    HookStep before_work(const HookedRequest &r) override;
    std::optional<Result<std::byte *>> map(HookedQueue &queue, const PageUse &use, GrantRef ref,
                                           bool readonly) override;
    RspStatus map_failed(HookedQueue &queue) override;
    HookStep data(const HookedRequest &r, StorageRequest &req) override;
    HookStep moved(const HookedRequest &r) override;
    bool unmap(HookedQueue &queue, const PageUse &use, const Mapping &mapping,
               PersistentMaps *maps) override;
    bool respond(HookedQueue &queue, const WireRequest &wire, const WireResponse &rsp) override;
    bool put_response(HookedQueue &queue, const WireResponse &rsp) override;
    bool store(HookedQueue &queue, SringField field, RingIndex i) override;
    void loaded(HookedQueue &queue, SringField field, RingIndex i) override;
    std::optional<bool> publish(HookedQueue &queue) override;
    bool notify(HookedQueue &queue) override;
    void flushed(HookedQueue &queue) override;

    /* As in BackOwner. */
    void violation(const Error &error) override;
    void refused(const RefusedRequest &request) override;

private:
    WatchedRing &ring(HookedQueue &queue) { return rings_[queue.index()]; }
    /* Before a call of the next hooks in which a fault plan may write to rings. */
    void yield(WatchedRing &ring, uint32_t requests = 1);
    void read_state();
    void note_use();
    std::optional<XenbusState> state_now();
    void check_nodes();
    void agree();
    std::optional<BackPlan> front_plan();
    void complain(const Error &error);
    bool is_excused(const Error &error);
    bool is_there();

    BackHooks &next_;
    BackOwner *owner_;
    JudgeRecords records_;
    HookedBack *back_{nullptr};
    NodeText nodes_{}; /* the frontend's */
    Offers offers_{};
    WatchedGrants grants_;
    std::vector<WatchedRing> rings_{}; /* kMaxQueues */

    XenbusState front_{XenbusState::Unknown};
    bool up_{false};     /* the backend has rings */
    bool used_{false};   /* ... and was Connected with the frontend */
    bool forged_{false}; /* the last mapping failed by a fault */
    bool sent_{false};   /* the last event, as far as is known */
    uint32_t looks_{0};  /* since the last connection ended */
    uint64_t connections_{0};
    BackPlan agreed_{}; /* the frontend's nodes, as the backend took them */
    bool persists_{false};
    uint16_t handle_{0};
};

} // namespace pvblk
