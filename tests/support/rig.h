/* SPDX-License-Identifier: MIT */
/*
 * A frontend and a backend on the loopback, connected in three lines:
 *
 *     Rig rig;
 *     rig.connect();
 *     EXPECT_EQ(rig.write(8, 4), IoStatus::Ok);
 *
 * RigSetup changes what they are made of; rig.obey() makes the backend hostile
 * by a fault plan, rig.back->knobs() makes it wait for the test. Every request
 * that a Rig submits is followed to its end: more than one completion fails the
 * test by itself (front:exactly-once), and so does what is leaked and what the
 * hub's oracle counts. A test that makes an end touch what it may not any more
 * says `oracle_matters = false`.
 */
#pragma once

#include "../support/test_back.h"
#include "pvblk/loopback.h"
#include "support/pattern.h"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>

namespace pvblk
{

inline void PrintTo(IoStatus s, std::ostream *os)
{
    static constexpr const char *names[] = {"Ok", "Error", "Unsupported", "Cancelled"};
    *os << names[static_cast<uint32_t>(s)];
}
inline void PrintTo(FrontState s, std::ostream *os)
{
    *os << front_state_name(s);
}
inline void PrintTo(XenbusState s, std::ostream *os)
{
    *os << xenbus_state_name(s);
}
inline void PrintTo(Verdict v, std::ostream *os)
{
    static constexpr const char *names[] = {"Accepted", "Rejected", "Retry"};
    *os << names[static_cast<uint32_t>(v)];
}

/* Milliseconds and seconds of the virtual clock. */
constexpr int64_t ms(int64_t n)
{
    return n * 1'000'000;
}
constexpr int64_t sec(int64_t n)
{
    return n * 1'000'000'000;
}

class RigOwner final : public FrontOwner
{
public:
    void completed(void *cookie, uint32_t, IoStatus status) override
    {
        auto id = reinterpret_cast<uintptr_t>(cookie);
        if (id >= results.size())
            return ADD_FAILURE() << "completion of a request that was never made", void();
        if (results[id])
            ADD_FAILURE() << "request " << id << " completed twice";
        results[id] = status;
        order.push_back(id);
        if (on_completed)
            on_completed();
    }
    void batch_done() override { batches++; }
    void plan_changed() override { plan_changes++; }
    void log(const char *text) override { logs.emplace_back(text); }
    void trace(const Trace &t) override { traces[static_cast<size_t>(t.kind)]++; }

    std::vector<std::optional<IoStatus>> results;
    std::vector<size_t> order; /* of completion */
    std::vector<std::string> logs;
    std::function<void()> on_completed;
    uint64_t batches{0}, plan_changes{0};
    std::array<uint64_t, 16> traces{};
};

/* What the backend tells of its frontend. */
class RigBackOwner final : public BackOwner
{
public:
    void violation(const Error &error) override { violations.push_back(error); }
    void refused(const RefusedRequest &request) override { refusals.push_back(request); }

    std::vector<Error> violations{};
    std::vector<RefusedRequest> refusals{};
};

/* A backend that offers neither more than one page and one ring nor any of the
 * optional ways to send data: for tests of everything else. */
inline BackConfig plain_back()
{
    BackConfig c;
    c.barrier = c.persistent = false;
    c.max_ring_page_order = c.max_indirect_segments = 0;
    c.max_queues = 1;
    return c;
}

struct RigSetup {
    HubConfig hub{};
    BackConfig back{plain_back()};
    FrontConfig front{};
    BackKnobs knobs{};
    /* A judge watches the frontend. To look for grants that are left, it maps some
     * that have ended: then the hub's oracle does not matter. */
    bool judged{false};
};

/* One contiguous part of a guest buffer: offset into guest RAM, bytes. */
struct Part {
    uint64_t offset, bytes;
};

class Rig
{
public:
    explicit Rig(RigSetup s = {}) : setup(std::move(s)), hub(setup.hub)
    {
        setup.back.frontend_path = setup.front.frontend_path = hub.config.frontend_path;
        setup.back.backend_path = setup.front.backend_path = hub.config.backend_path;
        oracle_matters = !setup.judged;
        new_back();
    }
    ~Rig()
    {
        /* In order where the peer plays along; where it does not, it dies
         * first, so that what the front still holds can be revoked. */
        if (front)
            front->stop();
        hub.run();
        hub.detach_back();
        back.reset();
        hub.detach_front();
        front.reset();
        if (oracle_matters) {
            EXPECT_EQ(hub.oracle.denied_maps, 0u) << "access after revoke";
            EXPECT_EQ(hub.oracle.readonly_maps, 0u);
            EXPECT_EQ(hub.oracle.bad_frames, 0u);
        }
        EXPECT_EQ(hub.storage.out_of_range, 0u) << "the backend asked for what is not there";
        EXPECT_EQ(hub.storage.too_many_vectors, 0u) << "a request that a storage does not take";
        expect_safe();
        EXPECT_EQ(hub.grants.in_use(), 0u) << "grants leaked";
        EXPECT_EQ(hub.grants.mapped(), 0u) << "mappings leaked";
        EXPECT_FALSE(hub.events.is_open()) << "event channel leaked";
    }
    /* What never happens, however hostile the peer. */
    void expect_safe()
    {
        EXPECT_EQ(hub.oracle.regrants, 0u);
        EXPECT_EQ(hub.oracle.reused_while_mapped, 0u);
        EXPECT_EQ(hub.oracle.bad_revokes, 0u);
        EXPECT_EQ(hub.oracle.bad_unmaps, 0u);
        EXPECT_EQ(hub.oracle.foreign_writes, 0u);
    }

