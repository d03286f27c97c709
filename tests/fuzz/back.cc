/* SPDX-License-Identifier: MIT */
/* Target `back`: see back.h. */
#include "back.h"

#include "hostile_front.h"
#include "support/check.h"
#include "support/pattern.h"
#include "support/watched_ports.h"

#include <algorithm>
#include <cstring>

namespace pvblk::fuzz
{

namespace
{

constexpr uint64_t kDiskSectors = 128;
/* One call may look at the ring as often, and no more. */
constexpr uint64_t kMaxPasses = 8;
/* Calls in a row that leave something undone, and nothing was pushed meanwhile. */
constexpr uint32_t kMaxMore = 8;

HubConfig hub_config()
{
    HubConfig c;
    c.guest_pages = HostileFront::kFrames;
    c.private_pages = HostileFront::kRingPages;
    c.disk_sectors = kDiskSectors;
    return c;
}

/* What the disk holds at first: no two sectors are alike. */
const std::vector<std::byte> &image()
{
    static const std::vector<std::byte> bytes = [] {
        std::vector<std::byte> b(HostileFront::kMaxSectors * kSectorSize);
        fill_pattern(b.data(), b.size(), 0);
        return b;
    }();
    return bytes;
}

constexpr const char *kNodeNames[] = {"ring-ref",
                                      "event-channel",
                                      "protocol",
                                      "state",
                                      "ring-page-order",
                                      "num-ring-pages",
                                      "ring-ref0",
                                      "ring-ref1",
                                      "ring-ref2",
                                      "ring-ref3",
                                      "multi-queue-num-queues",
                                      "queue-0/ring-ref",
                                      "queue-0/event-channel",
                                      "queue-1/ring-ref",
                                      "queue-1/event-channel",
                                      "queue-0/ring-ref0",
                                      "feature-persistent",
                                      "feature-large-sector-size",
                                      "frontend-id",
                                      "queue-1/ring-ref1",
                                      "queue-2/ring-ref3",
                                      "queue-2/event-channel",
                                      "queue-3/ring-ref"};

class BackScene final : private BackOwner
{
public:
    explicit BackScene(uint32_t setup);
    void play(const Step &s, Input &in);
    void check_all();
    BackOutcome finish();

private:
    void violation(const Error &error) override;
    void configure(uint32_t setup);
    void new_back();
    void drop_back();
    template <class Call>
    void measured(Call call);
    void event(uint32_t queue, const std::function<void(uint32_t)> &call);
    void connect(const Step &s);
    void publish(const Step &s);
    void node_step(const Step &s);
    void ring_step(const Step &s, Input &in);
    void meddle(const Step &s);
    void act(uint32_t what, uint32_t queue, uint32_t value);
    void storage_step(const Step &s);
    void resize(uint64_t sectors);
    void finish_step(const Step &s);
    void owner_step(const Step &s);
    void check_media() const;
    void settle();

