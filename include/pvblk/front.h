/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: BlockFront, a blkif frontend. It connects to a backend through
 * the ports. It takes read, write, flush and discard requests of any length,
 * splits them into ring requests, and completes each one exactly once. It
 * knows neither virtio nor QEMU.
 *
 * Each queue has one ring with its own event channel. Life of a request:
 * free → pending (accepted, and not sent completely) → in flight (in one or
 * more slots) → completed. Only pump() moves it. When a connection ends,
 * requests in flight become pending again, in the order of acceptance. The
 * next connection splits them anew, by its own plan.
 *
 * The front takes the backend for hostile. It copies each response once and
 * checks it: the id is in flight, the operation is as sent, and the producer is
 * not ahead of the requests. It takes an unknown status for an error. The first
 * broken rule leads to FrontState::Broken. There every request fails until
 * reconnect(), start() or stop(). The front allocates nothing after create().
 *
 * Threads: call the front only on the thread on which the ports call back.
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

/* The frontend's life cycle. In brackets: the value of our own state node. */
enum class FrontState : uint8_t {
    Idle,       /* not started [Initialising or none] */
    WaitInit,   /* [Initialising] waiting for the backend's InitWait */
    Connecting, /* [Initialised] waiting for the backend's Connected */
    Connected,  /* [Connected] */
    Draining,   /* [Connected] sends no new requests; those in flight finish */
    Closing,    /* [Closing] waiting for the backend to follow */
    Closed,     /* [Closed] waiting for the backend to follow */
    Lost,       /* [as before] backend gone; requests wait for it */
    Broken,     /* [Closed] until reconnect(), start() or stop() */
    Stopped,    /* [Closed] until start() */
};
inline constexpr uint32_t kFrontStates = 10;
const char *front_state_name(FrontState s); /* "wait-init" … */

/* Events that change the state. The first nine are the backend's states, in
 * XenbusState's order. */
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

/* The result of a request. Unsupported differs from Error: the operation was
 * not done, and the same request will not work on this connection. */
enum class IoStatus : uint8_t { Ok, Error, Unsupported, Cancelled };
const char *io_status_name(IoStatus s); /* "ok" … */

/*
 * The data of a request, in `count` pieces. Piece i is iov[i] in this process,
 * and begins at byte gpa[i] of guest-physical memory; it is contiguous in both.
 * The data begins after the first `skip` bytes. The front borrows the arrays
 * and the memory: they must stay valid until the request completes.
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
    /* True: buffer.gpa has addresses of the guest's RAM, so the front can grant
     * these pages. False (an IOMMU, a device's memory): it copies the data. */
    bool direct{true};
    void *cookie{nullptr};
    uint32_t queue{0}; /* uses the ring: queue modulo the number of rings */
};

enum class Verdict : uint8_t {
    Accepted, /* completed() will be called, once */
    Rejected, /* not taken, and completed() will not come; see Intake::why */
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

/* The trace: a front reports its work, for a person who watches. */
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

/* One trace event: `kind` says which member of the union is set. */
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
 * The front calls these functions of its owner. Inside completed(), the owner
 * may call submit() and const functions; inside the others, only const
 * functions. Any function of BlockFront, except submit() and the const ones,
 * may call completed() before it returns.
 */
class FrontOwner
{
public:
    /* Once for each accepted request. */
    virtual void completed(void *cookie, uint32_t queue, IoStatus status) = 0;
    /* After a batch of completed(). */
    virtual void batch_done() = 0;
    /* Size, access or features changed: plan() holds the new one. */
    virtual void plan_changed() = 0;
    /* One sentence for a person. The front limits the rate. */
    virtual void log(const char *text) = 0;
    virtual void trace(const Trace &trace) = 0;

protected:
    ~FrontOwner() = default;
};

struct FrontConfig {
    std::string frontend_path; /* /local/domain/1/…/51712 */
    std::string backend_path;  /* /local/domain/0/backend/…/51712 */
    FrontPolicy policy{};
    /* blkif_request.handle: the low 16 bits of the virtual device number. Our,
     * Linux's and QEMU's backends ignore it, as each serves one device. */
    uint16_t handle{0};
    uint32_t max_requests{256}; /* accepted, and not yet completed */
    /* Every wait for the backend's state has this deadline. */
    int64_t handshake_timeout_ns{10'000'000'000};
    /* > 0: if a request has no answer after this time, the connection breaks. */
    int64_t request_timeout_ns{0};
    /* Send an event with every batch, even if the backend did not ask for it.
     * (QEMU's backend asks by req_event only when it is idle.) */
    bool always_notify{false};
    /* Copy everything through private pages (an untrusted backend). */
    bool always_bounce{false};
};

class BlockFront
{
public:
    /* How many grants and private pages a front can use: enough for full rings,
     * up to a limit. If the ports have fewer, requests wait for them. */
    static uint32_t wanted_grants(const FrontPolicy &policy);
    static uint32_t wanted_pages(const FrontPolicy &policy);
    /* The least number of grants, and of pages: for the rings, and for one
     * request of the largest size in each queue. */
    static uint32_t min_pool(const FrontPolicy &policy);

