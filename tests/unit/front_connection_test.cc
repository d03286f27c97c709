/* SPDX-License-Identifier: MIT */
/*
 * Connection alone, on a session that only says what it is asked for. What a
 * fault leads to happens once, when the turn or the look in which it was found
 * is over. Serves xenbus:table and xenbus:deadline.
 */
#include "front/connection.h"
#include "support/front_parts.h"

namespace
{

using namespace pvblk;

constexpr Error kFault{ErrorKind::PeerViolation, "ring:rsp-id", "it lies", 1};

class FakeSession final : public Session
{
public:
    Offer offer() const override { return offered; }
    Status publish() override { return said("publish"); }
    Status attach() override { return said("attach"); }
    Status refresh() override { return said("refresh"); }
    void tear_down(bool given_up) override { calls.push_back(given_up ? "give up" : "tear down"); }
    void fail_all() override { calls.push_back("fail all"); }
    Turn turn(const Permit &permit) override
    {
        calls.push_back(permit.may_send() ? "send" : "take");
        Turn t;
        if (std::exchange(fails_in, "") == "turn")
            t.fail(kFault);
        return t;
    }
    void end_batch() override {}
    uint32_t in_flight() const override { return flying; }
    uint32_t orphans() const override { return lost; }
    int64_t oldest_ns(int64_t) const override { return oldest; }

    /* What it was asked for since the last time. */
    std::vector<std::string> told() { return std::exchange(calls, {}); }

    std::string fails_in{};
    Offer offered{Offer::Complete};
    uint32_t flying{0}, lost{0};
    int64_t oldest{0};
    std::vector<std::string> calls{};

private:
    Status said(const char *what)
    {
        calls.push_back(what);
        if (fails_in == what)
            return kFault;
        return Ok{};
    }
};

class FrontConnection : public testing::Test
{
protected:
    FrontConnection() { config.request_timeout_ns = sec(30); }
    void back(XenbusState s)
    {
        parts.hub.put_node(hub_paths().backend_path + "/state",
                           std::to_string(static_cast<uint32_t>(s)));
        connection.store_changed();
    }
    std::string ours() const { return parts.hub.node(hub_paths().frontend_path + "/state"); }
    const HubConfig &hub_paths() const { return parts.hub.config; }
    void connect()
    {
        connection.start();
        back(XenbusState::InitWait);
        back(XenbusState::Connected);
        ASSERT_EQ(connection.state(), FrontState::Connected);
        session.told();
    }
    void let_pass(int64_t ns)
    {
        parts.hub.clock.now += ns;
        connection.deadline_passed();
    }

