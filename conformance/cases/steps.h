/* SPDX-License-Identifier: MIT */
/* Steps of cases in which a connection ends and another one follows. */
#pragma once

#include "bench.h"

#include <string>

namespace pvblk::conformance::steps
{

/* Sectors that no other case compares. */
inline constexpr uint64_t kFree = 512;

/* Lets the backend act, and returns how often an event came. Nothing good may depend
 * on it: after a short look we only see less. */
inline uint32_t look(Bench &b)
{
    uint32_t events = 0;
    for (uint32_t i = 0; i < 64 && !b.failed(); i++) {
        Woken woken = b.domain.wait(std::chrono::milliseconds(100));
        if (woken == Woken::Quiet || woken == Woken::TimeUp)
            break;
        events += woken == Woken::Event;
    }
    return events;
}

inline std::string their_state(Bench &b)
{
    return std::string("the backend's state is ") + xenbus_state_name(b.front.their_state());
}

inline void expect_state(Bench &b, std::initializer_list<XenbusState> states, const char *expected)
{
    if (b.failed())
        return;
    bool good = b.wait_for(states);
    b.expect(good, expected, their_state(b));
}

/* Until the backend has closed. It may wait for requests that the disk holds back. */
inline void expect_closed(Bench &b)
{
    if (!b.wait_for({XenbusState::Closed, XenbusState::InitWait}))
        b.domain.release();
    expect_state(b, {XenbusState::Closed, XenbusState::InitWait}, "the backend closes");
}

/* Rings of the case's shape in place of those before; the state stays. */
inline void new_rings(Bench &b)
{
    if (b.failed())
        return;
    b.front.drop_rings();
    (void)b.make_rings();
}

inline void connect(Bench &b)
{
    (void)b.connect();
}

inline void begin(Bench &b)
{
    if (b.failed())
        return;
    bool good = b.begin();
    b.expect(good, "the backend comes to InitWait for the next frontend", their_state(b));
}

inline void reconnect(Bench &b)
{
    begin(b);
    connect(b);
}

} // namespace pvblk::conformance::steps
