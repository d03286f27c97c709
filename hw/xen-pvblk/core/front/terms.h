/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: the terms between us and a backend: the current plan, the plan
 * that our nodes announce, and the features that the backend turned out to lack.
 * Judges requests by them. A value: does no I/O.
 */
#pragma once

#include "front/negotiation.h"
#include "pvblk/front.h"

#include <array>
#include <optional>

namespace pvblk
{

/* Features that a backend may offer and then not do. */
enum class Feature : uint8_t { None, Flush, Barrier, Discard, SecureDiscard };
inline constexpr uint32_t kFeatures = 5;

/* Where a discard may begin (bytes), at or after the request's start. The bytes
 * before it keep their data. */
uint64_t discard_start(const Plan &plan, const IoRequest &req);

class Terms
{
public:
    Terms(const FrontPolicy &policy, const Plan &first)
        : policy_(policy), plan_(first), cache_(first.can_flush())
    {
    }

    const Plan &plan() const { return plan_; }

    /* A new plan, from the backend's current nodes. */
    Result<Plan> read(const NodeSet &nodes) const;
    /* The rings follow `plan`, and our nodes announce it. */
    const Plan &announce(const Plan &plan);
    /* The rings are gone. */
    void retract() { announced_.reset(); }

    /* The backend is Connected (after announce()): adopt its nodes as far as the
     * announced plan allows: of a new connection, or of a running one. Returns
     * whether size or access changed. */
    Result<bool> adopt_new(const NodeSet &nodes);
    Result<bool> refresh(const NodeSet &nodes);

    /* Whether the current plan allows a request. */
    IoStatus judge(const IoRequest &req) const;
    /* Whether a stable write needs a flush. If the backend withdrew its flush,
     * judge() has the last word. */
    bool flush_due() const { return cache_; }

    /* An answer to the use of a feature, `with_data` or without. True: the
     * backend lacks the feature, and the plan drops it. */
    bool withdraw(Feature feature, int16_t status, bool with_data);

private:
    Result<Plan> final_plan(const NodeSet &nodes) const;
    Status check(const Plan &next) const;
    bool replace(const Plan &next);
    bool flush_withdrawn() const { return cache_ && !plan_.can_flush(); }

    FrontPolicy policy_;
    Plan plan_;
    std::optional<Plan> announced_{};
    /* The backend offered a way to flush on this connection, so it has a volatile
     * cache, even if it withdrew the offer. */
    bool cache_;
    /* By Feature: the backend did it once on this connection. */
    std::array<bool, kFeatures> proven_{};
};

} // namespace pvblk
