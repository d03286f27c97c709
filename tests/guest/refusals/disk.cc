/* SPDX-License-Identifier: MIT */
/* The block backend, asked for what Blkfront would not ask: blkif.h, one request at a time. */
#include "blkfront.h"
#include "check.h"
#include "interrupts.h"
#include "text.h"
#include "timer.h"

#include <initializer_list>
#include <xen/io/protocols.h>

namespace
{

constexpr const char *kDisk = "51712", *kCdrom = "51728"; /* xvda, xvdb */
constexpr const char *kLate = "51744";                    /* xvdc, added at the mark "hotplug" */
constexpr const char *kLeaving = "51760";                 /* xvdd, which comes and goes */
constexpr const char *kLazy = "51776";  /* xvde, each of whose requests takes a second */
constexpr uint32_t kUnplugs = 4;        /* a race is not always met */
constexpr uint64_t kWraps = 1ull << 55; /* 512 times that many bytes is 2^64 */
constexpr uint32_t kSeconds = 10;
constexpr uint32_t kEntries = 32;
constexpr uint32_t kSlow = 10; /* requests that a slow disk does not do at once */

class Disk
{
public:
    /* Connects at the first use. */
    void connect(const char *vbd);
    void connect_to(const char *vbd, const char *backend);
    /* The two halves of it: says Initialised, waits for the backend's Connected. */
    void publish(const char *vbd);
    /* The first half without the state. */
    void offer(const char *vbd);
    void accept(const char *vbd, const char *backend);
    static void await(const char *backend, XenbusState wanted);
    uint64_t sectors() const { return sectors_; }

    /* The status of the answer. Reads and writes are of one sector, the first one of `data`. */
    int transfer(uint8_t operation, uint64_t sector);
    int discard(uint64_t sector, uint64_t nr_sectors);

    /* Every entry of the ring is then a request that is refused, and the producer far away. */
    void run_away();
    /* The same, and the producer behind what was taken already. The disk has to be slow. */
    void go_back();
    void put_many();
    /* Requests that are under way when this returns. The disk has to be slow. */
    void send_many();
    /* Closes in the moment in which the disk is unplugged, at the mark "unplug", and sees it go. */
    void close_while_unplugged(const char *vbd, const char *backend, uint32_t later);

    uint8_t *data() { return data_.byte; }

private:
    blkif_request one_sector(uint8_t operation, uint64_t sector);
    void move_producer(uint32_t by);
    int ask(const blkif_request &request);

