/* SPDX-License-Identifier: MIT */
/*
 * A backend without scruples, for the target `front`. follow() and serve() do
 * what an honest one would do next; everything else is a single act that a
 * hostile one is able to do: nodes, rings, pages, events. It keeps to Xen's own
 * rules only (a page is touched while it is mapped). As long as nothing was
 * scribbled over, it checks what every backend relies on, by rules of its own:
 * BlockBack's are not asked.
 */
#pragma once

#include "input.h"
#include "support/raw_back.h"

#include <set>
#include <vector>

namespace pvblk::fuzz
{

/* What a backend says of itself in its nodes, and what it then does of it. */
struct Offer {
    uint32_t queues{1}, order{0}, indirect{0};
    bool persistent{false}, barrier{false}, flush{true}, secure{false};
    /* To flush, barrier and discard, whatever was offered. */
    RspStatus to_features{RspStatus::Okay};

    /* Bits: 0 and 1 the queues, 2 to 4 the order, 5 indirect requests, 6
     * persistent grants, 7 barriers, 8 no flush, 9 secure discard, 10 and 11
     * the answer to features. 0: the simplest. */
    static Offer of(uint32_t bits);
};

class HostileBack final : public RawBack
{
public:
    using RawBack::RawBack;

    /* All nodes of an honest backend, and InitWait. */
    void publish();
    void publish_nodes();
    /* The next step of the handshake, whatever the frontend's state asks for. */
    void follow();
    /* Unmap the rings and close our ends of the event channels; what
     * persistent grants have mapped may stay. */
    void leave(bool keep);

    /* Copy up to `n` requests from each ring. */
    void take(uint32_t n);
    /* Do what taken request `i` asks for, and answer it. */
    void serve(size_t i);
    /* Answer it with anything; wrong: see the switch. */
    void answer(size_t i, int16_t status, uint32_t wrong, uint32_t number);
    void send_event(uint32_t queue) { (void)hub.back_events.notify(queue % kMaxQueues); }
    void send_events();

    /* Hold pages of taken request `i`, or of any grant, until release(). */
    void hold(size_t i, bool readonly);
    void hold_any(uint32_t ref, bool readonly);
    void scribble_page(size_t m, uint32_t at, uint8_t value);
    void release(size_t m);
    void release_all();

    void store_index(uint32_t queue, uint32_t field, uint32_t value);
    void scribble_ring(uint32_t queue, uint32_t at, const std::string &bytes);

    size_t taken() const { return taken_.size(); }
    bool has_ring() const { return !rings_.empty(); }
    uint64_t kept_hits() const { return kept_hits_; }

    Offer offer{};
    uint32_t sector_size{kSectorSize};
    bool device_units{false};
    uint64_t attaches{0}, indirect{0}, barriers{0};
    /* Answers of "okay" to requests that waited for one. */
    uint64_t okays{0};
    /* A ring holds what no backend wrote by its rules: nothing can be said of
     * what the frontend makes of it. */
    bool scribbled{false};
    /* The same of the nodes: nobody knows what was offered. */
    bool tampered{false};

private:
    struct Held {
        GrantRef ref{};
        std::byte *page{nullptr};
        bool readonly{false};
    };
    struct Taken {
        uint32_t queue{0};
        WireRequest req{};
        std::vector<WireSegment> segments{};
        bool answered{false};
    };
    /* Of one ring. */
    struct Traffic {
        uint64_t copied{0}, pushed{0};
    };

    bool is_ring(const std::byte *page) const;
    /* We wrote what we had no right to: a ring there holds what it may. */
    void spoil(const std::byte *page);
    void check_nodes() const;
    void join();
    void take_from(uint32_t queue, uint32_t n);
    void push(uint32_t queue, const WireResponse &rsp);
    void check_request(const Taken &t) const;
    void check_segments(const Taken &t) const;
    bool transfer(const Taken &t);
    Op answer_op(const WireRequest &req) const;
    uint32_t unit() const { return device_units ? sector_size : kSectorSize; }

    Offer most_{};      /* that was ever offered */
    bool poked_{false}; /* we changed a page that may hold a list */
    std::set<const std::byte *> spoiled_{};
    std::vector<Traffic> traffic_{};
    std::vector<Taken> taken_{};
    std::vector<Held> held_{};
};

} // namespace pvblk::fuzz
