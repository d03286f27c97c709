/* SPDX-License-Identifier: MIT */
/*
 * The operator: a program or a person beside the backend, who does there what no
 * frontend can. The suite asks in a line, `operator 7 hold 51712`, and waits for one
 * that begins with `done 7` or `cannot 7`. docs/conformance.rst has the protocol.
 */
#pragma once

#include "domain.h"
#include "line_reader.h"

#include <cstdio>
#include <optional>
#include <string>

namespace pvblk::conformance
{

class Operator
{
public:
    /* Asks on `out`, and listens to the descriptor `in`. `can` is what the operator
     * said that it can do. An answer takes `patience` at most. */
    Operator(int in, std::FILE *out, uint32_t can, std::chrono::milliseconds patience)
        : lines_(in, kLongest), out_(out), can_(can), patience_(patience)
    {
    }

    uint32_t abilities() const { return can_; }
    /* What follows `done`. Nothing: it was not done, and trouble() says why. */
    std::optional<std::string> ask(const std::string &what);
    /* The same where nothing hangs on it: no trouble() comes of it. */
    bool try_to(const std::string &what);
    /* Since the last call, a sentence on the first thing that was not done; or "". */
    std::string trouble();
    std::optional<std::string> fail(const std::string &why);

    /* Of words such as "hold,resize": bits of Ability. Nothing: one is none. */
    static std::optional<uint32_t> parse(const std::string &words);

private:
    /* An answer is short: more is none. */
    static constexpr size_t kLongest = 512;

    LineReader lines_;
    std::FILE *out_;
    uint32_t can_;
    std::chrono::milliseconds patience_;
    uint32_t asked_{0};
    std::string trouble_{};
};

/* A domain whose operator has some of its abilities. */
class OperatedDomain final : public Domain
{
public:
    /* Both outlive this. `vbd`: how the operator knows the disk. */
    OperatedDomain(Domain &domain, Operator &op, std::string vbd)
        : domain_(domain), operator_(op), vbd_(std::move(vbd))
    {
    }

    uint32_t abilities() const override { return domain_.abilities() | operator_.abilities(); }
    const std::string &frontend() const override { return domain_.frontend(); }
    const std::string &backend() const override { return domain_.backend(); }
    Store &store() override { return domain_.store(); }
    Events &events() override { return domain_.events(); }
    Result<SharedPage> share(bool readonly, Grantee to) override
    {
        return domain_.share(readonly, to);
    }
    void unshare(const SharedPage &page) override { domain_.unshare(page); }
    Woken wait(std::chrono::milliseconds patience) override;
    std::chrono::microseconds now() override { return domain_.now(); }
    uint32_t mapped() override;
    void hold() override;
    void release() override;
    void resize(uint64_t sectors) override;
    void restart() override;
    bool revive() override;
    Result<GrantRef> share_no_ram() override { return domain_.share_no_ram(); }

private:
    bool asks(Ability a) const { return operator_.abilities() & a; }
    std::optional<std::string> ask(const std::string &verb);
    void say_closed();

    Domain &domain_;
    Operator &operator_;
    std::string vbd_;
    bool holds_{false};
};

} // namespace pvblk::conformance
