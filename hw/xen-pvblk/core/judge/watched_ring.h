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
    bool is_open() const { return queue_ != nullptr; }
    HookedQueue *queue() { return queue_; }

    void loaded(SringField field, RingIndex i);
    /* The backend's own index was stored. */
    void stored(SringField field);
    /* A fault plan may store any: check those of the backend before, and read them after. */
    void check_own();
    void stored();
    void take(const Offers &offers, const WireRequest &wire, uint16_t handle);
    void answered(const WireRequest &wire, int16_t status);
    /* Nothing happens any more. */
    void look();

private:
    /* Operations that a backend may stop supporting. */
    enum Feature : uint8_t { Barrier, Flush, Discard, kFeatures, None = kFeatures };
    static Feature feature(Op op);
    void check_offered(const Offers &offers, const WireRequest &wire);
    void check_id(RequestId id);

    JudgeRecords &records_;
    HookedQueue *queue_{nullptr};
    RingIndex rsp_prod_{}, req_event_{}; /* as last stored */
    RingIndex taken_{};                  /* the index of the next request */
    std::vector<uint64_t> in_flight_{};  /* ids; as many as the ring has entries, at most */
    /* Requests of a kind since the backend said that it does not support it. */
    struct Lost {
        bool lost{false};
        uint32_t since{0};
    };
    std::array<Lost, kFeatures> lost_{};
    /* The last look saw requests that nobody told of, from this index on. */
    std::optional<RingIndex> untold_{};
};

} // namespace pvblk
