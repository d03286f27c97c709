/* SPDX-License-Identifier: MIT */
/*
 * What a part of the frontend stands on when it is tested alone: the loopback's
 * ports and an owner that follows its requests; buffers in guest RAM.
 */
#pragma once

#include "front/grant_pool.h"
#include "front/negotiation.h"
#include "support/rig.h"

namespace pvblk
{

/* A buffer of several parts, and a request for it. */
class TestBuffer
{
public:
    TestBuffer(LoopbackHub &hub, std::vector<Part> parts)
    {
        for (Part p : parts) {
            gpa_.push_back(hub.guest.gpa(p.offset));
            iov_.push_back({hub.guest.host(p.offset), p.bytes});
        }
    }
    GuestBuffer view(uint64_t skip = 0) const
    {
        return {gpa_.data(), iov_.data(), static_cast<uint32_t>(iov_.size()), skip};
    }
    IoRequest request(IoKind kind, uint64_t sector, uint64_t sectors) const
    {
        IoRequest r;
        r.kind = kind;
        r.sector = Sector(sector);
        r.sectors = sectors;
        r.buffer = view();
        return r;
    }

private:
    std::vector<uint64_t> gpa_;
    std::vector<struct iovec> iov_;
};

struct FrontParts {
    explicit FrontParts(HubConfig c = {}) : hub(c) {}

    /* A request whose end the owner will hear of. */
    IoRequest follow(IoRequest r)
    {
        r.cookie = reinterpret_cast<void *>(owner.results.size());
        owner.results.emplace_back();
        return r;
    }
    /* A plan of a disk of 4 MiB, with a flush, and no more. */
    static Plan plan()
    {
        Plan p;
        p.sectors = 8192;
        p.flush = true;
        return p;
    }

    LoopbackHub hub;
    RigOwner owner;
    FrontCounters counters{};
    GrantPool pool{hub.grants, hub.memory};
};

} // namespace pvblk
