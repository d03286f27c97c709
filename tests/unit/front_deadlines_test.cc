/* SPDX-License-Identifier: MIT */
/*
 * Deadlines: several waits on one clock. Complaints: how much a backend can
 * make us say. Serves xenbus:deadline and the rule of front.h on logs.
 */
#include "front/complaints.h"
#include "front/deadlines.h"
#include "support/rig.h"

namespace
{

using namespace pvblk;

TEST(FrontDeadlines, ClockHasTheEarliestWait)
{
    LoopbackClock clock;
    Deadlines d(clock);
    d.start(Wait::Requests, ms(30));
    d.start(Wait::Handshake, ms(20));
    EXPECT_EQ(clock.deadline, ms(20));
    d.start(Wait::Nodes, ms(10));
    EXPECT_EQ(clock.deadline, ms(10));
    d.stop(Wait::Nodes);
    EXPECT_EQ(clock.deadline, ms(20));
    d.stop(Wait::Handshake);
    d.stop(Wait::Requests);
    EXPECT_LT(clock.deadline, 0);
}

TEST(FrontDeadlines, StartingAgainGivesNoMoreTime)
{
    LoopbackClock clock;
    Deadlines d(clock);
    d.start(Wait::Handshake, ms(20));
    clock.now = ms(15);
    d.start(Wait::Handshake, ms(20));
    EXPECT_EQ(clock.deadline, ms(20));
}

TEST(FrontDeadlines, WaitsThatAreDueEndOneByOne)
{
    LoopbackClock clock;
    Deadlines d(clock);
    for (uint32_t w = kWaits; w-- > 0;)
        d.start(static_cast<Wait>(w), ms(10));
    d.set(Wait::Requests, ms(90));
    EXPECT_EQ(d.passed(), std::nullopt) << "too early";
    clock.now = ms(10);
    EXPECT_EQ(d.passed(), Wait::Handshake);
    EXPECT_EQ(clock.deadline, ms(10)) << "the next one is forgotten";
    EXPECT_EQ(d.passed(), Wait::Nodes);
    EXPECT_EQ(d.passed(), Wait::Orphans);
    EXPECT_EQ(d.passed(), std::nullopt);
    EXPECT_EQ(clock.deadline, ms(90));
}

/* A clock that fired has no deadline any more, whatever we told it. */
TEST(FrontDeadlines, ClockThatFiredTooEarlyIsToldAgain)
{
    LoopbackClock clock;
    Deadlines d(clock);
    d.start(Wait::Handshake, ms(10));
    clock.deadline = -1;
    EXPECT_EQ(d.passed(), std::nullopt);
    EXPECT_EQ(clock.deadline, ms(10));
}

TEST(FrontDeadlines, EndLeavesNoDeadlineBehind)
{
    LoopbackClock clock;
    Deadlines(clock).start(Wait::Handshake, ms(10));
    EXPECT_LT(clock.deadline, 0);
}

TEST(FrontComplaints, LinesAreLimitedAndViolationsAreNot)
{
    RigOwner owner;
    LoopbackClock clock;
    FrontCounters counters;
    const std::string who = "device/vbd/1";
    Complaints c(owner, clock, counters, who);
    Error error{ErrorKind::PeerViolation, "ring:rsp-id", "it lies", 7};
    for (uint32_t i = 0; i < 100; i++) {
        c.violation(error);
        c.broken(error);
    }
    EXPECT_EQ(owner.logs.size(), 5u);
    EXPECT_EQ(counters.violations, 100u);
    EXPECT_EQ(owner.traces[static_cast<size_t>(TraceKind::Violation)], 100u);
    for (const char *part : {"device/vbd/1", "it lies", "ring:rsp-id", "value 7"})
        EXPECT_NE(owner.logs[0].find(part), std::string::npos) << part;
    clock.now = sec(11);
    c.broken(error);
    EXPECT_EQ(owner.logs.size(), 6u) << "silent for ever";
}

} // namespace
