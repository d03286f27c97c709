/* SPDX-License-Identifier: MIT */
/*
 * The templates of ring.h under Relacy: a frontend and a backend in two
 * threads, every interleaving and every value that C++11 lets a load return
 * (within the limit that model.h names), or as many as were asked for:
 *
 *   - no slot is used by both sides without an order (a data race);
 *   - nobody sleeps while there is something to take (a deadlock);
 *   - each request and each response arrives once, in order;
 *   - no event is sent that was not asked for.
 *
 *     ring_proof SCENARIO full|random|bound [LIMIT [SIDE FAULT]]
 *
 * LIMIT is the number of interleavings, or of preemptions for `bound`. The last
 * line says how many interleavings there were and what was found; the exit
 * status is 0 if nothing was, 1 if something was, 2 for words it does not know.
 */
#include "model.h"

#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <string_view>

namespace pvblk::proof
{
namespace
{

/* The indices wrap between the first request and the second. */
constexpr RingIndex kStart(0xffffffff);

/* How large a scenario is; set once, before Relacy starts. */
struct Size {
    uint32_t entries, total, batch;
};
Size size;

/* What all scenarios have: two rings on one area, two event channels, and how
 * often each was asked for and used. */
struct Pair {
    Area area;
    FrontRing<ModelShared<Side::Front>> front;
    BackRing<ModelShared<Side::Back>> back;
    EventChannel to_back, to_front;
    uint32_t back_rearmed{0}, back_notified{0}, front_rearmed{0}, front_notified{0};

    void open()
    {
        area.init(size.entries, kStart);
        front = decltype(front)(ModelShared<Side::Front>(area), kStart);
        back = decltype(back)(ModelShared<Side::Back>(area), kStart);
        to_back.open();
        to_front.open();
    }

    void close()
    {
        /* Armed once from the beginning, and by each rearm(). */
        RL_ASSERT(back_notified <= back_rearmed + 1);
        RL_ASSERT(front_notified <= front_rearmed + 1);
        to_back.close();
        to_front.close();
    }

    void stage_request(uint64_t id)
    {
        WireRequest req;
        req.id = RequestId(id);
        front.stage(req);
    }
    void publish_requests()
    {
        if (!front.publish())
            return;
        back_notified++;
        to_back.notify();
    }
    void stage_response(uint64_t id)
    {
        WireResponse rsp;
        rsp.id = RequestId(id);
        back.stage(rsp);
    }
    void publish_responses()
    {
        if (!back.publish())
            return;
        front_notified++;
        to_front.notify();
    }

    /* The consumers' loop of front_io.cc and back.cc: 0 means armed, sleep. */
    uint32_t requests()
    {
        auto n = back.requests();
        if (n && n.value() == 0) {
            back_rearmed++;
            n = back.rearm();
        }
        RL_ASSERT(n.ok());
        return n.value();
    }
    uint32_t responses()
    {
        auto n = front.responses();
        if (n && n.value() == 0) {
            front_rearmed++;
            n = front.rearm();
        }
        RL_ASSERT(n.ok());
        return n.value();
    }
};

/* Requests in batches; the backend takes them and sleeps in between. */
struct Requests : rl::test_suite<Requests, 2> {
    Pair pair;

    void before() { pair.open(); }
    void after() { pair.close(); }
    void thread(unsigned index) { index ? take() : send(); }

    void send()
    {
        for (uint32_t id = 0; id < size.total;) {
            for (uint32_t i = 0; i < size.batch && id < size.total; i++)
                pair.stage_request(id++);
            pair.publish_requests();
        }
    }
    void take()
    {
        uint32_t taken = 0;
        while (taken < size.total) {
            uint32_t n = pair.requests();
            if (n == 0)
                pair.to_back.wait();
            while (n--)
                RL_ASSERT(pair.back.take().id == RequestId(taken++));
        }
    }
};

/* The reverse: all requests were taken before; their responses come in batches. */
struct Responses : rl::test_suite<Responses, 2> {
    Pair pair;

    void before()
    {
        pair.open();
        for (uint32_t id = 0; id < size.total; id++)
            pair.stage_request(id);
        pair.front.publish();
        for (uint32_t n = pair.back.requests().value(); n--;)
            pair.back.take();
    }
    void after() { pair.close(); }
    void thread(unsigned index) { index ? take() : send(); }

