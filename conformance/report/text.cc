/* SPDX-License-Identifier: MIT */
/* TAP, JUnit, and lines for a person: see report.h. */
#include "report.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace pvblk::conformance
{

const char *verdict_name(Verdict v)
{
    static constexpr const char *kNames[] = {
        "PASS", "FAIL", "DEVIATION", "SKIP", "WEDGED", "CRASH", "CORRUPT", "LEAK", "INCONCLUSIVE"};
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

/* The subject lives, and did wrong. */
bool is_failure(Verdict v)
{
    return v == Verdict::Fail || v == Verdict::Corrupt || v == Verdict::Leak;
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
    if (of(Verdict::Fail) || of(Verdict::Corrupt) || of(Verdict::Leak))
        return 1;
    if (of(Verdict::Inconclusive) || run.results.empty() || run.results.size() < run.planned)
        return 3;
    return of(Verdict::Skip) == run.results.size() ? 77 : 0;
}

/* ---- text of a backend, which may hold any bytes -------------------------------- */

namespace
{

/* The length of the character that begins here; 0: it is none that XML allows. */
size_t character(std::string_view text)
{
    auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    uint32_t code = byte(0);
    if (code < 0x80)
        return code >= 0x20 && code != 0x7f;
    size_t length = code >= 0xf0 ? 4 : code >= 0xe0 ? 3 : 2;
    if (code < 0xc2 || code > 0xf4 || text.size() < length)
        return 0;
    code &= 0x7fu >> length;
    for (size_t i = 1; i < length; i++) {
        if ((byte(i) & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (byte(i) & 0x3fu);
    }
    static constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    bool surrogate = code >= 0xd800 && code < 0xe000;
    bool good =
        code >= kLeast[length] && code < 0x110000 && !surrogate && (code & 0xfffe) != 0xfffe;
    return good ? length : 0;
}

} // namespace

std::string clean(const std::string &text)
{
    std::string out;
    for (size_t at = 0; at < text.size();) {
        size_t length = character(std::string_view(text).substr(at));
        auto byte = static_cast<unsigned char>(text[at]);
        if (length)
            out.append(text, at, length);
        else
            out += byte < 0x80 ? " " : "\xef\xbf\xbd";
        at += std::max<size_t>(length, 1);
    }
    return out;
}

namespace
{

std::string escaped(const std::string &text, std::string_view special)
{
    std::string out;
    for (char c : clean(text)) {
        if (special.find(c) != special.npos)
            out += '\\';
        out += c;
    }
    return out;
}

} // namespace

/* ---- TAP ------------------------------------------------------------------------ */

namespace
{

/* A scalar that any reader of YAML takes as a string. Perl's gives up at 64 KiB. */
std::string yaml(const std::string &text)
{
    constexpr size_t kMost = 4096;
    std::string end = text.size() > kMost ? " ... (" + std::to_string(text.size()) + " bytes)" : "";
    return '"' + escaped(text.substr(0, kMost), "\"\\") + end + '"';
}

} // namespace

std::string tap(const Run &run)
{
    std::string out = "TAP version 13\n1.." + std::to_string(run.results.size()) + "\n";
    size_t number = 0;
    for (const CaseResult &r : run.results) {
        out += std::string(good(r.verdict) ? "ok " : "not ok ") + std::to_string(++number) + " - " +
               escaped(r.id, "#\\");
        if (r.verdict == Verdict::Skip)
            out += " # SKIP " + clean(r.why);
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
    for (char c : clean(text)) {
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        default: out += c;
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
    const char *kind = is_failure(r.verdict) ? "failure" : "error";
    std::string text;
    for (const Happening &h : r.happened)
        text += xml(std::to_string(h.at.count()) + " us: " + h.what) + "\n";
    return "      <" + std::string(kind) + " type=\"" + verdict_name(r.verdict) + "\" message=\"" +
           xml(r.expected.empty() ? r.why : "expected " + r.expected + ", saw " + r.seen) + "\">" +
           text + "</" + kind + ">\n";
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
           std::to_string(of(Verdict::Fail) + of(Verdict::Corrupt) + of(Verdict::Leak)) +
           "\" errors=\"" +
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
    out += std::string(out.size() < 13 ? 13 - out.size() : 1, ' ') + clean(r.id);
    if (!r.deviation.empty())
        out += " [" + clean(r.deviation) + "]";
    if (r.verdict == Verdict::Pass)
        return (r.seen.empty() ? out : out + ": " + clean(r.seen)) + "\n";
    if (!r.expected.empty())
        out += "\n             " + clean(r.what) + "\n             expected " + clean(r.expected) +
               "\n             saw      " + clean(r.seen);
    if (!r.why.empty())
        out += (r.expected.empty() ? ": " : "\n             ") + clean(r.why);
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
    if (run.results.size() < run.planned)
        out += "; " + std::to_string(run.planned - run.results.size()) + " cases did not run";
    return clean(run.subject) + ": " + out + "\n";
}

} // namespace pvblk::conformance
