/* SPDX-License-Identifier: MIT */
/*
 * linux-front [NAME=NUMBER …]: verified I/O on a block device of this domain,
 * by BlockFront on Linux's Xen devices. `vdev`, `ring-pages`, `segments`,
 * `queues`, `persistent` and `trusted` say how; `crash=1` ends without a
 * goodbye. linux-front parts: see parts.cc.
 *
 * The last sectors of the work are the pattern of `seed`: the host finds it in
 * the image.
 */
#include "disk.h"
#include "parts.h"
#include "support/pattern.h"
#include "support/random.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <unistd.h>
#include <vector>

using namespace pvblk;

namespace
{

/* The part of the disk that is worked on. The model has what it should hold. */
constexpr uint64_t kSectors = 2048;
constexpr uint64_t kSlice = kSectors / Disk::kSlots;
constexpr uint32_t kRounds = 16;

class Work
{
public:
    Work(Disk &disk, uint32_t seed)
        : disk_(disk), unit_(disk.front().plan().sector_size / kSectorSize), random_(seed),
          model_(kSectors * kSectorSize)
    {
    }

    void fill(uint32_t seed);
    /* A request in each slot: of any length, at any of the disk's sectors, at any place in a page.
     */
    void round(bool reconnect);
    void compare_all();
    void discard();

private:
    struct Part {
        bool write{false};
        uint64_t sector{0}, sectors{0}, offset{0};
    };
    Part random_part(uint32_t slot);
    void begin(uint32_t slot, const Part &part);
    void end(uint32_t slot, const Part &part);
    std::byte *model(const Part &part) { return model_.data() + part.sector * kSectorSize; }
    void each(uint64_t step, bool write);

    Disk &disk_;
    /* A sector of the disk, in sectors of blkif's. */
    const uint64_t unit_;
    Random random_;
    std::vector<std::byte> model_;
};

Work::Part Work::random_part(uint32_t slot)
{
    Part part;
    part.write = random_.one_in(2);
    part.sectors = unit_ * random_.between(1, (Disk::kMostSectors - 8) / unit_);
    part.sector = slot * kSlice + unit_ * random_.below((kSlice - part.sectors) / unit_);
    /* Where no sector begins at a sector of the page, the data is copied. */
    part.offset = random_.one_in(4) ? random_.below(1000) * 4 : random_.below(8) * kSectorSize;
    return part;
}

void Work::begin(uint32_t slot, const Part &part)
{
    std::byte *data = disk_.data(slot, part.write, part.offset);
    if (part.write)
        std::memcpy(data, model(part), part.sectors * kSectorSize);
    else
        std::memset(data, 0xee, part.sectors * kSectorSize);
    IoRequest request{part.write ? IoKind::Write : IoKind::Read, Sector(part.sector), part.sectors};
    request.flush_after = part.write && random_.one_in(4);
    disk_.submit(slot, request, part.offset);
}

void Work::end(uint32_t slot, const Part &part)
{
    if (!part.write && std::memcmp(disk_.data(slot, false, part.offset), model(part),
                                   part.sectors * kSectorSize) != 0)
        fail("sectors %llu+%llu do not read back as they were written",
             static_cast<unsigned long long>(part.sector),
             static_cast<unsigned long long>(part.sectors));
}

void Work::round(bool reconnect)
{
    std::array<Part, Disk::kSlots> parts;
    for (uint32_t slot = 0; slot < Disk::kSlots; slot++) {
        parts[slot] = random_part(slot);
        if (parts[slot].write)
            fill_pattern(model(parts[slot]), parts[slot].sectors * kSectorSize,
                         random_.below(1000));
        begin(slot, parts[slot]);
    }
    disk_.front().pump();
    if (reconnect)
        disk_.reconnect();
    disk_.finish();
    for (uint32_t slot = 0; slot < Disk::kSlots; slot++)
        end(slot, parts[slot]);
    if (random_.one_in(4)) {
        disk_.submit(0, {IoKind::Flush}, 0);
        disk_.finish();
    }
}

void Work::each(uint64_t step, bool write)
{
    for (uint64_t sector = 0; sector < kSectors; sector += step) {
        Part part{write, sector, step, 0};
        begin(0, part);
        disk_.finish();
        end(0, part);
    }
}

void Work::fill(uint32_t seed)
{
    fill_pattern(model_.data(), model_.size(), seed);
    each(Disk::kMostSectors, true);
}

void Work::compare_all()
{
    each(Disk::kMostSectors, false);
}

/* Outside the model: what is there afterwards is the backend's choice. */
void Work::discard()
{
    disk_.submit(0, {IoKind::Discard, Sector(kSectors), 64}, 0);
    disk_.finish();
}

void report(Disk &disk)
{
    const Plan &plan = disk.front().plan();
    const FrontCounters &c = disk.front().counters();
    std::printf("plan queues=%u ring-pages=%u segments=%u persistent=%d flush=%d discard=%d "
                "sector-size=%u\n",
                plan.queues, plan.ring_pages, plan.max_segments, plan.persistent, plan.flush,
                plan.discard, plan.sector_size);
    std::printf("done requests=%llu indirect=%llu bounced=%llu in-place=%llu flushes=%llu\n",
                static_cast<unsigned long long>(c.requests),
                static_cast<unsigned long long>(c.ring_indirect),
                static_cast<unsigned long long>(c.bounced_segments),
                static_cast<unsigned long long>(c.segments - c.bounced_segments),
                static_cast<unsigned long long>(c.ring_flushes));
    if (c.violations || c.errors || c.failed)
        fail("%llu violations, %llu errors, %llu failed requests",
             static_cast<unsigned long long>(c.violations),
             static_cast<unsigned long long>(c.errors), static_cast<unsigned long long>(c.failed));
}

using Options = std::map<std::string, uint32_t>;

LinuxFrontConfig config_of(Options &options)
{
    LinuxFrontConfig config;
    config.vdev = options["vdev"];
    FrontPolicy &policy = config.front.policy;
    policy.max_ring_pages = options["ring-pages"];
    policy.max_indirect_segments = options["segments"];
    policy.max_queues = options["queues"];
    policy.use_persistent = options["persistent"];
    policy.trusted = options["trusted"];
    return config;
}

void work(Options &options)
{
    Disk disk(config_of(options));
    disk.connect();
    Work work(disk, options["seed"]);
    work.fill(options["seed"] + 1);
    for (uint32_t i = 0; i < kRounds; i++)
        work.round(i == kRounds / 2);
    work.compare_all();
    if (disk.front().plan().discard)
        work.discard();
    work.fill(options["seed"]);
    report(disk);
    if (options["crash"])
        ::_exit(0);
    disk.stop();
}

} // namespace

int main(int argc, char **argv)
{
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    ::alarm(60);
    if (argc > 1 && std::strcmp(argv[1], "parts") == 0)
        return test_parts();
    Options options{{"vdev", 51712},   {"ring-pages", 1}, {"segments", 11}, {"queues", 1},
                    {"persistent", 0}, {"trusted", 1},    {"seed", 1},      {"crash", 0}};
    for (int i = 1; i < argc; i++) {
        std::string word = argv[i];
        auto option = options.find(word.substr(0, word.find('=')));
        if (option == options.end() || word.find('=') == word.npos)
            fail("%s is no option", argv[i]);
        option->second = std::strtoul(word.c_str() + word.find('=') + 1, nullptr, 10);
    }
    work(options);
    return 0;
}
