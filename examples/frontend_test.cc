/* SPDX-License-Identifier: MIT */
/*
 * A frontend of your own (frontend.h) against our backend, once honest, and
 * once for each way to go wrong that a fault plan tells of (docs/faults.rst).
 * The loopback says in the end whether the frontend broke a rule itself.
 */
#include "frontend.h"

#include <pvblk/fault.h>
#include <pvblk/loopback.h>

#include <cstdio>

using namespace pvblk;
using example::Frontend;

/* [case] */
struct Case {
    const char *plan; /* what the backend does wrong */
    Frontend::Outcome expected;
};

constexpr Case kCases[] = {
    {"", Frontend::Outcome::Done},
    {"at respond: response/status -1", Frontend::Outcome::Failed},
    {"at respond: response/unknown-id", Frontend::Outcome::Refused},
    {"at publish: index/producer-beyond-ring 1", Frontend::Outcome::Refused},
    {"at unmap name=data: grants/map-for-ever", Frontend::Outcome::Refused},
    {"at notify: notify/lost", Frontend::Outcome::Done},
    {"at respond: response/lost", Frontend::Outcome::Waiting},
};
/* [end of case] */

/* What no frontend does, however its backend behaves. */
static uint64_t broken_rules(const HubOracle &o)
{
    return o.denied_maps + o.readonly_maps + o.bad_frames + o.regrants + o.reused_while_mapped +
           o.bad_revokes + o.foreign_writes;
}

/* [run] */
static bool run(const Case &c)
{
    LoopbackHub hub;
    BackFaults faults;
    BlockBack back(hub.back_ports(), {hub.config.frontend_path, hub.config.backend_path},
                   faults.hooks());
    auto plan = FaultPlan::parse(c.plan);
    if (!plan)
        return std::printf("%s\n", plan.error().what.c_str()), false;
    faults.obey(std::move(plan.value()));
    hub.attach(&back);

    Frontend frontend(hub.front_ports(), hub.config.frontend_path);
    hub.front.event = [&](uint32_t) { frontend.event(); };
    (void)back.start();
    if (!frontend.announce())
        return false;
    hub.run();
    frontend.connected();
    frontend.read(8, Gfn(hub.guest.gpa(0) >> kPageShift));
    hub.run();
    frontend.timeout();

    bool ok = frontend.outcome() == c.expected && !broken_rules(hub.oracle);
    std::printf("%s: '%s'\n", ok ? "ok" : "FAILED", c.plan);
    hub.detach_back();
    return ok;
}
/* [end of run] */

int main()
{
    bool ok = true;
    for (const Case &c : kCases)
        ok = run(c) && ok;
    return ok ? 0 : 1;
}
