/* SPDX-License-Identifier: MIT */
/*
 * Cases: the frontend's states. Each state that a frontend can be in is followed
 * by each that it can write. An ID says both: state/closing/connected is a
 * frontend that was Closing, and so was its backend, and writes Connected.
 *
 * The text has the way from Initialising to Connected, and two short cuts. All
 * else is silence: a backend may go on, or leave the connection. But if it is
 * Connected then it serves, and it has to be there for the next frontend.
 */
#include "cases/cases.h"

#include <algorithm>

namespace pvblk::conformance
{

namespace
{

using S = XenbusState;

void is_in(Bench &b, const std::string &expected, std::initializer_list<S> states)
{
    bool good = b.wait_for(states);
    b.expect(good, expected,
             std::string("its state is ") + xenbus_state_name(b.front.their_state()));
    b.saw(xenbus_state_name(b.front.their_state()));
}

/* After it had time to act. */
void is_not_connected(Bench &b)
{
    b.pause();
    S state = b.front.their_state();
    b.expect(state != S::Connected, "the backend does not connect", "it is Connected");
    b.saw(xenbus_state_name(state));
}

void is_served(Bench &b)
{
    b.write(0);
    b.read(0);
}

/* ---- from Initialising: the backend is in InitWait --------------------------------- */

/* Honest rings and nodes, but no honest state. */
void ready_but(Bench &b, const std::string &state)
{
    if (b.make_rings())
        b.front.node("state", state);
    is_not_connected(b);
}

void ready_but(Bench &b, S state)
{
    ready_but(b, std::to_string(static_cast<int>(state)));
}

/* A state that a lenient reader may take for Initialised. */
void perhaps_initialised(Bench &b, const std::string &state)
{
    if (b.make_rings())
        b.front.node("state", state);
    b.pause();
    if (b.front.their_state() == S::Connected && b.finish_connect(S::Connected))
        is_served(b);
    b.saw(xenbus_state_name(b.front.their_state()));
}

void initialising_again(Bench &b)
{
    b.front.state(S::Initialising);
    b.pause();
    b.connect();
    is_served(b);
}

void initialised(Bench &b)
{
    b.connect();
    is_served(b);
}

void initialised_twice(Bench &b)
{
    if (b.make_rings())
        b.front.state(S::Initialised);
    b.finish_connect(S::Initialised);
    is_served(b);
}

void connected_at_once(Bench &b)
{
    if (b.make_rings())
        b.finish_connect(S::Connected);
    is_served(b);
}

void without_nodes(Bench &b, S state)
{
    b.front.state(state);
    is_not_connected(b);
}

void request_before_our_connected(Bench &b)
{
    if (b.make_rings())
        b.front.state(S::Initialised);
    is_in(b, "the backend connects", {S::Connected});
    b.expect(b.ask(b.request(Op::Read, 0)), {{Outcome::Okay, "xenbus:waits"}});
    b.finish_connect(S::Connected);
}

void request_before_their_connected(Bench &b)
{
    if (!b.make_rings())
        return;
    WireRequest r = b.request(Op::Read, 0);
    b.send(r);
    b.finish_connect();
    b.expect(b.answer(r), {{Outcome::Okay, "xenbus:waits"}});
}

void leaves_init_wait(Bench &b, S state)
{
    b.front.state(state);
    b.pause();
    is_in(b, "the backend waits or closes", {S::InitWait, S::Closing, S::Closed});
}

/* ---- from Connected ------------------------------------------------------------------ */

void leaves_connected(Bench &b, const std::string &state)
{
    b.front.node("state", state);
    b.serve_or_leave();
}

void leaves_connected(Bench &b, S state)
{
    leaves_connected(b, std::to_string(static_cast<int>(state)));
}

void connected_again(Bench &b)
{
    b.expect(b.ask(b.request(Op::Read, 0)), {{Outcome::Okay, "blkif:op"}});
    std::fill_n(b.page(0), kPageSize, std::byte{});
    b.front.state(S::Connected);
    b.pause();
    bool none =
        std::all_of(b.page(0), b.page(0) + kPageSize, [](std::byte x) { return x == std::byte{}; });
    b.expect(none, "no request is done twice", "the READ was done again");
    b.read(0);
}

void another_frontend(Bench &b)
{
    b.read(0);
    b.front.drop_rings();
    if (b.make_rings())
        b.front.state(S::Initialised);
    b.pause();
    b.saw(outcome_name(b.ask(b.request(Op::Read, 0)).outcome));
}

void all_nodes_go(Bench &b)
{
    b.front.forget_nodes();
    b.front.remove("state");
    b.serve_or_leave();
}

void at_once(Bench &b)
{
    for (S s : {S::Closing, S::Closed, S::Initialising})
        b.front.state(s);
    b.serve_or_leave();
}

/* ---- from Closing and from Closed ------------------------------------------------------ */

void closing(Bench &b)
{
    b.front.state(S::Closing);
    is_in(b, "the backend follows", {S::Closing, S::Closed});
}

void from_closing(Bench &b, S state)
{
    closing(b);
    b.front.state(state);
    b.serve_or_leave();
}

void closed(Bench &b)
{
    b.arrives(b.close(), "the backend follows");
}

void from_closed(Bench &b, S state)
{
    closed(b);
    b.front.state(state);
    is_not_connected(b);
}

/* Ready again, without a look at the backend's InitWait. */
void ready_from_closed(Bench &b, S state)
{
    closed(b);
    if (b.make_rings() && b.try_connect(state))
        is_served(b);
    b.saw(xenbus_state_name(b.front.their_state()));
}

/* ---- a frontend that is refused ---------------------------------------------------------- */

void be_refused(Bench &b)
{
    if (b.make_rings())
        b.front.node("ring-ref", "");
    b.expect(!b.try_connect(), "the backend does not connect", "it is Connected");
}

void refusal_is_told(Bench &b)
{
    be_refused(b);
    is_in(b, "the backend closes", {S::Closing, S::Closed});
}

void refused_twice(Bench &b)
{
    be_refused(b);
    b.front.state(S::Initialised);
    is_not_connected(b);
}

void refused_then_right(Bench &b)
{
    be_refused(b);
    b.front.node("ring-ref", std::to_string(b.front.ring_page().ref.value));
    if (b.try_connect())
        is_served(b);
    b.saw(xenbus_state_name(b.front.their_state()));
}

void refused_then_another(Bench &b)
{
    be_refused(b);
    b.arrives(b.begin(), "the backend waits for the next frontend");
    b.connect();
    is_served(b);
    auto error = b.front.theirs("error");
    b.expect(!error || error->empty(), "no error is left of the refused frontend",
             error.value_or(""));
}

/* ---- many sessions ------------------------------------------------------------------------- */

void eight_sessions(Bench &b)
{
    for (uint32_t i = 0; i < 8; i++) {
        is_served(b);
        b.arrives(b.reconnect(), "the backend connects again");
    }
}

void flapping(Bench &b)
{
    if (!b.make_rings())
        return;
    for (uint32_t i = 0; i < 16; i++)
        b.front.state(i % 2 ? S::Closing : S::Initialised);
    b.pause();
    b.saw(xenbus_state_name(b.front.their_state()));
}

constexpr auto kMust = Level::Must;
constexpr auto kPractice = Level::Practice;
constexpr auto kValid = Kind::Valid;
constexpr auto kHostile = Kind::Hostile;
constexpr auto kWaiting = Start::Waiting;
constexpr auto kReconnects = After::Reconnects;
constexpr auto kMayEnd = After::MayEnd;

constexpr Case kCases[] = {
    /* ---- from Initialising */
    {"state/initialising/unknown", "xenbus:state", kPractice, kHostile,
     "A frontend that is ready, but in state Unknown, is not connected.",
     [](Bench &b) { ready_but(b, S::Unknown); }, kNothing, kPlain, kWaiting, kMayEnd},
    {"state/initialising/initialising", "xenbus:initialising", kPractice, kValid,
     "A frontend that writes Initialising twice connects.", initialising_again, kNothing, kPlain,
     kWaiting},
    {"state/initialising/init-wait", "xenbus:states", kPractice, kHostile,
     "A frontend that is ready, but in InitWait, is not connected.",
     [](Bench &b) { ready_but(b, S::InitWait); }, kNothing, kPlain, kWaiting, kReconnects},
    {"state/initialising/initialised", "xenbus:states", kMust, kValid,
     "A frontend that is Initialised is connected.", initialised, kNothing, kAllAxes, kWaiting},
    {"state/initialising/connected", "xenbus:skip-front", kPractice, kValid,
     "A frontend that skips Initialised, and is Connected at once, is connected.",
     connected_at_once, kNothing, kPlain, kWaiting},
    {"state/initialising/closing", "xenbus:closing", kPractice, kHostile,
     "A frontend may be Closing before it was anything else.",
     [](Bench &b) { leaves_init_wait(b, S::Closing); }, kNothing, kPlain, kWaiting, kReconnects},
    {"state/initialising/closed", "xenbus:closing", kPractice, kHostile,
     "A frontend may be Closed before it was anything else.",
     [](Bench &b) { leaves_init_wait(b, S::Closed); }, kNothing, kPlain, kWaiting, kReconnects},
    {"state/initialising/reconfiguring", "xenbus:reconfiguring", kPractice, kHostile,
     "A frontend that is ready, but Reconfiguring, is not connected.",
     [](Bench &b) { ready_but(b, S::Reconfiguring); }, kNothing, kPlain, kWaiting, kReconnects},
    {"state/initialising/reconfigured", "xenbus:reconfiguring", kPractice, kHostile,
     "A frontend that is ready, but Reconfigured, is not connected.",
     [](Bench &b) { ready_but(b, S::Reconfigured); }, kNothing, kPlain, kWaiting, kReconnects},
    {"state/initialising/nine", "xenbus:state", kPractice, Kind::Boundary,
     "A frontend that is ready, but in state 9, which does not exist, is not connected.",
     [](Bench &b) { ready_but(b, "9"); }, kNothing, kPlain, kWaiting, kReconnects},
    {"state/initialising/text", "xenbus:state", kPractice, kHostile,
     "A frontend that is ready, but whose state is a word, is not connected.",
     [](Bench &b) { ready_but(b, "Initialised"); }, kNothing, kPlain, kWaiting, kMayEnd},
    {"state/initialising/empty", "xenbus:state", kPractice, kHostile,
     "A frontend that is ready, but whose state is empty, is not connected.",
     [](Bench &b) { ready_but(b, ""); }, kNothing, kPlain, kWaiting, kMayEnd},
    {"state/initialising/long-text", "xenbus:state", kPractice, kHostile,
     "A frontend that is ready, but whose state has 1000 letters, is not connected.",
     [](Bench &b) { ready_but(b, std::string(1000, 'x')); }, kNothing, kPlain, kWaiting, kMayEnd},
    {"state/initialising/negative", "xenbus:state", kPractice, kHostile,
     "A frontend that is ready, but in state -1, is not connected.",
     [](Bench &b) { ready_but(b, "-1"); }, kNothing, kPlain, kWaiting, kReconnects},
    {"state/initialising/removed", "xenbus:state", kPractice, kHostile,
     "A frontend that is ready, but has no state, is not connected.",
     [](Bench &b) {
         if (b.make_rings())
             b.front.remove("state");
         is_not_connected(b);
     },
     kNothing, kPlain, kWaiting, kMayEnd},
    {"state/initialising/leading-zero", "xenbus:decimal", kPractice, kHostile,
     "If a backend connects for state 03, it serves.",
     [](Bench &b) { perhaps_initialised(b, "03"); }, kNothing, kPlain, kWaiting, kReconnects},
    {"state/initialising/plus-sign", "xenbus:decimal", kPractice, kHostile,
     "If a backend connects for state +3, it serves.",
     [](Bench &b) { perhaps_initialised(b, "+3"); }, kNothing, kPlain, kWaiting, kMayEnd},
    {"state/initialising/beyond-32-bits", "xenbus:decimal", kPractice, Kind::Boundary,
     "If a backend connects for state 2^32+3, it serves.",
     [](Bench &b) { perhaps_initialised(b, "4294967299"); }, kNothing, kPlain, kWaiting, kMayEnd},
    {"state/initialising/initialised-without-nodes", "xenbus:nodes", kMust, kHostile,
     "A frontend that is Initialised, but has no nodes, is not connected.",
     [](Bench &b) { without_nodes(b, S::Initialised); }, kNothing, kPlain, kWaiting, kReconnects},
    {"state/initialising/connected-without-nodes", "xenbus:nodes", kMust, kHostile,
     "A frontend that is Connected, but has no nodes, is not connected.",
     [](Bench &b) { without_nodes(b, S::Connected); }, kNothing, kPlain, kWaiting, kReconnects},
    {"state/initialised/initialised", "xenbus:states", kPractice, kValid,
     "A frontend that writes Initialised twice is connected.", initialised_twice, kNothing, kPlain,
     kWaiting},
    {"state/initialised/request", "xenbus:waits", kPractice, kValid,
     "A backend that is Connected serves a frontend that is still Initialised.",
     request_before_our_connected, kNothing, kPlain, kWaiting},
    {"state/initialised/request-before", "xenbus:waits", kPractice, kValid,
     "A request that is on the ring before the backend connects is answered.",
     request_before_their_connected, kNothing, kAllAxes, kWaiting},

    /* ---- from Connected */
    {"state/connected/unknown", "xenbus:state", kPractice, kHostile,
     "If the frontend's state becomes Unknown, the backend serves or leaves.",
     [](Bench &b) { leaves_connected(b, S::Unknown); }, kNothing, kPlain, Start::Connected,
     kMayEnd},
    {"state/connected/initialising", "xenbus:crash", kPractice, kHostile,
     "If the frontend starts over without a word, the backend serves or leaves.",
     [](Bench &b) { leaves_connected(b, S::Initialising); }, kNothing, kPlain, Start::Connected,
     kReconnects},
    {"state/connected/init-wait", "xenbus:states", kPractice, kHostile,
     "If the frontend's state becomes InitWait, the backend serves or leaves.",
     [](Bench &b) { leaves_connected(b, S::InitWait); }, kNothing, kPlain, Start::Connected,
     kReconnects},
    {"state/connected/initialised", "xenbus:states", kPractice, kHostile,
     "If the frontend goes back to Initialised, the backend serves or leaves.",
     [](Bench &b) { leaves_connected(b, S::Initialised); }, kNothing, kPlain, Start::Connected,
     kReconnects},
    {"state/connected/connected", "xenbus:reread", kPractice, kValid,
     "A frontend that writes Connected twice keeps its connection.", connected_again},
    {"state/connected/closing", "xenbus:closing", kPractice, kValid,
     "If the frontend is Closing, its backend follows.", closing, kNothing, kAllAxes,
     Start::Connected, kReconnects},
    {"state/connected/closed", "xenbus:closing", kPractice, kHostile,
     "If the frontend is Closed without Closing, its backend closes.",
     [](Bench &b) {
         b.front.state(S::Closed);
         is_in(b, "the backend closes", {S::Closing, S::Closed, S::InitWait});
     },
     kNothing, kPlain, Start::Connected, kReconnects},
    {"state/connected/reconfiguring", "xenbus:reconfiguring", kPractice, kHostile,
     "If the frontend is Reconfiguring, the backend serves or leaves.",
     [](Bench &b) { leaves_connected(b, S::Reconfiguring); }, kNothing, kPlain, Start::Connected,
     kReconnects},
    {"state/connected/reconfigured", "xenbus:reconfiguring", kPractice, kHostile,
     "If the frontend is Reconfigured, the backend serves or leaves.",
     [](Bench &b) { leaves_connected(b, S::Reconfigured); }, kNothing, kPlain, Start::Connected,
     kReconnects},
    {"state/connected/nine", "xenbus:state", kPractice, Kind::Boundary,
     "If the frontend's state becomes 9, which does not exist, the backend serves or leaves.",
     [](Bench &b) { leaves_connected(b, "9"); }, kNothing, kPlain, Start::Connected, kReconnects},
    {"state/connected/text", "xenbus:state", kPractice, kHostile,
     "If the frontend's state becomes a word, the backend serves or leaves.",
     [](Bench &b) { leaves_connected(b, "Connected"); }, kNothing, kPlain, Start::Connected,
     kMayEnd},
    {"state/connected/empty", "xenbus:state", kPractice, kHostile,
     "If the frontend's state becomes empty, the backend serves or leaves.",
     [](Bench &b) { leaves_connected(b, ""); }, kNothing, kPlain, Start::Connected, kMayEnd},
    {"state/connected/removed", "xenbus:state", kPractice, kHostile,
     "If the frontend's state is removed, the backend serves or leaves.",
     [](Bench &b) {
         b.front.remove("state");
         b.serve_or_leave();
     },
     kNothing, kPlain, Start::Connected, kMayEnd},
    {"state/connected/all-nodes-go", "xenbus:state", kPractice, kHostile,
     "If all nodes of the frontend are removed, the backend serves or leaves.", all_nodes_go,
     kNothing, kPlain, Start::Connected, kMayEnd},
    {"state/connected/another-frontend", "xenbus:crash", Level::May, kHostile,
     "Another frontend, with rings of its own, may take over without Closing.", another_frontend,
     kNothing, kPlain, Start::Connected, kReconnects},
    {"state/connected/all-at-once", "xenbus:skip-tolerate", kPractice, kHostile,
     "If the frontend writes Closing, Closed and Initialising at once, the backend serves or "
     "leaves.",
     at_once, kNothing, kPlain, Start::Connected, kReconnects},

    /* ---- from Closing */
    {"state/closing/unknown", "xenbus:state", kPractice, kHostile,
     "If a Closing frontend's state becomes Unknown, the backend serves or leaves.",
     [](Bench &b) { from_closing(b, S::Unknown); }, kNothing, kPlain, Start::Connected, kMayEnd},
    {"state/closing/initialising", "xenbus:states", kPractice, kHostile,
     "If a Closing frontend starts over, the backend serves or leaves.",
     [](Bench &b) { from_closing(b, S::Initialising); }, kNothing, kPlain, Start::Connected,
     kReconnects},
    {"state/closing/init-wait", "xenbus:states", kPractice, kHostile,
     "If a Closing frontend's state becomes InitWait, the backend serves or leaves.",
     [](Bench &b) { from_closing(b, S::InitWait); }, kNothing, kPlain, Start::Connected,
     kReconnects},
    {"state/closing/initialised", "xenbus:skip-tolerate", kPractice, kHostile,
     "If a Closing frontend is Initialised again, the backend serves or leaves.",
     [](Bench &b) { from_closing(b, S::Initialised); }, kNothing, kPlain, Start::Connected,
     kReconnects},
    {"state/closing/connected", "xenbus:skip-tolerate", kPractice, kHostile,
     "If a Closing frontend is Connected again, the backend serves or leaves.",
     [](Bench &b) { from_closing(b, S::Connected); }, kNothing, kPlain, Start::Connected,
     kReconnects},
    {"state/closing/closing", "xenbus:closing", kPractice, kValid,
     "A frontend that writes Closing twice is closed.",
     [](Bench &b) {
         closing(b);
         closing(b);
         closed(b);
     }},
    {"state/closing/closed", "xenbus:closing", kPractice, kValid,
     "If a Closing frontend is Closed, its backend is Closed, or waits for the next.",
     [](Bench &b) {
         closing(b);
         b.front.state(S::Closed);
         is_in(b, "the backend is Closed, or waits", {S::Closed, S::InitWait});
     },
     kNothing, kPlain, Start::Connected, kReconnects},
    {"state/closing/reconfiguring", "xenbus:reconfiguring", kPractice, kHostile,
     "If a Closing frontend is Reconfiguring, the backend serves or leaves.",
     [](Bench &b) { from_closing(b, S::Reconfiguring); }, kNothing, kPlain, Start::Connected,
     kReconnects},
    {"state/closing/reconfigured", "xenbus:reconfiguring", kPractice, kHostile,
     "If a Closing frontend is Reconfigured, the backend serves or leaves.",
     [](Bench &b) { from_closing(b, S::Reconfigured); }, kNothing, kPlain, Start::Connected,
     kReconnects},

    /* ---- from Closed */
    {"state/closed/unknown", "xenbus:state", kPractice, kHostile,
     "If a Closed frontend's state becomes Unknown, the backend does not connect.",
     [](Bench &b) { from_closed(b, S::Unknown); }, kNothing, kPlain, Start::Connected, kMayEnd},
    {"state/closed/initialising", "xenbus:states", kPractice, kValid,
     "If a Closed frontend is Initialising, the backend waits for it.",
     [](Bench &b) {
         closed(b);
         b.front.state(S::Initialising);
         is_in(b, "the backend waits for the frontend", {S::InitWait});
     }},
    {"state/closed/init-wait", "xenbus:states", kPractice, kHostile,
     "If a Closed frontend's state becomes InitWait, the backend does not connect.",
     [](Bench &b) { from_closed(b, S::InitWait); }, kNothing, kPlain, Start::Connected,
     kReconnects},
    {"state/closed/initialised", "xenbus:skip-tolerate", kPractice, Kind::Boundary,
     "If a Closed frontend is Initialised, the backend stays, or connects and serves.",
     [](Bench &b) { ready_from_closed(b, S::Initialised); }, kNothing, kPlain, Start::Connected,
     kReconnects},
    {"state/closed/connected", "xenbus:skip-tolerate", kPractice, Kind::Boundary,
     "If a Closed frontend is Connected, the backend stays, or connects and serves.",
     [](Bench &b) { ready_from_closed(b, S::Connected); }, kNothing, kPlain, Start::Connected,
     kReconnects},
    {"state/closed/closing", "xenbus:closing", kPractice, kHostile,
     "If a Closed frontend is Closing again, the backend does not connect.",
     [](Bench &b) { from_closed(b, S::Closing); }, kNothing, kPlain, Start::Connected, kReconnects},
    {"state/closed/closed", "xenbus:closing", kPractice, kValid,
     "If a Closed frontend writes Closed again, the backend does not connect.",
     [](Bench &b) { from_closed(b, S::Closed); }, kNothing, kPlain, Start::Connected, kReconnects},
    {"state/closed/reconfiguring", "xenbus:reconfiguring", kPractice, kHostile,
     "If a Closed frontend is Reconfiguring, the backend does not connect.",
     [](Bench &b) { from_closed(b, S::Reconfiguring); }, kNothing, kPlain, Start::Connected,
     kReconnects},
    {"state/closed/reconfigured", "xenbus:reconfiguring", kPractice, kHostile,
     "If a Closed frontend is Reconfigured, the backend does not connect.",
     [](Bench &b) { from_closed(b, S::Reconfigured); }, kNothing, kPlain, Start::Connected,
     kReconnects},

    /* ---- refused */
    {"state/refused/closing", "xenbus:closing", Level::Should, kHostile,
     "A backend that refuses a frontend says so by Closing.", refusal_is_told, kNothing, kPlain,
     kWaiting, kReconnects},
    {"state/refused/initialised", "xenbus:nodes", kMust, kHostile,
     "A refused frontend that writes Initialised again is not connected.", refused_twice, kNothing,
     kPlain, kWaiting, kReconnects},
    {"state/refused/right-nodes", "xenbus:skip-tolerate", Level::May, kHostile,
     "If a refused frontend has the right nodes later, the backend serves or waits.",
     refused_then_right, kNothing, kPlain, kWaiting, kReconnects},
    {"state/refused/next-frontend", "blkif:extra-nodes", kPractice, kValid,
     "The frontend after a refused one is connected, and no error is left.", refused_then_another,
     kNothing, kPlain, kWaiting},

    /* ---- many sessions */
    {"state/sessions/eight", "xenbus:states", kPractice, Kind::Liveness,
     "Eight frontends, one after another, are served.", eight_sessions},
    {"state/sessions/flapping", "xenbus:states", kPractice, Kind::Liveness,
     "A frontend that is Initialised and Closing in turns does no harm to the backend.", flapping,
     kNothing, kPlain, kWaiting, kReconnects},
};

} // namespace

std::span<const Case> state_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
