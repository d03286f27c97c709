/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`: the language of fault plans, and which rule a decision
 * meets. Serves no clause; docs/faults.rst is what it has to keep, and its
 * examples are read here.
 */
#include "support/counting_new.h"
#include "support/manual.h"

#include "fault/plan_in_force.h"
#include "pvblk/fault.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <sstream>

namespace
{

using namespace pvblk;
using P = FaultPoint;

FaultPlan plan_of(const std::string &text)
{
    auto plan = FaultPlan::parse(text);
    EXPECT_TRUE(plan) << plan.error().what;
    return plan ? std::move(plan.value()) : FaultPlan{};
}

std::string error_of(const std::string &text)
{
    auto plan = FaultPlan::parse(text);
    EXPECT_FALSE(plan) << text;
    return plan.error().what;
}

/* Which of `count` occurrences of a site the first rule's fault hits. */
std::vector<int> hits(FaultPlan &plan, const FaultSite &site, int count)
{
    std::vector<int> at;
    for (int i = 0; i < count; i++)
        if (plan.at(site))
            at.push_back(i);
    return at;
}

std::vector<int> hits(const std::string &conditions, int count)
{
    FaultPlan plan = plan_of("at respond " + conditions + ": response/lost");
    return hits(plan, {.point = P::Respond, .ops = kFaultRead}, count);
}

using Hits = std::vector<int>;

/* A parameter that the fault takes, as text. */
std::string parameter(const FaultInfo &f, bool largest)
{
    switch (f.param.type) {
    case FaultParam::None: return "";
    case FaultParam::Text: return largest ? " \"\\\"\\\\\\x00 #:\\xff\"" : " \"\"";
    case FaultParam::Number:
        return " " + (largest ? std::to_string(f.param.max) : std::to_string(f.param.min));
    }
    return "";
}

/* A site at which the fault can happen. */
FaultSite site_for(const FaultInfo &f, P point)
{
    const FaultPointInfo &p = fault_point_info(point);
    return {point, XenbusState::Connected,
            static_cast<FaultOpSet>(p.has_op ? (f.ops ? f.ops : +kFaultWrite) : 0), 0,
            f.node.empty() ? "data" : f.node};
}

/* ---- the catalogue ----------------------------------------------------- */

TEST(FaultCatalogue, EachFaultIsReadPrintedAndReached)
{
    uint32_t seen = 0;
    for (const FaultInfo &f : kFaults)
        for (uint32_t i = 0; i < kFaultPoints; i++) {
            if (!(f.points >> i & 1))
                continue;
            P point = static_cast<P>(i);
            for (bool largest : {false, true}) {
                seen++;
                std::string text = "at " + std::string(kFaultPointTable[i].name) + ": " +
                                   std::string(f.name) + parameter(f, largest) + "\n";
                FaultPlan plan = plan_of(text);
                ASSERT_EQ(plan.rules(), 1u) << text;
                EXPECT_EQ(plan.text(), text);
                auto fault = plan.at(site_for(f, point));
                ASSERT_TRUE(fault) << text;
                EXPECT_EQ(fault->kind, f.kind);
                if (f.param.type == FaultParam::Number) {
                    EXPECT_EQ(fault->number,
                              largest ? f.param.max : static_cast<uint64_t>(f.param.min));
                }
                if (f.param.type == FaultParam::Text) {
                    EXPECT_EQ(fault->text, largest ? std::string_view("\"\\\0 #:\xff", 7) : "");
                }
                if (!f.value.empty()) {
                    EXPECT_EQ(fault->text, f.value);
                }
            }
        }
    EXPECT_GT(seen, 2 * kFaultKinds);
}

TEST(FaultCatalogue, FaultIsRefusedWhereItCannotHappen)
{
    for (const FaultInfo &f : kFaults)
        for (uint32_t i = 0; i < kFaultPoints; i++) {
            std::string point(kFaultPointTable[i].name);
            std::string text = "at " + point + ": " + std::string(f.name) + parameter(f, false);
            if (f.points >> i & 1)
                continue;
            std::string error = error_of(text);
            EXPECT_EQ(error.find("line 1: " + std::string(f.name) + " cannot happen at " + point +
                                 "; it can happen at "),
                      0u)
                << error;
        }
}

TEST(FaultCatalogue, NumberOutsideItsRangeIsRefused)
{
    uint32_t seen = 0;
    for (const FaultInfo &f : kFaults) {
        if (f.param.type != FaultParam::Number)
            continue;
        uint32_t point = 0;
        while (!(f.points >> point & 1))
            point++;
        std::string start =
            "at " + std::string(kFaultPointTable[point].name) + ": " + std::string(f.name) + " ";
        std::vector<std::string> bad{std::to_string(f.param.min - 1), "", "x", "\"1\"", "1.5",
                                     "18446744073709551616"};
        if (f.param.min >= 0)
            bad.push_back("-1");
        if (f.param.max != UINT64_MAX)
            bad.push_back(std::to_string(f.param.max + 1));
        for (const std::string &number : bad) {
            seen++;
            EXPECT_NE(error_of(start + number).find(" needs a number ("), std::string::npos)
                << start << number;
        }
    }
    EXPECT_GT(seen, 50u);
}

/* An indirect request is what it carries, too. */
TEST(FaultCatalogue, EachOperationIsRecognised)
{
    WireRequest req;
    std::set<FaultOpSet> seen;
    for (int op = 0; op < 256; op++) {
        req.op = static_cast<Op>(op);
        req.indirect_op = Op::Write;
        FaultOpSet ops = fault_ops(req);
        seen.insert(ops);
        if (op == 6) {
            EXPECT_EQ(ops, kFaultIndirect | kFaultWrite);
        } else if (op == 4 || op > 6) {
            EXPECT_EQ(ops, kFaultOther) << op;
        }
    }
    EXPECT_EQ(seen.size(), 7u);
    FaultPlan plan = plan_of("at take op=write always: response/lost");
    EXPECT_TRUE(plan.at({.point = P::Take, .ops = kFaultIndirect | kFaultWrite}));
    EXPECT_FALSE(plan.at({.point = P::Take, .ops = kFaultIndirect | kFaultRead}));
}

/* ---- when -------------------------------------------------------------- */

TEST(Fault, EachConditionHasToHold)
{
    FaultSite site{P::Map, XenbusState::Connected, kFaultRead, 2, "data"};
    for (const char *holds : {"", "state=Connected", "op=read", "queue=2", "name=data",
                              "state=Connected op=read queue=2 name=data",
                              "state=Closing|Connected op=write|read queue=15|2|0"}) {
        FaultPlan plan = plan_of("at map " + std::string(holds) + ": grants/map-fails");
        EXPECT_TRUE(plan.at(site)) << holds;
    }
    for (const char *fails : {"state=InitWait", "op=write", "queue=0", "name=ring",
                              "op=read name=indirect", "state=Closing op=read queue=2 name=data",
                              "op=write|flush|discard|barrier|indirect|other",
                              "state=Connected op=read queue=3 name=data"}) {
        FaultPlan plan = plan_of("at map " + std::string(fails) + ": grants/map-fails");
        EXPECT_FALSE(plan.at(site)) << fails;
        EXPECT_EQ(plan.counters(0).matched, 0u) << fails;
    }
}

TEST(Fault, HappensAtItsPointAlone)
{
    FaultPlan plan = plan_of("at take always: response/lost");
    for (uint32_t p = 0; p < kFaultPoints; p++) {
        FaultSite site{.point = static_cast<P>(p), .ops = kFaultRead};
        EXPECT_EQ(plan.at(site).has_value(), site.point == P::Take) << p;
    }
}

/* A site that says nothing of an operation has none: a ring's page. */
TEST(Fault, ConditionOnWhatIsNotThereFails)
{
    FaultPlan plan = plan_of("at map op=read: grants/map-fails");
    EXPECT_FALSE(plan.at({.point = P::Map, .name = "ring"}));
    FaultPlan queue = plan_of("at map queue=15: grants/map-fails");
    EXPECT_FALSE(queue.at({.point = P::Map, .queue = 47, .name = "ring"})) << "no shift by 47";
}

/* What a fault can only do to a read does not go by with a write. */
TEST(Fault, OnceWaitsForARequestItCanBend)
{
    FaultPlan plan = plan_of("at data: data/poisoned 170");
    EXPECT_FALSE(plan.at({.point = P::Data, .ops = kFaultWrite}));
    EXPECT_EQ(plan.counters(0).matched, 0u);
    EXPECT_TRUE(plan.at({.point = P::Data, .ops = kFaultIndirect | kFaultRead}));
    plan = plan_of("at data op=indirect: data/poisoned 170");
    EXPECT_FALSE(plan.at({.point = P::Data, .ops = kFaultRead}));
    EXPECT_FALSE(plan.at({.point = P::Data, .ops = kFaultIndirect | kFaultWrite}));
    EXPECT_TRUE(plan.at({.point = P::Data, .ops = kFaultIndirect | kFaultRead}));
    plan = plan_of("at publish-node: geometry/size-zero");
    EXPECT_FALSE(plan.at({.point = P::PublishNode, .name = "sector-size"}));
    EXPECT_TRUE(plan.at({.point = P::PublishNode, .name = "sectors"}));
}

TEST(Fault, OccurrencesAreCounted)
{
    EXPECT_EQ(hits("", 5), Hits({0}));
    EXPECT_EQ(hits("once", 5), Hits({0}));
    EXPECT_EQ(hits("always", 4), Hits({0, 1, 2, 3}));
    EXPECT_EQ(hits("times=3", 9), Hits({0, 1, 2}));
    EXPECT_EQ(hits("nth=3", 9), Hits({3}));
    EXPECT_EQ(hits("nth=0", 9), Hits({0}));
    EXPECT_EQ(hits("every=4 always", 10), Hits({0, 4, 8}));
    EXPECT_EQ(hits("every=4 times=2", 20), Hits({0, 4}));
    EXPECT_EQ(hits("nth=3 every=4 always", 12), Hits({3, 7, 11}));
    EXPECT_EQ(hits("nth=7 every=1 times=2", 20), Hits({7, 8}));
    EXPECT_EQ(hits("nth=0x5", 9), Hits({5}));
}

/* Only what meets state, op, queue and name is an occurrence. */
TEST(Fault, OtherRequestsAreNotCounted)
{
    FaultPlan plan = plan_of("at respond op=write queue=1 nth=2: response/lost");
    FaultSite read{.point = P::Respond, .ops = kFaultRead, .queue = 1};
    FaultSite write{.point = P::Respond, .ops = kFaultWrite, .queue = 1};
    FaultSite elsewhere{.point = P::Respond, .ops = kFaultWrite, .queue = 0};
    for (int i = 0; i < 2; i++)
        for (const FaultSite &s : {read, write, elsewhere})
            EXPECT_FALSE(plan.at(s)) << i;
    EXPECT_FALSE(plan.at(read));
    EXPECT_FALSE(plan.at(elsewhere));
    EXPECT_TRUE(plan.at(write));
    EXPECT_EQ(plan.counters(0).matched, 3u);
    EXPECT_EQ(plan.counters(0).fired, 1u);
}

/* ---- probability ------------------------------------------------------- */

TEST(FaultProbability, RunsRepeat)
{
    std::string text = "seed 7\nat notify probability=0.3 always: notify/lost\n";
    FaultPlan a = plan_of(text), b = plan_of(text);
    FaultSite site{.point = P::Notify};
    Hits first = hits(a, site, 1000);
    EXPECT_EQ(first, hits(b, site, 1000));
    EXPECT_NE(first, hits(b, site, 1000)) << "the coin of an occurrence is that of another";
    a.reset(7);
    EXPECT_EQ(a.counters(0).matched, 0u);
    EXPECT_EQ(first, hits(a, site, 1000)) << "reset() left something";
    a.reset(8);
    EXPECT_EQ(a.text().substr(0, 7), "seed 8\n");
    EXPECT_NE(first, hits(a, site, 1000)) << "the seed means nothing";
}

/* Five standard deviations on each side, of a fixed seed: never by chance. */
TEST(FaultProbability, ShareIsTheProbability)
{
    constexpr int kCount = 100'000;
    for (double p : {0.5, 0.05, 0.001, 0.999}) {
        for (int seed : {0, 1, 2, 3}) {
            std::ostringstream text;
            text << "seed " << seed << "\nat notify probability=" << p << " always: notify/lost";
            FaultPlan plan = plan_of(text.str());
            auto n = static_cast<double>(hits(plan, {.point = P::Notify}, kCount).size());
            double deviation = 5 * std::sqrt(kCount * p * (1 - p));
            EXPECT_NEAR(n, kCount * p, deviation) << text.str();
        }
    }
    EXPECT_EQ(hits("probability=1 always", 1000).size(), 1000u);
    EXPECT_EQ(hits("probability=0 always", 1000).size(), 0u);
    EXPECT_EQ(hits("probability=1.0 times=3", 10), Hits({0, 1, 2}));
    EXPECT_EQ(hits("probability=0.2 times=3", 1000).size(), 3u);
}

/* Two rules, two coins; and neither moves the other's. */
TEST(FaultProbability, EachRuleHasItsCoin)
{
    FaultPlan plan = plan_of("at notify probability=0.5 always: notify/lost\n"
                             "at publish probability=0.5 always: index/producer-frozen\n");
    Hits one = hits(plan, {.point = P::Notify}, 64);
    Hits two = hits(plan, {.point = P::Publish}, 64);
    EXPECT_NE(one, two);
    FaultPlan alone = plan_of("at notify probability=0.5 always: notify/lost\n");
    EXPECT_EQ(one, hits(alone, {.point = P::Notify}, 64));
}

/* every= and nth= choose first, then falls the coin of that occurrence. */
TEST(FaultProbability, ConditionsDoNotMoveTheCoin)
{
    Hits all = hits("probability=0.5 always", 100), tens;
    for (int i : all)
        if (i % 10 == 0)
            tens.push_back(i);
    EXPECT_EQ(hits("every=10 probability=0.5 always", 100), tens);
    EXPECT_FALSE(tens.empty());
    EXPECT_EQ(hits("probability=0.5", 100), Hits({all[0]}));
}

/* ---- several rules ----------------------------------------------------- */

TEST(Fault, EarlierRuleWins)
{
    FaultPlan plan = plan_of("at take op=write nth=1: response/lost\n"
                             "at notify always: notify/lost\n"
                             "at take always: lifecycle/vanish\n"
                             "at take always: lifecycle/stall\n");
    FaultSite write{.point = P::Take, .ops = kFaultWrite};
    std::vector<size_t> rules;
    for (int i = 0; i < 3; i++) {
        auto fault = plan.at(write);
        ASSERT_TRUE(fault);
        rules.push_back(fault->rule);
    }
    EXPECT_EQ(rules, (std::vector<size_t>{2, 0, 2}));
    EXPECT_EQ(plan.counters(3).matched, 3u);
    EXPECT_EQ(plan.counters(3).fired, 0u);
}

/* A rule that came too late neither loses count nor is used up. */
TEST(Fault, WinnerLeavesTheOthersAlone)
{
    FaultPlan plan = plan_of("at take nth=1: response/lost\n"
                             "at take every=2 times=2: lifecycle/stall\n"
                             "at take nth=1: lifecycle/vanish\n"
                             "at take nth=1 every=1 times=1 probability=1: lifecycle/restart\n");
    FaultSite site{.point = P::Take, .ops = kFaultRead};
    std::vector<std::string> seen;
    for (int i = 0; i < 5; i++) {
        auto fault = plan.at(site);
        seen.emplace_back(fault ? fault_info(fault->kind).name : "-");
    }
    EXPECT_EQ(seen, (std::vector<std::string>{"lifecycle/stall", "response/lost", "lifecycle/stall",
                                              "lifecycle/restart", "-"}));
    EXPECT_EQ(plan.counters(2).fired, 0u);
}

/* ---- at() costs nothing ------------------------------------------------ */

TEST(Fault, DecisionAllocatesNothing)
{
    std::string text;
    for (int i = 0; i < 64; i++)
        text += "at publish-node name=sectors probability=0.5 always: store/node-value "
                "\"a text that no string keeps within itself\"\n";
    FaultPlan plan = plan_of(text), empty;
    uint64_t fired = 0, wrong = 0;
    counting_allocations = true;
    for (int i = 0; i < 1000; i++) {
        FaultSite site{.point = P::PublishNode, .name = "sectors"};
        if (auto fault = plan.at(site))
            fired += fault->text.size() == 41;
        wrong += empty.at(site).has_value();
    }
    plan.reset(3);
    counting_allocations = false;
    EXPECT_EQ(fired, 1000u) << "64 coins, and none of them fell";
    EXPECT_EQ(wrong, 0u);
    EXPECT_EQ(allocations, 0u);
    counting_allocations = true;
    ::operator delete(::operator new(4)); /* called by name: never optimised away */
    counting_allocations = false;
    EXPECT_EQ(allocations, 1u) << "the counter itself is dead";
}

TEST(Fault, EmptyPlanDoesNothing)
{
    for (const char *text : {"", "\n\n", "# nothing\n \t # here\r\n", "seed 4"}) {
        FaultPlan plan = plan_of(text);
        EXPECT_EQ(plan.rules(), 0u);
        for (uint32_t p = 0; p < kFaultPoints; p++)
            EXPECT_FALSE(plan.at({.point = static_cast<P>(p), .ops = kFaultRead}));
    }
    EXPECT_EQ(FaultPlan{}.text(), "");
}

/* A fault's text is the plan's: it stays as the plan moves. */
TEST(Fault, PlanCanBeMoved)
{
    FaultPlan old = plan_of("at set-state: store/state-value \"9\"");
    FaultPlan plan = std::move(old);
    auto fault = plan.at({.point = P::SetState});
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->text, "9");
    EXPECT_FALSE(old.at({.point = P::SetState})) << "what was moved from has no rules";
    plan = plan_of("at notify: notify/lost");
    EXPECT_FALSE(plan.at({.point = P::SetState})) << "the plan before is still there";
    EXPECT_TRUE(plan.at({.point = P::Notify}));
}

/* ---- text -------------------------------------------------------------- */

TEST(FaultText, PlanPrintsAsWritten)
{
    const std::string text =
        "seed 18446744073709551615\n"
        "at respond state=InitWait|Connected op=read|other queue=0|15 nth=3 every=10 "
        "probability=0.000000001 times=5: response/status -32768\n"
        "at unmap name=indirect nth=18446744073709551614: grants/map-for-ever\n"
        "at publish-node name=feature-flush-cache always: store/node-value \"\\\\\\\"\\x0a1\"\n"
        "at publish-node: geometry/sector-size-zero\n"
        "at tick name=store probability=0: geometry/size-grows 18446744073709551615\n"
        "at tick probability=1 always: notify/storm 65536\n";
    EXPECT_EQ(plan_of(text).text(), text);
    EXPECT_EQ(plan_of(text).rule_text(3), "at publish-node: geometry/sector-size-zero");
    EXPECT_EQ(plan_of(text).rule(3).line, 5u);
}

/* What means the same prints the same. */
TEST(FaultText, SameMeaningPrintsTheSame)
{
    auto prints = [](const std::string &text) { return plan_of(text).text(); };
    EXPECT_EQ(prints("\tat   respond\tonce :response/status  0x10 # why\r\n"),
              "at respond: response/status 16\n");
    EXPECT_EQ(prints("at respond times=1 queue=3|0 op=write|read: response/status -0x5"),
              "at respond op=read|write queue=0|3: response/status -5\n");
    EXPECT_EQ(prints("seed 0\nat notify probability=0.50 nth=007: notify/lost"),
              "at notify nth=7 probability=0.5: notify/lost\n");
    EXPECT_EQ(prints("at notify: notify/lost\r\n"), "at notify: notify/lost\n");
    EXPECT_EQ(prints("at publish-node name=sectors: geometry/size-zero"),
              "at publish-node: geometry/size-zero\n");
    EXPECT_EQ(prints("at publish-node: store/node-value \"#:\\x41\\x7F\""),
              "at publish-node: store/node-value \"#:A\\x7f\"\n");
    EXPECT_EQ(prints("# caf\xc3\xa9 \x01\nat notify: notify/lost #\x02"),
              "at notify: notify/lost\n");
}

struct Mistake {
    const char *text;
    const char *error; /* begins with it */
};

constexpr Mistake kMistakes[] = {
    {"on take: response/lost",
     "line 1: expected 'at' or 'seed' at the beginning of the line, found 'on'"},
    {": response/lost", "line 1: expected 'at' or 'seed' at the beginning of the line, found ':'"},
    {"\"at\" take: response/lost",
     "line 1: expected 'at' or 'seed' at the beginning of the line, found a text in quotes"},
    {"seed", "line 1: expected one whole number of 64 bits after 'seed', and nothing more"},
    {"seed -1", "line 1: expected one whole number"},
    {"seed 18446744073709551616", "line 1: expected one whole number"},
    {"seed 1 2", "line 1: expected one whole number"},
    {"seed 1\n\nseed 2", "line 3: write seed once, before the first rule"},
    {"at take: response/lost\nseed 2", "line 2: write seed once, before the first rule"},

    {"at",
     "line 1: expected a point after 'at', found the end of the line (there are: publish-node, "},
    {"at : response/lost",
     "line 1: expected a point after 'at', found ':' (there are: publish-node, "},
    {"at respnd: response/lost",
     "line 1: no point is called 'respnd'; did you mean 'respond'? (there are: publish-node, "
     "set-state, connect, take, map, before-work, data, unmap, respond, publish, notify, rearm, "
     "tick)"},
    {"at Respond: response/lost", "line 1: no point is called 'Respond'; did you mean 'respond'?"},
    {"at RESPOND: response/lost", "line 1: no point is called 'RESPOND'; did you mean 'respond'?"},
    {"at a-point-that-nobody-has-ever-heard-of-in-a-plan: response/lost",
     "line 1: no point is called 'a-point-that-nobody-has-ever-heard-of-in...' (there are: "},
    {"at elsewhere: response/lost", "line 1: no point is called 'elsewhere' (there are: "},

    {"at take", "line 1: expected ':' before the fault, found the end of the line"},
    {"at take # : response/lost", "line 1: expected ':' before the fault, found the end of"},
    {"at take \"x\": response/lost",
     "line 1: expected ':' before the fault, found a text in quotes"},
    {"at take response/lost",
     "line 1: no condition is called 'response/lost' (there are: state=, op=, queue=, nth=, "
     "every=, probability=, times=, once, always)"},
    {"at take op: response/lost", "line 1: no condition is called 'op'; did you mean 'op='?"},
    {"at take evry=2: response/lost",
     "line 1: no condition is called 'evry='; did you mean 'every='?"},
    {"at take alway: response/lost",
     "line 1: no condition is called 'alway'; did you mean 'always'?"},
    {"at take once=1: response/lost",
     "line 1: no condition is called 'once='; did you mean 'once'?"},
    {"at publish op=read: index/producer-frozen",
     "line 1: the point publish has no op= (there are: state=, queue=, nth=, every=, probability=, "
     "times=, once, always)"},
    {"at connect queue=1: lifecycle/vanish",
     "line 1: the point connect has no queue= (there are: "},
    {"at take name=data: response/lost", "line 1: the point take has no name= (there are: "},
    {"at take op=read op=write: response/lost", "line 1: op= is given twice"},
    {"at take nth=1 nth=1: response/lost", "line 1: nth= is given twice"},
    {"at take once always: response/lost", "line 1: use only one of times=, once and always"},
    {"at take times=2 once: response/lost", "line 1: use only one of times=, once and always"},

    {"at take op=writes: response/lost",
     "line 1: no operation is called 'writes'; did you mean 'write'? (there are: read, write, "
     "barrier, flush, discard, indirect, other)"},
    {"at take op=: response/lost", "line 1: no operation is called '' (there are: read, "},
    {"at take op=read|: response/lost", "line 1: no operation is called '' (there are: read, "},
    {"at take op=read|read: response/lost", "line 1: operation 'read' is given twice"},
    {"at take state=connected: response/lost",
     "line 1: no state is called 'connected'; did you mean 'Connected'? (there are: Unknown, "},
    {"at take queue=16: response/lost", "line 1: no queue is called '16'"},
    {"at map name=rings: grants/map-fails",
     "line 1: no name is called 'rings'; did you mean 'ring'? (there are: ring, data, indirect)"},
    {"at publish-node name=: store/node-missing",
     "line 1: name= needs the name of a node: 1 to 64 letters, digits and -_/@, not ''"},
    {"at publish-node name=a*b: store/node-missing", "line 1: name= needs the name of a node: "},

    {"at take nth=-1: response/lost",
     "line 1: nth= needs a whole number from 0 to 18446744073709551614, not '-1'"},
    {"at take nth=: response/lost", "line 1: nth= needs a whole number from 0 to "},
    {"at take nth=0x: response/lost", "line 1: nth= needs a whole number from 0 to "},
    {"at take nth=0x12345678123456789: response/lost", "line 1: nth= needs a whole number from 0"},
    {"at take nth=0x5g: response/lost", "line 1: nth= needs a whole number from 0 to "},
    {"at take nth=0xg: response/lost", "line 1: nth= needs a whole number from 0 to "},
    {"at take every=0 always: response/lost", "line 1: every= needs a whole number from 1 to "},
    {"at take times=0: response/lost", "line 1: times= needs a whole number from 1 to "},
    {"at take times=18446744073709551615: response/lost", "line 1: times= needs a whole number"},
    {"at take probability=1.1: response/lost",
     "line 1: probability= needs a decimal fraction from 0 to 1 with at most nine digits after the "
     "point, not '1.1'"},
    {"at take probability=2: response/lost", "line 1: probability= needs a decimal fraction"},
    {"at take probability=1.000000001: response/lost", "line 1: probability= needs a decimal"},
    {"at take probability=.5: response/lost", "line 1: probability= needs a decimal fraction"},
    {"at take probability=0.: response/lost", "line 1: probability= needs a decimal fraction"},
    {"at take probability=5%: response/lost", "line 1: probability= needs a decimal fraction"},
    {"at take probability=0.0000000001: response/lost", "line 1: probability= needs a decimal"},
    {"at take probability=-0.5: response/lost", "line 1: probability= needs a decimal fraction"},

    {"at notify:", "line 1: expected a fault after ':', found the end of the line (at notify there "
                   "are: notify/lost, "
                   "notify/storm, notify/other-queue)"},
    {"at notify:: notify/lost",
     "line 1: expected a fault after ':', found ':' (at notify there are: "},
    {"at notify: lost",
     "line 1: no fault is called 'lost'; did you mean 'notify/lost'? (at notify there are: "},
    {"at notify: response/lsot",
     "line 1: no fault is called 'response/lsot'; did you mean 'response/lost'? (at notify "},
    {"at notify: nothing/known",
     "line 1: no fault is called 'nothing/known' (at notify there are: "},
    {"at notify: notify/lost 1",
     "line 1: expected the end of the line after notify/lost, found '1'"},
    {"at notify: notify/lost \"\"",
     "line 1: expected the end of the line after notify/lost, found a text in quotes"},
    {"at notify: notify/storm",
     "line 1: notify/storm needs a number (events) from 1 to 65536, not the end of the line"},
    {"at publish-node: store/node-value 0",
     "line 1: store/node-value needs a text in quotes, not '0'"},
    {"at publish-node: store/node-value",
     "line 1: store/node-value needs a text in quotes, not the end of the line"},
    {"at publish-node: store/node-value \"a", "line 1: the text has no closing quote"},
    {"at publish-node: store/node-value \"a\\",
     "line 1: expected \", \\, or x and two hexadecimal digits after \\ in"},
    {"at publish-node: store/node-value \"\\n\"", "line 1: expected \", \\, or x and two"},
    {"at publish-node: store/node-value \"\\x1\"", "line 1: expected \", \\, or x and two"},
    {"at publish-node: store/node-value \"\\x\"", "line 1: expected \", \\, or x and two"},
    {"at publish-node: store/node-value \"\t\"", "line 1: write byte 0x09 as \\x09 in a text"},
    {"at publish-node: store/node-value \"\xc3\xa9\"", "line 1: write byte 0xc3 as \\xc3"},
    {"at ta\x01ke: response/lost", "line 1: byte 0x01 is allowed only in a comment"},
    {"\x7f", "line 1: byte 0x7f is allowed only in a comment"},
    {"at take \xff: response/lost", "line 1: byte 0xff is allowed only in a comment"},
    {"at take: \x02", "line 1: byte 0x02 is allowed only in a comment"},
    {"at take: response/lost \x02", "line 1: byte 0x02 is allowed only in a comment"},
    {"at notify: notify/storm \x02", "line 1: byte 0x02 is allowed only in a comment"},

    {"at take nth=3 times=2: response/lost", "line 1: nth= selects one occurrence, so the rule "
                                             "happens once; add every=1 to go on from there"},
    {"at take every=3: response/lost",
     "line 1: every= has no effect if the rule happens once; add times= or always"},
    {"at publish-node name=info: geometry/size-zero",
     "line 1: geometry/size-zero always changes the node sectors, not 'info'"},
    {"at data op=write|flush: data/poisoned 0",
     "line 1: data/poisoned cannot happen to that operation; it can happen to read"},
    {"at map op=read name=ring: grants/map-fails",
     "line 1: a ring has no operation; with name=ring, use neither op= nor a fault of a request's "
     "data"},
    {"at map name=ring: grants/map-late", "line 1: a ring has no operation; with name=ring, use "
                                          "neither op= nor a fault of a request's data"},
    {"# one\n\n  at notify: response/lost # here",
     "line 3: response/lost cannot happen at notify; it can happen at take, respond"},
};

TEST(FaultText, EachMistakeIsNamed)
{
    for (const Mistake &m : kMistakes) {
        auto plan = FaultPlan::parse(m.text);
        ASSERT_FALSE(plan) << m.text;
        EXPECT_EQ(plan.error().what.substr(0, std::string(m.error).size()), m.error) << m.text;
        EXPECT_EQ(plan.error().what.find("line " + std::to_string(plan.error().line) + ": "), 0u);
        for (char c : plan.error().what)
            ASSERT_TRUE(c >= 0x20 && c < 0x7f) << m.text << ": one line of plain text";
    }
}

/* The text ends where its length says, whatever comes after it. */
TEST(FaultText, NothingIsReadPastTheText)
{
    const std::string text = "at publish-node: store/node-value \"\\x41\"";
    for (size_t i = 1; i < text.size(); i++)
        EXPECT_FALSE(FaultPlan::parse(std::string_view(text).substr(0, i))) << i;
    auto plan = FaultPlan::parse(std::string_view(text).substr(0, text.size() - 2));
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().what.find("line 1: expected \", \\, or x "), 0u);
}

/* Text from anywhere: bounded, and bounded in what is said of it. */
TEST(FaultText, HostileTextIsBounded)
{
    EXPECT_EQ(error_of(std::string(FaultPlan::kMaxBytes + 1, '\n')),
              "a plan has at most 65536 bytes, not 65537");
    plan_of(std::string(FaultPlan::kMaxBytes, '\n'));
    std::string rules;
    for (size_t i = 0; i < FaultPlan::kMaxRules; i++)
        rules += "at notify: notify/lost\n";
    EXPECT_EQ(plan_of(rules).rules(), FaultPlan::kMaxRules);
    EXPECT_EQ(error_of(rules + "at notify: notify/lost"), "line 257: a plan has at most 256 rules");
    for (const char *start : {"", "at ", "at take ", "at take op=", "at take nth=", "at take: ",
                              "at publish-node name=", "at notify: notify/storm "})
        EXPECT_LT(error_of(start + std::string(60000, 'x')).size(), 1200u) << start;
    std::string value = "at publish-node: store/node-value \"" + std::string(4096, 'x');
    EXPECT_EQ(plan_of(value + "\"").rule(0).text.size(), 4096u);
    EXPECT_EQ(error_of(value + "x\""), "line 1: a text has at most 4096 bytes, not 4097");
    plan_of("at publish-node name=" + std::string(64, 'n') + ": store/node-missing");
    error_of("at publish-node name=" + std::string(65, 'n') + ": store/node-missing");
}

/* No byte, put or left out anywhere, leads anywhere but to a plan or to a
 * sentence; what is a plan prints and reads again. */
TEST(FaultText, DamagedTextIsUnderstoodOrRefused)
{
    const std::string good = "seed 7\nat respond state=Closing|Closed op=read nth=3 every=0x10 "
                             "probability=0.5 times=5: response/status -5 # why\n"
                             "at publish-node name=info: store/node-value \"\\x00\\\\\"\n";
    const std::string bytes("\0\t\n\r \"#:=|\\/-.019xfzA\x7f\x80\xff", 24);
    uint32_t plans = 0, refusals = 0;
    auto judge = [&](const std::string &text) {
        auto plan = FaultPlan::parse(text);
        if (plan) {
            plans++;
            std::string printed = plan.value().text();
            ASSERT_EQ(plan_of(printed).text(), printed) << text;
        } else {
            refusals++;
            ASSERT_FALSE(plan.error().what.empty()) << text;
        }
    };
    for (size_t i = 0; i <= good.size(); i++) {
        judge(good.substr(0, i));
        if (i < good.size())
            judge(good.substr(0, i) + good.substr(i + 1));
        for (char byte : bytes)
            judge(good.substr(0, i) + byte + good.substr(i));
    }
    EXPECT_GT(plans, 200u);
    EXPECT_GT(refusals, 2000u);
}

/* ---- docs/faults.rst: example_plans_test sees what its plans do --------- */

std::string manual()
{
    std::string text = text_of(PVBLK_DOCS "/faults.rst");
    EXPECT_GT(text.size(), 1000u) << PVBLK_DOCS;
    return text;
}

TEST(FaultManual, ExamplesAreRight)
{
    uint32_t plans = 0, mistakes = 0;
    for (const ManualPlan &p : manual_plans(manual())) {
        if (p.refusal.empty()) {
            plans++;
            EXPECT_GT(plan_of(p.text).rules(), 0u) << p.text;
        } else {
            mistakes++;
            EXPECT_EQ(error_of(p.text), p.refusal);
        }
    }
    EXPECT_GE(plans, 8u);
    EXPECT_GE(mistakes, 3u);
}

std::string code(std::string_view word)
{
    return "``" + std::string(word) + "``";
}

/* A definition list's entry, in lines of at most 120. */
std::string entry(const std::string &term, const std::string &text)
{
    std::string out = term + "\n", line = "   ";
    std::istringstream in(text);
    for (std::string word; in >> word;) {
        if (line.size() + 1 + word.size() > 120) {
            out += line + "\n";
            line = "   ";
        }
        line += " " + word;
    }
    return out + line + "\n";
}

/* ``read``, ``write``: the names of the bits that are set. */
template <class Bits, class Name>
std::string codes(Bits bits, size_t count, Name name)
{
    std::string out;
    for (size_t i = 0; i < count; i++)
        if (bits >> i & 1)
            out += (out.empty() ? "" : ", ") + code(name(i));
    return out;
}

std::string point_list()
{
    constexpr std::string_view kHas[] = {"op=", "queue=", "name="};
    std::string out;
    for (const FaultPointInfo &p : kFaultPointTable) {
        int has = p.has_op | p.has_queue << 1 | p.has_name << 2;
        std::string conditions = codes(has, 3, [&](size_t i) { return kHas[i]; });
        out += entry(code(p.name),
                     std::string(p.what) + "." + (has ? " Has " + conditions + "." : ""));
    }
    return out;
}

std::string fault_list(std::string_view group)
{
    std::string out;
    for (const FaultInfo &f : kFaults) {
        if (f.group() != group)
            continue;
        std::string term = code(f.name), text = std::string(f.what) + ". At ";
        text += codes(f.points, kFaultPoints, [](size_t i) { return kFaultPointTable[i].name; });
        if (f.ops)
            text +=
                "; " +
                codes(f.ops, std::size(kFaultOpNames), [](size_t i) { return kFaultOpNames[i]; }) +
                " only";
        text += ".";
        if (f.param.type == FaultParam::Text)
            term += " *TEXT*";
        if (f.param.type == FaultParam::Number) {
            term += " *N*";
            text += " N: " + std::string(f.param.what) + ", from " + std::to_string(f.param.min);
            text += f.param.max == UINT64_MAX ? " on." : " to " + std::to_string(f.param.max) + ".";
        }
        out += entry(term, text);
    }
    return out;
}

/* What fails prints what has to stand there. */
TEST(FaultManual, ListIsTheCatalogue)
{
    std::string rst = manual();
    auto stands = [&](const std::string &list) {
        EXPECT_NE(rst.find("\n\n" + list), std::string::npos)
            << "docs/faults.rst has to have this:\n\n"
            << list;
    };
    stands(point_list());
    for (std::string_view group : kFaultGroups)
        stands(fault_list(group));
}

} // namespace
