/* SPDX-License-Identifier: MIT */
/* A decision of a backend of somebody else's, and the plan that bends it (docs/faults.rst). */
#include <pvblk/fault.h>

#include <cstdio>

using namespace pvblk;

/* [respond] */
/* The status to answer a request with. */
static int16_t bent(FaultPlan &plan, Op op, int16_t honest)
{
    FaultSite site{.point = FaultPoint::Respond, .ops = fault_op(op)};
    auto fault = plan.at(site);
    if (!fault)
        return honest;
    switch (fault->kind) {
    case FaultKind::ResponseStatus: return static_cast<int16_t>(fault->number);
    default: return honest; /* … the others */
    }
}
/* [end of respond] */

int main()
{
    auto plan = FaultPlan::parse("at respond op=write nth=1: response/status -1");
    if (!plan)
        return std::puts(plan.error().what.c_str()), 1; /* "line 1: no point is called …" */
    const int16_t honest = 0;
    bool ok = bent(plan.value(), Op::Read, honest) == 0 &&
              bent(plan.value(), Op::Write, honest) == 0 &&
              bent(plan.value(), Op::Write, honest) == -1;
    const FaultCounters &c = plan.value().counters(0);
    std::printf("%s: %d writes, %d of them bent\n", ok ? "ok" : "FAILED", int(c.matched),
                int(c.fired));
    return ok && c.matched == 2 && c.fired == 1 ? 0 : 1;
}
