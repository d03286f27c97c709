/* SPDX-License-Identifier: MIT */
/* Layer `front`: the plan and what becomes of it while a connection lasts. */
#include "front/terms.h"

namespace pvblk
{

/* sector_number has to be aligned to the granularity (blkif.h since
 * e9a0101dde). Discard is advice: a head that is not aligned keeps its data. */
uint64_t discard_start(const Plan &plan, const IoRequest &req)
{
    uint64_t start = req.sector.value << kSectorShift;
    uint64_t g = plan.discard_granularity, a = plan.discard_alignment;
    if (g == 0)
        return start;
    return start <= a ? a : a + (start - a + g - 1) / g * g;
}

/* The quirk counts where it was announced, which needs a sector-size that is
 * known before Connected; and as it was at first, it stays. */
Result<Plan> Terms::read(const NodeSet &nodes) const
{
    FrontPolicy policy = policy_;
    if (plan_.sized ? plan_.units == SectorUnits::Bytes512
                    : announced_ && announced_->units == SectorUnits::Bytes512)
        policy.large_sector_units = SectorUnits::Bytes512;
    return negotiate(nodes, policy);
}

const Plan &Terms::announce(const Plan &plan)
{
    announced_ = plan;
    /* Of a disk that is known already, the quirk is announced again. */
    if (!plan.sized)
        announced_->units = plan_.units;
    return *announced_;
}

/* A plan within the announced one. */
Result<Plan> Terms::final_plan(const NodeSet &nodes) const
{
    auto next = read(nodes);
    if (!next)
        return next;
    if (auto s = check(next.value()); !s)
        return s.error();
    /* The rings' terms hold until the rings are made anew. */
    Plan &p = next.value();
    p.queues = announced_->queues;
    p.ring_pages = announced_->ring_pages;
    p.persistent &= announced_->persistent;
    p.trusted &= announced_->trusted;
    return next;
}

Status Terms::check(const Plan &next) const
{
    if (!next.sized)
        return Error{ErrorKind::Missing, "blkif:sectors",
                     "the backend is Connected, but lacks sectors or sector-size", 0};
    /* Who was told these cannot be told otherwise. */
    if (plan_.sized && (next.sector_size != plan_.sector_size || next.units != plan_.units))
        return Error{ErrorKind::Contradiction, "blkif:sector-size",
                     "the backend changed its sector-size", next.sector_size};
    return Ok{};
}

Result<bool> Terms::adopt_new(const NodeSet &nodes)
{
    auto next = final_plan(nodes);
    if (!next)
        return next.error();
    cache_ = next.value().can_flush();
    proven_ = {};
    return replace(next.value());
}

/* What the backend did not do stays off as long as it is the same connection,
 * whatever its nodes say. Its first offer of a flush counts at any time: without
 * it, data in a cache would be called stable. */
Result<bool> Terms::refresh(const NodeSet &nodes)
{
    auto next = final_plan(nodes);
    if (!next)
        return next.error();
    Plan &p = next.value();
    p.flush &= plan_.flush || !cache_;
    p.barrier &= plan_.barrier || !cache_;
    cache_ |= p.can_flush();
    p.discard &= plan_.discard;
    p.discard_secure &= plan_.discard_secure;
    p.persistent = plan_.persistent;
    return replace(p);
}

bool Terms::replace(const Plan &next)
{
    bool changed = next.sectors != plan_.sectors || next.read_only != plan_.read_only ||
                   next.sized != plan_.sized;
    plan_ = next;
    return changed;
}

/* Asked when a request is submitted, and again when a part of it is sent:
 * between the two there may have been another backend. */
IoStatus Terms::judge(const IoRequest &req) const
{
    if (req.kind > IoKind::SecureDiscard)
        return IoStatus::Error;
    if (req.kind == IoKind::Flush) {
        if (req.sectors)
            return IoStatus::Error;
    } else {
        /* Subtract, never add: sector + count may wrap. */
        if (req.sectors == 0 || req.sector.value > plan_.sectors ||
            req.sectors > plan_.sectors - req.sector.value)
            return IoStatus::Error;
        uint32_t align = plan_.sector_size / kSectorSize;
        if (req.sector.value % align || req.sectors % align)
            return IoStatus::Error;
    }
    bool changes = req.kind != IoKind::Read && req.kind != IoKind::Flush;
    if (changes && plan_.read_only)
        return IoStatus::Error;
    if ((req.kind == IoKind::Discard && !plan_.discard) ||
        (req.kind == IoKind::SecureDiscard && !plan_.discard_secure) ||
        (req.kind == IoKind::Flush && flush_withdrawn()))
        return IoStatus::Unsupported;
    /* No head of it may be left alone. */
    if (req.kind == IoKind::SecureDiscard && discard_start(plan_, req) != req.sector.value
                                                                              << kSectorShift)
        return IoStatus::Error;
    if (req.kind == IoKind::Write && req.flush_after && flush_withdrawn())
        return IoStatus::Error;
    return IoStatus::Ok;
}

/* blkif.h: a feature may be withdrawn at any time, by EOPNOTSUPP. QEMU's and
 * FreeBSD's backends have no such answer: an ERROR to the first use of what was
 * never done on this connection says the same. But not to a barrier with data:
 * that may have failed for the data's sake. */
bool Terms::withdraw(Feature feature, int16_t status, bool with_data)
{
    bool &proven = proven_[static_cast<uint32_t>(feature)];
    if (status == static_cast<int16_t>(RspStatus::Okay))
        proven = true;
    if ((proven || with_data) && status != static_cast<int16_t>(RspStatus::EOpNotSupp))
        return false;
    switch (feature) {
    case Feature::None: return false;
    case Feature::Flush: plan_.flush = false; break;
    case Feature::Barrier: plan_.barrier = false; break;
    case Feature::Discard: plan_.discard = false; break;
    case Feature::SecureDiscard: plan_.discard_secure = false; break;
    }
    return true;
}

} // namespace pvblk