    /*
     * Reads the backend's nodes and makes a plan, so that the owner knows
     * size and features before the connection is up. Some backends tell their
     * size only when Connected: then the plan is not `sized`, and requests are
     * refused until plan_changed(). Fails with the clause that the backend
     * broke, or if the ports have fewer grants or pages than min_pool().
     * Changes nothing outside this process.
     */
    static Result<std::unique_ptr<BlockFront>> create(FrontPorts ports, FrontOwner &owner,
                                                      FrontConfig config);
    /* Ends its watch, writes Closed and ends all grants. It completes no
     * request: call cancel_all() first. */
    ~BlockFront();
    BlockFront(const BlockFront &) = delete;
    BlockFront &operator=(const BlockFront &) = delete;

    void start();
    /* Finish the requests in flight, close, and connect again. New requests
     * wait for the new connection. A second call stops waiting for the requests
     * in flight. Also the way out of Broken. */
    void reconnect();
    /* Close for good, as far as the backend cooperates. */
    void stop();

    /*
     * Takes a request, or says why not; never completes one. A request may come
     * before Connected, and then waits.
     *
     * sector and sectors are multiples of plan().sector_size, and within
     * plan().sectors. The buffer of a read or write is at least as long as the
     * request. A discard and a flush have no buffer, and a flush has 0 sectors.
     * A SecureDiscard begins at a multiple of the granularity, counted from
     * discard_alignment. submit() rejects with Error a request that breaks one
     * of these rules or would change a read_only disk. It rejects with
     * Unsupported a discard, or a secure one, that plan() does not have. If the
     * backend offered neither a flush nor barriers, the front takes it for one
     * without a cache: a Flush completes with Ok. If the backend withdrew its
     * offer, submit() rejects a Flush with Unsupported, and a write with
     * flush_after with Error. In Broken and Stopped it rejects everything with
     * Error.
     */
    Intake submit(const IoRequest &req);
    /* Move every request that can move. Publish each ring at most once, with at
     * most one event.
     * Call it after a batch of submit(). Returns whether anything moved. */
    bool pump();

    /*
     * Cancel every accepted request. Before this returns, completed(Cancelled)
     * is called for each, and the backend can map none of its memory any more.
     * Pages that the backend has mapped stay mapped until it unmaps them;
     * quarantined() counts them. (QEMU's backend maps only while it copies.)
     * The front sends new requests only after the backend has finished the
     * old ones: so an old write never lands after a new one. If the
     * backend does not answer within the handshake timeout, the front
     * reconnects.
     */
    void cancel_all();
    /* The same for the requests of one queue. */
    void cancel_queue(uint32_t queue);

    /* The program that implements the ports calls these. */
    void event_received(uint32_t queue);
    void store_changed();
    void deadline_passed();

    FrontState state() const;
    const Plan &plan() const;
    const FrontCounters &counters() const;
    /* Grants that ended while the backend had them mapped. The front uses them
     * and their pages again once the backend has unmapped them. */
    uint32_t quarantined() const;
    uint32_t in_flight() const;         /* ring requests: sent, not answered */
    uint32_t accepted() const;          /* the owner's requests: not completed */
    uint32_t persistent_grants() const; /* kept, and not in use by a request */
    bool has_room() const;              /* submit() would not say Retry */
    /* The private page that holds this page of a ring; none without a ring. */
    std::optional<PageIndex> ring_page(uint32_t queue, uint32_t page) const;
    /* Why the state is Broken; "" otherwise. */
    const char *broken_because() const { return broken().what; }
    /* The same, with the broken clause and the offending value. */
    const Error &broken() const;

private:
    struct Parts;
    explicit BlockFront(std::unique_ptr<Parts> parts);

    std::unique_ptr<Parts> parts_;
};

} // namespace pvblk
