/* SPDX-License-Identifier: MIT */
/* A frontend by hand: see front.h. */
#include "front.h"

#include <array>
#include <bit>
#include <cstring>

namespace pvblk::conformance
{

std::optional<std::string> read_node(Store &store, const std::string &path)
{
    std::string text(64, '\0');
    auto length = store.read(path, text);
    if (length && length.value() > text.size()) {
        text.resize(length.value());
        length = store.read(path, text);
    }
    if (!length)
        return std::nullopt;
    text.resize(std::min(length.value(), text.size()));
    return text;
}

Front::Front(Domain &domain, Log &log)
    : domain_(domain), log_(log),
      nodes_{"protocol",       "feature-persistent", "multi-queue-num-queues", "ring-page-order",
             "num-ring-pages", "ring-ref",           "event-channel"},
      nowhere_(kPageSize)
{
    std::array<std::byte *, kMaxRingPages> at{nowhere_.data()};
    spare_.pages.assign(kMaxRingPages, SharedPage{nowhere_.data(), GrantRef{}, false});
    spare_.shared = SharedRing(Abi::X86_64, at, 1);
    spare_.shared.init();
    spare_.ring = FrontRing<SharedRing>(spare_.shared);
    for (uint32_t i = 0; i < kMaxRingPages; i++) {
        nodes_.insert("ring-ref" + std::to_string(i));
        nodes_.insert("queue-" + std::to_string(i));
    }
}

/* ---- nodes --------------------------------------------------------------- */

void Front::node(const std::string &name, const std::string &value)
{
    say(Lane::Store, name + " = " + value);
    if (name == "state")
        our_state_ = value;
    else
        nodes_.insert(name.substr(0, name.find('/'))); /* a directory goes with its nodes */
    note("XenStore refuses our node " + name,
         domain_.store().write(domain_.frontend() + "/" + name, value));
}

void Front::remove(const std::string &name)
{
    say(Lane::Store, name + " removed");
    if (name == "state")
        our_state_.clear();
    domain_.store().remove(domain_.frontend() + "/" + name);
}

void Front::state(XenbusState s)
{
    node("state", std::to_string(static_cast<int>(s)));
}

std::optional<std::string> Front::theirs(const std::string &name)
{
    return read_node(domain_.store(), domain_.backend() + "/" + name);
}

std::optional<std::string> Front::ours(const std::string &name)
{
    return read_node(domain_.store(), domain_.frontend() + "/" + name);
}

uint64_t Front::number(const std::string &name)
{
    auto text = theirs(name);
    return text ? parse_decimal(*text).value_or(0) : 0;
}

XenbusState Front::their_state()
{
    auto text = theirs("state");
    auto state = text ? parse_xenbus_state(*text) : Result<XenbusState>(XenbusState::Unknown);
    return state ? state.value() : XenbusState::Unknown;
}

void Front::note(const std::string &what, const Status &status)
{
    if (!status && trouble_.empty())
        trouble_ = what + ": " + sentence(status.error());
}

/* ---- rings --------------------------------------------------------------- */

std::string Front::directory(const Shape &shape, uint32_t queue) const
{
    return shape.queues > 1 ? "queue-" + std::to_string(queue) + "/" : "";
}

Status Front::share_rings(const Shape &shape, RingIndex begin)
{
    shape_ = shape;
    for (uint32_t q = 0; q < shape.queues; q++) {
        Ring &r = rings_.emplace_back();
        std::array<std::byte *, kMaxRingPages> at{};
        for (uint32_t i = 0; i < shape.pages; i++) {
            auto page = domain_.share(false);
            if (!page)
                return page.error();
            at[i] = page.value().at;
            std::memset(at[i], 0xaa, kPageSize); /* whoever used it before */
            r.pages.push_back(page.value());
        }
        r.shared = SharedRing(shape.abi, at, shape.pages);
        r.shared.init();
        r.shared.store(SringField::ReqProd, begin);
        r.shared.store(SringField::RspProd, begin);
        r.shared.store(SringField::ReqEvent, begin + 1);
        r.shared.store(SringField::RspEvent, begin + 1);
        r.ring = FrontRing<SharedRing>(r.shared, begin);
        auto port = domain_.events().open(q);
        if (!port)
            return port.error();
        r.port = port.value();
    }
    return Ok{};
}

void Front::announce(const Shape &shape)
{
    using Scheme = Shape::Scheme;
    node("protocol", abi_name(shape.abi));
    if (shape.persistent)
        node("feature-persistent", "1");
    if (shape.queues > 1)
        node("multi-queue-num-queues", std::to_string(shape.queues));
    if (shape.pages > 1 && shape.scheme != Scheme::Pages)
        node("ring-page-order", std::to_string(std::countr_zero(shape.pages)));
    if (shape.pages > 1 && shape.scheme != Scheme::Order)
        node("num-ring-pages", std::to_string(shape.pages));
}

void Front::name_ring(const Shape &shape, uint32_t queue)
{
    const Ring &r = of(queue);
    std::string dir = directory(shape, queue);
    for (uint32_t i = 0; i < shape.pages; i++)
        node(dir + "ring-ref" + (shape.pages > 1 ? std::to_string(i) : ""),
             std::to_string(r.pages[i].ref.value));
    node(dir + "event-channel", std::to_string(r.port.value));
}

Status Front::make_rings(const Shape &shape, RingIndex begin)
{
    auto shared = share_rings(shape, begin);
    if (!shared) {
        drop_rings();
        return shared;
    }
    announce(shape);
    for (uint32_t q = 0; q < shape.queues; q++)
        name_ring(shape, q);
    return Ok{};
}

void Front::forget_nodes()
{
    for (const std::string &name : nodes_)
        domain_.store().remove(domain_.frontend() + "/" + name);
    nodes_.clear();
}

void Front::drop_rings()
{
    for (uint32_t q = 0; q < rings_.size(); q++) {
        if (rings_[q].port != Port{})
            domain_.events().close(q);
        for (const SharedPage &page : rings_[q].pages)
            domain_.unshare(page);
    }
    rings_.clear();
}

/* ---- requests and answers -------------------------------------------------- */

void Front::stage(const WireRequest &req, uint32_t queue)
{
    say(Lane::Front, describe(req));
    asked_reads_alone_ &= req.op == Op::Read;
    of(queue).ring.stage(req);
}

bool Front::publish(uint32_t queue)
{
    bool asked = of(queue).ring.publish();
    say(Lane::Front, "req_prod = " + std::to_string(index(SringField::ReqProd, queue).value));
    return asked;
}

void Front::notify(uint32_t queue)
{
    if (queue >= queues())
        return;
    say(Lane::Front, "event");
    note("an event cannot be sent", domain_.events().notify(queue));
}

std::optional<WireResponse> Front::take(uint32_t queue)
{
    auto n = of(queue).ring.responses();
    if (!n || !n.value())
        return std::nullopt;
    WireResponse rsp = of(queue).ring.take();
    say(Lane::Back, describe(rsp));
    return rsp;
}

bool Front::rearm(uint32_t queue)
{
    auto n = of(queue).ring.rearm();
    return n && n.value();
}

void Front::index(SringField f, RingIndex i, uint32_t queue)
{
    static constexpr const char *kNames[] = {"req_prod", "req_event", "rsp_prod", "rsp_event"};
    say(Lane::Front,
        std::string(kNames[static_cast<uint32_t>(f) / 4]) + " := " + std::to_string(i.value));
    asked_reads_alone_ &= f != SringField::ReqProd;
    of(queue).shared.store(f, i);
    SharedRing::fence_full();
}

/* ---- words ------------------------------------------------------------------ */

namespace
{

std::string op_name(Op op)
{
    static constexpr const char *kNames[] = {"READ",        "WRITE",   "BARRIER", "FLUSH",
                                             "operation 4", "DISCARD", "INDIRECT"};
    auto n = static_cast<uint32_t>(op);
    return n < std::size(kNames) ? kNames[n] : "operation " + std::to_string(n);
}

} // namespace

std::string describe(const WireRequest &req)
{
    bool indirect = req.op == Op::Indirect;
    std::string text = op_name(req.op) + (indirect ? " " + op_name(req.indirect_op) : "");
    text += " id " + std::to_string(req.id.value & 0xffffffff) + ", sector " +
            std::to_string(req.sector);
    if (req.op == Op::Discard)
        return text + ", " + std::to_string(req.nr_sectors) + " sectors";
    return text + ", " + std::to_string(indirect ? req.nr_indirect_segments : req.nr_segments) +
           " segments";
}

std::string describe(const WireResponse &rsp)
{
    return op_name(rsp.op) + " id " + std::to_string(rsp.id.value & 0xffffffff) + ": " +
           status_name(rsp.status);
}

std::string status_name(int16_t status)
{
    switch (static_cast<RspStatus>(status)) {
    case RspStatus::Okay: return "OKAY";
    case RspStatus::Error: return "ERROR";
    case RspStatus::EOpNotSupp: return "EOPNOTSUPP";
    }
    return "status " + std::to_string(status);
}

} // namespace pvblk::conformance
