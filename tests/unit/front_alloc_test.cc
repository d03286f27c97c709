/* SPDX-License-Identifier: MIT */
/*
 * Nothing is allocated between Connected and Closing: the global operator new
 * counts while BlockFront runs. A program of its own, because it replaces
 * that operator. Serves the rule of front.h, no clause.
 */
#include "rig.h"

#include <cstdlib>
#include <new>

namespace
{

bool counting = false;
uint64_t allocations = 0;

void *allocate(std::size_t n)
{
    if (counting)
        allocations++;
    void *p = std::malloc(n ? n : 1);
    if (!p)
        std::abort();
    return p;
}

} // namespace

void *operator new(std::size_t n)
{
    return allocate(n);
}
void *operator new[](std::size_t n)
{
    return allocate(n);
}
/* The library's own may come from somewhere else (a sanitizer's runtime), and
 * would not match our delete: all of them are ours. */
void *operator new(std::size_t n, const std::nothrow_t &) noexcept
{
    return allocate(n);
}
void *operator new[](std::size_t n, const std::nothrow_t &) noexcept
{
    return allocate(n);
}
void operator delete(void *p, const std::nothrow_t &) noexcept
{
    std::free(p);
}
void operator delete[](void *p, const std::nothrow_t &) noexcept
{
    std::free(p);
}
void operator delete(void *p) noexcept
{
    std::free(p);
}
void operator delete[](void *p) noexcept
{
    std::free(p);
}
void operator delete(void *p, std::size_t) noexcept
{
    std::free(p);
}
void operator delete[](void *p, std::size_t) noexcept
{
    std::free(p);
}

namespace
{

using namespace pvblk;

/* Not counted while the hub or the owner has the word: they may allocate. */
class Pause
{
public:
    Pause() : was_(counting) { counting = false; }
    ~Pause() { counting = was_; }

private:
    bool was_;
};

class PausedEvents final : public Events
{
public:
    explicit PausedEvents(Events &e) : e_(e) {}
    Result<Port> open() override { return e_.open(); }
    Status notify() override
    {
        Pause pause;
        return e_.notify();
    }
    void close() override { e_.close(); }

private:
    Events &e_;
};

class CountingOwner final : public FrontOwner
{
public:
    void completed(void *, uint32_t, IoStatus) override { done++; }
    void batch_done() override {}
    void plan_changed() override {}
    void log(const char *) override {}
    void trace(TraceKind, uint64_t, uint64_t, uint64_t, const char *) override {}
    uint64_t done{0};
};

TEST(FrontAlloc, RequestAllocates)
{
    Rig rig; /* for its backend and its buffers */
    ASSERT_EQ(rig.back->start().ok(), true);
    FrontPorts ports = rig.hub.front_ports();
    PausedEvents events(ports.events);
    CountingOwner owner;
    auto made = BlockFront::create({ports.store, ports.grants, events, ports.memory, ports.clock},
                                   owner, rig.setup.front);
    ASSERT_TRUE(made);
    BlockFront &front = *made.value();
    rig.hub.attach(&front);
    front.start();
    rig.hub.run();
    ASSERT_EQ(front.state(), FrontState::Connected);
    rig.hub.front.event = [&] {
        counting = true;
        front.event_received();
        counting = false;
    };

    IoRequest requests[] = {
        rig.request(IoKind::Read, 0, 2048),  rig.request(IoKind::Write, 0, 2048),
        rig.request(IoKind::Write, 8, 8, 8), rig.request(IoKind::Read, 9, 3, 3),
        rig.request(IoKind::Flush, 0, 0),    rig.request(IoKind::Discard, 0, 64),
    };
    requests[2].flush_after = true;
    uint64_t accepted = 0;
    for (int round = 0; round < 100; round++) {
        counting = true;
        for (const IoRequest &r : requests)
            accepted += front.submit(r).verdict == Verdict::Accepted;
        front.pump();
        if (round % 10 == 9)
            front.cancel_all();
        counting = false;
        rig.hub.run();
    }
    EXPECT_EQ(owner.done, accepted);
    EXPECT_EQ(accepted, 600u);
    EXPECT_EQ(allocations, 0u);
    counting = true;
    ::operator delete(::operator new(4)); /* called by name: never optimised away */
    counting = false;
    EXPECT_EQ(allocations, 1u) << "the counter itself is dead";
    front.stop();
    rig.hub.run();
    rig.hub.attach(static_cast<BlockFront *>(nullptr));
    rig.oracle_matters = false; /* cancelled requests find their grants gone */
}

} // namespace
