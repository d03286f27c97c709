/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`: the text of a plan, to and fro (docs/faults.rst). A line is
 *
 *     seed N
 *     at POINT [CONDITION ...] [HOW OFTEN]: FAULT [PARAMETER]
 *
 * with blanks between words and a comment after `#`. Strict: what cannot be
 * read, or can never come true, is refused with one sentence that has the
 * line, the word, and what is allowed. The text may come from anywhere; all
 * of it is bounded by FaultPlan's limits.
 */
#include "fault/words.h"

#include <algorithm>

namespace pvblk
{

namespace
{

/* Conditions, then how often. */
enum class Key : uint8_t { State, Op, Queue, Name, Nth, Every, Probability, Times, Once, Always };
constexpr std::string_view kKeys[] = {"state=", "op=",          "queue=", "name=", "nth=",
                                      "every=", "probability=", "times=", "once",  "always"};

bool has_key(const FaultPointInfo &p, Key k)
{
    return (k != Key::Op || p.has_op) && (k != Key::Queue || p.has_queue) &&
           (k != Key::Name || p.has_name);
}

FaultNames keys_at(const FaultPointInfo &p)
{
    FaultNames keys;
    for (size_t i = 0; i < std::size(kKeys); i++)
        if (has_key(p, static_cast<Key>(i)))
            keys.push_back(kKeys[i]);
    return keys;
}

bool node_character(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("-_/@").find(c) != std::string_view::npos;
}

/* Reads one rule. Each step is true, or false with a sentence in `why`. */
class RuleParser
{
public:
    RuleParser(FaultLine &line, FaultRule &rule, std::string &why)
        : line_(line), rule_(rule), why_(why)
    {
    }

    bool parse() { return point() && conditions() && fault() && end() && possible(); }

private:
    bool fail(std::string why);
    bool unknown(std::string_view what, std::string_view word, const FaultNames &names);
    bool next(FaultWord &word);

    bool point();
    bool conditions();
    bool condition(std::string_view word);
    bool take(Key key, std::string_view value);
    template <class Bits>
    bool set(std::string_view what, std::string_view value, const FaultNames &names, Bits &bits);
    bool name(std::string_view value);
    bool number(Key key, std::string_view value, uint64_t min, uint64_t &out);
    bool fault();
    bool number_parameter();
    bool text_parameter();
    bool end();
    bool possible();
    bool possible_conditions();

    const FaultPointInfo &at() const { return fault_point_info(rule_.point); }
    const FaultInfo &what() const { return fault_info(rule_.kind); }

