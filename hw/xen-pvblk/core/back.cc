/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: nodes, states, and requests of the backend. Serves blkif.h
 * "Backend XenBus Nodes", "STATE DIAGRAMS" and the request structs. Nothing
 * that a frontend writes is used before it was checked.
 */
#include "pvblk/back.h"

#include <algorithm>

namespace pvblk
{

namespace
{

/* Passes over the ring per event, so that a frontend that never stops
 * pushing cannot keep our caller's loop. */
constexpr uint32_t kMaxPasses = 4;

} // namespace

BlockBack::BlockBack(BackPorts ports, BackConfig config) : ports_(ports), config_(std::move(config))
{
}

BlockBack::~BlockBack()
{
    ports_.store.unwatch();
    disconnect();
    let_go();
}

/* ---- nodes and states -------------------------------------------------- */

uint32_t BlockBack::unit() const
{
    return config_.units == SectorUnits::Device ? config_.sector_size : kSectorSize;
}

void BlockBack::write(std::string_view name, std::string_view value)
{
    (void)ports_.store.write(config_.backend_path + "/" + std::string(name), value);
}

Result<uint64_t> BlockBack::read_number(std::string_view name)
{
    char text[32];
    auto len = ports_.store.read(config_.frontend_path + "/" + std::string(name), text);
    if (!len)
        return Error{ErrorKind::Missing, "blkif:frontend-node", "a frontend node is missing", 0};
    std::optional<uint64_t> v;
    if (len.value() <= sizeof text)
        v = parse_decimal({text, len.value()});
    if (!v)
        return Error{ErrorKind::Malformed, "blkif:frontend-node",
                     "a frontend node is not a decimal number", 0};
    return *v;
}

void BlockBack::publish_nodes()
{
    struct Node {
        const char *name;
        std::string value;
        bool present;
    };
    const BackConfig &c = config_;
    uint32_t info = (c.cdrom ? 1u : 0u) | (c.removable ? 2u : 0u) | (c.read_only ? 4u : 0u);
    const Node nodes[] = {
        {"sectors", std::to_string(ports_.storage.sectors() * kSectorSize / unit()), true},
        {"sector-size", std::to_string(c.sector_size), true},
        {"physical-sector-size", std::to_string(c.physical_sector_size),
         c.physical_sector_size != 0},
        {"info", std::to_string(info), true},
        {"mode", c.read_only ? "r" : "w", true},
        {"feature-flush-cache", "1", c.flush},
        {"feature-discard", "1", c.discard},
        {"discard-granularity", std::to_string(c.discard_granularity),
         c.discard && c.discard_granularity != 0},
        {"discard-alignment", std::to_string(c.discard_alignment),
         c.discard && c.discard_alignment != 0},
    };
    for (const Node &n : nodes)
        if (n.present)
            write(n.name, n.value);
    for (const BackKnobs::NodeOverride &o : knobs_.nodes) {
        if (o.value)
            write(o.name, *o.value);
        else
            ports_.store.remove(config_.backend_path + "/" + o.name);
    }
}

void BlockBack::set_state(XenbusState state)
{
    state_ = state;
    if (!knobs_.mute_state)
        write("state", std::to_string(static_cast<unsigned>(state)));
}

void BlockBack::write_state_raw(std::string_view text)
{
    write("state", text);
}

Status BlockBack::start()
{
    publish_nodes();
    set_state(XenbusState::InitWait);
    return ports_.store.watch(config_.frontend_path + "/state");
}

void BlockBack::close()
{
    if (state_ == XenbusState::Connected || state_ == XenbusState::InitWait)
        set_state(XenbusState::Closing);
}

void BlockBack::vanish()
{
    ports_.store.unwatch();
    disconnect();
    state_ = XenbusState::Unknown;
    ports_.store.remove(config_.backend_path);
}

void BlockBack::resized()
{
    publish_nodes();
    if (state_ == XenbusState::Connected)
        set_state(XenbusState::Connected); /* blkif.h: how a frontend hears of it */
}

void BlockBack::store_changed()
{
    if (knobs_.deaf_state || state_ == XenbusState::Unknown)
        return;
    auto number = read_number("state");
    auto seen = XenbusState::Unknown;
    if (number && number.value() < kXenbusStates)
        seen = static_cast<XenbusState>(number.value());
    switch (seen) {
    case XenbusState::Initialising:
        if (state_ == XenbusState::InitWait)
            break;
        /* Also without Closing and Closed: a frontend that crashed. */
        disconnect();
        publish_nodes();
        set_state(XenbusState::InitWait);
        break;
    case XenbusState::Initialised:
    case XenbusState::Connected:
        if (state_ != XenbusState::InitWait || knobs_.refuse_connect)
            break;
        if (auto s = connect(); !s) {
            error_ = s.error();
            counters_.connect_failures++;
            disconnect();
            write("error", error_.what);
        }
        break;
    case XenbusState::Closing:
        if (state_ != XenbusState::Closing && state_ != XenbusState::Closed)
            set_state(XenbusState::Closing);
        break;
    case XenbusState::Unknown:
    case XenbusState::Closed:
        if (state_ == XenbusState::InitWait || state_ == XenbusState::Closed)
            break;
        disconnect();
        set_state(XenbusState::Closed);
        break;
    default: break;
    }
}

Status BlockBack::connect()
{
    char text[32];
    Abi abi = kNativeAbi; /* blkif.h: default of `protocol` */
    auto len = ports_.store.read(config_.frontend_path + "/protocol", text);
    if (len) {
        std::string_view name{text, std::min(len.value(), sizeof text)};
        if (name == abi_name(Abi::X86_32))
            abi = Abi::X86_32;
        else if (name == abi_name(Abi::X86_64))
            abi = Abi::X86_64;
        else
            return Error{ErrorKind::OutOfRange, "blkif:protocol",
                         "frontend's protocol is none that we know", 0};
    }
    auto order = read_number("ring-page-order");
    if (!order && order.error().kind != ErrorKind::Missing)
        return order.error();
    if (order && order.value() != 0)
        return Error{ErrorKind::OutOfRange, "blkif:ring-page-order",
                     "frontend's ring is larger than the one page that we offer", order.value()};
    if (auto s = bind_ring(abi); !s)
        return s;
    counters_.connects++;
    publish_nodes();
    set_state(XenbusState::Connected);
    event_received(); /* what was pushed before we bound */
    return Ok{};
}

Status BlockBack::bind_ring(Abi abi)
{
    auto ref = read_number("ring-ref");
    if (!ref || ref.value() > UINT32_MAX)
        return Error{ErrorKind::Malformed, "blkif:ring-ref",
                     "frontend's ring-ref is no grant reference", 0};
    auto port = read_number("event-channel");
    if (!port || port.value() > UINT32_MAX)
        return Error{ErrorKind::Malformed, "blkif:event-channel",
                     "frontend's event-channel is no port", 0};
    GrantRef gref(static_cast<uint32_t>(ref.value()));
    auto page = ports_.grants.map(gref, false);
    if (!page)
        return Error{ErrorKind::Io, "blkif:ring-ref", "frontend's ring page cannot be mapped",
                     ref.value()};
    ring_page_ = {gref, page.value()};
    std::array<std::byte *, kMaxRingPages> pages{page.value()};
    shared_ = SharedRing(abi, pages, 1);
    ring_ = BackRing<SharedRing>(shared_, shared_.load(SringField::RspProd));
    ring_up_ = true;
    halted_ = false;
    if (auto s = ports_.events.bind(Port(static_cast<uint32_t>(port.value()))); !s)
        return s;
    bound_ = true;
    return Ok{};
}

/* What is held is forgotten: its ring is gone. */
void BlockBack::disconnect()
{
    for (Held &held : held_)
        unmap_all(held);
    held_.clear();
    if (bound_)
        ports_.events.unbind();
    bound_ = false;
    if (!ring_up_)
        return;
    ring_up_ = false;
    if (knobs_.keep_ring)
        kept_.push_back(ring_page_);
    else
        ports_.grants.unmap(ring_page_.ref, ring_page_.page);
    ring_page_ = {};
}

void BlockBack::let_go()
{
    for (const Mapping &m : kept_)
        ports_.grants.unmap(m.ref, m.page);
    kept_.clear();
}

/* ---- the ring ---------------------------------------------------------- */

/* Linux: the ring stops; only a new connection starts it again. */
void BlockBack::halt(const Error &error)
{
    halted_ = true;
    error_ = error;
}

bool BlockBack::event_received()
{
    bool more = false;
    for (uint32_t pass = 0; ring_up_ && !halted_; pass++) {
        auto n = ring_.requests();
        if (n && n.value() == 0)
            n = ring_.rearm();
        if (!n) {
            halt(n.error());
            break;
        }
        if (n.value() == 0)
            break;
        if (pass == kMaxPasses) {
            more = true;
            break;
        }
        for (uint32_t i = 0; i < n.value(); i++)
            accept(ring_.take());
    }
    flush_responses();
    return more;
}

void BlockBack::flush_responses()
{
    if (!ring_up_ || !ring_.staged())
        return;
    if (ring_.publish())
        kick();
}

void BlockBack::kick()
{
    if (!bound_ || knobs_.quiet)
        return;
    counters_.events_sent++;
    (void)ports_.events.notify();
}

void BlockBack::push_raw(const WireResponse &rsp)
{
    ring_.stage(rsp);
    ring_.publish();
    kick();
}

BackBend BlockBack::bend(uint64_t nth) const
{
    for (const BackBend &b : knobs_.bends)
        if (b.nth == nth)
            return b;
    return {};
}

void BlockBack::accept(const WireRequest &req)
{
    counters_.requests++;
    Held held{req, next_nth_++, {}};
    if (bend(held.nth).drop)
        return;
    if (!knobs_.hold) {
        serve(held);
        return;
    }
    if (knobs_.hold_mapped && (req.op == Op::Read || req.op == Op::Write) &&
        check(req).status == RspStatus::Okay)
        map_all(held);
    held_.push_back(std::move(held));
}

void BlockBack::complete(size_t i)
{
    Held held = std::move(held_[i]);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
    serve(held);
    flush_responses();
}

void BlockBack::complete_all()
{
    while (!held_.empty())
        complete(0);
}

void BlockBack::serve(Held &held)
{
    BackBend b = bend(held.nth);
    RspStatus status = b.skip_work ? RspStatus::Okay : work(held);
    unmap_all(held);
    respond(held.req, status, b);
}

void BlockBack::respond(const WireRequest &req, RspStatus status, const BackBend &b)
{
    if (status == RspStatus::Error)
        counters_.refused++;
    if (status == RspStatus::EOpNotSupp)
        counters_.unsupported++;
    WireResponse rsp{b.id.value_or(req.id), b.op.value_or(req.op),
                     b.status.value_or(static_cast<int16_t>(status))};
    for (uint32_t i = 0; i < b.copies; i++) {
        ring_.stage(rsp);
        counters_.responses++;
    }
}

/* ---- requests ---------------------------------------------------------- */

RspStatus BlockBack::work(Held &held)
{
    Checked c = check(held.req);
    if (c.status != RspStatus::Okay)
        return c.status;
    bool ok = false;
    switch (held.req.op) {
    case Op::Read:
    case Op::Write: return transfer(held, c.sector);
    case Op::FlushDiskcache: ok = ports_.storage.flush(); break;
    case Op::Discard: ok = ports_.storage.discard(Sector(c.sector), c.sectors); break;
    default: break;
    }
    return ok ? RspStatus::Okay : RspStatus::Error;
}

RspStatus BlockBack::transfer(Held &held, uint64_t sector)
{
    if (held.pages.empty() && !map_all(held))
        return RspStatus::Error;
    for (uint32_t i = 0; i < held.req.nr_segments; i++) {
        const WireSegment &s = held.req.seg[i];
        std::byte *at = held.pages[i].page + s.first_sect * unit();
        size_t bytes = static_cast<size_t>(s.last_sect - s.first_sect + 1) * unit();
        bool ok = held.req.op == Op::Read ? ports_.storage.read(Sector(sector), {at, bytes})
                                          : ports_.storage.write(Sector(sector), {at, bytes});
        if (!ok)
            return RspStatus::Error;
        sector += bytes >> kSectorShift;
    }
    return RspStatus::Okay;
}

BlockBack::Checked BlockBack::check(const WireRequest &req) const
{
    switch (req.op) {
    case Op::Read:
    case Op::Write: return check_data(req);
    case Op::FlushDiskcache:
        if (!config_.flush)
            return {RspStatus::EOpNotSupp};
        /* A flush carries no data (blkif.h); QEMU's writes it unflushed. */
        return {req.nr_segments ? RspStatus::Error : RspStatus::Okay};
    case Op::Discard: return check_discard(req);
    default: return {RspStatus::EOpNotSupp};
    }
}

BlockBack::Checked BlockBack::check_data(const WireRequest &req) const
{
    if (req.op == Op::Write && config_.read_only)
        return {RspStatus::Error};
    if (req.nr_segments == 0 || req.nr_segments > kMaxDirectSegments)
        return {RspStatus::Error};
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < req.nr_segments; i++) {
        const WireSegment &s = req.seg[i];
        if (s.first_sect > s.last_sect || (s.last_sect + 1u) * unit() > kPageSize)
            return {RspStatus::Error};
        uint32_t length = (s.last_sect - s.first_sect + 1u) * unit();
        if (s.first_sect * unit() % config_.sector_size || length % config_.sector_size)
            return {RspStatus::Error};
        bytes += length;
    }
    Checked c;
    if (!in_range(req.sector, bytes >> kSectorShift, c))
        return {RspStatus::Error};
    return c;
}

