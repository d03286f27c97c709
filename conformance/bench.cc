/* SPDX-License-Identifier: MIT */
/* The bench: see bench.h. */
#include "bench.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

namespace pvblk::conformance
{

namespace
{

constexpr std::byte kPoison{0xe7};
constexpr uint32_t kSectorsPerPage = kPageSize / kSectorSize;
/* A list of segments lies on the data pages from here on. */
constexpr uint32_t kListPage = Bench::kDataPages - 2;

/* The first granule from sector 64 on. Its length and its offset are the backend's, and
 * may be any numbers. */
Extent granule_of(uint64_t bytes, uint64_t alignment, uint64_t disk)
{
    uint64_t length = std::max<uint64_t>(bytes / kSectorSize, kSectorsPerPage);
    uint64_t first = alignment / kSectorSize;
    /* So its end is within the disk, and no sum wraps. */
    if (length > disk / 4 || first > disk / 4)
        return {};
    return {first + (64 + length - 1) / length * length, length};
}

/* Such a backend is not asked once more to leave: its old state would be taken for
 * the answer. Linux's is then Closing after all when it looks next, sees neither our
 * Closed nor how we begin anew, and stays so. */
bool has_left(XenbusState theirs)
{
    return theirs == XenbusState::Closing || theirs == XenbusState::Closed;
}

} // namespace

const char *outcome_name(Outcome o)
{
    static constexpr const char *kNames[] = {"OKAY", "ERROR", "EOPNOTSUPP", "no answer",
                                             "a status that does not exist"};
    return kNames[static_cast<uint32_t>(o)];
}

uint32_t Offer::has() const
{
    struct Term {
        bool holds;
        Need need;
    };
    const Term terms[] = {
        {flush, kNeedsFlush},
        {!flush, kNeedsNoFlush},
        {barrier, kNeedsBarrier},
        {!barrier, kNeedsNoBarrier},
        {discard, kNeedsDiscard},
        {!discard, kNeedsNoDiscard},
        {secure, kNeedsSecureDiscard},
        {!secure, kNeedsNoSecureDiscard},
        {indirect > 0, kNeedsIndirect},
        {indirect == 0, kNeedsNoIndirect},
        {indirect > kSegmentsPerPage, kNeedsLongLists},
        {persistent, kNeedsPersistent},
        {!persistent, kNeedsNoPersistent},
        {order > 0, kNeedsPages},
        {order > 0 && ring_pages, kNeedsRingPages},
        {queues > 1, kNeedsQueues},
        {readonly, kNeedsReadOnly},
        {sector_size == kSectorSize, kNeedsSmallSectors},
        {sector_size > kSectorSize, kNeedsLargeSectors},
        {granule.sectors > 0, kNeedsGranules},
    };
    uint32_t n = 0;
    for (const Term &t : terms)
        n |= t.holds ? uint32_t{t.need} : 0;
    return n;
}

Bench::Bench(Domain &d, Log &log, std::chrono::milliseconds patience)
    : domain(d), front(d, log), patience_(patience)
{
}

Bench::~Bench()
{
    if (begun_) /* the next frontend must not take us for one that is there */
        front.state(XenbusState::Closed);
    front.drop_rings();
    for (const SharedPage &page : pages_)
        domain.unshare(page);
}

void Bench::came(std::chrono::microseconds begun)
{
    slowest_ = std::max(slowest_, domain.now() - begun);
}

std::chrono::milliseconds Bench::short_patience() const
{
    constexpr std::chrono::milliseconds kLeast{20};
    auto several = std::chrono::ceil<std::chrono::milliseconds>(4 * slowest_);
    return std::clamp(several, kLeast, std::max(patience_, kLeast));
}

Woken Bench::wait(std::chrono::microseconds begun, std::chrono::milliseconds patience)
{
    auto left = std::chrono::ceil<std::chrono::milliseconds>(begun + patience - domain.now());
    return left.count() > 0 ? domain.wait(left) : Woken::TimeUp;
}

/* ---- life ------------------------------------------------------------------- */

bool Bench::wait_for(std::initializer_list<XenbusState> states)
{
    return wait_for(states, patience_);
}

bool Bench::wait_for(std::initializer_list<XenbusState> states, std::chrono::milliseconds patience)
{
    auto is_there = [&] {
        return std::find(states.begin(), states.end(), front.their_state()) != states.end();
    };
    auto begun = domain.now();
    for (Woken woken = Woken::Store;; woken = wait(begun, patience)) {
        if (is_there()) {
            came(begun);
            return true;
        }
        if (woken == Woken::Quiet || woken == Woken::TimeUp)
            return false;
    }
}

void Bench::pause()
{
    if (failed())
        return;
    constexpr uint32_t kMostWakes = 64; /* a backend may never be quiet */
    for (uint32_t i = 0; i < kMostWakes; i++) {
        Woken woken = domain.wait(short_patience());
        if (woken == Woken::Quiet || woken == Woken::TimeUp)
            return;
    }
}

bool Bench::begin()
{
    using S = XenbusState;
    begun_ = true;
    connected_ = false;
    S theirs = front.their_state();
    bool waits = theirs == S::InitWait;
    if (waits && !front.queues()) {
        front.forget_nodes();
        front.state(S::Initialising);
        return true;
    }
    if (theirs == S::Closed && front.our_state() == "6" && !front.queues())
        return start_over();
    if (!has_left(theirs))
        front.state(S::Closing);
    if (waits) /* it refused us without a word; it may follow, or stay */
        (void)wait_for({S::Closing, S::Closed, S::Unknown}, short_patience());
    else
        (void)wait_for({S::Closing, S::Closed, S::InitWait, S::Unknown});
    front.state(S::Closed);
    (void)wait_for({S::Closed, S::InitWait, S::Unknown});
    front.drop_rings();
    early_.clear();
    return start_over();
}

bool Bench::start_over()
{
    front.forget_nodes();
    front.state(XenbusState::Initialising);
    return wait_for({XenbusState::InitWait});
}

bool Bench::make_rings(const Shape &shape, RingIndex begin)
{
    if (failed() || !share_pages())
        return false;
    if (auto made = front.make_rings(shape, begin); !made) {
        cannot(sentence(made.error()));
        return false;
    }
    return true;
}

bool Bench::connect(const Shape &shape)
{
    return make_rings(shape) && finish_connect();
}

bool Bench::finish_connect(XenbusState as)
{
    if (failed())
        return false;
    front.state(as);
    bool good = wait_for({XenbusState::Connected});
    expect(good, "the backend connects",
           std::string("its state is ") + xenbus_state_name(front.their_state()));
    if (good)
        be_connected(as);
    return good;
}

bool Bench::try_connect(XenbusState as)
{
    using S = XenbusState;
    if (failed())
        return false;
    S before = front.their_state();
    front.state(as);
    if (before == S::InitWait)
        (void)wait_for({S::Connected, S::Closing, S::Closed}, short_patience());
    else
        (void)wait_for({S::Connected}, short_patience());
    bool good = front.their_state() == S::Connected;
    if (good)
        be_connected(as);
    return good;
}

void Bench::be_connected(XenbusState as)
{
    connected_ = true;
    if (offer_.sectors)
        read_size();
    else
        read_offer();
    if (as != XenbusState::Connected)
        front.state(XenbusState::Connected);
}

bool Bench::still_connected()
{
    connected_ = connected_ && front.their_state() == XenbusState::Connected;
    return connected_;
}

bool Bench::leave()
{
    using S = XenbusState;
    if (!has_left(front.their_state()))
        front.state(S::Closing);
    (void)wait_for({S::Closing, S::Closed});
    front.state(S::Closed);
    connected_ = false;
    return wait_for({S::Closed, S::InitWait});
}

bool Bench::close()
{
    bool closed = leave();
    front.drop_rings();
    early_.clear();
    return closed;
}

void Bench::serve_or_leave()
{
    pause();
    if (still_connected()) {
        Answer a = ask(request(Op::Read, 0));
        if (still_connected())
            return expect(a, {{Outcome::Okay, "xenbus:states"}});
    }
    saw(xenbus_state_name(front.their_state()));
}

void Bench::read_size()
{
    offer_.sectors = front.number("sectors");
    if (disk_)
        disk_->resize(offer_.sectors);
    else
        disk_ = Disk(offer_.sectors);
}

void Bench::read_offer()
{
    Offer o;
    read_size();
    o.sectors = offer_.sectors;
    o.sector_size = static_cast<uint32_t>(std::max<uint64_t>(front.number("sector-size"), 512));
    o.info = front.number("info");
    o.order = static_cast<uint32_t>(std::min<uint64_t>(front.number("max-ring-page-order"), 4));
    o.ring_pages = front.number("max-ring-pages") > 1;
    uint64_t queues = front.number("multi-queue-max-queues");
    o.queues = static_cast<uint32_t>(std::clamp<uint64_t>(queues, 1, kMaxQueues));
    uint64_t segments = front.number("feature-max-indirect-segments");
    o.indirect = static_cast<uint32_t>(std::min<uint64_t>(segments, kMaxIndirectSegments));
    o.flush = front.number("feature-flush-cache") == 1;
    o.barrier = front.number("feature-barrier") == 1;
    o.discard = front.number("feature-discard") == 1;
    o.secure = front.number("discard-secure") == 1;
    o.persistent = front.number("feature-persistent") == 1;
    o.readonly = front.theirs("mode") == "r" || o.info & 4;
    o.granule = granule_of(front.number("discard-granularity"), front.number("discard-alignment"),
                           o.sectors);
    offer_ = o;
}

void Bench::settle()
{
    if (failed())
        return;
    if (domain.abilities() & kSeesQuiet) {
        auto begun = domain.now();
        for (Woken w = Woken::Store; w != Woken::Quiet && w != Woken::TimeUp;)
            w = wait(begun, patience_); /* a backend may never be quiet */
        return;
    }
    (void)ask(request(Op::Read, 0, 1, kListPage - 1));
}

bool Bench::until(const std::function<bool()> &holds)
{
    return until(holds, patience_);
}

bool Bench::soon(const std::function<bool()> &holds)
{
    return until(holds, short_patience());
}

bool Bench::until(const std::function<bool()> &holds, std::chrono::milliseconds patience)
{
    constexpr std::chrono::milliseconds kLook{10};
    for (auto end = domain.now() + patience; !failed();) {
        if (holds())
            return true;
        if (domain.wait(kLook) == Woken::Quiet || domain.now() >= end)
            return holds();
    }
    return false;
}

bool Bench::woken()
{
    auto begun = domain.now();
    Woken how = Woken::Store;
    while (how == Woken::Store && !failed())
        how = wait(begun, patience_);
    return how == Woken::Event;
}

/* ---- requests ----------------------------------------------------------------- */

bool Bench::share_pages()
{
    while (pages_.size() < kDataPages) {
        auto page = domain.share(false);
        if (!page) {
            cannot(sentence(page.error()));
            return false;
        }
        pages_.push_back(page.value());
    }
    return true;
}

std::byte *Bench::page(uint32_t i)
{
    return shared(i).at;
}

GrantRef Bench::ref(uint32_t i)
{
    return shared(i).ref;
}

SharedPage &Bench::shared(uint32_t i)
{
    if (!share_pages())
        return front.nowhere();
    return pages_[i % kDataPages];
}

SharedPage Bench::own_page(bool readonly, Grantee to)
{
    auto page = domain.share(readonly, to);
    if (!page) {
        cannot(sentence(page.error()));
        return front.nowhere();
    }
    own_.push_back(page.value());
    return page.value();
}

void Bench::end_page(const SharedPage &page)
{
    if (std::erase_if(own_, [&](const SharedPage &p) { return p.at == page.at; }))
        domain.unshare(page);
}

WireRequest Bench::request(Op op, uint64_t sector, uint32_t segments, uint32_t first)
{
    WireRequest r;
    r.op = op;
    r.id = front.next_id();
    r.sector = sector;
    r.nr_segments = static_cast<uint8_t>(segments);
    for (uint32_t i = 0; i < std::min(segments, kMaxDirectSegments); i++)
        r.seg[i] = {ref(first + i), 0, 7};
    return r;
}

WireRequest Bench::indirect(Op op, uint64_t sector, uint32_t segments)
{
    WireRequest r = request(Op::Indirect, sector, 0);
    r.indirect_op = op;
    r.nr_indirect_segments = static_cast<uint16_t>(segments);
    for (uint32_t p = 0; p < std::min(indirect_pages(segments), 2u); p++) {
        std::vector<WireSegment> list;
        for (uint32_t i = p * kSegmentsPerPage; i < std::min(segments, (p + 1) * kSegmentsPerPage);
             i++)
            list.push_back({ref(i % kListPage), 0, 7});
        if (page(kListPage + p))
            put_segments(page(kListPage + p), list);
        r.indirect[p] = ref(kListPage + p);
    }
    return r;
}

WireRequest Bench::indirect(Op op, uint64_t sector, std::span<const WireSegment> segments)
{
    WireRequest r = request(Op::Indirect, sector, 0);
    r.indirect_op = op;
    r.nr_indirect_segments = static_cast<uint16_t>(segments.size());
    for (uint32_t p = 0; p < kMaxIndirectPages && !segments.empty(); p++) {
        SharedPage list = own_page();
        size_t n = std::min<size_t>(segments.size(), kSegmentsPerPage);
        if (list.at)
            put_segments(list.at, segments.first(n));
        r.indirect[p] = list.ref;
        segments = segments.subspan(n);
    }
    return r;
}

WireRequest Bench::discard(uint64_t sector, uint64_t sectors, uint8_t flag)
{
    WireRequest r = request(Op::Discard, sector, 0);
    r.nr_segments = flag;
    r.nr_sectors = sectors;
    return r;
}

void Bench::send(const WireRequest &req, uint32_t queue)
{
    if (failed() || queue >= front.queues())
        return;
    if (!front.free(queue))
        return cannot("the ring is full");
    front.stage(req, queue);
    if (front.publish(queue))
        front.notify(queue);
}

std::optional<WireResponse> Bench::any_answer(uint32_t queue)
{
    if (failed() || queue >= front.queues())
        return std::nullopt;
    auto begun = domain.now();
    for (;;) {
        if (front.overrun(queue)) {
            expect(false, "rsp_prod stays within the requests in flight",
                   "rsp_prod = " + std::to_string(front.index(SringField::RspProd, queue).value));
            return std::nullopt;
        }
        if (auto rsp = front.take(queue)) {
            came(begun);
            return rsp;
        }
        if (front.rearm(queue))
            continue;
        Woken woken = wait(begun, patience_);
        if (woken == Woken::Quiet || woken == Woken::TimeUp)
            return front.take(queue);
    }
}

Answer Bench::answer(const WireRequest &req, uint32_t queue)
{
    std::optional<WireResponse> rsp;
    auto early = std::find_if(early_.begin(), early_.end(), [&](const Early &e) {
        return e.queue == queue && e.rsp.id == req.id;
    });
    if (early != early_.end()) {
        rsp = early->rsp;
        early_.erase(early);
    }
    while (!rsp) {
        rsp = any_answer(queue);
        if (!rsp)
            return {};
        if (rsp->id == req.id)
            break;
        early_.push_back({queue, *rsp});
        rsp.reset();
        if (early_.size() > 2 * kMaxQueues * front.size(queue))
            return {};
    }
    check_echo(req, *rsp);
    Answer a{Outcome::Other, *rsp};
    switch (static_cast<RspStatus>(rsp->status)) {
    case RspStatus::Okay: a.outcome = Outcome::Okay; break;
    case RspStatus::Error: a.outcome = Outcome::Error; break;
    case RspStatus::EOpNotSupp: a.outcome = Outcome::NotSupported; break;
    }
    return a;
}

Answer Bench::ask(const WireRequest &req, uint32_t queue)
{
    send(req, queue);
    return answer(req, queue);
}

/* blkif:response — ID and operation are the request's. Of an indirect request,
 * Linux's frontend expects the operation inside. */
void Bench::check_echo(const WireRequest &req, const WireResponse &rsp)
{
    bool inner = req.op == Op::Indirect && rsp.op == req.indirect_op;
    expect(rsp.op == req.op || inner, "the response has the operation of its request",
           "operation " + std::to_string(static_cast<uint32_t>(rsp.op)));
}

/* ---- data ------------------------------------------------------------------------ */

std::byte *Bench::page_of(GrantRef ref) const
{
    for (const std::vector<SharedPage> *pages : {&pages_, &own_})
        for (const SharedPage &page : *pages)
            if (page.at && page.ref == ref)
                return page.at;
    return nullptr;
}

std::vector<WireSegment> Bench::segments_of(const WireRequest &req) const
{
    if (req.op != Op::Indirect) {
        uint32_t n = std::min<uint32_t>(req.nr_segments, kMaxDirectSegments);
        return {req.seg.begin(), req.seg.begin() + n};
    }
    std::vector<WireSegment> segments(
        std::min<uint32_t>(req.nr_indirect_segments, kMaxIndirectSegments));
    std::span<WireSegment> left = segments;
    for (uint32_t p = 0; !left.empty(); p++) {
        std::span<WireSegment> part = left.first(std::min<size_t>(left.size(), kSegmentsPerPage));
        if (const std::byte *list = page_of(req.indirect[p]))
            get_segments(list, part);
        left = left.subspan(part.size());
    }
    return segments;
}

/* Visits each segment that is within a page of ours, with that page, and with the
 * first sector of its data on the disk. */
template <class Visit>
void Bench::each_segment(const WireRequest &req, Visit visit) const
{
    uint64_t sector = req.sector;
    for (const WireSegment &s : segments_of(req)) {
        std::byte *at = page_of(s.gref);
        if (at && s.first_sect <= s.last_sect && s.last_sect < kSectorsPerPage)
            visit(at, s, Sector(sector));
        sector += s.last_sect - s.first_sect + 1u;
    }
}

uint32_t Bench::fill(const WireRequest &req)
{
    uint32_t pattern = disk_->draw();
    each_segment(req, [&](std::byte *at, const WireSegment &s, Sector sector) {
        for (uint32_t i = s.first_sect; i <= s.last_sect; i++)
            Disk::put(Sector(sector.value + i - s.first_sect), pattern, at + i * kSectorSize);
    });
    return pattern;
}

uint64_t Bench::sectors_of(const WireRequest &req) const
{
    uint64_t n = 0;
    for (const WireSegment &s : segments_of(req))
        n += s.last_sect - s.first_sect + 1u;
    return n;
}

void Bench::written(const WireRequest &req, uint32_t pattern)
{
    if (failed())
        return may_have_changed(req.sector, sectors_of(req));
    disk_->commit(Sector(req.sector), sectors_of(req), pattern);
}

void Bench::poison(const WireRequest &req)
{
    each_segment(req, [](std::byte *at, const WireSegment &, Sector) {
        std::memset(at, static_cast<int>(kPoison), kPageSize);
    });
}

void Bench::compare(const WireRequest &req)
{
    std::map<std::byte *, uint32_t> read; /* of each page, a bit for each sector */
    each_segment(req, [&](std::byte *at, const WireSegment &s, Sector sector) {
        size_t from = s.first_sect * kSectorSize, end = (s.last_sect + 1u) * kSectorSize;
        Sector wrong;
        if (!disk_->matches(sector, {at + from, end - from}, wrong))
            expect(false, "a READ returns the last WRITE to each sector",
                   "sector " + std::to_string(wrong.value) + " is another");
        read[at] |= (2u << s.last_sect) - (1u << s.first_sect);
    });
    for (auto [at, sectors] : read)
        for (uint32_t i = 0; i < kPageSize; i++)
            if (!(sectors >> i / kSectorSize & 1) && at[i] != kPoison)
                return expect(false, "a READ changes its segments alone",
                              "byte " + std::to_string(i) + " of a page changed");
}

void Bench::expect_content(uint64_t sector, uint64_t sectors,
                           std::initializer_list<uint32_t> patterns)
{
    constexpr uint32_t kPage = kListPage - 1;
    std::array<std::byte, kSectorSize> want{};
    for (uint64_t s = sector; s < sector + sectors && !failed(); s++) {
        if (s == sector || s % kSectorsPerPage == 0) {
            WireRequest r = request(Op::Read, s - s % kSectorsPerPage, 1, kPage);
            poison(r); /* an answer without data is no content */
            expect(ask(r), {{Outcome::Okay, "blkif:op"}});
        }
        const std::byte *seen = page(kPage) + s % kSectorsPerPage * kSectorSize;
        bool found = std::any_of(patterns.begin(), patterns.end(), [&](uint32_t pattern) {
            want.fill(std::byte{});
            if (pattern != kZeros)
                Disk::put(Sector(s), pattern, want.data());
            return std::memcmp(want.data(), seen, kSectorSize) == 0;
        });
        expect(found, "each sector is as one of the requests left it",
               "sector " + std::to_string(s) + " is another");
    }
}

void Bench::write(uint64_t sector, uint32_t segments, uint32_t queue)
{
    if (failed())
        return;
    WireRequest w = segments > kMaxDirectSegments ? indirect(Op::Write, sector, segments)
                                                  : request(Op::Write, sector, segments);
    uint32_t pattern = fill(w);
    may_have_changed(sector, segments * 8ull);
    expect(ask(w, queue), {{Outcome::Okay, "blkif:op"}});
    if (!failed())
        written(w, pattern);
}

void Bench::read(uint64_t sector, uint32_t segments, uint32_t queue)
{
    if (failed())
        return;
    WireRequest r = segments > kMaxDirectSegments ? indirect(Op::Read, sector, segments)
                                                  : request(Op::Read, sector, segments);
    poison(r);
    expect(ask(r, queue), {{Outcome::Okay, "blkif:op"}});
    if (!failed())
        compare(r);
}

/* ---- judgement ---------------------------------------------------------------------- */

void Bench::expect(const Answer &a, std::initializer_list<Legal> legal)
{
    if (failed())
        return;
    std::string seen =
        a.outcome == Outcome::Other ? status_name(a.rsp.status) : outcome_name(a.outcome);
    std::string want;
    for (const Legal &l : legal) {
        if (l.outcome == a.outcome)
            return saw(seen);
        want += (want.empty() ? "" : " or ") + std::string(outcome_name(l.outcome)) + " (" +
                l.clause + ")";
    }
    expect(false, want, seen);
}

void Bench::expect(bool holds, const std::string &expected, const std::string &seen)
{
    if (failed() || holds)
        return;
    failed_ = true;
    expected_ = expected;
    seen_ = seen;
}

void Bench::arrives(bool did, const std::string &expected)
{
    expect(did, expected, std::string("its state is ") + xenbus_state_name(front.their_state()));
}

void Bench::saw(const std::string &what)
{
    if (failed() || seen_.size() > 200 || seen_ == what)
        return;
    seen_ += (seen_.empty() ? "" : ", ") + what;
}

void Bench::cannot(const std::string &why)
{
    if (failed())
        return;
    trouble_ = why;
}

void Bench::start_case()
{
    slowest_ -= slowest_ / 16;
    failed_ = false;
    expected_.clear();
    seen_.clear();
    trouble_.clear();
    front.clear_trouble();
}

void Bench::end_case()
{
    for (const SharedPage &page : own_)
        domain.unshare(page);
    own_.clear();
}

} // namespace pvblk::conformance
