/* SPDX-License-Identifier: MIT */
/* TAP, JUnit, and lines for a person: see report.h. */
#include "report.h"

#include <array>

namespace pvblk::conformance
{

const char *verdict_name(Verdict v)
{
    static constexpr const char *kNames[] = {"PASS",   "FAIL",  "DEVIATION",   "SKIP",
                                             "WEDGED", "CRASH", "INCONCLUSIVE"};
    return kNames[static_cast<uint32_t>(v)];
}

namespace
{

std::array<uint32_t, kVerdicts> count(const Run &run)
{
    std::array<uint32_t, kVerdicts> n{};
    for (const CaseResult &r : run.results)
        n[static_cast<size_t>(r.verdict)]++;
    return n;
}

bool good(Verdict v)
{
    return v == Verdict::Pass || v == Verdict::Deviation || v == Verdict::Skip;
}

} // namespace

int exit_code(const Run &run)
{
    auto n = count(run);
    auto of = [&n](Verdict v) { return n[static_cast<size_t>(v)]; };
    if (of(Verdict::Crash) || of(Verdict::Wedged))
        return 4;
    if (of(Verdict::Fail))
        return 1;
    if (of(Verdict::Inconclusive) || run.results.empty())
        return 3;
    return of(Verdict::Skip) == run.results.size() ? 77 : 0;
}

/* ---- TAP ------------------------------------------------------------------------ */

namespace
{

/* A scalar that any reader of YAML takes as a string. */
std::string yaml(const std::string &text)
{
    std::string out = "\"";
    for (char c : text) {
        auto u = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            out += '\\', out += c;
        else if (u < 0x20 || u == 0x7f)
            out += ' ';
        else
            out += c;
    }
    return out + '"';
}

} // namespace

std::string tap(const Run &run)
{
    std::string out = "TAP version 14\n1.." + std::to_string(run.results.size()) + "\n";
    size_t number = 0;
    for (const CaseResult &r : run.results) {
        out += std::string(good(r.verdict) ? "ok " : "not ok ") + std::to_string(++number) + " - " +
               r.id;
        if (r.verdict == Verdict::Skip)
            out += " # SKIP " + r.why;
        out += "\n  ---\n";
        for (auto [key, value] : {std::pair{"verdict", std::string(verdict_name(r.verdict))},
                                  std::pair{"clause", r.clause}, std::pair{"level", r.level},
                                  std::pair{"expected", r.expected}, std::pair{"seen", r.seen},
                                  std::pair{"why", r.why}, std::pair{"deviation", r.deviation}})
            if (!value.empty())
                out += "  " + std::string(key) + ": " + yaml(value) + "\n";
        out += "  duration_ms: " + std::to_string(r.took.count()) + "\n";
        if (!r.happened.empty())
            out += "  happened:\n";
        for (const Happening &h : r.happened)
            out += "    - " + yaml(std::to_string(h.at.count()) + " us: " + h.what) + "\n";
        out += "  ...\n";
    }
    return out;
}

/* ---- JUnit ------------------------------------------------------------------------ */

namespace
{

std::string xml(const std::string &text)
{
    std::string out;
    for (char c : text) {
        auto u = static_cast<unsigned char>(c);
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        default: out += u < 0x20 && c != '\n' ? ' ' : c;
        }
    }
    return out;
}

std::string seconds(std::chrono::milliseconds ms)
{
    std::string digits = std::to_string(ms.count() % 1000);
    return std::to_string(ms.count() / 1000) + "." + std::string(3 - digits.size(), '0') + digits;
}

/* The element that says why a case is not passed; "" for one that is. */
std::string outcome(const CaseResult &r)
{
    if (r.verdict == Verdict::Pass || r.verdict == Verdict::Deviation)
        return "";
    if (r.verdict == Verdict::Skip)
        return "      <skipped message=\"" + xml(r.why) + "\"/>\n";
    const char *kind = r.verdict == Verdict::Fail ? "failure" : "error";
    std::string text;
    for (const Happening &h : r.happened)
        text += std::to_string(h.at.count()) + " us: " + h.what + "\n";
    return "      <" + std::string(kind) + " type=\"" + verdict_name(r.verdict) + "\" message=\"" +
           xml(r.expected.empty() ? r.why : "expected " + r.expected + ", saw " + r.seen) + "\">" +
           xml(text) + "</" + kind + ">\n";
}

} // namespace

std::string junit(const Run &run)
{
    auto n = count(run);
    auto of = [&n](Verdict v) { return n[static_cast<size_t>(v)]; };
    std::chrono::milliseconds total{};
    for (const CaseResult &r : run.results)
        total += r.took;
    std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
    out += "  <testsuite name=\"blkif-conformance " + xml(run.subject) + "\" tests=\"" +
           std::to_string(run.results.size()) + "\" failures=\"" +
           std::to_string(of(Verdict::Fail)) + "\" errors=\"" +
           std::to_string(of(Verdict::Wedged) + of(Verdict::Crash) + of(Verdict::Inconclusive)) +
           "\" skipped=\"" + std::to_string(of(Verdict::Skip)) + "\" time=\"" + seconds(total) +
           "\" timestamp=\"" + xml(run.date.substr(0, 19)) + "\">\n";
    for (const CaseResult &r : run.results) {
        std::string area = r.id.substr(0, r.id.find('/'));
        out += "    <testcase classname=\"" + xml(area) + "\" name=\"" + xml(r.id) + "\" time=\"" +
               seconds(r.took) + "\">\n      <properties>\n";
        for (auto [key, value] : {std::pair{"verdict", std::string(verdict_name(r.verdict))},
                                  std::pair{"clause", r.clause}, std::pair{"level", r.level},
                                  std::pair{"seen", r.seen}, std::pair{"deviation", r.deviation}})
            if (!value.empty())
                out += "        <property name=\"" + std::string(key) + "\" value=\"" + xml(value) +
                       "\"/>\n";
        out += "      </properties>\n" + outcome(r) + "    </testcase>\n";
    }
    return out + "  </testsuite>\n</testsuites>\n";
}

/* ---- for a person -------------------------------------------------------------------- */

std::string line(const CaseResult &r)
{
    std::string out = verdict_name(r.verdict);
    out += std::string(out.size() < 13 ? 13 - out.size() : 1, ' ') + r.id;
    if (!r.deviation.empty())
        out += " [" + r.deviation + "]";
    if (r.verdict == Verdict::Pass)
        return r.seen.empty() ? out + "\n" : out + ": " + r.seen + "\n";
    if (!r.expected.empty())
        out += "\n             " + r.what + "\n             expected " + r.expected +
               "\n             saw      " + r.seen;
    if (!r.why.empty())
        out += (r.expected.empty() ? ": " : "\n             ") + r.why;
    return out + "\n";
}

std::string summary(const Run &run)
{
    auto n = count(run);
    std::string out;
    for (uint32_t v = 0; v < kVerdicts; v++)
        if (n[v] || v == 0)
            out += (out.empty() ? "" : ", ") + std::to_string(n[v]) + " " +
                   verdict_name(static_cast<Verdict>(v));
    return run.subject + ": " + out + "\n";
}

} // namespace pvblk::conformance
