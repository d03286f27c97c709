/* SPDX-License-Identifier: MIT */
/* Layer `front`: requests in line, and their completion. */
#include "front/requests.h"

#include <algorithm>

namespace pvblk
{

const char *io_status_name(IoStatus s)
{
    static constexpr const char *names[] = {"ok", "error", "unsupported", "cancelled"};
    return names[static_cast<uint32_t>(s)];
}

const char *verdict_name(Verdict v)
{
    static constexpr const char *names[] = {"accepted", "rejected", "retry"};
    return names[static_cast<uint32_t>(v)];
}

Requests::Requests(FrontOwner &owner, FrontCounters &counters, uint32_t most, uint32_t queues)
    : owner_(owner), counters_(counters), jobs_(most), queues_(queues)
{
    free_.reserve(most);
    order_.reserve(most);
    for (uint32_t i = most; i-- > 0;)
        free_.push_back(&jobs_[i]);
}

void Requests::accept(const IoRequest &req)
{
    Job &job = *free_.back();
    free_.pop_back();
    job = Job{};
    job.req = req;
    job.used = true;
    job.sequence = sequence_++;
    job.bytes = req.sectors << kSectorShift;
    job.flush_left = req.flush_after && req.kind == IoKind::Write;
    job.seek(0);
    counters_.requests++;
    push(job);
}

void Requests::push(Job &job)
{
    Line &line = lines_[job.req.queue % queues_];
    job.pending = true;
    job.next = nullptr;
    if (line.tail)
        line.tail->next = &job;
    else
        line.head = &job;
    line.tail = &job;
}

void Requests::pop(uint32_t queue)
{
    Line &line = lines_[queue];
    line.head->pending = false;
    line.head = line.head->next;
    if (!line.head)
        line.tail = nullptr;
}

void Requests::part_done(Job &job, Answer answer, bool flush_due)
{
    job.outstanding--;
    if (answer.status != IoStatus::Ok && job.status == IoStatus::Ok)
        job.status = answer.status;
    /* One that is in line is looked at again before more of it is sent, and
     * ends early where a part failed. */
    if (job.outstanding || job.pending)
        return;
    if (job.status == IoStatus::Ok && ((job.flush_left && flush_due) || answer.again))
        push(job);
    else
        complete(job);
}

void Requests::part_lost(Job &job, uint64_t offset)
{
    job.outstanding--;
    job.seek(job.has_data() ? std::min(job.offset, offset) : 0);
    counters_.requeued++;
}

void Requests::complete(Job &job)
{
    counters_.failed += job.status != IoStatus::Ok;
    job.used = job.doomed = false;
    free_.push_back(&job);
    completed_any_ = true;
    /* The owner may submit from inside: the job may be another one then. */
    owner_.completed(job.req.cookie, job.req.queue, job.status);
}

void Requests::end_batch()
{
    if (!completed_any_)
        return;
    completed_any_ = false;
    owner_.batch_done();
}

/* A write that has to be stable starts over: a cache may have gone with its
 * backend, or the means to flush it. */
void Requests::line_up(uint32_t queues)
{
    queues_ = queues;
    order_.clear();
    for (Job &job : jobs_)
        if (job.used)
            order_.push_back(&job);
    std::sort(order_.begin(), order_.end(),
              [](const Job *a, const Job *b) { return a->sequence < b->sequence; });
    lines_ = {};
    for (Job *job : order_) {
        if (job->req.kind == IoKind::Write && job->req.flush_after) {
            job->flush_left = true;
            job->seek(0);
        }
        push(*job);
    }
}

void Requests::leave_lines(std::optional<uint32_t> queue)
{
    for (Line &line : lines_) {
        Job *next = line.head;
        line = {};
        while (next) {
            Job &job = *next;
            next = job.next;
            if (!meant(job, queue))
                push(job);
        }
    }
}

void Requests::end(std::optional<uint32_t> queue, IoStatus status)
{
    leave_lines(queue);
    /* Marked first: what the owner submits from inside completed() is new, and
     * not meant. */
    for (Job &job : jobs_)
        job.doomed = job.used && meant(job, queue);
    for (Job &job : jobs_) {
        if (!job.doomed)
            continue;
        job.status = status;
        complete(job);
    }
    end_batch();
}

} // namespace pvblk
