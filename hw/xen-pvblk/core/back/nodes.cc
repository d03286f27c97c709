/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: what a frontend's nodes ask for. Serves blkif.h "Frontend
 * XenBus Nodes" and its notes 3, 5, 6 and 8. A node that breaks its clause
 * refuses the frontend; a default is taken only where there is no node.
 */
#include "pvblk/back.h"

#include <bit>

namespace pvblk
{

namespace
{

/* Not to be read is not to be missing: no default counts then. */
Error no_node(const Error &error)
{
    if (error.kind == ErrorKind::Missing)
        return {ErrorKind::Missing, "blkif:frontend-node", "a frontend node is missing", 0};
    return {ErrorKind::Io, "blkif:frontend-node", "a frontend node could not be read", 0};
}

} // namespace

Result<uint64_t> BlockBack::read_number(std::string_view name)
{
    char text[32];
    auto len = ports_.store.read(config_.frontend_path + "/" + std::string(name), text);
    if (!len)
        return no_node(len.error());
    std::optional<uint64_t> v;
    if (len.value() <= sizeof text)
        v = parse_decimal({text, len.value()});
    if (!v)
        return Error{ErrorKind::Malformed, "blkif:frontend-node",
                     "a frontend node is not a decimal number", 0};
    return *v;
}

Result<bool> BlockBack::read_flag(std::string_view name)
{
    auto v = read_number(name);
    if (!v && v.error().kind == ErrorKind::Missing)
        return false;
    if (!v)
        return v.error();
    if (v.value() > 1)
        return Error{ErrorKind::OutOfRange, "blkif:frontend-node",
                     "a feature node of the frontend is neither 0 nor 1", v.value()};
    return v.value() == 1;
}

Result<Abi> BlockBack::read_abi()
{
    char text[32];
    auto len = ports_.store.read(config_.frontend_path + "/protocol", text);
    if (!len && len.error().kind != ErrorKind::Missing)
        return no_node(len.error());
    if (!len)
        return kNativeAbi; /* blkif.h: default of `protocol` */
    std::string_view name{text, std::min(len.value(), sizeof text)};
    if (name == abi_name(Abi::X86_32))
        return Abi::X86_32;
    if (name == abi_name(Abi::X86_64))
        return Abi::X86_64;
    return Error{ErrorKind::OutOfRange, "blkif:protocol",
                 "frontend's protocol is none that we know", 0};
}

Result<uint32_t> BlockBack::read_queues()
{
    auto n = read_number("multi-queue-num-queues");
    if (!n && n.error().kind == ErrorKind::Missing)
        return 1u;
    if (!n)
        return n.error();
    if (n.value() == 0 || n.value() > config_.max_queues)
        return Error{ErrorKind::OutOfRange, "blkif:multi-queue-num-queues",
                     "frontend's number of queues is 0, or more than we offer", n.value()};
    return static_cast<uint32_t>(n.value());
}

/* Both schemes, and where a frontend uses both they have to agree. */
Result<uint32_t> BlockBack::read_ring_pages()
{
    uint32_t max = 1u << config_.max_ring_page_order;
    auto order = read_number("ring-page-order");
    auto pages = read_number("num-ring-pages");
    for (const auto *n : {&order, &pages})
        if (!*n && n->error().kind != ErrorKind::Missing)
            return n->error();
    if (order && order.value() > config_.max_ring_page_order)
        return Error{ErrorKind::OutOfRange, "blkif:ring-page-order",
                     "frontend's ring is larger than what we offer", order.value()};
    if (pages && (pages.value() == 0 || pages.value() > max))
        return Error{ErrorKind::OutOfRange, "blkif:num-ring-pages",
                     "frontend's ring has 0 pages, or more than we offer", pages.value()};
    if (pages && !std::has_single_bit(pages.value()))
        return Error{ErrorKind::OutOfRange, "blkif:num-ring-pages",
                     "frontend's num-ring-pages is no power of two", pages.value()};
    if (order && pages && pages.value() != 1u << order.value())
        return Error{ErrorKind::Contradiction, "blkif:num-ring-pages",
                     "frontend's ring-page-order and num-ring-pages differ", pages.value()};
    if (order)
        return 1u << order.value();
    return pages ? static_cast<uint32_t>(pages.value()) : 1u;
}

/* `dir`: "", or that of a queue with its slash. One page is ring-ref; some
 * frontends name it as the first of several. */
Result<RingNodes> BlockBack::read_ring(const std::string &dir, uint32_t pages)
{
    RingNodes ring;
    ring.pages = pages;
    for (uint32_t i = 0; i < pages; i++) {
        std::string numbered = dir + "ring-ref" + std::to_string(i);
        auto ref = pages == 1 ? read_number(dir + "ring-ref") : read_number(numbered);
        if (pages == 1 && !ref && ref.error().kind == ErrorKind::Missing)
            ref = read_number(numbered);
        if (!ref || ref.value() > UINT32_MAX)
            return Error{ErrorKind::Malformed, "blkif:ring-ref",
                         "frontend's ring-ref is no grant reference", i};
        ring.refs[i] = GrantRef(static_cast<uint32_t>(ref.value()));
    }
    auto port = read_number(dir + "event-channel");
    if (!port || port.value() > UINT32_MAX)
        return Error{ErrorKind::Malformed, "blkif:event-channel",
                     "frontend's event-channel is no port", 0};
    ring.port = Port(static_cast<uint32_t>(port.value()));
    return ring;
}

Result<BackPlan> BlockBack::read_plan()
{
    BackPlan plan;
    auto abi = read_abi();
    if (!abi)
        return abi.error();
    auto queues = read_queues();
    if (!queues)
        return queues.error();
    auto pages = read_ring_pages();
    if (!pages)
        return pages.error();
    auto persistent = read_flag("feature-persistent");
    if (!persistent)
        return persistent.error();
    plan.abi = abi.value();
    plan.queues = queues.value();
    plan.ring_pages = pages.value();
    plan.persistent = persistent.value() && config_.persistent;
    for (uint32_t i = 0; i < plan.queues; i++) {
        std::string dir = plan.queues == 1 ? "" : "queue-" + std::to_string(i) + "/";
        auto ring = read_ring(dir, plan.ring_pages);
        if (!ring)
            return ring.error();
        plan.rings[i] = ring.value();
    }
    return plan;
}

} // namespace pvblk
