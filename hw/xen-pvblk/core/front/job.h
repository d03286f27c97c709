/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: an accepted request. Requests owns it; a Slot in flight points
 * to it.
 */
#pragma once

#include "front/buffer.h"

namespace pvblk
{

struct Job {
    IoRequest req{};
    IoStatus status{IoStatus::Ok}; /* of its parts so far */
    uint64_t sequence{0};          /* order of acceptance */
    uint32_t outstanding{0};       /* parts in flight */
    uint64_t bytes{0};
    uint64_t offset{0}; /* bytes already put into slots */
    BufferCursor at{};  /* the same place in its buffer */
    bool flush_left{false};
    bool pending{false}; /* in a line */
    bool used{false};
    bool doomed{false}; /* Requests::end() is about to complete it */
    Job *next{nullptr}; /* in its line */

    bool has_data() const { return req.kind == IoKind::Read || req.kind == IoKind::Write; }
    uint64_t start() const { return req.sector.value << kSectorShift; } /* bytes */
    bool all_sent() const { return offset == bytes; }
    void advance(uint64_t n)
    {
        at.advance(req.buffer, n);
        offset += n;
    }
    void seek(uint64_t to)
    {
        offset = to;
        at = {};
        at.advance(req.buffer, req.buffer.skip + to);
    }
};

} // namespace pvblk
