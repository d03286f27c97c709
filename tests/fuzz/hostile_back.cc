/* SPDX-License-Identifier: MIT */
/* A backend without scruples: see hostile_back.h. */
#include "hostile_back.h"

#include "support/check.h"

#include <algorithm>
#include <cstring>

namespace pvblk::fuzz
{

namespace
{
/* More than the rings hold; what is taken beyond is forgotten first. */
constexpr size_t kMaxTaken = 512, kMaxHeld = 256;
} // namespace

/* ---- nodes and states -------------------------------------------------- */

Offer Offer::of(uint32_t bits)
{
    constexpr RspStatus status[] = {RspStatus::Okay, RspStatus::Error, RspStatus::EOpNotSupp,
                                    RspStatus::Okay};
    Offer o;
    o.queues = 1 + (bits & 3);
    o.order = (bits >> 2 & 7) % 5;
    o.indirect = bits & 0x20 ? 20 : 0;
    o.persistent = bits & 0x40;
    o.barrier = bits & 0x80;
    o.flush = !(bits & 0x100);
    o.secure = bits & 0x200;
    o.to_features = status[bits >> 10 & 3];
    return o;
}

void HostileBack::publish_nodes()
{
    const std::pair<const char *, uint64_t> nodes[] = {
        {"sectors", hub.storage.sectors() * kSectorSize / unit()},
        {"sector-size", sector_size},
        {"info", 0},
        {"feature-flush-cache", offer.flush},
        {"feature-barrier", offer.barrier},
        {"feature-discard", 1},
        {"discard-secure", offer.secure},
        {"feature-persistent", offer.persistent},
        {"feature-max-indirect-segments", offer.indirect},
        {"max-ring-page-order", offer.order},
        {"multi-queue-max-queues", offer.queues}};
    for (const auto &[name, value] : nodes)
        node(name, std::to_string(value));
    node("mode", "w");
    most_.queues = std::max(most_.queues, offer.queues);
    most_.order = std::max(most_.order, offer.order);
    most_.indirect = std::max(most_.indirect, offer.indirect);
    most_.persistent |= offer.persistent;
    most_.barrier |= offer.barrier;
    most_.secure |= offer.secure;
}

void HostileBack::publish()
{
    publish_nodes();
    state(XenbusState::InitWait);
}

void HostileBack::follow()
{
    auto theirs = static_cast<XenbusState>(front_number("state").value_or(0) % kXenbusStates);
    auto ours = parse_decimal(hub.node(hub.config.backend_path + "/state"));
    if (!ours) { /* a new backend in place of one that is gone */
        leave(false);
        return publish();
    }
    switch (theirs) {
    case XenbusState::Initialised:
    case XenbusState::Connected:
        if (!has_ring())
            join();
        if (ours != static_cast<uint64_t>(XenbusState::Connected))
            state(XenbusState::Connected);
        break;
    case XenbusState::Closing: state(XenbusState::Closing); break;
    case XenbusState::Closed:
        leave(false);
        state(XenbusState::Closed);
        break;
    default:
        leave(false);
        publish();
        break;
    }
}

void HostileBack::check_nodes() const
{
    uint64_t queues = front_number("multi-queue-num-queues").value_or(1);
    uint64_t order = front_number("ring-page-order").value_or(0);
    check(queues >= 1 && queues <= most_.queues, "more queues than were offered");
    check(order <= most_.order, "larger rings than were offered");
    check(front_number("num-ring-pages").value_or(1) == 1ull << order,
          "ring-page-order and num-ring-pages differ");
    check(front_number("feature-persistent") != 1u || most_.persistent,
          "persistent grants that were not offered");
}

void HostileBack::join()
{
    if (!tampered)
        check_nodes();
    taken_.clear();
    attaches++;
    if (!attach())
        return leave(false);
    for (const std::byte *page : spoiled_)
        scribbled |= is_ring(page);
    traffic_.assign(queues(), {});
}

void HostileBack::leave(bool keep)
{
    detach();
    taken_.clear();
    if (!keep)
        let_go();
}

/* ---- requests ---------------------------------------------------------- */

void HostileBack::take(uint32_t n)
{
    for (uint32_t q = 0; q < queues(); q++)
        take_from(q, n);
}

void HostileBack::take_from(uint32_t queue, uint32_t n)
{
    Ring &r = rings_[queue];
    Traffic &traffic = traffic_[queue];
    auto waiting = r.ring.requests();
    if (waiting && waiting.value() == 0)
        waiting = r.ring.rearm();
    /* Whoever answers more than was asked has moved the limit himself. */
    check(scribbled || traffic.pushed > traffic.copied || waiting.ok(),
          "the frontend's producer is more than a ring ahead");
    if (!waiting)
        return;
    for (n = std::min(n, waiting.value()); n > 0; n--) {
        WireRequest req = r.ring.take();
        Taken t{queue, req, segments_of(req), false};
        traffic.copied++;
        if (!scribbled)
            check_request(t);
        indirect += t.req.op == Op::Indirect;
        barriers += t.req.op == Op::WriteBarrier;
        if (taken_.size() == kMaxTaken)
            taken_.erase(taken_.begin());
        taken_.push_back(std::move(t));
    }
}

/* What every backend relies on. */
void HostileBack::check_request(const Taken &t) const
{
    const WireRequest &req = t.req;
    for (const Taken &other : taken_)
        check(other.answered || other.req.id != req.id, "two requests in flight have one ID");
    switch (req.op) {
    case Op::Read:
    case Op::Write:
        check(req.nr_segments >= 1 && req.nr_segments <= kMaxDirectSegments,
              "blkif:segments: none, or more than fit");
        break;
    case Op::WriteBarrier:
        check(tampered || most_.barrier, "a barrier that was not offered");
        check(req.nr_segments <= kMaxDirectSegments, "blkif:segments: more than fit");
        break;
    case Op::Indirect:
        check(tampered || req.nr_indirect_segments <= most_.indirect,
              "more segments than were offered");
        check(req.nr_indirect_segments > kMaxDirectSegments,
              "an indirect request that fits into a direct one");
        check(req.indirect_op == Op::Read || req.indirect_op == Op::Write,
              "an indirect request is neither a read nor a write");
        break;
    case Op::Discard:
        check(tampered || most_.secure || !(req.nr_segments & kDiscardSecure),
              "a secure discard that was not offered");
        break;
    case Op::FlushDiskcache: break;
    default: check(false, "the frontend sends an operation that does not exist");
    }
    if (req.op != Op::Indirect || !poked_)
        check_segments(t);
}

void HostileBack::check_segments(const Taken &t) const
{
    for (const WireSegment &s : t.segments) {
        check(s.first_sect <= s.last_sect, "a segment ends before it begins");
        check(s.last_sect < kPageSize / unit(), "a segment ends beyond its page");
    }
}

bool HostileBack::transfer(const Taken &t)
{
    Op op = t.req.op == Op::Indirect ? t.req.indirect_op : t.req.op;
    for (const WireSegment &s : t.segments) {
        std::byte *page = map(s.gref, op != Op::Read);
        if (!page)
            return false;
        size_t from = s.first_sect * unit(), end = (s.last_sect + 1u) * unit();
        if (op == Op::Read && from < end && end <= kPageSize) {
            std::memset(page + from, static_cast<int>(t.req.sector & 0x7f), end - from);
            if (poked_) /* the list that named it may be ours */
                spoil(page);
        }
        unmap(s.gref, page);
    }
    return t.req.op != Op::Indirect || !t.segments.empty();
}

void HostileBack::push(uint32_t queue, const WireResponse &rsp)
{
    Ring &r = rings_[queue];
    r.ring.stage(rsp);
    (void)r.ring.publish();
    traffic_[queue].pushed++;
}

void HostileBack::send_events()
{
    for (uint32_t q = 0; q < queues(); q++)
        send_event(q);
}

/* blkif:indirect — there are backends of both kinds. */
Op HostileBack::answer_op(const WireRequest &req) const
{
    return req.op == Op::Indirect && req.id.value & 1 ? req.indirect_op : req.op;
}

void HostileBack::serve(size_t i)
{
    if (!has_ring() || taken_.empty())
        return;
    const Taken &t = taken_[i % taken_.size()];
    Op op = t.req.op;
    bool feature = op == Op::FlushDiskcache || op == Op::WriteBarrier || op == Op::Discard;
    RspStatus status = feature ? offer.to_features : RspStatus::Okay;
    if (!transfer(t))
        status = RspStatus::Error;
    answer(i, static_cast<int16_t>(status), 0, 0);
}

void HostileBack::answer(size_t i, int16_t status, uint32_t wrong, uint32_t number)
{
    if (!has_ring() || taken_.empty())
        return;
    i %= taken_.size();
    if (wrong) /* the book has to know all IDs that a lie may meet */
        take(UINT32_MAX);
    const Taken &t = taken_[i];
    uint32_t queue = t.queue;
    WireResponse rsp{t.req.id, answer_op(t.req), status};
    switch (wrong) {
    case 1: rsp.id = RequestId(rsp.id.value ^ 1ull << number % 64); break;
    case 2: rsp.id = RequestId(edge(number)); break;
    case 3: rsp.op = static_cast<Op>(number & 0xff); break;
    case 4: rsp.status = static_cast<int16_t>(number); break;
    case 5: rsp.id = RequestId(rsp.id.value - 0x10000); break;
    case 7: queue = (queue + 1) % queues(); break;
    default: break;
    }
    push(queue, rsp);
    /* A wrong ID may be the right one of another request. */
    auto meant = std::find_if(taken_.begin(), taken_.end(), [&](const Taken &other) {
        bool as_inner = other.req.op == Op::Indirect && rsp.op == other.req.indirect_op;
        return !other.answered && other.queue == queue && other.req.id == rsp.id &&
               (other.req.op == rsp.op || as_inner);
    });
    if (meant != taken_.end()) {
        meant->answered = true;
        okays += rsp.status == 0;
    }
    /* 6: kept, so that it can be answered again. One that a lie passed over is still owed. */
    if (wrong != 6 && taken_[i].answered)
        taken_.erase(taken_.begin() + static_cast<std::ptrdiff_t>(i));
}

/* ---- pages and the rings' memory ---------------------------------------- */

void HostileBack::hold(size_t i, bool readonly)
{
    if (taken_.empty())
        return;
    const Taken &t = taken_[i % taken_.size()];
    bool write = t.req.op == Op::Write || t.req.indirect_op == Op::Write;
    for (const WireSegment &s : t.segments)
        hold_any(s.gref.value, readonly || write);
    if (t.req.op == Op::Indirect)
        hold_any(t.req.indirect[0].value, true);
}

bool HostileBack::is_ring(const std::byte *page) const
{
    return std::any_of(rings_.begin(), rings_.end(), [&](const Ring &r) {
        return std::any_of(r.pages.begin(), r.pages.end(),
                           [&](const Mapping &m) { return m.page == page; });
    });
}

void HostileBack::spoil(const std::byte *page)
{
    poked_ = true;
    spoiled_.insert(page);
    scribbled |= is_ring(page);
}

void HostileBack::hold_any(uint32_t ref, bool readonly)
{
    if (held_.size() >= kMaxHeld)
        return;
    auto page = hub.grants.map(GrantRef(ref), readonly);
    if (page)
        held_.push_back({GrantRef(ref), page.value(), readonly});
}

void HostileBack::scribble_page(size_t m, uint32_t at, uint8_t value)
{
    if (held_.empty() && kept_.empty())
        return;
    m %= held_.size() + kept_.size();
    std::byte *page = nullptr;
    if (m < held_.size())
        page = held_[m].readonly ? nullptr : held_[m].page;
    else
        page = std::next(kept_.begin(), static_cast<std::ptrdiff_t>(m - held_.size()))->second;
    if (!page)
        return;
    page[at % kPageSize] = static_cast<std::byte>(value);
    spoil(page);
}

void HostileBack::release(size_t m)
{
    if (held_.empty())
        return;
    m %= held_.size();
    hub.grants.unmap(held_[m].ref, held_[m].page);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(m));
}

/* Also what persistent grants kept for longer than they may. */
void HostileBack::release_all()
{
    while (!held_.empty())
        release(0);
    let_go();
}

void HostileBack::store_index(uint32_t queue, uint32_t field, uint32_t value)
{
    if (!has_ring())
        return;
    scribbled = true;
    rings_[queue % queues()].shared.store(static_cast<SringField>(field % 4 * 4), RingIndex(value));
}

void HostileBack::scribble_ring(uint32_t queue, uint32_t at, const std::string &bytes)
{
    if (!has_ring() || bytes.empty())
        return;
    scribbled = true;
    const Ring &r = rings_[queue % queues()];
    std::byte *page = r.pages[at / kPageSize % r.pages.size()].page;
    at %= kPageSize;
    std::memcpy(page + at, bytes.data(), std::min<size_t>(bytes.size(), kPageSize - at));
}

} // namespace pvblk::fuzz
