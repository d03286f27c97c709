/* SPDX-License-Identifier: MIT */
/*
 * The frontend's table of (state, event) → (state, action).
 * Rows follow rules 1, 2 and 5 of a robust frontend: never start over a live
 * backend, a deadline on every wait, and no state is taken for another one
 * because its number is larger.
 */
#include "front/states.h"

#include <array>

namespace pvblk
{

namespace
{

using S = FrontState;
using E = FrontEvent;
using A = FrontAction;
using Row = std::array<FrontStep, kFrontEvents>;
using Table = std::array<Row, kFrontStates>;

constexpr uint32_t at(S s)
{
    return static_cast<uint32_t>(s);
}
constexpr uint32_t at(E e)
{
    return static_cast<uint32_t>(e);
}

/* What holds in a state unless the table says otherwise: nothing happens;
 * a violation or a passed deadline breaks. */
constexpr Row stay(S s)
{
    Row row{};
    for (auto &step : row)
        step = {s, A::None};
    row[at(E::Violation)] = {S::Broken, A::Break};
    row[at(E::Deadline)] = {S::Broken, A::Break};
    return row;
}

constexpr Table make_table()
{
    Table t{};
    for (uint32_t s = 0; s < kFrontStates; s++)
        t[s] = stay(static_cast<S>(s));
    auto set = [&t](S s, E e, S next, A action) { t[at(s)][at(e)] = {next, action}; };

    set(S::Idle, E::Start, S::WaitInit, A::Begin);
    set(S::Idle, E::Deadline, S::Idle, A::None);
    set(S::Idle, E::Stop, S::Stopped, A::End);

    /* A backend that is Initialised, Connected or Closing here belongs to a
     * session before ours (a frontend that died): hand-off first. */
    set(S::WaitInit, E::BackInitWait, S::Connecting, A::Publish);
    for (E e : {E::BackInitialised, E::BackConnected, E::BackClosing})
        set(S::WaitInit, e, S::Closing, A::SendClosing);
    set(S::WaitInit, E::Stop, S::Stopped, A::End);
    set(S::WaitInit, E::Reconnect, S::WaitInit, A::Begin);

    set(S::Connecting, E::BackConnected, S::Connected, A::Attach);
    for (E e : {E::BackClosing, E::BackClosed})
        set(S::Connecting, e, S::Broken, A::Break);
    set(S::Connecting, E::BackUnknown, S::Lost, A::Lose);
    set(S::Connecting, E::Stop, S::Closing, A::SendClosing);
    set(S::Connecting, E::Reconnect, S::Closing, A::SendClosing);

    set(S::Connected, E::BackConnected, S::Connected, A::Refresh);
    set(S::Connected, E::BackClosing, S::Draining, A::Drain);
    set(S::Connected, E::BackClosed, S::Closed, A::SendClosed);
    set(S::Connected, E::BackUnknown, S::Lost, A::Lose);
    /* The backend started over without closing: the ring is dead. */
    for (E e : {E::BackInitialising, E::BackInitWait, E::BackInitialised})
        set(S::Connected, e, S::WaitInit, A::Restart);
    set(S::Connected, E::Stop, S::Draining, A::Drain);
    set(S::Connected, E::Reconnect, S::Draining, A::Drain);

    set(S::Draining, E::Drained, S::Closing, A::SendClosing);
    set(S::Draining, E::BackClosing, S::Draining, A::Drain);
    /* Asked twice: do not wait for what is in flight. */
    set(S::Draining, E::Reconnect, S::Closing, A::SendClosing);
    set(S::Draining, E::Deadline, S::Closing, A::SendClosing);
    set(S::Draining, E::BackClosed, S::Closed, A::SendClosed);
    set(S::Draining, E::BackUnknown, S::Lost, A::Lose);
    for (E e : {E::BackInitialising, E::BackInitWait, E::BackInitialised})
        set(S::Draining, e, S::WaitInit, A::Restart);

    for (E e : {E::BackClosing, E::BackClosed})
        set(S::Closing, e, S::Closed, A::SendClosed);
    set(S::Closing, E::BackUnknown, S::Lost, A::Lose);

    /* InitWait, or past it: the backend saw our Closed, and is ready for the next. */
    for (E e : {E::BackClosed, E::BackInitWait, E::BackInitialised})
        set(S::Closed, e, S::WaitInit, A::Restart);
    set(S::Closed, E::BackUnknown, S::Lost, A::Lose);

    set(S::Lost, E::BackInitWait, S::Connecting, A::Publish);
    for (E e : {E::BackInitialised, E::BackConnected, E::BackClosing})
        set(S::Lost, e, S::Closing, A::SendClosing);
    /* It waits for our Initialising, which we have not written yet. */
    set(S::Lost, E::BackClosed, S::WaitInit, A::Restart);
    set(S::Lost, E::Stop, S::Stopped, A::End);
    set(S::Lost, E::Reconnect, S::WaitInit, A::Begin);

    set(S::Broken, E::Violation, S::Broken, A::None);
    set(S::Broken, E::Deadline, S::Broken, A::None);
    set(S::Broken, E::Reconnect, S::WaitInit, A::Begin);
    set(S::Broken, E::Start, S::WaitInit, A::Begin);
    set(S::Broken, E::Stop, S::Stopped, A::End);

    set(S::Stopped, E::Violation, S::Stopped, A::None);
    set(S::Stopped, E::Deadline, S::Stopped, A::None);
    set(S::Stopped, E::Start, S::WaitInit, A::Begin);
    return t;
}

constexpr Table kTable = make_table();

} // namespace

FrontStep front_step(FrontState state, FrontEvent event, bool stopping)
{
    FrontStep step = kTable[at(state)][at(event)];
    if (!stopping)
        return step;
    /* Closing for good: where the table would start over, or would wait for
     * a backend, end instead; a peer that does not follow changes nothing. */
    bool closing = state == S::Draining || state == S::Closing || state == S::Closed;
    if (closing && (step.action == A::Restart || step.action == A::Lose || step.action == A::Break))
        return {S::Stopped, A::End};
    return step;
}

const char *front_state_name(FrontState s)
{
    static constexpr const char *names[kFrontStates] = {
        "idle",    "wait-init", "connecting", "connected", "draining",
        "closing", "closed",    "lost",       "broken",    "stopped"};
    return names[at(s)];
}

const char *front_event_name(FrontEvent e)
{
    static constexpr const char *names[kFrontEvents] = {"back-unknown",
                                                        "back-initialising",
                                                        "back-init-wait",
                                                        "back-initialised",
                                                        "back-connected",
                                                        "back-closing",
                                                        "back-closed",
                                                        "back-reconfiguring",
                                                        "back-reconfigured",
                                                        "drained",
                                                        "deadline",
                                                        "violation",
                                                        "start",
                                                        "reconnect",
                                                        "stop"};
    return names[at(e)];
}

const char *front_action_name(FrontAction a)
{
    static constexpr const char *names[] = {"none",    "begin", "publish",      "attach",
                                            "refresh", "drain", "send-closing", "send-closed",
                                            "restart", "lose",  "end",          "break"};
    return names[static_cast<uint32_t>(a)];
}

} // namespace pvblk
