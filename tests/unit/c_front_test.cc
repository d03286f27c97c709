/* SPDX-License-Identifier: MIT */
/*
 * The C seam of BlockFront (c/front.h), on the C face of the loopback: that
 * every call arrives, with what it was given, and that errors keep their
 * meaning on the way through errno. What a frontend does is its own tests'
 * business.
 */
#include "c/loopback.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

namespace pvblk
{
namespace
{

constexpr uint64_t kDiskSectors = 2048;

class Program
{
public:
    Program() : loopback(pvblk_loopback_new(kDiskSectors))
    {
        pvblk_front_defaults(&config);
        config.frontend_path = pvblk_loopback_frontend_path(loopback);
        config.backend_path = pvblk_loopback_backend_path(loopback);
        pvblk_loopback_ports(loopback, &ports);
    }
    ~Program()
    {
        if (front)
            pvblk_front_stop(front);
        pvblk_loopback_run(loopback);
        pvblk_loopback_kill_back(loopback);
        end();
        EXPECT_EQ(hub().grants.in_use(), 0u) << "grants leaked";
        EXPECT_FALSE(hub().events.is_open()) << "event channel leaked";
        pvblk_loopback_free(loopback);
    }
    void end()
    {
        pvblk_loopback_attach(loopback, nullptr);
        pvblk_front_free(front);
        front = nullptr;
    }
    bool make()
    {
        front = pvblk_front_new(&config, &ports, &owner, error, sizeof error);
        pvblk_loopback_attach(loopback, front);
        return front;
    }
    void connect()
    {
        ASSERT_TRUE(make()) << error;
        pvblk_front_start(front);
        pvblk_loopback_run(loopback);
        ASSERT_EQ(state(), "connected") << pvblk_front_broken_because(front);
        EXPECT_STREQ(pvblk_front_broken_because(front), "");
    }
    std::string state() const { return pvblk_front_state(front); }
    LoopbackHub &hub() { return loopback->hub; }
    std::byte *disk() { return static_cast<std::byte *>(pvblk_loopback_disk(loopback)); }
    std::byte *ram() { return static_cast<std::byte *>(pvblk_loopback_ram(loopback, 0)); }

    /* 4 KiB at the beginning of RAM. */
    pvblk_front_io io(pvblk_front_io_kind kind, uint64_t sector)
    {
        pvblk_front_io io = {};
        io.kind = kind;
        io.sector = sector;
        io.sectors = kind == PVBLK_FRONT_FLUSH ? 0 : 8;
        if (kind == PVBLK_FRONT_READ || kind == PVBLK_FRONT_WRITE) {
            io.gpa = &gpa_;
            io.iov = &iov_;
            io.count = 1;
        }
        io.direct = true;
        io.cookie = this;
        return io;
    }
    /* Its end: 0 or an errno. None: not completed. */
    std::optional<int> run(const pvblk_front_io &io)
    {
        ended.reset();
        if (int err = pvblk_front_submit(front, &io))
            return err;
        pvblk_front_pump(front);
        pvblk_loopback_run(loopback);
        return ended;
    }
    std::map<std::string, pvblk_field> fields(void (*emit)(const pvblk_front *, pvblk_emit *,
                                                           void *)) const
    {
        std::map<std::string, pvblk_field> all;
        emit(
            front,
            [](void *o, const pvblk_field *f) {
                auto &into = *static_cast<std::map<std::string, pvblk_field> *>(o);
                EXPECT_TRUE(into.emplace(f->name, *f).second) << f->name << " twice";
            },
            &all);
        return all;
    }
    uint64_t counter(const char *name) const
    {
        return fields(pvblk_front_counters).at(name).number;
    }

