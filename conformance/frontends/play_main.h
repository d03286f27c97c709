/* SPDX-License-Identifier: MIT */
/*
 * The main program of a frontend in a process of its own, whose code may take the
 * process along: each scenario is played in a child. It prints facts, a line each,
 * for `blkif-conformance --frontend --facts`.
 */
#pragma once

#include "frontends/player.h"

namespace pvblk::conformance
{

/* The words are globs over the scenarios' IDs; none: all. */
int play_main(const PlayedFrontend &frontend, int argc, char **argv);

} // namespace pvblk::conformance
