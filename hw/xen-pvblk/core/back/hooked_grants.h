/* SPDX-License-Identifier: MIT */
/* Layer `back`: the grants port of one queue; the hooks come first. */
#pragma once

#include "back/hooks.h"

namespace pvblk
{

class HookedGrants final : public BackGrants
{
public:
    HookedGrants(BackGrants &grants, HookedQueue &queue, HooksPointer hooks)
        : grants_(grants), queue_(queue), hooks_(hooks)
    {
    }

    /* The use of the pages mapped from now on. */
    void about(const PageUse &use) { use_ = use; }

    Result<std::byte *> map(GrantRef ref, bool readonly) override
    {
        if (hooks_)
            if (auto page = hooks_->map(queue_, use_, ref, readonly))
                return *page;
        return grants_.map(ref, readonly);
    }
    void unmap(GrantRef ref, std::byte *page) override { grants_.unmap(ref, page); }
    RspStatus map_failed() { return hooks_ ? hooks_->map_failed(queue_) : RspStatus::Error; }

    /* `maps`: the owner of the mapping; null for a page of a ring. */
    void give_back(const PageUse &use, const Mapping &mapping, PersistentMaps *maps)
    {
        if (hooks_ && hooks_->unmap(queue_, use, mapping, maps))
            return;
        if (maps)
            maps->give_back(mapping);
        else
            grants_.unmap(mapping.ref, mapping.page);
    }

private:
    BackGrants &grants_;
    HookedQueue &queue_;
    HooksPointer hooks_;
    PageUse use_{};
};

} // namespace pvblk
