/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: the life cycle. Our state and the waits for the backend's,
 * moved by the table in states.cc. Knows nothing of what a session is made of.
 *
 * A fault is recorded where it is found, and acted on once, by settle(): at the
 * end of a turn of the pump, of a look at the store, or of the owner's call.
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
    /* Leaves the backend in good order for whoever comes next. */
    ~Connection();

    /* See BlockFront. */
    void start();
    void reconnect();
    void stop();
    void store_changed() { look(); }
    void deadline_passed();
    bool pump();
    /* Requests were: the answers to what is in flight of them are awaited. */
    void cancelled();

    FrontState state() const { return state_; }
    /* Broken or Stopped: nothing is accepted. */
    bool over() const { return state_ == FrontState::Broken || state_ == FrontState::Stopped; }
    /* Nothing unless it is Broken. */
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
