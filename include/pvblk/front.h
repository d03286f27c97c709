/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: BlockFront, a blkif frontend. Connects to a backend through
 * the ports, takes read, write, flush and discard requests of any length,
 * splits them into ring requests, and gives each one back exactly once.
 * Knows nothing of virtio or QEMU.
 *
 * Life of a request: free → pending (accepted, waits for a slot) → in flight
 * (in one or more slots) → completed. It is moved by pump() alone.
 *
 * The backend is hostile: responses are copied once and checked (id in
 * flight, operation as sent, producer within what we published, status
 * known); the first lie leads to FrontState::Broken, where everything fails
 * until reconnect() or a restart. Nothing is allocated after create().
 *
 * Threads: one thread at a time, the one that the ports call back on.
 */
#pragma once

#include "pvblk/grant_pool.h"
#include "pvblk/plan.h"
#include "pvblk/ports.h"
#include "pvblk/ring.h"
#include "pvblk/xenbus.h"

#include <memory>
#include <string>
#include <sys/uio.h>
#include <vector>

namespace pvblk {

enum class IoKind : uint8_t { Read, Write, Flush, Discard };

/* What the owner learns of a request. Unsupported is told apart from Error:
 * the operation was not done and never will be. */
enum class IoStatus : uint8_t { Ok, Error, Unsupported, Cancelled };

/*
 * The data of a request: `count` pieces, each contiguous both here (iov) and
 * in guest-physical memory (gpa, bytes). The first `skip` bytes are not part
 * of it. Borrowed: must stay valid until the request completes.
 */
struct GuestBuffer {
    const uint64_t *gpa{nullptr};
    const struct iovec *iov{nullptr};
    uint32_t count{0};
    uint64_t skip{0};
};

struct IoRequest {
    IoKind kind{IoKind::Read};
    Sector sector{};
    uint64_t sectors{0}; /* length, 512-byte sectors; 0 for Flush */
    GuestBuffer buffer{};
    bool flush_after{false}; /* Write: complete only once it is stable */
    /* The buffer's gpa are guest-physical addresses of RAM, so that its pages
     * can be granted; otherwise (an IOMMU, a device's memory) data is copied. */
    bool direct{true};
    void *cookie{nullptr};
    uint32_t queue{0};
};

enum class Verdict : uint8_t {
    Accepted, /* completed() will be called, once */
    Rejected, /* will never work; see Intake::why. Nothing else happens */
    Retry,    /* no room; offer it again after the next completion */
};
struct Intake {
    Verdict verdict{Verdict::Accepted};
    IoStatus why{IoStatus::Ok};
};

/* Counts since the front was made. Plain numbers; one writer. */
struct FrontCounters {
    uint64_t requests{0}; /* accepted from the owner */
    uint64_t failed{0};   /* completed with anything but Ok */
    uint64_t ring_reads{0}, ring_writes{0}, ring_flushes{0}, ring_discards{0};
    uint64_t segments{0}, bounced_segments{0}, grants{0};
    uint64_t events_sent{0}, events_suppressed{0}, events_received{0};
    uint64_t bytes_read{0}, bytes_written{0}, bytes_discarded{0};
    uint64_t responses{0}, errors{0}, unsupported{0};
    uint64_t batches{0};
    uint64_t latency_ns_total{0}, latency_ns_max{0};
    uint64_t violations{0}, reconnects{0}, requeued{0};
};

enum class TraceKind : uint8_t {
    State,    /* a: FrontState before, b: FrontEvent, c: FrontState after */
    Backend,  /* a: XenbusState seen */
    Request,  /* a: id, b: operation << 8 | segments, c: sector on the wire */
    Response, /* a: id, b: operation, c: status (int16_t) */
    Publish,  /* a: requests in the batch, b: 1 if an event was sent */
    Event,    /* event received; a: requests in flight */
    Verdict,  /* request not accepted; a: Verdict, b: IoStatus, c: sector */
    Plan,     /* a: sectors, b: sector-size */
    Fault,    /* text: what and clause; a: value */
};

/* Upcalls. Only submit() may be called from inside completed(). */
class FrontOwner {
public:
    virtual void completed(void *cookie, uint32_t queue, IoStatus status) = 0;
    /* After the last completed() of a batch. */
    virtual void batch_done() = 0;
    /* Size or access changed: plan() holds the new one. */
    virtual void plan_changed() = 0;
    /* One sentence for a person. Rate-limited by the front. */
    virtual void log(const char *text) = 0;
    virtual void trace(TraceKind kind, uint64_t a, uint64_t b, uint64_t c, const char *text) = 0;

protected:
    ~FrontOwner() = default;
};

struct FrontPorts {
    Store &store;
    Grants &grants;
    Events &events;
    Memory &memory;
    Clock &clock;
};

struct FrontConfig {
    std::string frontend_path; /* /local/domain/1/…/51712 */
    std::string backend_path;  /* /local/domain/0/backend/…/51712 */
    FrontPolicy policy{};
    uint16_t handle{0};
    uint32_t max_requests{256}; /* accepted and not completed */
    /* Every wait for the backend's state has this deadline. */
    int64_t handshake_timeout_ns{10'000'000'000};
    /* > 0: a request unanswered for that long breaks the connection. */
    int64_t request_timeout_ns{0};
    /* Send an event with every batch, even where the backend did not ask
     * (QEMU's backend re-arms req_event only when it is idle). */
    bool always_notify{false};
    /* Copy everything through private pages (an untrusted backend). */
    bool always_bounce{false};
};

class BlockFront {
public:
    /* Grants and pages a front wants from its ports, given max ring pages. */
    static uint32_t wanted_grants(uint32_t ring_entries) { return ring_entries * kMaxDirectSegments + 16; }
    static constexpr uint32_t kWantedPages = 72;

