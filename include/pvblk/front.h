/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: BlockFront, a blkif frontend. Connects to a backend through
 * the ports, takes read, write, flush and discard requests of any length,
 * splits them into ring requests, and gives each one back exactly once.
 * Knows nothing of virtio or QEMU.
 *
 * One ring, with an event channel of its own, a queue. Life of a request:
 * free → pending (accepted, something of it is still to be sent) → in flight
 * (in one or more slots) → completed. It is moved by pump() alone. When a
 * connection ends, what was in flight is pending again, in the order in which
 * it was accepted, and is split anew, as the next connection's plan has it.
 *
 * The backend is hostile: responses are copied once and checked (id in
 * flight, operation as sent, producer within what we published, status
 * known); the first lie leads to FrontState::Broken, where everything fails
 * until reconnect() or a restart. Nothing is allocated after create().
 *
 * Threads: one thread at a time, the one that the ports call back on.
 */
#pragma once

#include "front/grant_pool.h"
#include "front/negotiation.h"
#include "proto/ring.h"
#include "pvblk/plan.h"
#include "pvblk/ports.h"
#include "pvblk/xenbus.h"

#include <memory>
#include <string>
#include <sys/uio.h>
#include <vector>

namespace pvblk
{

/* The frontend's life cycle. In brackets: what our own state node says. */
enum class FrontState : uint8_t {
    Idle,       /* not started [Initialising or none] */
    WaitInit,   /* [Initialising] waiting for the backend's InitWait */
    Connecting, /* [Initialised] waiting for the backend's Connected */
    Connected,  /* [Connected] */
    Draining,   /* [Connected] no new requests; those in flight finish */
    Closing,    /* [Closing] waiting for the backend to follow */
    Closed,     /* [Closed] waiting for the backend to follow */
    Lost,       /* [as before] backend gone; requests wait for it */
    Broken,     /* [Closed] sticky until Reconnect */
    Stopped,    /* [Closed] the end */
};
inline constexpr uint32_t kFrontStates = 10;
const char *front_state_name(FrontState s);

enum class IoKind : uint8_t { Read, Write, Flush, Discard, SecureDiscard };

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
    uint32_t queue{0}; /* its ring is this modulo the number of queues */
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
    uint64_t ring_barriers{0}; /* with data or without; none of the above */
    uint64_t ring_indirect{0}; /* of the reads and writes */
    uint64_t segments{0}, bounced_segments{0}, grants{0};
    uint64_t events_sent{0}, events_suppressed{0}, events_received{0};
    uint64_t bytes_read{0}, bytes_written{0}, bytes_discarded{0};
    uint64_t responses{0}, errors{0}, unsupported{0};
    uint64_t batches{0};
    uint64_t latency_ns_total{0}, latency_ns_max{0};
    uint64_t violations{0}, reconnects{0}, requeued{0};
};

enum class FrontEvent : uint8_t; /* an input of the table of states */

/* What a front tells of its work, for a person who looks on. */
struct TraceState {
    FrontState from{};
    FrontEvent event{};
    FrontState to{};
};
struct TraceBackend {
    XenbusState seen{};
};
struct TraceRequest {
    RequestId id{};
    Op op{Op::Read}; /* as on the wire: Op::Indirect, too */
    uint32_t segments{0};
    uint64_t sector{0}; /* as on the wire: see Plan::units */
};
struct TraceResponse {
    RequestId id{};
    Op op{Op::Read};
    int16_t status{0};
};
struct TracePublish {
    uint32_t requests{0}; /* in the batch */
    bool event{false};    /* sent for it */
};
struct TraceEvent { /* received */
    uint32_t in_flight{0};
};
struct TraceVerdict { /* on a request that was not accepted */
    Verdict verdict{Verdict::Rejected};
    IoStatus why{IoStatus::Ok};
    Sector sector{};
};
struct TracePlan {
    uint64_t sectors{0};     /* of 512 bytes */
    uint32_t sector_size{0}; /* bytes */
};
struct TraceFault {
    const char *what{""}; /* a string literal */
    uint64_t value{0};    /* the offending number, where there is one */
};

