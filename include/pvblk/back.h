/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: BlockBack, a blkif backend. Publishes its nodes as blkif.h of
 * 2024 wants them, follows the frontend's state, and serves READ, WRITE,
 * FLUSH_DISKCACHE and DISCARD from one single-page ring onto a Storage port.
 * Knows nothing of QEMU. Shipped with the loopback, it is what a frontend is
 * tested against.
 *
 * The frontend is hostile: a request is copied once and checked in full
 * before any page is mapped; a request that breaks a clause is answered with
 * the status of that clause, a producer index that lies halts the ring.
 *
 * BackKnobs bends single decisions, so that the backend itself can be as
 * hostile as a test needs. All of them are looked at in one place each:
 * publish_nodes() for nodes, set_state() for states, bend() for answers.
 *
 * Units: 512-byte sectors unless a name says otherwise; with
 * BackConfig::units == Device (QEMU 10's reading) what lies on the wire and
 * in the node `sectors` counts in sector-size instead.
 * Threads: one at a time, the one that the ports call back on.
 * May allocate. Errors: what the peer does is answered on the wire and
 * counted; why a connect or the ring failed is in last_error().
 */
#pragma once

#include "pvblk/plan.h"
#include "pvblk/ports.h"
#include "pvblk/ring.h"
#include "pvblk/xenbus.h"

#include <optional>
#include <string>
#include <vector>

namespace pvblk
{

/* The frontend's pages, as its grants allow. */
class BackGrants
{
public:
    /* Map a page for reading only or for reading and writing. Fails if the
     * grant does not exist, ended, or does not allow this. */
    virtual Result<std::byte *> map(GrantRef ref, bool readonly) = 0;
    virtual void unmap(GrantRef ref, std::byte *page) = 0;

protected:
    ~BackGrants() = default;
};

/* The backend's end of the event channel that a frontend opened. */
class BackEvents
{
public:
    virtual Status bind(Port remote) = 0;
    virtual Status notify() = 0;
    virtual void unbind() = 0;

protected:
    ~BackEvents() = default;
};

struct BackPorts {
    Store &store; /* as dom0 */
    BackGrants &grants;
    BackEvents &events;
    Storage &storage;
};

struct BackConfig {
    std::string frontend_path;
    std::string backend_path;
    uint32_t sector_size{kSectorSize}; /* bytes */
    uint32_t physical_sector_size{0};  /* bytes; 0: do not publish */
    SectorUnits units{SectorUnits::Bytes512};
    bool read_only{false};
    bool cdrom{false};
    bool removable{false};
    bool flush{true};
    bool discard{true};
    uint32_t discard_granularity{0}; /* bytes; 0: sector_size, not published */
    uint32_t discard_alignment{0};   /* bytes */
};

/* How one answer is bent. What is not set stays honest. */
struct BackBend {
    uint64_t nth{0};       /* the request it applies to, counted from 0 */
    bool drop{false};      /* never answered, never looked at */
    bool skip_work{false}; /* answered without doing it */
    uint32_t copies{1};    /* answered that often */
    std::optional<int16_t> status{};
    std::optional<Op> op{};
    std::optional<RequestId> id{};
};

struct BackKnobs {
    struct NodeOverride {
        std::string name;
        std::optional<std::string> value; /* nullopt: leave the node out */
    };
    std::vector<NodeOverride> nodes;

    bool mute_state{false}; /* keep our state node as it is */
    bool deaf_state{false}; /* do not look at the frontend's state */
    bool refuse_connect{false};

    std::vector<BackBend> bends;
    bool hold{false};        /* keep requests for complete(), not done yet */
    bool hold_mapped{false}; /* ... with their pages mapped meanwhile */
    bool keep_mapped{false}; /* never unmap data pages; see let_go() */
    bool keep_ring{false};   /* never unmap the ring; see let_go() */
    bool quiet{false};       /* send no events */
};

struct BackCounters {
    uint64_t requests{0}, responses{0}, refused{0}, unsupported{0};
    uint64_t map_failures{0}, events_sent{0}, connects{0}, connect_failures{0};
};

class BlockBack
{
public:
    BlockBack(BackPorts ports, BackConfig config);
    ~BlockBack();
    BlockBack(const BlockBack &) = delete;
    BlockBack &operator=(const BlockBack &) = delete;

    /* Publish nodes and InitWait, and watch the frontend. */
    Status start();
    /* Ask the frontend to close (hot unplug): Closing. */
    void close();
    /* Gone without a word: no nodes, no ring, no mappings but kept ones. */
    void vanish();
    /* The storage changed its size: new `sectors`, Connected again. */
    void resized();

    /* Providers call these. True from event_received(): there is more to do
     * than one call does; call again (no event will come for it). */
    void store_changed();
    bool event_received();

    /* Manual completion, any order; see BackKnobs::hold. */
    size_t held() const { return held_.size(); }
    const WireRequest &held_request(size_t i) const { return held_[i].req; }
    void complete(size_t i);
    void complete_all();
    /* Unmap what keep_mapped and keep_ring kept. */
    void let_go();

    XenbusState state() const { return state_; }
    const BackCounters &counters() const { return counters_; }
    const Error &last_error() const { return error_; }
    bool halted() const { return halted_; }
    BackKnobs &knobs() { return knobs_; }
    BackConfig &config() { return config_; }

    /* Raw access for hostile tests. push_raw() writes a response at our
     * producer and publishes it, whatever is in it; raw_ring() is the shared
     * area itself. Both need a mapped ring. */
    void push_raw(const WireResponse &rsp);
    SharedRing &raw_ring() { return shared_; }
    void kick();
    void write_state_raw(std::string_view text);

private:
    struct Mapping {
        GrantRef ref{};
        std::byte *page{nullptr};
    };
    struct Held {
        WireRequest req{};
        uint64_t nth{0};
        std::vector<Mapping> pages{};
    };
    /* A request that passed every check, in 512-byte sectors. */
    struct Checked {
        RspStatus status{RspStatus::Okay}; /* not Okay: answer this */
        uint64_t sector{0}, sectors{0};
    };

    void publish_nodes();
    void set_state(XenbusState state);
    void write(std::string_view name, std::string_view value);
    Result<uint64_t> read_number(std::string_view name);
    Status connect();
    Status bind_ring(Abi abi);
    void disconnect();
    void halt(const Error &error);

    BackBend bend(uint64_t nth) const;
    void accept(const WireRequest &req);
    void serve(Held &held);
    void respond(const WireRequest &req, RspStatus status, const BackBend &bend);
    RspStatus work(Held &held);
    RspStatus transfer(Held &held, uint64_t sector);
    Checked check(const WireRequest &req) const;
    Checked check_data(const WireRequest &req) const;
    Checked check_discard(const WireRequest &req) const;
    bool in_range(uint64_t unit_sector, uint64_t sectors, Checked &out) const;
    bool map_all(Held &held);
    void unmap_all(Held &held);
    void flush_responses();
    uint32_t unit() const;

    BackPorts ports_;
    BackConfig config_;
    BackKnobs knobs_{};
    BackCounters counters_{};
    XenbusState state_{XenbusState::Unknown};
    Error error_{};

    Mapping ring_page_{};
    SharedRing shared_{};
    BackRing<SharedRing> ring_{};
    bool ring_up_{false};
    bool bound_{false};
    bool halted_{false};
    uint64_t next_nth_{0};
    std::vector<Held> held_{};
    std::vector<Mapping> kept_{};
};

} // namespace pvblk
