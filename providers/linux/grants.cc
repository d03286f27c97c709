/* SPDX-License-Identifier: MIT */
/* A frontend's grants and pages, all of them gntalloc's. */
#include "pvblk/linux.h"

namespace pvblk
{

namespace
{

/* Frames are numbers that only grant_frame() has to know again. None is 0. */
constexpr uint64_t kFirstFrame = 0x100;

} // namespace

std::optional<GrantRef> LinuxGuest::ref(Gfn gfn) const
{
    if (gfn.value < first_ || gfn.value - first_ >= pages_.count())
        return std::nullopt;
    return pages_.ref(static_cast<uint32_t>(gfn.value - first_));
}

Result<std::unique_ptr<LinuxGrants>> LinuxGrants::create(DomId backend, LinuxGrantsConfig config)
{
    auto own = LinuxPages::create(backend, config.private_pages, false);
    if (!own)
        return own.error();
    auto reads = LinuxPages::create(backend, config.read_pages, false);
    if (!reads)
        return reads.error();
    auto writes = LinuxPages::create(backend, config.write_pages, true);
    if (!writes)
        return writes.error();
    std::unique_ptr<LinuxGrants> grants(new LinuxGrants);
    grants->refs_.resize(config.grants);
    grants->private_ = std::move(own.value());
    grants->for_reads_ = LinuxGuest(std::move(reads.value()), kFirstFrame);
    grants->for_writes_ = LinuxGuest(std::move(writes.value()), kFirstFrame + config.read_pages);
    return grants;
}

Status LinuxGrants::grant_frame(uint32_t index, Gfn gfn, bool readonly)
{
    if (auto ref = for_reads_.ref(gfn)) {
        refs_[index] = *ref;
        return Ok{};
    }
    auto ref = for_writes_.ref(gfn);
    if (!ref)
        return Error{ErrorKind::OutOfRange, "linux:page",
                     "the data of a request is not in memory of LinuxGrants", gfn.value};
    if (!readonly)
        return Error{ErrorKind::OutOfRange, "linux:page",
                     "the backend cannot write to this memory: read into for_reads()", gfn.value};
    refs_[index] = *ref;
    return Ok{};
}

Status LinuxGrants::grant_page(uint32_t index, PageIndex page, bool)
{
    refs_[index] = private_.ref(page.value);
    return Ok{};
}

Status LinuxGrants::revoke(uint32_t index)
{
    refs_[index] = GrantRef();
    return Ok{};
}

} // namespace pvblk
