/* SPDX-License-Identifier: MIT */
/*
 * XenStore from a guest that means no good: requests that are right, nearly right, cut in pieces or
 * nonsense, and sometimes ring indices that cannot be. Replies are not read, only removed.
 */
#pragma once

#include "processor.h"

namespace xenstore
{

/* Asks where its ring is. False where there is no XenStore. */
bool init();

void random_request(Processor &processor);

/* Empties the ring, as a guest would after a reset. */
void restart();

/* A well-formed XS_WRITE, for a frontend that wants to get somewhere. */
void write(Processor &processor, const char *folder, const char *name, const char *value);

} // namespace xenstore