enum class TraceKind : uint8_t {
    State,
    Backend,
    Request,
    Response,
    Publish,
    Event,
    Verdict,
    Plan,
    Fault,
};

/* One of them: `kind` says which member of the union there is. */
struct Trace {
    Trace(const TraceState &t) : kind(TraceKind::State), state(t) {}
    Trace(const TraceBackend &t) : kind(TraceKind::Backend), backend(t) {}
    Trace(const TraceRequest &t) : kind(TraceKind::Request), request(t) {}
    Trace(const TraceResponse &t) : kind(TraceKind::Response), response(t) {}
    Trace(const TracePublish &t) : kind(TraceKind::Publish), publish(t) {}
    Trace(const TraceEvent &t) : kind(TraceKind::Event), event(t) {}
    Trace(const TraceVerdict &t) : kind(TraceKind::Verdict), verdict(t) {}
    Trace(const TracePlan &t) : kind(TraceKind::Plan), plan(t) {}
    Trace(const TraceFault &t) : kind(TraceKind::Fault), fault(t) {}

    TraceKind kind;
    union {
        TraceState state;
        TraceBackend backend;
        TraceRequest request;
        TraceResponse response;
        TracePublish publish;
        TraceEvent event;
        TraceVerdict verdict;
        TracePlan plan;
        TraceFault fault;
    };
};

/* Upcalls. Only submit() may be called from inside completed(). */
class FrontOwner
{
public:
    virtual void completed(void *cookie, uint32_t queue, IoStatus status) = 0;
    /* After the last completed() of a batch. */
    virtual void batch_done() = 0;
    /* Size or access changed: plan() holds the new one. */
    virtual void plan_changed() = 0;
    /* One sentence for a person. Rate-limited by the front. */
    virtual void log(const char *text) = 0;
    virtual void trace(const Trace &trace) = 0;

protected:
    ~FrontOwner() = default;
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

enum class FrontAction : uint8_t;

class BlockFront
{
public:
    /* Grants and private pages that a front can use: all that its rings may
     * have in flight, up to a limit. Requests wait where there are fewer. */
    static uint32_t wanted_grants(const FrontPolicy &policy);
    static uint32_t wanted_pages(const FrontPolicy &policy);
    /* Of each: the rings, and the largest request for every queue. */
    static uint32_t least(const FrontPolicy &policy);

    /*
     * Reads the backend's nodes and makes a plan, so that the owner knows
     * size and features before the connection is up. (Of a backend that tells
     * its size only when it is Connected the plan is not `sized`: requests are
     * refused until plan_changed().) Fails with the clause
     * that the backend broke, or where the ports have less than least() of
     * grants or pages. Touches nothing outside this process.
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
    void event_received(uint32_t queue);
    void store_changed();
    void deadline_passed();

    FrontState state() const { return state_; }
    const Plan &plan() const { return plan_; }
    const FrontCounters &counters() const { return counters_; }
    uint32_t quarantined() const { return pool_.quarantined(); }
    uint32_t in_flight() const { return in_flight_; }
    uint32_t accepted() const { return accepted_; }
    uint32_t persistent_grants() const { return pool_.kept(); }
    bool has_room() const { return accepted_ < config_.max_requests; }
    /* The private page that holds a part of a ring, while there is one. */
    std::optional<PageIndex> ring_page(uint32_t queue, uint32_t page) const;
    /* Why the state is Broken; "" otherwise. */
    const char *broken_because() const { return broken_.what; }
    /* The same with its clause and value; `what` is "" unless Broken. */
    const Error &broken() const { return broken_; }

private:
    static constexpr uint32_t kNone = UINT32_MAX;

    /* blkif_request.id: slot in the low bits, a generation above, so that an
     * answer to an earlier use of the slot is recognised. */
    static constexpr uint32_t kSlotBits = 16;
    static constexpr uint64_t make_id(uint32_t slot, uint32_t generation)
    {
        return static_cast<uint64_t>(generation) << kSlotBits | slot;
    }

