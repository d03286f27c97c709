/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: BlockBack, a blkif backend. Publishes every node that blkif.h
 * of 2024 has for one, follows the frontend's state, and serves up to
 * kMaxQueues rings of up to 16 pages. Knows nothing of QEMU, and nothing of
 * faults. `hooks` is what BackFaults::hooks() returns (fault.h); hooks of your
 * own are not part of the installed API.
 *
 * The frontend is hostile: one whose nodes break a clause is told so in the
 * node `error` and by Closing, and may start anew.
 *
 * Units: 512-byte sectors unless a name says otherwise; with
 * BackConfig::units == Device (QEMU 10's reading) what lies on the wire and in
 * the node `sectors` counts in sector-size instead.
 * Threads: that of the ports, but for event_received() and the end of what the
 * Storage was given, which may come from another one: BackEvents::pause() keeps
 * them apart.
 * Errors: what the peer does is answered on the wire and counted; why a
 * connect or a ring failed is in last_error(), and BackOwner hears of it.
 */
#pragma once

#include "pvblk/plan.h"
#include "pvblk/ports.h"
#include "pvblk/xenbus.h"

#include <array>
#include <memory>
#include <string>

namespace pvblk
{

/* What a backend is. BlockBack::start() refuses what is outside the limits
 * that are named here. */
struct BackConfig {
    std::string frontend_path;
    std::string backend_path;
    /* Nodes that a toolstack writes, and that some frontends want; "": none. */
    std::string type{}, dev{}, params{};

    uint32_t sector_size{kSectorSize}; /* bytes; a power of two, 512 … 4096 */
    /* Bytes; sector_size times a power of two. 0: do not publish. */
    uint32_t physical_sector_size{0};
    SectorUnits units{SectorUnits::Bytes512};
    /* Bytes of a sector on the wire and in the node `sectors`. */
    uint32_t unit() const { return unit_bytes(units, sector_size); }
    bool read_only{false};
    bool cdrom{false};
    bool removable{false};

    bool flush{true};
    bool barrier{true};
    bool discard{true};
    bool discard_secure{false};
    /* Bytes, multiples of sector_size; the alignment is less than the
     * granularity. Granularity 0: sector_size. */
    uint32_t discard_granularity{0};
    uint32_t discard_alignment{0};

    uint32_t max_ring_page_order{4}; /* 0 … 4 */
    uint32_t max_queues{4};          /* 1 … kMaxQueues */
    /* Up to kMaxIndirectSegments; 0: no indirect requests. Linux's blkback has
     * 256, too. */
    uint32_t max_indirect_segments{256};
    bool persistent{true};
    /* Pages of a queue that stay mapped. Enough for Linux's 32 requests of 32
     * segments and their indirect pages. */
    uint32_t max_persistent{1056};
};

/* Of all queues together, since the back was made. */
struct BackCounters {
    uint64_t connects{0}, connect_failures{0};
    uint64_t requests{0}, responses{0}, refused{0}, unsupported{0};
    uint64_t indirect{0}, segments{0}, map_failures{0};
    uint64_t persistent_hits{0}, persistent_kept{0};
    uint64_t events_received{0}, events_sent{0};
    uint64_t bytes_read{0}, bytes_written{0};
};

/* What the frontend's nodes say of a ring. */
struct RingNodes {
    std::array<GrantRef, kMaxRingPages> refs{};
    uint32_t pages{0};
    Port port{};
    bool operator==(const RingNodes &) const = default;
};

/* What was agreed upon with the frontend. */
struct BackPlan {
    Abi abi{kNativeAbi};
    uint32_t queues{1};
    uint32_t ring_pages{1};
    bool persistent{false};
    std::array<RingNodes, kMaxQueues> rings{};
    bool operator==(const BackPlan &) const = default;
};

class BackHooks;
class BackLife;

class BlockBack
{
public:
    /* Ports and hooks outlive the backend. Without hooks it is honest. */
    BlockBack(BackPorts ports, BackConfig config, BackHooks *hooks = nullptr);
    /* Drains and unmaps. Nodes and state stay; vanish() removes them. */
    ~BlockBack();
    BlockBack(const BlockBack &) = delete;
    BlockBack &operator=(const BlockBack &) = delete;

    /* Publish nodes, then InitWait, and watch the frontend. OutOfRange: the
     * config cannot be (see BackConfig), and nothing was written. */
    Status start();
    /* The same in two steps, for who has to do something in between. */
    Status publish();
    Status watch();
    /* Ask the frontend to close (hot unplug): Closing. */
    void close();
    /* Gone without a word: no nodes, no ring, no mappings. */
    void vanish();
    /* The storage changed its size: new `sectors`, Connected again. */
    void resized();

    /* Providers call these; the last one only after BackEvents::later(). */
    void store_changed();
    void event_received(uint32_t queue);
    void later();

    XenbusState state() const;
    /* Of the current connection, or of the last one. */
    const BackPlan &plan() const;
    BackCounters counters() const;
    const Error &last_error() const;
    /* Whether a ring stands still, for what its frontend did. */
    bool halted() const;

private:
    std::unique_ptr<BackLife> life_;
};

} // namespace pvblk
