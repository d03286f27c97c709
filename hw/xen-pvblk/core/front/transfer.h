/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: the traffic of a connection. Requests pass through these parts,
 * in this order:
 *
 *     Requests → Splitter → Slots → Rings → Answers → Requests
 *
 * It does not know states and deadlines.
 */
#pragma once

#include "front/answers.h"
#include "front/complaints.h"
#include "front/nodes.h"
#include "front/sender.h"
#include "front/session.h"

namespace pvblk
{

class Transfer final : public Session
{
public:
    Transfer(FrontPorts ports, FrontOwner &owner, const FrontConfig &config, FrontNodes &nodes,
             Complaints &complaints, FrontCounters &counters, const Plan &first);
    ~Transfer();

    Intake submit(const IoRequest &req);
    /* Complete the requests of one of the owner's queues, or all. Their ring
     * requests in flight become orphans. */
    void cancel(std::optional<uint32_t> queue);

    const Plan &plan() const { return terms_.plan(); }
    uint32_t accepted() const { return requests_.accepted(); }
    bool has_room() const { return requests_.has_room(); }
    const GrantPool &pool() const { return pool_; }
    const Rings &rings() const { return rings_; }

    Offer offer() const override;
    Status publish() override;
    Status attach() override;
    Status refresh() override;
    void tear_down(bool given_up) override;
    void fail_all() override { end(std::nullopt, IoStatus::Error); }
    Turn turn(const Permit &permit) override;
    void end_batch() override { requests_.end_batch(); }
    uint32_t in_flight() const override { return slots_.in_flight(); }
    uint32_t orphans() const override { return slots_.orphans(); }
    int64_t oldest_ns(int64_t now_ns) const override { return slots_.oldest_ns(now_ns); }

private:
    void end(std::optional<uint32_t> queue, IoStatus status);
    bool requeue_in_flight();
    void tell_plan(bool changed);

    FrontOwner &owner_;
    FrontNodes &nodes_;
    Complaints &complaints_;
    FrontCounters &counters_;
    GrantPool pool_;
    Terms terms_;
    Rings rings_;
    Slots slots_;
    Splitter splitter_;
    Requests requests_;
    Sender sender_;
    Answers answers_;
    bool was_attached_{false};
};

} // namespace pvblk
