/* SPDX-License-Identifier: MIT */
/* Layer `fault`: the faults of data and grants. Each case is the sentence of
 * fault_catalogue.h. */
#include "fault/bent_pages.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pvblk
{

namespace
{

using Iov = std::span<struct iovec>;

/* The last sectors are not moved. True: none is. */
bool shorten(Iov iov, StorageRequest &req, uint64_t sectors)
{
    if (sectors >= req.sectors)
        return true;
    req.sectors -= sectors;
    uint64_t left = req.sectors << kSectorShift;
    uint32_t count = 0;
    for (; left; count++) {
        iov[count].iov_len = std::min<uint64_t>(iov[count].iov_len, left);
        left -= iov[count].iov_len;
    }
    req.data = iov.first(count);
    return false;
}

/* The piece that has the bit, modulo the length, and which bit of it that is. */
std::pair<uint32_t, uint64_t> find_bit(Iov iov, uint64_t bit)
{
    uint64_t bytes = 0;
    for (const struct iovec &v : iov)
        bytes += v.iov_len;
    bit %= bytes * 8;
    uint32_t piece = 0;
    while (bit >= iov[piece].iov_len * 8)
        bit -= iov[piece++].iov_len * 8;
    return {piece, bit};
}

FaultOpSet ops(const PageUse &use)
{
    return use.wire ? fault_ops(*use.wire) : 0;
}

void flip(void *data, uint64_t bit)
{
    static_cast<std::byte *>(data)[bit / 8] ^= std::byte{1} << (bit % 8);
}

} // namespace

void BentPages::open(HookedQueue &queue)
{
    queue_ = &queue;
    if (plan_.any())
        prepare();
}

void BentPages::prepare()
{
    size_t n = queue_->area().entries();
    late_.reserve(n);
    bends_.resize(n);
    lingering_.reserve(n);
    scratch_.resize(n * kPageSize);
}

void BentPages::close()
{
    queue_ = nullptr;
    late_.clear();
    bends_.clear();
    lingering_.clear();
}

/* ---- grants ---------------------------------------------------------------- */

std::optional<Result<std::byte *>> BentPages::map(HookedQueue &queue, const PageUse &use,
                                                  GrantRef ref, bool readonly)
{
    auto f = plan_.at(FaultPoint::Map, ops(use), queue.index(), use.name);
    if (!f)
        return std::nullopt;
    switch (f->kind) {
    case FaultKind::MapStray: plan_.touch(GrantRef(fault_low(*f)), true); return std::nullopt;
    case FaultKind::MapWritable: return plan_.back().ports().grants.map(ref, false);
    case FaultKind::MapLate:
        if (late_.size() < late_.capacity())
            late_.push_back({ref, readonly});
        pretended_ = true;
        break;
    default: break; /* MapFails */
    }
    return Error{ErrorKind::Io, "blkif:gref", "a fault plan prevents the mapping of a grant",
                 ref.value};
}

RspStatus BentPages::map_failed()
{
    return std::exchange(pretended_, false) ? RspStatus::Okay : RspStatus::Error;
}

bool BentPages::unmap(HookedQueue &queue, const PageUse &use, const Mapping &m,
                      PersistentMaps *maps)
{
    auto f = plan_.at(FaultPoint::Unmap, ops(use), queue.index(), use.name);
    if (!f)
        return false;
    bool once = m.kept == Mapping::kOnce;
    if (f->kind == FaultKind::MapForEver) {
        if (!kept_.has_room() || (!once && !maps->part_with(m)))
            return false;
        kept_.keep(m);
        return true;
    }
    /* PersistentRefused */
    if (once || !maps->part_with(m))
        return false;
    plan_.back().ports().grants.unmap(m.ref, m.page);
    return true;
}

/* ---- data ------------------------------------------------------------------ */

HookStep BentPages::data(const HookedRequest &r, StorageRequest &req)
{
    constexpr HookStep done{HookStep::Answer, RspStatus::Okay};
    if (r.slot < bends_.size())
        bends_[r.slot].reset();
    if (req.data.empty())
        return {};
    auto f = plan_.at(FaultPoint::Data, fault_ops(r.wire), r.queue.index());
    if (!f)
        return {};
    switch (f->kind) {
    case FaultKind::DataShort: return shorten(r.iov, req, f->number) ? done : HookStep{};
    case FaultKind::DataFlipped:
        if (req.op == StorageOp::Read)
            bends_[r.slot] = f;
        else
            flip_copy(r, f->number);
        return {};
    case FaultKind::DataAfterResponse: bends_[r.slot] = f; return {};
    case FaultKind::DataPoisoned:
        for (const Mapping &m : r.pages)
            std::memset(m.page, static_cast<int>(f->number), kPageSize);
        return done;
    default: return done; /* UnmapEarly: nothing is mapped when it is answered */
    }
}

/* The frontend's page is not ours to write to: a copy is. */
void BentPages::flip_copy(const HookedRequest &r, uint64_t bit)
{
    auto [piece, at] = find_bit(r.iov, bit);
    struct iovec &v = r.iov[piece];
    std::byte *copy = &scratch_[size_t{r.slot} * kPageSize];
    std::memcpy(copy, v.iov_base, v.iov_len);
    flip(copy, at);
    v.iov_base = copy;
}

HookStep BentPages::moved(const HookedRequest &r)
{
    if (r.slot >= bends_.size() || !bends_[r.slot])
        return {};
    Fault f = *std::exchange(bends_[r.slot], std::nullopt);
    if (f.kind == FaultKind::DataFlipped) {
        auto [piece, at] = find_bit(r.iov, f.number);
        flip(r.iov[piece].iov_base, at);
        return {};
    }
    lingering_.push_back({r.slot, r.iov}); /* DataAfterResponse */
    return {HookStep::Keep};
}

void BentPages::end_lingering()
{
    for (const Lingering &l : lingering_) {
        for (const struct iovec &v : l.iov)
            for (size_t at = 0; at < v.iov_len; at++)
                static_cast<std::byte *>(v.iov_base)[at] ^= std::byte{0xff};
        queue_->release(l.slot);
    }
    lingering_.clear();
}

void BentPages::later()
{
    end_lingering();
    for (const Late &l : late_)
        plan_.touch(l.ref, l.readonly);
    late_.clear();
}

} // namespace pvblk
