/* SPDX-License-Identifier: MIT */
/* Layer `back`: the pages of one ring, mapped from a frontend's grants. */
#pragma once

#include "back/hooked_grants.h"

#include <array>

namespace pvblk
{

class RingMemory
{
public:
    RingMemory(BackGrants &grants, HookedQueue &queue, HooksPointer hooks)
        : grants_(grants, queue, hooks)
    {
    }

    /* All or none of them. */
    Status map(Abi abi, const RingNodes &nodes)
    {
        std::array<std::byte *, kMaxRingPages> pages{};
        grants_.about({"ring"});
        for (uint32_t i = 0; i < nodes.pages; i++) {
            auto page = grants_.map(nodes.refs[i], false);
            if (!page) {
                unmap();
                return Error{ErrorKind::Io, "blkif:ring-ref",
                             "a page of the frontend's ring cannot be mapped", nodes.refs[i].value};
            }
            pages[i] = page.value();
            mappings_[count_++] = {nodes.refs[i], page.value(), Mapping::kOnce};
        }
        shared_ = SharedRing(abi, pages, nodes.pages);
        return Ok{};
    }
    void unmap()
    {
        for (uint32_t i = 0; i < count_; i++)
            grants_.give_back({"ring"}, mappings_[i], nullptr);
        count_ = 0;
    }
    SharedRing &shared() { return shared_; }
    const SharedRing &shared() const { return shared_; }

private:
    HookedGrants grants_;
    std::array<Mapping, kMaxRingPages> mappings_{};
    uint32_t count_{0};
    SharedRing shared_{};
};

} // namespace pvblk
