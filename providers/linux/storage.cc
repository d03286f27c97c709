/* SPDX-License-Identifier: MIT */
/* A backend's disk: a regular file or a block device. */
#include "device.h"
#include "pvblk/linux_back.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace pvblk
{

namespace
{

constexpr const char *kClause = "linux:storage";

Error no_file()
{
    switch (errno) {
    case ENOENT:
        return system_error(ErrorKind::Missing, kClause,
                            "there is no such file: 'truncate -s 64M FILE' makes one");
    case EACCES:
    case EPERM:
    case EROFS:
        return system_error(ErrorKind::Io, kClause,
                            "you may not open the file: check its permissions, or serve it "
                            "read-only");
    case EISDIR:
        return system_error(ErrorKind::Io, kClause,
                            "this is a folder: name a file or a block device");
    default: return system_error(ErrorKind::Io, kClause, "the file cannot be opened");
    }
}

} // namespace

Result<std::unique_ptr<LinuxStorage>> LinuxStorage::open(const std::string &path, bool read_only)
{
    LinuxFile file(::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK));
    if (file.fd() < 0)
        return no_file();
    struct stat facts{};
    if (::fstat(file.fd(), &facts) || (!S_ISREG(facts.st_mode) && !S_ISBLK(facts.st_mode)))
        return Error{ErrorKind::Io, kClause,
                     "this is neither a file nor a block device, and cannot be a disk", 0};
    if (::flock(file.fd(), (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB))
        return system_error(ErrorKind::Busy, kClause,
                            "another program has locked the file: end that program first");
    auto storage = std::make_unique<LinuxStorage>(std::move(file));
    if (Status measured = storage->measure(); !measured)
        return measured.error();
    return storage;
}

/* lseek() knows the size of a block device, too. */
Status LinuxStorage::measure()
{
    const off_t end = ::lseek(file_.fd(), 0, SEEK_END);
    if (end < 0)
        return system_error(ErrorKind::Io, kClause, "the size of the file cannot be read");
    bytes_ = static_cast<uint64_t>(end);
    return Ok{};
}

Status LinuxStorage::resize(uint64_t sectors)
{
    if (sectors > INT64_MAX / kSectorSize)
        return Error{ErrorKind::OutOfRange, kClause, "no file is that large", sectors};
    if (::ftruncate(file_.fd(), static_cast<off_t>(sectors * kSectorSize)))
        return system_error(ErrorKind::Io, kClause,
                            "the size of the file cannot be changed: resize a block device by its "
                            "own tools");
    return measure();
}

void LinuxStorage::submit(const StorageRequest &req, StorageClient &client)
{
    client.storage_done(req.tag, work(req));
}

bool LinuxStorage::work(const StorageRequest &req)
{
    if (req.at.value > sectors() || req.sectors > sectors() - req.at.value)
        return false;
    switch (req.op) {
    case StorageOp::Read:
    case StorageOp::Write: return transfer(req);
    case StorageOp::WriteStable: return transfer(req) && flush();
    case StorageOp::Flush: return flush();
    case StorageOp::Discard: return discard(req);
    case StorageOp::SecureDiscard: return erase(req) && flush();
    }
    return false;
}

/* Linux may do a part of a request, so `rest_` is what is left of it. */
bool LinuxStorage::transfer(const StorageRequest &req)
{
    uint64_t bytes = 0;
    for (const struct iovec &v : req.data)
        bytes += v.iov_len;
    if (req.data.size() > kMaxVectors || bytes != req.sectors * kSectorSize)
        return false;
    std::copy(req.data.begin(), req.data.end(), rest_.begin());
    struct iovec *first = rest_.data();
    size_t left = req.data.size();
    auto at = static_cast<off_t>(req.at.value * kSectorSize);
    while (left) {
        const auto vectors = static_cast<int>(left);
        ssize_t n = req.op == StorageOp::Read ? ::preadv(file_.fd(), first, vectors, at)
                                              : ::pwritev(file_.fd(), first, vectors, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) /* 0: somebody made the file shorter */
            return false;
        at += n;
        auto done = static_cast<size_t>(n);
        for (; left && done >= first->iov_len; first++, left--)
            done -= first->iov_len;
        if (left)
            *first = {static_cast<std::byte *>(first->iov_base) + done, first->iov_len - done};
    }
    return true;
}

bool LinuxStorage::discard(const StorageRequest &req)
{
    if (req.sectors == 0)
        return true;
    return ::fallocate(file_.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                       static_cast<off_t>(req.at.value * kSectorSize),
                       static_cast<off_t>(req.sectors * kSectorSize)) == 0 ||
           errno == EOPNOTSUPP;
}

bool LinuxStorage::erase(const StorageRequest &req)
{
    static const std::array<std::byte, 65536> zeros{};
    auto at = static_cast<off_t>(req.at.value * kSectorSize);
    for (uint64_t left = req.sectors * kSectorSize; left;) {
        ssize_t n = ::pwrite(file_.fd(), zeros.data(), std::min<uint64_t>(left, zeros.size()), at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        left -= static_cast<uint64_t>(n);
    }
    return true;
}

bool LinuxStorage::flush()
{
    return ::fdatasync(file_.fd()) == 0;
}

} // namespace pvblk
