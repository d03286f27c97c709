/* SPDX-License-Identifier: MIT */
/* Target `virtio`: see virtio.h. */
#include "virtio.h"

#include "input.h"
#include "pvblk/loopback.h"
#include "support/check.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace pvblk::fuzz
{

namespace
{

/* Elements have their places in guest memory in turn; so many at a time do
 * not overlap. */
constexpr uint32_t kPlaces = 8, kPlacePages = 7;
constexpr uint64_t kPlaceBytes = uint64_t{kPlacePages} * kPageSize;
constexpr uint64_t kStatusAt = 64, kDataAt = kPageSize;
constexpr uint64_t kDiskSectors = 256, kMaxDataSectors = 32;
constexpr uint8_t kNoStatus = 0xee;

HubConfig hub_config()
{
    HubConfig c;
    c.private_pages = 128;
    c.guest_pages = kPlaces * kPlacePages;
    c.disk_sectors = kDiskSectors;
    return c;
}

/* A side's arrays are on the heap, and freed when the element comes back:
 * whoever looks at them later is found by AddressSanitizer. */
struct Side {
    std::vector<uint64_t> gpa{};
    std::vector<struct iovec> iov{};
    uint64_t bytes() const
    {
        uint64_t n = 0;
        for (const struct iovec &v : iov)
            n += v.iov_len;
        return n;
    }
    ElementSide view() const { return {gpa.data(), iov.data(), static_cast<uint32_t>(iov.size())}; }
};

struct Taken {
    Side out{}, in{};
    uint32_t type{0};
    uint64_t sector{0};
    uint64_t data_at{0}; /* in guest memory */
    uint64_t sectors{0};
    bool lawful{false};   /* has to be OK */
    bool unlawful{false}; /* must not be OK */
    bool alone{false};    /* nothing else was with the device */
};

class VirtioScene final : public ShimOwner
{
public:
    explicit VirtioScene(uint32_t setup);
    void play(const Step &s, Input &);
    void check_all();
    VirtioOutcome finish();

    void give_back(void *cookie, uint32_t queue, uint32_t written) override;
    void forget(void *cookie, uint32_t queue) override;
    void batch_done() override {}
    void config_changed() override {}
    void log(const char *) override { check(false, "an honest backend breaks the connection"); }
    void trace(const Trace &) override {}

private:
    void add(Side &side, uint64_t at, uint64_t bytes, uint32_t pieces);
    std::unique_ptr<Taken> element(const Step &s);
    void bend(Taken &t, const Step &s);
    void take(const Step &s);
    bool lawful(const Taken &t) const;
    void compare(const Taken &t);
    void expect_memory(const Side &side);
    std::unique_ptr<Taken> retrieve(void *cookie);
    void check_config();

    LoopbackHub hub_;
    BackConfig disk_{};
    std::unique_ptr<BlockBack> back_{};
    FrontConfig front_config_{};
    ShimConfig config_{};
    std::unique_ptr<VirtioBlkShim> shim_{};
    std::unique_ptr<BlockFront> front_{};
    std::vector<std::unique_ptr<Taken>> with_device_{}; /* index: cookie */
    uint64_t waiting_{0};
    std::vector<std::byte> shadow_{}; /* guest memory as it has to be */
    uint64_t place_{0};
    VirtioOutcome out_{};
};

VirtioScene::VirtioScene(uint32_t setup) : hub_(hub_config())
{
    front_config_.frontend_path = disk_.frontend_path = hub_.config.frontend_path;
    front_config_.backend_path = disk_.backend_path = hub_.config.backend_path;
    disk_.sector_size = setup & 1 ? 4096 : 512;
    disk_.units = (setup & 3) == 3 ? SectorUnits::Device : SectorUnits::Bytes512;
    front_config_.policy.large_sector_units = disk_.units;
    disk_.read_only = setup & 4;
    disk_.flush = !(setup & 8);
    disk_.discard = !(setup & 16);
    disk_.discard_granularity = setup & 32 ? 8192 : 0;
    /* Small, since memory that is set up costs more time than what is done. */
    disk_.max_ring_page_order = (setup >> 16) % 3;
    disk_.max_indirect_segments = 16;
    disk_.max_persistent = 64;
    disk_.barrier = disk_.discard_secure = setup & 0x80000;
    front_config_.policy.use_persistent = setup & 0x40000;
    front_config_.policy.max_queues = 1 + (setup >> 20) % 3;
    front_config_.policy.max_ring_pages = 4;
    front_config_.policy.max_indirect_segments = 16;
    front_config_.always_bounce = setup & 64;
    front_config_.max_requests = 1 + (~setup >> 24) % 64;
    config_.config_wce = !(setup & 128);
    config_.num_queues = 1 + (setup >> 8) % 4;
    config_.serial = std::string((setup >> 10) % 32, 's');

    back_ = std::make_unique<BlockBack>(hub_.back_ports(), disk_);
    hub_.attach(back_.get());
    (void)back_->start();
    shim_ = std::make_unique<VirtioBlkShim>(*this, config_);
    auto made = BlockFront::create(hub_.front_ports(), *shim_, front_config_);
    check(made.ok(), "an honest backend's nodes are refused");
    front_ = std::move(made.value());
    hub_.attach(front_.get());
    shim_->attach(*front_, front_config_.max_requests);
    front_->start();
    hub_.run();
    check(front_->state() == FrontState::Connected, "an honest pair does not connect");
    shadow_.assign(hub_.guest.host(0), hub_.guest.host(0) + hub_.guest.bytes());
}

/* ---- elements ------------------------------------------------------------------ */

void VirtioScene::add(Side &side, uint64_t at, uint64_t bytes, uint32_t pieces)
{
    for (uint32_t i = 0; i < pieces; i++) {
        uint64_t here = i + 1 == pieces ? bytes : bytes / pieces;
        side.gpa.push_back(hub_.guest.gpa(at));
        side.iov.push_back({hub_.guest.host(at), here});
        at += here;
        bytes -= here;
    }
}

/* a: type (3 bits), pieces of header (2) and data (3), distance of the data
 * from a page's start (3); b: sector; c: sectors (5 bits), queue. */
std::unique_ptr<Taken> VirtioScene::element(const Step &s)
{
    constexpr VirtioBlkType types[] = {
        VirtioBlkType::In, VirtioBlkType::Out, VirtioBlkType::Flush, VirtioBlkType::Discard,
        VirtioBlkType::In, VirtioBlkType::Out, VirtioBlkType::GetId, VirtioBlkType::In};
    constexpr uint64_t offsets[] = {0, 512, 1, 100, 511, 2048, 4095, 1024};
    auto t = std::make_unique<Taken>();
    uint64_t base = place_++ % kPlaces * kPlaceBytes;
    uint64_t align = disk_.sector_size / kSectorSize;
    t->type = static_cast<uint32_t>(types[s.a & 7]);
    t->data_at = base + kDataAt + offsets[s.a >> 8 & 7];
    t->sector = s.b % kDiskSectors / align * align;
    t->sectors = std::min((1 + s.c % 32) * align, kMaxDataSectors);
    uint8_t *header = reinterpret_cast<uint8_t *>(hub_.guest.host(base));
    std::memset(header, 0, kVirtioBlkHeader);
    std::memcpy(header, &t->type, sizeof t->type);
    std::memcpy(header + 8, &t->sector, sizeof t->sector);
    *reinterpret_cast<uint8_t *>(hub_.guest.host(base + kStatusAt)) = kNoStatus;

    uint32_t pieces = 1 + (s.a >> 5 & 7);
    add(t->out, base, kVirtioBlkHeader, 1 + (s.a >> 3 & 3));
    switch (types[s.a & 7]) {
    case VirtioBlkType::In: add(t->in, t->data_at, t->sectors * kSectorSize, pieces); break;
    case VirtioBlkType::Out: add(t->out, t->data_at, t->sectors * kSectorSize, pieces); break;
    case VirtioBlkType::GetId: add(t->in, t->data_at, kVirtioBlkIdBytes, pieces); break;
    case VirtioBlkType::Discard: {
        uint64_t range[2] = {t->sector, t->sectors}; /* flags: 0 */
        std::memcpy(hub_.guest.host(t->data_at), range, sizeof range);
        add(t->out, t->data_at, sizeof range, pieces);
        break;
    }
    default: break;
    }
    add(t->in, base + kStatusAt, 1, 1);
    t->lawful = lawful(*t);
    if (s.wrong(14))
        bend(*t, s);
    return t;
}

bool VirtioScene::lawful(const Taken &t) const
{
    const Plan &plan = front_->plan();
    bool fits = t.sector <= plan.sectors && t.sectors <= plan.sectors - t.sector;
    switch (static_cast<VirtioBlkType>(t.type)) {
    case VirtioBlkType::In: return fits;
    case VirtioBlkType::Out: return fits && !plan.read_only;
    case VirtioBlkType::Discard: return fits && plan.discard;
    default: return true;
    }
}

/* Shapes and contents that a driver must not send, or hardly any does. */
void VirtioScene::bend(Taken &t, const Step &s)
{
    uint64_t base =
        static_cast<uint64_t>(static_cast<std::byte *>(t.out.iov[0].iov_base) - hub_.guest.host(0));
    std::byte *header = hub_.guest.host(base);
    auto set = [header](size_t at, uint64_t v, size_t n) { std::memcpy(header + at, &v, n); };
    t.lawful = false;
    switch (s.wrong(14)) {
    case 1: set(0, s.b, 4); break; /* any type */
    case 2: set(8, edge(s.b), 8); break;
    case 3: t.out.iov[0].iov_len = s.b % kVirtioBlkHeader; break;
    case 4: t.in = {}; break; /* nothing to read, not even the status */
    case 5: t.out = {}; break;
    case 6: add(t.in, base + kStatusAt, 0, 1 + s.b % 4); break; /* empty descriptors behind */
    case 7: t.in.iov.front().iov_len = s.b % 600; break;
    case 8: t.out.iov.back().iov_len = s.b % 600; break;
    case 9: add(t.out, t.data_at, s.b % 2048, 1); break; /* more to write */
    case 10: add(t.in, t.data_at, s.b % 2048, 1); break; /* the status is elsewhere */
    case 11: std::swap(t.in, t.out); break;
    case 12: set(4, s.b, 4); break; /* ioprio */
    case 13:                        /* the range of a discard: its flags, or more of it */
        std::memcpy(hub_.guest.host(t.data_at) + s.c % 16, &s.b, sizeof s.b);
        break;
    default: /* descriptors of one page on top of another */
        for (size_t i = 0; i < t.in.iov.size(); i++) {
            t.in.iov[i].iov_base = hub_.guest.host(base + kDataAt);
            t.in.gpa[i] = hub_.guest.gpa(base + kDataAt);
        }
        break;
    }
    bool shape = s.wrong(14) == 3 || s.wrong(14) == 5 || s.wrong(14) == 9 || s.wrong(14) == 10;
    bool in = t.type == static_cast<uint32_t>(VirtioBlkType::In);
    bool out = t.type == static_cast<uint32_t>(VirtioBlkType::Out);
    /* No header, or data in the direction that the type does not have. */
    t.unlawful = shape && (t.out.bytes() < kVirtioBlkHeader ||
                           (in && t.out.bytes() > kVirtioBlkHeader) || (out && t.in.bytes() > 1));
}

void VirtioScene::take(const Step &s)
{
    uint64_t base = place_ % kPlaces * kPlaceBytes;
    auto t = element(s);
    /* The driver's own writes: header, status, range. */
    std::memcpy(shadow_.data() + base, hub_.guest.host(base), kPlaceBytes);
    t->alone = waiting_ == 0;
    for (auto &other : with_device_)
        if (other)
            other->alone = false;
    Element e{t->out.view(), t->in.view(), reinterpret_cast<void *>(with_device_.size()),
              (s.c >> 5) % config_.num_queues, !(s.c & 0x8000)};
    with_device_.push_back(std::move(t));
    waiting_++;
    if (shim_->take(e)) {
        out_.taken++;
        return;
    }
    check(with_device_.back() != nullptr, "an element is refused, and given back");
    check(!shim_->has_room(), "an element is refused, and there is room");
    with_device_.back().reset();
    waiting_--;
    out_.refused++;
}

std::unique_ptr<Taken> VirtioScene::retrieve(void *cookie)
{
    auto id = reinterpret_cast<uintptr_t>(cookie);
    check(id < with_device_.size(), "an element comes back that was never taken");
    check(with_device_[id] != nullptr, "an element comes back twice");
    waiting_--;
    return std::move(with_device_[id]);
}

/* From here on the device has no business with the element. */
void VirtioScene::expect_memory(const Side &side)
{
    for (const struct iovec &v : side.iov)
        std::memcpy(shadow_.data() + (static_cast<std::byte *>(v.iov_base) - hub_.guest.host(0)),
                    v.iov_base, v.iov_len);
}

void VirtioScene::give_back(void *cookie, uint32_t, uint32_t written)
{
    auto t = retrieve(cookie);
    out_.returned++;
    check(written == t->in.bytes(), "`written` is not the size of the in side");
    expect_memory(t->in);
    if (t->in.bytes() == 0)
        return;
    auto last = std::find_if(t->in.iov.rbegin(), t->in.iov.rend(),
                             [](const struct iovec &v) { return v.iov_len; });
    uint8_t status = static_cast<uint8_t *>(last->iov_base)[last->iov_len - 1];
    check(status <= 2, "a status that virtio does not define");
    out_.ok += status == 0;
    out_.io_error += status == 1;
    out_.unsupported += status == 2;
    /* An ERROR to the first barrier or flush takes the feature away, also one
     * that a disk which shrank meanwhile gave. */
    bool withdrawn = front_->plan().barrier != disk_.barrier || front_->plan().flush != disk_.flush;
    check(status == 0 || !t->lawful || withdrawn, "a request that keeps all rules fails");
    check(status != 0 || !t->unlawful, "a request that breaks a rule is okay");
    if (t->lawful && t->alone)
        compare(*t);
}

void VirtioScene::compare(const Taken &t)
{
    bool data = t.type == static_cast<uint32_t>(VirtioBlkType::In) ||
                t.type == static_cast<uint32_t>(VirtioBlkType::Out);
    if (!data || t.sector + t.sectors > hub_.storage.sectors())
        return;
    out_.compared++;
    check(std::memcmp(hub_.guest.host(t.data_at), hub_.storage.data.data() + t.sector * kSectorSize,
                      t.sectors * kSectorSize) == 0,
          "disk and guest hold different data after an I/O");
}

void VirtioScene::forget(void *cookie, uint32_t)
{
    auto t = retrieve(cookie);
    out_.forgotten++;
    expect_memory(t->in); /* what a read put there before it was cancelled */
}

/* ---- steps ---------------------------------------------------------------------- */

void VirtioScene::check_config()
{
    std::array<uint8_t, kVirtioBlkConfigSize> raw;
    shim_->read_config(raw);
    uint64_t capacity;
    uint32_t block;
    std::memcpy(&capacity, raw.data(), sizeof capacity);
    std::memcpy(&block, raw.data() + 20, sizeof block);
    check(capacity == front_->plan().sectors, "the configuration has another size than the disk");
    check(block == front_->plan().sector_size, "the configuration has another sector size");
}

void VirtioScene::play(const Step &s, Input &)
{
    switch (static_cast<VirtioOp>(s.op % static_cast<uint8_t>(VirtioOp::Count))) {
    case VirtioOp::Take: take(s); break;
    case VirtioOp::Pump: shim_->pump(); break;
    case VirtioOp::Run:
        shim_->pump();
        check(s.a || hub_.run(), "front and backend keep each other busy");
        for (uint32_t n = s.a; n > 0 && hub_.run_one(); n--) {
        }
        break;
    case VirtioOp::Data: {
        uint64_t at = s.a % kPlaces * kPlaceBytes + kDataAt;
        for (auto &t : with_device_)
            if (t) /* it may have been read already, or not yet */
                t->alone = false;
        for (uint64_t i = 0; i < kPlaceBytes - kDataAt; i++)
            shadow_[at + i] = *hub_.guest.host(at + i) =
                static_cast<std::byte>(i * 7 + i / 509 + s.b);
        break;
    }
    case VirtioOp::Reset:
        if (s.wrong(1)) {
            shim_->reset_queue(s.a % config_.num_queues);
            break;
        }
        shim_->reset();
        check(waiting_ == 0, "a reset leaves elements with the device");
        break;
    case VirtioOp::Features:
        shim_->driver_ok((s.a | uint64_t{s.b} << 16) & shim_->features());
        break;
    case VirtioOp::Cache: shim_->write_wce(s.a & 1); break;
    case VirtioOp::Config: check_config(); break;
    case VirtioOp::Time: hub_.advance(int64_t{1} << s.a % 36); break;
    default: {
        for (auto &t : with_device_)
            if (t)
                t->lawful = false;
        constexpr uint64_t sizes[] = {kDiskSectors, 64, 8, 128};
        hub_.storage.data.resize(sizes[s.a % std::size(sizes)] * kSectorSize);
        back_->resized();
        hub_.run();
        break;
    }
    }
}

/* What the device may write meanwhile are the in sides of elements it has. */
void VirtioScene::check_all()
{
    for (const auto &t : with_device_)
        if (t)
            expect_memory(t->in);
    check(std::memcmp(shadow_.data(), hub_.guest.host(0), shadow_.size()) == 0,
          "guest memory changes outside what an element gives");
    const HubOracle &o = hub_.oracle;
    check(o.regrants == 0 && o.bad_revokes == 0 && o.bad_unmaps == 0 && o.bad_frames == 0 &&
              o.reused_while_mapped == 0 && o.readonly_maps == 0 && o.foreign_writes == 0,
          "an honest pair breaks a rule of the hub");
    check(hub_.storage.out_of_range == 0, "the backend asks for what is not on the disk");
    check(front_->accepted() == waiting_, "the front has other requests than the device");
    check(front_->counters().violations == 0, "an honest backend is called a liar");
}

VirtioOutcome VirtioScene::finish()
{
    shim_->pump();
    hub_.run();
    check(waiting_ == 0, "an element never comes back");
    check_all();
    out_.counters = shim_->counters();
    out_.front = front_->counters();
    shim_->reset();
    front_->stop();
    hub_.run();
    hub_.detach_front();
    front_.reset();
    hub_.detach_back();
    back_.reset();
    check(hub_.grants.in_use() == 0 && hub_.grants.mapped() == 0, "grants are left behind");
    check(!hub_.events.is_open(), "an event channel is left open");
    return out_;
}

} // namespace

VirtioOutcome play_virtio(const uint8_t *data, size_t size)
{
    return play_scene<VirtioScene>(data, size, kVirtioOps);
}

} // namespace pvblk::fuzz
