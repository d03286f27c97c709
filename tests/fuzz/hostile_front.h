/* SPDX-License-Identifier: MIT */
/*
 * A frontend without scruples, for the target `back`. connect(), stage() and
 * publish() do what an honest one does; the rest is what a hostile one is able
 * to do to the rings, its grants, its lists of segments and its nodes.
 *
 * It keeps a book of what it asked for, one a ring: each answer has to be to a
 * request that waits for one there, with its operation, and with the status
 * that judge() says. The book of a ring is closed once it holds what no
 * frontend writes by its rules; all are by spoil(): the backend may be on
 * other rings.
 */
#pragma once

#include "input.h"
#include "support/raw_front.h"

#include <bitset>
#include <vector>

namespace pvblk::fuzz
{

/* What an answer has to be. Any: the request may be served or refused. */
enum class Expect : uint8_t { Okay, Refusal, Any };

/* Bits: 0 the ABI, 1 and 2 the queues, 3 and 4 the pages, 5 and 6 the scheme,
 * 7 persistent grants. 0: the simplest. */
FrontShape shape_of(uint32_t bits);

class HostileFront final : public RawFront
{
public:
    static constexpr uint64_t kMaxSectors = 640;
    /* Grants of guest frames: the first may be written, others only read. In
     * the last frames are the segments of indirect requests. */
    static constexpr uint32_t kWritable = 24, kDataFrames = 32, kLists = 4,
                              kFrames = kDataFrames + kLists;
    static constexpr uint32_t kRingPages = 24;

    HostileFront(LoopbackHub &hub, const BackConfig &disk);
    ~HostileFront();

    void state(XenbusState s) { write_state(s); }
    /* Leave the rings that there are, as closing asks for. */
    void close();
    /* Set up new rings and name them in our nodes; Initialised comes next. */
    void set_up(const FrontShape &shape);

    /* Put a request on a ring; it waits for an answer from publish() on. */
    void stage(const WireRequest &req, uint32_t queue);
    void publish(uint32_t queue, bool notify);
    /* What the step describes; wrong: see the switch in hostile_front.cc. */
    WireRequest request(const Step &s);
    /* `quiet`: no event is on its way any more. */
    void take_answers(bool quiet);

    uint32_t queues() const { return static_cast<uint32_t>(rings_.size()); }
    void grant(uint32_t i, bool other_access);
    void revoke(uint32_t i);
    void write_frame(uint32_t frame, uint32_t at, uint8_t value);
    void store_index(uint32_t queue, uint32_t field, uint32_t value);
    void move_index(uint32_t queue, uint32_t field, uint32_t by);
    void scribble_ring(uint32_t queue, uint32_t at, const std::string &bytes);
    /* From now on, answers to what waits may be anything. */
    void doubt();
    void forget();

    /* Of the rings whose books are open. */
    size_t waiting() const;
    /* Nobody asked to write there. */
    bool untouched(uint64_t sector) const { return sector >= kMaxSectors || !touched_[sector]; }
    uint32_t any_ring_ref() const { return hub_.grants.ref(kRingGrant).value; }
    uint32_t any_port() const { return rings_.empty() ? 0 : rings_[0].port.value; }

    /* From now on nobody keeps a book of these rings, nor of the disk. */
    void spoil();
    bool strange{false}; /* of the disk there is no book any more */
    uint64_t okays{0}, refusals{0}, published{0};

private:
    static constexpr uint32_t kRingGrant = 300;
    enum class Use : uint8_t { Free, Open, Ended };
    struct Grant {
        Use use{Use::Free};
        bool readonly{false};
    };
    struct Waiting {
        WireRequest req{};
        Expect expect{Expect::Any};
    };
    /* Indices of its own: FrontRing would refuse what is done here. */
    struct Ring : Area {
        RingIndex prod{}, shown{}, cons{};
        bool event_lost{false};
        bool woken{false}; /* by an event */
        bool scribbled{false};
        std::vector<WireRequest> staged{};
        std::vector<Waiting> waiting{};
    };

    /* hostile_front.cc: what it does */
    Ring *ring(uint32_t queue);
    bool add_ring(uint32_t queue, const FrontShape &shape);
    void give(uint32_t i);
    void fill_segments(WireRequest &req, const Step &s);
    void fill_list(WireRequest &req, std::span<const WireSegment> segments);
    void bend(WireRequest &req, const Step &s);
    void bend_segment(WireRequest &req, const Step &s);
    std::byte *list_frame(GrantRef ref) const;
    void list_changes();

    /* hostile_front_book.cc: what has to come of it */
    uint32_t unit() const;
    Expect judge(const WireRequest &req) const;
    Expect judge_data(const WireRequest &req, std::span<const WireSegment> segments) const;
    Expect judge_indirect(const WireRequest &req) const;
    Expect judge_discard(const WireRequest &req) const;
    Expect judge_grant(GrantRef ref, bool write) const;
    bool in_range(uint64_t sector, uint64_t sectors) const;
    void touch(const WireRequest &req);
    void answered(Ring &ring, const WireResponse &rsp);
    void take_answers(Ring &ring, bool quiet);

    const BackConfig &disk_;
    bool persistent_{false}; /* agreed upon */
    uint32_t next_list_{0};
    std::vector<Grant> grants_{};
    std::vector<Ring> rings_{};
    std::bitset<kMaxSectors> touched_{};
};

} // namespace pvblk::fuzz
