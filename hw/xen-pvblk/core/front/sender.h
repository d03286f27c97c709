/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: moves requests from their lines to the rings, as far as there is
 * room. It does not know states and answers.
 */
#pragma once

#include "front/requests.h"
#include "front/rings.h"
#include "front/splitter.h"
#include "front/terms.h"
#include "front/turn.h"

namespace pvblk
{

class Sender
{
public:
    Sender(Requests &requests, Splitter &splitter, Slots &slots, Rings &rings, GrantPool &pool,
           const Terms &terms, Clock &clock, FrontOwner &owner, FrontCounters &counters)
        : requests_(requests), splitter_(splitter), slots_(slots), rings_(rings), pool_(pool),
          terms_(terms), clock_(clock), owner_(owner), counters_(counters)
    {
    }

    /* Stages; Rings::publish() comes after it. */
    void send(Turn &turn, const Permit &permit);

private:
    void send_from(uint32_t ring, Turn &turn, const Permit &permit);
    bool is_over(Job &job) const;
    void launch(Slot &slot, uint32_t ring);
    bool may_wait_for_room(Turn &turn);
    void count(const Slot &slot);

    Requests &requests_;
    Splitter &splitter_;
    Slots &slots_;
    Rings &rings_;
    GrantPool &pool_;
    const Terms &terms_;
    Clock &clock_;
    FrontOwner &owner_;
    FrontCounters &counters_;
    uint32_t turn_{0}; /* the ring that sends first */
};

} // namespace pvblk
