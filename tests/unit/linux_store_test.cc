/* SPDX-License-Identifier: MIT */
/*
 * Layer `linux`: LinuxStore against a XenStore at the other end of a socket. The
 * test writes all answers before it asks: the first request has the number 1.
 */
#include "pvblk/linux.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace pvblk;
using namespace std::string_literals;

/* xs_wire.h: enum xsd_sockmsg_type */
enum : uint32_t {
    kDirectory = 1,
    kRead = 2,
    kWatch = 4,
    kUnwatch = 5,
    kWrite = 11,
    kRemove = 13,
    kWatchEvent = 15,
    kError = 16,
};

std::string words(std::initializer_list<uint32_t> list)
{
    std::string text;
    for (uint32_t word : list)
        text.append(reinterpret_cast<const char *>(&word), sizeof(word));
    return text;
}

std::string message(uint32_t op, uint32_t request, const std::string &body)
{
    return words({op, request, 0, static_cast<uint32_t>(body.size())}) + body;
}

std::string event(const std::string &token, const std::string &path = "b/state")
{
    return message(kWatchEvent, 0, path + '\0' + token + '\0');
}

/* The store, and the other end of its socket. */
struct Rig {
    Rig()
    {
        std::signal(SIGPIPE, SIG_IGN);
        int ends[2] = {-1, -1};
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        store.emplace(LinuxFile(ends[0]));
        peer = LinuxFile(ends[1]);
    }

    void say(const std::string &bytes)
    {
        ASSERT_EQ(::write(peer.fd(), bytes.data(), bytes.size()),
                  static_cast<ssize_t>(bytes.size()));
    }
    std::string asked()
    {
        char text[8192];
        ssize_t n = ::recv(peer.fd(), text, sizeof(text), MSG_DONTWAIT);
        return {text, n < 0 ? 0 : static_cast<size_t>(n)};
    }
    Result<std::string> read() { return store->read("b/state"); }
    /* The store watches b, with this token. */
    void watch(uint32_t request, const std::string &token)
    {
        say(message(kWatch, request, "OK\0"s));
        ASSERT_TRUE(store->watch("b"));
        ASSERT_NE(asked().find("b\0"s + token + '\0'), std::string::npos);
    }
    bool fired()
    {
        auto taken = store->take();
        EXPECT_TRUE(taken) << sentence(taken.error());
        return taken.ok() && taken.value();
    }

    std::optional<LinuxStore> store{};
    LinuxFile peer{};
};

class Linux : public ::testing::Test, protected Rig
{
};

TEST_F(Linux, RequestsAreThoseOfTheProtocol)
{
    say(message(kWrite, 1, "OK\0"s) + message(kRemove, 2, "OK\0"s) + message(kRead, 3, "4"));
    EXPECT_TRUE(store->write("a/b", "value"));
    EXPECT_EQ(asked(), message(kWrite, 1, "a/b\0value"s));
    store->remove("a");
    EXPECT_EQ(asked(), message(kRemove, 2, "a\0"s));
    EXPECT_EQ(read().value(), "4");
    EXPECT_EQ(asked(), message(kRead, 3, "b/state\0"s));
}

TEST_F(Linux, ChildrenAreListed)
{
    say(message(kDirectory, 1, "state\0ring-ref\0"s) + message(kDirectory, 2, "") +
        message(kDirectory, 3, "no-end"));
    EXPECT_EQ(store->list("d").value(), (std::vector<std::string>{"state", "ring-ref"}));
    EXPECT_EQ(asked(), message(kDirectory, 1, "d\0"s));
    EXPECT_TRUE(store->list("d").value().empty());
    EXPECT_EQ(store->list("d").value(), std::vector<std::string>{"no-end"});
}

TEST_F(Linux, LongValueIsCutAndItsLengthReported)
{
    say(message(kRead, 1, "0123456789"));
    char out[5] = "....";
    auto length = store->read("n", std::span<char>(out, 4));
    ASSERT_TRUE(length);
    EXPECT_EQ(length.value(), 10u);
    EXPECT_STREQ(out, "0123");
}

TEST_F(Linux, RefusalsKeepTheirKind)
{
    say(message(kError, 1, "ENOENT\0"s) + message(kError, 2, "EACCES\0"s) +
        message(kError, 3, "EQUOTA\0"s) + message(kError, 4, "EINVAL") + message(kRead, 5, "4"));
    EXPECT_EQ(read().error().kind, ErrorKind::Missing);
    EXPECT_STREQ(read().error().what, "XenStore forbids this domain to do that");
    EXPECT_EQ(store->write("a", "").error().kind, ErrorKind::NoSpace);
    EXPECT_EQ(store->list("a").error().kind, ErrorKind::Io);
    EXPECT_EQ(read().value(), "4"); /* a refusal breaks nothing */
}

/* Each byte comes alone, also those of an event before the answer. */
TEST_F(Linux, AnswersMayComeInPieces)
{
    watch(1, "1");
    const std::string bytes = event("1") + message(kRead, 2, "value");
    std::thread slow([&] {
        for (char byte : bytes) {
            say(std::string(1, byte));
            std::this_thread::yield();
        }
    });
    auto value = read();
    slow.join();
    ASSERT_TRUE(value) << sentence(value.error());
    EXPECT_EQ(value.value(), "value");
    EXPECT_TRUE(fired());
}