    Page ring_page_, data_;
    blkif_sring *ring_;
    grant_ref_t data_grant_;
    evtchn_port_t port_;
    uint64_t next_id_, sectors_;
};

Disk disk, cdrom, late, leaving, lazy, lazy_again;

void Disk::await(const char *backend, XenbusState wanted)
{
    StorePath state(backend, "state");
    for (uint64_t begin = pc_clock.milliseconds();
         xenstore.number(state.text, XenbusStateUnknown) != wanted;) {
        if (pc_clock.milliseconds() - begin > kSeconds * 1000)
            wrong("the backend does not come to state ", static_cast<int>(wanted));
    }
}

/* blkif.h, "State Transitions", as in blkfront.cc. */
void Disk::connect(const char *vbd)
{
    if (ring_)
        return;
    StorePath front("device/vbd", vbd);
    StoreText backend;
    if (!xenstore.read(StorePath(front.text, "backend").text, backend))
        wrong(front.text, " names no backend");
    connect_to(vbd, backend.text);
}

void Disk::connect_to(const char *vbd, const char *backend)
{
    await(backend, XenbusStateInitWait);
    publish(vbd);
    accept(vbd, backend);
}

void Disk::offer(const char *vbd)
{
    StorePath front("device/vbd", vbd);
    ring_ = reinterpret_cast<blkif_sring *>(&ring_page_);
    memset(&ring_page_, 0, sizeof ring_page_);
    ring_->req_event = ring_->rsp_event = 1;
    grant_ref_t ring_grant = grants.grant(0, ring_page_, Access::ReadWrite);
    data_grant_ = grants.grant(0, data_, Access::ReadWrite);
    port_ = events.allocate(0);
    xenstore.write(StorePath(front.text, "ring-ref").text, Decimal(ring_grant).text);
    xenstore.write(StorePath(front.text, "event-channel").text, Decimal(port_).text);
    xenstore.write(StorePath(front.text, "protocol").text, XEN_IO_PROTO_ABI_X86_64);
}

void Disk::publish(const char *vbd)
{
    offer(vbd);
    StorePath state(StorePath("device/vbd", vbd).text, "state");
    xenstore.write(state.text, Decimal(XenbusStateInitialised).text);
}

void Disk::accept(const char *vbd, const char *backend)
{
    await(backend, XenbusStateConnected);
    sectors_ = xenstore.number(StorePath(backend, "sectors").text, 0);
    if (xenstore.number(StorePath(backend, "sector-size").text, 0) != 512 || sectors_ < 64)
        wrong(sectors_, " sectors, or not of 512 bytes");
    StorePath front("device/vbd", vbd);
    xenstore.write(StorePath(front.text, "state").text, Decimal(XenbusStateConnected).text);
}

int Disk::ask(const blkif_request &request)
{
    uint32_t slot = ring_->req_prod;
    memcpy(&ring_->ring[slot % kEntries].req, &request, sizeof request);
    /* Partner: the backend's barrier after its load of req_prod. */
    fence_release();
    store(ring_->req_prod, slot + 1);
    store(ring_->rsp_event, slot + 1);
    events.notify(port_);
    if (!wait_until([&] { return load(ring_->rsp_prod) == slot + 1; }, kSeconds))
        wrong("no response in ", kSeconds, " seconds");
    /* Partner: the backend's barrier between its response and its store to rsp_prod. */
    fence_acquire();
    blkif_response response;
    memcpy(&response, &ring_->ring[slot % kEntries].rsp, sizeof response);
    if (response.id != request.id || response.operation != request.operation)
        wrong("the response is to another request");
    return response.status;
}

blkif_request Disk::one_sector(uint8_t operation, uint64_t sector)
{
    blkif_request request{};
    request.operation = operation;
    request.nr_segments = 1;
    request.id = ++next_id_;
    request.sector_number = sector;
    request.seg[0] = {data_grant_, 0, 0};
    return request;
}

int Disk::transfer(uint8_t operation, uint64_t sector)
{
    return ask(one_sector(operation, sector));
}

int Disk::discard(uint64_t sector, uint64_t nr_sectors)
{
    blkif_request_discard request{};
    request.operation = BLKIF_OP_DISCARD;
    request.id = ++next_id_;
    request.sector_number = sector;
    request.nr_sectors = nr_sectors;
    blkif_request entry{};
    static_assert(sizeof entry >= sizeof request);
    memcpy(&entry, &request, sizeof request);
    return ask(entry);
}

void Disk::move_producer(uint32_t by)
{
    /* A response's id lies where the next request's operation is read from. */
    for (uint32_t i = 0; i < kEntries; i++) {
        ring_->ring[i].req.operation = 0xff;
        ring_->ring[i].req.id = ~0ull;
    }
    fence_release();
    store(ring_->req_prod, ring_->req_prod + by);
    events.notify(port_);
}

void Disk::run_away()
{
    move_producer(1u << 31);
}

void Disk::put_many()
{
    uint32_t first = ring_->req_prod;
    for (uint32_t i = 0; i < kSlow; i++) {
        blkif_request request = one_sector(BLKIF_OP_READ, 0);
        memcpy(&ring_->ring[(first + i) % kEntries].req, &request, sizeof request);
    }
    fence_release();
    store(ring_->req_prod, first + kSlow);
    store(ring_->rsp_event, first + 1);
    events.notify(port_);
}

void Disk::send_many()
{
    uint32_t first = ring_->req_prod;
    put_many();
    if (!wait_until([&] { return load(ring_->rsp_prod) != first; }, kSeconds))
        wrong("no response in ", kSeconds, " seconds");
    if (load(ring_->rsp_prod) == first + kSlow)
        wrong("the disk is not slow");
}

void Disk::go_back()
{
    send_many();
    move_producer(-1u);
}

/* Reconfiguring is no state of a frontend that QEMU's bus waits for, and the ring is in use still.
 */
void Disk::close_while_unplugged(const char *vbd, const char *backend, uint32_t later)
{
    StorePath state(StorePath("device/vbd", vbd).text, "state");
    xenstore.write(state.text, Decimal(XenbusStateReconfiguring).text);
    mark("unplug");
    spin(kBusy); /* QEMU is busy then, and gets to what comes now and to the unplugging at once */
    StoreText value;
    for (uint32_t i = 0; i < later; i++)
        xenstore.read(state.text, value);
    xenstore.write(state.text, Decimal(XenbusStateClosed).text);
    for (uint64_t begin = pc_clock.milliseconds();
         xenstore.read(StorePath(backend, "state").text, value);) {
        if (pc_clock.milliseconds() - begin > kSeconds * 1000)
            wrong(backend, " is there for ", kSeconds, " seconds after it was unplugged");
    }
}

/* Of a disk whose frontend was there first: it has to know that. */
StorePath backend_of(const char *vbd)
{
    StoreText domain;
    if (!xenstore.read("domid", domain))
        wrong("XenStore has no domid");
    return {StorePath("/local/domain/0/backend/qdisk", domain.text).text, vbd};
}

void expect_status(const char *of, int status, int wanted)
{
    expect_result(of, status, wanted);
}

void expect_sector_1(uint8_t value)
{
    memset(disk.data(), 0, 512);
    expect_status("reading sector 1", disk.transfer(BLKIF_OP_READ, 1), BLKIF_RSP_OKAY);
    for (uint32_t i = 0; i < 512; i++) {
        if (disk.data()[i] != value)
            wrong("byte ", i, " of sector 1 is ", disk.data()[i], " and not ", value);
    }
}

void prepare_sector_1(uint8_t value)
{
    disk.connect(kDisk);
    memset(disk.data(), value, 512);
    expect_status("writing sector 1", disk.transfer(BLKIF_OP_WRITE, 1), BLKIF_RSP_OKAY);
}

} // namespace

