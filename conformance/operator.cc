/* SPDX-License-Identifier: MIT */
/* The operator beside the backend: see operator.h. */
#include "operator.h"

#include "pvblk/xenbus.h"

#include <algorithm>
#include <sstream>

namespace pvblk::conformance
{

namespace
{

struct Word {
    const char *name;
    Ability ability;
};
constexpr Word kWords[] = {
    {"hold", kDefersStorage}, {"resize", kResizes}, {"restart", kRemoves},
    {"quiet", kSeesQuiet},    {"maps", kSeesMaps},
};

} // namespace

/* ---- the conversation ------------------------------------------------------------- */

std::optional<uint32_t> Operator::parse(const std::string &words)
{
    uint32_t can = 0;
    std::istringstream all(words + ",");
    for (std::string word; std::getline(all, word, ',');) {
        auto it = std::find_if(std::begin(kWords), std::end(kWords),
                               [&](const Word &w) { return word == w.name; });
        if (it == std::end(kWords))
            return std::nullopt;
        can |= it->ability;
    }
    return can;
}

std::optional<std::string> Operator::fail(const std::string &why)
{
    if (trouble_.empty())
        trouble_ = "the operator " + why;
    return std::nullopt;
}

std::optional<std::string> Operator::ask(const std::string &what)
{
    if (!lines_.gone().empty())
        return fail(lines_.gone());
    std::string number = std::to_string(++asked_);
    std::fprintf(out_, "operator %s %s\n", number.c_str(), what.c_str());
    std::fflush(out_);
    auto until = std::chrono::steady_clock::now() + patience_;
    while (auto heard = lines_.take(until)) {
        if (heard->ends_with('\r'))
            heard->pop_back();
        std::istringstream words(*heard);
        std::string verb, to, rest;
        words >> verb >> to >> std::ws;
        std::getline(words, rest);
        bool answers = verb == "done" || verb == "cannot";
        /* An answer that came too late for its question. */
        auto old = parse_decimal(to);
        if (answers && old && *old < asked_)
            continue;
        if (!answers || to != number)
            return fail("answered '" + heard->substr(0, 60) + "' to '" + what +
                        "', and not done or cannot " + number);
        return verb == "done" ? std::optional(rest)
                              : fail("cannot " + what + (rest.empty() ? "" : ": " + rest));
    }
    return fail(lines_.gone().empty() ? "gave no answer to '" + what + "'" : lines_.gone());
}

bool Operator::try_to(const std::string &what)
{
    std::string before = trouble_;
    bool done = ask(what).has_value();
    trouble_ = before;
    return done;
}

std::string Operator::trouble()
{
    return std::exchange(trouble_, "");
}

/* ---- a domain with an operator -------------------------------------------------------- */

std::optional<std::string> OperatedDomain::ask(const std::string &verb)
{
    return operator_.ask(verb + " " + vbd_);
}

void OperatedDomain::hold()
{
    if (!asks(kDefersStorage))
        return domain_.hold();
    holds_ = holds_ || ask("hold");
}

void OperatedDomain::release()
{
    if (!asks(kDefersStorage))
        return domain_.release();
    if (holds_)
        (void)ask("release");
    holds_ = false;
}

void OperatedDomain::resize(uint64_t sectors)
{
    if (!asks(kResizes))
        return domain_.resize(sectors);
    (void)operator_.ask("resize " + vbd_ + " " + std::to_string(sectors));
}

void OperatedDomain::restart()
{
    if (!asks(kRemoves))
        return domain_.restart();
    say_closed();
    (void)ask("restart");
    holds_ = false;
}

/* The case has its verdict. A wedged backend that cannot even be taken away is no less wedged. */
bool OperatedDomain::revive()
{
    if (!asks(kRemoves))
        return domain_.revive();
    say_closed();
    holds_ = false;
    return operator_.try_to("restart " + vbd_);
}

/* No toolstack takes a disk away from a frontend that is in the middle of it. */
void OperatedDomain::say_closed()
{
    (void)store().write(frontend() + "/state",
                        std::to_string(static_cast<int>(XenbusState::Closed)));
}

uint32_t OperatedDomain::mapped()
{
    if (!asks(kSeesMaps))
        return domain_.mapped();
    auto pages = ask("maps");
    if (!pages)
        return 0;
    auto n = parse_decimal(*pages);
    if (!n)
        operator_.fail("knows no number of pages, but '" + *pages + "'");
    return static_cast<uint32_t>(n.value_or(0));
}

Woken OperatedDomain::wait(std::chrono::milliseconds patience)
{
    if (!asks(kSeesQuiet))
        return domain_.wait(patience);
    /* An answer comes soon, and then nobody need be asked. */
    constexpr std::chrono::milliseconds kSoon{5};
    Woken woken = domain_.wait(std::min(patience, kSoon));
    if (woken != Woken::TimeUp)
        return woken;
    /* Without an answer the case is lost; it need not wait, too. */
    (void)ask("quiet");
    /* What the backend did before the operator looked is on its way to us. */
    woken = domain_.wait(kSoon);
    return woken == Woken::TimeUp ? Woken::Quiet : woken;
}

} // namespace pvblk::conformance