    LoopbackHub hub_;
    WatchedGrants grants_;
    WatchedEvents events_;
    BackConfig config_{};
    WatchedStorage storage_;
    HostileFront front_;
    std::unique_ptr<BlockBack> back_{};
    bool ours_{false}; /* the backend is connected to front_'s rings */
    uint32_t push_{0}, more_{0};
    BackOutcome out_{};
};

BackScene::BackScene(uint32_t setup)
    : hub_(hub_config()), grants_(hub_.grants), events_(hub_.back_events),
      storage_(hub_.storage, grants_, config_), front_(hub_, config_)
{
    configure(setup);
    std::copy_n(image().begin(), hub_.storage.data.size(), hub_.storage.data.begin());
    new_back();
    (void)back_->start();
    if (setup & 0x100)
        return;
    /* Most inputs begin where the interesting part does. */
    Step s;
    s.a = static_cast<uint16_t>(setup >> 16);
    connect(s);
}

void BackScene::configure(uint32_t setup)
{
    config_.frontend_path = hub_.config.frontend_path;
    config_.backend_path = hub_.config.backend_path;
    config_.sector_size = setup & 1 ? 4096 : 512;
    config_.physical_sector_size = setup & 2 ? 4096 : 0;
    config_.units = (setup & 5) == 5 ? SectorUnits::Device : SectorUnits::Bytes512;
    config_.read_only = setup & 8;
    config_.flush = !(setup & 16);
    config_.discard = !(setup & 32);
    config_.discard_granularity = setup & 64 ? 8192 : 0;
    config_.discard_alignment = (setup & 192) == 192 ? 4096 : 0;
    config_.barrier = !(setup & 0x200);
    config_.discard_secure = setup & 0x400;
    config_.persistent = !(setup & 0x800);
    config_.max_persistent = setup & 0x4000 ? 4 : 64;
    /* Small, since memory that is set up costs more time than what is done. */
    config_.max_indirect_segments = setup & 0x1000 ? 0 : setup & 0x2000 ? 600 : 16;
    uint32_t most = std::max(kMaxDirectSegments, config_.max_indirect_segments);
    config_.max_segments_in_flight = setup & 0x8000 ? most : 4 * most;
    config_.max_queues = 3;
    config_.max_ring_page_order = 2;
}

void BackScene::new_back()
{
    back_ = std::make_unique<BlockBack>(
        BackPorts{hub_.back_store, grants_, events_, storage_, this}, config_);
    hub_.attach(back_.get());
    hub_.back.event = [this, call = hub_.back.event](uint32_t queue) { event(queue, call); };
}

void BackScene::drop_back()
{
    out_.connects += back_->counters().connects;
    ours_ = false;
    hub_.detach_back();
    back_.reset();
    check(hub_.grants.mapped() == 0, "a backend that is gone keeps pages mapped");
    check(hub_.storage.waiting() == 0, "a backend that is gone leaves work behind");
    front_.forget();
}

void BackScene::violation(const Error &error)
{
    check(*error.what && *error.clause, "a frontend is refused, and nobody learns why");
}

template <class Call>
void BackScene::measured(Call call)
{
    uint64_t before = back_->counters().requests;
    call();
    uint64_t work = back_->counters().requests - before;
    uint64_t ring = ring_entries(back_->plan().abi, back_->plan().ring_pages);
    out_.max_work = std::max(out_.max_work, work);
    check(work <= kMaxPasses * ring, "one call costs more work than a ring can hold");
}

void BackScene::event(uint32_t queue, const std::function<void(uint32_t)> &call)
{
    uint64_t acts = grants_.acted;
    events_.more = false;
    measured([&] { call(queue); });
    if (push_) { /* the other vCPU never stops */
        push_--;
        front_.take_answers(false);
        front_.stage(front_.request({}), queue);
        front_.publish(queue, false);
        more_ = 0;
    }
    if (!events_.more || grants_.acted != acts)
        more_ = 0;
    check(!events_.more || ++more_ <= kMaxMore, "the backend never has enough");
}

/* ---- what the frontend does ------------------------------------------------ */

void BackScene::connect(const Step &s)
{
    ours_ = false;
    if (s.wrong(2) != 2)
        front_.close();
    front_.set_up(shape_of(s.a));
    if (s.wrong(2) == 1) {
        front_.node(kNodeNames[s.b % std::size(kNodeNames)], node_text(s.c, s.c >> 6));
        front_.spoil();
    }
    front_.state(XenbusState::Initialised);
    check(hub_.run(), "front and backend keep each other busy");
    ours_ = back_->state() == XenbusState::Connected && front_.queues() > 0;
}

void BackScene::publish(const Step &s)
{
    if (s.a)
        return front_.publish(s.a - 1u, !s.wrong(1));
    for (uint32_t q = 0; q < front_.queues(); q++)
        front_.publish(q, !s.wrong(1));
}

void BackScene::node_step(const Step &s)
{
    std::string name = kNodeNames[s.a % std::size(kNodeNames)];
    front_.spoil();
    if (s.wrong(1))
        return front_.remove(name);
    uint32_t number = s.c;
    if (s.c % 8 == 1)
        number = front_.any_ring_ref();
    else if (s.c % 8 == 2)
        number = front_.any_port();
    front_.node(name, node_text(s.b, number));
}

void BackScene::ring_step(const Step &s, Input &in)
{
    if (static_cast<BackOp>(s.op % static_cast<uint8_t>(BackOp::Count)) == BackOp::Ring)
        front_.scribble_ring(s.c, s.a, in.text(s.b % 128));
    else if (s.wrong(1))
        front_.store_index(s.a / 4, s.a, static_cast<uint32_t>(edge(s.c)));
    else
        front_.move_index(s.a / 4, s.a, s.b);
}

void BackScene::meddle(const Step &s)
{
    grants_.countdown = s.b % 8;
    /* Once, or at every map: a frontend that never stops pushing. */
    grants_.repeat = s.a % 8 == 4 ? s.c % 1024 : 0;
    grants_.act = [this, s] { act(s.a % 8, s.b / 8, s.c); };
}

void BackScene::act(uint32_t what, uint32_t queue, uint32_t value)
{
    switch (what) {
    case 0:
        front_.scribble_ring(queue, kSringHeader, std::string(kPageSize, static_cast<char>(value)));
        break;
    case 1: front_.move_index(queue, 0, value); break;
    case 2: front_.revoke(value % HostileFront::kFrames); break;
    case 3: front_.doubt(), hub_.storage.fail = true; break;
    case 4: front_.move_index(queue, 0, 1); break;
    case 5: /* the list that the backend looks at, or has just looked at */
        front_.write_frame(HostileFront::kDataFrames + value % HostileFront::kLists,
                           value >> 2 & 127, static_cast<uint8_t>(value >> 9));
        break;
    case 6: front_.revoke(HostileFront::kDataFrames + value % HostileFront::kLists); break;
    default: hub_.storage.defer = true; break;
    }
}

/* ---- what the storage does -------------------------------------------------- */

void BackScene::storage_step(const Step &s)
{
    constexpr uint64_t sizes[] = {kDiskSectors, 8, 64, HostileFront::kMaxSectors};
    front_.doubt();
    hub_.storage.fail = s.a % 4 == 1;
    hub_.storage.defer = s.a % 4 == 3;
    if (s.a % 4 == 2)
        resize(sizes[s.b % std::size(sizes)]);
}

/* As a block layer does it: what is under way ends before. */
void BackScene::resize(uint64_t sectors)
{
    hub_.storage.drain();
    std::vector<std::byte> &data = hub_.storage.data;
    size_t before = data.size();
    data.resize(sectors * kSectorSize);
    if (data.size() > before)
        std::copy(image().begin() + static_cast<std::ptrdiff_t>(before),
                  image().begin() + static_cast<std::ptrdiff_t>(data.size()),
                  data.begin() + static_cast<std::ptrdiff_t>(before));
    back_->resized();
}

void BackScene::finish_step(const Step &s)
{
    if (s.wrong(1))
        hub_.storage.drain();
    else if (hub_.storage.waiting())
        measured([&] { hub_.storage.finish(s.a % hub_.storage.waiting()); });
}

void BackScene::owner_step(const Step &s)
{
    switch (s.a % 5) {
    case 0:
        if (back_->state() == XenbusState::Unknown) /* gone, or never there */
            (void)back_->start();
        break;
    case 1: back_->close(); break;
    case 2: back_->vanish(); break;
    case 3: back_->resized(); return;
    default:
        drop_back();
        new_back();
        (void)back_->start();
        break;
    }
    ours_ = false;
    front_.forget();
    front_.spoil();
}

void BackScene::play(const Step &s, Input &in)
{
    switch (static_cast<BackOp>(s.op % static_cast<uint8_t>(BackOp::Count))) {
    case BackOp::Run:
        check(s.a || hub_.run(), "front and backend keep each other busy");
        for (uint32_t n = s.a; n > 0 && hub_.run_one(); n--) {
        }
        front_.take_answers(s.a == 0);
        break;
    case BackOp::Connect: connect(s); break;
    case BackOp::Request: front_.stage(front_.request(s), s.c >> 13); break;
    case BackOp::Publish: publish(s); break;
    case BackOp::State:
        ours_ = false;
        front_.spoil();
        if (s.wrong(1))
            front_.node("state", node_text(s.b, s.c));
        else
            front_.state(static_cast<XenbusState>(s.a % kXenbusStates));
        break;
    case BackOp::Node: node_step(s); break;
    case BackOp::Grant:
        s.wrong(1) ? front_.revoke(s.a % HostileFront::kFrames) : front_.grant(s.a, s.b & 1);
        break;
    case BackOp::Data: front_.write_frame(s.a, s.b, static_cast<uint8_t>(s.c)); break;
    case BackOp::Meddle: meddle(s); break;
    case BackOp::Push: push_ = s.a % 40; break;
    case BackOp::Storage: storage_step(s); break;
    case BackOp::Owner: owner_step(s); break;
    case BackOp::Finish: finish_step(s); break;
    default: ring_step(s, in); break;
    }
}

/* ---- what holds after every step -------------------------------------------- */

void BackScene::check_all()
{
    check(hub_.storage.out_of_range == 0, "the backend asks for what is not on the disk");
    check(hub_.storage.too_many_vectors == 0, "the backend asks for more than QEMU would do");
    check(hub_.oracle.bad_unmaps == 0, "the backend unmaps what is not mapped");
    check(hub_.oracle.regrants == 0 && hub_.oracle.bad_revokes == 0 &&
              hub_.oracle.reused_while_mapped == 0,
          "the harness breaks the rules of grants");
    out_.late = std::max<uint64_t>(out_.late, hub_.storage.waiting());
    if (!back_)
        return;
    bool connected =
        back_->state() == XenbusState::Connected || back_->state() == XenbusState::Closing;
    check(connected || (hub_.grants.mapped() == 0 && hub_.storage.waiting() == 0),
          "a backend without a frontend keeps pages or work");
    check(back_->counters().persistent_kept <= config_.max_queues * config_.max_persistent,
          "more pages stay mapped than may");
}

void BackScene::check_media() const
{
    const std::vector<std::byte> &data = hub_.storage.data;
    for (uint64_t sector = 0; sector < hub_.storage.sectors(); sector++) {
        bool same = std::memcmp(data.data() + sector * kSectorSize,
                                image().data() + sector * kSectorSize, kSectorSize) == 0;
        check(same || !config_.read_only, "a read-only disk is written");
        check(same || front_.strange || !front_.untouched(sector),
              "a sector is written that no request named");
    }
}

/* An event for all that was published, and the storage does all that waits:
 * now nothing may be left to answer. */
void BackScene::settle()
{
    grants_.act = nullptr;
    push_ = 0;
    hub_.storage.fail = hub_.storage.defer = false;
    front_.doubt();
    publish({});
    check(hub_.run(), "front and backend keep each other busy");
    hub_.storage.drain();
    check(hub_.run(), "front and backend keep each other busy");
    front_.take_answers(true);
    check(!ours_ || front_.waiting() == 0, "a request is never answered");
}

BackOutcome BackScene::finish()
{
    settle();
    out_.published = front_.published;
    out_.okays = front_.okays;
    out_.refusals = front_.refusals;
    out_.reads = hub_.storage.reads;
    out_.writes = hub_.storage.writes;
    out_.stable_writes = hub_.storage.stable_writes;
    out_.flushes = hub_.storage.flushes;
    out_.discards = hub_.storage.discards.size();
    out_.secure_discards = hub_.storage.secure_discards;
    out_.counters = back_->counters();
    out_.plan = back_->plan();
    out_.state = back_->state();
    out_.halted = back_->halted();
    out_.error = back_->last_error().clause;
    drop_back();
    check_all();
    check_media();
    return out_;
}

} // namespace

BackOutcome play_back(const uint8_t *data, size_t size)
{
    return play_scene<BackScene>(data, size, kBackOps);
}

} // namespace pvblk::fuzz
