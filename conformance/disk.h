/* SPDX-License-Identifier: MIT */
/*
 * What the suite knows of the disk: which of its own patterns each sector holds.
 * A read is compared with it, and after each case so are the sectors that the
 * case had no right to change.
 */
#pragma once

#include "pvblk/types.h"

#include <cstdint>
#include <map>
#include <span>

namespace pvblk::conformance
{

class Disk
{
public:
    explicit Disk(uint64_t sectors) : sectors_(sectors) {}
    /* What lies before the new end stays, and is still to be as it was: a backend that tells of
     * another size at each connection hides nothing. */
    void resize(uint64_t sectors);

    /* A pattern that no sector holds yet; put() writes a sector of it to `at`.
     * commit() says that such a WRITE was answered OKAY, unknown() that nobody
     * can say what the sectors hold. */
    uint32_t draw() { return ++last_; }
    static void put(Sector sector, uint32_t pattern, std::byte *at);
    void commit(Sector at, uint64_t sectors, uint32_t pattern);
    void unknown(Sector at, uint64_t sectors);
    /* Whether it can say so of each of these sectors. */
    bool knows(Sector at, uint64_t sectors) const;
    /* `wrong`: the first sector of `data` that is not what the disk has to hold; nothing is
     * known of a sector: it is right. True: all are. */
    bool matches(Sector at, std::span<const std::byte> data, Sector &wrong) const;

private:
    uint64_t sectors_;
    /* The patterns of the sectors of which something is known: a disk may be huge. */
    std::map<uint64_t, uint32_t> holds_{};
    uint32_t last_{0};
};

} // namespace pvblk::conformance