/* A sector beyond the end is an error, also where its place in bytes is beyond 64 bits. */
void write_wraps_around()
{
    prepare_sector_1(0x11);
    memset(disk.data(), 0x22, 512);
    int status = disk.transfer(BLKIF_OP_WRITE, kWraps + 1);
    expect_sector_1(0x11);
    expect_status("writing sector 2^55 + 1", status, BLKIF_RSP_ERROR);
}

/* The same, for what can be learnt. */
void read_wraps_around()
{
    prepare_sector_1(0x33);
    expect_status("reading sector 2^55 + 1", disk.transfer(BLKIF_OP_READ, kWraps + 1),
                  BLKIF_RSP_ERROR);
}

/* One request is not to become 2^32 of them, one for each GiB. */
void endless_discard()
{
    disk.connect(kDisk);
    expect_status("discarding 2^53 sectors", disk.discard(0, 1ull << 53), BLKIF_RSP_ERROR);
    expect_status("discarding 2^64 - 1 sectors", disk.discard(8, ~0ull), BLKIF_RSP_ERROR);
}

/* The last sectors are there, the next ones are not. */
void discard_beyond_end()
{
    disk.connect(kDisk);
    uint64_t end = disk.sectors();
    expect_status("discarding the last sectors", disk.discard(end - 8, 8), BLKIF_RSP_OKAY);
    expect_status("discarding across the end", disk.discard(end - 8, 16), BLKIF_RSP_ERROR);
    expect_status("discarding behind the end", disk.discard(end, 8), BLKIF_RSP_ERROR);
}

