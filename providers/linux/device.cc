/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <unistd.h>

namespace pvblk
{

LinuxFile::~LinuxFile()
{
    if (fd_ >= 0)
        ::close(fd_);
}

Result<DomId> read_domid(LinuxStore &store, const std::string &path)
{
    auto text = store.read(path);
    if (!text)
        return text.error();
    const std::string &digits = text.value();
    uint16_t id = 0;
    auto end = std::from_chars(digits.data(), digits.data() + digits.size(), id);
    if (end.ec != std::errc() || end.ptr != digits.data() + digits.size())
        return Error{ErrorKind::Malformed, "xenbus:decimal",
                     "a node should have the number of a domain", 0};
    return DomId(id);
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
