/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: the shared area of a ring for BackRing: a SharedRing, and the
 * hooks that may change the values stored there. BackRing is the template that
 * is proved; it does not know hooks.
 */
#pragma once

#include "back/hooks.h"

namespace pvblk
{

class BackArea
{
public:
    BackArea() = default;
    BackArea(SharedRing shared, HookedQueue &queue, HooksPointer hooks)
        : shared_(shared), queue_(&queue), hooks_(&hooks)
    {
    }

    uint32_t entries() const { return shared_.entries(); }
    RingIndex load(SringField f) const
    {
        RingIndex i = shared_.load(f);
        if (*hooks_)
            (*hooks_)->loaded(*queue_, f, i);
        return i;
    }
    void store(SringField f, RingIndex i)
    {
        if (!*hooks_ || !(*hooks_)->store(*queue_, f, i))
            shared_.store(f, i);
    }
    WireRequest get_request(RingIndex i) const { return shared_.get_request(i); }
    void put_response(RingIndex i, const WireResponse &rsp)
    {
        if (!*hooks_ || !(*hooks_)->put_response(*queue_, rsp))
            shared_.put_response(i, rsp);
    }
    static void fence_full() { SharedRing::fence_full(); }
    static void fence_acquire() { SharedRing::fence_acquire(); }
    static void fence_release() { SharedRing::fence_release(); }

private:
    SharedRing shared_{};
    HookedQueue *queue_{nullptr};
    BackHooks *const *hooks_{nullptr};
};

} // namespace pvblk
