/* SPDX-License-Identifier: MIT */
/* BlockFront behind InProcess: each call is several requests at a time. */
#include "frontends/our_front.h"

#include <algorithm>
#include <array>

namespace pvblk::conformance
{

const char *shape_suffix(FrontShape s)
{
    static constexpr const char *kNames[] = {"", "~all", "~untrusted"};
    return kNames[static_cast<uint32_t>(s)];
}

FrontPolicy policy_of(FrontShape s)
{
    FrontPolicy p;
    p.use_persistent = s == FrontShape::All;
    p.max_queues = s == FrontShape::All ? 4 : 1;
    p.max_indirect_segments = s == FrontShape::All ? 256 : 32;
    p.trusted = s != FrontShape::Untrusted;
    return p;
}

namespace
{

/* Requests that a call is cut into, one call after the other: a few that are large, more than a
 * ring of one page holds, and in between. */
constexpr uint32_t kPieces[] = {3, 48, 8};
/* Where their buffers begin in a page: at a sector, or so that they cannot be granted. */
constexpr uint64_t kBegins[] = {0, 512, 3584, 20, 0, 1024, 4092};
/* A buffer's first part, where it has two. */
constexpr uint64_t kFirstPart = 1300;
/* The front's own deadlines may pass one after the other. */
constexpr uint32_t kMostDeadlines = 64;
/* Deliveries to one call. A front that needs more never ends. */
constexpr uint32_t kMostSteps = 1'000'000;
/* Beside the buffers. */
constexpr std::byte kUntouched{0xa5};

class OurFront final : public InProcess, private FrontOwner
{
public:
    OurFront(LoopbackHub &hub, FrontShape shape) : hub_(hub), policy_(policy_of(shape)) {}
    ~OurFront() override
    {
        if (front_)
            front_->cancel_all();
        hub_.detach_front();
    }

    Ended start() override;
    FrontDisk disk() const override;
    Ended read(uint64_t sector, std::span<std::byte> to) override;
    Ended write(uint64_t sector, std::span<const std::byte> from) override;
    std::optional<Ended> flush() override;
    std::optional<Ended> discard(uint64_t sector, uint64_t sectors) override;
    Ended stop() override;

private:
    struct Piece {
        uint64_t at{0}, bytes{0}; /* in the guest's memory */
        std::array<uint64_t, 2> gpa{};
        std::array<struct iovec, 2> iov{};
        IoRequest req{};
    };

    void completed(void *, uint32_t, IoStatus status) override
    {
        left_--;
        if (status != IoStatus::Ok)
            failed_ = status;
    }
    void batch_done() override {}
    void plan_changed() override {}
    void log(const char *text) override { said_ = text; }
    void trace(const Trace &) override {}

    template <class Done>
    bool run_until(Done done);
    std::vector<Piece> cut(IoKind kind, uint64_t sector, size_t bytes);
    bool wrote_beside(std::span<const Piece> pieces) const;
    Ended ask(std::span<Piece> pieces);

