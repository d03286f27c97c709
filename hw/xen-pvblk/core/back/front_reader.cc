/* SPDX-License-Identifier: MIT */
/* Layer `back`: reading a frontend's nodes. */
#include "back/front_reader.h"

#include <bit>

namespace pvblk
{

void FrontReader::refuse(const Error &error)
{
    if (!error_)
        error_ = error;
}

/* By the node's own clause, unless it could not be read. */
void FrontReader::refuse_ring(const Error &error)
{
    if (!error_ || error_->kind != ErrorKind::Io)
        error_ = error;
}

/* The part that fits. An unreadable node is not a missing one: no default applies. */
std::optional<std::string_view> FrontReader::text(const std::string &name, std::span<char> buffer)
{
    auto len = store_.read(config_.frontend_path + "/" + name, buffer);
    if (len)
        return std::string_view{buffer.data(), std::min(len.value(), buffer.size())};
    if (len.error().kind != ErrorKind::Missing)
        refuse({ErrorKind::Io, "blkif:frontend-node", "a frontend node could not be read", 0});
    return std::nullopt;
}

std::optional<uint64_t> FrontReader::number(const std::string &name)
{
    char buffer[33]; /* one that fills it may have been cut */
    auto digits = text(name, buffer);
    if (!digits)
        return std::nullopt;
    auto value = digits->size() < sizeof buffer ? parse_decimal(*digits) : std::nullopt;
    if (!value)
        refuse({ErrorKind::Malformed, "blkif:frontend-node",
                "a frontend node is not a decimal number", 0});
    return value;
}

XenbusState FrontReader::state()
{
    auto value = number("state");
    return value && *value < kXenbusStates ? static_cast<XenbusState>(*value)
                                           : XenbusState::Unknown;
}

bool FrontReader::flag(const std::string &name)
{
    uint64_t value = number(name).value_or(0);
    if (value > 1)
        refuse({ErrorKind::OutOfRange, "blkif:frontend-node",
                "a feature node of the frontend is neither 0 nor 1", value});
    return value == 1;
}

Abi FrontReader::abi()
{
    char buffer[32];
    auto name = text("protocol", buffer);
    if (!name)
        return kNativeAbi; /* blkif.h: default of `protocol` */
    if (*name == abi_name(Abi::X86_32))
        return Abi::X86_32;
    if (*name != abi_name(Abi::X86_64))
        refuse({ErrorKind::OutOfRange, "blkif:protocol", "the frontend's protocol is unknown", 0});
    return Abi::X86_64;
}

uint32_t FrontReader::queues()
{
    uint64_t n = number("multi-queue-num-queues").value_or(1);
    if (n == 0 || n > config_.max_queues)
        refuse({ErrorKind::OutOfRange, "blkif:multi-queue-num-queues",
                "the frontend asks for 0 queues, or for more than the backend offers", n});
    return static_cast<uint32_t>(n);
}

/* Both schemes, and where a frontend uses both they have to agree. */
uint32_t FrontReader::ring_pages()
{
    uint32_t max = 1u << config_.max_ring_page_order;
    auto order = number("ring-page-order");
    auto pages = number("num-ring-pages");
    if (order && *order > config_.max_ring_page_order)
        refuse({ErrorKind::OutOfRange, "blkif:ring-page-order",
                "the frontend's ring-page-order is larger than the backend offers", *order});
    if (pages && (*pages == 0 || *pages > max))
        refuse({ErrorKind::OutOfRange, "blkif:num-ring-pages",
                "the frontend's num-ring-pages is 0, or more than the backend offers", *pages});
    if (pages && !std::has_single_bit(*pages))
        refuse({ErrorKind::OutOfRange, "blkif:num-ring-pages",
                "the frontend's num-ring-pages is not a power of two", *pages});
    if (error_)
        return 0;
    if (order && pages && *pages != 1u << *order)
        refuse({ErrorKind::Contradiction, "blkif:num-ring-pages",
                "the frontend's ring-page-order and num-ring-pages disagree", *pages});
    if (order)
        return 1u << *order;
    return static_cast<uint32_t>(pages.value_or(1));
}

/* One page is ring-ref; some frontends name it as the first of several. */
std::optional<uint64_t> FrontReader::ring_ref(const std::string &dir, uint32_t page, uint32_t pages)
{
    if (pages == 1)
        if (auto ref = number(dir + "ring-ref"); ref || error_)
            return ref;
    return number(dir + "ring-ref" + std::to_string(page));
}

/* `dir`: "", or that of a queue with its slash. */
RingNodes FrontReader::ring(const std::string &dir, uint32_t pages)
{
    RingNodes ring;
    ring.pages = pages;
    for (uint32_t i = 0; i < pages && !error_; i++) {
        auto ref = ring_ref(dir, i, pages);
        if (!ref || *ref > UINT32_MAX)
            refuse_ring({ErrorKind::Malformed, "blkif:ring-ref",
                         "the frontend's ring-ref is not a grant reference", i});
        else
            ring.refs[i] = GrantRef(static_cast<uint32_t>(*ref));
    }
    if (error_)
        return ring;
    auto port = number(dir + "event-channel");
    if (!port || *port > UINT32_MAX)
        refuse_ring({ErrorKind::Malformed, "blkif:event-channel",
                     "the frontend's event-channel is not a port", 0});
    else
        ring.port = Port(static_cast<uint32_t>(*port));
    return ring;
}

Result<BackPlan> FrontReader::plan()
{
    BackPlan plan;
    plan.abi = abi();
    if (!error_)
        plan.queues = queues();
    if (!error_)
        plan.ring_pages = ring_pages();
    if (!error_)
        plan.persistent = flag("feature-persistent") && config_.persistent;
    for (uint32_t i = 0; !error_ && i < plan.queues; i++) {
        std::string dir = plan.queues == 1 ? "" : "queue-" + std::to_string(i) + "/";
        plan.rings[i] = ring(dir, plan.ring_pages);
    }
    if (error_)
        return *error_;
    return plan;
}

} // namespace pvblk
