/* SPDX-License-Identifier: MIT */
/* Event channels by /dev/xen/evtchn (Linux's xen/evtchn.h). */
#include "device.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The header has one struct with it, and does not define it. */
using domid_t = uint16_t;
#include <xen/evtchn.h>

namespace pvblk
{

Result<std::unique_ptr<LinuxEvents>> LinuxEvents::create(DomId peer)
{
    auto device = open_device(kEvtchn, O_NONBLOCK);
    if (!device)
        return device.error();
    return std::make_unique<LinuxEvents>(std::move(device.value()), peer);
}

Result<Port> LinuxEvents::open(uint32_t queue)
{
    close(queue);
    ioctl_evtchn_bind_unbound_port bind{peer_.value};
    int port = ::ioctl(fd(), IOCTL_EVTCHN_BIND_UNBOUND_PORT, &bind);
    if (port < 0)
        return system_error(ErrorKind::Io, "linux:event", "Linux has no event channel for us");
    ports_[queue] = static_cast<uint32_t>(port);
    return Port(ports_[queue]);
}

Status LinuxEvents::notify(uint32_t queue)
{
    ioctl_evtchn_notify notify{ports_[queue]};
    if (::ioctl(fd(), IOCTL_EVTCHN_NOTIFY, &notify))
        return system_error(ErrorKind::Io, "linux:event", "Linux cannot send an event");
    return Ok{};
}

void LinuxEvents::close(uint32_t queue)
{
    ioctl_evtchn_unbind unbind{std::exchange(ports_[queue], 0)};
    if (unbind.port)
        ::ioctl(fd(), IOCTL_EVTCHN_UNBIND, &unbind);
}

std::optional<uint32_t> LinuxEvents::take()
{
    uint32_t port = 0;
    while (::read(fd(), &port, sizeof(port)) == sizeof(port)) {
        auto found = std::find(ports_.begin(), ports_.end(), port);
        if (port == 0 || found == ports_.end())
            continue; /* its channel was closed meanwhile */
        /* Linux masks a port until it is written back. So one event each of the
         * open ports is all that this loop can meet. */
        if (::write(fd(), &port, sizeof(port)) != sizeof(port))
            continue;
        return static_cast<uint32_t>(found - ports_.begin());
    }
    return std::nullopt;
}

} // namespace pvblk
