/* SPDX-License-Identifier: MIT */
/*
 * Each fault plan that docs/ gives as an example is obeyed by a backend here,
 * and what the text beside it says is seen from a frontend: a hand-made one
 * where it is about the ring or a node, ours where it is about the load.
 */
#include "support/manual.h"
#include "support/rig_front.h"

#include <map>

namespace
{

using namespace pvblk;

Result<FaultPlan, FaultError> parsed(const std::string &text)
{
    auto plan = FaultPlan::parse(text);
    EXPECT_TRUE(plan) << plan.error().what;
    return plan;
}

RigSetup full()
{
    RigSetup s;
    s.back = BackConfig{};
    s.hub.grants = 1200;
    return s;
}

/* A hand-made frontend, and a backend under a plan. */
struct Hand {
    explicit Hand(const std::string &plan, FrontShape shape = {}, RigSetup setup = full())
        : rig(std::move(setup)), front(rig, shape)
    {
        rig.oracle_matters = false;
        for (uint32_t i = 0; i < kMaxDirectSegments; i++)
            front.grant(i);
        rig.hub.front.event = [this](uint32_t) { events++; };
        rig.obey(plan);
    }
    ~Hand() { rig.hub.front.event = nullptr; }

    std::optional<WireResponse> ask(const WireRequest &r)
    {
        front.send(r);
        rig.hub.run();
        return front.next();
    }
    std::optional<WireResponse> ask(Op op)
    {
        return ask(front.request(op, 0, op == Op::FlushDiskcache ? 0 : 1));
    }
    int status(Op op)
    {
        auto rsp = ask(op);
        return rsp ? rsp->status : INT32_MAX;
    }
    bool connect_again()
    {
        front.new_rings();
        front.state(XenbusState::Initialising);
        return front.connect();
    }
    uint64_t fired(size_t rule) { return rig.back->faults().counters(rule).fired; }
    uint64_t matched(size_t rule) { return rig.back->faults().counters(rule).matched; }

    Rig rig;
    RigFront front;
    uint64_t events{0};
};

/*
 * Our frontend, and reads and writes of a page at each of some places, in turn.
 * A place has one request at a time; what it holds is known unless the last
 * write failed.
 */
class Load
{
public:
    static constexpr uint32_t kPlaces = 32;

    explicit Load(const std::string &plan, RigSetup setup = full()) : rig(std::move(setup))
    {
        rig.oracle_matters = false;
        rig.connect();
        rig.obey(plan);
    }

