/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: puts a part of an accepted request into a slot, with its grants,
 * as large as the plan and the pools allow; and encodes the slot for the wire.
 * Serves blkif.h struct blkif_request, blkif_request_indirect,
 * blkif_request_discard. It does not know rings, lines and answers.
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

    /* Fills in the next part of slot.job, and moves the job's offset behind it. */
    Filled fill(Slot &slot);
    WireRequest encode(const Slot &slot);
    /* A discard smaller than the backend's granularity: the backend cannot do
     * it. */
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