BlockBack::Checked BlockBack::check_discard(const WireRequest &req) const
{
    if (!config_.discard)
        return {RspStatus::EOpNotSupp};
    if (config_.read_only || req.nr_sectors == 0)
        return {RspStatus::Error};
    uint32_t per = unit() / kSectorSize;
    if (req.nr_sectors > UINT64_MAX / per)
        return {RspStatus::Error};
    Checked c;
    if (!in_range(req.sector, req.nr_sectors * per, c))
        return {RspStatus::Error};
    uint64_t granularity =
        config_.discard_granularity ? config_.discard_granularity : config_.sector_size;
    uint64_t at = c.sector << kSectorShift; /* in range, so it cannot wrap */
    uint64_t first = config_.discard_alignment;
    if (at < first || (at - first) % granularity)
        return {RspStatus::Error};
    return c;
}

/* Subtract, never add: on the wire a sector may be anything up to 2^64. */
bool BlockBack::in_range(uint64_t unit_sector, uint64_t sectors, Checked &out) const
{
    uint32_t per = unit() / kSectorSize;
    uint64_t capacity = ports_.storage.sectors();
    if (unit_sector > capacity / per)
        return false;
    uint64_t sector = unit_sector * per;
    if (sectors > capacity - sector)
        return false;
    if (sector % (config_.sector_size / kSectorSize))
        return false;
    out.sector = sector;
    out.sectors = sectors;
    return true;
}

/* All or none. What we write to the disk we only read from the frontend. */
bool BlockBack::map_all(Held &held)
{
    bool readonly = held.req.op == Op::Write;
    for (uint32_t i = 0; i < held.req.nr_segments; i++) {
        GrantRef ref = held.req.seg[i].gref;
        auto page = ports_.grants.map(ref, readonly);
        if (!page) {
            counters_.map_failures++;
            unmap_all(held);
            return false;
        }
        held.pages.push_back({ref, page.value()});
    }
    return true;
}

void BlockBack::unmap_all(Held &held)
{
    for (const Mapping &m : held.pages) {
        if (knobs_.keep_mapped)
            kept_.push_back(m);
        else
            ports_.grants.unmap(m.ref, m.page);
    }
    held.pages.clear();
}

} // namespace pvblk
