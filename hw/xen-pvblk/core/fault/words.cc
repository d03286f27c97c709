/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`: words, names and numbers of a plan's text. See words.h.
 */
#include "fault/words.h"

#include <algorithm>
#include <charconv>

namespace pvblk
{

namespace
{

constexpr std::string_view kQueueNames[] = {"0", "1", "2",  "3",  "4",  "5",  "6",  "7",
                                            "8", "9", "10", "11", "12", "13", "14", "15"};
static_assert(std::size(kQueueNames) == kMaxQueues);

bool blank(char c)
{
    return c == ' ' || c == '\t';
}

bool printable(char c)
{
    return c >= 0x20 && c < 0x7f;
}

char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string hex(char c)
{
    constexpr char kDigits[] = "0123456789abcdef";
    auto b = static_cast<unsigned char>(c);
    return {kDigits[b >> 4], kDigits[b & 15]};
}

/* Levenshtein's distance, ignoring case. A word longer than any name of
 * ours is like none, and costs nothing. */
size_t distance(std::string_view a, std::string_view b)
{
    constexpr size_t kLongest = 40;
    std::array<size_t, kLongest + 1> row{};
    if (a.size() > kLongest || b.size() > kLongest)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.size(); j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size(); i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); j++) {
            size_t changed = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
        }
    }
    return row[b.size()];
}

FaultWord bad(std::string why)
{
    return {FaultWord::Bad, {}, std::move(why)};
}

/* What comes after a backslash; returns how much of it was used, 0 if it is
 * no escape. */
size_t unescape(std::string_view after, std::string &text)
{
    if (after.starts_with('"') || after.starts_with('\\')) {
        text += after[0];
        return 1;
    }
    if (after.size() < 3 || after[0] != 'x')
        return 0;
    int high = hex_digit(after[1]), low = hex_digit(after[2]);
    if (high < 0 || low < 0)
        return 0;
    text += static_cast<char>(high << 4 | low);
    return 3;
}

} // namespace

/* ---- names ------------------------------------------------------------- */

FaultNames fault_point_names()
{
    FaultNames names;
    for (const FaultPointInfo &p : kFaultPointTable)
        names.push_back(p.name);
    return names;
}

FaultNames fault_op_names()
{
    return {std::begin(kFaultOpNames), std::end(kFaultOpNames)};
}

FaultNames fault_state_names()
{
    FaultNames names;
    for (uint32_t i = 0; i < kXenbusStates; i++)
        names.push_back(xenbus_state_name(static_cast<XenbusState>(i)));
    return names;
}

FaultNames fault_queue_names()
{
    return {std::begin(kQueueNames), std::end(kQueueNames)};
}

FaultNames fault_kind_names()
{
    FaultNames names;
    for (const FaultInfo &f : kFaults)
        names.push_back(f.name);
    return names;
}

FaultNames fault_kind_names(FaultPoint point)
{
    FaultNames names;
    for (const FaultInfo &f : kFaults)
        if (f.points & fault_points(point))
            names.push_back(f.name);
    return names;
}

FaultNames fault_point_names(const FaultInfo &fault)
{
    FaultNames names;
    for (uint32_t p = 0; p < kFaultPoints; p++)
        if (fault.points >> p & 1)
            names.push_back(kFaultPointTable[p].name);
    return names;
}

std::optional<size_t> fault_index(std::string_view word, const FaultNames &names)
{
    auto it = std::find(names.begin(), names.end(), word);
    if (it == names.end())
        return std::nullopt;
    return static_cast<size_t>(it - names.begin());
}

FaultNames fault_split(std::string_view words, char at)
{
    FaultNames parts;
    size_t end = words.find(at);
    for (; end != std::string_view::npos; end = words.find(at)) {
        parts.push_back(words.substr(0, end));
        words.remove_prefix(end + 1);
    }
    parts.push_back(words);
    return parts;
}

std::string fault_join(const FaultNames &names)
{
    std::string text;
    for (std::string_view n : names)
        text += (text.empty() ? "" : ", ") + std::string(n);
    return text;
}

std::string fault_quote(std::string_view word)
{
    constexpr size_t kShown = 40;
    return "'" + std::string(word.substr(0, kShown)) + (word.size() > kShown ? "...'" : "'");
}

/* What is behind the slash of a fault's name counts, too: users forget the
 * group. One letter in three may be wrong. */
std::string fault_suggest(std::string_view word, const FaultNames &names)
{
    std::string_view best;
    size_t least = std::max<size_t>(1, word.size() / 3) + 1;
    for (std::string_view n : names) {
        size_t d = std::min(distance(word, n), distance(word, n.substr(n.find('/') + 1)));
        if (d < least) {
            least = d;
            best = n;
        }
    }
    return best.empty() ? "" : "; did you mean " + fault_quote(best) + "?";
}

/* ---- numbers and texts ------------------------------------------------- */

std::optional<uint64_t> parse_fault_number(std::string_view word)
{
    if (!word.starts_with("0x"))
        return parse_decimal(word);
    word.remove_prefix(2);
    uint64_t v = 0;
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), v, 16);
    if (error != std::errc{} || end != word.data() + word.size())
        return std::nullopt;
    return v;
}

/* Exact, hence the bound on digits. */
std::optional<uint32_t> parse_probability(std::string_view word)
{
    constexpr size_t kDigits = 9; /* of a billionth */
    size_t point = word.find('.');
    auto whole = parse_decimal(word.substr(0, point));
    if (!whole || *whole > 1)
        return std::nullopt;
    uint64_t parts = *whole * kFaultBillion;
    if (point != std::string_view::npos) {
        std::string_view digits = word.substr(point + 1);
        auto fraction = parse_decimal(digits);
        if (!fraction || digits.size() > kDigits)
            return std::nullopt;
        for (size_t i = digits.size(); i < kDigits; i++)
            *fraction *= 10;
        parts += *fraction;
    }
    if (parts > kFaultBillion)
        return std::nullopt;
    return static_cast<uint32_t>(parts);
}

std::string print_probability(uint32_t parts)
{
    if (parts % kFaultBillion == 0)
        return parts ? "1" : "0";
    std::string digits = std::to_string(kFaultBillion + parts).substr(1);
    return "0." + digits.substr(0, digits.find_last_not_of('0') + 1);
}

std::string print_quoted(std::string_view text)
{
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\')
            out += '\\';
        out += printable(c) ? std::string(1, c) : "\\x" + hex(c);
    }
    return out + '"';
}

/* ---- words ------------------------------------------------------------- */

std::string FaultWord::said() const
{
    switch (kind) {
    case End: return "the end of the line";
    case Quoted: return "a text in quotes";
    default: return fault_quote(bare);
    }
}

FaultWord FaultLine::next()
{
    while (!rest_.empty() && blank(rest_[0]))
        rest_.remove_prefix(1);
    if (rest_.empty() || rest_[0] == '#')
        return {};
    if (rest_[0] == '"')
        return quoted();
    if (rest_[0] == ':') {
        rest_.remove_prefix(1);
        return {FaultWord::Colon, ":", {}};
    }
    size_t n = 0;
    while (n < rest_.size() && !blank(rest_[n]) && rest_[n] != ':' && rest_[n] != '"') {
        if (!printable(rest_[n]))
            return bad("byte 0x" + hex(rest_[n]) + " is allowed only in a comment");
        n++;
    }
    FaultWord word{FaultWord::Bare, rest_.substr(0, n), {}};
    rest_.remove_prefix(n);
    return word;
}

FaultWord FaultLine::quoted()
{
    std::string text;
    for (size_t i = 1; i < rest_.size(); i++) {
        char c = rest_[i];
        if (c == '"') {
            rest_.remove_prefix(i + 1);
            return {FaultWord::Quoted, {}, std::move(text)};
        }
        if (!printable(c))
            return bad("write byte 0x" + hex(c) + " as \\x" + hex(c) + " in a text");
        if (c != '\\') {
            text += c;
            continue;
        }
        size_t used = unescape(rest_.substr(i + 1), text);
        if (!used)
            return bad("expected \", \\, or x and two hexadecimal digits after \\ in a text");
        i += used;
    }
    return bad("the text has no closing quote");
}

} // namespace pvblk
