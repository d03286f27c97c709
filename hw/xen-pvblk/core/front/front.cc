/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: the parts of a BlockFront, and what it needs of its ports.
 * Connection moves the states, Transfer the requests; here is only who gets
 * which call.
 */
#include "pvblk/front.h"

#include "front/connection.h"
#include "front/transfer.h"

#include <algorithm>

namespace pvblk
{

namespace
{

/* Pools are made for this many segments in flight, in all queues: 4 MiB. */
constexpr uint32_t kEnough = 1024;
/* Bounce pages, if most data is granted in place. */
constexpr uint32_t kSomeBounces = 64;

} // namespace

uint32_t BlockFront::min_pool(const FrontPolicy &p)
{
    return p.queues() * (p.ring_pages() + p.segments() + list_pages(p.segments()));
}

uint32_t BlockFront::wanted_grants(const FrontPolicy &p)
{
    uint32_t most = p.segments() + list_pages(p.segments());
    uint32_t in_flight = std::min(p.queues() * p.ring_entries() * most, kEnough);
    return std::max(min_pool(p), p.queues() * p.ring_pages() + in_flight);
}

uint32_t BlockFront::wanted_pages(const FrontPolicy &p)
{
    if (p.use_persistent || !p.trusted)
        return wanted_grants(p); /* each of them is a grant on a private page */
    uint32_t lists = std::min(p.queues() * p.ring_entries() * list_pages(p.segments()), kEnough);
    return std::max(min_pool(p), p.queues() * p.ring_pages() + kSomeBounces + lists);
}

/* In the order in which they stand on each other. */
struct BlockFront::Parts {
    Parts(FrontPorts ports, FrontOwner &o, FrontConfig c, const Plan &first)
        : config(std::move(c)), owner(o),
          nodes(ports.store, config.frontend_path, config.backend_path),
          complaints(owner, ports.clock, counters, config.frontend_path),
          transfer(ports, owner, config, nodes, complaints, counters, first),
          connection(transfer, nodes, ports.clock, owner, complaints, config)
    {
    }

    FrontConfig config;
    FrontOwner &owner;
    FrontCounters counters{};
    FrontNodes nodes;
    Complaints complaints;
    Transfer transfer;
    Connection connection;
};

Result<std::unique_ptr<BlockFront>> BlockFront::create(FrontPorts ports, FrontOwner &owner,
                                                       FrontConfig config)
{
    FrontNodes nodes(ports.store, config.frontend_path, config.backend_path);
    auto plan = negotiate(nodes.read(), config.policy);
    if (!plan)
        return plan.error();
    if (!plan.value().sized && !nodes.backend_exists())
        return Error{ErrorKind::Missing, "xenbus:state",
                     "backend_path names no backend: it has neither a size nor a state", 0};
    uint32_t need = min_pool(config.policy);
    if (ports.grants.count() < need || ports.memory.pages() < need)
        return Error{ErrorKind::NoSpace, "grant:table",
                     "too few grants or private pages for the rings and one request of the largest "
                     "size per queue; allow fewer queues, ring pages or segments",
                     need};
    return std::unique_ptr<BlockFront>(
        new BlockFront(std::make_unique<Parts>(ports, owner, std::move(config), plan.value())));
}

BlockFront::BlockFront(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
BlockFront::~BlockFront() = default;

void BlockFront::start()
{
    parts_->connection.start();
}

void BlockFront::reconnect()
{
    parts_->connection.reconnect();
}

void BlockFront::stop()
{
    parts_->connection.stop();
}

Intake BlockFront::submit(const IoRequest &req)
{
    Intake intake = parts_->connection.over() ? Intake{Verdict::Rejected, IoStatus::Error}
                                              : parts_->transfer.submit(req);
    if (intake.verdict != Verdict::Accepted)
        parts_->owner.trace(TraceVerdict{intake.verdict, intake.why, req.sector});
    return intake;
}

bool BlockFront::pump()
{
    return parts_->connection.pump();
}

void BlockFront::cancel_all()
{
    parts_->transfer.cancel(std::nullopt);
    parts_->connection.cancelled();
}

void BlockFront::cancel_queue(uint32_t queue)
{
    parts_->transfer.cancel(queue);
    parts_->connection.cancelled();
}

/* Look at all rings: one may free a page or grant that another waits for. */
void BlockFront::event_received(uint32_t)
{
    parts_->counters.events_received++;
    parts_->owner.trace(TraceEvent{parts_->transfer.in_flight()});
    pump();
}

void BlockFront::store_changed()
{
    parts_->connection.store_changed();
}

void BlockFront::deadline_passed()
{
    parts_->connection.deadline_passed();
}

FrontState BlockFront::state() const
{
    return parts_->connection.state();
}

const Plan &BlockFront::plan() const
{
    return parts_->transfer.plan();
}

const FrontCounters &BlockFront::counters() const
{
    return parts_->counters;
}

uint32_t BlockFront::quarantined() const
{
    return parts_->transfer.pool().quarantined();
}

uint32_t BlockFront::in_flight() const
{
    return parts_->transfer.in_flight();
}

uint32_t BlockFront::accepted() const
{
    return parts_->transfer.accepted();
}

uint32_t BlockFront::persistent_grants() const
{
    return parts_->transfer.pool().kept();
}

bool BlockFront::has_room() const
{
    return parts_->transfer.has_room();
}

std::optional<PageIndex> BlockFront::ring_page(uint32_t queue, uint32_t page) const
{
    return parts_->transfer.rings().page(queue, page);
}

const Error &BlockFront::broken() const
{
    return parts_->connection.broken();
}

} // namespace pvblk
