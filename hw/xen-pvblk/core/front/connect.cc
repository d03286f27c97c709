/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: what a connection is made of. The plan, rings and event
 * channels, our nodes in XenStore (blkif.h "Frontend XenBus Nodes"), and their
 * end.
 */
#include "front/path.h"
#include "pvblk/front.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace pvblk
{

namespace
{

/* Segments in flight that pools are made for, all queues together: 4 MiB. */
constexpr uint32_t kEnough = 1024;
/* Pages for what cannot be granted where it is, where most can. */
constexpr uint32_t kSomeBounces = 64;

} // namespace

uint32_t BlockFront::least(const FrontPolicy &p)
{
    return p.queues() * (p.ring_pages() + p.segments() + list_pages(p.segments()));
}

uint32_t BlockFront::wanted_grants(const FrontPolicy &p)
{
    uint32_t most = p.segments() + list_pages(p.segments());
    uint32_t in_flight = std::min(p.queues() * p.ring_entries() * most, kEnough);
    return std::max(least(p), p.queues() * p.ring_pages() + in_flight);
}

uint32_t BlockFront::wanted_pages(const FrontPolicy &p)
{
    if (p.use_persistent || !p.trusted)
        return wanted_grants(p); /* each of them is a grant on a private page */
    uint32_t lists = std::min(p.queues() * p.ring_entries() * list_pages(p.segments()), kEnough);
    return std::max(least(p), p.queues() * p.ring_pages() + kSomeBounces + lists);
}

std::optional<PageIndex> BlockFront::ring_page(uint32_t queue, uint32_t page) const
{
    if (queue >= rings_ || page >= queues_[queue].pages)
        return std::nullopt;
    return queues_[queue].page[page].page;
}

Result<Plan> BlockFront::read_plan()
{
    FrontPolicy policy = config_.policy;
    /* The quirk counts where it was announced, which needs a sector-size that
     * is known before Connected; and as it was at first, it stays. */
    if (plan_.sized ? plan_.units == SectorUnits::Bytes512
                    : rings_ && published_.units == SectorUnits::Bytes512)
        policy.large_sector_units = SectorUnits::Bytes512;
    return negotiate(read_nodes(ports_.store, config_.backend_path, config_.frontend_path), policy);
}

/* Negotiate, set up rings and event channels, tell the backend. What fails on
 * the way is undone by tear_down(), in reverse. */
void BlockFront::act_publish()
{
    tear_down();
    pool_.sweep_all();
    auto plan = read_plan();
    if (!plan)
        return fault(plan.error());
    fresh_ = false;
    published_ = plan.value();
    /* Of a disk that is known already, the quirk is announced again. */
    if (!published_.sized)
        published_.units = plan_.units;
    for (uint32_t i = 0; i < published_.queues; i++)
        if (auto s = open_queue(i, published_); !s)
            return fault(s.error());
    rings_ = published_.queues;
    if (!write_nodes(published_))
        return fault({ErrorKind::Io, "xenbus:store", "could not write our XenStore nodes", 0});
    write_state(XenbusState::Initialised);
    look();
}

Status BlockFront::open_queue(uint32_t index, const Plan &plan)
{
    Queue &queue = queues_[index];
    std::array<std::byte *, kMaxRingPages> pages{};
    while (queue.pages < plan.ring_pages) {
        auto lent = pool_.lend(
            false, [this](PageIndex p) { std::memset(ports_.memory.page(p), 0, kPageSize); });
        if (!lent)
            return Error{ErrorKind::NoSpace, "grant:table", "no page or grant left for the ring",
                         queue.pages};
        pages[queue.pages] = ports_.memory.page(lent->page);
        queue.page[queue.pages++] = *lent;
    }
    SharedRing shared(plan.abi, pages, plan.ring_pages);
    shared.init();
    queue.ring = FrontRing<SharedRing>(shared);
    auto port = ports_.events.open(index);
    if (!port)
        return port.error();
    queue.port = port.value();
    queue.open = true;
    return Ok{};
}

/* Nodes that an earlier frontend left would override what we write, or be
 * looked at first: blkback takes ring-ref0 before ring-ref. */
void BlockFront::remove_stale_nodes()
{
    for (const char *name :
         {"ring-ref", "event-channel", "ring-page-order", "num-ring-pages", "feature-persistent",
          "multi-queue-num-queues", "feature-large-sector-size"})
        remove_node(name);
    for (uint32_t i = 0; i < kMaxRingPages; i++)
        remove_node(Name("ring-ref%u", i));
    for (uint32_t i = 0; i < kMaxQueues; i++)
        remove_node(Name("queue-%u", i));
}

/* One page: ring-ref, and never ring-page-order, not even 0 (QEMU). Several:
 * the nodes of both schemes (blkif.h note 3). */
bool BlockFront::write_nodes(const Plan &plan)
{
    remove_stale_nodes();
    bool ok = write_node("protocol", abi_name(plan.abi));
    if (plan.ring_pages > 1)
        ok = ok && write_number("ring-page-order", std::countr_zero(plan.ring_pages)) &&
             write_number("num-ring-pages", plan.ring_pages);
    if (plan.queues > 1)
        ok = ok && write_number("multi-queue-num-queues", plan.queues);
    if (plan.persistent)
        ok = ok && write_number("feature-persistent", 1);
    if (plan.units == SectorUnits::Device)
        ok = ok && write_number("feature-large-sector-size", 1);
    for (uint32_t i = 0; i < plan.queues; i++)
        ok = ok && write_ring_nodes(i, plan);
    return ok;
}

bool BlockFront::write_ring_nodes(uint32_t index, const Plan &plan)
{
    const Queue &queue = queues_[index];
    Name dir("queue-%u/", index);
    std::string_view prefix = plan.queues > 1 ? dir : std::string_view();
    int n = static_cast<int>(prefix.size());
    bool ok = write_number(Name("%.*sevent-channel", n, prefix.data()), queue.port.value);
    for (uint32_t i = 0; i < queue.pages; i++) {
        uint32_t ref = pool_.ref(queue.page[i].grant).value;
        ok = ok &&
             (queue.pages == 1 ? write_number(Name("%.*sring-ref", n, prefix.data()), ref)
                               : write_number(Name("%.*sring-ref%u", n, prefix.data(), i), ref));
    }
    return ok;
}

bool BlockFront::adopt_plan(bool new_connection)
{
    auto next = read_plan();
    if (!next) {
        fault(next.error());
        return false;
    }
    Plan &p = next.value();
    if (!p.sized) {
        fault({ErrorKind::Missing, "blkif:sectors",
               "the backend is Connected and has neither sectors nor sector-size", 0});
        return false;
    }
    /* Who was told these cannot be told otherwise. */
    if (plan_.sized && (p.sector_size != plan_.sector_size || p.units != plan_.units)) {
        fault({ErrorKind::Contradiction, "blkif:sector-size", "the backend changed its sector-size",
               p.sector_size});
        return false;
    }
    /* What the rings were made for holds until they are made anew. */
    p.queues = published_.queues;
    p.ring_pages = published_.ring_pages;
    p.persistent &= published_.persistent;
    p.trusted &= published_.trusted;
    if (new_connection) {
        flush_withdrawn_ = false;
        proven_ = {};
    } else {
        /* What the backend did not do stays off as long as it is the same
         * connection, whatever its nodes say. */
        p.flush &= plan_.flush;
        p.barrier &= plan_.barrier;
        p.discard &= plan_.discard;
        p.discard_secure &= plan_.discard_secure;
        flush_withdrawn_ |= plan_.can_flush() && !p.can_flush();
        p.persistent = plan_.persistent;
    }
    bool changed =
        p.sectors != plan_.sectors || p.read_only != plan_.read_only || p.sized != plan_.sized;
    plan_ = p;
    if (new_connection) {
        pool_.keep_grants(plan_.persistent);
        line_up();
    }
    owner_.trace(TracePlan{plan_.sectors, plan_.sector_size});
    if (changed)
        owner_.plan_changed();
    return true;
}

/* Undo act_publish() in reverse. What was in flight waits for the next
 * connection. */
void BlockFront::tear_down()
{
    rings_ = 0;
    settled_ = false;
    settle_deadline_ = -1;
    for (uint32_t i = 0; i < kMaxQueues; i++) {
        if (queues_[i].open)
            ports_.events.close(i);
        queues_[i].open = false;
    }
    requeue_in_flight();
    pool_.drop_kept();
    pool_.keep_grants(false);
    for (Queue &queue : queues_)
        while (queue.pages) {
            const GrantPool::Lent &lent = queue.page[--queue.pages];
            pool_.release(lent.grant, lent.page);
        }
}

bool BlockFront::write_node(std::string_view name, std::string_view value)
{
    return ports_.store.write(Path(config_.frontend_path, name), value).ok();
}

bool BlockFront::write_number(std::string_view name, uint64_t value)
{
    return write_node(name, Name("%llu", static_cast<unsigned long long>(value)));
}

void BlockFront::remove_node(std::string_view name)
{
    ports_.store.remove(Path(config_.frontend_path, name));
}

} // namespace pvblk
