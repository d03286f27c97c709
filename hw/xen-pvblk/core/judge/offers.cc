/* SPDX-License-Identifier: MIT */
/* Layer `judge`: reading the backend's nodes as a frontend does. */
#include "judge/offers.h"

#include <algorithm>

namespace pvblk
{

/* A frontend cannot tell an unreadable number from a missing one for sure. */
uint64_t Offers::number(const char *name, uint64_t otherwise) const
{
    char text[24];
    auto length = back_->ports().store.read(back_->config().backend_path + "/" + name, text);
    if (!length || length.value() > sizeof text)
        return otherwise;
    return parse_decimal({text, length.value()}).value_or(otherwise);
}

void Offers::read()
{
    flush_ = is("feature-flush-cache");
    barrier_ = is("feature-barrier");
    discard_ = is("feature-discard");
    secure_ = is("discard-secure");
    persistent_ = is("feature-persistent");
    indirect_ = number("feature-max-indirect-segments", 0);
}

bool Offers::offers(Op op) const
{
    switch (op) {
    case Op::FlushDiskcache: return flush_ || is("feature-flush-cache");
    case Op::WriteBarrier: return barrier_ || is("feature-barrier");
    case Op::Discard: return discard_ || is("feature-discard");
    case Op::Indirect: return indirect_ || number("feature-max-indirect-segments", 0);
    default: return true;
    }
}

bool Offers::offers_secure_discard() const
{
    return secure_ || is("discard-secure");
}

bool Offers::back_up(JudgeRule rule, uint64_t value) const
{
    const BackConfig &c = back_->config();
    auto pages = [&] {
        return std::max(uint64_t{1} << std::min<uint64_t>(number("max-ring-page-order", 0), 31),
                        number("max-ring-pages", 1));
    };
    switch (rule) {
    case JudgeRule::NumQueues: return value == 0 || value > number("multi-queue-max-queues", 1);
    case JudgeRule::RingPageOrder: return value > 31 || uint64_t{1} << value > pages();
    case JudgeRule::NumRingPages: return value == 0 || value > pages() || value <= 16;
    case JudgeRule::IndirectLimit: return value > number("feature-max-indirect-segments", 0);
    case JudgeRule::Flush: return !is("feature-flush-cache");
    case JudgeRule::Barrier: return !is("feature-barrier");
    case JudgeRule::Discard: return !is("feature-discard");
    case JudgeRule::SecureDiscard: return !is("discard-secure");
    case JudgeRule::Indirect: return number("feature-max-indirect-segments", 0) == 0;
    case JudgeRule::Range:
        return number("sectors", 0) == back_->ports().storage.sectors() / (c.unit() / kSectorSize);
    case JudgeRule::SegmentAlignment:
    case JudgeRule::FirstLast:
    case JudgeRule::SectorNumber: return number("sector-size", 0) == c.sector_size;
    case JudgeRule::ReadOnly: return number("info", 0) & 4;
    default: return true;
    }
}

} // namespace pvblk
