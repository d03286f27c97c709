/* SPDX-License-Identifier: MIT */
/*
 * A backend without scruples, for the target `front`. follow() and serve() do
 * what an honest one would do next; everything else is a single act that a
 * hostile one is able to do: nodes, rings, pages, events. It keeps to Xen's own
 * rules only (a page is touched while it is mapped).
 */
#pragma once

#include "input.h"
#include "pvblk/loopback.h"

#include <map>
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

class RawBack
{
public:
    explicit RawBack(LoopbackHub &h) : hub(h) {}
    RawBack(const RawBack &) = delete;
    RawBack &operator=(const RawBack &) = delete;

    /* All nodes of an honest backend, and InitWait. */
    void publish();
    void publish_nodes();
    void node(const std::string &name, const std::string &value);
    void remove(const std::string &name);
    void state(XenbusState s) { node("state", std::to_string(static_cast<int>(s))); }
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

    /* Pages of taken request `i`, kept mapped until unmap(). */
    void map(size_t i, bool readonly);
    void map_any(uint32_t ref, bool readonly);
    void scribble_page(size_t m, uint32_t at, uint8_t value);
    void unmap(size_t m);
    void unmap_all();

    void store_index(uint32_t queue, uint32_t field, uint32_t value);
    void scribble_ring(uint32_t queue, uint32_t at, const std::string &bytes);

    size_t taken() const { return taken_.size(); }
    bool has_ring() const { return !rings_.empty(); }
    uint32_t rings() const { return static_cast<uint32_t>(rings_.size()); }

    LoopbackHub &hub;
    Offer offer{};
    uint32_t sector_size{kSectorSize};
    bool device_units{false};
    uint64_t attaches{0}, indirect{0}, barriers{0}, kept_hits{0};
    /* Answers of "okay" to requests that waited for one. */
    uint64_t okays{0};
    /* A ring holds what no backend wrote by its rules: nothing can be said of
     * what the frontend makes of it. */
    bool scribbled{false};
    /* The same of the nodes: nobody knows what was offered. */
    bool tampered{false};

private:
    struct Mapping {
        GrantRef ref{};
        std::byte *page{nullptr};
        bool readonly{false};
        bool is_ring{false};
    };
    struct Taken {
        uint32_t queue{0};
        WireRequest req{};
        std::vector<WireSegment> segments{};
        bool answered{false};
    };
    struct Ring {
        std::vector<Mapping> pages{};
        SharedRing shared{};
        BackRing<SharedRing> ring{};
        uint64_t copied{0}, pushed{0};
    };

    std::optional<uint64_t> front_number(const std::string &name) const;
    bool names_ring(uint32_t ref) const;
    void attach();
    bool attach_ring(uint32_t queue, const std::string &dir, uint32_t pages);
    void take_from(uint32_t queue, uint32_t n);
    void read_list(Taken &t);
    void push(uint32_t queue, const WireResponse &rsp);
    void check_request(const Taken &t) const;
    void check_segments(const Taken &t) const;
    bool transfer(const Taken &t);
    std::byte *map_page(GrantRef ref, bool readonly);
    void unmap_page(GrantRef ref, std::byte *page);
    Op answer_op(const WireRequest &req) const;
    uint32_t unit() const { return device_units ? sector_size : kSectorSize; }

    Offer most_{}; /* that was ever offered */
    bool persistent_{false};
    bool poked_{false}; /* we changed a page that may hold a list */
    std::vector<Ring> rings_{};
    std::vector<Taken> taken_{};
    std::vector<Mapping> mapped_{};
    std::map<uint32_t, std::byte *> kept_{}; /* grant reference → page */
};

} // namespace pvblk::fuzz
