/* SPDX-License-Identifier: MIT */
/* Granted pages by /dev/xen/gntalloc (Linux's xen/gntalloc.h). */
#include "device.h"

#include <cerrno>
#include <cstddef>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <xen/gntalloc.h>

namespace pvblk
{

namespace
{

constexpr const char *kClause = "linux:page";

constexpr size_t bytes(size_t pages)
{
    return pages * kPageSize;
}

/* Addresses that nobody may touch yet, or any more; at `where`, or anywhere. */
void *reserve_at(void *where, size_t length)
{
    return ::mmap(where, length, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (where ? MAP_FIXED : 0), -1, 0);
}

} // namespace

Result<LinuxPages> LinuxPages::create(DomId peer, uint32_t count, bool readonly)
{
    LinuxPages pages;
    if (count == 0)
        return pages;
    auto device = open_device(kGntalloc);
    if (!device)
        return device.error();
    pages.device_ = std::move(device.value());
    void *base = reserve_at(nullptr, bytes(count));
    if (base == MAP_FAILED)
        return system_error(ErrorKind::NoSpace, kClause, "there are no addresses for pages");
    pages.base_ = static_cast<std::byte *>(base);
    pages.refs_.resize(count);
    if (Status done = pages.allocate(peer, readonly); !done)
        return done.error();
    for (uint32_t i = 0; i < count; i++)
        if (Status done = pages.map(i); !done)
            return done.error();
    return pages;
}

Status LinuxPages::allocate(DomId peer, bool readonly)
{
    /* The struct ends in an array of references, one a page. */
    constexpr size_t kHead = offsetof(ioctl_gntalloc_alloc_gref, gref_ids);
    std::vector<uint64_t> memory((kHead + count() * sizeof(uint32_t)) / sizeof(uint64_t) + 1);
    auto *call = reinterpret_cast<ioctl_gntalloc_alloc_gref *>(memory.data());
    call->domid = peer.value;
    call->flags = readonly ? 0 : GNTALLOC_FLAG_WRITABLE;
    call->count = count();
    if (::ioctl(device_.fd(), IOCTL_GNTALLOC_ALLOC_GREF, call) == 0) {
        index_ = call->index;
        const uint32_t *ids = call->gref_ids;
        for (uint32_t i = 0; i < count(); i++)
            refs_[i] = GrantRef(ids[i]);
        return Ok{};
    }
    if (errno == ENOSPC)
        return system_error(ErrorKind::NoSpace, kClause,
                            "gntalloc has not as many pages left: write a larger number to "
                            "/sys/module/xen_gntalloc/parameters/limit, or ask for fewer");
    return system_error(ErrorKind::Io, kClause, "gntalloc allocates no pages");
}

/* A mapping of its own for each page: Linux gives the pages of one mapping up
 * together. */
Status LinuxPages::map(uint32_t i)
{
    void *at = ::mmap(page(i), kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                      device_.fd(), static_cast<off_t>(index_ + bytes(i)));
    if (at == MAP_FAILED)
        return system_error(ErrorKind::NoSpace, kClause, "a page of gntalloc cannot be mapped");
    return Ok{};
}

void LinuxPages::end(uint32_t i)
{
    if (std::exchange(refs_[i], GrantRef()) == GrantRef())
        return;
    ioctl_gntalloc_dealloc_gref call{index_ + bytes(i), 1};
    ::ioctl(device_.fd(), IOCTL_GNTALLOC_DEALLOC_GREF, &call);
    reserve_at(page(i), kPageSize); /* in the place of the last mapping */
}

void LinuxPages::end()
{
    if (base_)
        ::munmap(base_, bytes(count()));
    base_ = nullptr;
    refs_.clear();
    device_ = LinuxFile(); /* which deallocates all pages */
}

LinuxPages &LinuxPages::operator=(LinuxPages &&other) noexcept
{
    std::swap(device_, other.device_);
    std::swap(refs_, other.refs_);
    std::swap(base_, other.base_);
    std::swap(index_, other.index_);
    return *this;
}

} // namespace pvblk
