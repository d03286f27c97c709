/* SPDX-License-Identifier: MIT */
/*
 * One run: from a seed a frontend, a backend, a disk, a fault plan and what
 * happens to them, in one thread, on virtual time. After each step all oracles
 * are asked:
 *
 *   - each request completes exactly once, and accepted() counts them;
 *   - a read shows what the disk may hold (disk_model.h), and memory that no
 *     request names does not change, unless the backend lies about data;
 *   - what a flush or a stable write made stable is there after the disk lost its cache;
 *   - no page is reused while the backend has it, no grant is used twice, no
 *     access ends that was never given, nothing is mapped that may not be;
 *   - no slot of a ring is loaded twice;
 *   - an upcall costs bounded work, allocates nothing, and does not flood the log;
 *   - in the end nothing is left: grants, mappings, event channels.
 *
 * Safety: faults go on to the end. Liveness: they stop, all that was accepted
 * ends, by what docs/device.rst gives as ways out if need be, and the disk works.
 *
 * The first oracle that fails ends the process: with status 1, the seed, and
 * the command that shows it again.
 */
#pragma once

#include "cached_disk.h"
#include "disk_model.h"
#include "plan_maker.h"
#include "support/front_oracle.h"
#include "support/paused_ports.h"
#include "tally.h"

#include "pvblk/fault.h"

#include <deque>

namespace pvblk::sim
{

enum class Mode : uint8_t { Safety, Liveness };

/* Lies that the oracles are not told of: they have to find out. */
enum class Canary : uint8_t { None, Data, Memory, Twice, Lost, Slot, Cache };
inline constexpr std::string_view kCanaries[] = {"none", "data", "memory", "twice",
                                                 "lost", "slot", "cache"};

struct SceneOptions {
    uint64_t seed{0};
    Mode mode{Mode::Safety};
    Canary canary{Canary::None};
    bool show{false}; /* each step, on stdout */
};

class Scene final : public FrontOwner
{
public:
    Scene(const SceneOptions &options, Tally &tally);
    ~Scene();
    void play();

    void completed(void *cookie, uint32_t queue, IoStatus status) override;
    void batch_done() override {}
    void plan_changed() override {}
    void log(const char *text) override;
    void trace(const Trace &t) override;

private:
    static constexpr uint32_t kRegions = 10, kRegionPages = 22;
    static constexpr uint64_t kRegionBytes = kRegionPages * uint64_t{kPageSize};

    /* What a request was, for as long as the scene. Its id, from 1, is what a
     * write leaves on the disk. */
    struct Asked {
        IoRequest req{};
        uint32_t region{0};
        bool done{false};
        uint64_t begin{0}; /* of a flush or a write, in the model's time */
        std::vector<uint64_t> gpa{};
        std::vector<struct iovec> iov{};
    };
    /* Guest memory of one request at a time. */
    struct Region {
        bool used{false};
        bool watched{false}; /* `was` is what it held when its request ended */
        std::vector<std::byte> was{};
    };

    /* scene.cc: what happens */
    void choose();
    void step();
    void deliver();
    void storage_step();
    void pass_time();
    void owner_step();
    void backend_step();
    void leave_in_haste();
    void resize();
    void new_plan();
    void fail_port();
    void fail_power();
    void finish_storage();
    void new_front();
    void drop_front();
    void new_back(bool fresh);
    void start_back();
    void quiet();
    void recover();
    bool settled() const;
    void use_disk();
    void leave();

    /* scene_io.cc: requests and the oracles of their data */
    void submit_some();
    bool submit(IoKind kind);
    void lay_out(Asked &asked, uint64_t bytes);
    void prepare(Asked &asked, uint64_t id);
    void conclude(const Asked &asked, uint64_t id, bool well);
    Ended outcome(const Asked &asked, bool well) const;
    void compare(const Asked &asked, uint64_t id);
    std::vector<std::byte> linear(const Asked &asked) const;
    std::byte *memory(uint32_t region) const;
    void release_region(uint32_t region, bool well);
    bool is_mapped(uint32_t region) const;
    void check_region(uint32_t region);
    void distrust();

    void in_front(const std::function<void()> &call);
    void in_back(const std::function<void()> &call);
    void cancel(std::optional<uint32_t> queue);
    void note_faults();
    void note_counters();
    void check_all();
    void check(bool holds, const char *otherwise) const;
    void say(const char *format, ...) const __attribute__((format(printf, 2, 3)));

    SceneOptions options_;
    Tally &tally_;
    Random random_;
    HubConfig hub_config_{};
    BackConfig back_config_{};
    FrontConfig front_config_{};
    std::unique_ptr<LoopbackHub> hub_{};
    std::unique_ptr<PausedStore> store_{};
    std::unique_ptr<PausedEvents> events_{};
    std::unique_ptr<CachedDisk> storage_{};
    std::unique_ptr<BackFaults> faults_{}; /* of the backend, which goes first */
    std::unique_ptr<BlockBack> back_{};
    std::unique_ptr<BlockFront> front_{};
    std::unique_ptr<DiskModel> disk_{};
    std::string plan_{};
    std::vector<uint64_t> fired_{}; /* by rule, as last seen */
    std::deque<Asked> asked_{};
    std::vector<Region> regions_{kRegions};
    uint64_t waiting_{0};
    uint32_t nested_{0};
    bool honest_{false}; /* faults have stopped */
    bool lies_{false};
    bool hides_cache_{false};   /* the backend's nodes said that there is nothing to flush */
    bool told_of_cache_{false}; /* the owner, when it made its frontend */
    bool has_rings_{false};     /* the backend, as last seen */
    /* It took rings over from one that crashed. They tell how many requests were answered, not
     * which, and the frontend does not hear of it: some are done again, in any order, and some
     * never. */
    bool adopted_{false};
    uint64_t lost_at_{0};     /* the cache, the last time */
    uint64_t lost_in_{0};     /* connections_ at that time */
    uint64_t connections_{0}; /* of all frontends */
    uint64_t backs_{0};       /* that there were */
    bool canary_fired_{false};
    LogWatch logs_{};
    uint64_t traces_{0}, step_{0}, patience_{0};
    FrontCounters before_{}; /* of fronts that are gone: none */
};

} // namespace pvblk::sim
