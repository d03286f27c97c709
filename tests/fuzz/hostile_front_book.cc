/* SPDX-License-Identifier: MIT */
/*
 * A frontend without scruples: what has to come of its requests. The rules of
 * blkif.h once more, found out in another way than the backend does: an oracle
 * that shared the backend's checks would share their mistakes.
 */
#include "hostile_front.h"
#include "support/check.h"

#include <algorithm>

namespace pvblk::fuzz
{

namespace
{
__extension__ typedef unsigned __int128 Wide; /* nothing wraps in it */

bool is_data(const WireRequest &req)
{
    return req.op == Op::Read || req.op == Op::Write || req.op == Op::WriteBarrier;
}

std::span<const WireSegment> direct_segments(const WireRequest &req)
{
    return std::span(req.seg).first(std::min<size_t>(req.nr_segments, kMaxDirectSegments));
}
} // namespace

uint32_t HostileFront::unit() const
{
    return disk_.units == SectorUnits::Device ? disk_.sector_size : kSectorSize;
}

void HostileFront::doubt()
{
    for (Ring &r : rings_)
        for (Waiting &w : r.waiting)
            w.expect = Expect::Any;
}

void HostileFront::forget()
{
    for (Ring &r : rings_)
        r.waiting.clear(), r.staged.clear();
}

void HostileFront::spoil()
{
    strange = true;
    for (Ring &r : rings_)
        r.scribbled = true;
}

size_t HostileFront::waiting() const
{
    size_t n = 0;
    for (const Ring &r : rings_)
        n += r.scribbled ? 0 : r.waiting.size();
    return n;
}

/* ---- what a request deserves -------------------------------------------- */

bool HostileFront::in_range(uint64_t sector, uint64_t sectors) const
{
    Wide end = (static_cast<Wide>(sector) + sectors) * unit();
    return end <= static_cast<Wide>(hub_.storage.sectors()) * kSectorSize;
}

Expect HostileFront::judge(const WireRequest &req) const
{
    if (hub_.storage.fail)
        return Expect::Any;
    switch (req.op) {
    case Op::Read:
    case Op::Write: return judge_data(req, direct_segments(req));
    case Op::WriteBarrier:
        if (!disk_.barrier)
            return Expect::Refusal;
        return req.nr_segments ? judge_data(req, direct_segments(req)) : Expect::Okay;
    case Op::FlushDiskcache:
        return disk_.flush && req.nr_segments == 0 ? Expect::Okay : Expect::Refusal;
    case Op::Discard: return judge_discard(req);
    case Op::Indirect: return judge_indirect(req);
    default: return Expect::Refusal;
    }
}

Expect HostileFront::judge_discard(const WireRequest &req) const
{
    bool secure = req.nr_segments & kDiscardSecure;
    if (!disk_.discard || (secure && !disk_.discard_secure) || disk_.read_only)
        return Expect::Refusal;
    if (req.nr_sectors == 0 || !in_range(req.sector, req.nr_sectors))
        return Expect::Refusal;
    if (!secure) /* a hint may begin and end anywhere */
        return Expect::Okay;
    uint32_t granularity =
        disk_.discard_granularity ? disk_.discard_granularity : disk_.sector_size;
    Wide at = static_cast<Wide>(req.sector) * unit();
    bool aligned = at >= disk_.discard_alignment && at % granularity == disk_.discard_alignment &&
                   static_cast<Wide>(req.nr_sectors) * unit() % disk_.sector_size == 0;
    return aligned ? Expect::Okay : Expect::Refusal;
}

Expect HostileFront::judge_grant(GrantRef ref, bool write) const
{
    uint32_t i = ref.value - hub_.grants.ref(0).value;
    if (i >= grants_.size() || grants_[i].use == Use::Free)
        return Expect::Refusal;
    /* What the backend keeps mapped goes on working. */
    if (grants_[i].use == Use::Ended)
        return persistent_ ? Expect::Any : Expect::Refusal;
    if (i >= kRingGrant) /* its own ring for data: allowed, and its own fault */
        return Expect::Any;
    return write && grants_[i].readonly ? Expect::Refusal : Expect::Okay;
}

Expect HostileFront::judge_indirect(const WireRequest &req) const
{
    uint32_t count = req.nr_indirect_segments;
    if (count == 0 || count > disk_.max_indirect_segments)
        return Expect::Refusal;
    if (req.indirect_op != Op::Read && req.indirect_op != Op::Write)
        return Expect::Refusal;
    std::vector<WireSegment> segments(count);
    std::span<WireSegment> left(segments);
    bool known = true;
    for (uint32_t p = 0; !left.empty(); p++) {
        if (judge_grant(req.indirect[p], false) == Expect::Refusal)
            return Expect::Refusal;
        const std::byte *page = list_frame(req.indirect[p]);
        auto here = left.first(std::min<size_t>(left.size(), kSegmentsPerPage));
        if (page)
            get_segments(page, here);
        known &= page && judge_grant(req.indirect[p], false) == Expect::Okay;
        left = left.subspan(here.size());
    }
    return known ? judge_data(req, segments) : Expect::Any;
}

Expect HostileFront::judge_data(const WireRequest &req, std::span<const WireSegment> segments) const
{
    bool read = (req.op == Op::Indirect ? req.indirect_op : req.op) == Op::Read;
    if (req.op != Op::Indirect && (req.nr_segments == 0 || req.nr_segments > kMaxDirectSegments))
        return Expect::Refusal;
    if (!read && disk_.read_only)
        return Expect::Refusal;
    uint64_t length = 0;
    bool known = true;
    for (const WireSegment &s : segments) {
        if (s.first_sect > s.last_sect || (s.last_sect + 1u) * unit() > kPageSize)
            return Expect::Refusal;
        uint32_t here = s.last_sect - s.first_sect + 1u;
        if (s.first_sect * unit() % disk_.sector_size || here * unit() % disk_.sector_size)
            return Expect::Refusal;
        length += here;
        /* blkif.h feature-persistent: mapped for reading and writing. */
        Expect e = judge_grant(s.gref, read || persistent_);
        if (e == Expect::Refusal)
            return Expect::Refusal;
        known &= e == Expect::Okay;
    }
    if (!in_range(req.sector, length) || static_cast<Wide>(req.sector) * unit() % disk_.sector_size)
        return Expect::Refusal;
    return known ? Expect::Okay : Expect::Any;
}

/* Sectors that a backend may write from now on. Of an indirect request it may
 * see any list, as long as it waits. */
void HostileFront::touch(const WireRequest &req)
{
    Wide length = 0;
    if (is_data(req) && req.op != Op::Read)
        for (const WireSegment &s : direct_segments(req))
            length += s.last_sect + 1u;
    else if (req.op == Op::Discard)
        length = req.nr_sectors;
    else if (req.op == Op::Indirect && req.indirect_op == Op::Write)
        length = kMaxSectors;
    uint64_t per = unit() / kSectorSize;
    Wide end = std::min<Wide>((req.sector + length) * per, kMaxSectors);
    for (Wide at = static_cast<Wide>(req.sector) * per; at < end; at++)
        touched_[static_cast<size_t>(at)] = true;
}

/* ---- what it got ----------------------------------------------------------- */

void HostileFront::answered(Ring &ring, const WireResponse &rsp)
{
    /* blkif:indirect — answered as what it stands for; as what it is where the
     * backend does not know it. */
    auto same = [&rsp](const Waiting &w) {
        bool as_inner =
            w.req.op == Op::Indirect && rsp.status != static_cast<int16_t>(RspStatus::EOpNotSupp);
        return w.req.id == rsp.id && rsp.op == (as_inner ? w.req.indirect_op : w.req.op);
    };
    auto it = std::find_if(ring.waiting.begin(), ring.waiting.end(), same);
    check(it != ring.waiting.end(), "an answer to a request that does not wait for one");
    /* Where the frontend used an ID twice, it cannot tell which one this is. */
    bool one = std::count_if(ring.waiting.begin(), ring.waiting.end(), same) == 1;
    if (one && it->expect == Expect::Okay)
        check(rsp.status == 0, "a request that keeps all rules is refused");
    if (one && it->expect == Expect::Refusal)
        check(rsp.status != 0, "a request that breaks a rule is okay");
    okays += rsp.status == 0;
    refusals += rsp.status != 0;
    ring.waiting.erase(it);
}

void HostileFront::take_answers(Ring &ring, bool quiet)
{
    RingIndex end = ring.shared.load(SringField::RspProd);
    SharedRing::fence_acquire();
    check(end - ring.cons <= ring.shown - ring.cons, "more answers than requests");
    /* rsp_event asked for one at the first of them. */
    check(!quiet || end == ring.cons || ring.woken, "answers without an event on their ring");
    ring.woken = false;
    for (; end != ring.cons; ring.cons = ring.cons + 1)
        answered(ring, ring.shared.get_response(ring.cons));
    ring.shared.store(SringField::RspEvent, ring.cons + 1);
}

void HostileFront::take_answers(bool quiet)
{
    for (Ring &r : rings_)
        if (!r.scribbled)
            take_answers(r, quiet);
}

} // namespace pvblk::fuzz
