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

#include "support/rig.h"

#include <map>
#include <set>

namespace pvblk
{

using ScriptNodes = std::map<std::string, std::string>;

class ScriptBack
{
public:
    static constexpr uint64_t kSectors = 8192;

    struct Seen {
        uint32_t queue;
        WireRequest req;
        std::vector<WireSegment> segments;
    };

    ScriptBack(LoopbackHub &hub, ScriptNodes offered)
        : nodes(std::move(offered)), disk(kSectors * kSectorSize), hub_(hub)
    {
        nodes.insert({{"sectors", std::to_string(kSectors)},
                      {"sector-size", "512"},
                      {"info", "0"},
                      {"mode", "w"}});
        hub_.back = {[this](uint32_t q) { return serve(q), false; }, [this] { follow(); }};
    }
    ~ScriptBack()
    {
        disconnect();
        let_go();
        hub_.back = {};
        hub_.back_store.unwatch();
    }

    void start()
    {
        publish();
        (void)hub_.back_store.watch(hub_.config.frontend_path);
    }
    /* Gone without a word; start() brings it back. */
    void vanish()
    {
        disconnect();
        let_go();
        hub_.back_store.unwatch();
        hub_.back_store.remove(hub_.config.backend_path);
    }
    /* The nodes of now, and Connected once more, as after a resize. */
    void refresh()
    {
        publish_nodes();
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
        for (uint32_t q = 0; q < rings_.size(); q++)
            push(q);
    }
    size_t held() const { return held_.size(); }
    /* Unmap what the persistent grants kept mapped. */
    void let_go()
    {
        for (auto [ref, page] : kept_)
            hub_.grants.unmap(GrantRef(ref), page);
        kept_.clear();
    }
    SharedRing &shared(uint32_t queue) { return rings_[queue].shared; }
    void push_raw(uint32_t queue, const WireResponse &rsp)
    {
        rings_[queue].ring.stage(rsp);
        push(queue);
    }

    /* ---- what it saw ---- */
    size_t queues() const { return rings_.size(); }
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
    struct Mapped {
        GrantRef ref;
        std::byte *page;
    };
    struct Ring {
        std::vector<Mapped> pages;
        SharedRing shared;
        BackRing<SharedRing> ring;
    };

