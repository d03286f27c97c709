/* SPDX-License-Identifier: MIT */
/* Layer `front`: what the actions of the table in states.cc do. */
#include "front/connection.h"

namespace pvblk
{

namespace
{

/* A hostile backend may flap for ever: bound the cost of each event. */
constexpr uint32_t kMaxSteps = 8;

} // namespace

Connection::Connection(Session &session, FrontNodes &nodes, Clock &clock, FrontOwner &owner,
                       Complaints &complaints, const FrontConfig &config)
    : session_(session), nodes_(nodes), owner_(owner), complaints_(complaints), config_(config),
      deadlines_(clock), peer_(nodes, session, deadlines_)
{
}

Connection::~Connection()
{
    nodes_.unwatch();
    if (state_ != FrontState::Idle && state_ != FrontState::Stopped)
        nodes_.write_state(XenbusState::Closed);
    tear_down();
}

/* ---- the owner's calls ------------------------------------------------------ */

void Connection::start()
{
    if (record(peer_.watch())) {
        stopping_ = false;
        step(FrontEvent::Start);
    }
    settle();
}

void Connection::reconnect()
{
    /* It may be Broken because the watch failed. */
    if (state_ != FrontState::Broken || record(peer_.watch())) {
        stopping_ = false;
        step(FrontEvent::Reconnect);
    }
    settle();
}

void Connection::stop()
{
    stopping_ = true;
    step(FrontEvent::Stop);
}

bool Connection::pump()
{
    Turn turn = session_.turn(*this);
    if (turn.fault)
        record(*turn.fault);
    settle();
    if (state_ == FrontState::Draining && !session_.in_flight())
        step(FrontEvent::Drained);
    wait_for_answers();
    session_.end_batch();
    return turn.progress;
}

void Connection::cancelled()
{
    if (session_.orphans())
        deadlines_.start(Wait::Orphans, config_.handshake_timeout_ns);
    wait_for_answers();
}

void Connection::deadline_passed()
{
    auto wait = deadlines_.passed();
    if (wait == Wait::Handshake) {
        step(FrontEvent::Deadline);
    } else if (wait == Wait::Nodes) {
        peer_.settled();
        look();
    } else if (wait == Wait::Orphans) {
        /* New requests wait for it, and it does not come: start over. The
         * second step says not to wait for what is in flight. */
        step(FrontEvent::Reconnect);
        if (state_ == FrontState::Draining)
            step(FrontEvent::Reconnect);
    } else if (wait == Wait::Requests) {
        overdue();
    }
    wait_for_answers();
}

/* The oldest request is overdue, or the deadline moves to when it will be. */
void Connection::overdue()
{
    int64_t now = deadlines_.now_ns();
    int64_t age = now - session_.oldest_ns(now);
    if (age < config_.request_timeout_ns) {
        deadlines_.set(Wait::Requests, now - age + config_.request_timeout_ns);
        return;
    }
    record(Error{ErrorKind::TimedOut, "ring:answer", "the backend did not answer a request in time",
                 static_cast<uint64_t>(age)});
    settle();
}

/* ---- states ----------------------------------------------------------------- */

/* Read the backend's state and follow it, as long as that moves us. */
void Connection::look()
{
    if (looking_ || state_ == FrontState::Idle || state_ == FrontState::Stopped)
        return;
    looking_ = true;
    for (uint32_t i = 0; i < kMaxSteps && look_once(); i++)
        ;
    looking_ = false;
}

/* Whether another look may find more. */
bool Connection::look_once()
{
    auto seen = nodes_.backend_state();
    if (!seen) {
        record(seen.error());
        settle();
        return false;
    }
    owner_.trace(TraceBackend{seen.value()});
    FrontState before = state_;
    bool waiting = before == FrontState::WaitInit || before == FrontState::Lost;
    step(back_event(peer_.interpret(seen.value(), waiting)));
    settle();
    return state_ != before;
}

void Connection::step(FrontEvent event)
{
    FrontState before = state_;
    FrontStep next = front_step(state_, event, stopping_);
    state_ = next.next;
    if (before != state_)
        owner_.trace(TraceState{before, event, state_});
    if (event == FrontEvent::Deadline && next.action == FrontAction::Break)
        broken_ = {ErrorKind::TimedOut, "xenbus:deadline",
                   "the backend did not follow within the handshake timeout", 0};
    else if (next.action == FrontAction::Break && event != FrontEvent::Violation)
        broken_ = {ErrorKind::PeerViolation, "xenbus:state",
                   "the backend closed while we were connecting", static_cast<uint64_t>(event)};
    act(next.action, event);
}

void Connection::act(FrontAction action, FrontEvent event)
{
    switch (action) {
    case FrontAction::None: break;
    case FrontAction::Begin: begin(); break;
    case FrontAction::Publish: publish(); break;
    case FrontAction::Attach: attach(); break;
    case FrontAction::Refresh: record(session_.refresh()); break;
    case FrontAction::Drain: drain(event); break;
    case FrontAction::SendClosing: send(XenbusState::Closing); break;
    case FrontAction::SendClosed:
        peer_.session_over();
        send(XenbusState::Closed);
        break;
    case FrontAction::Restart:
        tear_down();
        begin();
        break;
    case FrontAction::Lose:
        /* Nothing is written: the backend's toolstack may have removed our
         * directory, and a node would bring back a piece of it. */
        tear_down();
        wait_for_backend();
        break;
    case FrontAction::Break: complaints_.broken(broken_); [[fallthrough]];
    case FrontAction::End: end(); break;
    }
}

/* Over a live backend the old session is closed first (rule 1); writing
 * Initialising under it would go unheard. */
void Connection::begin()
{
    broken_ = {};
    wait_for_backend();
    if (!peer_.in_old_session())
        nodes_.write_state(XenbusState::Initialising);
    look();
}

/* Negotiate, set up rings and event channels, tell the backend. */
void Connection::publish()
{
    tear_down();
    peer_.session_begins();
    if (record(session_.publish()))
        nodes_.write_state(XenbusState::Initialised);
}

/* Connected means that the backend's nodes are final: read them again. */
void Connection::attach()
{
    if (!record(session_.attach()))
        return;
    deadlines_.stop(Wait::Handshake);
    nodes_.write_state(XenbusState::Connected);
    pump();
}

void Connection::drain(FrontEvent event)
{
    /* A slow disk may take its time, a backend that leaves may not. */
    if (event == FrontEvent::BackClosing)
        wait_for_backend();
    if (!session_.in_flight())
        step(FrontEvent::Drained);
}

void Connection::send(XenbusState state)
{
    nodes_.write_state(state);
    wait_for_backend();
    look();
}

void Connection::end()
{
    peer_.session_begins(); /* we do not look any more */
    tear_down();
    deadlines_.stop(Wait::Handshake);
    nodes_.write_state(XenbusState::Closed);
    session_.fail_all();
}

void Connection::tear_down()
{
    peer_.unsettle();
    session_.tear_down(over());
    wait_for_answers();
}

/* ---- faults and waits ------------------------------------------------------- */

/* Returns whether the status is Ok. */
bool Connection::record(const Status &status)
{
    if (!status && !fault_)
        fault_ = status.error();
    return status.ok();
}

/* The peer broke a rule: sticky, until a reconnect. */
const Error &Connection::broken() const
{
    static constexpr Error kNothing{};
    return state_ == FrontState::Broken ? broken_ : kNothing;
}

void Connection::settle()
{
    if (!fault_)
        return;
    broken_ = *fault_;
    fault_.reset();
    complaints_.violation(broken_);
    step(FrontEvent::Violation);
}

/* One deadline covers the whole handshake: a backend that keeps changing its
 * state does not get more time by it. */
void Connection::wait_for_backend()
{
    deadlines_.start(Wait::Handshake, config_.handshake_timeout_ns);
}

/* Scan for the oldest request only when this deadline fires. */
void Connection::wait_for_answers()
{
    if (!session_.orphans())
        deadlines_.stop(Wait::Orphans);
    if (config_.request_timeout_ns <= 0 || !session_.in_flight())
        deadlines_.stop(Wait::Requests);
    else
        deadlines_.start(Wait::Requests, config_.request_timeout_ns);
}

} // namespace pvblk
