/* SPDX-License-Identifier: MIT */
/*
 * Reports: a Run as text. JSON lines hold all of it, so that a run on another
 * host can be read back and shown, compared, or put into a page with others.
 */
#pragma once

#include "result.h"

#include <optional>
#include <string>
#include <vector>

namespace pvblk::conformance
{

/* TAP 13 with YAML diagnostics: readers of TAP 14 take it, and the prove of Debian 12 no other. */
std::string tap(const Run &run);
/* One testsuite; a deviation counts as passed, with a property. */
std::string junit(const Run &run);
/* The first line has the run, each other one a case. */
std::string json_head(const Run &run);
/* `terse`: without describe(), which whoever reads it can do himself. */
std::string json_line(const CaseResult &r, bool terse = false);
std::string jsonl(const Run &run);
/* Reads jsonl() back. Nothing: `problem` says in which line what is wrong. */
std::optional<Run> parse_jsonl(const std::string &text, std::string &problem);
/* One page for all runs side by side, without anything from elsewhere. */
std::string html(const std::vector<Run> &runs);
/* For a person: a line a case that is not as expected, then the sums. */
std::string summary(const Run &run);
std::string line(const CaseResult &r);
/* Any text as one line of valid UTF-8: a control character becomes a space, a byte of no
 * character U+FFFD. */
std::string clean(const std::string &text);

} // namespace pvblk::conformance
