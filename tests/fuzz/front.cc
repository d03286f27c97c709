/* SPDX-License-Identifier: MIT */
/* Target `front`: see front.h. */
#include "front.h"

#include "hostile_back.h"
#include "support/check.h"
#include "support/front_oracle.h"

#include <algorithm>
#include <cstring>

namespace pvblk::fuzz
{

namespace
{

constexpr uint32_t kGuestPages = 48, kCanaryPages = 1;
constexpr uint32_t kRequestPages = kGuestPages - kCanaryPages;
constexpr uint64_t kDiskSectors = 512;
constexpr uint8_t kCanary = 0xc5;
constexpr size_t kMaxNested = 64;

HubConfig hub_config()
{
    HubConfig c;
    c.guest_pages = kGuestPages;
    c.disk_sectors = kDiskSectors;
    c.private_pages = 128;
    return c;
}

/* Arrays of their own on the heap, freed when the request completes: whoever
 * looks at them later is found by AddressSanitizer. */
struct Pending {
    IoKind kind{};
    std::vector<uint64_t> gpa{};
    std::vector<struct iovec> iov{};
};

constexpr const char *kNodeNames[] = {"sectors",
                                      "sector-size",
                                      "physical-sector-size",
                                      "info",
                                      "mode",
                                      "feature-flush-cache",
                                      "feature-barrier",
                                      "feature-discard",
                                      "discard-granularity",
                                      "discard-alignment",
                                      "discard-secure",
                                      "feature-persistent",
                                      "feature-max-indirect-segments",
                                      "max-ring-page-order",
                                      "max-ring-pages",
                                      "multi-queue-max-queues",
                                      "state",
                                      "error",
                                      "frontend",
                                      "hotplug-status"};

class FrontScene final : public FrontOwner
{
public:
    explicit FrontScene(uint32_t setup);
    ~FrontScene();
    void play(const Step &s, Input &in);
    void check_all();
    FrontOutcome finish();

    void completed(void *cookie, uint32_t queue, IoStatus status) override;
    void batch_done() override {}
    void plan_changed() override {}
    void log(const char *text) override;
    void trace(const Trace &t) override;

private:
    template <class Call>
    void measured(Call call);
    void new_front();
    void drop_front();
    void submit(const Step &s);
    void backend_step(const Step &s, Input &in);
    void node_step(const Step &s);
    void ring_step(const Step &s, Input &in);
    void owner_step(const Step &s);
    void cancel(const Step &s);

