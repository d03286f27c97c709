/* SPDX-License-Identifier: MIT */
/*
 * A minimal backend that offers whatever nodes a test gives it, and does what
 * a frontend then makes of them: rings of several pages, several queues,
 * indirect requests, persistent grants, barriers, secure discards. Honest and
 * trusting; what it saw is kept for the test to look at, and a status, the
 * operation of an answer or the time of it can be bent.
 *
 *     ScriptRig r({.max_ring_pages = 4}, {{"max-ring-page-order", "2"}});
 *     r.connect();
 *     EXPECT_EQ(r.rig.write(8, 4), IoStatus::Ok);
 *     EXPECT_TRUE(r.disk_is(8, 4, seed));
 */
#pragma once

#include "support/raw_back.h"
#include "support/rig.h"

#include <map>
#include <set>

namespace pvblk
{

using ScriptNodes = std::map<std::string, std::string>;

class ScriptBack final : public RawBack
{
public:
    static constexpr uint64_t kSectors = 8192;

    struct Seen {
        uint32_t queue;
        WireRequest req;
        std::vector<WireSegment> segments;
    };

    ScriptBack(LoopbackHub &h, ScriptNodes offered)
        : RawBack(h), nodes(std::move(offered)), disk(kSectors * kSectorSize)
    {
        nodes.insert({{"sectors", std::to_string(kSectors)},
                      {"sector-size", "512"},
                      {"info", "0"},
                      {"mode", "w"}});
        hub.back = {[this](uint32_t q) { return serve(q), false; }, [this] { follow(); }};
    }
    ~ScriptBack()
    {
        disconnect();
        let_go();
        hub.back = {};
        hub.back_store.unwatch();
    }

    void start()
    {
        publish();
        (void)hub.back_store.watch(hub.config.frontend_path);
    }
    /* Gone without a word; start() brings it back. */
    void vanish()
    {
        disconnect();
        let_go();
        hub.back_store.unwatch();
        remove("");
    }
    /* The nodes of now, and Connected once more, as after a resize. */
    void refresh()
    {
        publish_nodes(nodes);
        set_state(XenbusState::Connected);
    }

    /* ---- bending ---- */
    std::function<std::optional<int16_t>(const WireRequest &)> answer;
    bool outer_op{false};    /* answer an indirect request with Op::Indirect */
    bool hold{false};        /* requests are kept for release() */
    bool keep_mapped{false}; /* kept grants stay mapped over a disconnect */
    void release()
    {
        std::deque<Seen> held;
        held.swap(held_);
        for (const Seen &s : held)
            perform(s);
        for (uint32_t q = 0; q < queues(); q++)
            push(q);
    }
    size_t held() const { return held_.size(); }
    void push_raw(uint32_t queue, const WireResponse &rsp)
    {
        rings_[queue].ring.stage(rsp);
        push(queue);
    }

    /* ---- what it saw ---- */
    uint32_t ring_pages(uint32_t q) const { return static_cast<uint32_t>(rings_[q].pages.size()); }
    uint64_t count(Op op) const
    {
        return static_cast<uint64_t>(std::count_if(seen.begin(), seen.end(),
                                                   [op](const Seen &s) { return s.req.op == op; }));
    }
    size_t mapped_for_good() const { return kept_.size(); }

    ScriptNodes nodes;
    ScriptNodes late; /* what they become when it connects */
    std::vector<std::byte> disk;
    std::vector<Seen> seen;
    /* Whole pages, as they were when the backend first looked. */
    std::vector<std::vector<std::byte>> pages_seen;
    std::set<uint32_t> refs_seen; /* of data */
    uint64_t flushes{0}, discards{0}, secure_discards{0}, failures{0}, connects{0};
    std::vector<uint64_t> events; /* by queue */

private:
    void publish_nodes(const ScriptNodes &all)
    {
        for (const auto &[name, value] : all)
            node(name, value);
    }
    void publish()
    {
        remove("");
        publish_nodes(nodes);
        set_state(XenbusState::InitWait);
    }
    void set_state(XenbusState s)
    {
        state_ = s;
        state(s);
    }
    void follow()
    {
        auto theirs = static_cast<XenbusState>(front_number("state").value_or(0));
        if (theirs == XenbusState::Initialising && state_ == XenbusState::Closed)
            publish();
        if (theirs == XenbusState::Initialised && state_ == XenbusState::InitWait && connect()) {
            publish_nodes(late);
            set_state(XenbusState::Connected);
        }
        if (theirs == XenbusState::Closing && state_ != XenbusState::Closing)
            set_state(XenbusState::Closing);
        if (theirs == XenbusState::Closed && state_ != XenbusState::Closed) {
            disconnect();
            if (!keep_mapped)
                let_go();
            set_state(XenbusState::Closed);
        }
    }
    bool connect()
    {
        if (!attach())
            return ADD_FAILURE() << "a ring cannot be mapped", false;
        uint64_t announced = front_number("num-ring-pages").value_or(1);
        for (const Ring &r : rings_) {
            EXPECT_TRUE(r.bound) << "event channel of a ring";
            EXPECT_EQ(r.pages.size(), announced) << "the two schemes disagree";
        }
        events.assign(queues(), 0);
        connects++;
        return true;
    }
    void disconnect()
    {
        detach();
        held_.clear();
    }