    std::string front(const std::string &name) const
    {
        return hub_.node(hub_.config.frontend_path + "/" + name);
    }
    uint32_t number(const std::string &name, uint32_t fallback = 0) const
    {
        std::string text = front(name);
        return text.empty() ? fallback : static_cast<uint32_t>(std::stoul(text));
    }
    void publish_nodes()
    {
        for (const auto &[name, value] : nodes)
            hub_.put_node(hub_.config.backend_path + "/" + name, value);
    }
    void publish()
    {
        hub_.back_store.remove(hub_.config.backend_path);
        publish_nodes();
        set_state(XenbusState::InitWait);
    }
    void set_state(XenbusState s)
    {
        state_ = s;
        hub_.put_node(hub_.config.backend_path + "/state",
                      std::to_string(static_cast<uint32_t>(s)));
    }
    void follow()
    {
        uint32_t theirs = number("state");
        if (theirs == 1 && state_ == XenbusState::Closed)
            publish();
        if (theirs == 3 && state_ == XenbusState::InitWait && connect()) {
            for (const auto &[name, value] : late)
                hub_.put_node(hub_.config.backend_path + "/" + name, value);
            set_state(XenbusState::Connected);
        }
        if (theirs == 5 && state_ != XenbusState::Closing)
            set_state(XenbusState::Closing);
        if (theirs == 6 && state_ != XenbusState::Closed) {
            disconnect();
            if (!keep_mapped)
                let_go();
            set_state(XenbusState::Closed);
        }
    }
    bool connect()
    {
        uint32_t queues = number("multi-queue-num-queues", 1);
        bool many = hub_.has_node(hub_.config.frontend_path + "/ring-page-order");
        uint32_t pages = many ? 1u << number("ring-page-order") : 1;
        EXPECT_EQ(number("num-ring-pages", 1), pages) << "the two schemes disagree";
        Abi abi = front("protocol") == abi_name(Abi::X86_32) ? Abi::X86_32 : Abi::X86_64;
        persistent_ = number("feature-persistent") == 1;
        rings_.resize(queues);
        events.assign(queues, 0);
        connects++;
        for (uint32_t q = 0; q < queues; q++) {
            std::string dir = queues > 1 ? "queue-" + std::to_string(q) + "/" : "";
            std::array<std::byte *, kMaxRingPages> at{};
            for (uint32_t i = 0; i < pages; i++) {
                GrantRef ref(number(dir + "ring-ref" + (many ? std::to_string(i) : "")));
                auto page = hub_.grants.map(ref, false);
                if (!page)
                    return ADD_FAILURE() << "ring page " << i << " of queue " << q, false;
                at[i] = page.value();
                rings_[q].pages.push_back({ref, at[i]});
            }
            rings_[q].shared = SharedRing(abi, at, pages);
            rings_[q].ring = BackRing<SharedRing>(rings_[q].shared);
            if (!hub_.back_events.bind(q, Port(number(dir + "event-channel"))))
                return ADD_FAILURE() << "event channel of queue " << q, false;
        }
        return true;
    }
    void disconnect()
    {
        for (uint32_t q = 0; q < rings_.size(); q++) {
            hub_.back_events.unbind(q);
            for (const Mapped &m : rings_[q].pages)
                hub_.grants.unmap(m.ref, m.page);
        }
        rings_.clear();
        held_.clear();
    }

    void serve(uint32_t q)
    {
        if (q >= rings_.size())
            return;
        events[q]++;
        BackRing<SharedRing> &ring = rings_[q].ring;
        for (;;) {
            auto n = ring.requests();
            if (n && n.value() == 0)
                n = ring.rearm();
            if (!n || n.value() == 0)
                break;
            Seen s{q, ring.take(), {}};
            list(s);
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
            (void)hub_.back_events.notify(q);
    }

    /* The request's segments, wherever they are. */
    void list(Seen &s)
    {
        const WireRequest &r = s.req;
        if (r.op != Op::Indirect) {
            uint32_t n = r.op == Op::Discard ? 0 : r.nr_segments;
            s.segments.assign(r.seg.begin(), r.seg.begin() + n);
            return;
        }
        s.segments.resize(r.nr_indirect_segments);
        EXPECT_GT(r.nr_indirect_segments, kMaxDirectSegments) << "fits into a direct one";
        for (uint32_t i = 0; i < indirect_pages(r.nr_indirect_segments); i++) {
            uint32_t from = i * kSegmentsPerPage;
            uint32_t n = std::min(r.nr_indirect_segments - from, kSegmentsPerPage);
            if (std::byte *page = map(r.indirect[i], true)) {
                get_segments(page, {s.segments.data() + from, n});
                unmap(r.indirect[i], page);
            }
        }
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
        bool ok = true;
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
    std::byte *map(GrantRef ref, bool readonly)
    {
        if (auto it = kept_.find(ref.value); it != kept_.end())
            return it->second;
        auto page = hub_.grants.map(ref, readonly && !persistent_);
        if (!page)
            return nullptr;
        if (persistent_)
            kept_[ref.value] = page.value();
        return page.value();
    }
    void unmap(GrantRef ref, std::byte *page)
    {
        if (!kept_.count(ref.value))
            hub_.grants.unmap(ref, page);
    }

    LoopbackHub &hub_;
    XenbusState state_{XenbusState::Unknown};
    bool persistent_{false};
    std::vector<Ring> rings_;
    std::deque<Seen> held_;
    std::map<uint32_t, std::byte *> kept_;
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
