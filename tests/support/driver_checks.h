/* SPDX-License-Identifier: MIT */
/* What tests of other people's drivers have in common; each wants a fresh world. */
#pragma once

#include "support/bent_world.h"

namespace pvblk
{

/* Sizes around one page and `request`, the bytes of the driver's largest request;
 * buffers on and off the start of a page and of a sector. Wants 2048 pages. */
void check_each_size_and_place(BentWorld &w, size_t request);
/* What one read costs: ring requests, and grants. */
struct ReadCost {
    size_t bytes, skip;
    uint32_t requests, grants;
};
void check_read_cost(BentWorld &w, const ReadCost &cost);
/* `bytes` at `block` go to the disk and come back; the disk is addressed in `unit` bytes. */
void check_write_and_read(BentWorld &w, uint64_t block, size_t bytes, uint32_t unit);
/* 32 slots: every one is used several times over. */
void check_ring_goes_round(BentWorld &w);
/* The driver leaves the backend in InitWait, and meets it again. */
void check_each_start_works(BentWorld &w);
void check_transaction_is_tried_again(BentWorld &w);
/* Hot unplug: the driver has no ear for it, and serves on; the stop is clean. */
void check_leaving_backend(BentWorld &w);

/* The backend's sector-size made the start fail. Whoever writes Initialising
 * makes our backend let go, without Closing and Closed before it. */
void check_initialising_frees_the_backend(BentWorld &w);
/* The size is read once: a disk that grows in use stays as it was. */
void check_resize_is_missed(BentWorld &w);
/* In a child process: the driver uses blkif_response.id as a pointer. */
void check_crash_on_a_bad_id(BentWorld &w);
/* The first response gets this one in its place. */
void replace_first_response(BentWorld &w, Op op, uint64_t id);
/* rsp_prod is believed. Here it goes once round the ring: the read is answered
 * twice, and its grant is ended twice, which puts one entry on the driver's free
 * list two times. The next response would make it go through 2^32 of them, with
 * pointers to stack frames that are gone: that is left out. */
void check_jumping_producer_is_followed(BentWorld &w);

} // namespace pvblk
