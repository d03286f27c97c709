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
 * until reconnect(), start() or stop(). Nothing is allocated after create().
 *
 * Threads: one thread at a time, the one that the ports call back on.
 */
#pragma once

#include "pvblk/plan.h"
#include "pvblk/ports.h"
#include "pvblk/xenbus.h"

#include <memory>
#include <optional>
#include <string>
#include <sys/uio.h>

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
    Broken,     /* [Closed] until reconnect(), start() or stop() */
    Stopped,    /* [Closed] until start() */
};
inline constexpr uint32_t kFrontStates = 10;
const char *front_state_name(FrontState s); /* "wait-init" … */

/* What moves it from one state to the next. The first nine are the backend's
 * states, in XenbusState's order. */
enum class FrontEvent : uint8_t {
    BackUnknown,
    BackInitialising,
    BackInitWait,
    BackInitialised,
    BackConnected,
    BackClosing,
    BackClosed,
    BackReconfiguring,
    BackReconfigured,
    Drained,   /* nothing is in flight any more */
    Deadline,  /* the deadline of the current wait passed */
    Violation, /* the backend broke a rule, or a port failed: see broken() */
    Start,     /* owner: connect */
    Reconnect, /* owner: close and connect again */
    Stop,      /* owner: close for good */
};
inline constexpr uint32_t kFrontEvents = 15;
const char *front_event_name(FrontEvent e); /* "back-init-wait" … */

enum class IoKind : uint8_t { Read, Write, Flush, Discard, SecureDiscard };

/* What the owner learns of a request. Unsupported is told apart from Error:
 * the operation was not done and never will be. */
enum class IoStatus : uint8_t { Ok, Error, Unsupported, Cancelled };
const char *io_status_name(IoStatus s); /* "ok" … */

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
const char *verdict_name(Verdict v); /* "accepted" … */
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
struct TraceViolation {
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
    Violation,
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
    Trace(const TraceViolation &t) : kind(TraceKind::Violation), violation(t) {}

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
        TraceViolation violation;
    };
};

/*
 * Upcalls. From inside completed() the owner may call submit() and what is
 * const; from inside the others only what is const. Any call of BlockFront but
 * submit() and what is const may lead to completed(), before it returns.
 */
class FrontOwner
{
public:
    /* Once for each accepted request. */
    virtual void completed(void *cookie, uint32_t queue, IoStatus status) = 0;
    /* After the last completed() of a batch. */
    virtual void batch_done() = 0;
    /* Size, access or features changed: plan() holds the new one. */
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
    /* blkif_request.handle: the low 16 bits of the virtual device number. A
     * backend has one device: ours, Linux's and QEMU's do not look at it. */
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

class BlockFront
{
public:
    /* Grants and private pages that a front can use: all that its rings may
     * have in flight, up to a limit. Requests wait where there are fewer. */
    static uint32_t wanted_grants(const FrontPolicy &policy);
    static uint32_t wanted_pages(const FrontPolicy &policy);
    /* The least number of grants, and of pages: the rings, plus one request of
     * the largest size a queue. */
    static uint32_t min_pool(const FrontPolicy &policy);

    /*
     * Reads the backend's nodes and makes a plan, so that the owner knows
     * size and features before the connection is up. (Of a backend that tells
     * its size only when it is Connected the plan is not `sized`: requests are
     * refused until plan_changed().) Fails with the clause
     * that the backend broke, or where the ports have less than min_pool() of
     * grants or pages. Touches nothing outside this process.
     */
    static Result<std::unique_ptr<BlockFront>> create(FrontPorts ports, FrontOwner &owner,
                                                      FrontConfig config);
    /* Unwatches, writes Closed, ends all grants. Call cancel_all() before it: it
     * completes no request. */
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

    /*
     * Takes a request, or says why not; never completes one. It may come before
     * Connected, and then waits.
     *
     * sector and sectors are multiples of plan().sector_size, and within
     * plan().sectors; what has data has a buffer that is as long, or longer.
     * Else, and for any change of a read_only disk, it is Rejected with Error. A
     * discard and a flush have no buffer, and a flush has 0 sectors. A
     * SecureDiscard begins at a multiple of the granularity, from
     * discard_alignment on. Discard, SecureDiscard and Flush are Rejected with
     * Unsupported where plan() has no discard, no discard_secure, or cannot
     * flush. In Broken and Stopped everything is Rejected with Error.
     */
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
    void cancel_all();
    /* The same for the requests of one queue. */
    void cancel_queue(uint32_t queue);

    /* Providers call these. */
    void event_received(uint32_t queue);
    void store_changed();
    void deadline_passed();

    FrontState state() const;
    const Plan &plan() const;
    const FrontCounters &counters() const;
    /* Grants that ended while the backend has them mapped: they, and pages on
     * them, are used again once it let go. */
    uint32_t quarantined() const;
    uint32_t in_flight() const;         /* ring requests: sent, not answered */
    uint32_t accepted() const;          /* the owner's requests: not completed */
    uint32_t persistent_grants() const; /* kept, and in no request now */
    bool has_room() const;              /* submit() would not say Retry */
    /* The private page that holds a part of a ring, while there is one. */
    std::optional<PageIndex> ring_page(uint32_t queue, uint32_t page) const;
    /* Why the state is Broken; "" otherwise. */
    const char *broken_because() const { return broken().what; }
    /* The same with its clause and value; `what` is "" unless Broken. */
    const Error &broken() const;

private:
    struct Parts;
    explicit BlockFront(std::unique_ptr<Parts> parts);

    std::unique_ptr<Parts> parts_;
};

} // namespace pvblk