    /*
     * Reads the backend's nodes and makes a plan, so that the owner knows
     * size and features before the connection is up. Fails with the clause
     * that the backend broke. Touches nothing outside this process.
     */
    static Result<std::unique_ptr<BlockFront>> create(FrontPorts ports, FrontOwner &owner,
                                                      FrontConfig config);
    /* Accepted requests are not completed: cancel_all() comes first. */
    ~BlockFront();
    BlockFront(const BlockFront &) = delete;
    BlockFront &operator=(const BlockFront &) = delete;

    void start();
    /* Finish what is in flight, close, and connect again; what was accepted
     * meanwhile waits. Asked a second time, it no longer waits for what is in
     * flight. Also the way out of Broken. */
    void reconnect();
    /* Close for good, as far as the backend plays along. */
    void stop();

    Intake submit(const IoRequest &req);
    /* Move everything that can move; one publish, at most one event. Call
     * after a batch of submit(). Returns whether anything moved. */
    bool pump();

    /*
     * Forget every accepted request: completed(Cancelled) is called for each
     * before this returns, and the backend can map none of its memory any
     * more. What it has mapped at that moment stays so until it lets go:
     * quarantined() tells; QEMU's backend maps for no longer than a copy
     * takes. What the backend still works on is awaited before new requests
     * are sent, so that an old write never lands after a new one; a backend
     * that does not answer within the handshake timeout is reconnected.
     */
    void cancel_all() { cancel(std::nullopt); }
    /* The same for the requests of one queue. */
    void cancel_queue(uint32_t queue) { cancel(queue); }

    /* Providers call these. */
    void event_received();
    void store_changed();
    void deadline_passed();

    FrontState state() const { return state_; }
    const Plan &plan() const { return plan_; }
    const FrontCounters &counters() const { return counters_; }
    uint32_t quarantined() const { return pool_.quarantined(); }
    uint32_t in_flight() const { return in_flight_; }
    uint32_t accepted() const { return accepted_; }
    bool has_room() const { return accepted_ < config_.max_requests; }
    /* The private page that holds the ring, while there is one. */
    std::optional<PageIndex> ring_page() const
    {
        return ring_up_ ? std::optional(ring_page_) : std::nullopt;
    }
    /* Why the state is Broken; "" otherwise. */
    const char *broken_because() const { return broken_.what; }
    /* The same with its clause and value; `what` is "" unless Broken. */
    const Error &broken() const { return broken_; }

private:
    /* One segment of a ring request: where its grant points, and which part
     * of the owner's buffer it carries. */
    struct Piece {
        uint32_t grant{0};
        Gfn gfn{};
        PageIndex page{};
        bool bounced{false};
        bool granted{false};
        uint8_t first_sect{0}, last_sect{0}; /* as on the wire */
        uint32_t iov{0};
        uint64_t iov_offset{0};
        uint32_t bytes{0};
    };

    enum class SlotState : uint8_t { Free, InFlight, Waiting };
    /* The private copy of a ring request; the ring is never read back. */
    struct Slot {
        SlotState state{SlotState::Free};
        Op op{Op::Read};
        uint32_t job{0};
        bool orphan{false}; /* its job was cancelled */
        uint32_t generation{0};
        uint64_t sequence{0}; /* order of first issue, for requeueing */
        uint64_t wire_sector{0}, wire_nr_sectors{0};
        uint64_t bytes{0};
        int64_t issued_ns{0};
        uint32_t pieces{0};
        std::array<Piece, kMaxDirectSegments> piece{};
    };

