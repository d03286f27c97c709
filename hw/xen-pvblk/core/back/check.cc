/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: the checks of a request. Never add up numbers that a frontend
 * wrote: subtract.
 */
#include "back/check.h"

namespace pvblk
{

namespace
{

/* On the wire a sector may be anything up to 2^64. */
bool in_range(const Disk &disk, uint64_t unit_sector, uint64_t sectors, Task &task)
{
    uint32_t per = disk.config.unit() / kSectorSize;
    if (unit_sector > disk.sectors / per)
        return false;
    uint64_t sector = unit_sector * per;
    if (sectors > disk.sectors - sector)
        return false;
    if (sector % (disk.config.sector_size / kSectorSize))
        return false;
    task.sector = sector;
    task.sectors = sectors;
    return true;
}

RspStatus check_data(const Disk &disk, const WireRequest &wire, Task &task)
{
    Op op = wire.op == Op::Indirect ? wire.indirect_op : wire.op;
    if (op != Op::Read && op != Op::Write && wire.op != Op::WriteBarrier)
        return RspStatus::Error;
    task.data = true;
    task.op = op == Op::Read    ? StorageOp::Read
              : op == Op::Write ? StorageOp::Write
                                : StorageOp::WriteStable;
    bool denied = task.op != StorageOp::Read && disk.config.read_only;
    return denied ? RspStatus::Error : RspStatus::Okay;
}

RspStatus check_barrier(const Disk &disk, const WireRequest &wire, Task &task)
{
    if (!disk.config.barrier)
        return RspStatus::EOpNotSupp;
    task.barrier = true;
    /* An empty one has nothing to write, and is a flush in order. */
    return wire.nr_segments ? check_data(disk, wire, task) : RspStatus::Okay;
}

RspStatus check_flush(const Disk &disk, const WireRequest &wire, Task &task)
{
    if (!disk.config.flush)
        return RspStatus::EOpNotSupp;
    task.op = StorageOp::Flush;
    /* A flush carries no data (blkif.h); QEMU's writes it unflushed. */
    return wire.nr_segments ? RspStatus::Error : RspStatus::Okay;
}

RspStatus check_discard(const Disk &disk, const WireRequest &wire, Task &task)
{
    const BackConfig &c = disk.config;
    bool secure = wire.nr_segments & kDiscardSecure;
    if (c.read_only)
        return RspStatus::Error;
    /* A secure discard that is done as a plain one would leave data behind. */
    if (!c.discard || (secure && !c.discard_secure))
        return RspStatus::EOpNotSupp;
    task.op = secure ? StorageOp::SecureDiscard : StorageOp::Discard;
    if (wire.nr_sectors == 0)
        return RspStatus::Error;
    uint32_t per = c.unit() / kSectorSize;
    if (wire.nr_sectors > UINT64_MAX / per)
        return RspStatus::Error;
    if (!in_range(disk, wire.sector, wire.nr_sectors * per, task))
        return RspStatus::Error;
    uint64_t granularity = c.discard_granularity ? c.discard_granularity : c.sector_size;
    uint64_t at = task.sector << kSectorShift; /* in range, so it cannot wrap */
    uint64_t first = c.discard_alignment;
    if (at < first || (at - first) % granularity || task.sectors % (c.sector_size / kSectorSize))
        return RspStatus::Error;
    return RspStatus::Okay;
}

} // namespace

RspStatus check_request(const Disk &disk, const WireRequest &wire, Task &task)
{
    task = Task{};
    switch (wire.op) {
    case Op::Read:
    case Op::Write: return check_data(disk, wire, task);
    case Op::Indirect:
        return disk.config.max_indirect_segments ? check_data(disk, wire, task)
                                                 : RspStatus::EOpNotSupp;
    case Op::WriteBarrier: return check_barrier(disk, wire, task);
    case Op::FlushDiskcache: return check_flush(disk, wire, task);
    case Op::Discard: return check_discard(disk, wire, task);
    default: return RspStatus::EOpNotSupp;
    }
}

RspStatus check_segments(const Disk &disk, const WireRequest &wire,
                         std::span<const WireSegment> segments, Task &task)
{
    const BackConfig &c = disk.config;
    uint64_t bytes = 0;
    for (const WireSegment &s : segments) {
        if (s.first_sect > s.last_sect || (s.last_sect + 1u) * c.unit() > kPageSize)
            return RspStatus::Error;
        uint32_t length = (s.last_sect - s.first_sect + 1u) * c.unit();
        if (s.first_sect * c.unit() % c.sector_size || length % c.sector_size)
            return RspStatus::Error;
        bytes += length;
    }
    bool fits = in_range(disk, wire.sector, bytes >> kSectorShift, task);
    return fits ? RspStatus::Okay : RspStatus::Error;
}

} // namespace pvblk
