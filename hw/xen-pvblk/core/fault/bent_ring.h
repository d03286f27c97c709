/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`: the faults of one ring's indices, responses and events. It
 * keeps its own producer beside BackRing's, because faults write additional
 * responses to the ring.
 *
 * The ring bounds the delayed work, and it ends with the connection. This code
 * trusts the frontend no more than the honest backend does: it reads the ring
 * into a copy.
 */
#pragma once

#include "fault/plan_in_force.h"

#include <vector>

namespace pvblk
{

class BentRing
{
public:
    explicit BentRing(PlanInForce &plan) : plan_(plan) {}

    /* `at`: where the ring begins. */
    void open(HookedQueue &queue, RingIndex at);
    /* Makes room for work that a plan may delay. */
    void prepare();
    void close();
    bool is_open() const { return queue_ != nullptr; }

    /* ---- decisions: as in BackHooks */
    bool rests() { return plan_.still() || forged_requests(); }
    void respond(const WireRequest &wire, const WireResponse &rsp);
    /* Answers a request by the last response, again. False: the request has to be done. */
    bool replay(const WireRequest &wire);
    void taken() { replayable_ = false; }
    void put_response(const WireResponse &rsp);
    bool store(SringField field, RingIndex i);
    void loaded(SringField field, RingIndex i);
    bool publish();
    bool notify();

    /* ---- time */
    /* A tick passes for the responses that wait for it. */
    void tick();
    /* A fault of the ring that happens by itself. */
    void tick(const Fault &fault);
    bool has_later() const { return !rewrites_.empty(); }
    void later();
    /* The plan changes: do all delayed work. */
    void settle();

private:
    struct Deferred {
        WireResponse rsp;
        uint32_t ticks; /* 0: until the next response was written */
    };
    struct Rewrite {
        RingIndex at;
        WireResponse rsp;
    };
    struct Forged {
        RingIndex honest, stored;
    };

    SharedRing &area() { return queue_->area(); }
    bool forged_requests();
    bool put_off(const WireResponse &rsp, uint32_t ticks);
    void stage(const WireResponse &rsp);
    void stage_unasked(const WireResponse &rsp);
    void remember(const WireResponse &rsp);
    bool publish(const Fault &fault);
    bool publish_ahead(uint32_t entries);
    void overwrite(const Fault &fault);

    PlanInForce &plan_;
    HookedQueue *queue_{nullptr};
    RingIndex prod_{};      /* where the next response goes */
    RingIndex published_{}; /* the frontend was shown up to here */
    uint32_t ahead_{0};     /* what publish() adds to it */
    RingIndex event_{};     /* rsp_event, as publish() loaded it */
    std::vector<Deferred> deferred_{};
    std::vector<Rewrite> rewrites_{};
    std::optional<WireResponse> last_{}; /* as it should have been */
    bool replayable_{false};             /* nothing was taken since */
    std::optional<Forged> forged_{};     /* req_prod, by ourselves */
};

} // namespace pvblk
