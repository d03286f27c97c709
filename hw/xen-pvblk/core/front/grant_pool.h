/* SPDX-License-Identifier: MIT */
/*
 * Layer `grant`: pools of grant references and private pages: free, used or in
 * quarantine. Both pools are LIFO: the entries used last are used again first,
 * because a backend may still have them in its caches (blkif.h
 * feature-persistent).
 *
 * If a peer still has a page mapped when access ends, the page and its reference
 * go into quarantine. Neither is reused until the peer unmaps it (XSA-396). All
 * storage is sized when the pool is made.
 *
 * While the pool keeps grants (feature-persistent), a lent page comes back with
 * its grant, and both are lent again. The peer may keep them mapped meanwhile.
 * They end together, with drop_kept().
 */
#pragma once

#include "pvblk/ports.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace pvblk
{

class GrantPool
{
public:
    GrantPool(Grants &grants, Memory &memory);

    uint32_t free_grants() const { return static_cast<uint32_t>(grants_free_.size()); }
    uint32_t free_pages() const { return static_cast<uint32_t>(pages_free_.size()); }
    uint32_t quarantined() const { return static_cast<uint32_t>(quarantine_.size()); }

    std::optional<PageIndex> take_page();
    void give_page(PageIndex page) { pages_free_.push_back(page); }

    /* Grant a page; the result is an index for release(). nullopt: none is
     * free, or the provider refused. */
    std::optional<uint32_t> grant(Gfn gfn, bool readonly);
    std::optional<uint32_t> grant(PageIndex page, bool readonly);
    GrantRef ref(uint32_t index) const { return port_.ref(index); }

    /* A private page with a grant on it. */
    struct Lent {
        uint32_t grant{0};
        PageIndex page{};
    };
    /* How many pages can be lent now. */
    uint32_t lendable() const
    {
        return static_cast<uint32_t>(kept_.size()) + std::min(free_pages(), free_grants());
    }
    /* `fill` writes the page before the peer can see it. A kept grant always
     * allows reading and writing, even with `readonly`. */
    template <class Fill>
    std::optional<Lent> lend(bool readonly, Fill fill)
    {
        if (!kept_.empty()) {
            Lent lent = kept_.back();
            kept_.pop_back();
            fill(lent.page);
            return lent;
        }
        auto page = take_page();
        if (!page)
            return std::nullopt;
        fill(*page);
        if (auto index = grant(*page, readonly && !keeping_))
            return Lent{*index, *page};
        give_page(*page);
        return std::nullopt;
    }
    /* False: in quarantine. */
    bool take_back(Lent lent);

    void keep_grants(bool keep) { keeping_ = keep; }
    uint32_t kept() const { return static_cast<uint32_t>(kept_.size()); }
    void drop_kept();

    /* End access; `page` (if any) becomes free with the grant: now (true), or
     * when the peer unmaps it (false: in quarantine). */
    bool release(uint32_t index, std::optional<PageIndex> page);
    /* Look at a few quarantined entries; returns whether one became free. */
    bool sweep();
    /* Look at all of them: for the slow path. */
    bool sweep_all();

private:
    struct Held {
        uint32_t index;
        std::optional<PageIndex> page;
    };
    void set_free(uint32_t index, std::optional<PageIndex> page);

    Grants &port_;
    std::vector<uint32_t> grants_free_;
    std::vector<PageIndex> pages_free_;
    std::vector<Held> quarantine_;
    std::vector<Lent> kept_;
    bool keeping_{false};
    size_t sweep_at_{0};
};

} // namespace pvblk
