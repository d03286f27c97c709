/* SPDX-License-Identifier: MIT */
/* What cases of rings and of events have in common: requests in batches, and lies
 * in the ring's memory. */
#pragma once

#include "bench.h"

#include <vector>

namespace pvblk::conformance
{

/* Puts READs of a page each on the ring, and publishes none. The disk is known
 * where they read. */
std::vector<WireRequest> stage_reads(Bench &b, uint32_t n, uint32_t queue = 0);
/* Publishes what is staged, and sends an event if the backend asked for one. */
void push(Bench &b, uint32_t queue = 0);
/* Each is answered OKAY, with the disk's data. */
void expect_reads(Bench &b, const std::vector<WireRequest> &reads, uint32_t queue = 0);
/* All three, for a batch that is published in one step. */
void read_batch(Bench &b, uint32_t n, uint32_t queue = 0);

/* Lets the backend do all that it will do. Nothing follows from it alone. */
void rest(Bench &b);
/* All published requests have an answer: as the ring's indices say. */
bool all_answered(const Bench &b, uint32_t queue = 0);

/* Writes a request to a slot, past the frontend's own indices. */
void scribble(Bench &b, uint32_t slot, const WireRequest &req);
/* Fills slots from `first` on with WRITEs that nobody published: of another data
 * than the disk has. */
void scribble_writes(Bench &b, uint32_t first, uint32_t n);

} // namespace pvblk::conformance
