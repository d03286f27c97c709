/* SPDX-License-Identifier: MIT */
/* From facts to verdicts. */
#include "frontends/facts.h"

#include "registry.h"

namespace pvblk::conformance
{

namespace
{

/* One of Then: what came of it, unless it hung or died. */
Then outcome(const Facts &f)
{
    if (f.hung)
        return kWaitsForEver;
    if (f.waited)
        return kWaits;
    if (f.gave_up || !f.connected)
        return kGivesUp;
    return f.errors ? kIoError : kGoesOn;
}

std::string seen(const Facts &f)
{
    std::string text = then_text(outcome(f));
    if (f.ok || f.errors || f.wrong)
        text += "; I/O: " + std::to_string(f.ok) + " good, " + std::to_string(f.errors) +
                " with an error";
    if (f.wrong)
        text += ", " + std::to_string(f.wrong) + " with wrong data";
    if (!f.said.empty())
        text += "; it says: " + f.said;
    return text;
}

void end(CaseResult &r, Verdict verdict, std::string seen, std::string expected = "")
{
    r.verdict = verdict;
    r.seen = std::move(seen);
    if (!expected.empty())
        r.expected = std::move(expected);
}

void judge(const Scenario &s, const Facts &f, CaseResult &r)
{
    r.expected = "it " + then_text(s.then);
    if (!f.died.empty())
        return end(r, Verdict::Crash, "it died: " + f.died, "it lives");
    if (!f.answers)
        return end(r, Verdict::Wedged, "it does nothing any more", "it lives");
    if (f.wrong && !(s.traits & kLies))
        return end(r, Verdict::Corrupt, seen(f), "it hands on no wrong byte");
    Then was = outcome(f);
    if (!(s.then & was))
        return end(r, was == kWaitsForEver || was == kWaits ? Verdict::Wedged : Verdict::Fail,
                   seen(f));
    if (!f.amiss.empty())
        return end(r, Verdict::Fail, f.amiss, "its users get what they ask for, and nothing else");
    if (s.about.kind != Kind::Hostile && !f.closed)
        return end(r, Verdict::Fail, "it does not close", "it is Closed when it was told to stop");
    if (f.grants_left && f.closed && !(s.traits & kKeepsPages))
        return end(r, Verdict::Leak, std::to_string(f.grants_left) + " grants are left",
                   "no grant is left after Closed");
    if (f.again && !*f.again)
        return end(r, Verdict::Fail, "it does not come back: " + f.said,
                   "it connects again, and serves");
    end(r, Verdict::Pass, seen(f));
}

} // namespace

void note(Facts &f, const BackJudge &judge)
{
    for (const JudgeRuleInfo &rule : judge_rules()) {
        const JudgeRecord &r = judge.record(rule.rule);
        if (r.kept || r.broken)
            f.clauses[rule.clause] = {r.kept, r.broken, first_breach(r)};
    }
}

CaseResult verdict(const Scenario &s, const Facts &f)
{
    CaseResult r;
    r.id = f.id.empty() ? s.about.id : f.id;
    describe(r, s.about);
    r.took = f.took;
    if (!f.trouble.empty()) {
        r.verdict = Verdict::Inconclusive;
        r.why = f.trouble;
    } else if (!f.skip.empty()) {
        r.verdict = Verdict::Skip;
        r.why = f.skip;
    } else if (s.about.kind == Kind::Hostile && f.fired == 0u && f.died.empty() && f.answers) {
        r.verdict = Verdict::Skip;
        r.why = "this frontend does not do what the fault needs";
    } else {
        judge(s, f, r);
    }
    if (r.verdict != Verdict::Pass && r.verdict != Verdict::Skip)
        r.happened = f.happened;
    return r;
}

std::vector<CaseResult> clause_verdicts(const std::vector<Facts> &all)
{
    std::vector<CaseResult> results;
    for (const Case &c : clause_cases()) {
        CaseResult r;
        r.id = c.id;
        describe(r, c);
        uint64_t kept = 0;
        r.verdict = Verdict::Skip;
        r.why = "no scenario showed it";
        for (const Facts &f : all) {
            const Scenario *s = find_scenario(f.id);
            auto it = f.clauses.find(c.clause);
            if (it == f.clauses.end() || (s && s->traits & kSpoilsRing))
                continue;
            kept += it->second.kept;
            if (it->second.broken && r.verdict != Verdict::Fail) {
                r.expected = c.what;
                end(r, Verdict::Fail, it->second.how + (f.id.empty() ? "" : "; first in " + f.id));
                r.why.clear();
                r.happened = f.happened;
            }
        }
        if (r.verdict == Verdict::Skip && kept) {
            r.why.clear();
            end(r, Verdict::Pass, "kept " + std::to_string(kept) + " times");
        }
        results.push_back(std::move(r));
    }
    return results;
}

} // namespace pvblk::conformance
