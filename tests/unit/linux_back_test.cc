/* SPDX-License-Identifier: MIT */
/*
 * Layer `linux`: the ports of a backend, and LinuxBack, without Xen. The calls
 * that would reach /dev/xen/evtchn and /dev/xen/gntdev end in FakeXen, which
 * stands in the place of ioctl(). XenStore is a thread at the other end of a
 * socket.
 */
#include "back/hooks.h"
#include "pvblk/linux_back.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <set>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using domid_t = uint16_t;
using grant_ref_t = uint32_t;
#include <xen/evtchn.h>
#include <xen/gntdev.h>

namespace
{

using namespace pvblk;
using namespace std::string_literals;

/* Grant N is page N of a file. Port N of the frontend is bound to our port 100 + N. */
struct FakeXen {
    std::set<uint32_t> bound{}, sent{};
    std::set<uint64_t> granted{}; /* pages that gntdev knows */
    uint32_t domain{0};
    bool no_mmap{false};

    int fail(int error)
    {
        errno = error;
        return -1;
    }
    int bind(const ioctl_evtchn_bind_interdomain &call)
    {
        domain = call.remote_domain;
        const uint32_t port = 100 + call.remote_port;
        return bound.insert(port).second ? static_cast<int>(port) : fail(EINVAL);
    }
    int notify(const ioctl_evtchn_notify &call)
    {
        sent.insert(call.port);
        return bound.count(call.port) ? 0 : fail(ENOTCONN);
    }
    int unbind(const ioctl_evtchn_unbind &call)
    {
        return bound.erase(call.port) ? 0 : fail(ENOENT);
    }
    int map(ioctl_gntdev_map_grant_ref &call)
    {
        if (call.count != 1)
            return fail(EINVAL);
        domain = call.refs[0].domid;
        call.index = call.refs[0].ref * uint64_t{kPageSize} + no_mmap; /* mmap() refuses odd ones */
        granted.insert(call.index);
        return 0;
    }
    /* Each page of the file has its own number. */
    int offset(ioctl_gntdev_get_offset_for_vaddr &call)
    {
        uint32_t number = 0;
        std::memcpy(&number, reinterpret_cast<char *>(call.vaddr) + kPageSize - 4, sizeof(number));
        call.offset = number * uint64_t{kPageSize};
        return 0;
    }
    int unmap(const ioctl_gntdev_unmap_grant_ref &call)
    {
        return granted.erase(call.index) ? 0 : fail(ENOENT);
    }
};

FakeXen *xen = nullptr;
} // namespace

extern "C" {

int ioctl(int, unsigned long request, ...) noexcept
{
    va_list words;
    va_start(words, request);
    void *call = va_arg(words, void *);
    va_end(words);
    if (!xen) {
        errno = ENOTTY;
        return -1;
    }
    switch (request) {
    case IOCTL_EVTCHN_BIND_INTERDOMAIN:
        return xen->bind(*static_cast<ioctl_evtchn_bind_interdomain *>(call));
    case IOCTL_EVTCHN_NOTIFY: return xen->notify(*static_cast<ioctl_evtchn_notify *>(call));
    case IOCTL_EVTCHN_UNBIND: return xen->unbind(*static_cast<ioctl_evtchn_unbind *>(call));
    case IOCTL_GNTDEV_MAP_GRANT_REF:
        return xen->map(*static_cast<ioctl_gntdev_map_grant_ref *>(call));
    case IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR:
        return xen->offset(*static_cast<ioctl_gntdev_get_offset_for_vaddr *>(call));
    case IOCTL_GNTDEV_UNMAP_GRANT_REF:
        return xen->unmap(*static_cast<ioctl_gntdev_unmap_grant_ref *>(call));
    default: return xen->fail(ENOTTY);
    }
}

} // extern "C"

