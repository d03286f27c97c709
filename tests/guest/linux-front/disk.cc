/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

using namespace pvblk;

void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    std::printf("FAILED ");
    std::vprintf(format, args);
    std::printf("\n");
    va_end(args);
    std::exit(1);
}

Disk::Disk(LinuxFrontConfig config)
{
    config.read_pages = config.write_pages = kSlots * kSlotPages;
    auto made = LinuxFront::create(*this, config);
    if (!made)
        fail("%s", sentence(made.error()).c_str());
    linux_ = std::move(made.value());
}

void Disk::run(const char *what, const std::function<bool()> &done)
{
    while (!done()) {
        if (Status turned = linux_->turn(-1); !turned)
            fail("%s: %s", what, sentence(turned.error()).c_str());
        if (front().state() == FrontState::Broken)
            fail("%s: %s", what, sentence(front().broken()).c_str());
    }
}

void Disk::connect()
{
    front().start();
    run("connecting", [&] { return front().state() == FrontState::Connected; });
}

void Disk::reconnect()
{
    uint64_t before = front().counters().reconnects;
    front().reconnect();
    run("reconnecting", [&] {
        return front().state() == FrontState::Connected && front().counters().reconnects > before;
    });
}

void Disk::stop()
{
    front().stop();
    run("stopping", [&] { return front().state() == FrontState::Stopped; });
}

std::byte *Disk::data(uint32_t slot, bool write, uint64_t offset) const
{
    const LinuxGuest &memory = write ? linux_->for_writes() : linux_->for_reads();
    return memory.host(slot * kSlotPages * uint64_t{kPageSize} + offset);
}

void Disk::submit(uint32_t slot, IoRequest request, uint64_t offset)
{
    Slot &s = slots_[slot];
    if (request.kind == IoKind::Read || request.kind == IoKind::Write) {
        bool write = request.kind == IoKind::Write;
        const LinuxGuest &memory = write ? linux_->for_writes() : linux_->for_reads();
        s.gpa = memory.gpa(slot * kSlotPages * uint64_t{kPageSize} + offset);
        s.iov = {data(slot, write, offset), request.sectors * kSectorSize};
        request.buffer = {&s.gpa, &s.iov, 1};
    }
    request.cookie = &s;
    request.queue = slot;
    s.busy = true;
    if (Intake taken = front().submit(request); taken.verdict != Verdict::Accepted)
        fail("request %u at %llu: %s", slot, static_cast<unsigned long long>(request.sector.value),
             verdict_name(taken.verdict));
}

void Disk::finish()
{
    run("I/O", [&] {
        return std::none_of(slots_.begin(), slots_.end(), [](const Slot &s) { return s.busy; });
    });
}

void Disk::completed(void *cookie, uint32_t, IoStatus status)
{
    if (status != IoStatus::Ok)
        fail("a request ended with '%s'", io_status_name(status));
    static_cast<Slot *>(cookie)->busy = false;
}

void Disk::log(const char *text)
{
    std::printf("log: %s\n", text);
}
