/* SPDX-License-Identifier: MIT */
/* Layer `judge`: reading the backend's nodes as a frontend does. */
#include "judge/offers.h"

#include <algorithm>
#include <bit>

namespace pvblk
{

void Offers::attach(HookedBack &back)
{
    back_ = &back;
    nodes_.attach(back.ports().store, back.config().backend_path);
}

void Offers::begin()
{
    seen_ = {};
    read();
}

void Offers::read()
{
    seen_.flush |= is("feature-flush-cache");
    seen_.barrier |= is("feature-barrier");
    seen_.discard |= is("feature-discard");
    seen_.secure |= is("discard-secure");
    seen_.indirect = std::max(seen_.indirect, nodes_.number("feature-max-indirect-segments", 0));
    seen_.sectors = std::max(seen_.sectors, nodes_.number("sectors", UINT64_MAX));
}

bool Offers::offers(Op op)
{
    switch (op) {
    case Op::FlushDiskcache: return seen_.flush || is("feature-flush-cache");
    case Op::WriteBarrier: return seen_.barrier || is("feature-barrier");
    case Op::Discard: return seen_.discard || is("feature-discard");
    case Op::Indirect: return seen_.indirect || nodes_.number("feature-max-indirect-segments", 0);
    default: return true;
    }
}

bool Offers::offers_secure_discard()
{
    return seen_.secure || is("discard-secure");
}

/* The most that the two nodes allow. */
uint64_t Offers::ring_pages()
{
    uint64_t order = std::min<uint64_t>(nodes_.number("max-ring-page-order", 0), 31);
    return std::max(uint64_t{1} << order, nodes_.number("max-ring-pages", 1));
}

bool Offers::back_up(JudgeRule rule, const Error &error)
{
    const BackConfig &c = back_->config();
    uint64_t value = error.value;
    auto says = [this](const char *name, uint64_t truth) {
        return nodes_.number(name, UINT64_MAX) == truth;
    };
    switch (rule) {
    /* It could not be read. */
    case JudgeRule::FrontendNode: return error.kind != ErrorKind::Io;
    case JudgeRule::NumQueues:
        return value == 0 || value > nodes_.number("multi-queue-max-queues", 1);
    case JudgeRule::RingPageOrder: return value > 31 || uint64_t{1} << value > ring_pages();
    case JudgeRule::NumRingPages:
        return error.kind == ErrorKind::Contradiction || !std::has_single_bit(value) ||
               value > ring_pages();
    /* WatchedRing has compared the request with the nodes already. */
    case JudgeRule::IndirectLimit:
    case JudgeRule::Flush:
    case JudgeRule::Barrier:
    case JudgeRule::Discard:
    case JudgeRule::SecureDiscard:
    case JudgeRule::Indirect: return false;
    case JudgeRule::Range:
        read(); /* the size may have changed since the frontend read it */
        return seen_.sectors <= back_->ports().storage.sectors() / (c.unit() / kSectorSize);
    case JudgeRule::FirstLast: return c.unit() == kSectorSize || says("sector-size", c.sector_size);
    case JudgeRule::SegmentAlignment:
    case JudgeRule::SectorNumber: return says("sector-size", c.sector_size);
    case JudgeRule::DiscardSector:
        return says("discard-granularity",
                    c.discard_granularity ? c.discard_granularity : c.sector_size) &&
               says("discard-alignment", c.discard_alignment);
    case JudgeRule::ReadOnly: return nodes_.number("info", 0) & 4;
    default: return true;
    }
}

} // namespace pvblk
