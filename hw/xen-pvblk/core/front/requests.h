/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: accepted requests, from intake to completion. Each is pending
 * in the line of its queue, or all of it is in flight; each is completed once.
 * It does not know rings, grants and plans.
 */
#pragma once

#include "front/job.h"

#include <array>
#include <optional>
#include <vector>

namespace pvblk
{

class Requests
{
public:
    Requests(FrontOwner &owner, FrontCounters &counters, uint32_t most, uint32_t queues);

    uint32_t accepted() const { return static_cast<uint32_t>(jobs_.size() - free_.size()); }
    bool has_room() const { return !free_.empty(); }

    /* Requires room. */
    void accept(const IoRequest &req);
    /* The first request that has something to send, or will never be sent. */
    Job *head(uint32_t queue) const { return lines_[queue].head; }
    void pop(uint32_t queue);

    /* The effect of an answer on its request. */
    struct Answer {
        IoStatus status{IoStatus::Ok};
        bool again{false}; /* not done yet: try it another way */
    };
    /* `flush_due`: see Terms. */
    void part_done(Job &job, Answer answer, bool flush_due);
    /* The fate of the part from `offset` on is not known. The data after it may
     * be written twice; nobody can notice before the request is completed. */
    void part_lost(Job &job, uint64_t offset);
    void complete(Job &job);
    /* Calls batch_done() if a request was completed since the last call. */
    void end_batch();

    /* Puts all requests into so many lines, in the order of acceptance.
     * Requires that nothing is in flight. */
    void line_up(uint32_t queues);
    /* Complete all, or those of one of the owner's queues. */
    void end(std::optional<uint32_t> queue, IoStatus status);
    static bool meant(const Job &job, std::optional<uint32_t> queue)
    {
        return !queue || job.req.queue == *queue;
    }

private:
    struct Line {
        Job *head{nullptr}, *tail{nullptr};
    };
    void push(Job &job);
    void leave_lines(std::optional<uint32_t> queue);

    FrontOwner &owner_;
    FrontCounters &counters_;
    std::vector<Job> jobs_; /* never moves */
    std::vector<Job *> free_;
    std::vector<Job *> order_; /* for line_up() */
    std::array<Line, kMaxQueues> lines_{};
    uint32_t queues_;
    uint64_t sequence_{0};
    bool completed_any_{false};
};

} // namespace pvblk
