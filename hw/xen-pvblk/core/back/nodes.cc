/* SPDX-License-Identifier: MIT */
/* Layer `back`: the backend's own nodes. */
#include "back/nodes.h"

namespace pvblk
{

std::string BackNodes::path(std::string_view name) const
{
    return config_.backend_path + "/" + std::string(name);
}

void BackNodes::write(std::string_view name, std::string_view value)
{
    (void)ports_.store.write(path(name), value);
}

void BackNodes::remove(std::string_view name)
{
    ports_.store.remove(path(name));
}

bool BackNodes::allows(std::string_view name)
{
    char text[4];
    auto len = ports_.store.read(path(name), text);
    return !len || len.value() != 1 || text[0] != '0';
}

void BackNodes::ask_toolstack()
{
    config_.discard = offers_discard_ && allows("discard-enable");
    if (!config_.discard)
        for (const char *name : {"feature-discard", "discard-secure"})
            remove(name);
}

void BackNodes::write_state(std::string_view text)
{
    (void)ports_.store.write_state(path("state"), text);
}

void BackNodes::remove_state()
{
    ports_.store.remove_state(path("state"));
}

/* All nodes that may exist, except `state`. */
std::vector<BackNodes::Node> BackNodes::list() const
{
    const BackConfig &c = config_;
    uint32_t info = (c.cdrom ? 1u : 0u) | (c.removable ? 2u : 0u) | (c.read_only ? 4u : 0u);
    auto number = [](bool present, uint64_t value) {
        return present ? std::optional(std::to_string(value)) : std::nullopt;
    };
    auto text = [](const std::string &value) {
        return value.empty() ? std::nullopt : std::optional(value);
    };
    bool ring_pages = c.max_ring_page_order != 0;
    uint64_t bytes = ports_.storage.sectors() * kSectorSize;
    bytes -= bytes % c.sector_size;
    /* blkif.h: the size is a multiple of it, where there is one. */
    bool physical = c.physical_sector_size != 0 && bytes % c.physical_sector_size == 0;
    return {
        {"sectors", number(true, bytes / c.unit())},
        {"sector-size", number(true, c.sector_size)},
        {"physical-sector-size", number(physical, c.physical_sector_size)},
        {"info", number(true, info)},
        {"removable", number(c.removable, 1)},
        {"feature-flush-cache", number(c.flush, 1)},
        {"feature-barrier", number(c.barrier, 1)},
        {"feature-discard", number(c.discard, 1)},
        {"discard-secure", number(c.discard && c.discard_secure, 1)},
        /* Linux takes no discard where alignment is left to its default. */
        {"discard-granularity",
         number(c.discard, c.discard_granularity ? c.discard_granularity : c.sector_size)},
        {"discard-alignment", number(c.discard, c.discard_alignment)},
        {"max-ring-page-order", number(ring_pages, c.max_ring_page_order)},
        {"max-ring-pages", number(ring_pages, uint64_t{1} << c.max_ring_page_order)},
        {"multi-queue-max-queues", number(c.max_queues > 1, c.max_queues)},
        {"feature-max-indirect-segments",
         number(c.max_indirect_segments != 0, c.max_indirect_segments)},
        {"feature-persistent", number(c.persistent, 1)},
        {"mode", c.read_only ? "r" : "w"},
        {"type", text(c.type)},
        {"dev", text(c.dev)},
        {"params", text(c.params)},
    };
}

void BackNodes::publish()
{
    for (const auto &[name, value] : list()) {
        /* Others come or stay away for good; a new size may take this one back. */
        if (!value && std::string_view(name) == "physical-sector-size")
            remove(name);
        if (hooks_ && hooks_->publish_node(name, value))
            continue;
        if (value)
            write(name, *value);
    }
}

void BackNodes::remove_all()
{
    for (const auto &[name, value] : list())
        if (value)
            remove(name);
    remove_state();
}

} // namespace pvblk
