/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: whether a request keeps blkif.h, before any of it is done.
 * Serves struct blkif_request, blkif_request_discard, blkif_request_indirect.
 * Sums are never formed of what a frontend wrote: subtract, never add.
 */
#include "back/queue.h"

#include <algorithm>

namespace pvblk
{

/* Fills in what the request comes to. Okay: it may be done. */
RspStatus BackQueue::check(uint32_t index)
{
    Request &r = requests_[index];
    r.segments = 0;
    switch (r.wire.op) {
    case Op::Read:
    case Op::Write: return check_data(index);
    case Op::Indirect:
        if (!config_.max_indirect_segments)
            return RspStatus::EOpNotSupp;
        counters_.indirect++;
        return check_data(index);
    case Op::WriteBarrier:
        if (!config_.barrier)
            return RspStatus::EOpNotSupp;
        r.step = Step::BarrierWait;
        /* An empty one has nothing to write, and is a flush in order. */
        if (RspStatus s = r.wire.nr_segments ? check_data(index) : RspStatus::Okay;
            s != RspStatus::Okay) {
            r.step = Step::Work;
            return s;
        }
        return RspStatus::Okay;
    case Op::FlushDiskcache: return check_flush(r);
    case Op::Discard: return check_discard(r);
    default: return RspStatus::EOpNotSupp;
    }
}

RspStatus BackQueue::check_data(uint32_t index)
{
    Request &r = requests_[index];
    Op op = r.wire.op == Op::Indirect ? r.wire.indirect_op : r.wire.op;
    if (op != Op::Read && op != Op::Write && r.wire.op != Op::WriteBarrier)
        return RspStatus::Error;
    r.op = op == Op::Read    ? StorageOp::Read
           : op == Op::Write ? StorageOp::Write
                             : StorageOp::WriteStable;
    if (r.op != StorageOp::Read && config_.read_only)
        return RspStatus::Error;
    bool taken = r.wire.op == Op::Indirect ? take_indirect(index) : take_segments(index);
    uint64_t bytes = 0;
    for (const WireSegment &s : segments(index)) {
        if (s.first_sect > s.last_sect || (s.last_sect + 1u) * config_.unit() > kPageSize)
            taken = false;
        uint32_t length = (s.last_sect - s.first_sect + 1u) * config_.unit();
        if (s.first_sect * config_.unit() % config_.sector_size || length % config_.sector_size)
            taken = false;
        bytes += length;
    }
    if (!taken || !in_range(r.wire.sector, bytes >> kSectorShift, r)) {
        r.segments = 0;
        return RspStatus::Error;
    }
    return RspStatus::Okay;
}

bool BackQueue::take_segments(uint32_t index)
{
    Request &r = requests_[index];
    if (r.wire.nr_segments == 0 || r.wire.nr_segments > kMaxDirectSegments)
        return false;
    r.segments = r.wire.nr_segments;
    std::copy_n(r.wire.seg.begin(), r.segments, segments(index).begin());
    return true;
}

/* Copies the segments out of the frontend's pages, once. */
bool BackQueue::take_indirect(uint32_t index)
{
    Request &r = requests_[index];
    uint32_t count = r.wire.nr_indirect_segments;
    if (count == 0 || count > config_.max_indirect_segments)
        return false;
    r.segments = count;
    std::span<WireSegment> left = segments(index);
    grants_.about("indirect", fault_ops(r.wire));
    for (uint32_t page = 0; !left.empty(); page++) {
        auto m = maps_->take(r.wire.indirect[page], false);
        if (!m) {
            counters_.map_failures++;
            r.pretend = grants_.pretended();
            r.segments = 0;
            return false;
        }
        size_t n = std::min<size_t>(left.size(), kSegmentsPerPage);
        get_segments(m.value().page, left.first(n));
        give_back(m.value(), "indirect", fault_ops(r.wire));
        left = left.subspan(n);
    }
    return true;
}

RspStatus BackQueue::check_flush(Request &r) const
{
    if (!config_.flush)
        return RspStatus::EOpNotSupp;
    r.op = StorageOp::Flush;
    /* A flush carries no data (blkif.h); QEMU's writes it unflushed. */
    return r.wire.nr_segments ? RspStatus::Error : RspStatus::Okay;
}

RspStatus BackQueue::check_discard(Request &r) const
{
    bool secure = r.wire.nr_segments & kDiscardSecure;
    if (config_.read_only)
        return RspStatus::Error;
    /* A secure one that is done as another would leave data behind. */
    if (!config_.discard || (secure && !config_.discard_secure))
        return RspStatus::EOpNotSupp;
    r.op = secure ? StorageOp::SecureDiscard : StorageOp::Discard;
    if (r.wire.nr_sectors == 0)
        return RspStatus::Error;
    uint32_t per = config_.unit() / kSectorSize;
    if (r.wire.nr_sectors > UINT64_MAX / per)
        return RspStatus::Error;
    if (!in_range(r.wire.sector, r.wire.nr_sectors * per, r))
        return RspStatus::Error;
    uint64_t granularity =
        config_.discard_granularity ? config_.discard_granularity : config_.sector_size;
    uint64_t at = r.sector << kSectorShift; /* in range, so it cannot wrap */
    uint64_t first = config_.discard_alignment;
    if (at < first || (at - first) % granularity || r.sectors % (config_.sector_size / kSectorSize))
        return RspStatus::Error;
    return RspStatus::Okay;
}

/* On the wire a sector may be anything up to 2^64. */
bool BackQueue::in_range(uint64_t unit_sector, uint64_t sectors, Request &r) const
{
    uint32_t per = config_.unit() / kSectorSize;
    uint64_t capacity = ports_.storage.sectors();
    if (unit_sector > capacity / per)
        return false;
    uint64_t sector = unit_sector * per;
    if (sectors > capacity - sector)
        return false;
    if (sector % (config_.sector_size / kSectorSize))
        return false;
    r.sector = sector;
    r.sectors = sectors;
    return true;
}

} // namespace pvblk
