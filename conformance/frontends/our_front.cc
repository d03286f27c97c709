/* SPDX-License-Identifier: MIT */
/* BlockFront behind InProcess: each call is several requests at a time. */
#include "frontends/our_front.h"

#include <algorithm>
#include <cstring>

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

/* Requests that one call is cut into. */
constexpr uint32_t kPieces = 8;
/* The front's own deadlines may pass one after the other. */
constexpr uint32_t kMostDeadlines = 64;

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
        uint64_t gpa{0};
        struct iovec iov{};
        IoRequest req{};
        bool taken{false};
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
    Ended transfer(IoKind kind, uint64_t sector, size_t bytes);
    Ended ask(std::span<Piece> pieces);

    LoopbackHub &hub_;
    FrontPolicy policy_;
    std::unique_ptr<BlockFront> front_{};
    uint32_t left_{0}; /* accepted requests without their end */
    std::optional<IoStatus> failed_{};
    std::string said_{};
};

/* False: nothing can come any more. */
template <class Done>
bool OurFront::run_until(Done done)
{
    for (uint32_t deadlines = 0;;) {
        while (!done() && (front_->pump() || hub_.run_one()))
            continue;
        if (done())
            return true;
        if (hub_.clock.deadline >= 0 && deadlines++ < kMostDeadlines)
            hub_.advance(std::max<int64_t>(hub_.clock.deadline - hub_.clock.now, 0));
        else if (!idle || !idle())
            return false;
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
        uint32_t before = left_;
        if (left_ && !run_until([&] { return left_ < before; }))
            return {Ended::Hung, said_};
    }
    if (failed_)
        return {Ended::Error, said_};
    return {};
}

Ended OurFront::transfer(IoKind kind, uint64_t sector, size_t bytes)
{
    uint32_t size = front_->plan().sector_size;
    uint64_t at = sector * (size / kSectorSize);
    uint64_t piece = std::max<uint64_t>((bytes / kPieces + size - 1) / size * size, kPageSize);
    std::vector<Piece> pieces;
    for (uint64_t done = 0; done < bytes; done += piece) {
        uint64_t n = std::min<uint64_t>(piece, bytes - done);
        Piece p;
        p.gpa = hub_.guest.gpa(done);
        p.iov = {hub_.guest.host(done), n};
        p.req.kind = kind;
        p.req.sector = Sector(at + done / kSectorSize);
        p.req.sectors = n / kSectorSize;
        p.req.queue = static_cast<uint32_t>(pieces.size());
        pieces.push_back(p);
    }
    for (Piece &p : pieces)
        p.req.buffer = {&p.gpa, &p.iov, 1};
    return ask(pieces);
}

Ended OurFront::read(uint64_t sector, std::span<std::byte> to)
{
    std::memset(hub_.guest.host(0), 0, to.size());
    Ended ended = transfer(IoKind::Read, sector, to.size());
    std::memcpy(to.data(), hub_.guest.host(0), to.size());
    return ended;
}

Ended OurFront::write(uint64_t sector, std::span<const std::byte> from)
{
    std::memcpy(hub_.guest.host(0), from.data(), from.size());
    return transfer(IoKind::Write, sector, from.size());
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
    p.req.kind = IoKind::Discard;
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
