/* SPDX-License-Identifier: MIT */
/*
 * Fault plans by chance, out of the whole catalogue (fault_catalogue.h); and
 * which faults leave the data as it is, so that the oracle of contents may go
 * on.
 */
#pragma once

#include "support/random.h"

#include "pvblk/fault.h"

namespace pvblk::sim
{

/* The text of a plan of a few rules, as docs/faults.rst has it. `prefer`: a
 * group, of which most rules are; "": any. */
std::string make_plan(Random &random, std::string_view prefer = "");

/* A backend that does this still says Okay of nothing but what it did. */
bool keeps_data(FaultKind kind);

/* What it does may make a disk with a cache look like one without. */
bool may_hide_cache(const FaultRule &rule);

} // namespace pvblk::sim