TEST_F(Linux, TakeWaitsForNothing)
{
    watch(1, "1");
    EXPECT_FALSE(fired());
    const std::string bytes = event("1");
    for (size_t cut : {size_t{3}, size_t{16}, bytes.size() - 1}) {
        say(bytes.substr(0, cut));
        EXPECT_FALSE(fired());
        say(bytes.substr(cut));
        EXPECT_TRUE(fired());
        EXPECT_FALSE(fired());
    }
}

/* Half an event has come when the store asks: its rest and the answer follow. */
TEST_F(Linux, HalfAnEventDoesNotShiftTheAnswer)
{
    watch(1, "1");
    say(event("1").substr(0, 20));
    EXPECT_FALSE(fired());
    say(event("1").substr(20) + message(kRead, 2, "4"));
    EXPECT_EQ(read().value(), "4");
    EXPECT_TRUE(fired());
}

TEST_F(Linux, EventsBetweenRequestAndAnswerAreKept)
{
    watch(1, "1");
    say(event("1") + event("1") + message(kRead, 2, "4"));
    EXPECT_EQ(read().value(), "4");
    EXPECT_TRUE(fired());
    EXPECT_FALSE(fired()); /* one news, as often as it came */
}

/* XenStore fires a watch as soon as it is set, perhaps before it says OK. */
TEST_F(Linux, FirstEventMayComeBeforeItsAnswer)
{
    say(event("1") + message(kWatch, 1, "OK\0"s));
    ASSERT_TRUE(store->watch("b"));
    EXPECT_TRUE(fired());
}

TEST_F(Linux, EventsOfAnOldWatchAreIgnored)
{
    watch(1, "1");
    say(event("1") + message(kUnwatch, 2, "OK\0"s) + message(kWatch, 3, "OK\0"s) + event("1"));
    ASSERT_TRUE(store->watch("b"));
    EXPECT_EQ(asked(), message(kUnwatch, 2, "b\0001\0"s) + message(kWatch, 3, "b\0002\0"s));
    EXPECT_FALSE(fired());
    say(event("2"));
    EXPECT_TRUE(fired());
    say(message(kUnwatch, 4, "OK\0"s) + event("2"));
    store->unwatch();
    EXPECT_FALSE(fired());
}

TEST_F(Linux, RefusedWatchIsNone)
{
    say(message(kError, 1, "EINVAL\0"s) + event("1"));
    EXPECT_FALSE(store->watch("b"));
    EXPECT_FALSE(fired());
    asked();
    store->unwatch();
    EXPECT_EQ(asked(), "");
}

/* Only an event with path, token and terminators is one. */
TEST_F(Linux, MalformedEventsAreIgnored)
{
    watch(1, "1");
    for (const std::string &body : {""s, "1"s, "b"s, "\0"s, "b\0"s, "b\0002\0"s, "b\00012\0"s}) {
        say(message(kWatchEvent, 0, body));
        EXPECT_FALSE(fired()) << body;
    }
    say(event("1", ""));
    EXPECT_TRUE(fired());
}

TEST_F(Linux, AnswerToAnotherRequestIsNoAnswer)
{
    say(message(kRead, 77, "old") + message(kRead, 1, "new"));
    EXPECT_EQ(read().value(), "new");
    say(message(kDirectory, 2, "a\0"s) + message(kRead, 3, "4"));
    EXPECT_STREQ(read().error().what, "XenStore answered another request");
    EXPECT_EQ(read().value(), "4");
}

/* No room for it: nothing is written outside the buffer (ASan), and no later
 * byte is taken for a header. */
TEST_F(Linux, LyingLengthEndsTheConnection)
{
    for (uint32_t length : {4097u, 0x80000000u, 0xffffffffu}) {
        Rig one;
        one.say(words({kRead, 1, 0, length}) + std::string(5000, 'x') + message(kRead, 2, "4"));
        auto value = one.read();
        ASSERT_FALSE(value);
        EXPECT_STREQ(value.error().what,
                     "XenStore sent a message that is longer than its protocol allows");
        EXPECT_FALSE(one.read());
        EXPECT_FALSE(one.store->take());
        one.asked();
        EXPECT_FALSE(one.store->write("a", "b"));
        EXPECT_EQ(one.asked(), ""); /* it does not even ask */
    }
}

TEST_F(Linux, LongestMessageFits)
{
    say(message(kRead, 1, std::string(4096, 'v')));
    EXPECT_EQ(read().value(), std::string(4096, 'v'));
    asked();
    say(message(kWrite, 2, "OK\0"s));
    EXPECT_TRUE(store->write("path", std::string(4075, 'v')));
    EXPECT_EQ(asked().size(), 4096u);
    auto longer = store->write("path", std::string(4076, 'v'));
    ASSERT_FALSE(longer);
    EXPECT_EQ(longer.error().kind, ErrorKind::OutOfRange);
    EXPECT_EQ(store->read(std::string(5000, 'p')).error().kind, ErrorKind::OutOfRange);
    EXPECT_EQ(asked(), "");
}

TEST_F(Linux, EndOfTheConnectionIsAnError)
{
    say(message(kRead, 1, "value").substr(0, 18));
    ::shutdown(peer.fd(), SHUT_WR);
    auto value = read();
    ASSERT_FALSE(value);
    EXPECT_STREQ(value.error().what, "XenStore ended the connection");
    EXPECT_FALSE(store->take());
    EXPECT_FALSE(store->watch("b"));
}

TEST_F(Linux, RequestThatCannotBeSentIsAnError)
{
    peer = LinuxFile();
    auto value = read();
    ASSERT_FALSE(value);
    EXPECT_EQ(value.error().value, static_cast<uint64_t>(EPIPE));
}

} // namespace
