/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`: FaultPlan, rules that make a backend go wrong on demand, and
 * BackFaults, which makes a BlockBack obey such a plan. A backend asks at() at
 * each of its decisions; the answer is a fault of the catalogue, or none.
 * docs/faults.rst describes the language of plans. parse() is the only way to
 * make a plan, so its text is enough to repeat a run.
 *
 * A rule is when (a point, conditions) × what (a fault) × how often. If several
 * rules of a point are due, the first one wins. An occurrence is a decision
 * that matches the rule's state, op, queue and name. Each rule counts its own
 * occurrences, even if another rule won: so rules do not shift one another.
 *
 * The same text, seed and sequence of at() lead to the same faults: a
 * probability is a coin that depends on seed, rule and occurrence alone.
 *
 * Threads: one at a time. parse(), text() and rule_text() allocate, at() and
 * reset() do not. To change the plan at run time, swap in another object.
 */
#pragma once

#include "pvblk/fault_catalogue.h"
#include "pvblk/result.h"
#include "pvblk/xenbus.h"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvblk
{

/* A decision, as the backend describes it. Fields that the point does not have
 * (see FaultPointInfo) keep these defaults. */
struct FaultSite {
    FaultPoint point{FaultPoint::Tick};
    XenbusState state{XenbusState::Unknown}; /* of the backend */
    FaultOpSet ops{0}; /* fault_op() of the request, and of an indirect one's inner operation */
    uint32_t queue{0};
    std::string_view name{};
};

struct Fault {
    FaultKind kind{};
    uint64_t number{0};      /* two's complement if it is negative */
    std::string_view text{}; /* valid as long as the plan */
    size_t rule{0};
};

/* A rule as parsed and checked. */
struct FaultRule {
    static constexpr uint64_t kAlways = UINT64_MAX;

    FaultPoint point{FaultPoint::Tick};
    FaultKind kind{};
    FaultOpSet ops{0};  /* 0: any operation, or none */
    uint16_t states{0}; /* bit: XenbusState; 0: any */
    uint32_t queues{0}; /* bit: queue; 0: any */
    std::string name{}; /* "": any */
    std::optional<uint64_t> nth{};
    uint64_t every{0};                     /* 0: not given */
    std::optional<uint32_t> probability{}; /* parts of a billion */
    uint64_t times{1};
    uint64_t number{0};
    std::string text{};
    uint32_t line{0}; /* of the plan, from 1 */
};
inline constexpr uint32_t kFaultBillion = 1'000'000'000;

struct FaultCounters {
    uint64_t matched{0}; /* occurrences */
    uint64_t fired{0};   /* how often at() gave the rule's fault */
};

struct FaultError {
    uint32_t line{0};   /* from 1; 0: the whole plan */
    std::string what{}; /* one sentence, with the line */
};

class FaultLine;

class FaultPlan
{
public:
    /* parse() refuses more than this: a plan may come from anywhere. */
    static constexpr size_t kMaxBytes = 65536;
    static constexpr size_t kMaxRules = 256;
    static constexpr size_t kMaxName = 64; /* bytes of name= */

    FaultPlan() = default; /* no rules: an honest backend */

    static Result<FaultPlan, FaultError> parse(std::string_view text);
    /* The plan without comments; parse() reads it again. */
    std::string text() const;
    std::string rule_text(size_t rule) const;

    /* The fault to commit now, if any. */
    std::optional<Fault> at(const FaultSite &site)
    {
        if (rules_.empty())
            return std::nullopt;
        return match(site);
    }

    size_t rules() const { return rules_.size(); }
    const FaultRule &rule(size_t i) const { return rules_[i].rule; }
    const FaultCounters &counters(size_t i) const { return rules_[i].counters; }
    /* The sum over all rules. */
    uint64_t fired() const;
    uint64_t seed() const { return seed_; }
    /* Start from the beginning: counters at 0, and this seed. */
    void reset(uint64_t seed);

private:
    /* Rules of one point are chained, in the order of the plan. */
    static constexpr uint16_t kEnd = UINT16_MAX;
    struct Entry {
        FaultRule rule{};
        FaultCounters counters{};
        uint16_t next{kEnd};
    };

    bool read_seed(FaultLine &line, std::string &why);
    bool read_rule(FaultLine &line, uint32_t number, std::string &why);
    void add(FaultRule rule);
    std::optional<Fault> match(const FaultSite &site);
    bool due(size_t i, uint64_t occurrence) const;
    bool coin(size_t i, uint64_t occurrence) const;

    static constexpr std::array<uint16_t, kFaultPoints> no_rules()
    {
        std::array<uint16_t, kFaultPoints> none{};
        none.fill(kEnd);
        return none;
    }

    uint64_t seed_{0};
    std::vector<Entry> rules_{};
    std::array<uint16_t, kFaultPoints> first_{no_rules()};
};

class BackHooks;
class Bender;

/*
 * The faults of one backend. Make it before the backend; it outlives it:
 *
 *     BackFaults faults;
 *     BlockBack back(ports, config, faults.hooks());
 *     faults.obey(std::move(plan));
 *
 * Serves one backend at a time. Threads: the thread of the backend's ports. A
 * backend with faults does I/O on that thread, too.
 */
class BackFaults
{
public:
    BackFaults();
    ~BackFaults();
    BackFaults(const BackFaults &) = delete;
    BackFaults &operator=(const BackFaults &) = delete;

    BackHooks *hooks();

    /* From now on the backend obeys this plan. First it does the work that the
     * last plan put off: it sends late responses, serves stalled rings, and
     * corrects nodes and state. Work of an ended connection is dropped. Do not
     * call this from inside a call of the backend. */
    void obey(FaultPlan plan);
    const FaultPlan &plan() const;

private:
    std::unique_ptr<Bender> bender_;
};

} // namespace pvblk
