/* SPDX-License-Identifier: MIT */
/* The I/O of a scenario, and what is noted of it. */
#include "frontends/player.h"

#include "frontends/config.h"
#include "pvblk/fault.h"
#include "pvblk/judge.h"

#include <algorithm>
#include <cstring>

namespace pvblk::conformance
{

namespace
{

constexpr uint64_t kSectors = 8192; /* of 512 bytes: 4 MiB */
/* Places for one call each, in units. Where there is room for it, a call leaves out the first
 * sector: it begins and ends at different places of a page. */
constexpr uint32_t kSizes[] = {1, 8, 32, 100};
constexpr uint64_t kUnit = 4096;
/* Units that are discarded, behind all that is read; the first one is not aligned. */
constexpr uint64_t kDiscarded = 8;

/* Different in each word and each round. */
void fill(std::span<std::byte> data, uint64_t byte, uint32_t round)
{
    for (size_t i = 0; i + 8 <= data.size(); i += 8) {
        uint64_t word = ((byte + i) / 8 + 1) * 0x9e3779b97f4a7c15 + round;
        std::memcpy(&data[i], &word, 8);
    }
}

/* Of a new disk. */
const std::vector<std::byte> &first_content()
{
    static const std::vector<std::byte> kAll = [] {
        std::vector<std::byte> all(kSectors * kSectorSize);
        fill(all, 0, 0);
        return all;
    }();
    return kAll;
}

HubConfig hub_config(const FrontPolicy &policy)
{
    HubConfig h;
    h.grants = BlockFront::wanted_grants(policy);
    h.private_pages = BlockFront::wanted_pages(policy);
    h.disk_sectors = kSectors;
    return h;
}

class Player
{
public:
    Player(const Scenario &s, const PlayedFrontend &frontend)
        : scenario_(s), frontend_(frontend), hub_(hub_config(frontend.policy))
    {
    }
    Facts play();

private:
    bool prepare();
    void use(uint32_t round);
    bool use(const FrontDisk &disk, uint64_t byte, size_t bytes, uint32_t round);
    void flush();
    void discard(const FrontDisk &disk);
    void check_disk(const FrontDisk &disk);
    void check_content();
    void check_end();
    void check_responses();
    void check_grants();
    void amiss(std::string what);
    bool is_honest() const { return scenario_.about.kind != Kind::Hostile; }
    uint64_t bytes() const { return hub_.storage.data.size(); }
    void call(Ended ended, bool ought_to_fail = false);
    bool going() const { return facts_.died.empty() && !facts_.hung && !given_up_; }
    bool idle();
    bool finish_storage();
    void act();
    void comes_back();
    void note_agreed();
    void make_back();
    void make_front();

