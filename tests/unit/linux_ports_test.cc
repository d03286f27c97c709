/* SPDX-License-Identifier: MIT */
/* Layer `linux`: the ports as far as they work without Xen. */
#include "pvblk/linux.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace
{

using namespace pvblk;

TEST(Linux, FileIsClosedOnceByItsLastOwner)
{
    int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    {
        LinuxFile first(fd);
        LinuxFile second(std::move(first));
        LinuxFile third;
        third = std::move(second);
        EXPECT_EQ(first.fd(), -1);
        EXPECT_EQ(third.fd(), fd);
        EXPECT_GE(::fcntl(fd, F_GETFD), 0);
    }
    EXPECT_LT(::fcntl(fd, F_GETFD), 0);
}

/* evtchn: the number of a port is read, and written back to unmask it. */
TEST(Linux, EventOfAClosedChannelIsDropped)
{
    int ends[2] = {-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    LinuxEvents events{LinuxFile(ends[0]), DomId(0)};
    LinuxFile kernel(ends[1]);
    const uint32_t ports[] = {7, 0};
    ASSERT_EQ(::write(kernel.fd(), ports, sizeof(ports)), ssize_t{sizeof(ports)});
    EXPECT_EQ(events.take(), std::nullopt);
    uint32_t unmasked = 0;
    EXPECT_LT(::read(kernel.fd(), &unmasked, sizeof(unmasked)), 0);
}

TEST(Linux, FailedEventCallIsAnError)
{
    LinuxEvents events{LinuxFile(::open("/dev/null", O_RDWR | O_CLOEXEC)), DomId(0)};
    EXPECT_STREQ(events.open(0).error().what, "Linux has no event channel for us");
    EXPECT_STREQ(events.notify(0).error().what, "Linux cannot send an event");
    events.close(0);
}

TEST(Linux, NoPagesNeedNoDevice)
{
    auto pages = LinuxPages::create(DomId(0), 0, false);
    ASSERT_TRUE(pages);
    EXPECT_EQ(pages.value().count(), 0u);
}

/* A frame is either a page of the guest's memory here, or refused. */
TEST(Linux, ForeignFrameIsNotGranted)
{
    auto grants = LinuxGrants::create(DomId(0), {.grants = 2});
    ASSERT_TRUE(grants);
    EXPECT_EQ(grants.value()->count(), 2u);
    for (uint64_t frame : {0ull, 0x100ull, 1ull << 52})
        EXPECT_EQ(grants.value()->grant_frame(0, Gfn(frame), true).error().kind,
                  ErrorKind::OutOfRange);
    EXPECT_TRUE(grants.value()->revoke(0));
}

TEST(Linux, DeadlineLimitsTheWaitAndFiresOnce)
{
    LinuxClock clock;
    EXPECT_EQ(clock.timeout_ms(50), 50);
    EXPECT_EQ(clock.timeout_ms(-1), -1);
    EXPECT_FALSE(clock.take());
    const int64_t now = clock.now_ns();
    clock.set_deadline(now + int64_t{3600} * 1'000'000'000);
    EXPECT_EQ(clock.timeout_ms(50), 50);
    EXPECT_GT(clock.timeout_ms(-1), 3'000'000);
    EXPECT_FALSE(clock.take());
    clock.set_deadline(INT64_MAX);
    EXPECT_EQ(clock.timeout_ms(-1), INT32_MAX);
    clock.set_deadline(now);
    EXPECT_EQ(clock.timeout_ms(50), 0);
    EXPECT_TRUE(clock.take());
    EXPECT_FALSE(clock.take());
    clock.set_deadline(now);
    clock.set_deadline(-1);
    EXPECT_FALSE(clock.take());
}

TEST(Linux, TimeNeverGoesBack)
{
    LinuxClock clock;
    int64_t before = clock.now_ns();
    EXPECT_GT(before, 0);
    EXPECT_GE(clock.now_ns(), before);
}

} // namespace
