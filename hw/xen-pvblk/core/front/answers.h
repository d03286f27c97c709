/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: responses. Each is copied once, checked against the private
 * copy of its request, and then believed. Serves blkif.h struct
 * blkif_response, ring.h, XSA-155, XSA-396. It knows neither states nor the
 * sending of requests.
 */
#pragma once

#include "front/requests.h"
#include "front/rings.h"
#include "front/slots.h"
#include "front/terms.h"

namespace pvblk
{

class Answers
{
public:
    Answers(Rings &rings, Slots &slots, Requests &requests, Terms &terms, Memory &memory,
            Clock &clock, FrontOwner &owner, FrontCounters &counters)
        : rings_(rings), slots_(slots), requests_(requests), terms_(terms), memory_(memory),
          clock_(clock), owner_(owner), counters_(counters)
    {
    }

    void consume(Turn &turn);

private:
    void consume_ring(uint32_t ring, Turn &turn);
    void handle(uint32_t ring, const WireResponse &rsp, Turn &turn);
    Result<Slot *> answered(uint32_t ring, const WireResponse &rsp);
    Requests::Answer judge(const Slot &slot, int16_t status);
    void deliver(const Slot &slot);
    void count_latency(const Slot &slot);
    void count_done(const Slot &slot);

    Rings &rings_;
    Slots &slots_;
    Requests &requests_;
    Terms &terms_;
    Memory &memory_;
    Clock &clock_;
    FrontOwner &owner_;
    FrontCounters &counters_;
};

} // namespace pvblk
