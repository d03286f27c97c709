/* SPDX-License-Identifier: MIT */
/* A backend's ends of event channels, by /dev/xen/evtchn (Linux's xen/evtchn.h). */
#include "device.h"
#include "pvblk/linux_back.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The header has one struct with it, and does not define it. */
using domid_t = uint16_t;
#include <xen/evtchn.h>

namespace pvblk
{

Result<std::unique_ptr<LinuxBackEvents>> LinuxBackEvents::create(DomId frontend)
{
    auto device = open_device(kEvtchn, O_NONBLOCK);
    if (!device)
        return device.error();
    return std::make_unique<LinuxBackEvents>(std::move(device.value()), frontend);
}

/* Linux refuses a port that does not exist, or that somebody has bound. */
Status LinuxBackEvents::bind(uint32_t queue, Port remote)
{
    ioctl_evtchn_bind_interdomain bind{frontend_.value, remote.value};
    int port = ::ioctl(fd(), IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind);
    if (port < 0)
        return Error{ErrorKind::Io, "blkif:event-channel",
                     "the frontend's event-channel cannot be bound", remote.value};
    ends_[queue] = {static_cast<uint32_t>(port), true, false};
    return Ok{};
}

Status LinuxBackEvents::notify(uint32_t queue)
{
    ioctl_evtchn_notify notify{ends_[queue].port};
    if (::ioctl(fd(), IOCTL_EVTCHN_NOTIFY, &notify))
        return system_error(ErrorKind::Io, "evtchn:send", "could not send an event");
    return Ok{};
}

void LinuxBackEvents::again(uint32_t queue)
{
    ends_[queue].due = ends_[queue].on;
}

void LinuxBackEvents::pause(uint32_t queue)
{
    ends_[queue].on = ends_[queue].due = false;
}

void LinuxBackEvents::unbind(uint32_t queue)
{
    ioctl_evtchn_unbind unbind{std::exchange(ends_[queue], {}).port};
    if (unbind.port)
        ::ioctl(fd(), IOCTL_EVTCHN_UNBIND, &unbind);
}

bool LinuxBackEvents::pending() const
{
    return later_ || std::any_of(ends_.begin(), ends_.end(), [](const End &e) { return e.due; });
}

/* Linux masks a port until it is written back. So each bound port comes once. */
void LinuxBackEvents::receive()
{
    std::array<uint32_t, kMaxQueues> ports{};
    ssize_t bytes = ::read(fd(), ports.data(), sizeof(ports));
    for (ssize_t i = 0; i < bytes / ssize_t{sizeof(uint32_t)}; i++) {
        const uint32_t port = ports[static_cast<size_t>(i)];
        auto end = std::find_if(ends_.begin(), ends_.end(),
                                [port](const End &e) { return e.on && e.port == port; });
        if (end == ends_.end())
            continue; /* its channel was closed meanwhile */
        end->due = true;
        /* If it fails, no more events come: the port is unbound. */
        if (::write(fd(), &port, sizeof(port)) < 0)
            continue;
    }
}

std::optional<uint32_t> LinuxBackEvents::take()
{
    receive();
    for (uint32_t i = 0; i < kMaxQueues; i++) {
        const uint32_t queue = (next_ + i) % kMaxQueues;
        if (!std::exchange(ends_[queue].due, false))
            continue;
        next_ = queue + 1;
        return queue;
    }
    return std::nullopt;
}

} // namespace pvblk
