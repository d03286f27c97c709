/* SPDX-License-Identifier: MIT */
/* A frontend's pages, by /dev/xen/gntdev (Linux's xen/gntdev.h). */
#include "device.h"
#include "pvblk/linux_back.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

/* The header uses them, and does not define them. */
using domid_t = uint16_t;
using grant_ref_t = uint32_t;
#include <xen/gntdev.h>

namespace pvblk
{

Result<std::unique_ptr<LinuxBackGrants>> LinuxBackGrants::create(DomId frontend)
{
    auto device = open_device(kGntdev);
    if (!device)
        return device.error();
    return std::make_unique<LinuxBackGrants>(std::move(device.value()), frontend);
}

/* gntdev has its own name for a page, an index, from the first ioctl to the last. */
Result<std::byte *> LinuxBackGrants::map(GrantRef ref, bool readonly)
{
    const Error refused{ErrorKind::PeerViolation, "blkif:gref", "a grant cannot be mapped",
                        ref.value};
    ioctl_gntdev_map_grant_ref call{1, 0, 0, {{frontend_.value, ref.value}}};
    if (::ioctl(device_.fd(), IOCTL_GNTDEV_MAP_GRANT_REF, &call))
        return refused;
    void *page = ::mmap(nullptr, kPageSize, PROT_READ | (readonly ? 0 : PROT_WRITE), MAP_SHARED,
                        device_.fd(), static_cast<off_t>(call.index));
    if (page == MAP_FAILED) {
        forget(call.index);
        return refused;
    }
    mapped_++;
    return static_cast<std::byte *>(page);
}

void LinuxBackGrants::unmap(GrantRef, std::byte *page)
{
    ioctl_gntdev_get_offset_for_vaddr call{reinterpret_cast<uintptr_t>(page), 0, 0, 0};
    const bool known = ::ioctl(device_.fd(), IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &call) == 0;
    ::munmap(page, kPageSize);
    if (known)
        forget(call.offset);
    mapped_--;
}

void LinuxBackGrants::forget(uint64_t index)
{
    ioctl_gntdev_unmap_grant_ref call{index, 1, 0};
    ::ioctl(device_.fd(), IOCTL_GNTDEV_UNMAP_GRANT_REF, &call);
}

} // namespace pvblk
