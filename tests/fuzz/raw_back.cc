/* SPDX-License-Identifier: MIT */
/* A backend without scruples: see raw_back.h. */
#include "raw_back.h"

#include "support/check.h"

#include <algorithm>
#include <cstring>

namespace pvblk::fuzz
{

namespace
{
/* More than the rings hold; what is taken beyond is forgotten first. */
constexpr size_t kMaxTaken = 512, kMaxMapped = 256;
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

void RawBack::node(const std::string &name, const std::string &value)
{
    hub.put_node(hub.config.backend_path + "/" + name, value);
}

void RawBack::remove(const std::string &name)
{
    hub.back_store.remove(hub.config.backend_path + (name.empty() ? "" : "/" + name));
}

void RawBack::publish_nodes()
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

void RawBack::publish()
{
    publish_nodes();
    state(XenbusState::InitWait);
}

std::optional<uint64_t> RawBack::front_number(const std::string &name) const
{
    return parse_decimal(hub.node(hub.config.frontend_path + "/" + name));
}

void RawBack::follow()
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
            attach();
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

void RawBack::attach()
{
    uint64_t queues = front_number("multi-queue-num-queues").value_or(1);
    auto order = front_number("ring-page-order");
    uint64_t pages = order ? 1u << std::min<uint64_t>(*order, 4) : 1;
    persistent_ = front_number("feature-persistent") == 1u;
    if (!tampered) {
        check(queues >= 1 && queues <= most_.queues, "more queues than were offered");
        check(order.value_or(0) <= most_.order, "larger rings than were offered");
        check(front_number("num-ring-pages").value_or(1) == pages,
              "ring-page-order and num-ring-pages differ");
        check(!persistent_ || most_.persistent, "persistent grants that were not offered");
    }
    taken_.clear();
    attaches++;
    for (uint32_t q = 0; q < std::min<uint64_t>(queues, kMaxQueues); q++)
        if (!attach_ring(q, queues > 1 ? "queue-" + std::to_string(q) + "/" : "",
                         static_cast<uint32_t>(pages)))
            return leave(false);
}

bool RawBack::attach_ring(uint32_t queue, const std::string &dir, uint32_t pages)
{
    Ring &r = rings_.emplace_back();
    std::array<std::byte *, kMaxRingPages> at{};
    for (uint32_t i = 0; i < pages; i++) {
        auto ref = front_number(dir + "ring-ref" + (pages > 1 ? std::to_string(i) : ""));
        if (!ref)
            return false;
        GrantRef gref(static_cast<uint32_t>(*ref));
        auto page = hub.grants.map(gref, false);
        if (!page)
            return false;
        at[i] = page.value();
        r.pages.push_back({gref, at[i], false, true});
    }
    std::string abi = hub.node(hub.config.frontend_path + "/protocol");
    r.shared = SharedRing(abi == abi_name(Abi::X86_32) ? Abi::X86_32 : Abi::X86_64, at, pages);
    r.ring = BackRing<SharedRing>(r.shared, r.shared.load(SringField::RspProd));
    auto port = front_number(dir + "event-channel");
    if (!port)
        return false;
    (void)hub.back_events.bind(queue, Port(static_cast<uint32_t>(*port)));
    return true;
}

void RawBack::leave(bool keep)
{
    for (uint32_t q = 0; q < rings(); q++) {
        hub.back_events.unbind(q);
        for (const Mapping &m : rings_[q].pages)
            hub.grants.unmap(m.ref, m.page);
    }
    taken_.clear();
    rings_.clear();
    persistent_ = false;
    if (keep)
        return;
    for (const auto &[ref, page] : kept_)
        hub.grants.unmap(GrantRef(ref), page);
    kept_.clear();
}

/* ---- requests ---------------------------------------------------------- */

void RawBack::take(uint32_t n)
{
    for (uint32_t q = 0; q < rings(); q++)
        take_from(q, n);
}

void RawBack::take_from(uint32_t queue, uint32_t n)
{
    Ring &r = rings_[queue];
    auto waiting = r.ring.requests();
    if (waiting && waiting.value() == 0)
        waiting = r.ring.rearm();
    /* Whoever answers more than was asked has moved the limit himself. */
    check(scribbled || r.pushed > r.copied || waiting.ok(),
          "the frontend's producer is more than a ring ahead");
    if (!waiting)
        return;
    for (n = std::min(n, waiting.value()); n > 0; n--) {
        Taken t{queue, r.ring.take(), {}, false};
        r.copied++;
        read_list(t);
        if (!scribbled)
            check_request(t);
        indirect += t.req.op == Op::Indirect;
        barriers += t.req.op == Op::WriteBarrier;
        if (taken_.size() == kMaxTaken)
            taken_.erase(taken_.begin());
        taken_.push_back(std::move(t));
    }
}

/* A page of segments may be gone already: its request was cancelled. */
void RawBack::read_list(Taken &t)
{
    const WireRequest &req = t.req;
    if (req.op != Op::Indirect) {
        bool data = req.op == Op::Read || req.op == Op::Write || req.op == Op::WriteBarrier;
        uint32_t n = data ? std::min<uint32_t>(req.nr_segments, kMaxDirectSegments) : 0;
        t.segments.assign(req.seg.begin(), req.seg.begin() + n);
        return;
    }
    uint32_t count = std::min<uint32_t>(req.nr_indirect_segments, kMaxIndirectSegments);
    for (uint32_t p = 0; p < indirect_pages(count); p++) {
        std::byte *page = map_page(req.indirect[p], true);
        if (!page)
            return t.segments.clear();
        uint32_t from = p * kSegmentsPerPage;
        t.segments.resize(std::min(count, from + kSegmentsPerPage));
        get_segments(page, std::span(t.segments).subspan(from));
        unmap_page(req.indirect[p], page);
    }
}

/* What every backend relies on. */
void RawBack::check_request(const Taken &t) const
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

void RawBack::check_segments(const Taken &t) const
{
    for (const WireSegment &s : t.segments) {
        check(s.first_sect <= s.last_sect, "a segment ends before it begins");
        check(s.last_sect < kPageSize / unit(), "a segment ends beyond its page");
    }
}

std::byte *RawBack::map_page(GrantRef ref, bool readonly)
{
    if (auto it = kept_.find(ref.value); persistent_ && it != kept_.end()) {
        kept_hits++;
        return it->second;
    }
    auto page = hub.grants.map(ref, readonly && !persistent_);
    if (!page)
        return nullptr;
    if (persistent_ && !kept_.count(ref.value))
        kept_[ref.value] = page.value();
    return page.value();
}

void RawBack::unmap_page(GrantRef ref, std::byte *page)
{
    if (!persistent_)
        hub.grants.unmap(ref, page);
}

bool RawBack::transfer(const Taken &t)
{
    Op op = t.req.op == Op::Indirect ? t.req.indirect_op : t.req.op;
    for (const WireSegment &s : t.segments) {
        std::byte *page = map_page(s.gref, op != Op::Read);
        if (!page)
            return false;
        size_t from = s.first_sect * unit(), end = (s.last_sect + 1u) * unit();
        if (op == Op::Read && from < end && end <= kPageSize)
            std::memset(page + from, static_cast<int>(t.req.sector & 0x7f), end - from);
        unmap_page(s.gref, page);
    }
    return t.req.op != Op::Indirect || !t.segments.empty();
}

void RawBack::push(uint32_t queue, const WireResponse &rsp)
{
    Ring &r = rings_[queue];
    r.ring.stage(rsp);
    (void)r.ring.publish();
    r.pushed++;
}

void RawBack::send_events()
{
    for (uint32_t q = 0; q < rings(); q++)
        send_event(q);
}

/* blkif:indirect — there are backends of both kinds. */
Op RawBack::answer_op(const WireRequest &req) const
{
    return req.op == Op::Indirect && req.id.value & 1 ? req.indirect_op : req.op;
}

void RawBack::serve(size_t i)
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

void RawBack::answer(size_t i, int16_t status, uint32_t wrong, uint32_t number)
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
    case 7: queue = (queue + 1) % rings(); break;
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

void RawBack::map(size_t i, bool readonly)
{
    if (taken_.empty())
        return;
    const Taken &t = taken_[i % taken_.size()];
    bool write = t.req.op == Op::Write || t.req.indirect_op == Op::Write;
    for (const WireSegment &s : t.segments)
        map_any(s.gref.value, readonly || write);
    if (t.req.op == Op::Indirect)
        map_any(t.req.indirect[0].value, true);
}

/* One of those that the frontend's nodes name. */
bool RawBack::names_ring(uint32_t ref) const
{
    return std::any_of(hub.tree.begin(), hub.tree.end(), [&](const auto &node) {
        return node.first.find("/ring-ref") != std::string::npos &&
               parse_decimal(node.second) == ref;
    });
}

void RawBack::map_any(uint32_t ref, bool readonly)
{
    if (mapped_.size() >= kMaxMapped)
        return;
    auto page = hub.grants.map(GrantRef(ref), readonly);
    if (page)
        mapped_.push_back({GrantRef(ref), page.value(), readonly, names_ring(ref)});
}

void RawBack::scribble_page(size_t m, uint32_t at, uint8_t value)
{
    if (mapped_.empty() && kept_.empty())
        return;
    m %= mapped_.size() + kept_.size();
    if (m >= mapped_.size()) {
        auto it = std::next(kept_.begin(), static_cast<std::ptrdiff_t>(m - mapped_.size()));
        it->second[at % kPageSize] = static_cast<std::byte>(value);
        poked_ = true;
        return;
    }
    const Mapping &map = mapped_[m];
    if (map.readonly)
        return;
    map.page[at % kPageSize] = static_cast<std::byte>(value);
    scribbled |= map.is_ring;
    poked_ = true;
}

void RawBack::unmap(size_t m)
{
    if (mapped_.empty())
        return;
    m %= mapped_.size();
    hub.grants.unmap(mapped_[m].ref, mapped_[m].page);
    mapped_.erase(mapped_.begin() + static_cast<std::ptrdiff_t>(m));
}

/* Also what persistent grants kept for longer than they may. */
void RawBack::unmap_all()
{
    while (!mapped_.empty())
        unmap(0);
    for (const auto &[ref, page] : kept_)
        hub.grants.unmap(GrantRef(ref), page);
    kept_.clear();
}

void RawBack::store_index(uint32_t queue, uint32_t field, uint32_t value)
{
    if (!has_ring())
        return;
    scribbled = true;
    rings_[queue % rings()].shared.store(static_cast<SringField>(field % 4 * 4), RingIndex(value));
}

void RawBack::scribble_ring(uint32_t queue, uint32_t at, const std::string &bytes)
{
    if (!has_ring() || bytes.empty())
        return;
    scribbled = true;
    const Ring &r = rings_[queue % rings()];
    std::byte *page = r.pages[at / kPageSize % r.pages.size()].page;
    at %= kPageSize;
    std::memcpy(page + at, bytes.data(), std::min<size_t>(bytes.size(), kPageSize - at));
}

} // namespace pvblk::fuzz