    /* One segment of a ring request, which has a grant each: part of the
     * owner's buffer, and where it lies on the wire. */
    struct Piece {
        uint32_t next{kNone}; /* of the same slot */
        PageIndex page{};     /* bounced: through this one */
        bool bounced{false};
        uint8_t first_sect{0}, last_sect{0}; /* as on the wire */
        uint32_t iov{0};
        uint64_t iov_offset{0};
        uint32_t bytes{0};
    };

    /* The private copy of a ring request; the ring is never read back. */
    struct Slot {
        bool in_flight{false};
        bool orphan{false}; /* its job was cancelled */
        Op op{Op::Read};
        bool secure{false};
        uint32_t ring{0};
        uint32_t job{0};
        uint32_t generation{0};
        uint64_t offset{0}, bytes{0}; /* the part of the job that it carries */
        int64_t issued_ns{0};
        uint32_t first{kNone}, last{kNone}; /* its pieces, by grant */
        uint32_t pieces{0};
        uint32_t lists{0}; /* pages of segments; none: a direct request */
        std::array<GrantPool::Lent, kMaxIndirectPages> list{};
    };

    /* An accepted request. In exactly one of: free list, pending, in flight. */
    struct Job {
        IoRequest req{};
        IoStatus status{IoStatus::Ok};
        uint64_t sequence{0};    /* order of acceptance */
        uint32_t outstanding{0}; /* slots */
        uint64_t offset{0};      /* bytes already put into slots */
        uint64_t bytes{0};
        uint32_t iov{0}; /* where the buffer is at `offset` */
        uint64_t iov_offset{0};
        bool flush_left{false};
        bool pending{false}; /* on its queue */
        bool used{false};
        bool doomed{false}; /* end_jobs() is about to complete it */
        uint32_t next{0};
    };

    /* A ring, its event channel, and the requests that go there. */
    struct Queue {
        FrontRing<SharedRing> ring{};
        uint32_t pages{0};
        std::array<GrantPool::Lent, kMaxRingPages> page{};
        bool open{false}; /* the event channel */
        Port port{};
        uint32_t head{kNone}, tail{kNone}; /* pending jobs */
        uint32_t unpublished{0};
    };

    /* What a backend may offer and yet not do. */
    enum class Feature : uint8_t { None, Flush, Barrier, Discard, SecureDiscard };

    BlockFront(FrontPorts ports, FrontOwner &owner, FrontConfig config, Plan plan);

    /* front.cc: life cycle */
    void step(FrontEvent event);
    void act(FrontAction action, FrontEvent event);
    void look();
    Result<XenbusState> state_of(const std::string &end);
    XenbusState interpret(XenbusState seen);
    bool nodes_complete();
    bool watch_backend();
    void act_begin();
    void act_attach();
    void fault(const Error &error);
    void complain(const Error &error);
    void write_state(XenbusState state);
    void arm_handshake();
    void disarm_handshake();
    void update_deadline();
    void requests_overdue(int64_t now);

    /* connect.cc: rings, nodes and the plan */
    Result<Plan> read_plan();
    void act_publish();
    Status open_queue(uint32_t index, const Plan &plan);
    bool write_ring_nodes(uint32_t index, const Plan &plan);
    bool write_nodes(const Plan &plan);
    void remove_stale_nodes();
    bool adopt_plan(bool new_connection);
    void tear_down();
    bool write_node(std::string_view name, std::string_view value);
    bool write_number(std::string_view name, uint64_t value);
    void remove_node(std::string_view name);