    BackPorts back_ports()
    {
        BackPorts ports = hub.back_ports();
        ports.owner = &back_owner;
        return ports;
    }
    /* A backend that is not started yet; in place of the one before it. */
    void new_back()
    {
        back.reset();
        back = std::make_unique<TestBack>(back_ports(), setup.back, setup.judged);
        back->knobs() = setup.knobs;
        hub.attach(back.get());
    }
    /* From now on the backend goes wrong as a plan says (docs/faults.rst). */
    void obey(const std::string &text)
    {
        auto plan = FaultPlan::parse(text);
        ASSERT_TRUE(plan) << plan.error().what;
        back->set_faults(std::move(plan.value()));
    }
    /* A front that is not started yet. False: refused, see `refusal`. */
    bool new_front()
    {
        front.reset();
        auto made = BlockFront::create(hub.front_ports(), owner, setup.front);
        if (!made) {
            refusal = made.error();
            return false;
        }
        front = std::move(made.value());
        hub.attach(front.get());
        return true;
    }
    /* The start as a user sees it; returns whether both ends are Connected. */
    bool try_connect()
    {
        (void)back->start();
        if (!new_front())
            return false;
        front->start();
        hub.run();
        return front->state() == FrontState::Connected && back->state() == XenbusState::Connected;
    }
    void connect() { ASSERT_TRUE(try_connect()) << front_state(); }

    /* ---- requests: submit…() returns an ID, the others wait for the end */
    GuestBuffer buffer(std::vector<Part> parts, uint64_t skip = 0)
    {
        Buffer &b = buffers_.emplace_back();
        for (Part p : parts) {
            b.gpa.push_back(hub.guest.gpa(p.offset));
            b.iov.push_back({hub.guest.host(p.offset), p.bytes});
        }
        return {b.gpa.data(), b.iov.data(), static_cast<uint32_t>(parts.size()), skip};
    }
    IoRequest request(IoKind kind, uint64_t sector, uint64_t sectors, uint64_t offset = 0)
    {
        IoRequest r;
        r.kind = kind;
        r.sector = Sector(sector);
        r.sectors = sectors;
        if (kind == IoKind::Read || kind == IoKind::Write)
            r.buffer = buffer({{offset, sectors * kSectorSize}});
        return r;
    }
    Intake offer(IoRequest r)
    {
        r.cookie = reinterpret_cast<void *>(owner.results.size());
        Intake intake = front->submit(r);
        if (intake.verdict == Verdict::Accepted)
            owner.results.emplace_back();
        return intake;
    }
    size_t submit(const IoRequest &r)
    {
        EXPECT_EQ(offer(r).verdict, Verdict::Accepted);
        return owner.results.size() - 1;
    }
    size_t submit(IoKind kind, uint64_t sector, uint64_t sectors, uint64_t offset = 0)
    {
        return submit(request(kind, sector, sectors, offset));
    }
    /* The backend sees what was submitted; responses come back. */
    void pump()
    {
        front->pump();
        EXPECT_TRUE(hub.run()) << "front and back keep each other busy";
    }
    IoStatus finish(const IoRequest &r)
    {
        Intake intake = offer(r);
        if (intake.verdict != Verdict::Accepted)
            return intake.why;
        size_t id = owner.results.size() - 1;
        pump();
        EXPECT_TRUE(owner.results[id]) << "request never completed; " << front_state();
        return owner.results[id].value_or(IoStatus::Cancelled);
    }
    IoStatus read(uint64_t sector, uint64_t sectors, uint64_t offset = 0)
    {
        return finish(request(IoKind::Read, sector, sectors, offset));
    }
    IoStatus write(uint64_t sector, uint64_t sectors, uint64_t offset = 0)
    {
        return finish(request(IoKind::Write, sector, sectors, offset));
    }
    IoStatus flush() { return finish(request(IoKind::Flush, 0, 0)); }
    IoStatus discard(uint64_t sector, uint64_t sectors)
    {
        return finish(request(IoKind::Discard, sector, sectors));
    }
    std::optional<IoStatus> result(size_t id) const { return owner.results[id]; }

    /* ---- data: pattern.h's */
    void fill_guest(uint64_t offset, uint64_t bytes, uint32_t seed)
    {
        fill_pattern(hub.guest.host(offset), bytes, seed);
    }
    void fill_disk(uint64_t sector, uint64_t sectors, uint32_t seed)
    {
        fill_pattern(hub.storage.data.data() + sector * kSectorSize, sectors * kSectorSize, seed);
    }
    bool guest_is(uint64_t offset, uint64_t bytes, uint32_t seed, uint64_t from = 0) const
    {
        return has_pattern(hub.guest.host(offset), bytes, seed, from);
    }
    bool disk_is(uint64_t sector, uint64_t sectors, uint32_t seed) const
    {
        return has_pattern(hub.storage.data.data() + sector * kSectorSize, sectors * kSectorSize,
                           seed);
    }

    std::string front_state() const
    {
        if (!front)
            return std::string("no front: ") + refusal.what;
        return std::string(front_state_name(front->state())) + ": " + front->broken_because();
    }
    std::string back_node(const std::string &name) const
    {
        return hub.node(hub.config.backend_path + "/" + name);
    }
    std::string front_node(const std::string &name) const
    {
        return hub.node(hub.config.frontend_path + "/" + name);
    }

    RigSetup setup;
    LoopbackHub hub;
    RigOwner owner;
    RigBackOwner back_owner;
    std::unique_ptr<TestBack> back;
    std::unique_ptr<BlockFront> front;
    Error refusal{};
    bool oracle_matters{true};

private:
    struct Buffer {
        std::vector<uint64_t> gpa;
        std::vector<struct iovec> iov;
    };
    std::deque<Buffer> buffers_;
};

} // namespace pvblk
