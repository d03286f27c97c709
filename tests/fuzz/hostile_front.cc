/* SPDX-License-Identifier: MIT */
/* A frontend without scruples: what it does. See hostile_front.h. */
#include "hostile_front.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace pvblk::fuzz
{

FrontShape shape_of(uint32_t bits)
{
    using Scheme = FrontShape::Scheme;
    constexpr uint32_t pages[] = {1, 2, 4, 3};
    FrontShape s;
    s.abi = bits & 1 ? Abi::X86_32 : Abi::X86_64;
    s.queues = 1 + (bits >> 1 & 3) % 3;
    s.pages = pages[bits >> 3 & 3];
    s.scheme = static_cast<Scheme>(bits >> 5 & 3);
    s.persistent = bits & 0x80;
    /* Three pages have no order, and several have to be announced. */
    if (s.pages == 3)
        s.scheme = Scheme::Pages;
    else if (s.pages > 1 && s.scheme == Scheme::Neither)
        s.scheme = Scheme::Both;
    return s;
}

HostileFront::HostileFront(LoopbackHub &hub, const BackConfig &disk)
    : RawFront(hub, kRingGrant), disk_(disk), grants_(kRingGrant + kRingPages)
{
    for (uint32_t i = kWritable; i < kFrames; i++)
        grants_[i].readonly = true;
    for (uint32_t i = 0; i < kFrames; i++)
        give(i);
    hub_.front.event = [this](uint32_t queue) {
        if (queue < rings_.size())
            rings_[queue].woken = true;
    };
}

HostileFront::~HostileFront()
{
    hub_.front = {};
    for (uint32_t q = 0; q < kMaxQueues; q++)
        hub_.events.close(q);
    for (uint32_t i = 0; i < grants_.size(); i++)
        revoke(i);
}

HostileFront::Ring *HostileFront::ring(uint32_t queue)
{
    return rings_.empty() ? nullptr : &rings_[queue % rings_.size()];
}

/* ---- grants --------------------------------------------------- */

void HostileFront::give(uint32_t i)
{
    bool ring = i >= kRingGrant;
    Status given = ring ? hub_.grants.grant_page(i, PageIndex(i - kRingGrant), false)
                        : hub_.grants.grant_frame(i, Gfn((LoopbackGuest::kBase >> kPageShift) + i),
                                                  grants_[i].readonly);
    grants_[i].use = given ? Use::Open : Use::Free;
}

/* A grant that ended is given again once nobody has it mapped. */
void HostileFront::grant(uint32_t i, bool other_access)
{
    Grant &g = grants_[i % kFrames];
    if (g.use == Use::Ended)
        revoke(i % kFrames);
    if (g.use == Use::Free) {
        g.readonly ^= other_access;
        give(i % kFrames);
    }
    doubt();
}

void HostileFront::revoke(uint32_t i)
{
    if (grants_[i].use == Use::Free)
        return;
    grants_[i].use = hub_.grants.revoke(i) ? Use::Free : Use::Ended;
    doubt();
}

void HostileFront::write_frame(uint32_t frame, uint32_t at, uint8_t value)
{
    frame %= kFrames;
    if (frame >= kDataFrames)
        list_changes();
    hub_.guest.host(uint64_t{frame} * kPageSize)[at % kPageSize] = static_cast<std::byte>(value);
}

/* ---- rings ---------------------------------------------------------------- */

void HostileFront::close()
{
    for (XenbusState s : {XenbusState::Closing, XenbusState::Closed, XenbusState::Initialising}) {
        state(s);
        hub_.run();
    }
}

void HostileFront::set_up(const FrontShape &shape)
{
    rings_.clear();
    for (uint32_t i = 0; i < kRingPages; i++)
        revoke(kRingGrant + i);
    persistent_ = shape.persistent && disk_.persistent;
    std::string was = hub_.node(hub_.config.frontend_path + "/state");
    remove("");
    node("state", was);
    announce(shape);
    for (uint32_t q = 0; q < shape.queues; q++)
        if (!add_ring(q, shape))
            return rings_.clear();
}

/* Of pages that the backend does not map any more, or never did. */
bool HostileFront::add_ring(uint32_t queue, const FrontShape &shape)
{
    std::vector<uint32_t> pages;
    for (uint32_t i = 0; i < kRingPages && pages.size() < shape.pages; i++) {
        if (grants_[kRingGrant + i].use != Use::Free)
            continue;
        give(kRingGrant + i);
        pages.push_back(i);
    }
    if (pages.size() < shape.pages)
        return false;
    auto area = make_ring(shape, queue, std::move(pages));
    if (area)
        rings_.push_back({std::move(*area)});
    return area.has_value();
}

void HostileFront::store_index(uint32_t queue, uint32_t field, uint32_t value)
{
    Ring *r = ring(queue);
    if (!r)
        return;
    r->scribbled = strange = true;
    r->shared.store(static_cast<SringField>(field % 4 * 4), RingIndex(value));
}

void HostileFront::move_index(uint32_t queue, uint32_t field, uint32_t by)
{
    if (Ring *r = ring(queue))
        store_index(queue, field,
                    r->shared.load(static_cast<SringField>(field % 4 * 4)).value + by);
}

void HostileFront::scribble_ring(uint32_t queue, uint32_t at, const std::string &bytes)
{
    Ring *r = ring(queue);
    if (!r || bytes.empty())
        return;
    r->scribbled = strange = true;
    at %= static_cast<uint32_t>(r->pages.size()) * kPageSize;
    std::byte *page = hub_.memory.page(PageIndex(r->pages[at / kPageSize]));
    at %= kPageSize;
    std::memcpy(page + at, bytes.data(), std::min<size_t>(bytes.size(), kPageSize - at));
}

/* ---- requests ------------------------------------------------------------- */

/* a: operation (3 bits), segments - 1 (4), first sector (3), last (3), 512
 * segments more (bit 13), write (bit 14; both: indirect ones), secure (bit 15:
 * discards); b: sector on the disk; c: grant of the first segment. */
WireRequest HostileFront::request(const Step &s)
{
    constexpr Op ops[] = {Op::Read, Op::Write, Op::FlushDiskcache, Op::Discard,
                          Op::Read, Op::Write, Op::Indirect,       Op::WriteBarrier};
    WireRequest req;
    req.op = ops[s.a & 7];
    req.id = next_id();
    req.handle = s.c >> 8;
    uint64_t per = unit() / kSectorSize, align = disk_.sector_size / kSectorSize;
    uint64_t aligned = s.b % hub_.storage.sectors() / align * align;
    req.sector = aligned / per;
    if (req.op == Op::Discard) {
        req.nr_sectors = std::max<uint64_t>(1, (s.c % 64) * align / per);
        req.nr_segments = s.a & 0x8000 ? kDiscardSecure : 0;
    } else if (req.op != Op::FlushDiskcache) {
        req.indirect_op = s.a & 0x4000 ? Op::Write : Op::Read;
        fill_segments(req, s);
    }
    if (s.wrong(15))
        bend(req, s);
    return req;
}

void HostileFront::fill_segments(WireRequest &req, const Step &s)
{
    bool indirect = req.op == Op::Indirect, many = indirect && s.a & 0x2000;
    uint32_t count = 1 + (s.a >> 3 & 15);
    if (!indirect)
        count = 1 + (count - 1) % kMaxDirectSegments;
    uint32_t units = kPageSize / unit(), align = disk_.sector_size / unit();
    uint32_t x = (s.a >> 7 & 7) % units / align * align,
             y = (s.a >> 10 & 7) % units / align * align;
    uint32_t first = std::min(x, y), last = std::max(x, y) + align - 1;
    if (many)
        count += kSegmentsPerPage, last = first + align - 1;
    bool read = req.op == Op::Read || (indirect && req.indirect_op == Op::Read);
    uint32_t grants = read || persistent_ ? kWritable : kDataFrames;
    std::vector<WireSegment> list(count);
    for (uint32_t i = 0; i < count; i++)
        list[i] = {hub_.grants.ref((s.c + i) % grants), static_cast<uint8_t>(first),
                   static_cast<uint8_t>(last)};
    uint64_t length = uint64_t{count} * (last - first + 1);
    uint64_t capacity = hub_.storage.sectors() * kSectorSize / unit();
    if (req.sector + length > capacity)
        req.sector = capacity > length ? (capacity - length) / align * align : 0;
    if (indirect) {
        req.nr_indirect_segments = static_cast<uint16_t>(count);
        /* To the pages' ends: one too many is as good as the others. */
        list.resize(size_t{indirect_pages(count)} * kSegmentsPerPage, list.back());
        return fill_list(req, list);
    }
    req.nr_segments = static_cast<uint8_t>(count);
    std::copy(list.begin(), list.end(), req.seg.begin());
}

/* Into the frames that were used longest ago. */
void HostileFront::fill_list(WireRequest &req, std::span<const WireSegment> segments)
{
    list_changes();
    for (uint32_t p = 0; !segments.empty(); p++) {
        uint32_t frame = kDataFrames + next_list_++ % kLists;
        auto here = segments.first(std::min<size_t>(segments.size(), kSegmentsPerPage));
        put_segments(hub_.guest.host(uint64_t{frame} * kPageSize), here);
        req.indirect[p] = hub_.grants.ref(frame);
        segments = segments.subspan(here.size());
    }
}

/* Nobody knows which list the backend sees of the requests that wait. */
void HostileFront::list_changes()
{
    for (Ring &r : rings_)
        for (Waiting &w : r.waiting)
            if (w.req.op == Op::Indirect)
                w.expect = Expect::Any;
}

/* Where the list of an indirect request is one of ours. */
std::byte *HostileFront::list_frame(GrantRef ref) const
{
    uint32_t i = ref.value - hub_.grants.ref(kDataFrames).value;
    return i < kLists ? hub_.guest.host(uint64_t{kDataFrames + i} * kPageSize) : nullptr;
}

void HostileFront::bend(WireRequest &req, const Step &s)
{
    uint64_t capacity = hub_.storage.sectors() * kSectorSize / unit();
    switch (s.wrong(15)) {
    case 1: req.sector = edge(s.b); break;
    case 2:
        req.nr_segments = static_cast<uint8_t>(12 + s.b % 244);
        req.nr_indirect_segments = static_cast<uint16_t>(17 + s.b % 8000);
        break;
    case 3: req.nr_segments = 0, req.nr_indirect_segments = 0; break;
    case 8: req.op = static_cast<Op>(s.b); break;
    case 9: req.id = RequestId(edge(s.b)); break;
    case 10: req.nr_sectors = edge(s.b); break;
    case 11: req.sector = capacity - s.b % 8; break; /* ends beyond the end */
    case 12: req.sector = UINT64_MAX / unit() - s.b; break;
    case 13: req.indirect_op = static_cast<Op>(s.b); break;
    case 14: req.indirect[s.b % 2] = GrantRef(static_cast<uint32_t>(edge(s.c))); break;
    case 15: req.indirect[0] = hub_.grants.ref(s.b % kFrames); break;
    default: bend_segment(req, s); break;
    }
}

/* One segment, wherever it is. */
void HostileFront::bend_segment(WireRequest &req, const Step &s)
{
    std::byte *list = list_frame(req.indirect[0]);
    if (req.op == Op::Indirect && !list)
        return;
    WireSegment &seg = req.seg[s.b % kMaxDirectSegments];
    uint32_t i = s.b % std::clamp<uint32_t>(req.nr_indirect_segments, 1, kSegmentsPerPage);
    if (req.op == Op::Indirect)
        get_segments(list + i * kSegmentSize, {&seg, 1});
    switch (s.wrong(15)) {
    case 4: seg.first_sect = static_cast<uint8_t>(s.c); break;
    case 5: seg.last_sect = static_cast<uint8_t>(s.c); break;
    case 6: seg.gref = GrantRef(static_cast<uint32_t>(edge(s.c))); break;
    default: seg.gref = hub_.grants.ref(kWritable); break;
    }
    if (req.op == Op::Indirect)
        put_segments(list + i * kSegmentSize, {&seg, 1});
}

void HostileFront::stage(const WireRequest &req, uint32_t queue)
{
    Ring *r = ring(queue);
    if (!r || r->prod - r->cons >= r->shared.entries())
        return;
    r->shared.put_request(r->prod, req);
    r->prod = r->prod + 1;
    r->staged.push_back(req);
}

void HostileFront::publish(uint32_t queue, bool notify)
{
    Ring *r = ring(queue);
    if (!r)
        return;
    for (const WireRequest &req : r->staged) {
        touch(req);
        r->waiting.push_back({req, judge(req)});
    }
    published += r->staged.size();
    r->staged.clear();
    SharedRing::fence_release();
    r->shared.store(SringField::ReqProd, r->prod);
    SharedRing::fence_full();
    /* ring.h RING_PUSH_REQUESTS_AND_CHECK_NOTIFY: hold-off is obeyed, unless
     * an event was lost before. */
    RingIndex event = r->shared.load(SringField::ReqEvent);
    bool asked = r->prod - event < r->prod - r->shown;
    r->shown = r->prod;
    r->event_lost |= !notify;
    if (!notify || !(asked || r->event_lost || r->scribbled))
        return;
    r->event_lost = false;
    (void)hub_.events.notify(queue % queues());
}

} // namespace pvblk::fuzz
