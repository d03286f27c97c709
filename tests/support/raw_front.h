/* SPDX-License-Identifier: MIT */
/*
 * A frontend made by hand, for tests of a backend: its nodes, and rings of any
 * shape on private pages, named as an honest one names them. What it then asks
 * for is its children's: RigFront has requests for a unit test to bend, the
 * fuzz target's HostileFront does what it is told and keeps a book. It expects
 * nothing, and needs no GoogleTest.
 */
#pragma once

#include "proto/ring.h"
#include "pvblk/loopback.h"

#include <bit>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace pvblk
{

/* What a frontend says of its rings in its nodes. */
struct FrontShape {
    /* Of the two ways to announce several pages (blkif.h, note 3). */
    enum class Scheme : uint8_t { Both, Order, Pages, Neither };

    Abi abi{Abi::X86_64};
    uint32_t queues{1};
    uint32_t pages{1}; /* of each ring */
    bool persistent{false};
    Scheme scheme{Scheme::Both};
};

class RawFront
{
public:
    RawFront(const RawFront &) = delete;
    RawFront &operator=(const RawFront &) = delete;

    void node(const std::string &name, const std::string &value)
    {
        hub_.put_node(hub_.config.frontend_path + "/" + name, value);
    }
    /* "": all of them. */
    void remove(const std::string &name)
    {
        hub_.front_store.remove(hub_.config.frontend_path + (name.empty() ? "" : "/" + name));
    }

protected:
    struct Area {
        std::vector<uint32_t> pages{}; /* private ones, in the ring's order */
        Port port{};
        SharedRing shared{};
    };

    /* Private page i is given by grant `ring_grant` + i, which is the child's
     * to give and to end. */
    RawFront(LoopbackHub &hub, uint32_t ring_grant) : hub_(hub), ring_grant_(ring_grant) {}
    ~RawFront() = default;

    void write_state(XenbusState s) { node("state", std::to_string(static_cast<int>(s))); }
    /* The nodes that are above those of the rings. */
    void announce(const FrontShape &shape)
    {
        using Scheme = FrontShape::Scheme;
        node("protocol", abi_name(shape.abi));
        if (shape.persistent)
            node("feature-persistent", "1");
        if (shape.queues > 1)
            node("multi-queue-num-queues", std::to_string(shape.queues));
        bool both = shape.scheme == Scheme::Both && shape.pages > 1;
        if (both || shape.scheme == Scheme::Order)
            node("ring-page-order", std::to_string(std::countr_zero(shape.pages)));
        if (both || shape.scheme == Scheme::Pages)
            node("num-ring-pages", std::to_string(shape.pages));
    }
    /* A fresh ring on `pages`, with its event channel and its nodes. Nothing:
     * there is no event channel to be had. */
    std::optional<Area> make_ring(const FrontShape &shape, uint32_t queue,
                                  std::vector<uint32_t> pages)
    {
        auto port = hub_.events.open(queue);
        if (!port)
            return std::nullopt;
        std::array<std::byte *, kMaxRingPages> at{};
        std::string dir = shape.queues > 1 ? "queue-" + std::to_string(queue) + "/" : "";
        bool numbered = shape.pages > 1 || shape.scheme == FrontShape::Scheme::Order;
        for (uint32_t i = 0; i < shape.pages; i++) {
            at[i] = hub_.memory.page(PageIndex(pages[i]));
            std::memset(at[i], 0xaa, kPageSize); /* whoever used it before */
            node(dir + "ring-ref" + (numbered ? std::to_string(i) : ""),
                 std::to_string(hub_.grants.ref(ring_grant_ + pages[i]).value));
        }
        node(dir + "event-channel", std::to_string(port.value().value));
        Area area{std::move(pages), port.value(), SharedRing(shape.abi, at, shape.pages)};
        area.shared.init();
        return area;
    }
    /* No two requests have one ID, and its halves differ from an index. */
    RequestId next_id() { return RequestId(++ids_ * 0x1'0000'0001); }

    LoopbackHub &hub_;

private:
    uint32_t ring_grant_;
    uint64_t ids_{0};
};

} // namespace pvblk