/* blkif.h: BLKIF_RSP_EOPNOTSUPP or an error. */
void unknown_operation()
{
    disk.connect(kDisk);
    for (uint8_t operation : {uint8_t{77}, uint8_t{255}}) {
        if (disk.transfer(operation, 0) == BLKIF_RSP_OKAY)
            wrong("operation ", operation, " is OKAY");
    }
}

namespace
{

void expect_qemu_answers()
{
    uint64_t begin = system_time();
    StoreText value;
    for (uint32_t i = 0; i < 10; i++) {
        if (!xenstore.directory("store", value))
            wrong("XenStore answers with an error: ", value.text);
        pause_for(20);
    }
    uint64_t passed = (system_time() - begin) / 1000000;
    if (passed > 5000)
        wrong("XenStore answered after ", passed, " ms");
}

} // namespace

/* ring.h: no more requests than the ring has entries. The backend stops, and QEMU goes on. The disk
 * is of no use afterwards. */
void producer_runs_away()
{
    disk.connect(kDisk);
    expect_status("reading sector 0", disk.transfer(BLKIF_OP_READ, 0), BLKIF_RSP_OKAY);
    disk.run_away();
    expect_qemu_answers();
}

/* What was taken cannot be taken back, while it is not answered. The same holds. */
void producer_goes_back()
{
    cdrom.connect(kCdrom);
    cdrom.go_back();
    expect_qemu_answers();
}

/* A CD-ROM is read-only, whatever the image may be. */
void discard_on_cdrom()
{
    cdrom.connect(kCdrom);
    expect_status("reading a CD-ROM", cdrom.transfer(BLKIF_OP_READ, 0), BLKIF_RSP_OKAY);
    expect_status("discarding on a CD-ROM", cdrom.discard(0, 8), BLKIF_RSP_ERROR);
}

/* A frontend's nodes may be there before the operator adds the disk. The backend connects when it
 * can, not while it is being made. */
void frontend_before_its_disk()
{
    late.publish(kLate);
    mark("hotplug");
    late.accept(kLate, backend_of(kLate).text);
    expect_status("reading sector 0", late.transfer(BLKIF_OP_READ, 0), BLKIF_RSP_OKAY);
}

/* A frontend that comes back while its backend still waits for the last requests is served when
 * that is over, and not before. QEMU's main loop has the BQL while it waits. So what we do then
 * must not need it, and interrupts do. */
void connects_while_it_closes()
{
    lazy.connect(kLazy);
    StorePath state(StorePath("device/vbd", kLazy).text, "state");
    StorePath backend = backend_of(kLazy);
    lazy.put_many();
    xenstore.write(state.text, Decimal(XenbusStateClosing).text);
    Disk::await(backend.text, XenbusStateClosing);
    lazy_again.offer(kLazy);
    timer.stop();
    interrupts_off();
    events.hold();
    write_by_hand(state.text, Decimal(XenbusStateClosed).text);
    spin(kBusy); /* QEMU waits for our requests then */
    write_by_hand(state.text, Decimal(XenbusStateInitialised).text);
    events.collect();
    interrupts_on();
    take_answers_to_writes();
    timer.start();
    lazy_again.accept(kLazy, backend.text);
    expect_status("reading from a disk that has come back", lazy_again.transfer(BLKIF_OP_READ, 0),
                  BLKIF_RSP_OKAY);
    Disk::await(backend.text, XenbusStateConnected);
}

/* A backend that waits for its requests, to close, is not taken apart from inside of that. */
void closed_while_unplugged()
{
    StorePath front("device/vbd", kLeaving), backend = backend_of(kLeaving);
    for (uint32_t i = 0; i < kUnplugs; i++) {
        xenstore.write(StorePath(front.text, "state").text, Decimal(XenbusStateInitialising).text);
        mark("plug");
        leaving.connect_to(kLeaving, backend.text);
        leaving.send_many();
        leaving.close_while_unplugged(kLeaving, backend.text, i);
    }
}
