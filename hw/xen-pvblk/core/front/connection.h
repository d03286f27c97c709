/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: the life cycle. The table in states.cc moves our state, and the
 * waits for the backend's state. It does not know the parts of a session.
 *
 * A fault is recorded where it is found. settle() acts on it once: at the end of
 * a turn of the pump, of a look at the store, or of the owner's call.
 */
#pragma once

#include "front/complaints.h"
#include "front/deadlines.h"
#include "front/nodes.h"
#include "front/peer.h"
#include "front/session.h"
#include "front/states.h"

namespace pvblk
{

class Connection final : private Permit
{
public:
    Connection(Session &session, FrontNodes &nodes, Clock &clock, FrontOwner &owner,
               Complaints &complaints, const FrontConfig &config);
    /* Leaves the backend in good order for the next frontend. */
    ~Connection();

    /* See BlockFront. */
    void start();
    void reconnect();
    void stop();
    void store_changed() { look(); }
    void deadline_passed();
    bool pump();
    /* Requests were cancelled: wait for the answers to those in flight. */
    void cancelled();

    FrontState state() const { return state_; }
    /* Broken or Stopped: nothing is accepted. */
    bool over() const { return state_ == FrontState::Broken || state_ == FrontState::Stopped; }
    /* Empty unless the state is Broken. */
    const Error &broken() const;

private:
    bool may_send() const override { return state_ == FrontState::Connected; }
    void look();
    bool look_once();
    void step(FrontEvent event);
    void act(FrontAction action, FrontEvent event);
    void begin();
    void publish();
    void attach();
    void drain(FrontEvent event);
    void send(XenbusState state);
    void end();
    void tear_down();
    bool record(const Status &status);
    void settle();
    void wait_for_backend();
    void wait_for_answers();
    void overdue();

    Session &session_;
    FrontNodes &nodes_;
    FrontOwner &owner_;
    Complaints &complaints_;
    const FrontConfig &config_;
    Deadlines deadlines_;
    Peer peer_;
    FrontState state_{FrontState::Idle};
    bool stopping_{false};
    bool looking_{false};
    std::optional<Error> fault_{}; /* until settle() */
    Error broken_{};
};

} // namespace pvblk
