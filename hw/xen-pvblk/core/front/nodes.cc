/* SPDX-License-Identifier: MIT */
/* Layer `front`: our nodes, and both ends' states. */
#include "front/nodes.h"

#include "front/path.h"

#include <bit>

namespace pvblk
{

bool FrontNodes::backend_exists() const
{
    std::array<char, 16> text;
    return store_.read(Path(backend_, "state"), text).ok();
}

Result<XenbusState> FrontNodes::state_of(const std::string &end) const
{
    std::array<char, 16> text;
    auto len = store_.read(Path(end, "state"), text);
    if (len)
        return parse_xenbus_state({text.data(), std::min(len.value(), text.size())});
    if (len.error().kind == ErrorKind::Missing)
        return XenbusState::Unknown;
    /* An unreadable node may still exist. */
    return Error{ErrorKind::Io, "xenbus:store", "could not read the backend's state", 0};
}

void FrontNodes::write_state(XenbusState state)
{
    write_number("state", static_cast<uint64_t>(state));
}

Status FrontNodes::publish(const Plan &plan, const Rings &rings)
{
    remove_stale_nodes();
    if (!write_nodes(plan, rings))
        return Error{ErrorKind::Io, "xenbus:store", "could not write our XenStore nodes", 0};
    return Ok{};
}

/* Nodes that an earlier frontend left would override what we write, or be
 * looked at first: blkback takes ring-ref0 before ring-ref. */
void FrontNodes::remove_stale_nodes()
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
bool FrontNodes::write_nodes(const Plan &plan, const Rings &rings)
{
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
        ok = ok && write_ring_nodes(plan, rings, i);
    return ok;
}

bool FrontNodes::write_ring_nodes(const Plan &plan, const Rings &rings, uint32_t ring)
{
    Name dir("queue-%u/", ring);
    std::string_view prefix = plan.queues > 1 ? dir : std::string_view();
    int n = static_cast<int>(prefix.size());
    bool ok = write_number(Name("%.*sevent-channel", n, prefix.data()), rings.port(ring).value);
    for (uint32_t i = 0; i < plan.ring_pages; i++) {
        uint32_t ref = rings.ref(ring, i).value;
        ok = ok && (plan.ring_pages == 1
                        ? write_number(Name("%.*sring-ref", n, prefix.data()), ref)
                        : write_number(Name("%.*sring-ref%u", n, prefix.data(), i), ref));
    }
    return ok;
}

bool FrontNodes::write_node(std::string_view name, std::string_view value)
{
    return store_.write(Path(frontend_, name), value).ok();
}

bool FrontNodes::write_number(std::string_view name, uint64_t value)
{
    return write_node(name, Name("%llu", static_cast<unsigned long long>(value)));
}

void FrontNodes::remove_node(std::string_view name)
{
    store_.remove(Path(frontend_, name));
}

} // namespace pvblk
