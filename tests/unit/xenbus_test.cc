/* SPDX-License-Identifier: MIT */
/*
 * Layer `xenbus`: every cell of the table (state, event) → (state, action),
 * with and without `stopping`; names; parsing of numbers and states. Serves
 * xenbus.h "enum xenbus_state" and blkif.h "STATE DIAGRAMS".
 */
#include "front/states.h"
#include "pvblk/xenbus.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace
{

using namespace pvblk;
using S = FrontState;
using E = FrontEvent;
using A = FrontAction;

template <class F>
void each_cell(F f)
{
    for (uint32_t s = 0; s < kFrontStates; s++)
        for (uint32_t e = 0; e < kFrontEvents; e++)
            for (bool stopping : {false, true})
                f(static_cast<S>(s), static_cast<E>(e), stopping,
                  front_step(static_cast<S>(s), static_cast<E>(e), stopping));
}

std::string cell(S s, E e, bool stopping)
{
    return std::string(front_state_name(s)) + ", event " +
           std::to_string(static_cast<uint32_t>(e)) + (stopping ? ", stopping" : "");
}

/* xenbus:table — each action leads to the one kind of state that it is for. */
TEST(Xenbus, EachActionLeadsToItsState)
{
    uint32_t cells = 0;
    each_cell([&](S s, E e, bool stopping, FrontStep step) {
        cells++;
        ASSERT_LT(static_cast<uint32_t>(step.next), kFrontStates);
        switch (step.action) {
        case A::None: EXPECT_EQ(step.next, s) << cell(s, e, stopping); break;
        case A::Begin:
        case A::Restart: EXPECT_EQ(step.next, S::WaitInit) << cell(s, e, stopping); break;
        case A::Publish: EXPECT_EQ(step.next, S::Connecting) << cell(s, e, stopping); break;
        case A::Attach:
        case A::Refresh: EXPECT_EQ(step.next, S::Connected) << cell(s, e, stopping); break;
        case A::Drain: EXPECT_EQ(step.next, S::Draining) << cell(s, e, stopping); break;
        case A::SendClosing: EXPECT_EQ(step.next, S::Closing) << cell(s, e, stopping); break;
        case A::SendClosed: EXPECT_EQ(step.next, S::Closed) << cell(s, e, stopping); break;
        case A::Lose: EXPECT_EQ(step.next, S::Lost) << cell(s, e, stopping); break;
        case A::End: EXPECT_EQ(step.next, S::Stopped) << cell(s, e, stopping); break;
        case A::Break: EXPECT_EQ(step.next, S::Broken) << cell(s, e, stopping); break;
        }
    });
    EXPECT_EQ(cells, 10u * 15 * 2);
}

/* xenbus:broken — sticky: only the owner leaves Broken and Stopped. */
TEST(Xenbus, OnlyTheOwnerLeavesBrokenOrStopped)
{
    each_cell([](S s, E e, bool stopping, FrontStep step) {
        bool owner = e == E::Start || e == E::Reconnect || e == E::Stop;
        if ((s == S::Broken || s == S::Stopped) && !owner) {
            EXPECT_EQ(step.next, s) << cell(s, e, stopping);
            EXPECT_EQ(step.action, A::None) << cell(s, e, stopping);
        }
    });
}

/* xenbus:violation — a lie never goes unnoticed while there is a session. */
TEST(Xenbus, ViolationBreaksEachSession)
{
    for (uint32_t s = 0; s < kFrontStates; s++) {
        FrontStep step = front_step(static_cast<S>(s), E::Violation, false);
        if (static_cast<S>(s) != S::Stopped) {
            EXPECT_EQ(step.next, S::Broken) << s;
        }
    }
}

/* xenbus:deadline — every state that waits for the peer ends by itself. */
TEST(Xenbus, EachWaitHasAnEnd)
{
    for (S s : {S::WaitInit, S::Connecting, S::Draining, S::Closing, S::Closed, S::Lost})
        EXPECT_NE(front_step(s, E::Deadline, false).next, s) << front_state_name(s);
    for (S s : {S::Draining, S::Closing, S::Closed})
        EXPECT_NE(front_step(s, E::Deadline, true).next, s) << front_state_name(s);
}

/* xenbus:stop — from everywhere, Stop and then silence ends in Stopped or
 * Broken, and Stopped is reached where the peer follows. */
TEST(Xenbus, StopEndsFromEachState)
{
    for (uint32_t s = 0; s < kFrontStates; s++) {
        S state = front_step(static_cast<S>(s), E::Stop, true).next;
        for (E e : {E::Drained, E::BackClosing, E::BackClosed})
            state = front_step(state, e, true).next;
        EXPECT_EQ(state, S::Stopped) << s;
        state = front_step(static_cast<S>(s), E::Stop, true).next;
        for (int i = 0; i < 4; i++)
            state = front_step(state, E::Deadline, true).next;
        EXPECT_EQ(state, S::Stopped) << s << ", silent peer";
    }
}

/* xenbus:stopping — never starts over while it closes for good. */
TEST(Xenbus, ClosingForGoodNeverStartsOver)
{
    for (S s : {S::Draining, S::Closing, S::Closed})
        for (uint32_t e = 0; e < kXenbusStates; e++) {
            FrontStep step = front_step(s, static_cast<E>(e), true);
            EXPECT_NE(step.action, A::Restart);
            EXPECT_NE(step.action, A::Lose);
        }
}

/* xenbus:hand-off — a live backend is closed before it is used (rule 1). */
TEST(Xenbus, LiveBackendIsClosedFirst)
{
    for (E e : {E::BackInitialised, E::BackConnected, E::BackClosing})
        for (S s : {S::WaitInit, S::Lost})
            EXPECT_EQ(front_step(s, e, false).action, A::SendClosing) << cell(s, e, false);
}

/* xenbus:no-order — Closing and Closed are not "further than Connected". */
TEST(Xenbus, OnlyConnectedConnects)
{
    for (uint32_t e = 0; e < kXenbusStates; e++) {
        FrontStep step = front_step(S::Connecting, static_cast<E>(e), false);
        EXPECT_EQ(step.action == A::Attach, static_cast<E>(e) == E::BackConnected) << e;
    }
}

TEST(Xenbus, NamesAreCompleteAndUnique)
{
    std::set<std::string> names;
    for (uint32_t i = 0; i < kFrontStates; i++)
        names.insert(front_state_name(static_cast<S>(i)));
    EXPECT_EQ(names.size(), kFrontStates);
    names.clear();
    for (uint32_t i = 0; i < kFrontEvents; i++)
        names.insert(front_event_name(static_cast<E>(i)));
    EXPECT_EQ(names.size(), kFrontEvents);
    EXPECT_STREQ(front_event_name(E::BackReconfigured), "back-reconfigured");
    EXPECT_STREQ(front_event_name(E::Stop), "stop");
    names.clear();
    for (uint32_t i = 0; i < kXenbusStates; i++)
        names.insert(xenbus_state_name(static_cast<XenbusState>(i)));
    EXPECT_EQ(names.size(), kXenbusStates);
    EXPECT_STREQ(xenbus_state_name(XenbusState::Reconfigured), "Reconfigured");
    names.clear();
    for (uint32_t i = 0; i <= static_cast<uint32_t>(A::Break); i++)
        names.insert(front_action_name(static_cast<A>(i)));
    EXPECT_EQ(names.size(), static_cast<size_t>(A::Break) + 1);
    EXPECT_STREQ(front_action_name(A::Break), "break");
}

/* xenbus:decimal */
TEST(Xenbus, NumbersArePlainDecimal)
{
    EXPECT_EQ(parse_decimal("0"), 0u);
    EXPECT_EQ(parse_decimal("007"), 7u);
    EXPECT_EQ(parse_decimal("18446744073709551615"), UINT64_MAX);
    for (const char *bad : {"", " 1", "1 ", "-1", "+1", "0x10", "1e3", "18446744073709551616",
                            "99999999999999999999999", "1\n", "one"})
        EXPECT_FALSE(parse_decimal(bad)) << bad;
    EXPECT_FALSE(parse_decimal(std::string_view("1\0", 2)));
}

/* xenbus:state */
TEST(Xenbus, StateOutsideTheEnumIsRefused)
{
    for (uint32_t i = 0; i < kXenbusStates; i++)
        EXPECT_EQ(parse_xenbus_state(std::to_string(i)).value(), static_cast<XenbusState>(i));
    for (const char *bad : {"9", "255", "256", "4294967300", "-4", "Connected", ""}) {
        auto r = parse_xenbus_state(bad);
        ASSERT_FALSE(r) << bad;
        EXPECT_STREQ(r.error().clause, "xenbus:state");
    }
}

} // namespace
