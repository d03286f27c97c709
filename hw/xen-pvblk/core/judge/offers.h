/* SPDX-License-Identifier: MIT */
/*
 * Layer `judge`: what the backend's nodes say, which is what a frontend may
 * believe. A fault plan may have bent them, so they need not be what the backend
 * does. An offer counts until the connection ends, also if its node goes: the
 * frontend may have read it before.
 */
#pragma once

#include "back/hooks.h"
#include "judge/node_text.h"
#include "pvblk/judge.h"

namespace pvblk
{

class Offers
{
public:
    void attach(HookedBack &back);

    /* A new connection. */
    void begin();
    /* The nodes as they are now. */
    void read();
    /* Whether a node offers it, or has offered it. */
    bool offers(Op op);
    bool offers_secure_discard();
    /* 0: indirect requests were not offered. */
    uint64_t indirect_limit() const { return seen_.indirect; }

    /* False: the backend refused by a rule that its nodes do not state like this. A
     * frontend that believed them is not to blame. */
    bool back_up(JudgeRule rule, const Error &error);

private:
    bool is(const char *name) { return nodes_.number(name, 0) == 1; }
    uint64_t ring_pages();

    HookedBack *back_{nullptr};
    NodeText nodes_{};
    struct Seen {
        bool flush{false}, barrier{false}, discard{false}, secure{false};
        uint64_t indirect{0}, sectors{0}; /* the largest */
    } seen_{};
};

} // namespace pvblk
