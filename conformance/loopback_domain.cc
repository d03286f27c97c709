/* SPDX-License-Identifier: MIT */
/* Our own backend in the same process: see loopback_domain.h. */
#include "loopback_domain.h"

#include <cstring>

namespace pvblk::conformance
{

namespace
{

constexpr uint32_t kPages = 512;

HubConfig hub_config()
{
    HubConfig c;
    c.guest_pages = 1;
    c.private_pages = kPages;
    c.grants = kPages + 1; /* the last one for a frame that is no RAM */
    c.disk_sectors = LoopbackDomain::kSectors;
    return c;
}

} // namespace

LoopbackDomain::LoopbackDomain(Kind kind) : hub_(hub_config()), in_use_(kPages)
{
    config_.frontend_path = hub_.config.frontend_path;
    config_.backend_path = hub_.config.backend_path;
    config_.discard_secure = kind == Kind::Plain;
    config_.read_only = kind == Kind::ReadOnly;
    config_.max_indirect_segments = 600; /* more than one page of them */
    config_.max_persistent = 64;         /* fewer than a case can use */
    if (kind == Kind::LargeSectors)
        config_.sector_size = 4096;
    if (kind == Kind::Bare) {
        config_.flush = config_.barrier = config_.discard = config_.persistent = false;
        config_.max_indirect_segments = 0;
        config_.max_ring_page_order = 0;
        config_.max_queues = 1;
    }
    hub_.front.event = [this](uint32_t) { event_ = true; };
    hub_.front.store = [this] { store_ = true; };
    (void)hub_.front_store.watch(backend());
    start();
}

LoopbackDomain::~LoopbackDomain()
{
    hub_.detach_front();
    hub_.detach_back();
}

void LoopbackDomain::start()
{
    back_ = std::make_unique<BlockBack>(hub_.back_ports(), config_, faults_.hooks());
    hub_.attach(back_.get());
    /* The config is within its limits, and XenStore does not fail here. */
    (void)back_->start();
    hub_.run();
}

Result<Ok, FaultError> LoopbackDomain::obey(const std::string &plan)
{
    /* Hooks that are never asked leave the backend as it is without them. */
    if (plan.empty())
        return Ok{};
    auto parsed = FaultPlan::parse(plan);
    if (!parsed)
        return parsed.error();
    faults_.obey(std::move(parsed.value()));
    return Ok{};
}

bool LoopbackDomain::fail(const std::string &call, uint32_t nth)
{
    for (auto [name, hub_call] :
         {std::pair{"node", HubCall::StoreWrite}, std::pair{"grant", HubCall::GrantPage},
          std::pair{"channel", HubCall::EventOpen}, std::pair{"event", HubCall::EventNotify}})
        if (call == name) {
            hub_.fail(hub_call, nth - 1);
            return true;
        }
    return false;
}

void LoopbackDomain::restart()
{
    hub_.storage.defer = false;
    hub_.detach_back();
    back_.reset();
    hub_.back_store.remove(backend());
    start();
}

Result<SharedPage> LoopbackDomain::share(bool readonly, Grantee to)
{
    for (uint32_t i = 0; i < kPages; i++) {
        if (in_use_[i])
            continue;
        auto granted = hub_.grants.grant_page(i, PageIndex(i), readonly);
        if (!granted)
            return granted.error();
        /* To the backend, a grant for another domain is none. */
        if (to == Grantee::Nobody)
            (void)hub_.grants.revoke(i);
        in_use_[i] = true;
        std::byte *at = hub_.memory.page(PageIndex(i));
        std::memset(at, 0, kPageSize);
        return SharedPage{at, hub_.grants.ref(i), readonly};
    }
    return Error{ErrorKind::NoSpace, "grant:table", "no page of the loopback is left", kPages};
}

void LoopbackDomain::unshare(const SharedPage &page)
{
    if (!page.at)
        return;
    uint32_t i = page.ref.value - LoopbackGrants::kFirst;
    /* What the backend keeps mapped is not used again. */
    auto ended = hub_.grants.revoke(i);
    if (ended || ended.error().kind != ErrorKind::Busy)
        in_use_[i] = false;
}

Result<GrantRef> LoopbackDomain::share_no_ram()
{
    (void)hub_.grants.revoke(kPages);
    auto granted = hub_.grants.grant_frame(kPages, Gfn(1), false);
    if (!granted)
        return granted.error();
    return hub_.grants.ref(kPages);
}

Woken LoopbackDomain::wait(std::chrono::milliseconds)
{
    event_ = store_ = false;
    hub_.run();
    hub_.clock.now += 1000;
    return event_ ? Woken::Event : store_ ? Woken::Store : Woken::Quiet;
}

void LoopbackDomain::release()
{
    hub_.storage.defer = false;
    while (hub_.storage.waiting())
        hub_.storage.finish(hub_.storage.waiting() - 1);
}

void LoopbackDomain::resize(uint64_t sectors)
{
    hub_.storage.data.resize(sectors * kSectorSize);
    back_->resized();
}

} // namespace pvblk::conformance
