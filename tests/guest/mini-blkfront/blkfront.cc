/* SPDX-License-Identifier: MIT */
#include "blkfront.h"

#include "console.h"
#include "timer.h"

#include <xen/io/protocols.h>

namespace
{

constexpr uint32_t kSeconds = 30; /* that a backend may take for anything */

Page ring_page;

const char *state_name(unsigned long state)
{
    constexpr const char *names[] = {"Unknown",   "Initialising", "InitWait", "Initialised",
                                     "Connected", "Closing",      "Closed"};
    return state < 7 ? names[state] : "another one";
}

} // namespace

/* blkif.h, "State Transitions": the frontend's half, as Linux's xen-blkfront does it. */
void Blkfront::connect(const char *vbd)
{
    find_backend(vbd);
    xenstore.watch(StorePath(backend_.text, "state").text);
    expect(XenbusStateInitWait);
    allocate();
    negotiate();
    expect(XenbusStateConnected);
    learn();
    set_state(XenbusStateConnected);
}

void Blkfront::find_backend(const char *vbd)
{
    StorePath path("device/vbd", vbd);
    memcpy(frontend_, path.text, sizeof frontend_);
    if (!xenstore.read(StorePath(frontend_, "backend").text, backend_))
        fail(frontend_, " names no backend");
    backend_domain_ =
        static_cast<domid_t>(xenstore.number(StorePath(frontend_, "backend-id").text, 0));
    handle_ =
        static_cast<blkif_vdev_t>(xenstore.number(StorePath(frontend_, "virtual-device").text, 0));
}

void Blkfront::allocate()
{
    ring_ = reinterpret_cast<blkif_sring *>(&ring_page);
    memset(ring_, 0, kPageSize);
    /* ring.h, SHARED_RING_INIT: tell each other from the first one on. */
    ring_->req_event = ring_->rsp_event = 1;
    req_prod_ = rsp_cons_ = 0;
    ring_grant_ = grants.grant(backend_domain_, ring_page, Access::ReadWrite);
    port_ = events.allocate(backend_domain_);
}

/*
 * blkif.h, "Frontend XenBus Nodes". No ring-page-order: that is for a backend with
 * max-ring-page-order, and for more than one page. In a transaction, so that the backend sees all
 * of it or nothing.
 */
void Blkfront::negotiate()
{
    xenstore.begin();
    xenstore.write(StorePath(frontend_, "ring-ref").text, Decimal(ring_grant_).text);
    xenstore.write(StorePath(frontend_, "event-channel").text, Decimal(port_).text);
    xenstore.write(StorePath(frontend_, "protocol").text, XEN_IO_PROTO_ABI_X86_64);
    xenstore.commit();
    set_state(XenbusStateInitialised);
}

/* blkif.h, "Backend XenBus Nodes": those that count once it is Connected. */
void Blkfront::learn()
{
    sectors_ = xenstore.number(StorePath(backend_.text, "sectors").text, 0);
    sector_size_ =
        static_cast<uint32_t>(xenstore.number(StorePath(backend_.text, "sector-size").text, 512));
    can_flush_ = xenstore.number(StorePath(backend_.text, "feature-flush-cache").text, 0);
}

void Blkfront::set_state(XenbusState state)
{
    xenstore.write(StorePath(frontend_, "state").text, Decimal(state).text);
}

/* Sleeps until the backend has a state. A watch fires once when it is set and then at each change.
 */
void Blkfront::expect(XenbusState wanted)
{
    StorePath path(backend_.text, "state");
    unsigned long state = xenstore.number(path.text, XenbusStateUnknown);
    while (state != wanted) {
        if (!wait_until([] { return xenstore.changed(); }, kSeconds))
            fail("the backend is ", state_name(state), " and not ", state_name(wanted));
        state = xenstore.number(path.text, XenbusStateUnknown);
    }
}

uint32_t Blkfront::submit(uint8_t operation, uint64_t sector, const Piece *pieces,
                          uint32_t nr_pieces)
{
    uint32_t slot = 0;
    while (slot < kEntries && request_[slot].in_flight)
        slot++;
    if (slot == kEntries || nr_pieces > kMaxPieces)
        fail("a request that does not fit");
    request_[slot] = {};
    request_[slot].in_flight = true;
    request_[slot].operation = operation;
    stage(slot, sector, pieces, nr_pieces);
    publish();
    return slot;
}

