/* SPDX-License-Identifier: MIT */
/*
 * A backend made by hand, for tests of a frontend: its nodes, the rings that
 * the frontend's nodes name, and pages that are mapped, all as an honest one
 * handles them. What it does with requests is its children's: ScriptBack serves
 * them, the fuzz target's HostileBack does what it is told. It expects nothing,
 * and needs no GoogleTest.
 */
#pragma once

#include "proto/ring.h"
#include "pvblk/loopback.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pvblk
{

class RawBack
{
public:
    explicit RawBack(LoopbackHub &h) : hub(h) {}
    RawBack(const RawBack &) = delete;
    RawBack &operator=(const RawBack &) = delete;

    /* ---- nodes: ours, and what the frontend's say */
    void node(const std::string &name, const std::string &value)
    {
        hub.put_node(hub.config.backend_path + "/" + name, value);
    }
    /* "": all of them. */
    void remove(const std::string &name)
    {
        hub.back_store.remove(hub.config.backend_path + (name.empty() ? "" : "/" + name));
    }
    void state(XenbusState s) { node("state", std::to_string(static_cast<int>(s))); }
    std::string front_node(const std::string &name) const
    {
        return hub.node(hub.config.frontend_path + "/" + name);
    }
    std::optional<uint64_t> front_number(const std::string &name) const
    {
        return parse_decimal(front_node(name));
    }

    /* ---- rings */
    uint32_t queues() const { return static_cast<uint32_t>(rings_.size()); }
    SharedRing &shared(uint32_t queue) { return rings_[queue].shared; }

    /* Unmap what persistent grants kept mapped. */
    void let_go()
    {
        for (const auto &[ref, page] : kept_)
            hub.grants.unmap(GrantRef(ref), page);
        kept_.clear();
    }

    LoopbackHub &hub;

protected:
    struct Mapping {
        GrantRef ref{};
        std::byte *page{nullptr};
    };
    struct Ring {
        std::vector<Mapping> pages{};
        SharedRing shared{};
        BackRing<SharedRing> ring{};
        bool bound{false}; /* to its event channel */
    };

    ~RawBack() = default;

    /* Map the rings that the frontend names, and bind their event channels.
     * False: a ring's page cannot be mapped, or a node is missing; detach(). */
    bool attach()
    {
        uint64_t queues =
            std::min<uint64_t>(front_number("multi-queue-num-queues").value_or(1), kMaxQueues);
        persistent_ = front_number("feature-persistent") == 1u;
        for (uint32_t q = 0; q < queues; q++)
            if (!attach_ring(q, queues > 1 ? "queue-" + std::to_string(q) + "/" : ""))
                return false;
        return true;
    }
    /* What persistent grants keep stays mapped. */
    void detach()
    {
        for (uint32_t q = 0; q < rings_.size(); q++) {
            hub.back_events.unbind(q);
            for (const Mapping &m : rings_[q].pages)
                hub.grants.unmap(m.ref, m.page);
        }
        rings_.clear();
        persistent_ = false;
    }

    /* A page of a request; nullptr: it is gone. */
    std::byte *map(GrantRef ref, bool readonly)
    {
        if (auto it = kept_.find(ref.value); persistent_ && it != kept_.end()) {
            kept_hits_++;
            return it->second;
        }
        auto page = hub.grants.map(ref, readonly && !persistent_);
        if (!page)
            return nullptr;
        if (persistent_)
            kept_[ref.value] = page.value();
        return page.value();
    }
    void unmap(GrantRef ref, std::byte *page)
    {
        if (!persistent_)
            hub.grants.unmap(ref, page);
    }

    /* A request's segments, wherever they are. None: of an indirect one a page
     * is gone, since it was cancelled. */
    std::vector<WireSegment> segments_of(const WireRequest &req)
    {
        if (req.op != Op::Indirect) {
            bool data = req.op == Op::Read || req.op == Op::Write || req.op == Op::WriteBarrier;
            uint32_t n = data ? std::min<uint32_t>(req.nr_segments, kMaxDirectSegments) : 0;
            return {req.seg.begin(), req.seg.begin() + n};
        }
        std::vector<WireSegment> all;
        uint32_t count = std::min<uint32_t>(req.nr_indirect_segments, kMaxIndirectSegments);
        for (uint32_t p = 0; p < indirect_pages(count); p++) {
            std::byte *page = map(req.indirect[p], true);
            if (!page)
                return {};
            uint32_t from = p * kSegmentsPerPage;
            all.resize(std::min(count, from + kSegmentsPerPage));
            get_segments(page, std::span(all).subspan(from));
            unmap(req.indirect[p], page);
        }
        return all;
    }

    std::vector<Ring> rings_{};
    bool persistent_{false};                 /* agreed upon */
    std::map<uint32_t, std::byte *> kept_{}; /* grant reference → page */
    uint64_t kept_hits_{0};                  /* pages that were mapped already */

private:
    bool attach_ring(uint32_t queue, const std::string &dir)
    {
        auto order = front_number("ring-page-order");
        uint32_t pages = order ? 1u << std::min<uint64_t>(*order, 4) : 1;
        Ring &r = rings_.emplace_back();
        std::array<std::byte *, kMaxRingPages> at{};
        for (uint32_t i = 0; i < pages; i++) {
            auto ref = front_number(dir + "ring-ref" + (pages > 1 ? std::to_string(i) : ""));
            if (!ref)
                return false;
            GrantRef gref(static_cast<uint32_t>(*ref));
            auto page = hub.grants.map(gref, false);
            if (!page)
                return false;
            at[i] = page.value();
            r.pages.push_back({gref, at[i]});
        }
        bool i386 = front_node("protocol") == abi_name(Abi::X86_32);
        r.shared = SharedRing(i386 ? Abi::X86_32 : Abi::X86_64, at, pages);
        r.ring = BackRing<SharedRing>(r.shared, r.shared.load(SringField::RspProd));
        auto port = front_number(dir + "event-channel");
        if (!port)
            return false;
        r.bound = hub.back_events.bind(queue, Port(static_cast<uint32_t>(*port))).ok();
        return true;
    }
};

} // namespace pvblk