    const Scenario &scenario_;
    const PlayedFrontend &frontend_;
    LoopbackHub hub_;
    BackConfig config_{};
    BackFaults faults_{};
    BackJudge judge_{faults_.hooks()};
    std::unique_ptr<BlockBack> back_{};
    std::unique_ptr<InProcess> front_{};
    std::vector<std::byte> content_{}; /* that the disk has to have */
    Facts facts_{};
    bool given_up_{false}, plan_over_{false};
};

void Player::make_back()
{
    back_.reset();
    BackPorts ports = hub_.back_ports();
    ports.owner = judge_.owner();
    back_ = std::make_unique<BlockBack>(ports, config_, judge_.hooks());
    hub_.attach(back_.get());
    (void)back_->start();
}

void Player::make_front()
{
    front_ = frontend_.make(hub_);
    front_->idle = [this] { return idle(); };
}

bool Player::prepare()
{
    config_.frontend_path = hub_.config.frontend_path;
    config_.backend_path = hub_.config.backend_path;
    config_.type = "qdisk";
    config_.dev = "xvda";
    config_.params = "aio:disk";
    if (std::string bad = read_config(scenario_.config, config_); !bad.empty()) {
        facts_.trouble = "the loopback has no property like " + bad;
        return false;
    }
    auto plan = FaultPlan::parse(scenario_.plan);
    if (!plan) {
        facts_.trouble = plan.error().what;
        return false;
    }
    for (const auto &[name, value] : frontend_.front_nodes)
        hub_.put_node(hub_.config.frontend_path + "/" + name, value);
    for (const auto &[name, value] : frontend_.back_nodes)
        hub_.put_node(hub_.config.backend_path + "/" + name, value);
    content_ = hub_.storage.data = first_content();
    hub_.storage.defer = scenario_.pace != Pace::AtOnce;
    faults_.obey(std::move(plan.value()));
    make_back();
    make_front();
    return true;
}

/* Nothing is left to deliver, and the frontend waits. */
bool Player::idle()
{
    if (finish_storage())
        return true;
    judge_.look();
    judge_.look();
    if (plan_over_ || scenario_.plan.empty())
        return false;
    /* The backend behaves from now on; what waited for that goes on. */
    plan_over_ = facts_.waited = true;
    facts_.fired = faults_.plan().fired();
    faults_.obey({});
    return true;
}

bool Player::finish_storage()
{
    RamStorage &disk = hub_.storage;
    if (!disk.waiting())
        return false;
    hub_.clock.now += 1'000'000;
    disk.finish(scenario_.pace == Pace::Reversed ? disk.waiting() - 1 : 0);
    return true;
}

void Player::call(Ended ended, bool ought_to_fail)
{
    switch (ended.what) {
    case Ended::Okay: (ought_to_fail ? facts_.wrong : facts_.ok)++; break;
    case Ended::Error: (ought_to_fail ? facts_.ok : facts_.errors)++; break;
    case Ended::Hung: facts_.hung = true; break;
    case Ended::Died: facts_.died = ended.said; break;
    }
    if (ended.what == Ended::Error && !ought_to_fail && facts_.said.empty())
        facts_.said = ended.said;
}

void Player::amiss(std::string what)
{
    if (facts_.amiss.empty())
        facts_.amiss = std::move(what);
}

void Player::check_disk(const FrontDisk &disk)
{
    if (disk.sector_size != config_.sector_size)
        amiss("it shows sectors of " + std::to_string(disk.sector_size) + " bytes");
    if (frontend_.strict && disk.sectors * disk.sector_size != bytes())
        amiss("it shows a disk of " + std::to_string(disk.sectors * disk.sector_size) +
              " bytes, which has " + std::to_string(bytes()));
    if (disk.read_only != config_.read_only)
        amiss(disk.read_only ? "it shows a disk as read-only that is not"
                             : "it shows a read-only disk as writable");
}

/* Writes, flushes, reads back: within the first MiB, and at the end of the disk. */
void Player::use(uint32_t round)
{
    FrontDisk disk = front_->disk();
    uint64_t byte = 0;
    if (going() && is_honest())
        check_disk(disk);
    for (uint32_t size : kSizes) {
        uint64_t skip = size == 1 ? 0 : disk.sector_size;
        if (byte + size * kUnit > disk.sectors * disk.sector_size ||
            !use(disk, byte + skip, size * kUnit - skip, round))
            return;
        byte += size * kUnit;
    }
    if (is_honest() && frontend_.strict) {
        if (!use(disk, bytes() - kUnit, kUnit, round))
            return;
        std::vector<std::byte> beyond(disk.sector_size);
        call(front_->read(disk.sectors, beyond), true);
    }
    if (going() && !config_.read_only)
        discard(disk);
    if (going() && is_honest() && !facts_.errors)
        check_content();
}

/* False: there is nothing more to do. */
bool Player::use(const FrontDisk &disk, uint64_t byte, size_t bytes, uint32_t round)
{
    std::vector<std::byte> data(bytes), back(bytes);
    fill(data, byte, config_.read_only ? 0 : round);
    if (going())
        call(front_->write(byte / disk.sector_size, data), config_.read_only);
    if (byte + bytes <= content_.size() && !config_.read_only)
        std::copy(data.begin(), data.end(), content_.begin() + static_cast<std::ptrdiff_t>(byte));
    if (going() && !config_.read_only)
        flush();
    if (!going())
        return false;
    uint32_t errors = facts_.errors;
    Ended ended = front_->read(byte / disk.sector_size, back);
    if (ended.what == Ended::Okay && back != data && !errors)
        facts_.wrong++;
    else
        call(ended);
    return going();
}

void Player::flush()
{
    uint64_t before = hub_.storage.flushes;
    auto ended = front_->flush();
    if (!ended)
        return;
    bool has_cache = config_.flush || config_.barrier;
    if (ended->what == Ended::Okay && is_honest() && frontend_.strict && has_cache &&
        hub_.storage.flushes == before)
        amiss("it says that it has flushed the disk, and has not");
    call(*ended);
}

void Player::discard(const FrontDisk &disk)
{
    uint64_t from = bytes() / 2 + kUnit, sectors = kDiscarded * kUnit;
    size_t before = hub_.storage.discards.size();
    auto ended = front_->discard(from / disk.sector_size, sectors / disk.sector_size);
    if (!ended)
        return;
    call(*ended);
    if (!is_honest())
        return;
    uint64_t granule =
        parse_decimal(hub_.node(config_.backend_path + "/discard-granularity")).value_or(0);
    if (frontend_.strict && ended->what == Ended::Okay && hub_.storage.discards.size() == before)
        amiss("it says that it has discarded sectors, and has not");
    for (size_t i = before; i < hub_.storage.discards.size(); i++) {
        const RamStorage::Range &r = hub_.storage.discards[i];
        uint64_t at = r.sector * kSectorSize, end = at + r.sectors * kSectorSize;
        if (frontend_.strict && granule && at % granule)
            amiss("it discards from the middle of a granule");
        if (at < from || end > from + sectors)
            return amiss("it discards sectors that nobody asked it to");
        std::fill(content_.begin() + static_cast<std::ptrdiff_t>(at),
                  content_.begin() + static_cast<std::ptrdiff_t>(end), std::byte{});
    }
}

/* All of the disk: also where nobody wrote. */
void Player::check_content()
{
    if (content_ != hub_.storage.data)
        facts_.wrong++;
}

/* The backend asked to close, and there was no other connection since. */
void Player::check_end()
{
    if (judge_.frontend_state() == XenbusState::Connected)
        amiss("it does not follow when the backend asks to close");
    else if (frontend_.strict)
        amiss("it does not come back after the backend has closed");
}

void Player::check_responses()
{
    bool went_on = !facts_.hung && !facts_.waited && !facts_.gave_up && !facts_.errors;
    if (frontend_.strict && scenario_.traits & kShows && facts_.fired && *facts_.fired && went_on)
        amiss("it does not notice a response that is to none of its requests");
}

void Player::check_grants()
{
    const HubOracle &o = hub_.oracle;
    if (!frontend_.strict)
        return;
    if (o.reused_while_mapped)
        amiss("it grants a page again that the backend has mapped");
    if (o.regrants || o.bad_revokes || o.bad_frames)
        amiss("it makes mistakes with its grant table");
    if (o.foreign_writes)
        amiss("it writes nodes that are not its own");
}

void Player::act()
{
    switch (scenario_.act) {
    case Act::None: return;
    case Act::Grow: hub_.storage.data.resize(2 * kSectors * kSectorSize); break;
    case Act::Shrink: hub_.storage.data.resize(kSectors / 2 * kSectorSize); break;
    case Act::Close:
        back_->close();
        hub_.run();
        return;
    }
    content_.resize(bytes());
    back_->resized();
    hub_.run();
}

void Player::note_agreed()
{
    BackPlan plan = back_->plan();
    facts_.agreed = Agreed{plan.queues,
                           plan.ring_pages,
                           plan.persistent,
                           back_->counters().indirect != 0,
                           hub_.storage.flushes != 0,
                           !hub_.storage.discards.empty()};
    FrontDisk disk = front_->disk();
    facts_.shown_bytes = disk.sectors * disk.sector_size;
}

/* An honest backend, and the frontend once more. */
void Player::comes_back()
{
    faults_.obey({});
    hub_.storage.defer = false;
    hub_.storage.data.resize(kSectors * kSectorSize);
    content_ = hub_.storage.data;
    if (back_->state() == XenbusState::Unknown)
        make_back();
    hub_.run();
    plan_over_ = true;
    given_up_ = false;
    Facts first = std::exchange(facts_, {});
    make_front();
    call(front_->start());
    if (going() && !facts_.errors)
        use(3);
    bool good = going() && !facts_.errors && !facts_.wrong && facts_.ok > 4;
    std::string said = facts_.said.empty() ? facts_.amiss : facts_.said;
    good &= facts_.amiss.empty();
    if (going())
        (void)front_->stop();
    facts_ = std::move(first);
    facts_.again = good;
    if (!good)
        facts_.said = said;
}

Facts Player::play()
{
    facts_.id = scenario_.about.id;
    if (!prepare())
        return facts_;
    Ended started = front_->start();
    if (started.what != Ended::Okay)
        call(started);
    hub_.run();
    if (started.what == Ended::Error)
        given_up_ = true;
    if (going())
        use(1);
    if (going()) {
        act();
        use(2);
        if (scenario_.act == Act::Close && judge_.connections() == 1)
            check_end();
    }
    hub_.run();
    facts_.connected = judge_.connections() != 0;
    if (facts_.connected && is_honest() && going())
        note_agreed();
    XenbusState at_end = judge_.frontend_state();
    facts_.gave_up = given_up_ || (facts_.connected && at_end != XenbusState::Connected &&
                                   at_end != XenbusState::Initialised);
    if (facts_.died.empty() && !facts_.hung) {
        Ended stopped = front_->stop();
        facts_.hung = stopped.what == Ended::Hung && scenario_.plan.empty();
        if (stopped.what == Ended::Died)
            facts_.died = stopped.said;
        hub_.run();
        XenbusState s = judge_.frontend_state();
        facts_.closed = !facts_.connected || s == XenbusState::Closed ||
                        s == XenbusState::Initialising || s == XenbusState::Unknown;
        judge_.look();
        judge_.look();
        if (facts_.connected)
            facts_.grants_left = judge_.grants_left();
        check_grants();
    }
    if (!facts_.fired)
        facts_.fired = faults_.plan().fired();
    check_responses();
    note(facts_, judge_);
    bool well = facts_.died.empty() && !facts_.hung;
    front_.reset();
    if (well)
        comes_back();
    front_.reset();
    hub_.detach_back();
    back_.reset();
    return facts_;
}

} // namespace

Facts play(const Scenario &s, const PlayedFrontend &frontend)
{
    using namespace std::chrono;
    auto begun = steady_clock::now();
    Facts f = Player(s, frontend).play();
    f.took = duration_cast<milliseconds>(steady_clock::now() - begun);
    return f;
}

} // namespace pvblk::conformance
