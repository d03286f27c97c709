/* SPDX-License-Identifier: MIT */
/* Layer `back`: from one state to the next. */
#include "back/life.h"

#include "back/config_check.h"
#include "back/front_reader.h"

#include <utility>

namespace pvblk
{

namespace
{

/* Bounds the work for a frontend that changes its state all the time. */
constexpr uint32_t kMaxLooks = 4;

/* A frontend in this state takes no part in a session. */
constexpr bool has_left(XenbusState front)
{
    using S = XenbusState;
    return front == S::Unknown || front == S::Initialising || front == S::Closing ||
           front == S::Closed;
}

} // namespace

BackLife::BackLife(BackPorts ports, BackConfig config, BackHooks *hooks)
    : ports_(ports), config_(std::move(config)), offered_(hooks), nodes_(ports, config_, hooks_),
      rings_(ports, config_, hooks_)
{
    if (offered_)
        offered_->attached(*this);
}

BackLife::~BackLife()
{
    ports_.store.unwatch();
    disconnect();
    if (offered_)
        offered_->ended();
}

void BackLife::ask_hooks()
{
    if (std::exchange(hooks_, offered_))
        return;
    rings_.tell_hooks();
}

/* ---- what its owner asks for ------------------------------------------------ */

Status BackLife::publish()
{
    if (auto possible = check_config(config_); !possible)
        return possible;
    nodes_.ask_toolstack();
    publish_nodes();
    expect_nobody_else();
    set_state(XenbusState::InitWait);
    return Ok{};
}

Status BackLife::watch()
{
    return ports_.store.watch(config_.frontend_path + "/state");
}

void BackLife::close()
{
    expect_nobody_else();
    act(back_action(state_, BackEvent::Close));
}

void BackLife::vanish()
{
    ports_.store.unwatch();
    disappear();
}

void BackLife::disappear()
{
    disconnect();
    state_ = XenbusState::Unknown;
    if (hooks_)
        hooks_->gone();
    nodes_.remove_directory();
}

void BackLife::resized()
{
    if (turn_.busy) {
        turn_.resized = true;
        return;
    }
    turn_.resized = false;
    if (state_ == XenbusState::Unknown)
        return; /* gone, or not there yet: publish() says it all */
    publish_nodes();
    /* blkif.h: how a frontend hears of it. Not where a toolstack says Closing. */
    if (state_ == XenbusState::Connected && nodes_.allows("online"))
        set_state(XenbusState::Connected);
}

/* ---- what happens ------------------------------------------------------------ */

void BackLife::store_changed()
{
    turn_.look = true;
    if (turn_.busy)
        return;
    turn_.busy = true;
    end_turn();
}

void BackLife::later()
{
    if (turn_.busy) {
        turn_.later = true;
        return;
    }
    turn_.busy = true;
    if (hooks_)
        hooks_->later();
    end_turn();
}

/* Does what calls have asked for meanwhile. */
void BackLife::end_turn()
{
    for (uint32_t i = 0; i < kMaxLooks && std::exchange(turn_.look, false); i++)
        look();
    turn_.busy = false;
    if (turn_.resized)
        resized();
    if (std::exchange(turn_.later, false) || turn_.look)
        ports_.events.later();
}

void BackLife::event_received(uint32_t queue)
{
    if (hooks_)
        (void)hooks_->tick("event");
    rings_.event(queue);
}

void BackLife::look()
{
    if (state_ == XenbusState::Unknown)
        return;
    if (hooks_ && hooks_->tick("store"))
        return;
    XenbusState seen = FrontReader(ports_.store, config_).state();
    left_ = left_ || has_left(seen);
    act(back_action(state_, front_event(seen)));
}

/* ---- from one state to the next ------------------------------------------------ */

void BackLife::act(BackAction action)
{
    switch (action) {
    case BackAction::None: break;
    case BackAction::Restart: (void)restart(); break;
    case BackAction::Return: turn_.look |= is_another() && restart(); break;
    case BackAction::Connect: connect(); break;
    case BackAction::Renew: renew(false); break;
    case BackAction::Replace: renew(rings_.used()); break;
    case BackAction::Close: set_state(XenbusState::Closing); break;
    case BackAction::End: end(); break;
    }
}

/* False: the toolstack takes the device away. */
bool BackLife::restart()
{
    if (!nodes_.allows("online"))
        return false;
    disconnect();
    (void)publish();
    return true;
}

void BackLife::connect()
{
    connect(FrontReader(ports_.store, config_).plan());
}

void BackLife::renew(bool replace)
{
    auto plan = FrontReader(ports_.store, config_).plan();
    if (replace || !plan || plan.value() != this->plan() || rings_.stale())
        connect(plan);
}

void BackLife::connect(const Result<BackPlan> &plan)
{
    if (plan && hooks_ && hooks_->connect())
        return;
    disconnect();
    if (!plan)
        return refuse(plan, plan.error());
    remove("error");
    if (auto s = rings_.start(plan.value()); !s)
        return refuse(plan, s.error());
    connects_++;
    expect_nobody_else();
    if (hooks_)
        hooks_->connected();
    publish_nodes();
    set_state(XenbusState::Connected);
    rings_.kick();
}

/* As Linux's blkback does, but that it says why in its own directory. */
void BackLife::refuse(const Result<BackPlan> &plan, const Error &error)
{
    expect_nobody_else();
    refused_ = plan;
    error_ = error;
    connect_failures_++;
    if (ports_.owner)
        ports_.owner->violation(error);
    write("error", sentence(error));
    set_state(XenbusState::Closing);
}

/* Whoever is ready from now on belongs to this session. */
void BackLife::expect_nobody_else()
{
    left_ = false;
    refused_.reset();
}

/* A frontend is ready. A refused one may say so twice, and stays refused. */
bool BackLife::is_another()
{
    if (left_ || !refused_)
        return left_;
    auto plan = FrontReader(ports_.store, config_).plan();
    return plan && (!*refused_ || plan.value() != refused_->value());
}

void BackLife::end()
{
    disconnect();
    set_state(XenbusState::Closed);
    if (hooks_ && hooks_->leaves())
        disappear();
}

void BackLife::set_state(XenbusState state)
{
    XenbusState before = std::exchange(state_, state);
    if (!hooks_ || !hooks_->set_state(before))
        write_state(state);
}

void BackLife::write_state(XenbusState state)
{
    write_state(std::to_string(static_cast<uint32_t>(state)));
}

void BackLife::write_state(std::string_view text)
{
    nodes_.write_state(text);
}

void BackLife::write(std::string_view name, std::string_view value)
{
    nodes_.write(name, value);
}

/* ---- seen from outside ---------------------------------------------------------- */

BackCounters BackLife::counters() const
{
    BackCounters sum;
    sum.connects = connects_;
    sum.connect_failures = connect_failures_;
    rings_.add_to(sum);
    return sum;
}

const Error &BackLife::last_error() const
{
    const BackQueue *halted = rings_.halted();
    return halted ? halted->error() : error_;
}

} // namespace pvblk
