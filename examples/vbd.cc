/* SPDX-License-Identifier: MIT */
/* vbd [NUMBER]: prints sector 0 of a block device of this domain, 51712 (xvda) or another one. */
#include <pvblk/linux.h>

#include <cstdio>
#include <cstdlib>

using namespace pvblk;
struct Owner final : FrontOwner {
    void completed(void *, uint32_t, IoStatus s) override { status = s; }
    void batch_done() override {}
    void plan_changed() override {}
    void log(const char *text) override { std::fprintf(stderr, "%s\n", text); }
    void trace(const Trace &) override {}
    std::optional<IoStatus> status{};
};

static int fail(const Error &error)
{
    std::fprintf(stderr, "vbd: %s\n", sentence(error).c_str());
    return 1;
}

/* [vbd] */
/* Drives the disk until done(). An error if that will never be. */
template <class F>
static Status run(LinuxFront &disk, F done)
{
    while (!done()) {
        if (Status turned = disk.turn(-1); !turned)
            return turned;
        if (disk.front().state() == FrontState::Broken)
            return disk.front().broken();
    }
    return Ok{};
}

int main(int argc, char **argv)
{
    Owner owner;
    LinuxFrontConfig config;
    if (argc > 1)
        config.vdev = std::strtoul(argv[1], nullptr, 10);
    auto disk = LinuxFront::create(owner, config);
    if (!disk)
        return fail(disk.error());
    BlockFront &front = disk.value()->front();
    front.start();
    if (Status s = run(*disk.value(), [&] { return front.state() == FrontState::Connected; }); !s)
        return fail(s.error());
    const LinuxGuest &memory = disk.value()->for_reads();
    const uint64_t gpa = memory.gpa(0);
    const struct iovec iov = {memory.host(0), kSectorSize};
    if (front.submit({IoKind::Read, Sector(0), 1, {&gpa, &iov, 1}}).verdict != Verdict::Accepted)
        return std::fputs("vbd: the disk has no sector 0\n", stderr), 1;
    if (Status s = run(*disk.value(), [&] { return owner.status.has_value(); }); !s)
        return fail(s.error());
    std::fwrite(memory.host(0), 1, kSectorSize, stdout);
    front.stop();
    if (Status s = run(*disk.value(), [&] { return front.state() == FrontState::Stopped; }); !s)
        return fail(s.error());
    return owner.status == IoStatus::Ok ? 0 : 1;
}
/* [end of vbd] */
