/* SPDX-License-Identifier: MIT */
/* The runner: see runner.h. */
#include "runner.h"

#include "registry.h"

#include <algorithm>
#include <array>
#include <bit>

namespace pvblk::conformance
{

namespace
{

/* Sectors that are compared after each case, at the start and at the end of the
 * disk; cases write there. */
constexpr uint64_t kGuarded = 256;
/* Where the READ and WRITE go that show that a backend goes on. */
constexpr uint64_t kProbe = kGuarded + 64;
constexpr uint64_t kLeast = 4 * kGuarded;
/* Sectors of a request of as many whole pages as a direct one has. */
constexpr uint64_t kStride = kMaxDirectSegments * 8;

/* How many of these pages there are from this sector on. */
uint32_t pages_from(uint64_t sector, uint64_t sectors)
{
    return static_cast<uint32_t>(std::min<uint64_t>(kMaxDirectSegments, (sectors - sector) / 8));
}

} // namespace

const char *axis_suffix(Axis a)
{
    switch (a) {
    case kAbi: return "~x86_32";
    case kPages: return "~pages";
    case kQueues: return "~queues";
    case kPersistent: return "~persistent";
    default: return "";
    }
}

std::string Play::id() const
{
    return std::string(what->id) + axis_suffix(axis);
}

Runner::Runner(std::vector<Domain *> domains, RunnerOptions options) : options_(std::move(options))
{
    for (Domain *d : domains)
        seats_.push_back({std::make_unique<Bench>(*d, log_, options_.patience)});
}

/* ---- before the cases ----------------------------------------------------------- */

std::string Runner::prepare()
{
    for (Seat &seat : seats_) {
        std::string problem = prepare(seat, &seat == &seats_[0]);
        if (!problem.empty() && seat.bench->could_not())
            problem = "the suite cannot work with " + seat.bench->domain.frontend() + ": " +
                      seat.bench->trouble();
        if (!problem.empty() && &seat == &seats_[0])
            return problem;
        seat.problem = problem;
    }
    return "";
}

std::string Runner::prepare(Seat &seat, bool first)
{
    Bench &b = *seat.bench;
    std::string where = b.domain.frontend();
    b.start_case();
    if (!b.begin())
        return "the backend of " + where + " does not come to InitWait, its state is " +
               xenbus_state_name(b.front.their_state()) + ": is another frontend using this vbd?";
    if (!b.connect(Shape{}))
        return "the backend of " + where + " does not connect: " + b.seen() + b.trouble();
    seat.has = b.offer().has() | b.domain.abilities();
    if (b.offer().sectors < kLeast)
        return "the disk of " + where + " is too small: the suite needs " +
               std::to_string(kLeast * kSectorSize / 1024) + " KiB";
    if (first && b.offer().readonly)
        return "the disk of " + where + " is read-only: name a writable one first";
    if (b.offer().readonly) {
        (void)b.close();
        return "";
    }
    constexpr uint64_t kMostRead = uint64_t{8} << 21; /* 8 GiB */
    if (!options_.allow_writes && b.offer().sectors > kMostRead)
        return "the disk of " + where +
               " has more than 8 GiB, and the suite reads all of a disk to see that it is empty; "
               "give it a small one, or --allow-writes";
    /* Nothing but zeros is ours to overwrite. */
    for (uint64_t s = 0; s < b.offer().sectors && !options_.allow_writes && !b.failed();
         s += kStride) {
        uint32_t pages = pages_from(s, b.offer().sectors);
        if (!pages)
            break;
        WireRequest r = b.request(Op::Read, s, pages);
        b.poison(r); /* an answer without data is no zeros */
        b.expect(b.ask(r), {{Outcome::Okay, "blkif:op"}});
        for (uint32_t i = 0; i < pages && !b.failed(); i++)
            if (std::any_of(b.page(i), b.page(i) + kPageSize,
                            [](std::byte x) { return x != std::byte{}; }))
                return "the disk of " + where +
                       " holds data: the suite writes to its disk; "
                       "give it an empty one, or --allow-writes";
    }
    write_guarded(b);
    if (b.failed())
        return "the backend of " + where + " cannot write: expected " + b.expected() + ", saw " +
               b.seen() + b.trouble();
    (void)b.close();
    return "";
}

const Runner::Seat *Runner::seat_for(uint32_t needs) const
{
    constexpr uint32_t kSpecial = kNeedsReadOnly | kNeedsLargeSectors;
    const Seat *near = nullptr; /* lacks something else */
    for (const Seat &seat : seats_) {
        bool wanted = (seat.has & kSpecial) == (needs & kSpecial);
        if (!seat.problem.empty() || (!wanted && (needs & kSpecial || &seat != &seats_[0])))
            continue;
        if (missing_need(needs, seat.has).empty())
            return &seat;
        near = near ? near : &seat;
    }
    return near;
}

Runner::Seat *Runner::seat_for(uint32_t needs)
{
    return const_cast<Seat *>(std::as_const(*this).seat_for(needs));
}

/* Why disks that the user named are not used. */
std::string Runner::unusable() const
{
    std::string all;
    for (const Seat &seat : seats_)
        if (!seat.problem.empty())
            all += "; " + seat.problem;
    return all;
}

std::vector<Runner::Planned> Runner::plan(const std::vector<const Case *> &cases) const
{
    std::vector<Planned> all;
    for (const Case *c : cases) {
        const Seat *seat = seat_for(c->needs);
        std::string skip;
        if (!seat)
            skip = std::string(c->needs & kNeedsReadOnly ? "needs a read-only vbd"
                                                         : "needs a vbd of 4096-byte sectors") +
                   unusable();
        else if (auto lacks = missing_need(c->needs, seat->has); !lacks.empty())
            skip = "needs " + std::string(lacks);
        all.push_back({{c, kPlain}, skip});
        for (Axis axis : {kAbi, kPages, kQueues, kPersistent}) {
            if (!(c->axes & axis) || !skip.empty())
                continue;
            uint32_t need = axis == kPages        ? kNeedsPages
                            : axis == kQueues     ? kNeedsQueues
                            : axis == kPersistent ? kNeedsPersistent
                                                  : kNothing;
            auto lacks = missing_need(need, seat->has);
            all.push_back({{c, axis}, lacks.empty() ? "" : "needs " + std::string(lacks)});
        }
    }
    return all;
}

/* ---- a case ------------------------------------------------------------------------ */

CaseResult Runner::not_played(const Planned &p, const std::string &why)
{
    CaseResult r;
    r.id = p.play.id();
    describe(r, *p.play.what);
    r.verdict = p.skip.empty() ? Verdict::Inconclusive : Verdict::Skip;
    r.why = p.skip.empty() ? why : p.skip;
    return r;
}

bool Runner::time_is_over() const
{
    return std::chrono::steady_clock::now() >= options_.until;
}

void Runner::run(const std::vector<Planned> &plan, const std::function<void(const Play &)> &begins,
                 const std::function<void(CaseResult)> &ended)
{
    for (const Planned &p : plan) {
        CaseResult r =
            not_played(p, wedged_by_.empty() ? "the time limit was over before the case"
                                             : "the backend is wedged since " + wedged_by_);
        if (p.skip.empty() && wedged_by_.empty() && !time_is_over()) {
            play(p.play, r, begins);
        }
        ended(std::move(r));
    }
}

void Runner::play(const Play &p, CaseResult &r, const std::function<void(const Play &)> &begins)
{
    for (uint32_t i = 0; i < options_.repeat; i++) {
        if (i && time_is_over()) {
            r.verdict = Verdict::Inconclusive;
            r.why = "the time limit was over after " + std::to_string(i) + " repetitions";
            return;
        }
        begins(p); /* whoever watches the time gives it to each repetition */
        play(p, *seat_for(p.what->needs), r);
        if (r.verdict != Verdict::Pass)
            return;
    }
}

namespace
{

Shape shape_of(Axis axis, const Offer &offer)
{
    Shape s;
    switch (axis) {
    case kAbi: s.abi = Abi::X86_32; break;
    case kPages: s.pages = 1u << offer.order; break;
    case kQueues: s.queues = std::min(offer.queues, 4u); break;
    case kPersistent: s.persistent = true; break;
    default: break;
    }
    return s;
}

} // namespace

void Runner::play(const Play &p, Seat &seat, CaseResult &r)
{
    const Case &c = *p.what;
    Bench &b = *seat.bench;
    auto begun = b.domain.now();
    log_.begin(begun);
    b.start_case();
    b.front.forget_requests();
    b.shape(shape_of(p.axis, b.offer()));
    if (!b.begin())
        b.cannot(
            std::string("the backend does not come to InitWait before the case, its state is ") +
            xenbus_state_name(b.front.their_state()));
    if (c.start == Start::Connected)
        (void)b.connect();
    if (!b.failed())
        c.body(b);
    judge_body(b, r);
    judge_state(c, b, r);
    b.end_case();
    r.took = std::chrono::duration_cast<std::chrono::milliseconds>(b.domain.now() - begun);
    if (r.verdict != Verdict::Pass)
        r.happened.assign(log_.kept().begin(), log_.kept().end());
}

void Runner::judge_body(Bench &b, CaseResult &r)
{
    r.seen = b.seen();
    r.expected = b.expected();
    r.why = b.trouble();
    r.verdict = b.has_failed()  ? Verdict::Fail
                : b.could_not() ? Verdict::Inconclusive
                                : Verdict::Pass;
}

/* A WRITE, and a READ of it. */
bool Runner::goes_on(Bench &b)
{
    b.expect(b.front.free() > 0, "requests are answered",
             "a ring full of requests without an answer");
    if (b.offer().readonly) {
        b.expect(b.ask(b.request(Op::Read, kProbe)), {{Outcome::Okay, "blkif:op"}});
    } else {
        b.write(kProbe);
        b.read(kProbe);
    }
    return !b.failed();
}

void Runner::write_guarded(Bench &b)
{
    uint64_t end = b.offer().sectors - kGuarded;
    for (uint64_t s = 0; s < kGuarded; s += 64) {
        b.write(s, 8);
        b.write(end + s, 8);
    }
}

/* Where the case left it open what the disk holds, the next case could change it unseen. */
void Runner::guard_again(Bench &b)
{
    uint64_t end = b.offer().sectors - kGuarded;
    for (uint64_t s = 0; s < kGuarded; s += 64)
        for (uint64_t at : {s, end + s})
            if (!b.disk().knows(Sector(at), 64))
                b.write(at, 8);
}

bool Runner::rest_is_untouched(Bench &b)
{
    constexpr uint32_t kPages = 8, kSectors = kPages * 8;
    uint64_t end = b.offer().sectors - kGuarded;
    /* Four requests at a time: an event and its answer are most of the way. */
    for (uint64_t s = 0; s < kGuarded && !b.failed(); s += 2 * kSectors) {
        std::array<WireRequest, 4> reads;
        for (uint32_t i = 0; i < reads.size(); i++)
            reads[i] =
                b.request(Op::Read, (i / 2 ? end : 0) + s + i % 2 * kSectors, kPages, i * kPages);
        for (const WireRequest &r : reads) {
            b.poison(r);
            b.send(r);
        }
        for (const WireRequest &r : reads) {
            b.expect(b.answer(r), {{Outcome::Okay, "blkif:op"}});
            if (!b.failed())
                b.compare(r);
        }
    }
    return !b.failed();
}

void Runner::judge_state(const Case &c, Bench &b, CaseResult &r)
{
    auto fail = [&r](const std::string &expected, const std::string &seen) {
        if (r.verdict != Verdict::Pass)
            return;
        r.verdict = Verdict::Fail;
        r.expected = expected;
        r.seen = seen;
    };
    /* The suite's own trouble says nothing of the backend. */
    auto undecided = [&] {
        if (b.could_not() && r.verdict == Verdict::Pass) {
            r.verdict = Verdict::Inconclusive;
            r.why = "the suite cannot see the state after the case: " + b.trouble();
        }
        return b.could_not();
    };
    b.start_case();
    b.domain.release();
    /* A ring that may legally halt would answer nothing, for as long as we wait. */
    bool same = b.connected() && b.front.queues() && c.after == After::GoesOn;
    /* All these sectors take long to read. After READs alone, the next look finds what changed. */
    bool read_alone = b.front.asked_reads_alone();
    bool good = same && goes_on(b);
    if (same && !good && !undecided())
        fail("a READ and a WRITE on the same connection go on",
             "expected " + b.expected() + ", saw " + b.seen());
    if (!good) {
        b.start_case();
        good = b.begin() && b.connect(Shape{}) && goes_on(b);
        if (!good && undecided()) {
            (void)b.close();
            return;
        }
        if (!good) {
            r.why = "after the case, not even a new connection works: " +
                    (b.failed() ? "expected " + b.expected() + ", saw " + b.seen()
                                : std::string("the backend's state is ") +
                                      xenbus_state_name(b.front.their_state()));
            r.verdict = Verdict::Wedged;
            b.start_case();
            if (!b.domain.revive() || !b.begin())
                wedged_by_ = r.id;
            return;
        }
    }
    if (!b.offer().readonly && !read_alone && !rest_is_untouched(b) && !undecided()) {
        fail("nothing on the disk changes that no request asked for", b.seen());
        /* The next case is not to blame. */
        b.start_case();
        write_guarded(b);
    }
    if (!b.offer().readonly) {
        guard_again(b);
        if (b.failed() && !undecided())
            fail("the sectors that the case may have changed can be written",
                 "expected " + b.expected() + ", saw " + b.seen());
    }
    if (!b.close() && !undecided())
        fail("the backend closes",
             std::string("its state is ") + xenbus_state_name(b.front.their_state()));
    b.start_case();
    uint32_t mapped = b.domain.abilities() & kSeesMaps ? b.domain.mapped() : 0;
    if (mapped)
        fail("a closed backend has no page mapped", std::to_string(mapped) + " pages are mapped");
}

void Runner::clean_up()
{
    /* A disk that was not empty is the user's to throw away. */
    if (options_.allow_writes)
        return;
    for (Seat &seat : seats_) {
        Bench &b = *seat.bench;
        if (!seat.problem.empty() || b.offer().readonly || !wedged_by_.empty())
            continue;
        b.start_case();
        if (!b.begin() || !b.connect(Shape{}))
            continue;
        for (uint32_t i = 0; i < kMaxDirectSegments; i++)
            std::fill_n(b.page(i), kPageSize, std::byte{});
        for (uint64_t s = 0; s < b.offer().sectors && !b.failed(); s += kStride)
            if (uint32_t pages = pages_from(s, b.offer().sectors))
                (void)b.ask(b.request(Op::Write, s, pages));
        (void)b.close();
    }
}

} // namespace pvblk::conformance
