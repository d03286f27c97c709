/* SPDX-License-Identifier: MIT */
/* A READ: our frontend and our backend, one process, no Xen and no QEMU. */
#include <pvblk/loopback.h>

#include <cstdio>

using namespace pvblk;
struct Owner final : FrontOwner {
    void completed(void *, uint32_t, IoStatus status) override { ok = status == IoStatus::Ok; }
    void batch_done() override {}
    void plan_changed() override {}
    void log(const char *text) override { std::puts(text); }
    void trace(const Trace &) override {}
    bool ok{false};
};

int main()
{
    LoopbackHub hub; /* XenStore, grants, events, a clock, and a disk in memory */
    hub.storage.data[0] = std::byte{'!'};
    BlockBack back(hub.back_ports(), {hub.config.frontend_path, hub.config.backend_path});
    hub.attach(&back);
    Owner owner;
    (void)back.start(); /* writes its nodes; in this process that cannot fail */
    auto front = BlockFront::create(hub.front_ports(), owner,
                                    {hub.config.frontend_path, hub.config.backend_path});
    if (!front)
        return std::puts(front.error().what), 1;
    hub.attach(front.value().get());
    front.value()->start();
    hub.run(); /* until both are Connected */
    const uint64_t gpa = hub.guest.gpa(0);
    const struct iovec iov = {hub.guest.host(0), kSectorSize};
    (void)front.value()->submit({IoKind::Read, Sector(0), 1, {&gpa, &iov, 1}});
    front.value()->pump();
    hub.run();
    std::printf("%s: %c\n", owner.ok ? "read" : "failed", char(*hub.guest.host(0)));
    return owner.ok && *hub.guest.host(0) == std::byte{'!'} ? 0 : 1;
}