    void send()
    {
        for (uint32_t id = 0; id < size.total;) {
            for (uint32_t i = 0; i < size.batch && id < size.total; i++)
                pair.stage_response(id++);
            pair.publish_responses();
        }
    }
    void take()
    {
        uint32_t taken = 0;
        while (taken < size.total) {
            uint32_t n = pair.responses();
            if (n == 0)
                pair.to_front.wait();
            while (n--)
                RL_ASSERT(pair.front.take().id == RequestId(taken++));
        }
    }
};

/* Both directions at once, with more requests than slots: a slot carries a
 * request, its response, and the next request. Both sides sleep. Each request and
 * each response is published singly, so that the sides do not run in step. */
struct RoundTrip : rl::test_suite<RoundTrip, 2> {
    Pair pair;

    void before() { pair.open(); }
    void after() { pair.close(); }
    void thread(unsigned index) { index ? serve() : use(); }

    void use()
    {
        uint32_t sent = 0, done = 0;
        for (;;) {
            while (uint32_t n = pair.responses())
                while (n--)
                    RL_ASSERT(pair.front.take().id == RequestId(done++));
            while (sent < size.total && pair.front.free()) {
                pair.stage_request(sent++);
                pair.publish_requests();
            }
            if (done == size.total)
                return;
            pair.to_front.wait();
        }
    }
    void serve()
    {
        uint32_t served = 0;
        for (;;) {
            while (uint32_t n = pair.requests())
                while (n--) {
                    uint64_t id = pair.back.take().id.value;
                    RL_ASSERT(id == served++);
                    pair.stage_response(id);
                    pair.publish_responses();
                }
            if (served == size.total)
                return;
            pair.to_back.wait();
        }
    }
};

struct Scenario {
    std::string_view name;
    bool (*simulate)(rl::test_params &);
    Size size;
};
constexpr Scenario kScenarios[] = {
    {"requests-2", rl::simulate<Requests>, {4, 2, 1}},
    {"requests-3", rl::simulate<Requests>, {4, 3, 2}},
    {"requests-4", rl::simulate<Requests>, {4, 4, 1}},
    {"responses-2", rl::simulate<Responses>, {4, 2, 1}},
    {"responses-3", rl::simulate<Responses>, {4, 3, 2}},
    {"responses-4", rl::simulate<Responses>, {4, 4, 1}},
    {"round-trip", rl::simulate<RoundTrip>, {1, 1, 1}},
    {"round-trip-1-slot", rl::simulate<RoundTrip>, {1, 3, 1}},
    {"round-trip-2-slots", rl::simulate<RoundTrip>, {2, 5, 1}},
};

struct NamedFault {
    std::string_view name;
    Fault fault;
};
constexpr NamedFault kFaults[] = {
    {"no-full-fence", Fault::NoFullFence},
    {"weak-full-fence", Fault::WeakFullFence},
    {"no-acquire-fence", Fault::NoAcquireFence},
    {"no-release-fence", Fault::NoReleaseFence},
    {"no-rearm", Fault::NoRearm},
};

bool set_search(rl::test_params &params, std::string_view name, const char *limit)
{
    unsigned long n = limit ? std::strtoul(limit, nullptr, 10) : 0;
    if (name == "full")
        params.search_type = rl::sched_full;
    else if (name == "random")
        params.search_type = rl::sched_random, params.iteration_count = n;
    else if (name == "bound")
        params.search_type = rl::sched_bound, params.context_bound = static_cast<unsigned>(n);
    else
        return false;
    return name == "full" || n > 0;
}

bool set_fault(std::string_view side, std::string_view name)
{
    if (side != "front" && side != "back")
        return false;
    faulty_side = side == "front" ? Side::Front : Side::Back;
    for (const NamedFault &f : kFaults)
        if (f.name == name)
            fault = f.fault;
    return fault != Fault::None;
}

int run(const Scenario &scenario, rl::test_params &params)
{
    size = scenario.size;
    std::ostream nowhere(nullptr);
    params.progress_stream = &nowhere;
    bool good = scenario.simulate(params);
    std::printf("%s: %s, %llu interleavings, %s\n", scenario.name.data(),
                rl::format(params.search_type),
                static_cast<unsigned long long>(params.stop_iteration),
                rl::test_result_str(params.test_result));
    return good ? 0 : 1;
}

int command(int argc, char **argv)
{
    rl::test_params params;
    if (argc < 3 || !set_search(params, argv[2], argc > 3 ? argv[3] : nullptr))
        return 2;
    if (argc > 4 && (argc != 6 || !set_fault(argv[4], argv[5])))
        return 2;
    for (const Scenario &scenario : kScenarios)
        if (scenario.name == argv[1])
            return run(scenario, params);
    return 2;
}

} // namespace
} // namespace pvblk::proof

int main(int argc, char **argv)
{
    return pvblk::proof::command(argc, argv);
}
