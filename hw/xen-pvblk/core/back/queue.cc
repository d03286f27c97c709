/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: a ring's life, and the way of a request through it. What a
 * request may be is checked in check.cc.
 */
#include "back/queue.h"

#include <algorithm>
#include <utility>

namespace pvblk
{

namespace
{

/* Passes over the ring per event, so that a frontend that never stops
 * pushing cannot keep our caller's loop. */
constexpr uint32_t kMaxPasses = 4;
/* Segments that are looked at per event: to map and unmap one is what refusing
 * a request costs. */
constexpr uint32_t kMaxWork = 4096;

} // namespace

BackQueue::BackQueue(BackPorts ports, const BackConfig &config, const BackKnobs &knobs,
                     BackFaults &faults, BarrierGate &gate, uint32_t index)
    : ports_(ports), config_(config), knobs_(knobs), faults_(faults), gate_(gate), index_(index),
      grants_(ports.grants, faults, index)
{
    gate_.add(*this);
}

/* ---- the ring's life ----------------------------------------------------- */

Status BackQueue::start(Abi abi, const RingNodes &nodes, bool persistent)
{
    if (auto s = map_ring(abi, nodes); !s)
        return s;
    size_for(ring_.size(), persistent);
    bound_ = true; /* an event may come from inside of bind() */
    if (auto s = ports_.events.bind(index_, nodes.port); !s) {
        bound_ = false;
        stop();
        return s;
    }
    faults_.bound(index_, true);
    if (faults_.any())
        bend_prepare();
    return Ok{};
}

Status BackQueue::map_ring(Abi abi, const RingNodes &nodes)
{
    std::array<std::byte *, kMaxRingPages> pages{};
    grants_.about("ring", 0);
    for (uint32_t i = 0; i < nodes.pages; i++) {
        auto page = grants_.map(nodes.refs[i], false);
        if (!page) {
            stop();
            return Error{ErrorKind::Io, "blkif:ring-ref",
                         "a page of the frontend's ring cannot be mapped", nodes.refs[i].value};
        }
        pages[i] = page.value();
        ring_pages_[i] = {nodes.refs[i], page.value(), Mapping::kOnce};
        nr_ring_pages_ = i + 1;
    }
    shared_ = SharedRing(abi, pages, nodes.pages);
    /* Where an earlier backend stopped; 0 for a ring that is new. */
    ring_ = BackRing<SharedRing>(shared_, shared_.load(SringField::RspProd));
    up_ = true;
    halted_ = false;
    return Ok{};
}

void BackQueue::size_for(uint32_t entries, bool persistent)
{
    max_segments_ = std::max(kMaxDirectSegments, config_.max_indirect_segments);
    requests_.assign(entries, Request{});
    segments_.resize(size_t{entries} * max_segments_);
    mappings_.resize(size_t{entries} * max_segments_);
    iov_.resize(size_t{entries} * max_segments_);
    free_.reserve(entries);
    held_.reserve(entries);
    for (uint32_t i = entries; i-- > 0;)
        free_.push_back(i);
    persistent_ = persistent;
    maps_ = std::make_unique<PersistentMaps>(grants_, persistent ? config_.max_persistent : 0);
}

/* What is held or at the ring is forgotten. */
void BackQueue::stop()
{
    for (uint32_t i = 0; i < requests_.size(); i++)
        unmap_data(i);
    requests_.clear();
    free_.clear();
    held_.clear();
    maps_.reset();
    deferred_.clear();
    rewrites_.clear();
    lingering_.clear();
    grants_.forget();
    last_id_.reset();
    forged_.reset();
    gate_.forget(*this);
    if (bound_)
        ports_.events.unbind(index_);
    bound_ = up_ = false;
    faults_.bound(index_, false);
    for (uint32_t i = 0; i < nr_ring_pages_; i++) {
        if (knobs_.keep_ring)
            kept_.push_back(ring_pages_[i]);
        else if (!faults_.any() || !bend_unmap(ring_pages_[i], "ring", 0))
            ports_.grants.unmap(ring_pages_[i].ref, ring_pages_[i].page);
    }
    nr_ring_pages_ = 0;
}

/* ---- from the ring and back ---------------------------------------------- */

/* Linux: the ring stops; only a new connection starts it again. */
void BackQueue::halt(const Error &error)
{
    error_ = error;
    halted_ = true;
    if (ports_.owner)
        ports_.owner->fault(error);
}

/* How many requests wait. Where none does, an event is asked for. */
Result<uint32_t> BackQueue::waiting()
{
    if (faults_.any())
        return bend_waiting();
    auto n = ring_.requests();
    if (n && n.value() == 0)
        n = ring_.rearm();
    return n;
}

void BackQueue::event()
{
    counters_.events_received++;
    bool more = false;
    in_event_ = true;
    work_ = 0;
    bool admitted = gate_.admits(*this);
    for (uint32_t pass = 0; up_ && !halted_ && gate_.admits(*this); pass++) {
        auto n = waiting();
        if (!n) {
            halt(n.error());
            break;
        }
        if (n.value() == 0)
            break;
        if (pass == kMaxPasses || work_ >= kMaxWork) {
            more = true;
            break;
        }
        for (uint32_t i = 0; i < n.value() && work_ < kMaxWork && may_take(); i++)
            accept(ring_.take());
    }
    if (up_)
        gate_.event_over(*this, admitted);
    in_event_ = false;
    flush_responses();
    if (more)
        ports_.events.again(index_);
}

void BackQueue::look_again()
{
    ports_.events.again(index_);
}

bool BackQueue::may_take() const
{
    return gate_.admits(*this) && !halted_ && !faults_.still();
}

void BackQueue::flush_responses()
{
    if (up_ && ring_.staged() && (faults_.any() ? bend_publish() : ring_.publish()))
        kick();
    if (faults_.any())
        bend_flushed();
}

void BackQueue::kick()
{
    if (!bound_)
        return;
    if (faults_.any())
        return bend_notify();
    counters_.events_sent++;
    (void)ports_.events.notify(index_);
}

/* ---- the way of a request ------------------------------------------------ */

void BackQueue::accept(const WireRequest &wire)
{
    counters_.requests++;
    work_ += 1 + std::min<uint32_t>(wire.op == Op::Indirect ? wire.nr_indirect_segments
                                                            : wire.nr_segments,
                                    max_segments_);
    if (faults_.any() && bend_take(wire))
        return;
    if (free_.empty())
        end_lingering();
    /* As many as the ring has slots; one may have been answered too often. */
    if (free_.empty()) {
        halt({ErrorKind::NoSpace, "ring:req-prod", "more requests than the ring holds",
              counters_.requests.get()});
        return;
    }
    uint32_t index = free_.back();
    free_.pop_back();
    requests_[index] = Request{};
    requests_[index].wire = wire;
    if (!knobs_.hold) {
        begin(index);
        return;
    }
    if (knobs_.hold_mapped && (wire.op == Op::Read || wire.op == Op::Write) &&
        check(index) == RspStatus::Okay)
        (void)map_data(index);
    held_.push_back(index);
}

void BackQueue::complete(size_t i)
{
    uint32_t index = held_[i];
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
    begin(index);
    if (!in_event_)
        flush_responses();
}

void BackQueue::begin(uint32_t index)
{
    Request &r = requests_[index];
    if (faults_.any())
        if (auto bent = bend_work(r))
            return finish(index, *bent);
    RspStatus status = check(index);
    if (status == RspStatus::Okay && r.segments && !r.mapped && !map_data(index))
        status = RspStatus::Error;
    if (status != RspStatus::Okay) {
        finish(index, r.pretend ? RspStatus::Okay : status);
        return;
    }
    if (r.step == Step::BarrierWait) {
        r.barrier = true;
        if (!gate_.close())
            return; /* barrier_turn() goes on with it */
    }
    work(index);
}

/* The next step of a request that passed every check. */
void BackQueue::work(uint32_t index)
{
    Request &r = requests_[index];
    if (r.step == Step::BarrierWait) {
        r.step = Step::BarrierFlush;
        submit(index, StorageOp::Flush);
        return;
    }
    if (r.step == Step::BarrierFlush)
        r.step = Step::BarrierWrite;
    submit(index, r.op);
}

void BackQueue::submit(uint32_t index, StorageOp op)
{
    Request &r = requests_[index];
    StorageRequest req{op, Sector(r.sector), r.sectors, {}, index};
    if (op == StorageOp::Read || op == StorageOp::Write || op == StorageOp::WriteStable)
        req.data = {iov(index), r.segments};
    if (faults_.any() && bend_data(index, req))
        return finish(index, RspStatus::Okay);
    working_++;
    gate_.begin();
    ports_.storage.submit(req, *this);
}

void BackQueue::storage_done(uint64_t tag, bool ok)
{
    auto index = static_cast<uint32_t>(tag);
    Request &r = requests_[index];
    working_--;
    gate_.end();
    if (ok && r.bend)
        bend_read(index);
    if (ok && r.step == Step::BarrierFlush && r.segments)
        work(index);
    else
        finish(index, ok ? RspStatus::Okay : RspStatus::Error);
    if (!in_event_)
        flush_responses();
    gate_.settle();
}

bool BackQueue::barrier_turn()
{
    for (uint32_t i = 0; i < requests_.size(); i++)
        if (requests_[i].barrier && requests_[i].step == Step::BarrierWait) {
            work(i);
            return true;
        }
    return false;
}

void BackQueue::finish(uint32_t index, RspStatus status)
{
    Request &r = requests_[index];
    if (status == RspStatus::Okay && r.segments)
        (r.op == StorageOp::Read ? counters_.bytes_read : counters_.bytes_written)
            .add(r.sectors << kSectorShift);
    if (!r.lingers)
        unmap_data(index);
    respond(r, status);
    bool was_barrier = std::exchange(r.barrier, false);
    r.step = Step::Work;
    (r.lingers ? lingering_ : free_).push_back(index);
    if (was_barrier)
        gate_.open();
}

void BackQueue::respond(const Request &r, RspStatus status)
{
    if (status == RspStatus::Error)
        counters_.refused++;
    if (status == RspStatus::EOpNotSupp)
        counters_.unsupported++;
    /* An indirect request is answered as what it stands for: so does Linux's
     * blkback, and its blkfront takes nothing else. */
    bool indirect = r.wire.op == Op::Indirect && status != RspStatus::EOpNotSupp;
    Op op = indirect ? r.wire.indirect_op : r.wire.op;
    WireResponse rsp{r.wire.id, op, static_cast<int16_t>(status)};
    if (faults_.any())
        bend_response(r, rsp);
    else
        stage(rsp);
}

void BackQueue::stage(const WireResponse &rsp)
{
    ring_.stage(rsp);
    counters_.responses++;
}

/* ---- pages --------------------------------------------------------------- */

std::span<WireSegment> BackQueue::segments(uint32_t index)
{
    return {&segments_[size_t{index} * max_segments_], requests_[index].segments};
}

/* All or none. What we write to the disk we only read from the frontend. */
bool BackQueue::map_data(uint32_t index)
{
    Request &r = requests_[index];
    /* blkif.h feature-persistent: mapped for reading and writing, since both
     * come to use the page for either. */
    bool write = persistent_ || r.op == StorageOp::Read;
    uint64_t hits = maps_->hits();
    grants_.about("data", fault_ops(r.wire));
    for (const WireSegment &s : segments(index)) {
        auto m = maps_->take(s.gref, write);
        if (!m) {
            counters_.map_failures++;
            r.pretend = grants_.pretended();
            unmap_data(index);
            return false;
        }
        size_t bytes = size_t(s.last_sect - s.first_sect + 1u) * config_.unit();
        iov(index)[r.mapped] = {m.value().page + s.first_sect * config_.unit(), bytes};
        mappings(index)[r.mapped++] = m.value();
    }
    counters_.persistent_hits.add(maps_->hits() - hits);
    counters_.segments.add(r.segments);
    return true;
}

void BackQueue::unmap_data(uint32_t index)
{
    Request &r = requests_[index];
    for (uint32_t i = 0; i < r.mapped; i++) {
        if (knobs_.keep_mapped)
            kept_.push_back(mappings(index)[i]);
        else
            give_back(mappings(index)[i], "data", fault_ops(r.wire));
    }
    r.mapped = 0;
}

void BackQueue::give_back(const Mapping &m, std::string_view name, FaultOpSet ops)
{
    if (!faults_.any() || !bend_unmap(m, name, ops))
        maps_->give_back(m);
}

void BackQueue::let_go()
{
    for (const Mapping &m : kept_)
        ports_.grants.unmap(m.ref, m.page);
    kept_.clear();
}

void BackQueue::push_raw(const WireResponse &rsp)
{
    ring_.stage(rsp);
    ring_.publish();
    kick();
}

} // namespace pvblk
