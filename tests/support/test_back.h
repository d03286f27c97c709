/* SPDX-License-Identifier: MIT */
/*
 * A backend for tests of either side: it obeys a fault plan, and its knobs give
 * what no plan does: a backend that waits for the test. Hooks of their own do
 * that; the backend knows nothing of it.
 *
 * A judge may watch its frontend.
 *
 * With PVBLK_HONEST it stands on the backend's library alone. There is no plan
 * then, and no judge, and nothing to link them with.
 */
#pragma once

#ifdef PVBLK_HONEST
#include "back/hooks.h"
#else
#include "fault/bender.h"
#endif
#include "pvblk/fault.h"
#include "pvblk/judge.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace pvblk
{

struct BackKnobs {
    bool deaf_state{false};  /* do not look at the frontend's state */
    bool hold{false};        /* keep requests for complete(), not done yet */
    bool hold_mapped{false}; /* ... reads and writes with their pages mapped meanwhile */
    bool keep_mapped{false}; /* never unmap data pages; see let_go() */
    bool keep_ring{false};   /* never unmap the ring; see let_go() */
};

#ifdef PVBLK_HONEST
using TestHooksBase = BackHooks;
#else
using TestHooksBase = Bender;
#endif

class TestHooks final : public TestHooksBase
{
public:
    struct Held {
        HookedQueue *queue;
        uint32_t slot;
        WireRequest wire;
    };

    void attached(HookedBack &back) override
    {
        back_ = &back;
        TestHooksBase::attached(back);
        back.ask_hooks();
    }
    void ended() override
    {
        let_go();
        TestHooksBase::ended();
    }
    bool tick(std::string_view what) override
    {
        return (what == "store" && knobs.deaf_state) || TestHooksBase::tick(what);
    }
    void opened(HookedQueue &queue, RingIndex at) override
    {
        if (queue.index() == 0)
            first = &queue;
        TestHooksBase::opened(queue, at);
    }
    void closed(HookedQueue &queue) override
    {
        std::erase_if(held, [&queue](const Held &h) { return h.queue == &queue; });
        TestHooksBase::closed(queue);
    }
    HookStep before_work(const HookedRequest &r) override
    {
        bool later = knobs.hold_mapped && moves_data(r.wire); /* in data() */
        return !later && hold(r) ? HookStep{HookStep::Keep} : TestHooksBase::before_work(r);
    }
    HookStep data(const HookedRequest &r, StorageRequest &req) override
    {
        bool now = knobs.hold_mapped && moves_data(r.wire);
        return now && hold(r) ? HookStep{HookStep::Keep} : TestHooksBase::data(r, req);
    }
    bool unmap(HookedQueue &queue, const PageUse &use, const Mapping &m,
               PersistentMaps *maps) override
    {
        if (use.name == "ring" ? !knobs.keep_ring : !knobs.keep_mapped || use.name != "data")
            return TestHooksBase::unmap(queue, use, m, maps);
        kept_.push_back(m);
        return true;
    }

    void let_go()
    {
        for (const Mapping &m : kept_)
            back_->ports().grants.unmap(m.ref, m.page);
        kept_.clear();
    }
    void complete(Held h)
    {
        std::erase_if(held, [&h](const Held &o) { return o.queue == h.queue && o.slot == h.slot; });
        completing_ = true;
        h.queue->proceed(h.slot);
        completing_ = false;
    }

    BackKnobs knobs{};
    std::vector<Held> held{};
    HookedQueue *first{nullptr}; /* queue 0, once it was up */

private:
    static bool moves_data(const WireRequest &wire)
    {
        return wire.op == Op::Read || wire.op == Op::Write;
    }
    bool hold(const HookedRequest &r)
    {
        if (!knobs.hold || completing_)
            return false;
        held.push_back({&r.queue, r.slot, r.wire});
        return true;
    }

    HookedBack *back_{nullptr};
    bool completing_{false};
    std::vector<Mapping> kept_{};
};

/* So that the hooks are there before the backend, and after it. */
class TestHooksOwner
{
protected:
    TestHooksOwner(BackOwner *owner, [[maybe_unused]] bool judged) : told_(owner)
    {
#ifndef PVBLK_HONEST
        if (!judged)
            return;
        judge_ = std::make_unique<BackJudge>(&hooks_, owner);
        asked_ = judge_->hooks();
        told_ = judge_->owner();
#endif
    }

    TestHooks hooks_{};
#ifndef PVBLK_HONEST
    std::unique_ptr<BackJudge> judge_{};
#endif
    BackHooks *asked_{&hooks_};
    BackOwner *told_;
};

class TestBack final : private TestHooksOwner, public BlockBack
{
public:
    TestBack(BackPorts ports, const BackConfig &config, bool judged = false)
        : TestHooksOwner(ports.owner, judged),
          BlockBack({ports.store, ports.grants, ports.events, ports.storage, told_}, config,
                    asked_),
          store_(ports.store), path_(config.backend_path)
    {
    }

    BackKnobs &knobs() { return hooks_.knobs; }
    /* Unmap what keep_mapped and keep_ring kept. */
    void let_go() { hooks_.let_go(); }

    /* ---- what `hold` keeps: of queue 0, in any order */
    size_t held() const
    {
        return static_cast<size_t>(std::count_if(hooks_.held.begin(), hooks_.held.end(), of_first));
    }
    const WireRequest &held_request(size_t i) const { return nth(i).wire; }
    void complete(size_t i) { hooks_.complete(nth(i)); }
    /* Of all queues. */
    void complete_all()
    {
        while (!hooks_.held.empty())
            hooks_.complete(hooks_.held.front());
    }

    /* ---- raw: of queue 0, which has to be up */
    SharedRing &raw_ring() { return hooks_.first->area(); }
    void kick() { hooks_.first->send_event(0); }
    /* A response at our producer, published, whatever is in it. */
    void push_raw(const WireResponse &rsp)
    {
        hooks_.first->stage(rsp);
        (void)hooks_.first->publish();
        kick();
    }
    void write_state_raw(std::string_view text) { (void)store_.write(path_ + "/state", text); }

    /* ---- a fault plan */
    void set_faults(FaultPlan plan);
    const FaultPlan &faults() const;
    uint64_t faults_fired() const;

    /* Of one that is judged. */
    BackJudge &judge();

private:
    static bool of_first(const TestHooks::Held &h) { return h.queue->index() == 0; }
    const TestHooks::Held &nth(size_t i) const
    {
        auto at = std::find_if(hooks_.held.begin(), hooks_.held.end(),
                               [&i](const TestHooks::Held &h) { return of_first(h) && !i--; });
        return *at;
    }

    Store &store_;
    const std::string path_;
};

#ifndef PVBLK_HONEST
inline void TestBack::set_faults(FaultPlan plan)
{
    hooks_.obey(std::move(plan));
}

inline const FaultPlan &TestBack::faults() const
{
    return hooks_.plan();
}

inline uint64_t TestBack::faults_fired() const
{
    return faults().fired();
}

inline BackJudge &TestBack::judge()
{
    return *judge_;
}
#endif

} // namespace pvblk
