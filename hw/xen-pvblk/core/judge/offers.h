/* SPDX-License-Identifier: MIT */
/*
 * Layer `judge`: what the backend's nodes say, which is what a frontend may
 * believe. A fault plan may have bent them, so they need not be what the backend
 * does.
 */
#pragma once

#include "back/hooks.h"
#include "pvblk/judge.h"

namespace pvblk
{

class Offers
{
public:
    void attach(HookedBack *back) { back_ = back; }

    /* The nodes as they are now. */
    void read();
    /* Whether the nodes offer it: as they were at read(), or as they are now. */
    bool offers(Op op) const;
    bool offers_secure_discard() const;
    /* 0: indirect requests were not offered. */
    uint64_t indirect_limit() const { return indirect_; }
    bool persistent() const { return persistent_; }

    /* False: the backend refused by a rule that its nodes do not state like this. A
     * frontend that believed them is not to blame. */
    bool back_up(JudgeRule rule, uint64_t value) const;

private:
    uint64_t number(const char *name, uint64_t otherwise) const;
    bool is(const char *name) const { return number(name, 0) == 1; }

    HookedBack *back_{nullptr};
    bool flush_{false}, barrier_{false}, discard_{false}, secure_{false}, persistent_{false};
    uint64_t indirect_{0};
};

} // namespace pvblk
