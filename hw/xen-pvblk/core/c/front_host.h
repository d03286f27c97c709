/* SPDX-License-Identifier: MIT */
/*
 * Shared by a frontend's two C seams (front.cc, device.cc): ports that call a
 * host's operations. `Ops` is the host's struct of functions, `Config` its
 * configuration. Both seams use the same names for the same things.
 */
#pragma once

#include "c/host.h"
#include "pvblk/front.h"

namespace pvblk
{

template <class Ops>
class HostGrants final : public Grants
{
public:
    HostGrants(Host<Ops> h, uint32_t count) : h_(h), count_(count) {}
    uint32_t count() const override { return count_; }
    GrantRef ref(uint32_t i) const override { return GrantRef(h_.ops->grant_ref(h_.opaque, i)); }
    Status grant_frame(uint32_t i, Gfn gfn, bool ro) override
    {
        return host_status(h_.ops->grant_frame(h_.opaque, i, gfn.value, ro), "grant:table",
                           "could not grant a guest page");
    }
    Status grant_page(uint32_t i, PageIndex page, bool ro) override
    {
        return host_status(h_.ops->grant_page(h_.opaque, i, page.value, ro), "grant:table",
                           "could not grant a private page");
    }
    Status revoke(uint32_t i) override
    {
        return host_status(h_.ops->grant_revoke(h_.opaque, i), "grant:end-access",
                           "the peer still has the page mapped");
    }

private:
    Host<Ops> h_;
    uint32_t count_;
};

template <class Ops>
class HostEvents final : public Events
{
public:
    explicit HostEvents(Host<Ops> h) : h_(h) {}
    Result<Port> open(uint32_t queue) override
    {
        uint32_t port = 0;
        int err = h_.ops->event_open(h_.opaque, queue, &port);
        if (err < 0)
            return host_error(err, "evtchn:alloc", "could not allocate an event channel");
        return Port(port);
    }
    Status notify(uint32_t queue) override
    {
        return host_status(h_.ops->event_send(h_.opaque, queue), "evtchn:send",
                           "could not send an event");
    }
    void close(uint32_t queue) override { h_.ops->event_close(h_.opaque, queue); }

private:
    Host<Ops> h_;
};

class HostMemory final : public Memory
{
public:
    HostMemory(void *base, uint32_t pages) : base_(static_cast<std::byte *>(base)), pages_(pages) {}
    uint32_t pages() const override { return pages_; }
    std::byte *page(PageIndex i) override
    {
        return base_ + static_cast<size_t>(i.value) * kPageSize;
    }

private:
    std::byte *base_;
    uint32_t pages_;
};

template <class Ops>
class HostClock final : public Clock
{
public:
    explicit HostClock(Host<Ops> h) : h_(h) {}
    int64_t now_ns() override { return h_.ops->clock_now(h_.opaque); }
    void set_deadline(int64_t at) override { h_.ops->clock_deadline(h_.opaque, at); }

private:
    Host<Ops> h_;
};

/* All of a frontend's ports on one host. */
template <class Ops>
class HostFrontPorts
{
public:
    HostFrontPorts(Host<Ops> h, uint32_t grants, void *pages_base, uint32_t pages)
        : store_(h, "could not watch the backend's state"), grants_(h, grants), events_(h),
          memory_(pages_base, pages), clock_(h)
    {
    }
    FrontPorts ports() { return {store_, grants_, events_, memory_, clock_}; }

private:
    HostStore<Ops> store_;
    HostGrants<Ops> grants_;
    HostEvents<Ops> events_;
    HostMemory memory_;
    HostClock<Ops> clock_;
};

/* The ring's policy, from either configuration. */
template <class Config>
FrontPolicy host_policy(const Config &c)
{
    FrontPolicy p;
    p.abi = c.x86_32_abi ? Abi::X86_32 : Abi::X86_64;
    if (c.device_sector_units)
        p.large_sector_units = SectorUnits::Device;
    p.use_barrier = c.use_barrier;
    p.use_discard = c.use_discard;
    p.use_secure_discard = c.use_secure_discard;
    p.use_persistent = c.use_persistent;
    p.trusted = c.trusted;
    p.max_ring_pages = c.max_ring_pages;
    p.max_queues = c.max_ring_queues;
    p.max_indirect_segments = c.max_indirect_segments;
    return p;
}

constexpr int64_t host_ns(uint32_t ms)
{
    return int64_t{ms} * 1'000'000;
}

/* The defaults that both configurations share. */
template <class Config>
void host_defaults(Config &c)
{
    const FrontConfig f;
    const FrontPolicy &p = f.policy;
    c.handshake_timeout_ms = static_cast<uint32_t>(f.handshake_timeout_ns / host_ns(1));
    c.request_timeout_ms = static_cast<uint32_t>(f.request_timeout_ns / host_ns(1));
    c.always_notify = f.always_notify;
    c.max_ring_pages = p.max_ring_pages;
    c.max_ring_queues = p.max_queues;
    c.max_indirect_segments = p.max_indirect_segments;
    c.use_barrier = p.use_barrier;
    c.use_discard = p.use_discard;
    c.use_secure_discard = p.use_secure_discard;
    c.use_persistent = p.use_persistent;
    c.trusted = p.trusted;
    c.device_sector_units = p.large_sector_units == SectorUnits::Device;
    c.x86_32_abi = p.abi == Abi::X86_32;
}

} // namespace pvblk