    void serve(uint32_t q)
    {
        if (q >= queues())
            return;
        events[q]++;
        BackRing<SharedRing> &ring = rings_[q].ring;
        for (;;) {
            auto n = ring.requests();
            if (n && n.value() == 0)
                n = ring.rearm();
            if (!n || n.value() == 0)
                break;
            WireRequest req = ring.take();
            if (req.op == Op::Indirect) {
                EXPECT_GT(req.nr_indirect_segments, kMaxDirectSegments) << "fits into a direct one";
            }
            Seen s{q, req, segments_of(req)};
            seen.push_back(s);
            if (hold)
                held_.push_back(s);
            else
                perform(s);
        }
        push(q);
    }
    void push(uint32_t q)
    {
        if (rings_[q].ring.staged() && rings_[q].ring.publish())
            (void)hub.back_events.notify(q);
    }

    void perform(const Seen &s)
    {
        const WireRequest &r = s.req;
        auto status = answer ? answer(r) : std::nullopt;
        if (!status)
            status = static_cast<int16_t>(work(s) ? RspStatus::Okay : RspStatus::Error);
        Op op = r.op == Op::Indirect && !outer_op ? r.indirect_op : r.op;
        rings_[s.queue].ring.stage({r.id, op, *status});
    }
    bool work(const Seen &s)
    {
        const WireRequest &r = s.req;
        Op op = r.op == Op::Indirect ? r.indirect_op : r.op;
        if (op == Op::Discard) {
            (r.nr_segments & kDiscardSecure ? secure_discards : discards)++;
            return true;
        }
        flushes += op == Op::FlushDiskcache || op == Op::WriteBarrier;
        uint64_t at = r.sector * kSectorSize;
        bool ok = r.op != Op::Indirect || !s.segments.empty();
        for (const WireSegment &seg : s.segments) {
            uint64_t n = (seg.last_sect - seg.first_sect + 1u) * kSectorSize;
            std::byte *page = map(seg.gref, op != Op::Read);
            ok &= page && at + n <= disk.size();
            if (ok) {
                refs_seen.insert(seg.gref.value);
                pages_seen.emplace_back(page, page + kPageSize);
                std::byte *data = page + seg.first_sect * kSectorSize;
                std::memcpy(op == Op::Read ? data : &disk[at], op == Op::Read ? &disk[at] : data,
                            n);
                at += n;
            }
            if (page)
                unmap(seg.gref, page);
        }
        failures += !ok;
        return ok;
    }

    XenbusState state_{XenbusState::Unknown};
    std::deque<Seen> held_;
};

/* A rig whose backend is a ScriptBack. */
class ScriptRig
{
public:
    explicit ScriptRig(FrontPolicy policy, ScriptNodes nodes, RigSetup setup = {})
        : rig(with(policy, std::move(setup))), back(rig.hub, std::move(nodes))
    {
    }
    static RigSetup with(const FrontPolicy &policy, RigSetup setup)
    {
        setup.front.policy = policy;
        setup.front.max_requests = std::max(setup.front.max_requests, 2048u);
        setup.hub.grants = std::max(setup.hub.grants, BlockFront::wanted_grants(policy));
        setup.hub.private_pages =
            std::max(setup.hub.private_pages, BlockFront::wanted_pages(policy));
        return setup;
    }
    void connect()
    {
        back.start();
        ASSERT_TRUE(rig.new_front()) << rig.refusal.what;
        rig.front->start();
        rig.hub.run();
        ASSERT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    }
    void reconnect()
    {
        rig.front->reconnect();
        rig.hub.run();
        ASSERT_EQ(rig.front->state(), FrontState::Connected) << rig.front_state();
    }
    bool disk_is(uint64_t sector, uint64_t sectors, uint32_t seed) const
    {
        return has_pattern(back.disk.data() + sector * kSectorSize, sectors * kSectorSize, seed);
    }
    void fill_disk(uint64_t sector, uint64_t sectors, uint32_t seed)
    {
        fill_pattern(back.disk.data() + sector * kSectorSize, sectors * kSectorSize, seed);
    }
    /* A megabyte there and back, in pieces of `sectors`, over all queues. */
    void check_data(uint64_t sectors)
    {
        constexpr uint64_t kAll = 2048;
        std::vector<size_t> ids;
        auto round = [&](IoKind kind) {
            ids.clear();
            for (uint64_t at = 0; at + sectors <= kAll; at += sectors) {
                IoRequest r = rig.request(kind, at, sectors, at * kSectorSize);
                r.queue = static_cast<uint32_t>(at / sectors);
                ids.push_back(rig.submit(r));
            }
            rig.pump();
            for (size_t id : ids)
                ASSERT_EQ(rig.result(id), IoStatus::Ok) << rig.front_state();
        };
        uint64_t all = kAll / sectors * sectors;
        rig.fill_guest(0, all * kSectorSize, 3);
        round(IoKind::Write);
        EXPECT_TRUE(disk_is(0, all, 3));
        fill_disk(0, all, 4);
        round(IoKind::Read);
        EXPECT_TRUE(rig.guest_is(0, all * kSectorSize, 4));
        EXPECT_EQ(back.failures, 0u);
    }

    Rig rig;
    ScriptBack back;
};

} // namespace pvblk
