/* SPDX-License-Identifier: MIT */
/* A vbd of the Linux domain that we run in: see linux_domain.h. */
#include "linux_domain.h"

#include <poll.h>
#include <unistd.h>

namespace pvblk::conformance
{

namespace
{

/* DOMID_FIRST_RESERVED of xen.h, less one: no domain gets that far. */
constexpr DomId kNobody{0x7fef};

/* A sentence, if another frontend has this vbd: we would take it over. */
std::string user_of(Store &store, const std::string &frontend, const std::string &vbd)
{
    std::string device = "/sys/bus/xen/devices/vbd-" + vbd;
    if (access((device + "/driver").c_str(), F_OK) == 0)
        return "Linux's own frontend uses vbd " + vbd + ": unload xen-blkfront, or write vbd-" +
               vbd + " to " + device + "/driver/unbind";
    auto text = read_node(store, frontend + "/state");
    auto state = text ? parse_xenbus_state(*text) : Result<XenbusState>(XenbusState::Unknown);
    if (!state ||
        (state.value() != XenbusState::Initialised && state.value() != XenbusState::Connected))
        return "";
    return "another frontend uses vbd " + vbd + ", its state is " +
           xenbus_state_name(state.value()) + ": end it; if it has died, write 6 to " + frontend +
           "/state in XenStore";
}

} // namespace

Result<std::unique_ptr<LinuxDomain>, NoDomain> LinuxDomain::create(const std::string &vbd)
{
    std::unique_ptr<LinuxDomain> d(new LinuxDomain);
    auto store = LinuxStore::create();
    if (!store)
        return NoDomain{sentence(store.error())};
    d->store_ = std::move(store.value());
    /* Relative to our domain's own directory. */
    d->frontend_ = "device/vbd/" + vbd;
    auto backend = read_node(*d->store_, d->frontend_ + "/backend");
    auto id = read_node(*d->store_, d->frontend_ + "/backend-id");
    auto peer = id ? parse_decimal(*id) : std::nullopt;
    if (!backend || !peer)
        return NoDomain{"this domain has no vbd " + vbd +
                        ": see `xenstore-ls device/vbd` for those that it has, or attach one"};
    if (std::string user = user_of(*d->store_, d->frontend_, vbd); !user.empty())
        return NoDomain{user};
    d->backend_ = *backend;
    d->peer_ = DomId(static_cast<uint16_t>(*peer));
    auto events = LinuxEvents::create(d->peer_);
    if (!events)
        return NoDomain{sentence(events.error())};
    d->events_ = std::move(events.value());
    /* As frontends do. A backend that offers something else writes its state again, and each node
     * that fires costs a way to XenStore and back. */
    if (auto watched = d->store_->watch(d->backend_ + "/state"); !watched)
        return NoDomain{sentence(watched.error())};
    return d;
}

Result<SharedPage> LinuxDomain::share(bool readonly, Grantee to)
{
    auto pages = LinuxPages::create(to == Grantee::Backend ? peer_ : kNobody, 1, readonly);
    if (!pages)
        return pages.error();
    SharedPage page{pages.value().page(0), pages.value().ref(0), readonly};
    pages_.insert_or_assign(page.at, std::move(pages.value()));
    return page;
}

bool LinuxDomain::take_events()
{
    bool any = false;
    /* Each queue has one event at most; what comes meanwhile waits for the next look. */
    for (uint32_t i = 0; i < kMaxQueues && events_->take(); i++)
        any = true;
    return any;
}

Woken LinuxDomain::wait(std::chrono::milliseconds patience)
{
    auto until = now() + patience;
    for (;;) {
        if (take_events())
            return Woken::Event;
        auto fired = store_->take();
        if (fired && fired.value())
            return Woken::Store;
        auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now());
        if (left.count() <= 0 || !fired)
            return Woken::TimeUp;
        struct pollfd fds[] = {{store_->fd(), POLLIN, 0}, {events_->fd(), POLLIN, 0}};
        (void)poll(fds, std::size(fds), static_cast<int>(left.count()));
    }
}

std::chrono::microseconds LinuxDomain::now()
{
    return std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now().time_since_epoch());
}

} // namespace pvblk::conformance
