/* SPDX-License-Identifier: MIT */
/* Layer `back`: the way of a request, from the ring to its answer. */
#include "back/requests.h"

#include <algorithm>
#include <utility>

namespace pvblk
{

BackRequests::BackRequests(BackPorts ports, const BackConfig &config, HooksPointer hooks,
                           BarrierGate &gate, HookedQueue &queue, QueueCounters &counters)
    : ports_(ports), config_(config), hooks_(hooks), gate_(gate), queue_(queue),
      counters_(counters), pages_(ports.grants, config, counters, queue, hooks)
{
}

void BackRequests::start(uint32_t slots, bool persistent)
{
    requests_.assign(slots, Request{});
    free_.reserve(slots);
    waiting_.reserve(slots);
    for (uint32_t i = slots; i-- > 0;)
        free_.push_back(i);
    pages_.start(slots, persistent);
}

void BackRequests::stop()
{
    for (uint32_t i = 0; i < requests_.size(); i++)
        pages_.release(i, requests_[i].wire);
    requests_ = std::vector<Request>();
    free_.clear();
    waiting_.clear();
    pages_.stop();
}

uint32_t BackRequests::work(const WireRequest &wire) const
{
    return 1 + std::min(segment_count(wire), pages_.max_segments());
}

HookedRequest BackRequests::hooked(uint32_t slot)
{
    return {queue_, slot, requests_[slot].wire, pages_.iov(slot), pages_.mappings(slot)};
}

bool BackRequests::accept(const WireRequest &wire)
{
    if (free_.empty() && hooks_)
        hooks_->no_slot(queue_);
    /* As many as the ring has slots; one may have been answered too often. */
    if (free_.empty())
        return false;
    uint32_t slot = free_.back();
    free_.pop_back();
    requests_[slot] = Request{wire};
    begin(slot);
    return true;
}

void BackRequests::begin(uint32_t slot)
{
    if (hooks_) {
        HookStep step = hooks_->before_work(hooked(slot));
        if (step.what == HookStep::Keep)
            return;
        if (step.what == HookStep::Answer)
            return finish(slot, step.status);
    }
    if (requests_[slot].wire.op == Op::Indirect && config_.max_indirect_segments)
        counters_.indirect++;
    enter(slot);
}

/* Checks a request and begins it, or answers it. Runs again if it had to wait. */
void BackRequests::enter(uint32_t slot)
{
    Request &r = requests_[slot];
    Disk disk{config_, ports_.storage.sectors()};
    Checked good = check_request(disk, r.wire, r.task);
    if (good && r.task.data) {
        if (!pages_.reserve(slot, segment_count(r.wire)))
            return waiting_.push_back(slot);
        good = take_data(slot, disk);
    }
    if (!good)
        return refuse(slot, good.error());
    if (r.task.nothing)
        return finish(slot, RspStatus::Okay);
    r.step = r.task.barrier ? Step::BarrierWait : Step::Work;
    r.gated = r.task.barrier;
    if (r.gated && !gate_.close())
        return; /* barrier_turn() goes on with it */
    advance(slot);
}

bool BackRequests::resume()
{
    if (waits()) {
        uint32_t slot = waiting_.front();
        waiting_.erase(waiting_.begin());
        enter(slot);
    }
    return !waits();
}

/* Okay: the segments keep every rule, and their pages are mapped. */
Checked BackRequests::take_data(uint32_t slot, const Disk &disk)
{
    Request &r = requests_[slot];
    Checked good = pages_.collect(slot, r.wire);
    if (good)
        good = check_segments(disk, r.wire, pages_.segments(slot), r.task);
    if (good)
        good = pages_.map(slot, r.wire, r.task.op == StorageOp::Read);
    return good;
}

/* The next step of a request that passed every check. */
void BackRequests::advance(uint32_t slot)
{
    Request &r = requests_[slot];
    if (r.step == Step::BarrierWait) {
        r.step = Step::BarrierFlush;
        return submit(slot, StorageOp::Flush);
    }
    if (r.step == Step::BarrierFlush)
        r.step = Step::BarrierWrite;
    submit(slot, r.task.op);
}

void BackRequests::submit(uint32_t slot, StorageOp op)
{
    const Task &task = requests_[slot].task;
    StorageRequest req{op, Sector(task.sector), task.sectors, {}, slot};
    if (op == StorageOp::Read || op == StorageOp::Write || op == StorageOp::WriteStable)
        req.data = pages_.iov(slot);
    if (hooks_) {
        HookStep step = hooks_->data(hooked(slot), req);
        if (step.what == HookStep::Keep)
            return;
        if (step.what == HookStep::Answer)
            return finish(slot, step.status);
    }
    if (!req.data.empty())
        req.data = pages_.merge(slot, req.data.size());
    working_++;
    gate_.begin();
    send(slot, req);
}

/* Sends parts with no more vectors than the storage takes. The last submit() may
 * end the request, and give the slot to another one. */
void BackRequests::send(uint32_t slot, StorageRequest req)
{
    constexpr size_t most = Storage::kMaxVectors;
    Request &r = requests_[slot];
    r.parts = std::max<uint32_t>(1, static_cast<uint32_t>((req.data.size() + most - 1) / most));
    r.failed = false;
    while (req.data.size() > most) {
        StorageRequest part = req;
        part.data = req.data.first(most);
        part.sectors = 0;
        for (const struct iovec &v : part.data)
            part.sectors += v.iov_len >> kSectorShift;
        ports_.storage.submit(part, *this);
        req.at.value += part.sectors;
        req.sectors -= part.sectors;
        req.data = req.data.subspan(most);
    }
    ports_.storage.submit(req, *this);
}

void BackRequests::storage_done(uint64_t tag, bool ok)
{
    auto slot = static_cast<uint32_t>(tag);
    Request &r = requests_[slot];
    r.failed |= !ok;
    if (--r.parts)
        return;
    ok = !r.failed;
    working_--;
    gate_.end();
    bool keep = ok && hooks_ && hooks_->moved(hooked(slot)).what == HookStep::Keep;
    if (ok && r.step == Step::BarrierFlush && r.task.data)
        advance(slot);
    else
        finish(slot, ok ? RspStatus::Okay : RspStatus::Error, keep);
    queue_.flush();
    gate_.settle();
}

bool BackRequests::barrier_turn()
{
    for (uint32_t i = 0; i < requests_.size(); i++)
        if (requests_[i].gated && requests_[i].step == Step::BarrierWait) {
            advance(i);
            return true;
        }
    return false;
}

void BackRequests::refuse(uint32_t slot, const Refusal &refusal)
{
    const WireRequest &wire = requests_[slot].wire;
    /* Okay: a hook pretends that an unmapped page is mapped. */
    if (ports_.owner && refusal.status != RspStatus::Okay)
        ports_.owner->refused({queue_.index(), wire.id, wire.op, refusal.status, refusal.why});
    finish(slot, refusal.status);
}

/* `keep`: a hook has the slot and its pages, until release(). */
void BackRequests::finish(uint32_t slot, RspStatus status, bool keep)
{
    Request &r = requests_[slot];
    if (status == RspStatus::Okay && r.task.data)
        (r.task.op == StorageOp::Read ? counters_.bytes_read : counters_.bytes_written)
            .add(r.task.sectors << kSectorShift);
    if (!keep)
        pages_.release(slot, r.wire);
    respond(r, status);
    bool was_gated = std::exchange(r.gated, false);
    if (!keep)
        vacate(slot);
    if (was_gated)
        gate_.open();
}

/* There is a slot again, and maybe room. */
void BackRequests::vacate(uint32_t slot)
{
    free_.push_back(slot);
    if (waits())
        ports_.events.again(queue_.index());
}

void BackRequests::respond(const Request &r, RspStatus status)
{
    if (status == RspStatus::Error)
        counters_.refused++;
    if (status == RspStatus::EOpNotSupp)
        counters_.unsupported++;
    /* The response to an indirect request names the inner operation: so does Linux's
     * blkback, and its blkfront takes nothing else. */
    bool indirect = r.wire.op == Op::Indirect && status != RspStatus::EOpNotSupp;
    Op op = indirect ? r.wire.indirect_op : r.wire.op;
    WireResponse rsp{r.wire.id, op, static_cast<int16_t>(status)};
    if (!hooks_ || !hooks_->respond(queue_, r.wire, rsp))
        queue_.stage(rsp);
}

/* ---- for hooks ------------------------------------------------------------- */

void BackRequests::proceed(uint32_t slot)
{
    const Request &r = requests_[slot];
    if (r.step == Step::Check)
        begin(slot);
    else
        submit(slot, r.step == Step::BarrierFlush ? StorageOp::Flush : r.task.op);
    queue_.flush();
}

void BackRequests::release(uint32_t slot)
{
    pages_.release(slot, requests_[slot].wire);
    vacate(slot);
}

} // namespace pvblk
