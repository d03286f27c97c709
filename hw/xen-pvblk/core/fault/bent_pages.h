/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`: the faults of one queue's data, and of its pages. Only mapped
 * pages are touched. Data on its way to the disk is changed in a copy, never in
 * the frontend's page.
 *
 * The ring bounds the delayed work, and it ends with the connection. Only
 * KeptPages lasts as long as the backend.
 */
#pragma once

#include "fault/plan_in_force.h"

#include <vector>

namespace pvblk
{

/* Pages that stay mapped until the backend ends, of all its queues. */
class KeptPages
{
public:
    void reserve() { pages_.reserve(kMax); }
    bool has_room() const { return pages_.size() < kMax; }
    void keep(const Mapping &mapping) { pages_.push_back(mapping); }
    void let_go(BackGrants &grants)
    {
        for (const Mapping &m : pages_)
            grants.unmap(m.ref, m.page);
        pages_.clear();
    }

private:
    static constexpr size_t kMax = 1024;

    std::vector<Mapping> pages_{};
};

class BentPages
{
public:
    BentPages(PlanInForce &plan, KeptPages &kept) : plan_(plan), kept_(kept) {}

    void open(HookedQueue &queue);
    /* Makes room for work that a plan may delay. */
    void prepare();
    void close();

    /* ---- decisions: as in BackHooks */
    std::optional<Result<std::byte *>> map(HookedQueue &queue, const PageUse &use, GrantRef ref,
                                           bool readonly);
    RspStatus map_failed();
    bool unmap(HookedQueue &queue, const PageUse &use, const Mapping &mapping,
               PersistentMaps *maps);
    HookStep data(const HookedRequest &r, StorageRequest &req);
    HookStep moved(const HookedRequest &r);
    /* Ends the requests that were answered while their pages stayed mapped. */
    void end_lingering();

    bool has_later() const { return !lingering_.empty() || !late_.empty(); }
    void later();

private:
    struct Late {
        GrantRef ref;
        bool readonly;
    };
    struct Lingering {
        uint32_t slot;
        std::span<const struct iovec> iov;
    };

    void flip_copy(const HookedRequest &r, uint64_t bit);

    PlanInForce &plan_;
    KeptPages &kept_;
    HookedQueue *queue_{nullptr};
    bool pretended_{false};                     /* a map failed, but its request is Okay */
    std::vector<Late> late_{};                  /* mapped after the event */
    std::vector<std::optional<Fault>> bends_{}; /* of data on its way, by slot */
    std::vector<Lingering> lingering_{};
    std::vector<std::byte> scratch_{}; /* one page per slot */
};

} // namespace pvblk
