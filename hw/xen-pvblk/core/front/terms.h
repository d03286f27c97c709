/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: what holds between us and a backend: the plan of now, what of
 * it our nodes say, and which features turned out not to be there. Judges
 * requests by it. A value: does no I/O.
 */
#pragma once

#include "front/negotiation.h"
#include "pvblk/front.h"

#include <array>
#include <optional>

namespace pvblk
{

/* What a backend may offer and yet not do. */
enum class Feature : uint8_t { None, Flush, Barrier, Discard, SecureDiscard };
inline constexpr uint32_t kFeatures = 5;

/* Where a discard may begin (bytes), at or after the request's start: what is
 * before it keeps its data. */
uint64_t discard_start(const Plan &plan, const IoRequest &req);

class Terms
{
public:
    Terms(const FrontPolicy &policy, const Plan &first) : policy_(policy), plan_(first) {}

    const Plan &plan() const { return plan_; }

    /* A new plan, from the backend's nodes of now. */
    Result<Plan> read(const NodeSet &nodes) const;
    /* Rings are made as `plan` says, and our nodes say so; see announced(). */
    const Plan &announce(const Plan &plan);
    /* They are gone. */
    void retract() { announced_.reset(); }

    /* The backend is Connected, which comes after announce(): what its nodes say
     * now holds, as far as it may. Of a new connection, or of one that goes on.
     * Returns whether size or access are others. */
    Result<bool> adopt_new(const NodeSet &nodes);
    Result<bool> refresh(const NodeSet &nodes);

    /* Whether the plan of now allows a request. */
    IoStatus judge(const IoRequest &req) const;
    /* A write that has to be stable is not done without a flush: there is one,
     * or there was, and judge() has the last word. */
    bool flush_due() const { return plan_.can_flush() || flush_withdrawn_; }

    /* An answer to the use of a feature, `with_data` or without. True: the
     * backend has not got it, and the plan has it no more. */
    bool withdraw(Feature feature, int16_t status, bool with_data);

private:
    Result<Plan> final_plan(const NodeSet &nodes) const;
    Status check(const Plan &next) const;
    bool replace(const Plan &next);

    FrontPolicy policy_;
    Plan plan_;
    std::optional<Plan> announced_{};
    /* The backend has a cache and took back the means to flush it. */
    bool flush_withdrawn_{false};
    /* By Feature: the backend did it once on this connection. */
    std::array<bool, kFeatures> proven_{};
};

} // namespace pvblk
