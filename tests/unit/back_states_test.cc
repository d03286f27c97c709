/* SPDX-License-Identifier: MIT */
/*
 * The backend's table, cell by cell. Clauses: blkif.h "STATE DIAGRAMS". That
 * BackLife does what a cell says is in back_test.cc.
 */
#include "back/states.h"

#include <gtest/gtest.h>

#include <set>

namespace
{

using namespace pvblk;

using S = XenbusState;
using E = BackEvent;
using A = BackAction;

/* Those that the backend is ever in. */
constexpr S kOwn[] = {S::Unknown, S::InitWait, S::Connected, S::Closing, S::Closed};

/* Each event's row, in kOwn's order. */
struct Row {
    E event;
    A action[std::size(kOwn)];
};
constexpr Row kRows[] = {
    /*                      Unknown  InitWait    Connected   Closing     Closed */
    {E::FrontUnknown, {A::None, A::None, A::End, A::End, A::None}},
    {E::FrontInitialising, {A::None, A::None, A::Restart, A::Restart, A::Restart}},
    {E::FrontInitWait, {A::None, A::None, A::None, A::None, A::None}},
    {E::FrontInitialised, {A::None, A::Connect, A::Replace, A::Return, A::Return}},
    {E::FrontConnected, {A::None, A::Connect, A::Renew, A::Return, A::Return}},
    {E::FrontClosing, {A::None, A::Close, A::Close, A::None, A::None}},
    {E::FrontClosed, {A::None, A::None, A::End, A::End, A::None}},
    {E::FrontReconfiguring, {A::None, A::None, A::None, A::None, A::None}},
    {E::FrontReconfigured, {A::None, A::None, A::None, A::None, A::None}},
    {E::Close, {A::None, A::Close, A::Close, A::None, A::None}},
};

/* xenbus:states */
TEST(BackStateTable, EachCellIsAsTheDiagramHasIt)
{
    ASSERT_EQ(std::size(kRows), kBackEvents);
    for (const Row &row : kRows)
        for (size_t i = 0; i < std::size(kOwn); i++)
            EXPECT_STREQ(back_action_name(back_action(kOwn[i], row.event)),
                         back_action_name(row.action[i]))
                << "event " << static_cast<int>(row.event) << " in " << xenbus_state_name(kOwn[i]);
}

/* A backend that is not there, or in a state that it is never in, does nothing. */
TEST(BackStateTable, StatesThatItIsNeverInDoNothing)
{
    for (S s : {S::Unknown, S::Initialising, S::Initialised, S::Reconfiguring, S::Reconfigured})
        for (uint32_t e = 0; e < kBackEvents; e++)
            EXPECT_EQ(back_action(s, static_cast<E>(e)), A::None) << e;
}

/* Rings are mapped only where there are none, or after those were let go. */
TEST(BackStateTable, OnlyAFrontendThatIsReadyIsConnectedTo)
{
    for (S s : kOwn)
        for (uint32_t e = 0; e < kBackEvents; e++) {
            A action = back_action(s, static_cast<E>(e));
            bool ready = e == uint32_t(E::FrontInitialised) || e == uint32_t(E::FrontConnected);
            bool renews = action == A::Renew || action == A::Replace;
            EXPECT_EQ(action == A::Connect, ready && s == S::InitWait) << e;
            EXPECT_EQ(renews, ready && s == S::Connected) << e;
            EXPECT_EQ(action == A::Return, ready && (s == S::Closing || s == S::Closed)) << e;
        }
}

TEST(BackStateTable, EventsAreTheFrontendsStatesInOrder)
{
    EXPECT_EQ(front_event(S::Unknown), E::FrontUnknown);
    EXPECT_EQ(front_event(S::Connected), E::FrontConnected);
    EXPECT_EQ(front_event(S::Reconfigured), E::FrontReconfigured);
}

TEST(BackStateTable, NamesOfActionsDiffer)
{
    std::set<std::string> names;
    for (uint32_t i = 0; i <= static_cast<uint32_t>(A::End); i++)
        names.insert(back_action_name(static_cast<A>(i)));
    EXPECT_EQ(names.size(), static_cast<size_t>(A::End) + 1);
    EXPECT_STREQ(back_action_name(A::End), "end");
}

} // namespace