namespace
{

LinuxFile memory_file(size_t bytes)
{
    LinuxFile file(::memfd_create("test", MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(file.fd(), static_cast<off_t>(bytes)), 0);
    return file;
}

/* ---- event channels ---------------------------------------------------------- */

struct XenRig {
    XenRig()
    {
        int ends[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        device = LinuxFile(ends[0]);
        kernel = LinuxFile(ends[1]);
        xen = &fake;
    }
    ~XenRig() { xen = nullptr; }

    void come(std::initializer_list<uint32_t> ports)
    {
        for (uint32_t port : ports)
            ASSERT_EQ(::write(kernel.fd(), &port, sizeof(port)), ssize_t{sizeof(port)});
    }
    /* The ports that were written back. */
    std::vector<uint32_t> unmasked()
    {
        std::vector<uint32_t> all;
        for (uint32_t port = 0; ::read(kernel.fd(), &port, sizeof(port)) == sizeof(port);)
            all.push_back(port);
        return all;
    }

    FakeXen fake{};
    LinuxFile device{}, kernel{};
};

class LinuxBackEventsTest : public ::testing::Test, protected XenRig
{
protected:
    void SetUp() override
    {
        for (uint32_t queue = 0; queue < 3; queue++)
            ASSERT_TRUE(events.bind(queue, Port(queue + 1)));
    }
    /* All that wait, in order. */
    std::vector<uint32_t> waiting()
    {
        std::vector<uint32_t> all;
        while (auto queue = events.take())
            all.push_back(*queue);
        return all;
    }
    LinuxBackEvents events{std::move(device), DomId(7)};
};

using Queues = std::vector<uint32_t>;

TEST_F(LinuxBackEventsTest, ChannelIsBoundToTheFrontendsDomain)
{
    EXPECT_EQ(fake.domain, 7u);
    EXPECT_TRUE(events.notify(2));
    EXPECT_EQ(fake.sent, std::set<uint32_t>{103});
}

/* evtchn: Linux refuses a port that is bound. */
TEST_F(LinuxBackEventsTest, RefusedBindNamesTheFrontendsPort)
{
    auto refused = events.bind(4, Port(1));
    ASSERT_FALSE(refused);
    EXPECT_STREQ(refused.error().clause, "blkif:event-channel");
    EXPECT_EQ(refused.error().value, 1u);
    EXPECT_FALSE(events.notify(4));
    events.unbind(4);
    EXPECT_EQ(fake.bound.size(), 3u);
}

TEST_F(LinuxBackEventsTest, EventIsTakenOnceAndUnmasked)
{
    come({102});
    EXPECT_EQ(waiting(), Queues{1});
    EXPECT_EQ(unmasked(), Queues{102});
    EXPECT_EQ(waiting(), Queues{});
}

TEST_F(LinuxBackEventsTest, QueuesTakeTurns)
{
    come({101, 102, 103});
    EXPECT_EQ(events.take(), 0u);
    events.again(0);
    EXPECT_EQ(events.take(), 1u);
    events.again(1);
    EXPECT_EQ(waiting(), (Queues{2, 0, 1}));
}

TEST_F(LinuxBackEventsTest, LastQueueHasItsTurn)
{
    ASSERT_TRUE(events.bind(kMaxQueues - 1, Port(9)));
    come({109, 101});
    EXPECT_EQ(events.take(), 0u);
    events.again(0);
    EXPECT_EQ(waiting(), (Queues{kMaxQueues - 1, 0}));
}

TEST_F(LinuxBackEventsTest, AgainCountsAsAnEvent)
{
    EXPECT_FALSE(events.pending());
    events.again(2);
    events.again(2);
    EXPECT_TRUE(events.pending());
    EXPECT_EQ(waiting(), Queues{2});
    EXPECT_FALSE(events.pending());
}

TEST_F(LinuxBackEventsTest, PausedQueueIsQuiet)
{
    come({101, 102});
    EXPECT_EQ(events.take(), 0u);
    events.pause(1);
    events.again(1);
    come({102});
    EXPECT_FALSE(events.pending());
    EXPECT_EQ(waiting(), Queues{});
}

TEST_F(LinuxBackEventsTest, UnboundPortIsNoQueues)
{
    events.unbind(1);
    EXPECT_EQ(fake.bound, (std::set<uint32_t>{101, 103}));
    come({102});
    EXPECT_EQ(waiting(), Queues{});
    EXPECT_EQ(unmasked(), Queues{});
    events.unbind(1); /* nothing is left to unbind */
    ASSERT_TRUE(events.bind(1, Port(2)));
    come({102});
    EXPECT_EQ(waiting(), Queues{1});
}

TEST_F(LinuxBackEventsTest, LaterIsToldOnce)
{
    EXPECT_FALSE(events.take_later());
    events.later();
    EXPECT_TRUE(events.pending());
    EXPECT_TRUE(events.take_later());
    EXPECT_FALSE(events.take_later());
    EXPECT_FALSE(events.pending());
}

/* ---- grants ------------------------------------------------------------------- */

/* Page N of the file, which ends in N. */
LinuxFile granted_pages(uint32_t count)
{
    LinuxFile file = memory_file(count * size_t{kPageSize});
    for (uint32_t i = 0; i < count; i++)
        EXPECT_EQ(::pwrite(file.fd(), &i, sizeof(i), (i + 1) * off_t{kPageSize} - 4), 4);
    return file;
}

class LinuxBackGrantsTest : public ::testing::Test, protected XenRig
{
protected:
    LinuxBackGrants grants{granted_pages(8), DomId(7)};
};

TEST_F(LinuxBackGrantsTest, PageIsTheOneThatWasGranted)
{
    auto five = grants.map(GrantRef(5), false), two = grants.map(GrantRef(2), false);
    ASSERT_TRUE(five && two);
    EXPECT_EQ(fake.domain, 7u);
    EXPECT_EQ(five.value()[kPageSize - 4], std::byte{5});
    EXPECT_EQ(grants.mapped(), 2u);
    grants.unmap(GrantRef(5), five.value());
    EXPECT_EQ(two.value()[kPageSize - 4], std::byte{2});
    EXPECT_EQ(fake.granted, std::set<uint64_t>{2 * kPageSize});
    grants.unmap(GrantRef(2), two.value());
    EXPECT_EQ(grants.mapped(), 0u);
    EXPECT_TRUE(fake.granted.empty());
}

TEST_F(LinuxBackGrantsTest, ReadOnlyPageCannotBeWritten)
{
    LinuxFile zeros(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    for (bool readonly : {true, false}) {
        auto page = grants.map(GrantRef(1), readonly);
        ASSERT_TRUE(page);
        EXPECT_EQ(::read(zeros.fd(), page.value(), 1), readonly ? -1 : 1);
        grants.unmap(GrantRef(1), page.value());
    }
}

/* gntdev: a grant whose mmap() failed is still there, and has to be unmapped. */
TEST_F(LinuxBackGrantsTest, GrantThatCannotBeMappedIsForgotten)
{
    fake.no_mmap = true;
    auto page = grants.map(GrantRef(3), false);
    ASSERT_FALSE(page);
    EXPECT_STREQ(page.error().clause, "blkif:gref");
    EXPECT_EQ(page.error().value, 3u);
    EXPECT_EQ(grants.mapped(), 0u);
    EXPECT_TRUE(fake.granted.empty());
}

/* ---- LinuxBack ------------------------------------------------------------------ */

/* A XenStore: nodes, and one watch. It answers on a thread of its own. */
class FakeStore
{
public:
    FakeStore()
    {
        int ends[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        client = LinuxFile(ends[0]);
        server_ = LinuxFile(ends[1]);
        thread_ = std::thread([this] { serve(); });
    }
    ~FakeStore()
    {
        ::shutdown(server_.fd(), SHUT_RDWR);
        thread_.join();
    }
    std::string get(const std::string &path)
    {
        std::lock_guard lock(mutex_);
        auto node = nodes_.find(path);
        return node == nodes_.end() ? "none" : node->second;
    }
    /* As another client. */
    void set(const std::string &path, const std::string &value)
    {
        std::lock_guard lock(mutex_);
        nodes_[path] = value;
        if (path == watched_)
            fire();
    }

    LinuxFile client{};

private:
    struct Header {
        uint32_t op, request, transaction, length;
    };
    void say(uint32_t op, uint32_t request, const std::string &body)
    {
        const Header header{op, request, 0, static_cast<uint32_t>(body.size())};
        std::string bytes(reinterpret_cast<const char *>(&header), sizeof(header));
        bytes += body;
        EXPECT_EQ(::send(server_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(bytes.size()));
    }
    void fire() { say(15, 0, watched_ + '\0' + token_ + '\0'); }
    std::string children(const std::string &path)
    {
        std::set<std::string> names;
        for (const auto &[node, value] : nodes_)
            if (node.starts_with(path + "/"))
                names.insert(node.substr(path.size() + 1,
                                         node.find('/', path.size() + 1) - path.size() - 1));
        std::string all;
        for (const std::string &name : names)
            all += name + '\0';
        return all;
    }
    void answer(const Header &ask, const std::string &body)
    {
        std::lock_guard lock(mutex_);
        const size_t end = body.find('\0');
        const std::string path = body.substr(0, end), rest = body.substr(end + 1);
        std::string reply = "OK\0"s;
        switch (ask.op) {
        case 1: reply = children(path); break;
        case 2:
            if (!nodes_.count(path))
                return say(16, ask.request, "ENOENT\0"s);
            reply = nodes_[path];
            break;
        case 4:
            watched_ = path;
            token_ = rest.substr(0, rest.size() - 1);
            fire();
            break;
        case 5: watched_.clear(); break;
        case 11: nodes_[path] = rest; break;
        case 13: nodes_.erase(path); break;
        default: return say(16, ask.request, "EINVAL\0"s);
        }
        say(ask.op, ask.request, reply);
    }
    void serve()
    {
        for (Header ask{}; ::recv(server_.fd(), &ask, sizeof(ask), MSG_WAITALL) == sizeof(ask);) {
            std::string body(ask.length, '\0');
            if (::recv(server_.fd(), body.data(), body.size(), MSG_WAITALL) !=
                static_cast<ssize_t>(body.size()))
                return;
            answer(ask, body);
        }
    }

    std::mutex mutex_{};
    std::map<std::string, std::string> nodes_{{"domid", "0"}};
    std::string watched_{}, token_{};
    LinuxFile server_{};
    std::thread thread_{};
};

const std::string kFront = "/local/domain/7/device/vbd/51712";
const std::string kHome = "/local/domain/0/backend/";

class LinuxBackFind : public ::testing::Test
{
protected:
    Result<BackConfig> find(const std::string &type = "")
    {
        LinuxBackConfig config{DomId(7), 51712, type, {}};
        config.back.max_queues = 3;
        return LinuxBack::find(store, config);
    }
    FakeStore xenstore{};
    LinuxStore store{std::move(xenstore.client)};
};

/* A guest writes its own directory, and may name any folder of dom0 there. */
TEST_F(LinuxBackFind, BackendsFolderAloneDecides)
{
    xenstore.set(kFront + "/backend", "/local/domain/0/vm");
    xenstore.set("/local/domain/0/vm/frontend", kFront);
    EXPECT_EQ(find().error().kind, ErrorKind::Missing);
    xenstore.set(kHome + "other/7/51728/frontend", "/local/domain/7/device/vbd/51728");
    xenstore.set(kHome + "pvblk/7/51712/frontend", kFront);
    auto found = find();
    ASSERT_TRUE(found) << sentence(found.error());
    EXPECT_EQ(found.value().backend_path, kHome + "pvblk/7/51712");
    EXPECT_EQ(found.value().frontend_path, kFront);
    EXPECT_EQ(found.value().max_queues, 3u);
}

TEST_F(LinuxBackFind, DeviceWithTwoFoldersNeedsItsType)
{
    for (const char *type : {"qdisk", "pvblk"})
        xenstore.set(kHome + type + "/7/51712/frontend", kFront);
    EXPECT_EQ(find().error().kind, ErrorKind::Contradiction);
    ASSERT_TRUE(find("qdisk"));
    EXPECT_EQ(find("qdisk").value().backend_path, kHome + "qdisk/7/51712");
    EXPECT_EQ(find("vbd").error().kind, ErrorKind::Missing);
}

TEST_F(LinuxBackFind, OwnDomainIsANumber)
{
    xenstore.set("domid", "x");
    EXPECT_EQ(find().error().kind, ErrorKind::Malformed);
}

TEST(LinuxBack, DeviceThatNobodyHasCannotBeServed)
{
    LinuxStorage storage{LinuxFile()};
    auto back = LinuxBack::create(storage, {.vdev = 3});
    ASSERT_FALSE(back);
    EXPECT_EQ(std::string(back.error().clause).substr(0, 6), "linux:");
}

/* A frontend by hand: its ring is grant 1, its data grant 2, its port 5. */
class LinuxBackTest : public ::testing::Test, protected XenRig
{
protected:
    void SetUp() override
    {
        pages = static_cast<char *>(
            ::mmap(nullptr, 4 * kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, granted.fd(), 0));
        ASSERT_NE(pages, MAP_FAILED);
        ASSERT_TRUE(storage.measure());
        BackConfig config;
        config.frontend_path = kFront;
        config.backend_path = "b";
        xenstore.set(kFront + "/state", "1");
        LinuxBackPorts ports{
            std::make_unique<LinuxStore>(std::move(xenstore.client)),
            std::make_unique<LinuxBackEvents>(std::move(device), DomId(7)),
            std::make_unique<LinuxBackGrants>(LinuxFile(::dup(granted.fd())), DomId(7))};
        linux_back.emplace(std::move(ports), storage, config, nullptr, &hooks);
        ASSERT_TRUE(linux_back->back().start());
    }
    void TearDown() override
    {
        linux_back.reset();
        EXPECT_TRUE(fake.bound.empty());
        EXPECT_TRUE(fake.granted.empty());
        ::munmap(pages, 4 * kPageSize);
    }
    void turn()
    {
        Status turned = linux_back->turn(0);
        ASSERT_TRUE(turned) << sentence(turned.error());
    }
    void until(const std::string &state)
    {
        for (int i = 0; i < 100 && xenstore.get("b/state") != state; i++)
            ASSERT_TRUE(linux_back->turn(20));
        EXPECT_EQ(xenstore.get("b/state"), state);
    }
    void connect()
    {
        const uint32_t no_events[] = {0, 1, 0, 1}; /* ring.h: SHARED_RING_INIT */
        std::memcpy(ring(), no_events, sizeof(no_events));
        xenstore.set(kFront + "/ring-ref", "1");
        xenstore.set(kFront + "/event-channel", "5");
        xenstore.set(kFront + "/protocol", "x86_64-abi");
        xenstore.set(kFront + "/state", "3");
        until("4");
    }
    char *ring() { return pages + kPageSize; }
    char *data() { return pages + 2 * kPageSize; }
    /* blkif.h: struct blkif_request, of one sector; and its event. */
    void send(uint32_t n, uint8_t op, uint64_t sector)
    {
        char request[112] = {};
        const uint64_t id = n;
        const uint32_t gref = 2, prod = n + 1;
        request[0] = static_cast<char>(op);
        request[1] = 1;
        std::memcpy(request + 8, &id, 8);
        std::memcpy(request + 16, &sector, 8);
        std::memcpy(request + 24, &gref, 4); /* first and last sector are 0 */
        std::memcpy(ring() + 64 + n * sizeof(request), request, sizeof(request));
        std::memcpy(ring(), &prod, 4);
        come({105});
    }
    uint32_t responses()
    {
        uint32_t prod = 0;
        std::memcpy(&prod, ring() + 8, 4);
        return prod;
    }

    LinuxFile granted{granted_pages(4)};
    char *pages{nullptr};
    FakeStore xenstore{};
    LinuxStorage storage{memory_file(64 * kSectorSize)};
    struct Hooks final : BackHooks {
        HookedBack *back{nullptr};
        uint32_t calls{0};
        void attached(HookedBack &b) override
        {
            back = &b;
            b.ask_hooks();
        }
        void later() override { calls++; }
    } hooks{};
    std::optional<LinuxBack> linux_back{};
};

TEST_F(LinuxBackTest, FrontendIsServed)
{
    until("2");
    connect();
    std::memset(data(), 'w', kSectorSize);
    send(0, 1, 7);
    turn();
    ASSERT_EQ(responses(), 1u);
    std::memset(data(), '.', kSectorSize);
    send(1, 0, 7);
    turn();
    ASSERT_EQ(responses(), 2u);
    EXPECT_EQ(std::string(data(), kSectorSize), std::string(kSectorSize, 'w'));
    EXPECT_EQ(unmasked(), (Queues{105, 105}));
    EXPECT_EQ(fake.sent, std::set<uint32_t>{105});
    EXPECT_EQ(linux_back->back().counters().refused, 0u);
    EXPECT_EQ(linux_back->mapped(), 1u); /* its ring */
}

TEST_F(LinuxBackTest, FrontendThatLeavesIsUnmapped)
{
    connect();
    xenstore.set(kFront + "/state", "5");
    until("5");
    xenstore.set(kFront + "/state", "6");
    until("6");
    EXPECT_EQ(linux_back->mapped(), 0u);
    EXPECT_TRUE(fake.bound.empty());
}

/* A program that died left the frontend Connected, with a request in its ring. */
TEST_F(LinuxBackTest, NextProgramFindsTheRequest)
{
    const uint32_t no_events[] = {0, 1, 0, 1};
    std::memcpy(ring(), no_events, sizeof(no_events));
    send(0, 0, 7);
    for (const auto &[name, value] : std::map<std::string, std::string>{
             {"ring-ref", "1"}, {"event-channel", "5"}, {"protocol", "x86_64-abi"}, {"state", "4"}})
        xenstore.set(kFront + "/" + name, value);
    until("4");
    turn();
    EXPECT_EQ(responses(), 1u);
}

TEST_F(LinuxBackTest, TurnEndsWhenTheOtherFileIsReadable)
{
    until("2");
    turn();
    int ends[2] = {-1, -1};
    ASSERT_EQ(::pipe(ends), 0);
    LinuxFile out(ends[0]), in(ends[1]);
    ASSERT_EQ(::write(in.fd(), "x", 1), 1);
    EXPECT_TRUE(linux_back->turn(-1, out.fd()));
}

TEST_F(LinuxBackTest, LaterCallIsMade)
{
    until("2");
    turn();
    hooks.back->ports().events.later();
    EXPECT_TRUE(linux_back->turn(-1));
    EXPECT_EQ(hooks.calls, 1u);
    turn();
    EXPECT_EQ(hooks.calls, 1u);
}

TEST_F(LinuxBackTest, LostEventsEndTheLoop)
{
    until("2");
    turn();
    kernel = LinuxFile();
    auto turned = linux_back->turn(-1);
    ASSERT_FALSE(turned);
    EXPECT_STREQ(turned.error().what, "/dev/xen/evtchn lost an event");
}

} // namespace
