/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`: finds the rule of a plan for a decision. Serves no clause; the
 * catalogue says which clause each fault breaks.
 */
#include "pvblk/fault.h"

namespace pvblk
{

namespace
{

/* The catalogue is what everything else trusts: its order, its names, and
 * that each fault can happen somewhere and in a known group. */
constexpr bool catalogue_is_sound()
{
    for (uint32_t i = 0; i < kFaultKinds; i++) {
        const FaultInfo &f = kFaults[i];
        if (static_cast<uint32_t>(f.kind) != i || !f.points || f.what.empty() ||
            f.param.min < INT32_MIN)
            return false;
        bool known = false;
        for (std::string_view group : kFaultGroups)
            known = known || f.group() == group;
        if (!known)
            return false;
        for (uint32_t p = 0; p < kFaultPoints; p++)
            if ((f.points >> p & 1) && ((f.ops && !kFaultPointTable[p].has_op) ||
                                        (!f.node.empty() && !kFaultPointTable[p].has_name)))
                return false;
        for (uint32_t j = 0; j < i; j++)
            if (kFaults[j].name == f.name)
                return false;
    }
    return true;
}
static_assert(catalogue_is_sound());

/* splitmix64 (Steele, Lea, Flood 2014): the n-th output of a stream depends
 * on the stream and n alone, so that no state has to be kept. */
constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
constexpr uint64_t splitmix(uint64_t stream, uint64_t n)
{
    uint64_t z = stream + (n + 1) * kGolden;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* parts × 2^64 / 10^9, in two steps of 32 bits; parts < 10^9. */
constexpr uint64_t threshold(uint32_t parts)
{
    uint64_t high = (static_cast<uint64_t>(parts) << 32) / kFaultBillion;
    uint64_t rest = (static_cast<uint64_t>(parts) << 32) % kFaultBillion;
    return high << 32 | (rest << 32) / kFaultBillion;
}
static_assert(threshold(500'000'000) == 1ull << 63);
static_assert(threshold(1) == 18446744073); /* 2^64 / 10^9 */

bool meets(const FaultRule &r, const FaultSite &site)
{
    if (r.states && !(r.states >> static_cast<uint32_t>(site.state) & 1))
        return false;
    if (r.ops && !(r.ops & site.ops))
        return false;
    FaultOpSet possible = fault_info(r.kind).ops;
    if (possible && !(possible & site.ops))
        return false;
    if (r.queues && !(site.queue < kMaxQueues && (r.queues >> site.queue & 1)))
        return false;
    return r.name.empty() || r.name == site.name;
}

} // namespace

void FaultPlan::add(FaultRule rule)
{
    auto i = static_cast<uint16_t>(rules_.size());
    uint16_t *link = &first_[static_cast<uint32_t>(rule.point)];
    while (*link != kEnd)
        link = &rules_[*link].next;
    *link = i;
    rules_.push_back({std::move(rule), {}, kEnd});
}

void FaultPlan::reset(uint64_t seed)
{
    seed_ = seed;
    for (Entry &e : rules_)
        e.counters = {};
}

uint64_t FaultPlan::fired() const
{
    uint64_t sum = 0;
    for (const Entry &e : rules_)
        sum += e.counters.fired;
    return sum;
}

std::optional<Fault> FaultPlan::match(const FaultSite &site)
{
    std::optional<Fault> fault;
    for (uint16_t i = first_[static_cast<uint32_t>(site.point)]; i != kEnd; i = rules_[i].next) {
        const FaultRule &r = rules_[i].rule;
        FaultCounters &count = rules_[i].counters;
        if (!meets(r, site))
            continue;
        uint64_t occurrence = count.matched++;
        if (fault || count.fired >= r.times || !due(i, occurrence))
            continue;
        count.fired++;
        std::string_view value = fault_info(r.kind).value;
        fault = Fault{r.kind, r.number, value.empty() ? std::string_view(r.text) : value, i};
    }
    return fault;
}

bool FaultPlan::due(size_t i, uint64_t occurrence) const
{
    const FaultRule &r = rules_[i].rule;
    uint64_t first = r.nth.value_or(0);
    if (occurrence < first)
        return false;
    if (r.every ? (occurrence - first) % r.every != 0 : r.nth && occurrence != first)
        return false;
    return coin(i, occurrence);
}

bool FaultPlan::coin(size_t i, uint64_t occurrence) const
{
    const auto &p = rules_[i].rule.probability;
    if (!p || *p == kFaultBillion)
        return true;
    return splitmix(splitmix(seed_, i), occurrence) < threshold(*p);
}

} // namespace pvblk
