/* SPDX-License-Identifier: MIT */
/* Target `faults`: see faults.h. */
#include "faults.h"

#include "pvblk/fault.h"
#include "support/check.h"

#include <algorithm>
#include <string_view>

namespace pvblk::fuzz
{

namespace
{

/* Every point, a few times over, in states and with operations in turn. */
constexpr uint32_t kDecisions = 13 * 24;

FaultSite site(uint32_t i)
{
    constexpr std::string_view names[] = {"", "sectors", "ring-ref", "event-channel", "mode"};
    FaultSite s;
    s.point = static_cast<FaultPoint>(i % kFaultPoints);
    s.state = static_cast<XenbusState>(i / kFaultPoints % kXenbusStates);
    s.ops = static_cast<FaultOpSet>(1u << i % 7);
    s.queue = i % 5;
    s.name = names[i % std::size(names)];
    return s;
}

void check_same(FaultPlan &one, FaultPlan &other)
{
    check(one.seed() == other.seed() && one.rules() == other.rules(),
          "a plan's text is another plan");
    for (uint32_t i = 0; i < kDecisions; i++) {
        auto a = one.at(site(i)), b = other.at(site(i));
        check(a.has_value() == b.has_value(), "a plan's text does something else");
        check(!a || (a->kind == b->kind && a->number == b->number && a->text == b->text &&
                     a->rule == b->rule),
              "a plan's text does something else");
        check(!a || a->rule < one.rules(), "a fault of a rule that does not exist");
    }
}

void check_rules(const FaultPlan &plan)
{
    check(plan.rules() <= FaultPlan::kMaxRules, "more rules than there may be");
    for (size_t i = 0; i < plan.rules(); i++) {
        const FaultRule &r = plan.rule(i);
        check(static_cast<uint32_t>(r.point) < kFaultPoints, "a point that does not exist");
        check(r.name.size() <= FaultPlan::kMaxName, "a name that is too long");
        check(r.times > 0, "a rule that never happens");
        check(!r.probability || *r.probability <= kFaultBillion, "a probability beyond 1");
    }
}

} // namespace

FaultsOutcome play_faults(const uint8_t *data, size_t size)
{
    FaultsOutcome out;
    std::string_view text(reinterpret_cast<const char *>(data), size);
    auto plan = FaultPlan::parse(text);
    if (!plan) {
        out.why = plan.error().what;
        auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
        check(!out.why.empty() && out.why.find('\n') == std::string::npos,
              "a refusal that is not one sentence");
        check(plan.error().line <= lines, "a refusal of a line that does not exist");
        return out;
    }
    check_rules(plan.value());
    out.accepted = true;
    out.rules = plan.value().rules();
    out.text = plan.value().text();
    auto again = FaultPlan::parse(out.text);
    check(again.ok(), "a plan's text is refused");
    check(again.value().text() == out.text, "a plan's text has another text");
    check_same(plan.value(), again.value());
    for (size_t i = 0; i < out.rules; i++)
        out.fired += plan.value().counters(i).fired;
    return out;
}

} // namespace pvblk::fuzz
