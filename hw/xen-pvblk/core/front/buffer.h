/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: a place in an owner's buffer, and copies to and from it. It does
 * not know requests. Bounds: call covers() once, when the buffer comes in; then
 * a place never moves beyond the length that covers() checked.
 */
#pragma once

#include "pvblk/front.h"

#include <span>

namespace pvblk
{

/* Whether the buffer holds `bytes` after the skipped ones. */
bool covers(const GuestBuffer &buffer, uint64_t bytes);

struct BufferCursor {
    uint32_t iov{0};
    uint64_t offset{0}; /* bytes into it */

    void advance(const GuestBuffer &buffer, uint64_t bytes);
    uint64_t gpa(const GuestBuffer &b) const { return b.gpa[iov] + offset; }
    /* Bytes up to the end of its piece of the buffer. */
    uint64_t here(const GuestBuffer &b) const { return b.iov[iov].iov_len - offset; }
};

/* Copy between one of our pages and the buffer, from `at` on. */
void gather(const GuestBuffer &from, BufferCursor at, std::span<std::byte> page);
void scatter(std::span<const std::byte> page, const GuestBuffer &to, BufferCursor at);

} // namespace pvblk