    /* Until it is true, or nothing comes of it. */
    template <class Condition>
    bool until(Condition condition, uint32_t steps = 100'000)
    {
        for (uint32_t i = 0; i < steps && !condition(); i++)
            step();
        return condition();
    }
    void step()
    {
        Place &p = place_[step_ % kPlaces];
        uint32_t at = step_++ % kPlaces;
        if (!is_over(at))
            return rig.pump();
        IoKind kind = step_ / kPlaces % 2 ? IoKind::Write : IoKind::Read;
        p.kind = kind;
        p.seed = step_;
        if (kind == IoKind::Write)
            rig.fill_guest(at * kPageSize, kPageSize, p.seed);
        Intake intake = rig.offer(rig.request(kind, at * 8, 8, at * kPageSize));
        if (intake.verdict == Verdict::Accepted)
            p.id = rig.owner.results.size() - 1;
        rig.pump();
    }
    /* The place's request, if it has one, is completed; what it did is noted. */
    bool is_over(uint32_t at)
    {
        Place &p = place_[at];
        if (!p.id)
            return true;
        auto result = rig.result(*p.id);
        if (!result)
            return false;
        p.id.reset();
        (*result == IoStatus::Ok ? done : failed)++;
        if (p.kind == IoKind::Write)
            p.holds = *result == IoStatus::Ok ? std::optional(p.seed) : std::nullopt;
        else if (*result == IoStatus::Ok && p.holds) {
            EXPECT_TRUE(rig.guest_is(at * kPageSize, kPageSize, *p.holds)) << "at place " << at;
        }
        return true;
    }
    bool all_over()
    {
        bool over = true;
        for (uint32_t i = 0; i < kPlaces; i++)
            over = is_over(i) && over;
        return over;
    }
    uint64_t fired(size_t rule) { return rig.back->faults().counters(rule).fired; }
    uint64_t matched(size_t rule) { return rig.back->faults().counters(rule).matched; }

    Rig rig;
    uint64_t done{0}, failed{0};

private:
    struct Place {
        std::optional<size_t> id{};
        IoKind kind{IoKind::Read};
        uint32_t seed{0};
        std::optional<uint32_t> holds{};
    };
    std::array<Place, kPlaces> place_{};
    uint32_t step_{0};
};

/* So many of `all` as a probability of `percent` gives, give or take a third. */
void expect_share(uint64_t part, uint64_t all, double percent)
{
    double wanted = static_cast<double>(all) * percent / 100;
    EXPECT_GT(static_cast<double>(part), wanted * 0.66) << "of " << all;
    EXPECT_LT(static_cast<double>(part), wanted * 1.34) << "of " << all;
}

/* ---- docs/faults.rst ------------------------------------------------------------------ */

/* "The fourth write is answered with an id of no request", "one event in
 * twenty", "the size of the disk is a lie whenever the backend writes it". */
void three_rules(const std::string &plan)
{
    Hand h(plan);
    ASSERT_TRUE(h.front.connect());
    EXPECT_EQ(h.rig.back_node("sectors"), "99999999999999999999");
    for (int i = 0; i < 8; i++) {
        auto w = h.front.request(Op::Write, 0);
        auto rsp = h.ask(w);
        ASSERT_TRUE(rsp);
        EXPECT_EQ(rsp->id == w.id, i != 3) << "write " << i;
    }
    h.events = 0;
    uint64_t lost = h.fired(1);
    for (int i = 0; i < 2000; i++)
        EXPECT_EQ(h.status(Op::FlushDiskcache), kOkay);
    lost = h.fired(1) - lost;
    EXPECT_EQ(h.events, 2000 - lost);
    expect_share(lost, 2000, 5);
}

/* The plan of "how often". */
void how_often(const std::string &plan)
{
    Hand h(plan);
    EXPECT_FALSE(h.front.connect()) << "the ring is not mapped once";
    ASSERT_TRUE(h.connect_again());
    std::vector<int> flushes;
    std::vector<uint32_t> bent, failed;
    uint32_t reads = 0;
    for (uint32_t i = 0; i < 700; i++) {
        h.front.send(h.front.request(i < 2 ? Op::FlushDiskcache : Op::Read, 0, i < 2 ? 0 : 1));
        h.rig.hub.run();
        uint32_t producer = h.front.shared().load(SringField::RspProd).value;
        if (producer != i + 1) {
            EXPECT_EQ(producer, i + 1 + 32 + 1) << "beyond the ring";
            bent.push_back(i);
            continue;
        }
        while (auto rsp = h.front.next()) {
            if (rsp->op == Op::FlushDiskcache)
                flushes.push_back(rsp->status);
            else if (reads++, rsp->status == -5)
                failed.push_back(reads - 1);
        }
    }
    EXPECT_EQ(reads, 698u);
    EXPECT_EQ(bent, (std::vector<uint32_t>{0, 100, 200, 300, 400})) << "five times";
    EXPECT_EQ(flushes, (std::vector<int>{kNotSupp, kOkay})) << "once";
    ASSERT_EQ(failed.size(), 20u);
    EXPECT_GE(failed[0], 10u);
    EXPECT_GT(failed[19], 35u) << "half of them";
}

/* "Of these two the second never happens." */
void first_wins(const std::string &plan)
{
    Hand h(plan);
    ASSERT_TRUE(h.front.connect());
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(h.status(Op::FlushDiskcache), i == 8 ? INT32_MAX : kOkay) << i;
    EXPECT_EQ(h.fired(0), 1u);
    EXPECT_EQ(h.matched(1), 20u);
    EXPECT_EQ(h.fired(1), 0u);
    EXPECT_EQ(h.rig.back_node("state"), "4");
}

/* "A value may be anything." */
void any_value(const std::string &plan)
{
    Hand h(plan);
    (void)h.rig.back->start();
    EXPECT_EQ(h.rig.back_node("mode"), std::string("\0\"w\"", 4));
}

/* "A flush that is unsupported once and then works, or a feature that is gone
 * when its node is published for the second time, and ever after." */
void unsupported_and_gone(const std::string &plan)
{
    Hand h(plan);
    std::string node = h.rig.hub.config.backend_path + "/feature-discard";
    (void)h.rig.back->start();
    EXPECT_EQ(h.rig.hub.node(node), "1");
    ASSERT_TRUE(h.front.connect());
    for (int i = 0; i < 3; i++) {
        EXPECT_FALSE(h.rig.hub.has_node(node));
        EXPECT_EQ(h.status(Op::FlushDiskcache), i ? kOkay : kNotSupp);
        ASSERT_TRUE(h.connect_again());
    }
}

/* "Closing while requests are in flight …" */
void closing_in_flight(const std::string &plan)
{
    Hand h(plan);
    h.rig.hub.storage.defer = true;
    ASSERT_TRUE(h.front.connect());
    for (int i = 0; i < 20; i++)
        EXPECT_FALSE(h.ask(Op::Read));
    EXPECT_EQ(h.rig.back_node("state"), "4");
    EXPECT_FALSE(h.ask(Op::Read));
    EXPECT_EQ(h.rig.back_node("state"), "5");
    EXPECT_EQ(h.rig.hub.storage.waiting(), 21u);
    h.rig.hub.storage.defer = false;
    h.rig.hub.storage.drain();
    h.rig.hub.run();
    int answered = 0;
    while (h.front.next())
        answered++;
    EXPECT_EQ(answered, 21);
}

/* "… and a backend that dies in the handshake." */
void death_in_handshake(const std::string &plan)
{
    Hand h(plan);
    (void)h.rig.back->start();
    EXPECT_EQ(h.rig.back_node("state"), "2");
    h.front.state(XenbusState::Initialising);
    EXPECT_FALSE(h.rig.hub.has_node(h.rig.hub.config.backend_path + "/state"));
    EXPECT_FALSE(h.rig.hub.has_node(h.rig.hub.config.backend_path + "/sectors"));
}

void closing_and_death(const std::string &plan)
{
    closing_in_flight(plan);
    death_in_handshake(plan);
}

/* "Claims persistent grants and does not keep to them." */
void persistent_in_name(const std::string &plan)
{
    RigSetup setup = full();
    setup.back.persistent = false;
    Hand h(plan, {Abi::X86_64, 1, 1, true}, setup);
    ASSERT_TRUE(h.front.connect());
    EXPECT_EQ(h.rig.back_node("feature-persistent"), "1");
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(h.status(Op::Read), kOkay);
        EXPECT_EQ(h.rig.hub.grants.mapped(), 1u) << "the ring alone";
    }
    /* The same where the backend would keep to them. */
    Hand keeps(plan, {Abi::X86_64, 1, 1, true});
    ASSERT_TRUE(keeps.front.connect());
    EXPECT_EQ(keeps.status(Op::Read), kOkay);
    EXPECT_EQ(keeps.rig.hub.grants.mapped(), 1u);
    EXPECT_EQ(keeps.fired(1), 1u);
}

/* "Everything a bit worse than it should be, for an hour under load." */
void an_hour_under_load(const std::string &plan)
{
    Load load(plan);
    auto all = [&] {
        for (size_t rule = 0; rule < load.rig.back->faults().rules(); rule++)
            if (!load.fired(rule))
                return false;
        return load.matched(0) > 5000;
    };
    EXPECT_TRUE(load.until(all)) << load.rig.front_state();
    expect_share(load.fired(0), load.matched(0), 1);
    expect_share(load.fired(2), load.matched(2), 2);
    EXPECT_GT(load.failed, 0u) << "those that are refused";
    EXPECT_GT(load.done, 50 * load.failed);
    EXPECT_GE(load.rig.front->counters().reconnects, load.fired(4));
    load.rig.obey("");
    load.rig.pump();
    EXPECT_TRUE(load.all_over()) << "a request waits for an honest backend";
}

/* ---- docs/examples -------------------------------------------------------------------- */

/* "One event in twenty is lost, and now and then responses come late: a
 * frontend that hangs relies on an event that it did not ask for, or on
 * order." */
void lost_events(const std::string &plan)
{
    Load load(plan);
    EXPECT_TRUE(load.until([&] { return load.matched(1) >= 3000; })) << load.rig.front_state();
    expect_share(load.fired(0), load.matched(0), 5);
    expect_share(load.fired(1), load.matched(1), 2);
    EXPECT_EQ(load.failed, 0u);
    EXPECT_EQ(load.rig.front->counters().violations, 0u);
    load.rig.obey("");
    load.rig.pump();
    EXPECT_TRUE(load.all_over());
}

/* "The backend starts over while requests are in flight, shrinks its disk, and
 * leaves in the end." */
void flapping(const std::string &plan)
{
    Load load(plan);
    EXPECT_TRUE(load.until([&] { return load.fired(0) == 1; }));
    EXPECT_GT(load.rig.front->counters().requeued, 0u) << "nothing was in flight";
    uint64_t sectors = load.rig.hub.storage.sectors();
    EXPECT_TRUE(load.until([&] { return load.fired(1) == 1; })) << load.rig.front_state();
    EXPECT_EQ(load.rig.back_node("sectors"), std::to_string(sectors - 8));
    EXPECT_TRUE(load.until([&] { return load.fired(2) == 1; })) << load.rig.front_state();
    EXPECT_EQ(load.fired(0), 5u);
    EXPECT_EQ(load.failed, 0u);
    EXPECT_EQ(load.rig.front->counters().reconnects, 6u) << "it did not close";
}

/* "Pages that change after the response, and pages that stay mapped." Our
 * frontend ends access first, sees that it cannot, and does not look at the
 * data. */
void hostile_data(const std::string &plan)
{
    Load load(plan);
    uint64_t broken = 0;
    auto all = [&] {
        if (load.rig.front->state() == FrontState::Broken) {
            broken++;
            EXPECT_NE(load.rig.front_state().find("keeps its page mapped"), std::string::npos);
            load.rig.front->reconnect();
            load.rig.pump();
        }
        return load.fired(0) >= 3 && load.fired(1) == 1;
    };
    EXPECT_TRUE(load.until(all)) << load.rig.front_state();
    EXPECT_EQ(broken, load.fired(0) + load.fired(1));
    EXPECT_GT(load.done, 2000u);
}

struct Example {
    const char *has; /* a line of it that no other plan has */
    void (*see)(const std::string &plan);
};

const Example kExamples[] = {
    {"at respond op=write nth=3: response/unknown-id", three_rules},
    {"at publish every=100 times=5: index/producer-beyond-ring 1", how_often},
    {"at take nth=8: lifecycle/vanish", first_wins},
    {"at publish-node name=mode: store/node-value", any_value},
    {"at publish-node name=feature-discard nth=1 every=1", unsupported_and_gone},
    {"at tick state=InitWait nth=1: lifecycle/vanish", closing_and_death},
    {"at unmap name=data always: grants/persistent-refused", persistent_in_name},
    {"at tick probability=0.001 always: notify/storm 1000", an_hour_under_load},
    {"at notify probability=0.05 always: notify/lost\nat respond", lost_events},
    {"at tick state=Connected nth=5000: lifecycle/closing", flapping},
    {"at unmap name=data nth=500: grants/map-for-ever", hostile_data},
};

TEST(ExamplePlans, EachDoesWhatTheTextBesideItSays)
{
    std::map<const char *, int> seen;
    for (const std::string &text : plans_of_docs(PVBLK_DOCS)) {
        SCOPED_TRACE(text);
        auto plan = parsed(text);
        ASSERT_TRUE(plan);
        const Example *example = nullptr;
        for (const Example &e : kExamples)
            if (plan.value().text().find(e.has) != std::string::npos)
                example = &e;
        ASSERT_NE(example, nullptr) << "nothing here sees what it does";
        EXPECT_EQ(++seen[example->has], 1);
        example->see(text);
    }
    EXPECT_EQ(seen.size(), std::size(kExamples));
}

} // namespace
