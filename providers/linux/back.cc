/* SPDX-License-Identifier: MIT */
/* A BlockBack on the ports of this library, and the loop around it. */
#include "device.h"
#include "pvblk/linux_back.h"

#include <cerrno>
#include <poll.h>
#include <unistd.h>

namespace pvblk
{

namespace
{

/* Whether a driver of Linux's own, xen-blkback, serves the device. */
bool kernel_has(const std::string &unit)
{
    return ::access(("/sys/bus/xen-backend/devices/" + unit + "/driver").c_str(), F_OK) == 0;
}

/* The folders below backend/ that may have the device. */
Result<std::vector<std::string>> types(LinuxStore &store, const std::string &home,
                                       const LinuxBackConfig &config)
{
    if (!config.type.empty())
        return std::vector<std::string>{config.type};
    auto all = store.list(home);
    if (!all && all.error().kind == ErrorKind::Missing)
        return std::vector<std::string>{};
    return all;
}

} // namespace

Result<BackConfig> LinuxBack::find(LinuxStore &store, const LinuxBackConfig &config)
{
    auto own = read_domid(store, "domid");
    if (!own)
        return own.error();
    const std::string home = "/local/domain/" + std::to_string(own.value().value) + "/backend";
    auto folders = types(store, home, config);
    if (!folders)
        return folders.error();
    const std::string device =
        std::to_string(config.frontend.value) + "/" + std::to_string(config.vdev);
    BackConfig found = config.back;
    found.backend_path.clear();
    for (const std::string &type : folders.value()) {
        const std::string path = home + "/" + type + "/" + device;
        auto frontend = store.read(path + "/frontend");
        if (!frontend && frontend.error().kind == ErrorKind::Missing)
            continue;
        if (!frontend)
            return frontend.error();
        if (!found.backend_path.empty())
            return Error{ErrorKind::Contradiction, "linux:store",
                         "two folders below backend/ have this block device: name its type",
                         config.vdev};
        if (kernel_has(type + "-" + std::to_string(config.frontend.value) + "-" +
                       std::to_string(config.vdev)))
            return Error{ErrorKind::Busy, "linux:store",
                         "Linux's own xen-blkback serves this block device: detach it, and attach "
                         "it with a backend's folder of another type than vbd",
                         config.vdev};
        found.frontend_path = frontend.value();
        found.backend_path = path;
    }
    if (found.backend_path.empty())
        return Error{ErrorKind::Missing, "linux:store",
                     "this domain has no backend's folder for that block device: attach the device "
                     "first, or check the numbers of its domain and of the device",
                     config.vdev};
    return found;
}

Result<std::unique_ptr<LinuxBack>> LinuxBack::create(Storage &storage, LinuxBackConfig config,
                                                     BackOwner *owner, BackHooks *hooks)
{
    auto store = LinuxStore::create();
    if (!store)
        return store.error();
    auto events = LinuxBackEvents::create(config.frontend);
    if (!events)
        return events.error();
    auto grants = LinuxBackGrants::create(config.frontend);
    if (!grants)
        return grants.error();
    auto found = find(*store.value(), config);
    if (!found)
        return found.error();
    return std::make_unique<LinuxBack>(LinuxBackPorts{std::move(store.value()),
                                                      std::move(events.value()),
                                                      std::move(grants.value())},
                                       storage, std::move(found.value()), owner, hooks);
}

LinuxBack::LinuxBack(LinuxBackPorts ports, Storage &storage, BackConfig config, BackOwner *owner,
                     BackHooks *hooks)
    : ports_(std::move(ports)),
      back_({*ports_.store, *ports_.grants, *ports_.events, storage, owner}, std::move(config),
            hooks)
{
}

Status LinuxBack::wait(int timeout_ms, int also)
{
    pollfd news[] = {
        {ports_.store->fd(), POLLIN, 0}, {ports_.events->fd(), POLLIN, 0}, {also, POLLIN, 0}};
    if (::poll(news, 3, ports_.events->pending() ? 0 : timeout_ms) < 0 && errno != EINTR)
        return system_error(ErrorKind::Io, "linux:device", "Linux cannot wait for Xen's devices");
    if (news[1].revents & (POLLERR | POLLHUP | POLLNVAL))
        return Error{ErrorKind::Io, "linux:event", "/dev/xen/evtchn lost an event", 0};
    return Ok{};
}

Status LinuxBack::turn(int timeout_ms, int also)
{
    auto changed = ports_.store->take();
    if (changed && !changed.value()) {
        if (Status waited = wait(timeout_ms, also); !waited)
            return waited;
        changed = ports_.store->take();
    }
    if (!changed)
        return changed.error();
    if (changed.value())
        back_.store_changed();
    if (ports_.events->take_later())
        back_.later();
    std::optional<uint32_t> queue;
    for (uint32_t i = 0; i < kMaxQueues && (queue = ports_.events->take()); i++)
        back_.event_received(*queue); /* a frontend cannot keep us here */
    return Ok{};
}

} // namespace pvblk
