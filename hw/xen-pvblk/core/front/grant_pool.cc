/* SPDX-License-Identifier: MIT */
/* Layer `grant`: pools of grant references and private pages. */
#include "front/grant_pool.h"

#include <algorithm>

namespace pvblk
{

namespace
{
/* Work per sweep, so that a peer that keeps pages mapped costs a constant. */
constexpr uint32_t kSweep = 16;
} // namespace

GrantPool::GrantPool(Grants &grants, Memory &memory) : port_(grants)
{
    grants_free_.reserve(grants.count());
    quarantine_.reserve(grants.count());
    pages_free_.reserve(memory.pages());
    kept_.reserve(std::min(grants.count(), memory.pages()));
    for (uint32_t i = grants.count(); i-- > 0;)
        grants_free_.push_back(i);
    for (uint32_t i = memory.pages(); i-- > 0;)
        pages_free_.push_back(PageIndex(i));
}

std::optional<PageIndex> GrantPool::take_page()
{
    if (pages_free_.empty())
        return std::nullopt;
    PageIndex page = pages_free_.back();
    pages_free_.pop_back();
    return page;
}

std::optional<uint32_t> GrantPool::grant(Gfn gfn, bool readonly)
{
    if (grants_free_.empty())
        return std::nullopt;
    uint32_t index = grants_free_.back();
    if (!port_.grant_frame(index, gfn, readonly))
        return std::nullopt;
    grants_free_.pop_back();
    return index;
}

std::optional<uint32_t> GrantPool::grant(PageIndex page, bool readonly)
{
    if (grants_free_.empty())
        return std::nullopt;
    uint32_t index = grants_free_.back();
    if (!port_.grant_page(index, page, readonly))
        return std::nullopt;
    grants_free_.pop_back();
    return index;
}

bool GrantPool::take_back(Lent lent)
{
    if (!keeping_)
        return release(lent.grant, lent.page);
    kept_.push_back(lent);
    return true;
}

void GrantPool::drop_kept()
{
    for (Lent lent : kept_)
        release(lent.grant, lent.page);
    kept_.clear();
}

void GrantPool::set_free(uint32_t index, std::optional<PageIndex> page)
{
    grants_free_.push_back(index);
    if (page)
        pages_free_.push_back(*page);
}

bool GrantPool::release(uint32_t index, std::optional<PageIndex> page)
{
    if (port_.revoke(index)) {
        set_free(index, page);
        return true;
    }
    quarantine_.push_back({index, page});
    return false;
}

bool GrantPool::sweep()
{
    bool progress = false;
    size_t look = std::min<size_t>(kSweep, quarantine_.size());
    /* Goes on where the last sweep ended: entries that a peer never lets go
     * must not hide the others. Downwards, so that what fills a hole was
     * looked at already, or comes again in the next round. */
    while (look-- > 0) {
        if (sweep_at_ == 0 || sweep_at_ > quarantine_.size())
            sweep_at_ = quarantine_.size();
        size_t i = --sweep_at_;
        Held held = quarantine_[i];
        if (!port_.revoke(held.index))
            continue;
        quarantine_[i] = quarantine_.back();
        quarantine_.pop_back();
        set_free(held.index, held.page);
        progress = true;
    }
    return progress;
}

bool GrantPool::sweep_all()
{
    bool progress = false;
    for (size_t left = quarantine_.size(); left > 0; left -= std::min<size_t>(left, kSweep))
        progress |= sweep();
    return progress;
}

} // namespace pvblk