    pvblk_loopback *loopback;
    pvblk_front_config config{};
    pvblk_front_ports ports{};
    pvblk_front_owner owner{
        .opaque = this,
        .completed =
            [](void *o, void *cookie, uint32_t queue, int error) {
                EXPECT_EQ(cookie, o);
                EXPECT_FALSE(of(o).ended) << "completed twice";
                of(o).ended = error;
                of(o).queue = queue;
            },
        .batch_done = [](void *o) { of(o).batches++; },
        .disk_changed = [](void *o) { of(o).changes++; },
        .log = [](void *o, const char *text) { of(o).logs.emplace_back(text); },
        .trace = [](void *o, const pvblk_trace *t) { of(o).traces.push_back(*t); },
    };
    pvblk_front *front{nullptr};
    char error[256]{};
    std::optional<int> ended;
    uint32_t queue{0}, batches{0}, changes{0};
    std::vector<std::string> logs;
    std::vector<pvblk_trace> traces;

private:
    static Program &of(void *opaque) { return *static_cast<Program *>(opaque); }
    uint64_t gpa_{pvblk_loopback_gpa(loopback, 0)};
    struct iovec iov_{pvblk_loopback_ram(loopback, 0), 4096};
};

TEST(CFront, MovesDataBothWays)
{
    Program p;
    p.connect();
    std::memset(p.ram(), 0x5a, 4096);
    EXPECT_EQ(p.run(p.io(PVBLK_FRONT_WRITE, 16)), 0);
    EXPECT_EQ(p.disk()[16 * 512], std::byte{0x5a});
    EXPECT_EQ(p.disk()[24 * 512], std::byte{0});
    std::memset(p.ram(), 0, 4096);
    EXPECT_EQ(p.run(p.io(PVBLK_FRONT_READ, 16)), 0);
    EXPECT_EQ(p.ram()[4095], std::byte{0x5a});
    EXPECT_GE(p.batches, 2u);
    EXPECT_EQ(p.counter("ring-writes"), 1u);
    EXPECT_EQ(p.counter("bytes-read"), 4096u);
    EXPECT_EQ(p.counter("bounced-segments"), 0u);
}

TEST(CFront, DoesWhatHasNoData)
{
    Program p;
    p.connect();
    p.disk()[8 * 512] = std::byte{1};
    EXPECT_EQ(p.run(p.io(PVBLK_FRONT_DISCARD, 8)), 0);
    EXPECT_EQ(p.disk()[8 * 512], std::byte{0});
    EXPECT_EQ(p.run(p.io(PVBLK_FRONT_FLUSH, 0)), 0);
    pvblk_front_io stable = p.io(PVBLK_FRONT_WRITE, 0);
    stable.flush_after = true;
    EXPECT_EQ(p.run(stable), 0);
    EXPECT_EQ(p.counter("ring-discards"), 1u);
    EXPECT_GE(p.hub().storage.flushes + p.hub().storage.stable_writes, 2u);
}

/* A page whose address is of no use to the backend goes through one of ours. */
TEST(CFront, CopiesWhatIsNotDirect)
{
    Program p;
    p.connect();
    pvblk_front_io io = p.io(PVBLK_FRONT_WRITE, 0);
    io.direct = false;
    std::memset(p.ram(), 0x77, 4096);
    EXPECT_EQ(p.run(io), 0);
    EXPECT_EQ(p.counter("bounced-segments"), 1u);
    EXPECT_EQ(p.disk()[4095], std::byte{0x77});
}

TEST(CFront, TellsErrorsApart)
{
    Program p;
    p.config.use_secure_discard = false;
    p.connect();
    EXPECT_EQ(p.run(p.io(PVBLK_FRONT_READ, kDiskSectors)), -EIO) << "beyond the end";
    EXPECT_EQ(p.run(p.io(PVBLK_FRONT_SECURE_DISCARD, 0)), -EOPNOTSUPP);
    p.hub().storage.fail = true;
    EXPECT_EQ(p.run(p.io(PVBLK_FRONT_READ, 0)), -EIO) << "a disk that fails";
    EXPECT_TRUE(p.ended);
}

TEST(CFront, HasNoRoomForMoreThanItTakes)
{
    Program p;
    p.config.max_requests = 1;
    p.connect();
    pvblk_front_io io = p.io(PVBLK_FRONT_READ, 0);
    EXPECT_EQ(pvblk_front_submit(p.front, &io), 0);
    EXPECT_EQ(pvblk_front_submit(p.front, &io), -EAGAIN);
    EXPECT_TRUE(pvblk_front_pump(p.front));
    pvblk_loopback_run(p.loopback);
    EXPECT_EQ(p.ended, 0);
    EXPECT_FALSE(pvblk_front_pump(p.front)) << "nothing is left to move";
    EXPECT_EQ(p.run(io), 0);
}

TEST(CFront, CancelsOneQueueAndAll)
{
    Program p;
    p.config.max_ring_pages = 1;
    p.config.max_ring_queues = 2;
    p.connect();
    pvblk_front_io io = p.io(PVBLK_FRONT_READ, 0);
    io.queue = 1;
    EXPECT_EQ(pvblk_front_submit(p.front, &io), 0);
    pvblk_front_cancel_queue(p.front, 0);
    EXPECT_FALSE(p.ended);
    pvblk_front_cancel_queue(p.front, 1);
    EXPECT_EQ(p.ended, -ECANCELED);
    EXPECT_EQ(p.queue, 1u);
    p.ended.reset();
    EXPECT_EQ(pvblk_front_submit(p.front, &io), 0);
    pvblk_front_cancel_all(p.front);
    EXPECT_EQ(p.ended, -ECANCELED);
}

TEST(CFront, FreedKeepsNoRequest)
{
    Program p;
    p.connect();
    pvblk_front_io io = p.io(PVBLK_FRONT_READ, 0);
    EXPECT_EQ(pvblk_front_submit(p.front, &io), 0);
    pvblk_loopback_kill_back(p.loopback);
    p.end();
    EXPECT_EQ(p.ended, -ECANCELED);
    pvblk_front_free(nullptr); /* as free(NULL): nothing */
}

TEST(CFront, ReconnectsAndStops)
{
    Program p;
    p.connect();
    pvblk_front_reconnect(p.front);
    pvblk_loopback_run(p.loopback);
    EXPECT_EQ(p.state(), "connected");
    EXPECT_EQ(p.counter("reconnects"), 1u);
    pvblk_front_stop(p.front);
    pvblk_loopback_run(p.loopback);
    EXPECT_EQ(p.state(), "stopped");
}

TEST(CFront, TellsOfTheDisk)
{
    Program p;
    p.connect();
    pvblk_disk disk;
    pvblk_front_disk(p.front, &disk);
    EXPECT_EQ(disk.sectors, kDiskSectors);
    EXPECT_EQ(disk.sector_size, 512u);
    EXPECT_TRUE(disk.flush && disk.discard);
    EXPECT_FALSE(disk.read_only || disk.cdrom || disk.removable || disk.secure_discard);
    p.hub().put_node(p.hub().config.backend_path + "/sectors", "4096");
    pvblk_loopback_run(p.loopback);
    pvblk_front_disk(p.front, &disk);
    EXPECT_EQ(disk.sectors, 4096u);
    EXPECT_EQ(p.changes, 1u);
    auto plan = p.fields(pvblk_front_plan);
    EXPECT_STREQ(plan.at("protocol").text, "x86_64-abi");
    EXPECT_EQ(plan.at("sectors").number, 4096u);
}

/* Each field of the configuration that the ring shows. */
TEST(CFront, PassesOnWhatItIsMadeLike)
{
    Program p;
    p.config.max_ring_pages = 2;
    p.config.max_ring_queues = 2;
    p.config.max_indirect_segments = 16;
    p.config.use_persistent = true;
    p.config.use_flush = p.config.use_barrier = p.config.use_discard = false;
    p.config.trusted = false;
    p.config.x86_32_abi = true;
    p.connect();
    auto plan = p.fields(pvblk_front_plan);
    EXPECT_STREQ(plan.at("protocol").text, "x86_32-abi");
    EXPECT_EQ(plan.at("ring-pages").number, 2u);
    EXPECT_EQ(plan.at("queues").number, 2u);
    EXPECT_EQ(plan.at("max-segments").number, 16u);
    EXPECT_TRUE(plan.at("persistent").number);
    for (const char *off : {"flush", "barrier", "discard", "trusted"})
        EXPECT_FALSE(plan.at(off).number) << off;
    EXPECT_GT(pvblk_front_wanted_grants(&p.config), 0u);
    pvblk_front_config more = p.config;
    more.max_ring_queues = 4;
    EXPECT_GT(pvblk_front_wanted_grants(&more), pvblk_front_wanted_grants(&p.config));
    EXPECT_GT(pvblk_front_wanted_pages(&more), pvblk_front_wanted_pages(&p.config));
}

/* xenbus:deadline — a backend that never answers. */
TEST(CFront, BreaksAtItsDeadline)
{
    Program p;
    ASSERT_TRUE(p.make()) << p.error;
    pvblk_loopback_kill_back(p.loopback);
    pvblk_front_start(p.front);
    pvblk_loopback_advance(p.loopback, int64_t{p.config.handshake_timeout_ms} * 2'000'000);
    EXPECT_EQ(p.state(), "broken");
    EXPECT_STRNE(pvblk_front_broken_because(p.front), "");
    EXPECT_FALSE(p.logs.empty());
}

TEST(CFront, TellsOfItsWork)
{
    Program p;
    p.connect();
    auto state = std::find_if(p.traces.rbegin(), p.traces.rend(),
                              [](const pvblk_trace &t) { return t.kind == PVBLK_TRACE_STATE; });
    ASSERT_NE(state, p.traces.rend());
    EXPECT_STREQ(state->state.to, "connected");
    EXPECT_STREQ(state->state.event, "back-connected");
    p.traces.clear();
    EXPECT_EQ(p.run(p.io(PVBLK_FRONT_READ, 8)), 0);
    ASSERT_GE(p.traces.size(), 2u);
    EXPECT_EQ(p.traces[0].kind, PVBLK_TRACE_REQUEST);
    EXPECT_EQ(p.traces[0].request.sector, 8u);
    EXPECT_EQ(p.traces[0].request.segments, 1u);
    EXPECT_EQ(p.traces[1].kind, PVBLK_TRACE_PUBLISH);
    p.traces.clear();
    EXPECT_EQ(p.run(p.io(PVBLK_FRONT_READ, kDiskSectors)), -EIO);
    ASSERT_EQ(p.traces.size(), 1u);
    EXPECT_EQ(p.traces[0].kind, PVBLK_TRACE_VERDICT);
    EXPECT_STREQ(p.traces[0].verdict.verdict, "rejected");
    EXPECT_STREQ(p.traces[0].verdict.why, "error");
    EXPECT_EQ(p.traces[0].verdict.sector, kDiskSectors);
}

TEST(CFront, SaysWhyItIsRefused)
{
    Program p;
    p.hub().put_node(p.hub().config.backend_path + "/sector-size", "513");
    EXPECT_FALSE(p.make());
    EXPECT_NE(std::strstr(p.error, p.config.backend_path), nullptr) << p.error;
    EXPECT_NE(std::strstr(p.error, "blkif:sector-size"), nullptr) << p.error;
}

/* Whatever a host answers, it ends in a reason and not in a hang. */
TEST(CFront, TakesNoFailureForSuccess)
{
    for (HubCall call :
         {HubCall::StoreRead, HubCall::StoreWrite, HubCall::GrantPage, HubCall::EventOpen}) {
        SCOPED_TRACE(static_cast<int>(call));
        Program p;
        ASSERT_TRUE(p.make()) << p.error;
        p.hub().fail(call, 0, 1000);
        pvblk_front_start(p.front);
        pvblk_loopback_run(p.loopback);
        EXPECT_GT(p.hub().calls(call), 0u);
        EXPECT_NE(p.state(), "connected");
        p.hub().fail_none();
    }
}

TEST(CFront, SaysWhatItCannotBeMadeOf)
{
    auto refused = [](auto change) {
        Program p;
        change(p);
        EXPECT_FALSE(p.make());
        return std::string(p.error);
    };
    EXPECT_EQ(refused([](Program &p) { p.config.backend_path = nullptr; }),
              "frontend_path or backend_path is missing");
    EXPECT_EQ(refused([](Program &p) { p.config.max_requests = 0; }),
              "max_requests is not between 1 and 65536");
    EXPECT_EQ(refused([](Program &p) { p.config.max_requests = UINT32_MAX; }),
              "max_requests is not between 1 and 65536");
    EXPECT_EQ(refused([](Program &p) { p.config.handshake_timeout_ms = 0; }),
              "handshake_timeout_ms is 0; use at least 1");
    EXPECT_EQ(refused([](Program &p) { p.ports.pages_base = nullptr; }),
              "pages_base is not page aligned");
}

TEST(CFront, UnknownKindIsRefused)
{
    Program p;
    p.connect();
    auto io = p.io(PVBLK_FRONT_WRITE, 0);
    io.kind = static_cast<pvblk_front_io_kind>(7);
    EXPECT_EQ(pvblk_front_submit(p.front, &io), -EINVAL);
}

/* An owner may try again at once; what it hands in then is not forgotten. */
TEST(CFront, FreedTakesNoRequest)
{
    Program p;
    static int second;
    second = 0;
    p.owner.completed = [](void *o, void *, uint32_t, int error) {
        auto &self = *static_cast<Program *>(o);
        EXPECT_EQ(error, -ECANCELED);
        auto again = self.io(PVBLK_FRONT_READ, 0);
        second = pvblk_front_submit(self.front, &again);
    };
    p.connect();
    auto io = p.io(PVBLK_FRONT_READ, 0);
    ASSERT_EQ(pvblk_front_submit(p.front, &io), 0);
    pvblk_loopback_kill_back(p.loopback);
    p.end();
    EXPECT_EQ(second, -ECANCELED);
}

TEST(CFront, ReasonEndsWithTheBrokenState)
{
    Program p;
    p.connect();
    p.hub().fail(HubCall::EventNotify, 0, 1);
    (void)p.run(p.io(PVBLK_FRONT_READ, 0));
    ASSERT_EQ(p.state(), "broken");
    EXPECT_STRNE(pvblk_front_broken_because(p.front), "");
    pvblk_front_stop(p.front);
    EXPECT_STREQ(pvblk_front_broken_because(p.front), "");
}

/* Upcalls that nobody wants are left out. */
TEST(CFront, NeedsNoUpcallButTheEndOfARequest)
{
    Program p;
    p.owner.batch_done = p.owner.disk_changed = nullptr;
    p.owner.log = nullptr;
    p.owner.trace = nullptr;
    p.connect();
    EXPECT_EQ(p.run(p.io(PVBLK_FRONT_READ, 0)), 0);
    p.hub().put_node(p.hub().config.backend_path + "/sectors", "4096");
    p.hub().put_node(p.hub().config.backend_path + "/state", "9");
    pvblk_loopback_run(p.loopback);
    EXPECT_EQ(p.state(), "broken");
}

/* docs/faults.rst, from C. */
TEST(CLoopback, ObeysAFaultPlan)
{
    Program p;
    EXPECT_EQ(pvblk_loopback_set_faults(p.loopback, "at nowhere: nothing", p.error, sizeof p.error),
              -EINVAL);
    EXPECT_NE(std::strstr(p.error, "line 1"), nullptr) << p.error;
    EXPECT_EQ(pvblk_loopback_set_faults(p.loopback, "at respond: response/unknown-id", p.error,
                                        sizeof p.error),
              0);
    p.connect();
    (void)p.run(p.io(PVBLK_FRONT_READ, 0));
    EXPECT_EQ(p.state(), "broken");
    EXPECT_STRNE(pvblk_front_broken_because(p.front), "");
}

TEST(CLoopback, ObeysNoPlanWithoutABackend)
{
    Program p;
    pvblk_loopback_kill_back(p.loopback);
    EXPECT_EQ(pvblk_loopback_set_faults(p.loopback, "", p.error, sizeof p.error), -ENODEV);
    EXPECT_STRNE(p.error, "");
}

TEST(CLoopback, HasPoolsForEachQueue)
{
    Program p;
    p.config.max_ring_queues = PVBLK_MAX_QUEUES;
    p.connect();
    EXPECT_EQ(p.fields(pvblk_front_plan).at("queues").number, BackConfig{}.max_queues);
    EXPECT_EQ(p.run(p.io(PVBLK_FRONT_READ, 0)), 0);
}

/* A frontend that is not of this library: the ports, and three functions. */
TEST(CLoopback, TellsAFrontendOfOnesOwn)
{
    struct Heard {
        uint32_t events{0}, changes{0}, deadlines{0};
    } heard;
    static constexpr auto of = [](void *o) { return static_cast<Heard *>(o); };
    const pvblk_loopback_listener listener = {
        &heard,
        [](void *o, uint32_t queue) { of(o)->events += queue == 3; },
        [](void *o) { of(o)->changes++; },
        [](void *o) { of(o)->deadlines++; },
    };
    Program p;
    void *o = p.ports.opaque;
    uint32_t port = 0;
    EXPECT_EQ(p.ports.event_open(o, 3, &port), 0);
    EXPECT_TRUE(p.hub().back_events.bind(0, Port(port)));
    EXPECT_EQ(p.ports.store_watch(o, p.config.backend_path), 0);
    for (bool listens : {true, false}) {
        pvblk_loopback_listen(p.loopback, listens ? &listener : nullptr);
        p.hub().put_node(std::string(p.config.backend_path) + "/sectors", "1");
        EXPECT_TRUE(p.hub().back_events.notify(0));
        p.ports.clock_deadline(o, p.ports.clock_now(o) + 5);
        EXPECT_TRUE(pvblk_loopback_run(p.loopback));
        pvblk_loopback_advance(p.loopback, 10);
        EXPECT_EQ(heard.events, 1u);
        EXPECT_EQ(heard.changes, 2u) << "the new watch, and the node";
        EXPECT_EQ(heard.deadlines, 1u);
    }
    p.ports.store_unwatch(o);
    p.ports.event_close(o, 3);
}

TEST(CLoopback, CountsWhatNoFrontendDoes)
{
    using Counts = std::map<std::string, uint64_t>;
    auto counts = [](Program &p) {
        Counts all;
        pvblk_loopback_oracle(
            p.loopback,
            [](void *o, const pvblk_field *f) { (*static_cast<Counts *>(o))[f->name] = f->number; },
            &all);
        return all;
    };
    Program p;
    p.connect();
    EXPECT_EQ(p.run(p.io(PVBLK_FRONT_READ, 0)), 0);
    Counts none = counts(p);
    EXPECT_EQ(none.size() * sizeof(uint64_t), sizeof(HubOracle));
    for (const auto &[name, count] : none)
        EXPECT_EQ(count, 0u) << name;
    (void)p.ports.grant_revoke(p.ports.opaque, p.ports.grants - 1); /* never given */
    EXPECT_EQ(counts(p).at("bad-revokes"), 1u);
}

TEST(CLoopback, KnowsTheEndOfRam)
{
    Program p;
    EXPECT_EQ(pvblk_loopback_gpa(p.loopback, 4096) - pvblk_loopback_gpa(p.loopback, 0), 4096u);
    uint64_t end = p.hub().guest.bytes();
    EXPECT_NE(pvblk_loopback_ram(p.loopback, end - 1), nullptr);
    EXPECT_EQ(pvblk_loopback_ram(p.loopback, end), nullptr);
    EXPECT_EQ(pvblk_loopback_gpa(p.loopback, end), 0u);
}

} // namespace
} // namespace pvblk
