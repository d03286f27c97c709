/* SPDX-License-Identifier: MIT */
/* Requests of a run, and the oracles of their data: see scene.h. */
#include "scene.h"

#include "proto/wire.h"

#include <algorithm>
#include <cstring>

namespace pvblk::sim
{

namespace
{

constexpr uint32_t kMostSectors = 128; /* of a request; a region holds its largest shape */
constexpr std::byte kBlank{0xe7};
constexpr const char *kKinds[] = {"read", "write", "flush", "discard", "secure discard"};
constexpr const char *kStatuses[] = {"ok", "error", "unsupported", "cancelled"};

} // namespace

std::byte *Scene::memory(uint32_t region) const
{
    return hub_->guest.host(region * kRegionBytes);
}

/* ---- asking ------------------------------------------------------------------ */

void Scene::submit_some()
{
    if (!front_)
        return;
    in_front([this] {
        for (uint32_t n = random_.between(1, 6); n > 0; n--) {
            auto kind = random_.pick({IoKind::Read, IoKind::Read, IoKind::Write, IoKind::Write,
                                      IoKind::Write, IoKind::Flush, IoKind::Discard,
                                      IoKind::SecureDiscard});
            if (!submit(kind))
                break;
        }
        front_->pump();
    });
}

/* False: there is no room for it. */
bool Scene::submit(IoKind kind)
{
    AllocationPause pause;
    uint32_t region = 0;
    while (region < kRegions && (regions_[region].used || is_mapped(region)))
        region++;
    if (region == kRegions)
        return false;
    Asked &asked = asked_.emplace_back();
    uint64_t id = asked_.size();
    asked.region = region;
    IoRequest &r = asked.req;
    r.kind = kind;
    r.queue = random_.below(4);
    /* As virtio's driver does without FLUSH. */
    r.flush_after = kind == IoKind::Write && (random_.one_in(3) || !told_of_cache_);
    r.direct = !random_.one_in(10);
    r.cookie = reinterpret_cast<void *>(id);
    uint64_t unit = front_->plan().sector_size / kSectorSize;
    uint64_t sectors = std::max<uint64_t>(disk_->sectors(), 2 * unit);
    /* Near each other, so that they overlap. */
    if (kind != IoKind::Flush) {
        r.sectors = unit * random_.between(1, static_cast<uint32_t>(kMostSectors / unit));
        r.sectors = std::min(r.sectors, sectors / unit * unit);
        r.sector =
            Sector(random_.below(std::min<uint64_t>(sectors - r.sectors, 64) / unit + 1) * unit);
        if (random_.one_in(40))
            r.sector = Sector(sectors / unit * unit); /* beyond the end */
    }
    if (kind == IoKind::Read || kind == IoKind::Write)
        lay_out(asked, r.sectors * kSectorSize);
    check_region(region);
    prepare(asked, id);

    FrontState was = front_->state();
    uint32_t before = front_->accepted();
    /* Before submit(), which may complete it. */
    waiting_++;
    regions_[region].used = true;
    counting_allocations = true;
    Intake intake = front_->submit(r);
    counting_allocations = false;
    if (intake.verdict == Verdict::Accepted) {
        check(was != FrontState::Broken && was != FrontState::Stopped,
              "a request is accepted by a front that is broken or stopped");
        check(r.kind == IoKind::Flush || r.sectors + r.sector.value <= front_->plan().sectors,
              "a request beyond the end is accepted");
        say("%llu: %s of %llu sectors at %llu, queue %u", static_cast<unsigned long long>(id),
            kKinds[static_cast<uint32_t>(kind)], static_cast<unsigned long long>(r.sectors),
            static_cast<unsigned long long>(r.sector.value), r.queue);
        tally_.requests++;
        return true;
    }
    check(front_->accepted() == before, "a request that was not accepted is counted");
    tally_.met(Sometimes::RetriesIntake, intake.verdict == Verdict::Retry);
    tally_.met(Sometimes::Rejects, intake.verdict == Verdict::Rejected);
    waiting_--;
    regions_[region].used = false;
    conclude(asked, id, false);
    asked.done = true;
    return intake.verdict == Verdict::Rejected;
}

/* Pieces of its region: aligned or not, in pages of their own or in a row. */
void Scene::lay_out(Asked &asked, uint64_t bytes)
{
    uint64_t base = asked.region * kRegionBytes;
    uint32_t shape = random_.below(6);
    uint64_t at = shape == 0 ? 0 : shape < 4 ? kSectorSize * random_.below(8) : random_.below(3000);
    uint32_t pieces = shape % 2 ? 1 + random_.below(3) : 1;
    for (uint32_t i = 0; i < pieces && bytes; i++) {
        uint64_t here = bytes;
        if (i + 1 < pieces)
            here = shape < 4 ? kSectorSize * (1 + random_.below(bytes / kSectorSize))
                             : 1 + random_.below(bytes);
        asked.gpa.push_back(hub_->guest.gpa(base + at));
        asked.iov.push_back({hub_->guest.host(base + at), here});
        bytes -= here;
        at += here;
        if (shape < 4)
            at = (at + kPageSize - 1) / kPageSize * kPageSize;
    }
    asked.req.buffer = {asked.gpa.data(), asked.iov.data(), static_cast<uint32_t>(asked.iov.size()),
                        0};
}

void Scene::prepare(Asked &asked, uint64_t id)
{
    const IoRequest &r = asked.req;
    Region &region = regions_[asked.region];
    region.watched = false;
    asked.begin = disk_->now();
    std::fill_n(memory(asked.region), kRegionBytes, kBlank);
    if (r.kind == IoKind::Read) {
        disk_->begin_read(id, r.sector.value, r.sectors);
        return;
    }
    if (r.kind == IoKind::Flush)
        return;
    bool data = r.kind == IoKind::Write;
    disk_->begin_write(id, data ? id : 0, r.sector.value, r.sectors);
    if (!data)
        return;
    std::vector<std::byte> bytes(r.sectors * kSectorSize);
    for (uint64_t s = 0; s < r.sectors; s++)
        stamp_sector(&bytes[s * kSectorSize], r.sector.value + s, id);
    const std::byte *from = bytes.data();
    for (const struct iovec &v : asked.iov) {
        std::memcpy(v.iov_base, from, v.iov_len);
        from += v.iov_len;
    }
}

/* It is over. */
void Scene::conclude(const Asked &asked, uint64_t id, bool well)
{
    const IoRequest &r = asked.req;
    if (r.kind == IoKind::Read)
        disk_->end_read(id);
    else if (r.kind != IoKind::Flush)
        disk_->end_write(id, r.sector.value, r.sectors, outcome(asked, well));
    else if (well && !hides_cache_)
        disk_->flushed(asked.begin);
}

/* Of a write or discard. An answer may be older than the loss of what it is about. A frontend that
 * has not connected since cannot know: another backend may have taken over its rings at once. */
Ended Scene::outcome(const Asked &asked, bool well) const
{
    bool older = asked.begin < lost_at_;
    if (!well || asked.req.kind != IoKind::Write || (older && connections_ == lost_in_))
        return Ended::Unknown;
    if (asked.req.flush_after && !hides_cache_)
        return Ended::Stable;
    return older ? Ended::Unknown : Ended::Done;
}

/* ---- completing -------------------------------------------------------------- */

void Scene::completed(void *cookie, uint32_t, IoStatus status)
{
    AllocationPause pause;
    auto id = reinterpret_cast<uintptr_t>(cookie);
    check(id >= 1 && id <= asked_.size(), "a request is completed that was never made");
    Asked &asked = asked_[id - 1];
    check(!asked.done, "a request is completed twice");
    Canary canary = Canary::None;
    if (!canary_fired_ && options_.canary != Canary::None && random_.one_in(10))
        canary = options_.canary;
    canary_fired_ |= canary != Canary::None;
    if (canary == Canary::Lost)
        return;
    asked.done = true;
    waiting_--;
    const IoRequest &r = asked.req;
    bool well = status == IoStatus::Ok;
    say("%llu: %s", static_cast<unsigned long long>(id), kStatuses[static_cast<uint32_t>(status)]);
    tally_.mix(id << 8 | static_cast<uint64_t>(status));
    tally_.met(Sometimes::CompletesOk, well);
    tally_.met(Sometimes::CompletesError, status == IoStatus::Error);
    tally_.met(Sometimes::CompletesUnsupported, status == IoStatus::Unsupported);
    tally_.met(Sometimes::CompletesCancelled, status == IoStatus::Cancelled);
    if (r.kind == IoKind::Read && well && !lies_)
        compare(asked, id);
    conclude(asked, id, well);
    release_region(asked.region, well);
    if (canary == Canary::Memory)
        memory(asked.region)[100] ^= std::byte{1};
    if (canary == Canary::Twice)
        completed(cookie, 0, status);
    if (canary == Canary::Slot)
        for (RingIndex i : {RingIndex(7), RingIndex(7)})
            observe_slot(nullptr, i, SlotHolds::Response);
    if (nested_) {
        nested_--;
        tally_.met(Sometimes::SubmitsInCompletion);
        (void)submit(random_.one_in(2) ? IoKind::Read : IoKind::Write);
    }
}

std::vector<std::byte> Scene::linear(const Asked &asked) const
{
    std::vector<std::byte> bytes;
    for (const struct iovec &v : asked.iov) {
        auto *from = static_cast<const std::byte *>(v.iov_base);
        bytes.insert(bytes.end(), from, from + v.iov_len);
    }
    return bytes;
}

void Scene::compare(const Asked &asked, uint64_t id)
{
    tally_.met(Sometimes::ChecksContents);
    std::vector<std::byte> bytes = linear(asked);
    const IoRequest &r = asked.req;
    for (uint64_t s = 0; s < r.sectors; s++) {
        Stamp stamp = 0;
        uint64_t sector = r.sector.value + s;
        check(read_stamp(&bytes[s * kSectorSize], sector, stamp) ||
                  disk_->may_hold_anything(id, sector),
              "a read shows what no write to that sector could have left");
        tally_.met(Sometimes::SeesOverlap, disk_->choices(id, sector) > 1);
        tally_.mix(stamp);
        check(disk_->may_hold(id, sector, stamp),
              "a read shows what that sector cannot hold (any more, or yet)");
    }
    /* All the rest of the region is as it was. */
    const std::byte *at = memory(asked.region), *end = at + kRegionBytes;
    auto blank = [](std::byte b) { return b == kBlank; };
    for (const struct iovec &v : asked.iov) {
        auto *named = static_cast<const std::byte *>(v.iov_base);
        check(std::all_of(at, named, blank), "a read changes memory that it does not name");
        at = named + v.iov_len;
    }
    check(std::all_of(at, end, blank), "a read changes memory that it does not name");
}

/* A request that was given up may leave that behind. Nobody may use the region
 * then, which is the owner's to see to. */
bool Scene::is_mapped(uint32_t region) const
{
    uint64_t first = hub_->guest.gpa(region * kRegionBytes) >> kPageShift;
    for (uint64_t i = 0; i < kRegionPages; i++)
        if (hub_->grants.is_mapped(Gfn(first + i)))
            return true;
    return false;
}

/* From now on it belongs to nobody, and stays as it is: but for a request that
 * was given up while the backend had its pages mapped. */
void Scene::release_region(uint32_t region, bool well)
{
    bool mapped = is_mapped(region);
    check(!mapped || !well, "a request ends well while the backend has its memory mapped");
    Region &r = regions_[region];
    r.used = false;
    r.watched = !mapped;
    r.was.assign(memory(region), memory(region) + kRegionBytes);
}

void Scene::check_region(uint32_t region)
{
    const Region &r = regions_[region];
    if (!r.watched || r.used || lies_)
        return;
    check(std::memcmp(r.was.data(), memory(region), kRegionBytes) == 0,
          "memory changes after its request has ended");
}

/* The backend lies about data: what is where, nobody can say. */
void Scene::distrust()
{
    lies_ = true;
    for (Region &r : regions_)
        r.watched = false;
}

} // namespace pvblk::sim
