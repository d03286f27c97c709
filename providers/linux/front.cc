/* SPDX-License-Identifier: MIT */
/* A BlockFront on the ports of this library, and the loop around it. */
#include "device.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>

namespace pvblk
{

Result<std::unique_ptr<LinuxFront>> LinuxFront::create(FrontOwner &owner, LinuxFrontConfig config)
{
    std::unique_ptr<LinuxFront> self(new LinuxFront);
    auto store = LinuxStore::create();
    if (!store)
        return store.error();
    self->store_ = std::move(store.value());

    auto own = read_domid(*self->store_, "domid");
    if (!own)
        return own.error();
    config.front.frontend_path = "/local/domain/" + std::to_string(own.value().value) +
                                 "/device/vbd/" + std::to_string(config.vdev);
    config.front.handle = static_cast<uint16_t>(config.vdev);
    auto path = self->store_->read(config.front.frontend_path + "/backend");
    if (!path && path.error().kind == ErrorKind::Missing)
        return Error{ErrorKind::Missing, "linux:store",
                     "this domain has no block device of that number", config.vdev};
    auto backend = read_domid(*self->store_, config.front.frontend_path + "/backend-id");
    if (!path || !backend)
        return path ? backend.error() : path.error();
    config.front.backend_path = path.value();

    auto events = LinuxEvents::create(backend.value());
    if (!events)
        return events.error();
    self->events_ = std::move(events.value());

    const FrontPolicy &policy = config.front.policy;
    uint32_t pages =
        std::max(BlockFront::min_pool(policy),
                 std::min(BlockFront::wanted_pages(policy), config.most_private_pages));
    auto grants = LinuxGrants::create(backend.value(), {BlockFront::wanted_grants(policy), pages,
                                                        config.read_pages, config.write_pages});
    if (!grants)
        return grants.error();
    self->grants_ = std::move(grants.value());

    auto front = BlockFront::create(
        {*self->store_, *self->grants_, *self->events_, *self->grants_, self->clock_}, owner,
        std::move(config.front));
    if (!front)
        return front.error();
    self->front_ = std::move(front.value());
    return self;
}

Status LinuxFront::wait(int timeout_ms)
{
    pollfd news[] = {{store_->fd(), POLLIN, 0}, {events_->fd(), POLLIN, 0}};
    if (::poll(news, 2, clock_.timeout_ms(timeout_ms)) < 0 && errno != EINTR)
        return system_error(ErrorKind::Io, "linux:device", "Linux cannot wait for Xen's devices");
    if (news[1].revents & (POLLERR | POLLHUP | POLLNVAL))
        return Error{ErrorKind::Io, "linux:event", "/dev/xen/evtchn lost an event", 0};
    return Ok{};
}

Status LinuxFront::turn(int timeout_ms)
{
    /* What moved may be what the caller waits for. */
    bool moved = front_->pump();
    auto changed = store_->take();
    if (changed && !changed.value()) {
        if (Status waited = wait(moved ? 0 : timeout_ms); !waited)
            return waited;
        changed = store_->take();
    }
    if (!changed)
        return changed.error();
    if (changed.value())
        front_->store_changed();
    std::optional<uint32_t> queue;
    for (uint32_t i = 0; i < kMaxQueues && (queue = events_->take()); i++)
        front_->event_received(*queue); /* a backend cannot keep us here */
    if (clock_.take())
        front_->deadline_passed();
    front_->pump();
    return Ok{};
}

} // namespace pvblk
