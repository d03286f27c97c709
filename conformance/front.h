/* SPDX-License-Identifier: MIT */
/*
 * A frontend by hand, for the suite: it does what it is told, and nothing on its
 * own. Its nodes and rings are an honest frontend's until a case bends them.
 * Everything that it does, and all that the backend answers, goes to the log.
 */
#pragma once

#include "domain.h"
#include "log.h"
#include "proto/ring.h"
#include "pvblk/xenbus.h"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pvblk::conformance
{

/* What a frontend says of its rings in its nodes. */
struct Shape {
    /* Of the two ways to announce several pages (blkif.h, note 3). */
    enum class Scheme : uint8_t { Both, Order, Pages };

    Abi abi{Abi::X86_64};
    uint32_t queues{1};
    uint32_t pages{1}; /* of each ring */
    bool persistent{false};
    Scheme scheme{Scheme::Both};
};

class Front
{
public:
    Front(Domain &domain, Log &log);
    ~Front() { drop_rings(); }

    /* ---- nodes: ours, and the backend's */
    /* A node that XenStore refuses is the suite's own trouble: see trouble(). */
    void node(const std::string &name, const std::string &value);
    void remove(const std::string &name);
    void state(XenbusState s);
    std::optional<std::string> theirs(const std::string &name);
    /* 0 if it is missing or no number. */
    uint64_t number(const std::string &name);
    XenbusState their_state();
    std::optional<std::string> ours(const std::string &name);
    /* Our state, as we wrote it last. */
    const std::string &our_state() const { return our_state_; }

    /* ---- rings */
    /* Pages, event channels and nodes of rings of this shape; the state stays. The
     * indices of both ends begin at `begin`. */
    Status make_rings(const Shape &shape, RingIndex begin = {});
    /* The same in steps, for a case that leaves one out. */
    Status share_rings(const Shape &shape, RingIndex begin = {});
    void announce(const Shape &shape);
    void name_ring(const Shape &shape, uint32_t queue);
    /* Removes all nodes but the state that we wrote, or at first all that an
     * earlier frontend may have written. */
    void forget_nodes();
    void drop_rings();
    uint32_t queues() const { return static_cast<uint32_t>(rings_.size()); }

    /* ---- requests and answers */
    RequestId next_id() { return RequestId(++ids_ * 0x1'0000'0001); }
    uint32_t size(uint32_t queue = 0) const { return of(queue).ring.size(); }
    uint32_t free(uint32_t queue = 0) const { return of(queue).ring.free(); }
    void stage(const WireRequest &req, uint32_t queue = 0);
    /* Returns whether the backend asked for an event; sends none. */
    bool publish(uint32_t queue = 0);
    void notify(uint32_t queue = 0);
    /* The next answer, if there is one. */
    std::optional<WireResponse> take(uint32_t queue = 0);
    /* Asks for an event at the next answer; true: one is there already. */
    bool rearm(uint32_t queue = 0);
    /* Responses that nobody asked for, or an index that lies: the backend's fault. */
    bool overrun(uint32_t queue = 0) const { return !of(queue).ring.responses().ok(); }

    /* ---- the rings' memory, for lies */
    RingIndex index(SringField f, uint32_t queue = 0) const { return of(queue).shared.load(f); }
    void index(SringField f, RingIndex i, uint32_t queue = 0);
    /* Bytes of the ring's page: offset 0 is req_prod. */
    std::byte *memory(uint32_t queue = 0)
    {
        asked_reads_alone_ = false;
        return of(queue).pages[0].at;
    }
    SharedPage &ring_page(uint32_t queue = 0, uint32_t i = 0)
    {
        asked_reads_alone_ = false;
        return of(queue).pages[i];
    }
    /* Since forget_requests(), the rings held nothing but READs, made by stage(). */
    bool asked_reads_alone() const { return asked_reads_alone_; }
    void forget_requests() { asked_reads_alone_ = true; }
    Port port(uint32_t queue = 0) const { return of(queue).port; }
    Abi abi() const { return shape_.abi; }
    const Shape &shape() const { return shape_; }
    /* A page that nobody shares. If pages or rings could not be made, what a body does
     * before it ends leads here. */
    SharedPage &nowhere() { return spare_.pages[0]; }

    /* The first of our own calls that failed since clear_trouble(), as a sentence: "" if
     * none did. */
    const std::string &trouble() const { return trouble_; }
    void clear_trouble() { trouble_.clear(); }

    void say(Lane lane, std::string what) { log_.add(domain_.now(), lane, std::move(what)); }

private:
    struct Ring {
        std::vector<SharedPage> pages{};
        SharedRing shared{};
        FrontRing<SharedRing> ring{};
        Port port{};
    };
    /* The spare one for a ring that does not exist. */
    Ring &of(uint32_t queue) { return queue < rings_.size() ? rings_[queue] : spare_; }
    const Ring &of(uint32_t queue) const { return queue < rings_.size() ? rings_[queue] : spare_; }
    std::string directory(const Shape &shape, uint32_t queue) const;
    void note(const std::string &what, const Status &status);

    Domain &domain_;
    Log &log_;
    Shape shape_{};
    std::vector<Ring> rings_{};
    std::set<std::string> nodes_{}; /* that may be there */
    std::string our_state_{};
    std::vector<std::byte> nowhere_;
    Ring spare_{};
    uint64_t ids_{0};
    std::string trouble_{};
    bool asked_reads_alone_{true};
};

/* For reports. */
std::string describe(const WireRequest &req);
std::string describe(const WireResponse &rsp);
std::string status_name(int16_t status);

} // namespace pvblk::conformance
