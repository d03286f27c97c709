/* SPDX-License-Identifier: MIT */
/* Layer `front`: an owner's buffer, piece by piece. */
#include "front/buffer.h"

#include <algorithm>
#include <cstring>

namespace pvblk
{

namespace
{

/* f(where in this process, bytes done before, bytes) for each contiguous part. */
template <class Part>
void each_part(const GuestBuffer &b, BufferCursor at, uint64_t bytes, Part f)
{
    for (uint64_t done = 0; done < bytes; at = {at.iov + 1, 0}) {
        auto *base = static_cast<std::byte *>(b.iov[at.iov].iov_base) + at.offset;
        uint64_t n = std::min(at.here(b), bytes - done);
        f(base, done, n);
        done += n;
    }
}

} // namespace

/* Subtract, never add: the lengths' sum may wrap. */
bool covers(const GuestBuffer &buffer, uint64_t bytes)
{
    uint64_t skip = buffer.skip;
    for (uint32_t i = 0; i < buffer.count && bytes; i++) {
        uint64_t here = buffer.iov[i].iov_len;
        uint64_t skipped = std::min(skip, here);
        skip -= skipped;
        bytes -= std::min(bytes, here - skipped);
    }
    return bytes == 0;
}

void BufferCursor::advance(const GuestBuffer &b, uint64_t bytes)
{
    offset += bytes;
    while (iov < b.count && offset >= b.iov[iov].iov_len) {
        offset -= b.iov[iov].iov_len;
        iov++;
    }
}

void gather(const GuestBuffer &from, BufferCursor at, std::span<std::byte> page)
{
    each_part(from, at, page.size(), [&](const std::byte *base, uint64_t done, uint64_t n) {
        std::memcpy(page.data() + done, base, n);
    });
}

void scatter(std::span<const std::byte> page, const GuestBuffer &to, BufferCursor at)
{
    each_part(to, at, page.size(), [&](std::byte *base, uint64_t done, uint64_t n) {
        std::memcpy(base, page.data() + done, n);
    });
}

} // namespace pvblk
