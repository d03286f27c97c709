/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: a part of an accepted request, as much as the plan and the
 * pools allow, into a slot, with the grants that it needs; and the slot onto
 * the wire. Serves blkif.h struct blkif_request, blkif_request_indirect,
 * blkif_request_discard. Knows nothing of rings, lines and answers.
 */
#pragma once

#include "front/slots.h"
#include "proto/wire.h"

namespace pvblk
{

enum class Filled : uint8_t {
    Done,
    NoRoom,  /* not now: no page or grant is left for its first byte */
    Refused, /* the provider does not grant the owner's memory */
};

class Splitter
{
public:
    Splitter(const Plan &plan, const FrontConfig &config, Slots &slots, GrantPool &pool,
             Memory &memory)
        : plan_(plan), config_(config), slots_(slots), pool_(pool), memory_(memory)
    {
    }

    /* The next part of slot.job, whose offset moves behind it. */
    Filled fill(Slot &slot);
    WireRequest encode(const Slot &slot);
    /* A discard of less than the backend's granularity: advice that nobody can
     * follow. */
    bool nothing_to_send(const Job &job) const;

private:
    void fill_flush(Slot &slot) const;
    void fill_discard(Slot &slot) const;
    Filled fill_data(Slot &slot);
    void flush_with_data(Slot &slot) const;
    Filled add_piece(Slot &slot);
    Filled grant_in_place(Slot &slot, uint32_t bytes);
    Filled bounce(Slot &slot);
    void put(Slot &slot, uint32_t grant, Piece piece, uint32_t offset);
    bool room_in_list(Slot &slot);
    uint32_t direct_bytes(const IoRequest &req, const BufferCursor &at, uint64_t left) const;
    uint32_t bounce_bytes(const Job &job) const;
    void encode_segments(const Slot &slot, WireRequest &req);
    uint64_t wire_unit() const { return unit_bytes(plan_.units, plan_.sector_size); }

    const Plan &plan_;
    const FrontConfig &config_;
    Slots &slots_;
    GrantPool &pool_;
    Memory &memory_;
};

} // namespace pvblk