    LoopbackHub hub_;
    HostileBack back_;
    FrontConfig config_{};
    std::unique_ptr<BlockFront> front_{};
    std::vector<std::unique_ptr<Pending>> pending_{}; /* index: cookie */
    uint64_t waiting_{0};                             /* accepted, not completed */
    uint64_t ok_data_{0};                             /* completed Ok, which takes the ring */
    LogWatch logs_{};
    bool owner_asked_{false};
    size_t nested_{0};
    uint64_t traces_{0};
    FrontOutcome out_{};
};

FrontScene::FrontScene(uint32_t setup) : hub_(hub_config()), back_(hub_)
{
    config_.frontend_path = hub_.config.frontend_path;
    config_.backend_path = hub_.config.backend_path;
    config_.max_requests = 1 + (~setup >> 24) % 64;
    config_.always_bounce = setup & 1;
    config_.always_notify = setup & 2;
    config_.policy.abi = setup & 4 ? Abi::X86_32 : Abi::X86_64;
    back_.sector_size = setup & 8 ? 4096 : 512;
    back_.device_units = (setup & 24) == 24;
    if (back_.device_units)
        config_.policy.large_sector_units = SectorUnits::Device;
    if (setup & 32)
        config_.request_timeout_ns = 1'000'000'000;
    FrontPolicy &policy = config_.policy;
    policy.use_persistent = setup & 0x80;
    policy.max_queues = 1 + (setup >> 8 & 3);
    policy.max_ring_pages = 1u << (setup >> 10 & 3) % 3;
    policy.max_indirect_segments = setup & 0x1000 ? 16 : 0;
    policy.use_barrier = !(setup & 0x2000);
    policy.trusted = !(setup & 0x4000);
    back_.offer = Offer::of(setup >> 16 & 0xff);
    std::memset(hub_.guest.host(0), kCanary, hub_.guest.bytes());
    back_.publish();
    new_front();
    if (setup & 64 || !front_)
        return;
    /* Most inputs begin where the interesting part does. */
    measured([this] { front_->start(); });
    hub_.run();
    back_.follow();
    hub_.run();
}

FrontScene::~FrontScene()
{
    drop_front();
}

/* ---- the owner's side --------------------------------------------------- */

template <class Call>
void FrontScene::measured(Call call)
{
    uint64_t before = port_calls(hub_) + traces_;
    call();
    uint64_t work = port_calls(hub_) + traces_ - before;
    out_.max_work = std::max(out_.max_work, work);
    check(work <= kMaxWork, "one upcall costs more work than a ring can hold");
}

void FrontScene::new_front()
{
    auto made = BlockFront::create(hub_.front_ports(), *this, config_);
    if (!made) {
        check(*made.error().what && *made.error().clause, "a refusal that does not say why");
        return;
    }
    front_ = std::move(made.value());
    logs_.new_front();
    out_.made = true;
    hub_.attach(front_.get());
    hub_.front.event = [this, call = hub_.front.event](uint32_t queue) {
        measured([&] { call(queue); });
    };
    hub_.front.store = [this, call = hub_.front.store] { measured(call); };
    hub_.front.deadline = [this, call = hub_.front.deadline] { measured(call); };
}

void FrontScene::drop_front()
{
    if (!front_)
        return;
    nested_ = 0;
    front_->cancel_all();
    check(waiting_ == 0 && front_->accepted() == 0, "a cancelled request is not given back");
    owner_asked_ = true;
    front_->stop();
    owner_asked_ = false;
    /* The peer dies first, so that what the front still holds can be revoked. */
    hub_.fail_none();
    back_.release_all();
    back_.leave(false);
    hub_.detach_front();
    front_.reset();
    check(!hub_.events.is_open(), "an event channel is left open");
    check(hub_.clock.deadline < 0, "a deadline is left behind");
}

/* a: kind (2 bits), queue (2), pieces - 1 (2), shape (3), flush_after (bit 10),
 * no RAM (bit 11), secure (bit 12: discards);
 * b: sector; c: place in guest memory (in 512 bytes), and length. */
void FrontScene::submit(const Step &s)
{
    if (!front_)
        return;
    auto p = std::make_unique<Pending>();
    IoRequest r;
    r.kind = p->kind = static_cast<IoKind>(s.a & 3);
    r.queue = (s.a >> 2) & 3;
    if (r.kind == IoKind::Discard && s.a & 0x1000)
        r.kind = p->kind = IoKind::SecureDiscard;
    r.flush_after = s.a & 0x400;
    r.direct = !(s.a & 0x800);
    uint64_t align = front_->plan().sector_size / kSectorSize;
    r.sector = Sector(s.b % kDiskSectors / align * align);
    r.sectors = r.kind == IoKind::Flush ? 0 : (1 + (s.c >> 9) % 24) * align;
    uint64_t at = (s.c & 0x1ff) * kSectorSize, bytes = r.sectors * kSectorSize;
    uint32_t pieces = 1 + ((s.a >> 4) & 3);
    /* Shapes that are no whole sectors have to be bounced. */
    uint64_t odd = (s.a >> 6 & 7) * 100;
    uint64_t limit = kRequestPages * uint64_t{kPageSize};
    for (uint32_t i = 0; i < pieces && bytes; i++) {
        uint64_t here = i + 1 == pieces ? bytes : std::min(bytes, bytes / pieces + odd % (i + 97));
        uint64_t from = (at + odd + i * 8192) % (limit - 24 * 4096);
        p->gpa.push_back(hub_.guest.gpa(from));
        p->iov.push_back({hub_.guest.host(from), here});
        bytes -= here;
    }
    bool bad = false;
    switch (s.wrong(5)) {
    case 1: r.sector = Sector(edge(s.b)); break;
    case 2: r.sectors = edge(s.b); break;
    case 3: r.sectors += 8; break; /* more than the buffer holds */
    case 4: r.sector = Sector(front_->plan().sectors), bad = r.kind != IoKind::Flush; break;
    case 5: r.sectors = 0, bad = r.kind != IoKind::Flush; break;
    default: break;
    }
    r.buffer = {p->gpa.data(), p->iov.data(), static_cast<uint32_t>(p->iov.size()), 0};
    r.cookie = reinterpret_cast<void *>(pending_.size());
    uint32_t before = front_->accepted();
    FrontState was = front_->state();
    Intake intake = front_->submit(r);
    bool accepted = intake.verdict == Verdict::Accepted;
    check(!accepted || !bad, "a request of nothing, or beyond the end, is accepted");
    check(!accepted || (was != FrontState::Broken && was != FrontState::Stopped),
          "a request is accepted by a front that is broken or stopped");
    check(front_->accepted() == before + accepted, "accepted() is not what was accepted");
    if (!accepted)
        return;
    out_.accepted++;
    waiting_++;
    pending_.push_back(std::move(p));
}

void FrontScene::completed(void *cookie, uint32_t, IoStatus status)
{
    auto id = reinterpret_cast<uintptr_t>(cookie);
    check(id < pending_.size(), "a request is completed that was never made");
    check(pending_[id] != nullptr, "a request is completed twice");
    IoKind kind = pending_[id]->kind;
    /* A disk without a volatile cache has nothing to flush. */
    bool no_work = kind == IoKind::Flush && !front_->plan().can_flush();
    ok_data_ += status == IoStatus::Ok && kind != IoKind::Discard && !no_work;
    pending_[id].reset();
    waiting_--;
    out_.ok += status == IoStatus::Ok;
    out_.error += status == IoStatus::Error;
    out_.unsupported += status == IoStatus::Unsupported;
    out_.cancelled += status == IoStatus::Cancelled;
    check(back_.scribbled || ok_data_ <= back_.okays,
          "a request is okay that the backend never answered so");
    /* The guest has more, and the owner offers it at once. */
    if (nested_) {
        nested_--;
        Step s;
        s.b = static_cast<uint16_t>(id * 8);
        submit(s);
    }
}

void FrontScene::log(const char *)
{
    check(logs_.line(hub_.clock.now), "a backend floods the log");
}

void FrontScene::trace(const Trace &t)
{
    traces_++;
    if (t.kind != TraceKind::State)
        return;
    check(t.state.from != FrontState::Broken || owner_asked_, "Broken is left without the owner");
    if (t.state.to == FrontState::Connected)
        out_.connects++;
}

void FrontScene::owner_step(const Step &s)
{
    owner_asked_ = true;
    uint32_t what = s.a % 5;
    if (what == 3)
        drop_front();
    if (!front_)
        new_front();
    if (what == 4)
        nested_ = kMaxNested; /* from now on, completions submit more */
    else if (front_)
        measured([&] {
            if (what == 0)
                front_->reconnect();
            else if (what == 1)
                front_->stop();
            else
                front_->start();
        });
    owner_asked_ = false;
}

void FrontScene::cancel(const Step &s)
{
    if (!front_)
        return;
    nested_ = 0;
    if (!s.wrong(1)) {
        front_->cancel_queue(s.a % 4);
        return;
    }
    front_->cancel_all();
    check(waiting_ == 0, "a cancelled request is not given back");
}

/* ---- the backend's side -------------------------------------------------- */

void FrontScene::node_step(const Step &s)
{
    std::string name = kNodeNames[s.a % std::size(kNodeNames)];
    back_.tampered = true;
    if (s.wrong(1))
        back_.remove(name);
    else
        back_.node(name, node_text(s.b, s.c));
}

void FrontScene::ring_step(const Step &s, Input &in)
{
    if (static_cast<FrontOp>(s.op % static_cast<uint8_t>(FrontOp::Count)) == FrontOp::Ring)
        back_.scribble_ring(s.c, s.a, in.text(s.b % 128));
    else
        back_.store_index(s.a / 4, s.a, s.wrong(1) ? static_cast<uint32_t>(edge(s.c)) : s.b);
}

void FrontScene::backend_step(const Step &s, Input &in)
{
    switch (static_cast<FrontOp>(s.op % static_cast<uint8_t>(FrontOp::Count))) {
    case FrontOp::Follow: back_.follow(); break;
    case FrontOp::Serve:
        back_.take(kMaxRingPages * 64);
        while (back_.taken() && back_.has_ring())
            back_.serve(0);
        back_.send_events();
        break;
    case FrontOp::Take: back_.take(1 + s.a % 8); break;
    case FrontOp::Answer: back_.answer(s.a, -static_cast<int16_t>(s.b % 3), s.wrong(7), s.c); break;
    case FrontOp::Event: s.wrong(1) ? back_.send_event(s.a) : back_.send_events(); break;
    case FrontOp::Map:
        if (s.wrong(1))
            back_.hold_any(s.b % (hub_.grants.count() + 16), s.a & 1);
        else
            back_.hold(s.a, s.b & 1);
        break;
    case FrontOp::Poke: back_.scribble_page(s.a, s.b, static_cast<uint8_t>(s.c)); break;
    case FrontOp::Unmap: s.wrong(1) ? back_.release_all() : back_.release(s.a); break;
    case FrontOp::State:
        if (s.wrong(1))
            back_.node("state", node_text(s.b, s.c));
        else
            back_.state(static_cast<XenbusState>(s.a % kXenbusStates));
        break;
    case FrontOp::Node: node_step(s); break;
    case FrontOp::Leave:
        back_.leave(s.a & 1);
        if (s.wrong(1))
            back_.remove("");
        break;
    case FrontOp::Offer:
        back_.offer = Offer::of(s.a);
        if (s.wrong(1))
            back_.publish_nodes();
        break;
    default: ring_step(s, in); break;
    }
}

void FrontScene::play(const Step &s, Input &in)
{
    switch (static_cast<FrontOp>(s.op % static_cast<uint8_t>(FrontOp::Count))) {
    case FrontOp::Run:
        if (front_)
            measured([this] { front_->pump(); });
        check(s.a || hub_.run(), "front and backend keep each other busy");
        for (uint32_t n = s.a; n > 0 && hub_.run_one(); n--) {
        }
        break;
    case FrontOp::Submit: submit(s); break;
    case FrontOp::Fail:
        hub_.fail(static_cast<HubCall>(s.a % kHubCalls), s.b % 16, 1 + s.c % 4);
        break;
    case FrontOp::Time: hub_.advance(int64_t{1} << s.a % 36); break;
    case FrontOp::Cancel: cancel(s); break;
    case FrontOp::Owner: owner_step(s); break;
    default: backend_step(s, in); break;
    }
}

/* ---- what holds after every step ----------------------------------------- */

void FrontScene::check_all()
{
    const char *defect = hub_defect(hub_.oracle);
    if (!defect && front_)
        defect = front_defect(hub_, *front_, waiting_);
    check(!defect, defect);
}

FrontOutcome FrontScene::finish()
{
    hub_.fail_none();
    hub_.run();
    if (front_) {
        out_.counters = front_->counters();
        out_.plan = front_->plan();
        out_.state = front_->state();
        out_.broken = front_->broken().clause;
        out_.quarantined = front_->quarantined();
    }
    out_.attaches = back_.attaches;
    out_.indirect = back_.indirect;
    out_.barriers = back_.barriers;
    out_.kept_hits = back_.kept_hits();
    drop_front();
    check_all();
    check(hub_.grants.in_use() == 0, "grants are left behind");
    check(hub_.grants.mapped() == 0, "mappings are left behind");
    const std::byte *canary = hub_.guest.host(kRequestPages * uint64_t{kPageSize});
    check(std::all_of(canary, canary + kCanaryPages * kPageSize,
                      [](std::byte b) { return b == std::byte{kCanary}; }),
          "guest memory changes that no request names");
    return out_;
}

} // namespace

FrontOutcome play_front(const uint8_t *data, size_t size)
{
    return play_scene<FrontScene>(data, size, kFrontOps);
}

} // namespace pvblk::fuzz
