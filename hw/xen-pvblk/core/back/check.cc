/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: the checks of a request. Never add up numbers that a frontend
 * wrote: subtract.
 */
#include "back/check.h"

#include <algorithm>

namespace pvblk
{

namespace
{

/* On the wire a sector may be anything up to 2^64. */
Checked check_range(const Disk &disk, uint64_t unit_sector, uint64_t sectors, Task &task)
{
    uint32_t per = disk.config.unit() / kSectorSize;
    if (unit_sector > disk.sectors / per)
        return refusal("blkif:range", "a request begins beyond the end of the disk", unit_sector);
    uint64_t sector = unit_sector * per;
    if (sectors > disk.sectors - sector)
        return refusal("blkif:range", "a request ends beyond the end of the disk", unit_sector);
    task.sector = sector;
    task.sectors = sectors;
    return Ok{};
}

bool whole_sectors(const Disk &disk, uint64_t sectors)
{
    return sectors % (disk.config.sector_size / kSectorSize) == 0;
}

Checked check_count(const Disk &disk, const WireRequest &wire)
{
    uint32_t count = segment_count(wire);
    if (count == 0)
        return refusal("blkif:max-segments", "a request has no segment", 0);
    if (wire.op == Op::Indirect && count > disk.config.max_indirect_segments)
        return refusal("blkif:indirect-limit",
                       "an indirect request has more segments than the backend offered", count);
    if (wire.op != Op::Indirect && count > kMaxDirectSegments)
        return refusal("blkif:max-segments", "a request has more than 11 segments", count);
    return Ok{};
}

Checked check_data(const Disk &disk, const WireRequest &wire, Task &task)
{
    Op op = wire.op == Op::Indirect ? wire.indirect_op : wire.op;
    if (op != Op::Read && op != Op::Write && wire.op != Op::WriteBarrier)
        return refusal("blkif:indirect-op", "an indirect request is neither a read nor a write",
                       static_cast<uint64_t>(op));
    task.data = true;
    task.op = op == Op::Read    ? StorageOp::Read
              : op == Op::Write ? StorageOp::Write
                                : StorageOp::WriteStable;
    if (task.op != StorageOp::Read && disk.config.read_only)
        return refusal("blkif:read-only", "a request writes to a read-only disk", wire.sector);
    return check_count(disk, wire);
}

Checked check_indirect(const Disk &disk, const WireRequest &wire, Task &task)
{
    if (!disk.config.max_indirect_segments)
        return unsupported("blkif:feature-max-indirect-segments",
                           "a request is indirect, but the backend offers no indirect requests");
    return check_data(disk, wire, task);
}

Checked check_barrier(const Disk &disk, const WireRequest &wire, Task &task)
{
    if (!disk.config.barrier)
        return unsupported("blkif:feature-barrier",
                           "a request is a barrier, but the backend offers none");
    task.barrier = true;
    /* An empty one has nothing to write, and is a flush in order. */
    if (wire.nr_segments == 0)
        return Ok{};
    return check_data(disk, wire, task);
}

Checked check_flush(const Disk &disk, const WireRequest &wire, Task &task)
{
    if (!disk.config.flush)
        return unsupported("blkif:feature-flush-cache",
                           "a request is a flush, but the backend offers none");
    task.op = StorageOp::Flush;
    /* QEMU's writes the data, unflushed. */
    if (wire.nr_segments)
        return refusal("blkif:flush", "a flush has segments", wire.nr_segments);
    return Ok{};
}

/*
 * A plain discard is a hint: leave the part before its first granule alone, and
 * a part of a sector at its end. A secure one is done in full or not at all.
 */
Checked align_discard(const Disk &disk, Task &task)
{
    const BackConfig &c = disk.config;
    uint64_t granule = c.discard_granularity ? c.discard_granularity : c.sector_size;
    uint64_t first = c.discard_alignment;
    uint64_t past = ((task.sector << kSectorShift) % granule + granule - first) % granule;
    uint64_t head = (past ? granule - past : 0) >> kSectorShift;
    head = std::min(head, task.sectors);
    uint64_t tail = (task.sectors - head) % (c.sector_size / kSectorSize);
    if (task.op == StorageOp::SecureDiscard && (head || tail))
        return refusal("blkif:discard-sector", "a secure discard is not aligned", task.sector);
    task.sector += head;
    task.sectors -= head + tail;
    task.nothing = task.sectors == 0;
    return Ok{};
}

Checked check_discard(const Disk &disk, const WireRequest &wire, Task &task)
{
    const BackConfig &c = disk.config;
    bool secure = wire.nr_segments & kDiscardSecure;
    if (c.read_only)
        return refusal("blkif:read-only", "a request discards on a read-only disk", wire.sector);
    if (!c.discard)
        return unsupported("blkif:feature-discard",
                           "a request is a discard, but the backend offers none");
    /* A secure discard that is done as a plain one would leave data behind. */
    if (secure && !c.discard_secure)
        return unsupported("blkif:discard-flag",
                           "a request is a secure discard, but the backend offers none");
    task.op = secure ? StorageOp::SecureDiscard : StorageOp::Discard;
    if (wire.nr_sectors == 0)
        return refusal("blkif:discard-count", "a discard has no sectors", 0);
    uint32_t per = c.unit() / kSectorSize;
    if (wire.nr_sectors > UINT64_MAX / per)
        return refusal("blkif:range", "a discard ends beyond the end of the disk", wire.nr_sectors);
    auto inside = check_range(disk, wire.sector, wire.nr_sectors * per, task);
    return inside ? align_discard(disk, task) : inside;
}

} // namespace

uint32_t segment_count(const WireRequest &wire)
{
    return wire.op == Op::Indirect ? wire.nr_indirect_segments : wire.nr_segments;
}

Checked check_request(const Disk &disk, const WireRequest &wire, Task &task)
{
    task = Task{};
    switch (wire.op) {
    case Op::Read:
    case Op::Write: return check_data(disk, wire, task);
    case Op::Indirect: return check_indirect(disk, wire, task);
    case Op::WriteBarrier: return check_barrier(disk, wire, task);
    case Op::FlushDiskcache: return check_flush(disk, wire, task);
    case Op::Discard: return check_discard(disk, wire, task);
    default:
        return unsupported("blkif:op", "a request has an operation that the backend does not know",
                           static_cast<uint64_t>(wire.op));
    }
}

Checked check_segments(const Disk &disk, const WireRequest &wire,
                       std::span<const WireSegment> segments, Task &task)
{
    const BackConfig &c = disk.config;
    uint64_t bytes = 0;
    for (const WireSegment &s : segments) {
        if (s.first_sect > s.last_sect)
            return refusal("blkif:first-last", "a segment ends before it begins", s.first_sect);
        if ((s.last_sect + 1u) * c.unit() > kPageSize)
            return refusal("blkif:first-last", "a segment ends beyond its page", s.last_sect);
        uint32_t length = (s.last_sect - s.first_sect + 1u) * c.unit();
        if (s.first_sect * c.unit() % c.sector_size || length % c.sector_size)
            return refusal("blkif:segment-alignment", "a segment does not cover whole sectors",
                           s.first_sect);
        bytes += length;
    }
    auto inside = check_range(disk, wire.sector, bytes >> kSectorShift, task);
    if (inside && !whole_sectors(disk, task.sector))
        return refusal("blkif:sector-number", "a request does not begin at a sector boundary",
                       wire.sector);
    return inside;
}

} // namespace pvblk
