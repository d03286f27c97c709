/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: the private copy of each ring request, with its grants; the ring
 * is never read back. It does not know plans and queues.
 *
 * blkif_request.id: the slot's number in the low bits, a generation above. So an
 * answer to an earlier use of the slot is recognised.
 */
#pragma once

#include "front/grant_pool.h"
#include "front/job.h"

#include <array>
#include <vector>

namespace pvblk
{

inline constexpr uint32_t kSlotBits = 16;
constexpr RequestId make_id(uint32_t slot, uint32_t generation)
{
    return RequestId(static_cast<uint64_t>(generation) << kSlotBits | slot);
}

/* One segment of a ring request, with one grant: a part of the owner's buffer,
 * and its place on the wire. */
struct Piece {
    static constexpr uint32_t kNone = UINT32_MAX;
    uint32_t next{kNone}; /* of the same slot */
    PageIndex page{};     /* bounced: through this one */
    bool bounced{false};
    uint8_t first_sect{0}, last_sect{0}; /* as on the wire */
    BufferCursor at{};
    uint32_t bytes{0};
};

struct Slot {
    bool in_flight{false};
    bool orphan{false}; /* its job was cancelled */
    Op op{Op::Read};
    bool secure{false};
    uint32_t ring{0};
    Job *job{nullptr}; /* null for an orphan */
    uint32_t generation{0};
    uint64_t offset{0}, bytes{0}; /* the part of the job that it carries */
    int64_t issued_ns{0};
    uint32_t first{Piece::kNone}, last{Piece::kNone}; /* its pieces, by grant */
    uint32_t pieces{0};
    uint32_t lists{0}; /* pages of segments; none: a direct request */
    std::array<GrantPool::Lent, kMaxIndirectPages> list{};
};

class Slots
{
public:
    Slots(GrantPool &pool, uint32_t slots, uint32_t grants);

    uint32_t in_flight() const { return in_flight_; }
    uint32_t orphans() const { return orphans_; }

    /* An empty slot, for a part of a job; nullptr: all are in flight. Until the
     * slot is launched, the next call returns it again. */
    Slot *spare(Job &job);
    void launch(Slot &slot, uint32_t ring, int64_t now_ns);
    /* Its answer came, or will never come. Call release() first. */
    void land(Slot &slot);

    RequestId id(const Slot &slot) const;
    /* The slot that this id answers; nullptr: none in flight on this ring. */
    Slot *find(RequestId id, uint32_t ring);
    /* The time at which the oldest in flight was issued; `now_ns` if none is. */
    int64_t oldest_ns(int64_t now_ns) const;

    void add(Slot &slot, uint32_t grant, const Piece &piece);
    bool add_list(Slot &slot, Memory &memory);
    /* End access to everything that the slot granted. False: the peer still has
     * some of it mapped, and must not. The pieces stay readable, and the bounce
     * pages keep their data, until the next grant. */
    bool release(const Slot &slot);
    bool release_lists(Slot &slot);
    /* Whether it has granted pages of the owner, not only private ones. */
    bool shows_guest_memory(const Slot &slot) const;
    /* Take the owner's memory away from a request that still waits for its answer. */
    void orphan(Slot &slot);

    /* f(grant, piece), in the order of the data. */
    template <class F>
    void each_piece(const Slot &slot, F f) const
    {
        for (uint32_t i = slot.first; i != Piece::kNone; i = pieces_[i].next)
            f(i, pieces_[i]);
    }
    /* f(slot); may land it. */
    template <class F>
    void each_in_flight(F f)
    {
        for (Slot &slot : slots_)
            if (slot.in_flight)
                f(slot);
    }

private:
    GrantPool &pool_;
    std::vector<Slot> slots_;
    std::vector<Slot *> spare_;
    std::vector<Piece> pieces_; /* by grant */
    uint32_t in_flight_{0};
    uint32_t orphans_{0};
};

} // namespace pvblk