    /* requests.cc: requests */
    void init_io();
    bool send_more();
    bool send_from(uint32_t index);
    void stage(Slot &slot);
    bool publish();
    bool found_room();
    void starved();
    void put_pieces(const Slot &slot, WireRequest &req);
    void finish_part(uint32_t job, IoStatus status, bool again);
    void complete_job(uint32_t job);
    void end_batch();
    void end_jobs(std::optional<uint32_t> queue, IoStatus status);
    void cancel(std::optional<uint32_t> queue);
    IoStatus judge(const IoRequest &req) const;
    void requeue_in_flight();
    void line_up();
    void rewind(Job &job, const Slot &slot);
    void seek(Job &job, uint64_t offset);
    void push_pending(uint32_t job);
    void pop_pending(Queue &queue);
    void free_slot(Slot &slot);
    Intake refuse(Verdict verdict, IoStatus why, const IoRequest &req);

    /* answers.cc: responses */
    bool consume();
    bool consume_ring(uint32_t index);
    bool handle_response(uint32_t ring, const WireResponse &rsp);
    Slot *answered_slot(uint32_t ring, const WireResponse &rsp);
    IoStatus judge_status(const Slot &slot, int16_t status, bool &again);
    static Feature feature_of(const Slot &slot);
    bool withdraw(Feature feature, int16_t status, bool with_data);
    void count_done(const Slot &slot);

    /* splitter.cc: a part of a request into a slot, with its grants */
    enum class Fill : uint8_t { Done, NoRoom, Refused };
    Fill fill_slot(uint32_t job_index, Slot &slot);
    Fill fill_data(Job &job, Slot &slot);
    Fill add_piece(Job &job, Slot &slot);
    bool room_in_list(Slot &slot);
    void append(Slot &slot, uint32_t grant);
    bool release_slot(Slot &slot);
    bool shows_guest_memory(const Slot &slot) const;
    bool release_lists(Slot &slot);
    void orphan(Slot &slot);
    bool off_granularity(const IoRequest &req) const;
    uint64_t discard_start(const IoRequest &req) const;
    bool nothing_to_discard(const Job &job) const;
    uint32_t direct_bytes(const Job &job, uint64_t left) const;
    uint32_t bounce_bytes(Job job, uint64_t left) const;
    void advance(Job &job, uint64_t bytes) const;
    void copy(const Piece &piece, const GuestBuffer &buffer, bool to_guest);
    uint64_t wire_unit() const;

    FrontPorts ports_;
    FrontOwner &owner_;
    FrontConfig config_;
    Plan plan_;
    FrontCounters counters_{};

    FrontState state_{FrontState::Idle};
    bool stopping_{false};
    bool watching_{false};
    bool looking_{false};
    bool was_connected_{false};
    /* The backend has no session: it was seen without one, or closed the last,
     * since it was told of our rings. Counts in WaitInit and Lost. */
    bool fresh_{false};
    bool settled_{false}; /* the backend had its time to write its size */
    Error broken_{};
    int64_t handshake_deadline_{-1};
    int64_t orphan_deadline_{-1};
    int64_t settle_deadline_{-1};
    int64_t request_deadline_{-1}; /* not after the first that is due */
    bool flush_withdrawn_{false};
    /* Indexed by Feature: the backend did it once on this connection. */
    std::array<bool, 5> proven_{};
    int64_t armed_{-1};
    int64_t last_log_ns_{-1}; /* start of the window; < 0: none yet */
    uint32_t log_burst_{0};

    GrantPool pool_;
    Plan published_{};  /* what our nodes say */
    uint32_t rings_{0}; /* that are up: all of them, or none */
    std::array<Queue, kMaxQueues> queues_{};

    std::vector<Slot> slots_;
    std::vector<uint32_t> free_slots_;
    std::vector<Piece> pieces_; /* by grant */
    std::vector<Job> jobs_;
    std::vector<uint32_t> free_jobs_;
    std::vector<uint32_t> order_; /* of jobs, while they line up */
    uint32_t accepted_{0};
    uint32_t in_flight_{0};
    uint32_t orphans_{0};
    uint32_t turn_{0}; /* the queue that sends first */
    uint64_t sequence_{0};
    bool completed_any_{false};
};

} // namespace pvblk
