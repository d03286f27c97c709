/* SPDX-License-Identifier: MIT */
/*
 * What the suite knows of the disk: which of its own patterns each sector holds.
 * A read is compared with it, and after each case so are the sectors that the
 * case had no right to change.
 */
#pragma once

#include "pvblk/types.h"

#include <cstdint>
#include <span>
#include <vector>

namespace pvblk::conformance
{

class Disk
{
public:
    explicit Disk(uint64_t sectors) : holds_(sectors, kUnknown) {}
    uint64_t sectors() const { return holds_.size(); }

    /* A pattern that no sector holds yet; put() writes a sector of it to `at`.
     * commit() says that such a WRITE was answered OKAY, unknown() that nobody
     * can say what the sectors hold. */
    uint32_t draw() { return ++last_; }
    static void put(Sector sector, uint32_t pattern, std::byte *at);
    void commit(Sector at, uint64_t sectors, uint32_t pattern);
    void unknown(Sector at, uint64_t sectors) { commit(at, sectors, kUnknown); }
    /* `wrong`: the first sector of `data` that is not what the disk has to hold; nothing is
     * known of a sector: it is right. True: all are. */
    bool matches(Sector at, std::span<const std::byte> data, Sector &wrong) const;

private:
    static constexpr uint32_t kUnknown = 0;

    std::vector<uint32_t> holds_; /* the pattern of each sector */
    uint32_t last_{kUnknown};
};

} // namespace pvblk::conformance
