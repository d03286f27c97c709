/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: BlockBack, a blkif backend. It publishes every backend node of
 * blkif.h (2024), follows the frontend's state, and serves up to kMaxQueues
 * rings of up to 16 pages. It knows neither QEMU nor faults: `hooks` comes
 * from BackFaults::hooks() (fault.h). You cannot write hooks of your own with the
 * installed API.
 *
 * The frontend is hostile. If its nodes break a clause, the backend writes the
 * node `error` and Closing, and the frontend may start again.
 *
 * Units: 512-byte sectors unless a name says otherwise. With
 * BackConfig::units == Device (QEMU 10's reading) the wire and the node
 * `sectors` count in units of sector-size.
 * Threads: the ports' thread. Another thread may call event_received() and
 * StorageClient::storage_done(); BackEvents::pause() keeps the two threads
 * apart.
 * Errors: a peer's mistake is answered on the wire and counted. last_error()
 * tells why a connect or a ring failed; BackOwner is told, too.
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

/* 1 GiB of data in flight, for each queue. */
inline constexpr uint32_t kMaxSegmentsInFlight = 262144;

/* The description of a backend. BlockBack::start() refuses values outside the
 * limits named here. */
struct BackConfig {
    std::string frontend_path;
    std::string backend_path;
    /* Nodes that a toolstack writes and some frontends read; "": none. */
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
    /* Up to kMaxIndirectSegments; 0: no indirect requests. The default is that
     * of Linux's blkback. */
    uint32_t max_indirect_segments{256};
    /* The segments of all requests in flight of a queue. Each takes about 50 bytes.
     * A request beyond this limit waits. At least the segments of one request, at
     * most kMaxSegmentsInFlight. */
    uint32_t max_segments_in_flight{16384};
    bool persistent{true};
    /* How many pages of a queue may stay mapped. The default is enough for
     * Linux's 32 requests of 32 segments and their indirect pages. */
    uint32_t max_persistent{1056};
};

/* Sums over all queues, since the backend was made. */
struct BackCounters {
    uint64_t connects{0}, connect_failures{0};
    uint64_t requests{0}, responses{0}, refused{0}, unsupported{0};
    uint64_t indirect{0}, segments{0}, map_failures{0};
    uint64_t persistent_hits{0}, persistent_kept{0};
    uint64_t events_received{0}, events_sent{0};
    uint64_t bytes_read{0}, bytes_written{0};
};

/* A ring, as the frontend's nodes describe it. */
struct RingNodes {
    std::array<GrantRef, kMaxRingPages> refs{};
    uint32_t pages{0};
    Port port{};
    bool operator==(const RingNodes &) const = default;
};

/* The terms that backend and frontend agreed on. */
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
    /* Ports and hooks outlive the backend. Without hooks it keeps all rules. */
    BlockBack(BackPorts ports, BackConfig config, BackHooks *hooks = nullptr);
    /* Drains and unmaps. Nodes and state stay; to remove them, call vanish(). */
    ~BlockBack();
    BlockBack(const BlockBack &) = delete;
    BlockBack &operator=(const BlockBack &) = delete;

    /* Publish nodes, then InitWait, and watch the frontend. OutOfRange: the
     * config breaks a limit of BackConfig, and nothing was written. */
    Status start();
    /* The same in two steps, for an owner with work to do in between. */
    Status publish();
    Status watch();
    /* Ask the frontend to close (hot unplug): Closing. */
    void close();
    /* Disappear without notice: remove nodes, give up rings, unmap all. */
    void vanish();
    /* The storage has a new size: write `sectors`, then Connected again. */
    void resized();

    /* Providers call these. later() only after BackEvents::later(). */
    void store_changed();
    void event_received(uint32_t queue);
    void later();

    XenbusState state() const;
    /* The plan of the current connection, or else of the last one. */
    const BackPlan &plan() const;
    BackCounters counters() const;
    const Error &last_error() const;
    /* Whether the backend halted a ring because its frontend broke a rule. */
    bool halted() const;

private:
    std::unique_ptr<BackLife> life_;
};

} // namespace pvblk
