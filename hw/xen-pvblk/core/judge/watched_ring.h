/* SPDX-License-Identifier: MIT */
/*
 * Layer `judge`: one ring, as its frontend leaves it: the indices, the events,
 * the requests in flight. Serves ring.h, "Macros to …", and struct blkif_request.
 */
#pragma once

#include "judge/offers.h"
#include "judge/record.h"

#include <vector>

namespace pvblk
{

class WatchedRing
{
public:
    explicit WatchedRing(JudgeRecords &records) : records_(records) {}

    void open(HookedQueue &queue, RingIndex at);
    void close() { queue_ = nullptr; }

    void loaded(SringField field, RingIndex i);
    void storing(SringField field);
    /* The backend meant to store `i`. `bent`: a fault plan may have stored another index. */
    void stored(SringField field, RingIndex i, bool bent);
    /* Before and after a call in which a fault plan may write to the shared area:
     * indices, and the first requests that wait. Responses come to be in a row, so
     * those that reach the requests meet the first one. */
    void yield(uint32_t requests = 1);
    void resume();

    void take(Offers &offers, const WireRequest &wire, uint16_t handle);
    /* The backend found nothing wrong with it. */
    void passed(const WireRequest &wire);
    /* A response is in the ring. */
    void shown(const WireResponse &rsp);
    /* Whether the backend takes no request, although the frontend sent an event. */
    void rests(bool on) { rests_ = on; }

    /* Nothing happens any more; no ring is busy. */
    void look();
    bool is_busy() const { return queue_ && !in_flight_.empty(); }
    /* A fault plan has shown a false producer, has overwritten requests, or has lost answers
     * before a restart; or the ring began with answers. From then on it may hold anything. */
    bool is_forged() const { return forged_; }

private:
    /* Operations that a backend may stop supporting. */
    enum Feature : uint8_t { Barrier, Flush, Discard, kFeatures, None = kFeatures };
    /* The backend said that it does not support a kind of request. */
    struct Loss {
        bool said{false}, shown{false}, seen{false}, kept{false};
        RingIndex answers{}; /* rsp_prod, once the answer is shown */
        RingIndex asked{};   /* the frontend's rsp_event of that moment */
        RingIndex from{};    /* it made those before without the answer */
        uint32_t since{0};   /* requests of the kind after them */
    };
    static Feature feature(Op op);
    RingIndex load(SringField field) const { return queue_->area().load(field); }
    void check_new(bool again);
    void check_own(SringField field, RingIndex &own, const char *how);
    void check_event(RingIndex i);
    void check_offered(Offers &offers, const WireRequest &wire);
    void check_id(RequestId id);
    void check_loss(Op op);
    void note_seen(Loss &loss, RingIndex req_prod) const;
    uint64_t untaken(uint32_t most) const;

    JudgeRecords &records_;
    HookedQueue *queue_{nullptr};
    RingIndex rsp_prod_{}, req_event_{}; /* as last stored */
    RingIndex taken_{};                  /* the index of the next request */
    std::vector<uint64_t> in_flight_{};  /* ids; as many as the ring has entries, at most */
    std::array<Loss, kFeatures> losses_{};

    /* ---- the backend's sleep */
    bool arming_{false}; /* it stored req_event; its last look follows */
    bool asleep_{false}; /* that look saw no request */
    bool rests_{false};
    uint32_t untold_looks_{0}; /* that saw requests without their event */

    bool late_{false}; /* an answer came to a ring that was made anew */

    /* ---- a fault plan's work */
    struct Shared {
        RingIndex rsp_prod{}, rsp_event{}, req_prod{};
        uint32_t requests{0};
        uint64_t untaken{0}; /* of so many requests */
    };
    std::optional<Shared> before_{}; /* from yield() to resume() */
    /* Values that the frontend did not write. */
    RingIndex strange_event_{};
    std::optional<RingIndex> strange_prod_{};
    bool forged_{false};
    bool bent_event_{false}; /* req_event is the plan's */
};

} // namespace pvblk
