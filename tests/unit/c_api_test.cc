/* SPDX-License-Identifier: MIT */
/*
 * The C seam (c/device.h): a host of C functions over the loopback, and a device
 * that is used through nothing but the C functions. What front and shim do is
 * their own tests' business; here it is that every call arrives, with what it
 * was given, and that a host's errno becomes a reason that a person can read.
 */
#include "pvblk/c/device.h"
#include "pvblk/loopback.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <linux/virtio_blk.h>
#include <map>

namespace pvblk
{
namespace
{

constexpr uint64_t kHeaderAt = 0, kStatusAt = 4096, kDataAt = 8192; /* offsets into guest RAM */
constexpr uint8_t kUntouched = 0xff;

int errno_of(const Error &e)
{
    if (e.kind == ErrorKind::Missing)
        return -ENOENT;
    return e.kind == ErrorKind::Busy ? -EBUSY : -EIO;
}

int errno_of(const Status &s)
{
    return s ? 0 : errno_of(s.error());
}

/* What QEMU's provider is in production. */
class Host
{
public:
    explicit Host(HubConfig config = {}) : hub(config), ports(hub.front_ports())
    {
        BackConfig b;
        b.frontend_path = hub.config.frontend_path;
        b.backend_path = hub.config.backend_path;
        back = std::make_unique<BlockBack>(hub.back_ports(), b);
        hub.attach(back.get());
        pvblk_device_defaults(&c);
        c.max_ring_pages = 1;
        c.frontend_path = hub.config.frontend_path.c_str();
        c.backend_path = hub.config.backend_path.c_str();
        c.serial = "seam";
        c.virtual_device = 51712;
        c.grants = hub.grants.count();
        c.pages = hub.memory.pages();
        c.pages_base = hub.memory.page(PageIndex(0));
        c.num_queues = 2;
        c.queue_size = 64;
        c.handshake_timeout_ms = 1000;
        c.config_wce = c.use_discard = c.always_notify = true;
    }
    ~Host()
    {
        if (dev)
            pvblk_device_stop(dev);
        hub.run();
        kill_back();
        hub.front = {};
        pvblk_device_free(dev);
        EXPECT_EQ(hub.grants.in_use(), 0u) << "grants leaked";
        EXPECT_FALSE(hub.events.is_open()) << "event channel leaked";
    }
    /* The peer dies: nothing of ours is mapped any more. */
    void kill_back()
    {
        hub.detach_back();
        back.reset();
    }
    bool make()
    {
        dev = pvblk_device_new(&c, &kOps, this, error, sizeof error);
        if (!dev)
            return false;
        hub.front.event = [this](uint32_t queue) { pvblk_device_event(dev, queue); };
        hub.front.store = [this] { pvblk_device_store_changed(dev); };
        hub.front.deadline = [this] { pvblk_device_deadline(dev); };
        return true;
    }
    void connect()
    {
        (void)back->start();
        ASSERT_TRUE(make()) << error;
        pvblk_device_start(dev);
        hub.run();
        ASSERT_EQ(state(), "connected") << pvblk_device_broken_because(dev);
        EXPECT_STREQ(pvblk_device_broken_because(dev), "");
    }
    std::string state() const { return pvblk_device_state(dev); }
    uint8_t &status() { return *reinterpret_cast<uint8_t *>(hub.guest.host(kStatusAt)); }

    /* One request of 512 bytes. */
    bool take(uint32_t type, uint64_t sector, uint32_t queue = 0)
    {
        struct virtio_blk_outhdr h = {type, 0, sector};
        std::memcpy(hub.guest.host(kHeaderAt), &h, sizeof h);
        status() = kUntouched;
        bool is_write = type == VIRTIO_BLK_T_OUT;
        const uint64_t gpa[] = {hub.guest.gpa(kHeaderAt), hub.guest.gpa(kDataAt),
                                hub.guest.gpa(kStatusAt)};
        const struct iovec iov[] = {{hub.guest.host(kHeaderAt), sizeof h},
                                    {hub.guest.host(kDataAt), 512},
                                    {hub.guest.host(kStatusAt), 1}};
        std::copy(std::begin(gpa), std::end(gpa), kept_gpa);
        std::copy(std::begin(iov), std::end(iov), kept_iov);
        uint32_t out = is_write ? 2 : 1;
        pvblk_device_element e = {this,     queue,          out, 3 - out, kept_gpa, kept_gpa + out,
                                  kept_iov, kept_iov + out, true};
        return pvblk_device_take(dev, &e);
    }
    uint8_t command(uint32_t type, uint64_t sector)
    {
        EXPECT_TRUE(take(type, sector));
        pvblk_device_pump(dev);
        hub.run();
        return status();
    }