    using Calls = std::vector<std::string>;
    FrontParts parts;
    FrontConfig config{};
    FakeSession session;
    FrontNodes nodes{parts.hub.front_store, parts.hub.config.frontend_path,
                     parts.hub.config.backend_path};
    Complaints complaints{parts.owner, parts.hub.clock, parts.counters,
                          parts.hub.config.frontend_path};
    Connection connection{session, nodes, parts.hub.clock, parts.owner, complaints, config};
};

TEST_F(FrontConnection, EachStateIsWrittenAfterWhatItStandsFor)
{
    connection.start();
    EXPECT_EQ(ours(), "1");
    back(XenbusState::InitWait);
    EXPECT_EQ(session.told(), (Calls{"tear down", "publish"}));
    EXPECT_EQ(ours(), "3");
    back(XenbusState::Connected);
    EXPECT_EQ(session.told(), (Calls{"attach", "send", "refresh"}));
    EXPECT_EQ(ours(), "4");
    EXPECT_LT(parts.hub.clock.deadline, 0);
}

TEST_F(FrontConnection, FaultOfATurnEndsTheSessionOnceAfterIt)
{
    connect();
    session.fails_in = "turn";
    connection.pump();
    EXPECT_EQ(session.told(), (Calls{"send", "give up", "fail all"}));
    EXPECT_EQ(connection.state(), FrontState::Broken);
    EXPECT_STREQ(connection.broken().clause, "ring:rsp-id");
    EXPECT_EQ(parts.counters.violations, 1u);
    EXPECT_EQ(parts.owner.logs.size(), 1u);
    EXPECT_EQ(ours(), "6");
    connection.pump();
    EXPECT_EQ(session.told(), Calls{"take"}) << "Broken is not sticky";
}

TEST_F(FrontConnection, FaultInALookEndsTheSessionOnceAfterIt)
{
    connection.start();
    session.told();
    session.fails_in = "publish";
    back(XenbusState::InitWait);
    EXPECT_EQ(session.told(), (Calls{"tear down", "publish", "give up", "fail all"}));
    EXPECT_EQ(connection.state(), FrontState::Broken);
    EXPECT_EQ(ours(), "6") << "Initialised was written for what is not there";
    EXPECT_EQ(parts.counters.violations, 1u);
}

TEST_F(FrontConnection, ReconnectIsTheWayOutOfBroken)
{
    connect();
    session.fails_in = "refresh";
    back(XenbusState::Connected);
    ASSERT_EQ(connection.state(), FrontState::Broken);
    session.fails_in = "";
    back(XenbusState::Closed);
    EXPECT_EQ(connection.state(), FrontState::Broken);
    connection.reconnect();
    back(XenbusState::InitWait);
    EXPECT_EQ(connection.state(), FrontState::Connecting);
    EXPECT_STREQ(connection.broken().what, "");
}

/* xenbus:deadline — a backend that flaps does not get more time by it. */
TEST_F(FrontConnection, OneDeadlineCoversAHandshake)
{
    connection.start();
    int64_t deadline = parts.hub.clock.deadline;
    EXPECT_EQ(deadline, config.handshake_timeout_ns);
    for (XenbusState s : {XenbusState::Initialising, XenbusState::InitWait,
                          XenbusState::Initialising, XenbusState::InitWait}) {
        parts.hub.clock.now += ms(500);
        back(s);
        EXPECT_EQ(parts.hub.clock.deadline, deadline);
    }
    let_pass(config.handshake_timeout_ns);
    EXPECT_EQ(connection.state(), FrontState::Broken);
    EXPECT_STREQ(connection.broken().clause, "xenbus:deadline");
}

TEST_F(FrontConnection, NodesThatAreForLaterGetAMoment)
{
    session.offered = Offer::Unsized;
    connection.start();
    back(XenbusState::InitWait);
    EXPECT_EQ(connection.state(), FrontState::WaitInit);
    let_pass(ms(100));
    EXPECT_EQ(connection.state(), FrontState::Connecting);
}

TEST_F(FrontConnection, DrainingEndsWithTheLastRequest)
{
    connect();
    session.flying = 1;
    connection.reconnect();
    EXPECT_EQ(connection.state(), FrontState::Draining);
    connection.pump();
    EXPECT_EQ(session.told(), Calls{"take"}) << "something is sent while it drains";
    session.flying = 0;
    connection.pump();
    EXPECT_EQ(connection.state(), FrontState::Closing);
    EXPECT_EQ(ours(), "5");
}

TEST_F(FrontConnection, OnlyARequestThatIsDueBreaksTheConnection)
{
    connect();
    session.flying = 1;
    connection.pump();
    session.oldest = sec(20); /* another one than when it was started */
    let_pass(sec(30));
    EXPECT_EQ(connection.state(), FrontState::Connected);
    EXPECT_EQ(parts.hub.clock.deadline, sec(50));
    let_pass(sec(20));
    EXPECT_EQ(connection.state(), FrontState::Broken);
    EXPECT_STREQ(connection.broken().clause, "ring:answer");
}

TEST_F(FrontConnection, OrphansThatAreNotAnsweredEndTheSession)
{
    connect();
    session.flying = session.lost = 1;
    connection.cancelled();
    let_pass(config.handshake_timeout_ns);
    EXPECT_EQ(connection.state(), FrontState::Closing) << "it waits for them";
}

} // namespace
