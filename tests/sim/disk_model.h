/* SPDX-License-Identifier: MIT */
/*
 * What a disk may hold, sector by sector, while requests overlap: the oracle of
 * contents. Knows nothing of rings, and shares no code with what it judges.
 *
 * A sector is written as a whole, with a stamp that says which write it was; 0
 * is what was never written, or was discarded. Of a write that ended well and
 * began after another one had ended, the other one is never seen again — also
 * where that one was cancelled or failed (no old write lands after a new one).
 * A read may see whatever was possible between its begin and its end.
 *
 * A disk with a volatile cache may lose what is not stable: then the sector holds what the last
 * stable write left, or what a later one did. A write is stable if it ended so, or if a flush that
 * began after its end ended well.
 *
 * Units: 512-byte sectors. May allocate.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace pvblk::sim
{

using Stamp = uint64_t;

/* The contents of a sector that write `stamp` fills, and what is there: a stamp,
 * or nothing that a write of this sector could have left. */
void stamp_sector(std::byte *at, uint64_t sector, Stamp stamp);
bool read_stamp(const std::byte *at, uint64_t sector, Stamp &stamp);

/* How a write ended. Unknown: it may be there. Done: it is, unless a cache is lost. */
enum class Ended : uint8_t { Unknown, Done, Stable };

class DiskModel
{
public:
    explicit DiskModel(uint64_t sectors, bool cached = false)
        : cached_(cached), size_(sectors), sectors_(sectors, Sector{{Write{}}, {}})
    {
    }

    /* `id`: of the request. `stamp`: what it writes; 0: it is a discard, whose
     * sectors may become zeros. */
    void begin_write(uint64_t id, Stamp stamp, uint64_t sector, uint64_t sectors);
    void end_write(uint64_t id, uint64_t sector, uint64_t sectors, Ended how);
    void resize(uint64_t sectors);

    /* Each event has its time. */
    uint64_t now() const { return now_; }
    /* A flush that began at that time ended well. */
    void flushed(uint64_t begin);
    /* The disk holds that in a sector while nothing is at it. */
    bool may_be(uint64_t sector, const std::byte *bytes) const;
    /* The cache was lost, and a sector of it is this now. False: that cannot be. */
    bool came_back(uint64_t sector, const std::byte *bytes);

    void begin_read(uint64_t id, uint64_t sector, uint64_t sectors);
    /* What `sector` of it holds is what it may hold. */
    bool may_hold(uint64_t id, uint64_t sector, Stamp stamp) const;
    bool may_hold_anything(uint64_t id, uint64_t sector) const;
    size_t choices(uint64_t id, uint64_t sector) const;
    void end_read(uint64_t id) { reads_.erase(id); }

    /* Somebody lied: from here on, anything may be anywhere until it is
     * written anew. */
    void forget();
    uint64_t sectors() const { return size_; }

private:
    static constexpr uint64_t kOpen = UINT64_MAX;
    static constexpr Stamp kAnything = UINT64_MAX;
    struct Write {
        uint64_t id{0};
        Stamp stamp{0};
        uint64_t begin{0}, end{0}; /* in steps of now_ */
        bool well{false};
        bool left(Stamp s) const { return stamp == kAnything || stamp == s; }
    };
    static Stamp stamp_of(uint64_t sector, const std::byte *bytes);
    struct Sector {
        std::vector<Write> seen{};   /* a read may show any of them */
        std::vector<Write> hidden{}; /* ... and these, if the cache is lost */
    };
    static void hide(Sector &s, uint64_t begin, bool keep);
    struct Read {
        uint64_t sector{0};
        std::vector<std::set<Stamp>> may{};
    };
    const std::set<Stamp> &may(uint64_t id, uint64_t sector) const;
    void show(Stamp stamp, uint64_t sector, uint64_t sectors);

    const bool cached_;
    uint64_t now_{1};
    uint64_t size_;
    std::vector<Sector> sectors_; /* as many as there ever were */
    std::map<uint64_t, Read> reads_{};
};

} // namespace pvblk::sim
