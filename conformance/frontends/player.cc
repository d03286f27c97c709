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
/* Of one call: in sectors of 4096 bytes, so that each disk can have them. */
constexpr uint32_t kSizes[] = {1, 8, 32, 100};
constexpr uint64_t kUnit = 4096;

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
    void call(Ended ended, bool ought_to_fail = false);
    bool going() const { return facts_.died.empty() && !facts_.hung && !given_up_; }
    bool idle();
    bool finish_storage();
    void act();
    void comes_back();
    void make_back();

    const Scenario &scenario_;
    const PlayedFrontend &frontend_;
    LoopbackHub hub_;
    BackConfig config_{};
    BackFaults faults_{};
    BackJudge judge_{faults_.hooks()};
    std::unique_ptr<BlockBack> back_{};
    std::unique_ptr<InProcess> front_{};
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
    hub_.storage.data = first_content();
    hub_.storage.defer = scenario_.pace != Pace::AtOnce;
    faults_.obey(std::move(plan.value()));
    make_back();
    front_ = frontend_.make(hub_);
    front_->idle = [this] { return idle(); };
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

/* Writes, flushes, reads back. Everything lies within the first MiB. */
void Player::use(uint32_t round)
{
    FrontDisk disk = front_->disk();
    std::vector<std::byte> data, back;
    uint64_t byte = 0;
    for (uint32_t size : kSizes) {
        data.resize(size * kUnit);
        back.assign(data.size(), std::byte{});
        uint64_t sector = byte / disk.sector_size;
        if (byte + data.size() > disk.sectors * disk.sector_size)
            return;
        fill(data, byte, config_.read_only ? 0 : round);
        if (going())
            call(front_->write(sector, data), config_.read_only);
        if (going() && !config_.read_only)
            if (auto ended = front_->flush())
                call(*ended);
        if (!going())
            return;
        uint32_t errors = facts_.errors;
        Ended ended = front_->read(sector, back);
        if (ended.what == Ended::Okay && back != data && !errors)
            facts_.wrong++;
        else
            call(ended);
        byte += data.size();
    }
    if (!going() || config_.read_only)
        return;
    /* Behind all that is read. */
    if (auto ended = front_->discard(disk.sectors / 2, kUnit / disk.sector_size))
        call(*ended);
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
    back_->resized();
    hub_.run();
}

/* An honest backend, and the frontend once more. */
void Player::comes_back()
{
    faults_.obey({});
    hub_.storage.defer = false;
    hub_.storage.data.resize(kSectors * kSectorSize);
    if (back_->state() == XenbusState::Unknown)
        make_back();
    hub_.run();
    plan_over_ = true;
    given_up_ = false;
    Facts first = std::exchange(facts_, {});
    front_ = frontend_.make(hub_);
    front_->idle = [this] { return idle(); };
    call(front_->start());
    if (going() && !facts_.errors)
        use(3);
    bool good = going() && !facts_.errors && !facts_.wrong && facts_.ok > 4;
    std::string said = facts_.said;
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
    }
    hub_.run();
    facts_.connected = judge_.connections() != 0;
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
    }
    if (!facts_.fired)
        facts_.fired = faults_.plan().fired();
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
    return Player(s, frontend).play();
}

} // namespace pvblk::conformance
