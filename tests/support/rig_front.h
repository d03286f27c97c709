/* SPDX-License-Identifier: MIT */
/*
 * A frontend without any scruples in a Rig, for unit tests of the backend: it
 * may write anything, and expects that the backend lets go of its rings. Grant
 * i gives frame i of guest RAM; the rings lie in private pages from 0 on, and
 * have the last grants.
 */
#pragma once

#include "support/raw_front.h"
#include "support/rig.h"

namespace pvblk
{

class RigFront final : public RawFront
{
public:
    explicit RigFront(Rig &r, Abi abi = Abi::X86_64) : RigFront(r, FrontShape{.abi = abi}) {}
    RigFront(Rig &r, FrontShape s)
        : RawFront(r.hub, r.hub.grants.count() - s.queues * s.pages), rig(r), shape_(s),
          ring_grant_(r.hub.grants.count() - s.queues * s.pages)
    {
        announce(s);
        for (uint32_t q = 0; q < s.queues; q++)
            add_ring(q);
    }
    ~RigFront()
    {
        state(XenbusState::Closing);
        state(XenbusState::Closed);
        for (uint32_t q = 0; q < shape_.queues; q++)
            rig.hub.events.close(q);
        for (uint32_t i : granted_)
            (void)rig.hub.grants.revoke(i);
        for (uint32_t i = 0; i < shape_.queues * shape_.pages; i++)
            EXPECT_TRUE(rig.hub.grants.revoke(ring_grant_ + i)) << "backend keeps the ring";
    }
    /* Written, and what comes of it is done. */
    void state(XenbusState s)
    {
        write_state(s);
        rig.hub.run();
    }
    bool connect()
    {
        (void)rig.back->start();
        state(XenbusState::Initialised);
        return rig.back->state() == XenbusState::Connected;
    }
    GrantRef grant(uint32_t frame, bool readonly = false)
    {
        granted_.push_back(frame);
        (void)rig.hub.grants.grant_frame(frame, Gfn((LoopbackGuest::kBase >> kPageShift) + frame),
                                         readonly);
        return rig.hub.grants.ref(frame);
    }
    void revoke(uint32_t frame)
    {
        std::erase(granted_, frame);
        (void)rig.hub.grants.revoke(frame);
    }
    /* One request of `segments` whole pages. */
    WireRequest request(Op op, uint64_t sector, uint32_t segments = 1)
    {
        WireRequest r;
        r.op = op;
        r.id = next_id();
        r.sector = sector;
        r.nr_segments = static_cast<uint8_t>(segments);
        for (uint32_t i = 0; i < segments && i < kMaxDirectSegments; i++)
            r.seg[i] = {rig.hub.grants.ref(i), 0, 7};
        return r;
    }
    /* An indirect one; its segments, whole pages from grant 0 on, are written
     * to the guest frames from `frame` on, which are granted for it. */
    WireRequest indirect(Op op, uint64_t sector, uint32_t segments, uint32_t frame)
    {
        WireRequest r = request(Op::Indirect, sector, 0);
        r.indirect_op = op;
        r.nr_indirect_segments = static_cast<uint16_t>(segments);
        std::vector<WireSegment> list(segments);
        for (uint32_t i = 0; i < segments; i++)
            list[i] = {rig.hub.grants.ref(i), 0, 7};
        for (uint32_t p = 0; p < indirect_pages(segments) && p < kMaxIndirectPages; p++) {
            size_t from = size_t{p} * kSegmentsPerPage;
            size_t n = std::min<size_t>(segments - from, kSegmentsPerPage);
            put_segments(rig.hub.guest.host((uint64_t{frame} + p) * kPageSize),
                         std::span(list).subspan(from, n));
            r.indirect[p] = grant(frame + p, true);
        }
        return r;
    }
    void send(const WireRequest &r, uint32_t queue = 0)
    {
        rings[queue].stage(r);
        if (rings[queue].publish())
            (void)rig.hub.events.notify(queue);
    }
    /* The next response, if there is one. */
    std::optional<WireResponse> next(uint32_t queue = 0)
    {
        auto n = rings[queue].responses();
        if (!n || !n.value())
            return std::nullopt;
        WireResponse rsp = rings[queue].take();
        (void)rings[queue].rearm();
        return rsp;
    }
    /* Status of the answer; INT_MAX without one. Checks that it is ours. */
    int ask(const WireRequest &r, uint32_t queue = 0)
    {
        send(r, queue);
        rig.hub.run();
        auto n = rings[queue].rearm();
        if (!n || n.value() != 1)
            return INT32_MAX;
        WireResponse rsp = rings[queue].take();
        EXPECT_EQ(rsp.id, r.id);
        /* blkif:indirect — answered as what it stands for; as what it is where
         * the backend does not know it. */
        bool as_inner = r.op == Op::Indirect && rsp.status != int16_t(RspStatus::EOpNotSupp);
        EXPECT_EQ(rsp.op, as_inner ? r.indirect_op : r.op);
        (void)rings[queue].rearm();
        return rsp.status;
    }
    /* What each side would do before another connection. */
    void new_rings()
    {
        for (uint32_t q = 0; q < shape_.queues; q++) {
            areas_[q].shared.init();
            rings[q] = FrontRing<SharedRing>(areas_[q].shared);
        }
    }
    SharedRing &shared(uint32_t queue = 0) { return areas_[queue].shared; }

    Rig &rig;
    std::vector<FrontRing<SharedRing>> rings;

private:
    void add_ring(uint32_t q)
    {
        std::vector<uint32_t> pages(shape_.pages);
        for (uint32_t i = 0; i < shape_.pages; i++) {
            /* Backwards: pages of a ring are not contiguous. */
            pages[i] = q * shape_.pages + shape_.pages - 1 - i;
            (void)rig.hub.grants.grant_page(ring_grant_ + pages[i], PageIndex(pages[i]), false);
        }
        areas_.push_back(make_ring(shape_, q, std::move(pages)).value());
        rings.emplace_back(areas_[q].shared);
    }

    FrontShape shape_;
    uint32_t ring_grant_;
    std::vector<Area> areas_;
    std::vector<uint32_t> granted_;
};

inline constexpr int kOkay = 0, kError = -1, kNotSupp = -2;

} // namespace pvblk
