/* SPDX-License-Identifier: MIT */
/*
 * A complete blkfront without an operating system: it writes to the start of its first disk, reads
 * back, compares, runs code that it read, and leaves in good order. Read the headers in this order:
 * hypercall.h, evtchn.h, upcall.h, timer.h, store.h, grant.h, blkfront.h.
 *
 * Options on the command line: upcall=vector|callback|gsi|intx, timers, hold.
 */
#include "blkfront.h"
#include "console.h"
#include "grant.h"
#include "interrupts.h"
#include "start.h"
#include "store.h"
#include "timer.h"
#include "upcall.h"

const char *const kGuestName = "mini-blkfront";

namespace
{

constexpr uint32_t kSectorsPerPage = kPageSize / 512;
constexpr uint32_t kRequests = 8; /* in flight together, each of as many pages as fit */
constexpr uint32_t kPages = kRequests * Blkfront::kMaxPieces;
constexpr uint32_t kSectors = kPages * kSectorsPerPage;
constexpr uint64_t kCodeSector = kSectors;

Page written[kPages], read_back[kPages], code;

Blkfront disk;

/* Different in each word, so that a sector in another's place is seen. */
uint32_t pattern(uint32_t round, uint32_t word)
{
    return (word + 1) * 2654435761u ^ round << 16;
}

uint32_t *words(Page *pages)
{
    return reinterpret_cast<uint32_t *>(pages);
}

void transfer(uint8_t operation, Page *pages)
{
    uint32_t request[kRequests];
    for (uint32_t i = 0; i < kRequests; i++) {
        Piece piece[Blkfront::kMaxPieces];
        for (auto &p : piece)
            p = {pages++, 0, kSectorsPerPage - 1};
        uint64_t sector = uint64_t{i} * Blkfront::kMaxPieces * kSectorsPerPage;
        request[i] = disk.submit(operation, sector, piece, Blkfront::kMaxPieces);
    }
    for (uint32_t r : request)
        disk.wait(r);
}

/* One request, of part of a page. */
void transfer(uint8_t operation, uint64_t sector, Piece piece)
{
    disk.wait(disk.submit(operation, sector, &piece, 1));
}

void test_data(uint32_t round)
{
    for (uint32_t i = 0; i < sizeof written / 4; i++)
        words(written)[i] = pattern(round, i);
    memset(read_back, 0, sizeof read_back);
    transfer(BLKIF_OP_WRITE, written);
    if (disk.can_flush())
        disk.wait(disk.submit(BLKIF_OP_FLUSH_DISKCACHE, 0, nullptr, 0));
    transfer(BLKIF_OP_READ, read_back);
    if (memcmp(written, read_back, sizeof written))
        fail("what was read is not what was written");

    /* Sectors 11 to 14 into sectors 3 to 6 of a page: those, and nothing around them. */
    memset(read_back, 0, kPageSize);
    transfer(BLKIF_OP_READ, 11, {&read_back[0], 3, 6});
    Page expected{};
    memcpy(expected.byte + 3 * 512, written[0].byte + 11 * 512, 4 * 512);
    if (memcmp(&expected, &read_back[0], kPageSize))
        fail("a read into the middle of a page was not that");
    say("wrote and read back ", kSectors, " sectors: ok");
}

/* `mov $number,%eax; ret` */
void write_code(Page &page, uint8_t number)
{
    const uint8_t bytes[] = {0xb8, number, 0, 0, 0, 0xc3};
    memcpy(page.byte, bytes, sizeof bytes);
}

uint32_t run_code()
{
    return reinterpret_cast<uint32_t (*)()>(&code)();
}

/*
 * Code that ran is replaced through the disk, and not by a store of ours. On a real machine that is
 * nothing special (Intel SDM 11.6: DMA and instruction fetches are coherent); an emulator that
 * keeps translated code has to notice that a backend wrote.
 */
void test_code()
{
    constexpr uint8_t kRounds = 16;
    write_code(code, 0);
    for (uint8_t i = 1; i <= kRounds; i++) {
        if (run_code() != i - 1u)
            fail("code of round ", i - 1u, " gives ", run_code());
        write_code(written[0], i);
        transfer(BLKIF_OP_WRITE, kCodeSector, {&written[0], 0, 0});
        transfer(BLKIF_OP_READ, kCodeSector, {&code, 0, 0});
    }
    if (run_code() != kRounds)
        fail("the old code ran once more");
    say("read code over code that had run, and ran it: ok");
}

/* The first name in device/vbd. */
StoreText first_vbd()
{
    StoreText names;
    if (!xenstore.directory("device/vbd", names) || !names.length)
        fail("there is no disk in device/vbd");
    return names;
}

/* For a debugger: connected and asleep until someone sends a byte. */
void hold()
{
    say("holding: send a byte to either serial port");
    mark("holding");
    while (!wait_until([] { return console.take() || control.take(); }, 1)) {
    }
    test_data(2);
}

} // namespace

extern "C" void on_interrupt(InterruptFrame *frame)
{
    if (frame->vector < 32)
        fail("exception ", frame->vector, " at ", frame->rip, ", error code ", frame->error);
    if (frame->vector != kUpcallVector)
        return;
    events.collect();
    end_upcall();
}

void guest_main(const CommandLine &options)
{
    load_interrupt_table();
    if (!find_xen())
        fail("this machine has no Xen");
    Upcall upcall = upcall_from(options);
    say("Xen found, upcall=", upcall_name(upcall));
    events.init();
    set_upcall(upcall);
    interrupts_on();
    timer.init();
    if (options.has("timers"))
        test_timers();

    xenstore.init();
    grants.init();
    disk.connect(first_vbd().text);
    say("connected, ", disk.sectors(), " sectors of ", disk.sector_size(), " bytes");
    mark("step connected");
    if (disk.sector_size() != 512 || disk.sectors() <= kCodeSector)
        fail("this test wants sectors of 512 bytes, and more than ", kCodeSector);
    test_data(1);
    test_code();
    if (options.has("hold"))
        hold();
    disk.close();
    say("closed");
    say("upcall=", upcall_name(upcall), ": ok, ", events.upcalls(), " upcalls");
    mark("finished");
    power_off();
}
