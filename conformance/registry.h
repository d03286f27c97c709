/* SPDX-License-Identifier: MIT */
/* All cases, and how a user picks some of them. */
#pragma once

#include "case.h"
#include "result.h"

#include <string>
#include <vector>

namespace pvblk::conformance
{

/* What a report says of a case, whatever came of it. */
void describe(CaseResult &r, const Case &c);
/* Of a backend or a frontend, by the ID, with or without a variation; nullptr: there is none. */
const Case *find_case(std::string_view id);

/* Those of backends, in the order in which they run: what may end the backend comes last. */
const std::vector<const Case *> &all_cases();
/* Those of frontends: scenarios, then clauses. */
const std::vector<const Case *> &all_front_cases();

/* Those whose ID matches one of the globs (** and * match any text), or that have
 * level:must, class:hostile, clause:ring:req-prod or needs:flush. No word: all.
 * `unknown`: the words that match nothing. */
std::vector<const Case *> select(const std::vector<const Case *> &all,
                                 const std::vector<std::string> &words,
                                 std::vector<std::string> &unknown);

} // namespace pvblk::conformance
