/* SPDX-License-Identifier: MIT */
/*
 * A block frontend that means no good (blkif.h): it announces rings and ports that are right or
 * not, in any order, and fills the ring with requests that are nearly right.
 */
#pragma once

#include "processor.h"
#include "text.h"

namespace disk
{

/* Options: queues=N and pages=N of a ring, each up to two. False for others. */
bool init(const CommandLine &options);

void random_step(Processor &processor);

} // namespace disk