/* Writes the request into the ring's next entry, where the backend does not look yet. */
void Blkfront::stage(uint32_t slot, uint64_t sector, const Piece *pieces, uint32_t nr_pieces)
{
    Request &request = request_[slot];
    blkif_request entry{};
    entry.operation = request.operation;
    entry.nr_segments = static_cast<uint8_t>(nr_pieces);
    entry.handle = handle_;
    entry.id = slot;
    entry.sector_number = sector;
    for (uint32_t i = 0; i < nr_pieces; i++) {
        /* A backend writes to memory when it reads from a disk. */
        Access access = request.operation == BLKIF_OP_READ ? Access::ReadWrite : Access::ReadOnly;
        grant_ref_t grant = grants.grant(backend_domain_, *pieces[i].page, access);
        request.grant[request.nr_grants++] = grant;
        entry.seg[i] = {grant, pieces[i].first, pieces[i].last};
    }
    ring_->ring[req_prod_ % kEntries].req = entry;
    req_prod_++;
}

/* ring.h, RING_PUSH_REQUESTS_AND_CHECK_NOTIFY. Here a debugger sees each request leave. */
[[gnu::noinline]] void Blkfront::publish()
{
    uint32_t old = ring_->req_prod;
    /* Partner: the backend's barrier after its load of req_prod. It sees the entry, too. */
    fence_release();
    store(ring_->req_prod, req_prod_);
    /* Partner: the backend's barrier between its store to req_event and its last look at req_prod.
     * Either it sees our request there, or we see its req_event here and send an event. */
    fence_full();
    if (req_prod_ - load(ring_->req_event) < req_prod_ - old)
        events.notify(port_);
}

void Blkfront::wait(uint32_t request)
{
    bool came = wait_until(
        [&] {
            take_responses();
            return !request_[request].in_flight;
        },
        kSeconds);
    if (!came)
        fail("no response to request ", request);
}

/* ring.h, RING_FINAL_CHECK_FOR_RESPONSES around a loop over what is there. */
void Blkfront::take_responses()
{
    for (;;) {
        uint32_t prod = load(ring_->rsp_prod);
        /* Partner: the backend's barrier between its responses and its store to rsp_prod. */
        fence_acquire();
        if (prod - rsp_cons_ > req_prod_ - rsp_cons_)
            fail("the backend answers more than it was asked");
        while (rsp_cons_ != prod) {
            /* A copy: what was checked cannot change any more. */
            blkif_response response;
            memcpy(&response, &ring_->ring[rsp_cons_ % kEntries].rsp, sizeof response);
            rsp_cons_++;
            answered(response);
        }
        store(ring_->rsp_event, rsp_cons_ + 1);
        /* Partner: the backend's barrier between its store to rsp_prod and its load of rsp_event.
         */
        fence_full();
        if (load(ring_->rsp_prod) == rsp_cons_)
            return;
    }
}

/* The data is ours to look at only after the grants were taken back. */
void Blkfront::answered(const blkif_response &response)
{
    if (response.id >= kEntries || !request_[response.id].in_flight)
        fail("the backend answers request ", response.id, ", which it was not asked");
    Request &request = request_[response.id];
    if (response.operation != request.operation || response.status != BLKIF_RSP_OKAY)
        fail("operation ", request.operation, " got status ", static_cast<int>(response.status));
    while (request.nr_grants)
        grants.end(request.grant[--request.nr_grants]);
    request.in_flight = false;
}

/* blkif.h: the backend lets go of ring and port between Closing and Closed, and not before. */
void Blkfront::close()
{
    set_state(XenbusStateClosing);
    expect(XenbusStateClosing);
    set_state(XenbusStateClosed);
    expect(XenbusStateClosed);
    xenstore.unwatch(StorePath(backend_.text, "state").text);
    grants.end(ring_grant_);
    events.close(port_);
}