    /* An accepted request. In exactly one of: free list, pending, in flight. */
    struct Job {
        IoRequest req{};
        IoStatus status{IoStatus::Ok};
        uint32_t outstanding{0}; /* slots */
        uint64_t offset{0};      /* bytes already put into slots */
        uint64_t bytes{0};
        uint32_t iov{0};
        uint64_t iov_offset{0};
        bool flush_left{false};
        bool pending{false}; /* on the pending queue */
        bool used{false};
        bool doomed{false}; /* fail_all() is about to complete it */
        uint32_t next{0};
    };
    static constexpr uint32_t kNone = UINT32_MAX;

    BlockFront(FrontPorts ports, FrontOwner &owner, FrontConfig config, Plan plan);

    /* front.cc: life cycle */
    void step(FrontEvent event);
    void act(FrontAction action, FrontEvent event);
    void look();
    Result<XenbusState> backend_state();
    bool nodes_complete();
    void act_begin();
    void act_publish();
    void act_attach();
    void act_refresh();
    bool adopt_plan(bool new_connection);
    bool write_node(const char *name, std::string_view value);
    bool write_number(const char *name, uint64_t value);
    void write_state(XenbusState state);
    void tear_down();
    void fault(const Error &error);
    void complain(const Error &error);
    void arm_handshake();
    void disarm_handshake();
    void update_deadline();

    /* front_io.cc: requests */
    void init_io();
    bool consume();
    bool handle_response(const WireResponse &rsp);
    void finish_part(uint32_t job, IoStatus status);
    void complete_job(uint32_t job);
    bool send_more();
    bool reissue_waiting();
    bool place(Slot &slot);
    bool found_room();
    void starved();
    void end_batch();
    uint64_t discard_start(const Job &job) const;
    bool nothing_to_discard(const Job &job) const;
    enum class Issue : uint8_t { Staged, NoRoom, Refused };
    Issue issue(Slot &slot);
    Issue grant_pieces(Slot &slot);
    void stage(Slot &slot);
    bool fill_slot(uint32_t job_index, Slot &slot);
    bool fill_data(Job &job, Slot &slot);
    uint32_t direct_bytes(const Job &job, uint64_t left) const;
    uint32_t bounce_bytes(Job job, uint64_t left) const;
    void advance(Job &job, uint64_t bytes) const;
    void copy(const Piece &piece, const GuestBuffer &buffer, bool to_guest);
    bool release_slot(Slot &slot);
    void end_jobs(std::optional<uint32_t> queue, IoStatus status);
    void orphan(Slot &slot);
    void cancel(std::optional<uint32_t> queue);
    IoStatus judge(const IoRequest &req) const;
    void requeue_in_flight();
    bool publish();
    void free_slot(Slot &slot);
    void push_pending(uint32_t job);
    void pop_pending();
    Intake refuse(Verdict verdict, IoStatus why, const IoRequest &req);
    uint64_t wire_unit() const;

    FrontPorts ports_;
    FrontOwner &owner_;
    FrontConfig config_;
    Plan plan_;
    FrontCounters counters_{};

    FrontState state_{FrontState::Idle};
    bool stopping_{false};
    bool looking_{false};
    bool was_connected_{false};
    Error broken_{};
    int64_t handshake_deadline_{-1};
    int64_t orphan_deadline_{-1};
    bool flush_withdrawn_{false};
    int64_t armed_{-1};
    int64_t last_log_ns_{-1}; /* start of the window; < 0: none yet */
    uint32_t log_burst_{0};

    GrantPool pool_;
    FrontRing<SharedRing> ring_{};
    bool ring_up_{false};
    uint32_t ring_grant_{0};
    PageIndex ring_page_{};
    bool events_open_{false};

    std::vector<Slot> slots_;
    std::vector<uint32_t> free_slots_;
    std::vector<Job> jobs_;
    std::vector<uint32_t> free_jobs_;
    uint32_t pending_head_{kNone}, pending_tail_{kNone};
    uint32_t accepted_{0};
    uint32_t in_flight_{0};
    uint32_t waiting_{0}; /* slots to be sent again after a reconnect */
    uint32_t orphans_{0};
    uint32_t unpublished_{0};
    uint64_t sequence_{0};
    bool completed_any_{false};
};

} // namespace pvblk
