/* SPDX-License-Identifier: MIT */
/*
 * Layer `ring`: private indices, publishing, hold-off and overflow checks of
 * Xen's ring.h, from both sides. It does not know the meaning of a request.
 *
 * `Shared` is the shared area with its atomics: SharedRing in production, in
 * tests/proof/relacy a model of C++'s memory. Neither side ever reads back an
 * index that it wrote itself: the peer could have changed it, and with it our
 * decision to notify.
 *
 * One thread at a time uses a FrontRing or a BackRing.
 */
#pragma once

#include "proto/wire.h"

namespace pvblk
{

template <class Shared>
class FrontRing
{
public:
    FrontRing() = default;
    /* ring.h FRONT_RING_INIT. `shared` has been init()ed by the caller. */
    explicit FrontRing(Shared shared) : shared_(shared), size_(shared_.entries()) {}
    /* ring.h FRONT_RING_ATTACH: a ring that is at index `at` on both sides. */
    FrontRing(Shared shared, RingIndex at)
        : shared_(shared), size_(shared_.entries()), req_prod_(at), published_(at), rsp_cons_(at)
    {
    }

    uint32_t size() const { return size_; }
    /* Requests that may be staged before the ring is full. */
    uint32_t free() const { return size_ - (req_prod_ - rsp_cons_); }
    uint32_t unanswered() const { return published_ - rsp_cons_; }
    bool staged() const { return req_prod_ != published_; }

    /* Write a request into the next slot. Not yet visible: publish() is the
     * last statement of a batch. Requires free() > 0. */
    void stage(const WireRequest &req)
    {
        shared_.put_request(req_prod_, req);
        req_prod_ = req_prod_ + 1;
    }

    /*
     * Make all staged requests visible; true if the backend asked for an
     * event (ring.h RING_PUSH_REQUESTS_AND_CHECK_NOTIFY).
     */
    bool publish()
    {
        RingIndex old = published_;
        /* Partner: fence_acquire() in BackRing::requests(). A backend that
         * sees the new producer sees the requests before it. */
        Shared::fence_release();
        shared_.store(SringField::ReqProd, req_prod_);
        published_ = req_prod_;
        /*
         * Partner: fence_full() in BackRing::rearm(). Either the backend's
         * re-check after it wrote req_event sees our producer, or we see its
         * req_event here; both may happen, neither cannot.
         */
        Shared::fence_full();
        RingIndex event = shared_.load(SringField::ReqEvent);
        return (req_prod_ - event) < (req_prod_ - old);
    }

    /*
     * How many responses wait. More than we have requests in flight is a lie
     * (ring.h RING_RESPONSE_PROD_OVERFLOW).
     */
    Result<uint32_t> responses() const
    {
        RingIndex prod = shared_.load(SringField::RspProd);
        /* Partner: fence_release() in BackRing::publish(). */
        Shared::fence_acquire();
        uint32_t n = prod - rsp_cons_;
        if (n > published_ - rsp_cons_)
            return Error{ErrorKind::PeerViolation, "ring:rsp-prod",
                         "backend's response producer is beyond the requests in flight", n};
        return n;
    }

    /* Copy the next response out. Requires responses() > 0. */
    WireResponse take()
    {
        WireResponse rsp = shared_.get_response(rsp_cons_);
        rsp_cons_ = rsp_cons_ + 1;
        return rsp;
    }

    /*
     * Ask for an event at the next response, then look once more: the
     * backend may have produced it before it saw our rsp_event
     * (ring.h RING_FINAL_CHECK_FOR_RESPONSES).
     */
    Result<uint32_t> rearm()
    {
        shared_.store(SringField::RspEvent, rsp_cons_ + 1);
        /* Partner: fence_full() in BackRing::publish(). */
        Shared::fence_full();
        return responses();
    }

private:
    Shared shared_{};
    uint32_t size_{0};
    RingIndex req_prod_{};  /* staged up to here */
    RingIndex published_{}; /* visible to the backend up to here */
    RingIndex rsp_cons_{};
};

template <class Shared>
class BackRing
{
public:
    BackRing() = default;
    /* ring.h BACK_RING_INIT. */
    explicit BackRing(Shared shared) : shared_(shared), size_(shared_.entries()) {}
    /* ring.h BACK_RING_ATTACH: take over a ring whose requests up to `at`
     * were answered. */
    BackRing(Shared shared, RingIndex at)
        : shared_(shared), size_(shared_.entries()), req_cons_(at), rsp_prod_(at), published_(at)
    {
    }

    uint32_t size() const { return size_; }
    uint32_t unanswered() const { return req_cons_ - rsp_prod_; }

    /*
     * How many requests wait. A producer that is more than a ring ahead of
     * our responses is a lie (ring.h RING_REQUEST_PROD_OVERFLOW).
     */
    Result<uint32_t> requests() const
    {
        RingIndex prod = shared_.load(SringField::ReqProd);
        /* Partner: fence_release() in FrontRing::publish(). */
        Shared::fence_acquire();
        if (prod - rsp_prod_ > size_ || prod - req_cons_ > size_)
            return Error{ErrorKind::PeerViolation, "ring:req-prod",
                         "frontend's request producer is more than a ring ahead", prod.value};
        return prod - req_cons_;
    }

    WireRequest take()
    {
        WireRequest req = shared_.get_request(req_cons_);
        req_cons_ = req_cons_ + 1;
        return req;
    }

    Result<uint32_t> rearm()
    {
        shared_.store(SringField::ReqEvent, req_cons_ + 1);
        /* Partner: fence_full() in FrontRing::publish(). */
        Shared::fence_full();
        return requests();
    }

    void stage(const WireResponse &rsp)
    {
        shared_.put_response(rsp_prod_, rsp);
        rsp_prod_ = rsp_prod_ + 1;
    }

    /* How many wait for publish(). */
    uint32_t staged() const { return rsp_prod_ - published_; }
    /* Where the next response goes. */
    RingIndex rsp_prod() const { return rsp_prod_; }

    bool publish()
    {
        RingIndex old = published_;
        /* Partner: fence_acquire() in FrontRing::responses(). */
        Shared::fence_release();
        shared_.store(SringField::RspProd, rsp_prod_);
        published_ = rsp_prod_;
        /* Partner: fence_full() in FrontRing::rearm(). */
        Shared::fence_full();
        RingIndex event = shared_.load(SringField::RspEvent);
        return (rsp_prod_ - event) < (rsp_prod_ - old);
    }

private:
    Shared shared_{};
    uint32_t size_{0};
    RingIndex req_cons_{};
    RingIndex rsp_prod_{};
    RingIndex published_{};
};

} // namespace pvblk