    LoopbackHub hub;
    FrontPorts ports;
    std::unique_ptr<BlockBack> back;
    pvblk_device_config c{};
    pvblk_device *dev{nullptr};
    char error[256]{};
    int open_errno{0}, read_errno{0}; /* what the host is to answer */
    uint32_t returned{0}, forgotten{0}, batches{0}, config_changes{0}, written{0}, last_queue{0};
    std::vector<std::string> logs;
    std::map<pvblk_trace_kind, uint32_t> traces;
    std::map<pvblk_trace_kind, pvblk_trace> last_trace;

private:
    static Host &of(void *opaque) { return *static_cast<Host *>(opaque); }
    static const pvblk_device_ops kOps;
    uint64_t kept_gpa[3]{};
    struct iovec kept_iov[3]{};
};

const pvblk_device_ops Host::kOps = {
    .store_read = [](void *o, const char *path, char *buf, size_t cap) -> int {
        if (of(o).read_errno)
            return of(o).read_errno;
        auto n = of(o).ports.store.read(path, {buf, cap});
        return n ? static_cast<int>(n.value()) : errno_of(n.error());
    },
    .store_write = [](void *o, const char *path, const char *value,
                      size_t len) { return errno_of(of(o).ports.store.write(path, {value, len})); },
    .store_remove = [](void *o, const char *path) { of(o).ports.store.remove(path); },
    .store_watch = [](void *o,
                      const char *path) { return errno_of(of(o).ports.store.watch(path)); },
    .store_unwatch = [](void *o) { of(o).ports.store.unwatch(); },
    .grant_ref = [](void *o, uint32_t i) { return of(o).ports.grants.ref(i).value; },
    .grant_frame =
        [](void *o, uint32_t i, uint64_t gfn, bool ro) {
            return errno_of(of(o).ports.grants.grant_frame(i, Gfn(gfn), ro));
        },
    .grant_page =
        [](void *o, uint32_t i, uint32_t page, bool ro) {
            return errno_of(of(o).ports.grants.grant_page(i, PageIndex(page), ro));
        },
    .grant_revoke = [](void *o, uint32_t i) { return errno_of(of(o).ports.grants.revoke(i)); },
    .event_open = [](void *o, uint32_t queue, uint32_t *port) -> int {
        if (of(o).open_errno)
            return of(o).open_errno;
        auto made = of(o).ports.events.open(queue);
        if (!made)
            return errno_of(made.error());
        *port = made.value().value;
        return 0;
    },
    .event_send = [](void *o,
                     uint32_t queue) { return errno_of(of(o).ports.events.notify(queue)); },
    .event_close = [](void *o, uint32_t queue) { of(o).ports.events.close(queue); },
    .clock_now = [](void *o) { return of(o).ports.clock.now_ns(); },
    .clock_deadline = [](void *o, int64_t at) { of(o).ports.clock.set_deadline(at); },
    .give_back =
        [](void *o, void *element, uint32_t queue, uint32_t written) {
            EXPECT_EQ(element, o);
            of(o).returned++;
            of(o).written = written;
            of(o).last_queue = queue;
        },
    .forget =
        [](void *o, void *element, uint32_t queue) {
            EXPECT_EQ(element, o);
            of(o).forgotten++;
            of(o).last_queue = queue;
        },
    .batch_done = [](void *o) { of(o).batches++; },
    .config_changed = [](void *o) { of(o).config_changes++; },
    .log = [](void *o, const char *text) { of(o).logs.emplace_back(text); },
    .trace =
        [](void *o, const pvblk_trace *t) {
            of(o).traces[t->kind]++;
            of(o).last_trace[t->kind] = *t;
        },
};

/* What pvblk_device_plan() or _counters() emits, by name; texts by their value. */
using Emit = void (*)(const pvblk_device *, pvblk_emit *, void *);
std::map<std::string, pvblk_field> fields(const pvblk_device *dev, Emit emit)
{
    std::map<std::string, pvblk_field> all;
    emit(
        dev,
        [](void *o, const pvblk_field *f) {
            auto &into = *static_cast<std::map<std::string, pvblk_field> *>(o);
            EXPECT_TRUE(into.emplace(f->name, *f).second) << f->name << " twice";
        },
        &all);
    return all;
}

TEST(CApi, DataGoesBetweenCAndTheDisk)
{
    Host h;
    h.connect();
    std::byte *data = h.hub.guest.host(kDataAt);
    std::memset(data, 0x5a, 512);
    EXPECT_EQ(h.command(VIRTIO_BLK_T_OUT, 7), VIRTIO_BLK_S_OK);
    EXPECT_EQ(h.written, 1u);
    EXPECT_EQ(h.hub.storage.data[7 * kSectorSize], std::byte{0x5a});
    std::memset(data, 0, 512);
    EXPECT_EQ(h.command(VIRTIO_BLK_T_IN, 7), VIRTIO_BLK_S_OK);
    EXPECT_EQ(h.written, 513u);
    EXPECT_EQ(data[511], std::byte{0x5a});
    EXPECT_EQ(h.returned, 2u);
    EXPECT_GE(h.batches, 2u);
    for (auto kind : {PVBLK_TRACE_STATE, PVBLK_TRACE_REQUEST, PVBLK_TRACE_RESPONSE,
                      PVBLK_TRACE_PUBLISH, PVBLK_TRACE_EVENT})
        EXPECT_GT(h.traces[kind], 0u) << kind;
}

TEST(CApi, CountersAndPlanTellWhatHappened)
{
    Host h;
    h.connect();
    EXPECT_EQ(h.command(VIRTIO_BLK_T_OUT, 7), VIRTIO_BLK_S_OK);
    auto counters = fields(h.dev, pvblk_device_counters);
    EXPECT_EQ(counters.at("guest-requests").number, 1u);
    EXPECT_EQ(counters.at("ring-writes").number, 1u);
    EXPECT_EQ(counters.at("bytes-written").number, 512u);
    EXPECT_EQ(counters.at("in-flight").number, 0u);
    auto plan = fields(h.dev, pvblk_device_plan);
    EXPECT_STREQ(plan.at("protocol").text, "x86_64-abi");
    EXPECT_STREQ(plan.at("sector-units").text, "512");
    EXPECT_EQ(plan.at("sectors").number, h.hub.storage.sectors());
    EXPECT_EQ(plan.at("ring-entries").number, 32u);
    EXPECT_EQ(plan.at("read-only").kind, pvblk_field::PVBLK_FIELD_BOOL);
    EXPECT_EQ(plan.at("read-only").number, 0u);
    EXPECT_EQ(plan.at("flush").number, 1u);
    pvblk_device_config more = h.c;
    more.max_ring_queues = 4;
    more.max_ring_pages = 16;
    EXPECT_GT(pvblk_device_wanted_grants(&more), pvblk_device_wanted_grants(&h.c));
    EXPECT_GT(pvblk_device_wanted_pages(&more), pvblk_device_wanted_pages(&h.c));
}

TEST(CApi, DefaultsAreThoseOfTheHeaders)
{
    pvblk_device_config c;
    pvblk_device_defaults(&c);
    const FrontConfig f;
    EXPECT_EQ(c.handshake_timeout_ms, f.handshake_timeout_ns / 1'000'000);
    EXPECT_EQ(c.max_ring_pages, f.policy.max_ring_pages);
    EXPECT_EQ(c.max_indirect_segments, f.policy.max_indirect_segments);
    EXPECT_TRUE(c.use_discard && c.use_barrier && c.trusted && c.config_wce);
    EXPECT_FALSE(c.use_persistent || c.device_sector_units || c.x86_32_abi || c.always_notify);
    EXPECT_EQ(c.num_queues, 1u);
    EXPECT_GT(c.queue_size, 0u);
    EXPECT_EQ(c.serial, nullptr);
    EXPECT_EQ(c.pages_base, nullptr);
}

/* plan.h: the quirk of large sectors is named in the plan. */
TEST(CApi, SectorUnitsArePassedOn)
{
    Host h;
    h.c.device_sector_units = true;
    h.c.serial = nullptr;
    (void)h.back->start();
    for (const char *node : {"/sector-size", "/discard-granularity"})
        h.hub.put_node(h.hub.config.backend_path + node, "4096");
    h.hub.put_node(h.hub.config.backend_path + "/feature-large-sector-size", "1");
    ASSERT_TRUE(h.make()) << h.error;
    auto plan = fields(h.dev, pvblk_device_plan);
    EXPECT_EQ(plan.at("sector-size").number, 4096u);
    EXPECT_STREQ(plan.at("sector-units").text, "device");
}

TEST(CApi, DriversSwitchesArrive)
{
    Host h;
    h.connect();
    uint64_t features = pvblk_device_features(h.dev);
    EXPECT_TRUE(features & 1ull << VIRTIO_BLK_F_CONFIG_WCE);
    EXPECT_TRUE(features & 1ull << VIRTIO_BLK_F_MQ);
    uint8_t config[PVBLK_VIRTIO_CONFIG_SIZE];
    pvblk_device_driver_ok(h.dev, features);
    EXPECT_EQ(h.command(VIRTIO_BLK_T_OUT, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(fields(h.dev, pvblk_device_counters).at("ring-flushes").number, 0u);
    pvblk_device_write_wce(h.dev, false);
    pvblk_device_read_config(h.dev, config);
    EXPECT_EQ(config[PVBLK_VIRTIO_WCE_OFFSET], 0);
    EXPECT_EQ(h.command(VIRTIO_BLK_T_OUT, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(fields(h.dev, pvblk_device_counters).at("ring-flushes").number, 1u);
}

/* One queue's reset forgets that queue's elements, the device's the others. */
TEST(CApi, ResetOfAQueueSparesOthers)
{
    Host h;
    h.connect();
    EXPECT_TRUE(pvblk_device_has_room(h.dev));
    EXPECT_TRUE(h.take(VIRTIO_BLK_T_FLUSH, 0, 0));
    EXPECT_TRUE(h.take(VIRTIO_BLK_T_FLUSH, 0, 1));
    pvblk_device_reset_queue(h.dev, 1);
    EXPECT_EQ(h.forgotten, 1u);
    EXPECT_EQ(h.last_queue, 1u);
    pvblk_device_reset(h.dev);
    EXPECT_EQ(h.forgotten, 2u);
    EXPECT_EQ(h.last_queue, 0u);
    EXPECT_EQ(h.returned, 0u);
}

TEST(CApi, FreedDeviceForgetsItsElements)
{
    Host h;
    h.connect();
    EXPECT_TRUE(h.take(VIRTIO_BLK_T_IN, 0));
    h.kill_back();
    h.hub.front = {};
    pvblk_device_free(h.dev);
    h.dev = nullptr;
    EXPECT_EQ(h.forgotten, 1u);
    pvblk_device_free(nullptr); /* as free(NULL): nothing */
}

TEST(CApi, ReconnectAndStopArrive)
{
    Host h;
    h.connect();
    EXPECT_GE(pvblk_device_ring_page(h.dev, 0, 0), 0);
    pvblk_device_reconnect(h.dev);
    h.hub.run();
    EXPECT_EQ(h.state(), "connected");
    EXPECT_EQ(fields(h.dev, pvblk_device_counters).at("reconnects").number, 1u);
    pvblk_device_stop(h.dev);
    h.hub.run();
    EXPECT_NE(h.state(), "connected");
    EXPECT_EQ(pvblk_device_ring_page(h.dev, 0, 0), -1);
}

TEST(CApi, ResizeIsSeen)
{
    Host h;
    h.connect();
    h.hub.put_node(h.hub.config.backend_path + "/sectors", "4096");
    h.hub.run();
    EXPECT_EQ(fields(h.dev, pvblk_device_plan).at("sectors").number, 4096u);
    EXPECT_EQ(h.config_changes, 1u);
}

/* xenbus:deadline — a backend that never answers. */
TEST(CApi, DeadlineArrives)
{
    Host h;
    (void)h.back->start();
    ASSERT_TRUE(h.make()) << h.error;
    h.kill_back();
    pvblk_device_start(h.dev);
    h.hub.advance(2'000'000'000);
    EXPECT_EQ(h.state(), "broken");
    EXPECT_STRNE(pvblk_device_broken_because(h.dev), "");
    EXPECT_FALSE(h.logs.empty());
}

TEST(CApi, RefusalHasAReason)
{
    Host h;
    EXPECT_FALSE(h.make()) << "no backend, no nodes";
    EXPECT_NE(std::strstr(h.error, h.c.backend_path), nullptr) << h.error;
    /* A node that cannot be read is not one that is missing. */
    (void)h.back->start();
    h.read_errno = -EIO;
    EXPECT_FALSE(h.make());
    EXPECT_NE(std::strstr(h.error, "could not be read"), nullptr) << h.error;
}

/* A path that a host's buffer cannot hold names nothing. */
TEST(CApi, TooLongPathIsRefused)
{
    HubConfig config;
    config.backend_path += std::string(600, 'x');
    Host h(config);
    (void)h.back->start();
    EXPECT_FALSE(h.make());
}

/* Whatever a host answers, it ends in a reason and not in a hang. */
TEST(CApi, EachErrnoOfTheHostIsAReason)
{
    for (int err : {-EIO, -ENOENT, -EBUSY, -ENOSPC, -ENOTCONN}) {
        SCOPED_TRACE(err);
        Host h;
        (void)h.back->start();
        ASSERT_TRUE(h.make()) << h.error;
        h.open_errno = err;
        pvblk_device_start(h.dev);
        h.hub.run();
        EXPECT_EQ(h.state(), "broken");
        EXPECT_NE(std::strstr(pvblk_device_broken_because(h.dev), "event channel"), nullptr)
            << pvblk_device_broken_because(h.dev);
    }
}

TEST(CApi, FailureOfTheHostHasAReason)
{
    for (HubCall call : {HubCall::StoreWrite, HubCall::GrantPage, HubCall::EventOpen}) {
        SCOPED_TRACE(static_cast<int>(call));
        Host h;
        (void)h.back->start();
        ASSERT_TRUE(h.make()) << h.error;
        h.hub.fail(call, 0, 1000);
        pvblk_device_start(h.dev);
        h.hub.run();
        EXPECT_GT(h.hub.calls(call), 0u);
        EXPECT_EQ(h.state(), "broken");
        EXPECT_STRNE(pvblk_device_broken_because(h.dev), "");
    }
}

TEST(CApi, TracesTellWhatTheFrontDid)
{
    Host h;
    h.connect();
    EXPECT_EQ(h.command(VIRTIO_BLK_T_OUT, 7), VIRTIO_BLK_S_OK);
    auto &last = h.last_trace;
    EXPECT_STREQ(last[PVBLK_TRACE_STATE].state.from, "connecting");
    EXPECT_STREQ(last[PVBLK_TRACE_STATE].state.to, "connected");
    EXPECT_STREQ(last[PVBLK_TRACE_BACKEND].backend.state, "Connected");
    EXPECT_EQ(last[PVBLK_TRACE_PLAN].plan.sectors, h.hub.storage.sectors());
    EXPECT_EQ(last[PVBLK_TRACE_PLAN].plan.sector_size, kSectorSize);
    EXPECT_EQ(last[PVBLK_TRACE_REQUEST].request.op, static_cast<uint32_t>(Op::Write));
    EXPECT_EQ(last[PVBLK_TRACE_REQUEST].request.segments, 1u);
    EXPECT_EQ(last[PVBLK_TRACE_REQUEST].request.sector, 7u);
    EXPECT_EQ(last[PVBLK_TRACE_RESPONSE].response.id, last[PVBLK_TRACE_REQUEST].request.id);
    EXPECT_EQ(last[PVBLK_TRACE_RESPONSE].response.status, 0);
    EXPECT_EQ(last[PVBLK_TRACE_PUBLISH].publish.requests, 1u);
}

} // namespace
} // namespace pvblk
