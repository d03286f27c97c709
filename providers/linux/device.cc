/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace pvblk
{

LinuxFile::~LinuxFile()
{
    if (fd_ >= 0)
        ::close(fd_);
}

Error system_error(ErrorKind kind, const char *clause, const char *what)
{
    return {kind, clause, what, static_cast<uint64_t>(errno)};
}

Result<LinuxFile> open_device(const LinuxDevice &device, int more_flags)
{
    LinuxFile file(::open(device.path, O_RDWR | O_CLOEXEC | more_flags));
    if (file.fd() >= 0)
        return file;
    switch (errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO: return system_error(ErrorKind::Missing, "linux:device", device.missing);
    case EACCES:
    case EPERM: return system_error(ErrorKind::Io, "linux:device", device.forbidden);
    default: return system_error(ErrorKind::Io, "linux:device", "a device of Xen cannot be opened");
    }
}

} // namespace pvblk
