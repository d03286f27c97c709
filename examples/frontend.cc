/* SPDX-License-Identifier: MIT */
/* See frontend.h. */
#include "frontend.h"

#include <atomic>
#include <cstring>

namespace example
{

using namespace pvblk;

constexpr uint32_t kRingGrant = 0, kDataGrant = 1;
constexpr uint32_t kEntries = 32; /* of 112 bytes each, a power of two, on a page of 4 KiB */

struct Frontend::Response {
    uint64_t id;
    uint8_t operation;
    int16_t status;
};

/* blkif_sring of an x86_64 frontend. */
struct Frontend::Ring {
    struct Request {
        uint8_t operation, segments;
        uint16_t handle;
        uint64_t id, sector;
        struct {
            uint32_t grant;
            uint8_t first, last; /* sectors of its page */
        } segment[11];
    };
    uint32_t req_prod, req_event, rsp_prod, rsp_event;
    uint8_t pad[48];
    union {
        Request request;
        Response response;
    } entry[kEntries];
};

Frontend::Frontend(const FrontPorts &ports, std::string path)
    : ports_(ports), path_(std::move(path)),
      ring_(reinterpret_cast<Ring *>(ports_.memory.page(PageIndex(0))))
{
    static_assert(sizeof(Ring::Request) == 112 && sizeof(Ring) <= kPageSize);
    std::memset(static_cast<void *>(ring_), 0, kPageSize);
    ring_->req_event = ring_->rsp_event = 1;
}

Frontend::~Frontend()
{
    if (!open_)
        return;
    ports_.events.close(0);
    (void)ports_.grants.revoke(kRingGrant);
}

bool Frontend::write(const char *node, const std::string &value)
{
    return ports_.store.write(path_ + "/" + node, value).ok();
}

bool Frontend::announce()
{
    auto port = ports_.events.open(0);
    if (!port || !ports_.grants.grant_page(kRingGrant, PageIndex(0), false))
        return false;
    open_ = true;
    return write("protocol", "x86_64-abi") &&
           write("ring-ref", std::to_string(ports_.grants.ref(kRingGrant).value)) &&
           write("event-channel", std::to_string(port.value().value)) && write("state", "3");
}

void Frontend::connected()
{
    (void)write("state", "4");
}

void Frontend::read(uint64_t sector, Gfn frame)
{
    outcome_ = Outcome::Waiting;
    if (!ports_.grants.grant_frame(kDataGrant, frame, false))
        return void(outcome_ = Outcome::Failed);
    Ring::Request &r = ring_->entry[produced_ % kEntries].request;
    r = {};
    r.segments = 1;
    r.id = ++id_;
    r.sector = sector;
    r.segment[0].grant = ports_.grants.ref(kDataGrant).value;
    /* Before the producer. Partner: the backend's read barrier after it. */
    std::atomic_ref(ring_->req_prod).store(++produced_, std::memory_order_release);
    (void)ports_.events.notify(0);
}

void Frontend::event()
{
    while (take_answers() && more_came())
        ;
}

/* Whether there were any. None: rsp_event asks for the next one already. */
bool Frontend::take_answers()
{
    uint32_t produced = std::atomic_ref(ring_->rsp_prod).load(std::memory_order_acquire);
    if (produced - consumed_ > produced_ - consumed_) { /* ring.h RING_RESPONSE_PROD_OVERFLOW */
        outcome_ = Outcome::Refused;
        return false;
    }
    bool any = consumed_ != produced;
    while (consumed_ != produced) {
        Response copy = ring_->entry[consumed_++ % kEntries].response;
        answer(copy);
    }
    return any;
}

/* Asks for an event with the next response, and looks whether that came before
 * the backend could see it: then it sends none. ring.h
 * RING_FINAL_CHECK_FOR_RESPONSES. */
bool Frontend::more_came()
{
    std::atomic_ref(ring_->rsp_event).store(consumed_ + 1, std::memory_order_relaxed);
    /* Partner: the backend's full barrier between its store of rsp_prod and its
     * load of rsp_event (ring.h RING_PUSH_RESPONSES_AND_CHECK_NOTIFY). Whichever
     * comes first, one of the two sees what the other stored. */
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return std::atomic_ref(ring_->rsp_prod).load(std::memory_order_relaxed) != consumed_;
}

void Frontend::answer(const Response &response)
{
    if (response.id != id_ || response.operation != 0)
        return void(outcome_ = Outcome::Refused);
    /* XSA-396: a page that is still mapped is not ours to look at. */
    if (!ports_.grants.revoke(kDataGrant))
        return void(outcome_ = Outcome::Refused);
    outcome_ = response.status == 0 ? Outcome::Done : Outcome::Failed;
}

} // namespace example