    LoopbackHub &hub_;
    FrontPolicy policy_;
    std::unique_ptr<BlockFront> front_{};
    uint32_t calls_{0};
    uint32_t left_{0}; /* accepted requests without their end */
    std::optional<IoStatus> failed_{};
    std::string said_{};
};

/* False: nothing can come any more. It does not poll: a front has to ask for its events. */
template <class Done>
bool OurFront::run_until(Done done)
{
    uint32_t steps = 0;
    for (uint32_t deadlines = 0;;) {
        while (!done() && steps < kMostSteps && hub_.run_one())
            steps++;
        if (done())
            return true;
        if (steps == kMostSteps)
            return false;
        if (hub_.clock.deadline >= 0 && deadlines++ < kMostDeadlines)
            hub_.advance(std::max<int64_t>(hub_.clock.deadline - hub_.clock.now, 0));
        else if (!idle || !idle())
            return false;
        else
            front_->pump();
    }
}

Ended OurFront::start()
{
    FrontConfig c;
    c.frontend_path = hub_.config.frontend_path;
    c.backend_path = hub_.config.backend_path;
    c.policy = policy_;
    c.handle = 51712 & 0xffff;
    hub_.run();
    auto made = BlockFront::create(hub_.front_ports(), *this, c);
    if (!made)
        return {Ended::Error, sentence(made.error())};
    front_ = std::move(made.value());
    hub_.attach(front_.get());
    front_->start();
    auto settled = [this] {
        FrontState s = front_->state();
        return s == FrontState::Connected || s == FrontState::Broken || s == FrontState::Stopped;
    };
    bool came = run_until(settled);
    if (came && front_->state() == FrontState::Connected)
        return {};
    return {came ? Ended::Error : Ended::Hung, said_};
}

FrontDisk OurFront::disk() const
{
    if (!front_)
        return {};
    const Plan &p = front_->plan();
    return {p.sectors / (p.sector_size / kSectorSize), p.sector_size, p.read_only};
}

/* All of it is under way before the first one is waited for. */
Ended OurFront::ask(std::span<Piece> pieces)
{
    failed_.reset();
    for (size_t next = 0; next < pieces.size() || left_;) {
        for (; next < pieces.size(); next++) {
            Piece &p = pieces[next];
            Intake in = front_->submit(p.req);
            if (in.verdict == Verdict::Retry)
                break;
            if (in.verdict == Verdict::Accepted)
                left_++;
            else
                failed_ = in.why;
        }
        front_->pump();
        uint32_t before = left_;
        if (left_ && !run_until([&] { return left_ < before; }))
            return {Ended::Hung, said_};
    }
    if (failed_)
        return {Ended::Error, said_};
    return {};
}

/* Each piece has a place of its own, with a page before the next one. */
std::vector<OurFront::Piece> OurFront::cut(IoKind kind, uint64_t sector, size_t bytes)
{
    uint32_t size = front_->plan().sector_size;
    uint64_t at = sector * (size / kSectorSize);
    uint32_t count = kPieces[calls_++ % std::size(kPieces)];
    uint64_t piece = std::max<uint64_t>((bytes / count + size - 1) / size * size, kPageSize);
    std::vector<Piece> pieces;
    uint64_t place = 0;
    for (uint64_t done = 0; done < bytes; done += piece) {
        Piece p;
        p.bytes = std::min<uint64_t>(piece, bytes - done);
        p.at = place + kBegins[pieces.size() % std::size(kBegins)];
        place = (p.at + p.bytes + 2 * kPageSize - 1) / kPageSize * kPageSize;
        uint64_t first = pieces.size() % 2 ? std::min(p.bytes, kFirstPart) : p.bytes;
        p.gpa = {hub_.guest.gpa(p.at), hub_.guest.gpa(p.at + first)};
        p.iov = {
            {{hub_.guest.host(p.at), first}, {hub_.guest.host(p.at + first), p.bytes - first}}};
        p.req.kind = kind;
        p.req.sector = Sector(at + done / kSectorSize);
        p.req.sectors = p.bytes / kSectorSize;
        p.req.queue = static_cast<uint32_t>(pieces.size());
        pieces.push_back(p);
    }
    for (Piece &p : pieces)
        p.req.buffer = {p.gpa.data(), p.iov.data(), p.iov[1].iov_len ? 2u : 1u};
    return pieces;
}

bool OurFront::wrote_beside(std::span<const Piece> pieces) const
{
    auto touched = [](const std::byte *from, const std::byte *to) {
        return std::any_of(from, to, [](std::byte b) { return b != kUntouched; });
    };
    uint64_t end = 0;
    for (const Piece &p : pieces) {
        if (touched(hub_.guest.host(end), hub_.guest.host(p.at)))
            return true;
        end = p.at + p.bytes;
    }
    return touched(hub_.guest.host(end), hub_.guest.host(end + kPageSize));
}

Ended OurFront::read(uint64_t sector, std::span<std::byte> to)
{
    std::vector<Piece> pieces = cut(IoKind::Read, sector, to.size());
    uint64_t used = pieces.back().at + pieces.back().bytes + kPageSize;
    std::fill_n(hub_.guest.host(0), used, kUntouched);
    Ended ended = ask(pieces);
    std::byte *at = to.data();
    for (const Piece &p : pieces)
        at = std::copy_n(hub_.guest.host(p.at), p.bytes, at);
    if (ended.what == Ended::Okay && wrote_beside(pieces))
        return {Ended::Error, "the data of a read came beside its buffer, too"};
    return ended;
}

Ended OurFront::write(uint64_t sector, std::span<const std::byte> from)
{
    std::vector<Piece> pieces = cut(IoKind::Write, sector, from.size());
    const std::byte *data = from.data();
    for (const Piece &p : pieces) {
        std::copy_n(data, p.bytes, hub_.guest.host(p.at));
        data += p.bytes;
    }
    return ask(pieces);
}

std::optional<Ended> OurFront::flush()
{
    Piece p;
    p.req.kind = IoKind::Flush;
    return ask({&p, 1});
}

std::optional<Ended> OurFront::discard(uint64_t sector, uint64_t sectors)
{
    if (!front_->plan().discard)
        return std::nullopt;
    uint32_t per = front_->plan().sector_size / kSectorSize;
    Piece p;
    p.req.kind = front_->plan().discard_secure ? IoKind::SecureDiscard : IoKind::Discard;
    p.req.sector = Sector(sector * per);
    p.req.sectors = sectors * per;
    return ask({&p, 1});
}

Ended OurFront::stop()
{
    if (!front_)
        return {};
    front_->stop();
    bool stopped = run_until([this] { return front_->state() == FrontState::Stopped; });
    hub_.detach_front();
    front_.reset();
    return {stopped ? Ended::Okay : Ended::Hung, said_};
}

} // namespace

std::unique_ptr<InProcess> make_our_front(LoopbackHub &hub, FrontShape shape)
{
    return std::make_unique<OurFront>(hub, shape);
}

} // namespace pvblk::conformance
