/* SPDX-License-Identifier: MIT */
/* What blkif-conformance does with --frontend. */
#pragma once

#include "frontends/facts.h"

#include <functional>

namespace pvblk::conformance
{

/* Plays scenarios with our own frontend, in each of its shapes. `ended` gets each result as
 * it comes, and at last those of the clauses. */
void play_our_front(const std::vector<const Scenario *> &scenarios,
                    const std::function<void(CaseResult)> &ended);

} // namespace pvblk::conformance
