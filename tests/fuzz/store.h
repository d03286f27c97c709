/* SPDX-License-Identifier: MIT */
/*
 * Target `store`: any values of the nodes that are read, negotiated.
 * Nothing crashes; a refusal names its clause; a plan that is accepted is one
 * that the layers above can compute with.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace pvblk::fuzz
{

enum class StoreOp : uint8_t {
    Number,     /* node a holds the number b << (c % 64); bend: minus one, missing … */
    Text,       /* node a holds entry b of kTexts, or the number c */
    Raw,        /* node a holds the next b % 40 bytes of the input's text */
    Missing,    /* node a is not there */
    Unreadable, /* node a cannot be read */
    Count
};
inline constexpr const char *kStoreOps[] = {"number", "text", "raw", "missing", "unreadable"};

struct StoreOutcome {
    bool accepted{false};
    std::string clause{}; /* of the refusal */
    uint64_t sectors{0};
    uint32_t sector_size{0};
    bool discard{false};
    uint32_t queues{0}, ring_pages{0}, max_segments{0};
};

StoreOutcome play_store(const uint8_t *data, size_t size);

} // namespace pvblk::fuzz