    FaultLine &line_;
    FaultRule &rule_;
    std::string &why_;
    uint32_t seen_{0}; /* bit: Key */
};

bool RuleParser::fail(std::string why)
{
    why_ = std::move(why);
    return false;
}

bool RuleParser::unknown(std::string_view what, std::string_view word, const FaultNames &names)
{
    return fail("no " + std::string(what) + " is called " + fault_quote(word) +
                fault_suggest(word, names) + " (there are: " + fault_join(names) + ")");
}

bool RuleParser::next(FaultWord &word)
{
    word = line_.next();
    return word.kind != FaultWord::Bad || fail(word.text);
}

bool RuleParser::point()
{
    FaultWord w;
    if (!next(w))
        return false;
    if (w.kind != FaultWord::Bare)
        return fail("expected a point after 'at', found " + w.said() +
                    " (there are: " + fault_join(fault_point_names()) + ")");
    auto i = fault_index(w.bare, fault_point_names());
    if (!i)
        return unknown("point", w.bare, fault_point_names());
    rule_.point = static_cast<FaultPoint>(*i);
    return true;
}

bool RuleParser::conditions()
{
    FaultWord w;
    while (next(w)) {
        if (w.kind == FaultWord::Colon)
            return true;
        if (w.kind != FaultWord::Bare)
            return fail("expected ':' before the fault, found " + w.said());
        if (!condition(w.bare))
            return false;
    }
    return false;
}

bool RuleParser::condition(std::string_view word)
{
    size_t sign = word.find('=');
    std::string_view name = sign == word.npos ? word : word.substr(0, sign + 1);
    auto i = fault_index(name, {std::begin(kKeys), std::end(kKeys)});
    if (!i)
        return unknown("condition", name, keys_at(at()));
    Key key = static_cast<Key>(*i);
    if (!has_key(at(), key))
        return fail("the point " + std::string(at().name) + " has no " + std::string(name) +
                    " (there are: " + fault_join(keys_at(at())) + ")");
    /* How often is one thing, in three words. */
    uint32_t bit = 1u << std::min(*i, static_cast<size_t>(Key::Times));
    if (seen_ & bit)
        return fail(key < Key::Times ? std::string(name) + " is given twice"
                                     : "use only one of times=, once and always");
    seen_ |= bit;
    return take(key, word.substr(name.size()));
}

bool RuleParser::take(Key key, std::string_view value)
{
    switch (key) {
    case Key::State: return set("state", value, fault_state_names(), rule_.states);
    case Key::Op: return set("operation", value, fault_op_names(), rule_.ops);
    case Key::Queue: return set("queue", value, fault_queue_names(), rule_.queues);
    case Key::Name: return name(value);
    case Key::Nth: return number(key, value, 0, rule_.nth.emplace());
    case Key::Every: return number(key, value, 1, rule_.every);
    case Key::Probability:
        rule_.probability = parse_probability(value);
        return rule_.probability || fail("probability= needs a decimal fraction from 0 to 1 with "
                                         "at most nine digits after the point, not " +
                                         fault_quote(value));
    case Key::Times: return number(key, value, 1, rule_.times);
    case Key::Once: return true;
    case Key::Always: rule_.times = FaultRule::kAlways; return true;
    }
    return false;
}

/* read|write, as bits. */
template <class Bits>
bool RuleParser::set(std::string_view what, std::string_view value, const FaultNames &names,
                     Bits &bits)
{
    for (std::string_view word : fault_split(value, '|')) {
        auto i = fault_index(word, names);
        if (!i)
            return unknown(what, word, names);
        if (bits >> *i & 1)
            return fail(std::string(what) + " " + fault_quote(word) + " is given twice");
        bits = static_cast<Bits>(bits | 1u << *i);
    }
    return true;
}

bool RuleParser::name(std::string_view value)
{
    FaultNames names = fault_split(at().names, ' ');
    if (!at().names.empty() && !fault_index(value, names))
        return unknown("name", value, names);
    if (value.empty() || value.size() > FaultPlan::kMaxName ||
        !std::all_of(value.begin(), value.end(), node_character))
        return fail("name= needs the name of a node: 1 to " + std::to_string(FaultPlan::kMaxName) +
                    " letters, digits and -_/@, not " + fault_quote(value));
    rule_.name = value;
    return true;
}

/* The largest number is kAlways, which has a word of its own. */
bool RuleParser::number(Key key, std::string_view value, uint64_t min, uint64_t &out)
{
    auto v = parse_fault_number(value);
    if (!v || *v < min || *v == FaultRule::kAlways)
        return fail(std::string(kKeys[static_cast<size_t>(key)]) + " needs a whole number from " +
                    std::to_string(min) + " to " + std::to_string(FaultRule::kAlways - 1) +
                    ", not " + fault_quote(value));
    out = *v;
    return true;
}

bool RuleParser::fault()
{
    std::string here = " (at " + std::string(at().name) +
                       " there are: " + fault_join(fault_kind_names(rule_.point)) + ")";
    FaultWord w;
    if (!next(w))
        return false;
    if (w.kind != FaultWord::Bare)
        return fail("expected a fault after ':', found " + w.said() + here);
    auto i = fault_index(w.bare, fault_kind_names());
    if (!i) {
        std::string meant = fault_suggest(w.bare, fault_kind_names(rule_.point));
        if (meant.empty())
            meant = fault_suggest(w.bare, fault_kind_names());
        return fail("no fault is called " + fault_quote(w.bare) + meant + here);
    }
    rule_.kind = static_cast<FaultKind>(*i);
    switch (what().param.type) {
    case FaultParam::None: return true;
    case FaultParam::Number: return number_parameter();
    case FaultParam::Text: return text_parameter();
    }
    return false;
}

bool RuleParser::number_parameter()
{
    const FaultParam &p = what().param;
    FaultWord w;
    if (!next(w))
        return false;
    bool negative = w.bare.starts_with('-');
    auto v = parse_fault_number(w.bare.substr(negative));
    /* What a negative minimum allows; the catalogue has none that overflows. */
    bool fits = v && (negative    ? p.min < 0 && *v <= static_cast<uint64_t>(-p.min)
                      : p.min < 0 ? *v <= p.max
                                  : *v >= static_cast<uint64_t>(p.min) && *v <= p.max);
    if (!fits)
        return fail(std::string(what().name) + " needs a number (" + std::string(p.what) +
                    ") from " + std::to_string(p.min) + " to " + std::to_string(p.max) + ", not " +
                    w.said());
    rule_.number = negative ? 0 - *v : *v;
    return true;
}

bool RuleParser::text_parameter()
{
    FaultWord w;
    if (!next(w))
        return false;
    if (w.kind != FaultWord::Quoted)
        return fail(std::string(what().name) + " needs a text in quotes, not " + w.said());
    if (w.text.size() > kFaultTextLimit)
        return fail("a text has at most " + std::to_string(kFaultTextLimit) + " bytes, not " +
                    std::to_string(w.text.size()));
    rule_.text = std::move(w.text);
    return true;
}

bool RuleParser::end()
{
    FaultWord w;
    if (!next(w))
        return false;
    return w.kind == FaultWord::End || fail("expected the end of the line after " +
                                            std::string(what().name) + ", found " + w.said());
}

/* Refuses rules that are well formed but can never happen. */
bool RuleParser::possible()
{
    std::string fault(what().name);
    if (!(what().points & fault_points(rule_.point)))
        return fail(fault + " cannot happen at " + std::string(at().name) + "; it can happen at " +
                    fault_join(fault_point_names(what())));
    if (!what().node.empty()) {
        if (!rule_.name.empty() && rule_.name != what().node)
            return fail(fault + " always changes the node " + std::string(what().node) + ", not " +
                        fault_quote(rule_.name));
        rule_.name = what().node;
    }
    if (what().ops && rule_.ops && !(rule_.ops & (what().ops | kFaultIndirect))) {
        FaultNames can;
        for (size_t i = 0; i < std::size(kFaultOpNames); i++)
            if (what().ops >> i & 1)
                can.push_back(kFaultOpNames[i]);
        return fail(fault + " cannot happen to that operation; it can happen to " +
                    fault_join(can));
    }
    return possible_conditions();
}

bool RuleParser::possible_conditions()
{
    if (rule_.name == "ring" && (rule_.ops || what().ops))
        return fail("a ring has no operation; with name=ring, use neither op= nor a fault of a "
                    "request's data");
    if (rule_.nth && !rule_.every && rule_.times != 1)
        return fail("nth= selects one occurrence, so the rule happens once; add every=1 to go on "
                    "from there");
    if (rule_.every && rule_.times == 1 && !rule_.probability)
        return fail("every= has no effect if the rule happens once; add times= or always");
    return true;
}

/* ---- the printer ------------------------------------------------------- */

void print_set(std::string &out, std::string_view key, uint32_t bits, const FaultNames &names)
{
    std::string_view before = key;
    for (size_t i = 0; i < names.size(); i++)
        if (bits >> i & 1) {
            out += before;
            out += names[i];
            before = "|";
        }
}

std::string print_parameter(const FaultRule &rule)
{
    const FaultParam &p = fault_info(rule.kind).param;
    switch (p.type) {
    case FaultParam::None: return "";
    case FaultParam::Text: return " " + print_quoted(rule.text);
    case FaultParam::Number:
        return " " + (p.min < 0 ? std::to_string(static_cast<int64_t>(rule.number))
                                : std::to_string(rule.number));
    }
    return "";
}

std::string print_rule(const FaultRule &rule)
{
    const FaultInfo &f = fault_info(rule.kind);
    std::string out = "at " + std::string(fault_point_info(rule.point).name);
    print_set(out, " state=", rule.states, fault_state_names());
    print_set(out, " op=", rule.ops, fault_op_names());
    print_set(out, " queue=", rule.queues, fault_queue_names());
    if (!rule.name.empty() && f.node.empty())
        out += " name=" + rule.name;
    if (rule.nth)
        out += " nth=" + std::to_string(*rule.nth);
    if (rule.every)
        out += " every=" + std::to_string(rule.every);
    if (rule.probability)
        out += " probability=" + print_probability(*rule.probability);
    if (rule.times == FaultRule::kAlways)
        out += " always";
    else if (rule.times != 1)
        out += " times=" + std::to_string(rule.times);
    return out + ": " + std::string(f.name) + print_parameter(rule);
}

} // namespace

/* ---- the plan ---------------------------------------------------------- */

bool FaultPlan::read_seed(FaultLine &line, std::string &why)
{
    FaultWord number = line.next();
    auto v = number.kind == FaultWord::Bare ? parse_fault_number(number.bare) : std::nullopt;
    if (!v || line.next().kind != FaultWord::End) {
        why = "expected one whole number of 64 bits after 'seed', and nothing more";
        return false;
    }
    seed_ = *v;
    return true;
}

bool FaultPlan::read_rule(FaultLine &line, uint32_t number, std::string &why)
{
    if (rules_.size() == kMaxRules) {
        why = "a plan has at most " + std::to_string(kMaxRules) + " rules";
        return false;
    }
    FaultRule rule;
    rule.line = number;
    if (!RuleParser(line, rule, why).parse())
        return false;
    add(std::move(rule));
    return true;
}

Result<FaultPlan, FaultError> FaultPlan::parse(std::string_view text)
{
    if (text.size() > kMaxBytes)
        return FaultError{0, "a plan has at most " + std::to_string(kMaxBytes) + " bytes, not " +
                                 std::to_string(text.size())};
    FaultPlan plan;
    bool first_line = true;
    uint32_t number = 0;
    for (std::string_view line_text : fault_split(text, '\n')) {
        number++;
        if (line_text.ends_with('\r'))
            line_text.remove_suffix(1);
        FaultLine line(line_text);
        FaultWord word = line.next();
        if (word.kind == FaultWord::End)
            continue;
        std::string why = word.text;
        bool ok = false;
        if (word.kind == FaultWord::Bad) {
            /* The word says itself what is wrong with it. */
        } else if (word.bare == "at") {
            ok = plan.read_rule(line, number, why);
        } else if (word.bare != "seed") {
            why = "expected 'at' or 'seed' at the beginning of the line, found " + word.said();
        } else if (!first_line) {
            why = "write seed once, before the first rule";
        } else {
            ok = plan.read_seed(line, why);
        }
        if (!ok)
            return FaultError{number, "line " + std::to_string(number) + ": " + why};
        first_line = false;
    }
    return plan;
}

std::string FaultPlan::rule_text(size_t rule) const
{
    return print_rule(rules_[rule].rule);
}

std::string FaultPlan::text() const
{
    std::string out;
    if (seed_)
        out += "seed " + std::to_string(seed_) + "\n";
    for (const Entry &e : rules_)
        out += print_rule(e.rule) + "\n";
    return out;
}

} // namespace pvblk
