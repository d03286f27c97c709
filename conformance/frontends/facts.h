/* SPDX-License-Identifier: MIT */
/*
 * What came of one scenario. A machine's driver writes facts as JSON lines; the
 * player in this process makes them itself. One function judges both.
 */
#pragma once

#include "frontends/scenario.h"
#include "pvblk/judge.h"
#include "result.h"

#include <map>

namespace pvblk::conformance
{

/* Of one clause, as the judge in the backend saw it. */
struct ClauseFacts {
    uint64_t kept{0}, broken{0};
    std::string how{}; /* the first time */
};

/* What both ends agreed on, and what the frontend made use of. */
struct Agreed {
    uint32_t queues{0}, ring_pages{0};
    bool persistent{false}, indirect{false}, flush{false}, discard{false};
};

struct Facts {
    std::string id{};
    std::string skip{};                  /* this subject cannot play it, and why */
    std::string trouble{};               /* the harness failed: INCONCLUSIVE */
    bool connected{false};               /* both ends were Connected */
    uint32_t ok{0}, errors{0}, wrong{0}; /* I/O calls, by how they ended */
    bool waited{false};  /* some I/O came to its end only when the backend behaved again */
    bool hung{false};    /* some did not even then */
    bool answers{true};  /* the frontend's machine still does as it is told */
    bool gave_up{false}; /* the frontend closed by itself, or never had a disk */
    std::string died{};  /* the frontend's last words */
    std::string said{};  /* of an error */
    std::string amiss{}; /* of what it told its users, or did beside its I/O */
    bool closed{true};   /* at the end, when it was told to */
    uint32_t grants_left{0};
    std::optional<bool> again{};     /* it connected once more, and served */
    std::optional<uint64_t> fired{}; /* faults that happened */
    std::map<std::string, ClauseFacts> clauses{};
    /* No verdict comes of these two. */
    std::optional<Agreed> agreed{};
    std::optional<uint64_t> shown_bytes{}; /* the disk's size at the end, as the frontend has it */
    std::chrono::milliseconds took{};
    std::vector<Happening> happened{};
};

/* What the judge has recorded so far. */
void note(Facts &f, const BackJudge &judge);

CaseResult verdict(const Scenario &s, const Facts &f);
/* A result for each clause, over all scenarios that were played. */
std::vector<CaseResult> clause_verdicts(const std::vector<Facts> &all);

/* JSON, one object a line. Nothing: `problem` is a sentence. */
std::optional<std::vector<Facts>> parse_facts(const std::string &text, std::string &problem);
/* The same back: a line. */
std::string facts_line(const Facts &f);
/* For a driver in the middle of a scenario: the judgement as QEMU's property has it, the backend's
 * requests and its faults. */
std::string judgement_line(BackJudge &judge, uint64_t requests, uint64_t faults);
/* For a driver: all that it needs to play these. */
std::string scenario_lines(const std::vector<const Scenario *> &scenarios);

} // namespace pvblk::conformance
