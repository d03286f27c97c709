/* SPDX-License-Identifier: MIT */
/* What came of a case. All reports are made of these. */
#pragma once

#include "log.h"

#include <chrono>
#include <string>
#include <vector>

namespace pvblk::conformance
{

enum class Verdict : uint8_t {
    Pass,
    Fail,
    Deviation,    /* fails as the profile says it would */
    Skip,         /* the provider or the backend lacks what the case needs */
    Wedged,       /* it answers nothing any more: a backend not even after a reconnect */
    Crash,        /* the subject died */
    Corrupt,      /* a frontend handed on a wrong byte where it could have told */
    Leak,         /* a frontend's grants outlive its connection */
    Inconclusive, /* the suite could not decide: a time-out, or a fault of its own */
};
inline constexpr uint32_t kVerdicts = 9;
const char *verdict_name(Verdict v); /* "PASS" */

struct CaseResult {
    std::string id{};     /* with the suffix of its variation */
    std::string clause{}; /* of docs/protocol.rst */
    std::string level{}, kind{}, what{};
    Verdict verdict{Verdict::Inconclusive};
    std::string expected{};  /* what the clause allows */
    std::string seen{};      /* what came; also of a case that passed */
    std::string why{};       /* of a skip; the note of a deviation */
    std::string deviation{}; /* its ID in the profile */
    std::chrono::milliseconds took{};
    std::vector<Happening> happened{}; /* the last of it, unless the case passed */
};

/* One run of the suite on one subject. */
struct Run {
    std::string subject{}, version{}; /* as the user calls them */
    std::string suite{};              /* our own version */
    std::string date{};               /* UTC, ISO 8601 */
    std::string command{};            /* that repeats it; a case's ID is added */
    std::string profile{};            /* the file by which it was judged: "" none */
    uint32_t planned{0};              /* cases; fewer results: the run was cut off */
    std::vector<CaseResult> results{};
};

/* Exit codes: 0 all as expected, 1 a case failed (also Corrupt, Leak), 2 usage, 3 the suite could
 * not decide, 4 a subject died or is wedged, 77 all was skipped. */
int exit_code(const Run &run);

} // namespace pvblk::conformance
