/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen-pvblk-pci in a real QEMU: life cycle, reset, reconnect, unplug, errors,
 * read-only and 4096-byte disks, bad properties, malformed requests.
 *
 * Each test plays the guest's virtio-blk driver through libqos. Under qtest
 * the virtual clock stands still unless a test steps it: a throttled node
 * holds requests in flight for exactly as long as the test wants, and a
 * handshake's deadline passes when the test says so.
 *
 * Every test runs on pc and on q35, unless it says why not.
 */
#include "qemu/osdep.h"

#include "libqos/libqos-pc.h"
#include "libqos/pci-pc.h"
#include "libqos/virtio-pci.h"
#include "libqtest.h"
#include "qemu/bswap.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_pci.h"
#include "standard-headers/linux/pci_regs.h"

#define TIMEOUT_US (30 * 1000 * 1000)
#define SLOT 0x4
#define DISK_SIZE (8 * 1024 * 1024)
#define DISK_SECTORS (DISK_SIZE / 512)
#define MS 1000000LL

/* Driver that takes every feature but the rings' and legacy ones. */
#define ALL_FEATURES (~(QVIRTIO_F_BAD_FEATURE | (1ull << VIRTIO_BLK_F_SCSI) | \
                        (1ull << VIRTIO_RING_F_INDIRECT_DESC) | \
                        (1ull << VIRTIO_RING_F_EVENT_IDX)))

typedef struct Rig {
    QOSState *qs;
    QTestState *qts;
    QVirtioPCIDevice *pci;
    QVirtioDevice *dev;
    QVirtQueue *vq;
    char *image; /* raw file of DISK_SIZE; %s of the command line */
} Rig;

/* ---- the rig ------------------------------------------------------------- */

static char *make_file(void)
{
    char *path;
    int fd = g_file_open_tmp("pvblk.XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    return path;
}

static char *make_image(void)
{
    char *path = make_file();

    g_assert_cmpint(truncate(path, DISK_SIZE), ==, 0);
    return path;
}

/* A machine with `args`; the first %s in them is the image's path. */
static Rig *rig_boot(const char *machine, const char *args)
{
    Rig *r = g_new0(Rig, 1);
    g_autofree char *line = NULL;
    g_auto(GStrv) parts = g_strsplit(args, "%s", 2);

    r->image = make_image();
    line = g_strjoin(parts[1] ? r->image : "", parts[0], parts[1], NULL);
    r->qs = qtest_pc_boot("-nodefaults -machine %s,xen-emu=on %s", machine,
                          line);
    r->qts = r->qs->qts;
    return r;
}

static void rig_shutdown(Rig *r)
{
    if (r->vq) {
        qvirtqueue_cleanup(r->dev->bus, r->vq, &r->qs->alloc);
    }
    if (r->pci) {
        qvirtio_pci_device_disable(r->pci);
        qvirtio_pci_destructor(&r->pci->obj);
        g_free(r->pci);
    }
    qtest_shutdown(r->qs);
    unlink(r->image);
    g_free(r->image);
    g_free(r);
}

/* QEMU's answer; the device is /machine/peripheral/… */
static QDict *qom_get(Rig *r, const char *device, const char *property)
{
    return qtest_qmp(r->qts, "{'execute': 'qom-get', 'arguments': "
                     "{'path': %s, 'property': %s}}", device, property);
}

#define FRONTEND "/machine/peripheral/d0"
#define BACKEND "/machine/peripheral/be"

static char *get_string(Rig *r, const char *property)
{
    QDict *rsp = qom_get(r, FRONTEND, property);
    char *text = g_strdup(qdict_get_str(rsp, "return"));

    qobject_unref(rsp);
    return text;
}

static QDict *get_dict(Rig *r, const char *property)
{
    QDict *rsp = qom_get(r, FRONTEND, property);
    QDict *dict = qdict_get_qdict(rsp, "return");

    g_assert_nonnull(dict);
    qobject_ref(dict);
    qobject_unref(rsp);
    return dict;
}

static int64_t get_counter(Rig *r, const char *name)
{
    QDict *counters = get_dict(r, "counters");
    int64_t v = qdict_get_int(counters, name);

    qobject_unref(counters);
    return v;
}

/* Of the object with all nodes of the XenStore. */
static char *find_xenstore(Rig *r)
{
    QDict *rsp = qtest_qmp(r->qts, "{'execute': 'qom-list', 'arguments': "
                           "{'path': '/machine/unattached'}}");
    const QListEntry *e;
    char *path = NULL;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), e) {
        QDict *child = qobject_to(QDict, qlist_entry_obj(e));

        if (g_str_equal(qdict_get_str(child, "type"), "child<xen-xenstore>")) {
            path = g_strdup_printf("/machine/unattached/%s",
                                   qdict_get_str(child, "name"));
        }
    }
    qobject_unref(rsp);
    g_assert_nonnull(path);
    return path;
}

static char *get_nodes(Rig *r)
{
    g_autofree char *xenstore = find_xenstore(r);
    QDict *rsp = qom_get(r, xenstore, "nodes");
    char *nodes = g_strdup(qdict_get_str(rsp, "return"));

    qobject_unref(rsp);
    return nodes;
}

/* @line: the end of a path, and the value. */
static void assert_node(Rig *r, const char *line)
{
    g_autofree char *whole = g_strconcat(line, "\n", NULL);
    g_autofree char *nodes = get_nodes(r);

    if (!strstr(nodes, whole)) {
        g_error("no node %s in:\n%s", line, nodes);
    }
}

/* Each QMP command lets the main loop run once more. */
static void wait_state(Rig *r, const char *state)
{
    int64_t end = g_get_monotonic_time() + TIMEOUT_US;

    for (;;) {
        g_autofree char *now = get_string(r, "state");

        if (g_str_has_prefix(now, state)) {
            return;
        }
        if (g_get_monotonic_time() > end) {
            g_error("state is \"%s\", expected \"%s\"", now, state);
        }
    }
}

static void wait_counter(Rig *r, const char *name, int64_t at_least)
{
    int64_t end = g_get_monotonic_time() + TIMEOUT_US;

    while (get_counter(r, name) < at_least) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
}

static void driver_start(Rig *r, uint64_t features)
{
    QPCIAddress addr = { .devfn = QPCI_DEVFN(SLOT, 0) };

    if (!r->pci) {
        r->pci = virtio_pci_new(r->qs->pcibus, &addr);
        g_assert_nonnull(r->pci);
        qvirtio_pci_device_enable(r->pci);
        r->dev = &r->pci->vdev;
    }
    qvirtio_start_device(r->dev);
    qvirtio_set_features(r->dev, qvirtio_get_features(r->dev) & features);
    r->vq = qvirtqueue_setup(r->dev, &r->qs->alloc, 0);
    qvirtio_set_driver_ok(r->dev);
}

/* The driver resets the device, as on a kexec or module reload. */
static void driver_restart(Rig *r)
{
    qvirtqueue_cleanup(r->dev->bus, r->vq, &r->qs->alloc);
    driver_start(r, ALL_FEATURES);
}

/* Each test runs on two machines: on one of them with QEMU's own backend. */
static bool ours(const char *machine)
{
    return !g_str_equal(machine, "pc");
}

static const char *usual_backend(const char *machine)
{
    return ours(machine) ? "" : ",backend=xen-disk";
}

/* One disk on the image, driver running, connected. */
static Rig *rig_start(const char *machine, const char *blockdev,
                      const char *device)
{
    g_autofree char *args =
        g_strdup_printf("%s -device xen-pvblk-pci,id=d0,addr=4.0,%s%s", blockdev,
                        device, strstr(device, "backend=") ? "" :
                        usual_backend(machine));
    Rig *r = rig_boot(machine, args);

    wait_state(r, "connected");
    driver_start(r, ALL_FEATURES);
    return r;
}

#define RAW "-blockdev driver=file,filename=%s,node-name=n0,discard=unmap "

static Rig *rig_raw(const char *machine)
{
    return rig_start(machine, RAW, "drive=n0");
}

/* ---- requests ------------------------------------------------------------ */

typedef struct Request {
    uint64_t header; /* 16 bytes, data, status: one guest allocation */
    uint64_t data;
    uint64_t status;
    uint32_t head;
    uint32_t bytes;
} Request;

/*
 * Both ends of qtest look for the end of a line from its beginning, each time
 * that some of it arrives. A line of 16 MiB takes minutes, 256 of 64 KiB do not.
 */
#define AT_ONCE (32 * 1024)

static void write_guest(Rig *r, uint64_t addr, const void *data, size_t bytes)
{
    for (size_t done = 0; done < bytes; done += AT_ONCE) {
        qtest_memwrite(r->qts, addr + done, (const char *)data + done,
                       MIN(bytes - done, AT_ONCE));
    }
}

static void read_guest(Rig *r, uint64_t addr, void *data, size_t bytes)
{
    for (size_t done = 0; done < bytes; done += AT_ONCE) {
        qtest_memread(r->qts, addr + done, (char *)data + done,
                      MIN(bytes - done, AT_ONCE));
    }
}

/* Data at an offset within its page of its own: 0 is granted in place. */
static Request request_alloc(Rig *r, uint32_t type, uint64_t sector,
                             const void *data, uint32_t bytes,
                             uint32_t page_offset)
{
    Request q = { .bytes = bytes };
    uint8_t head[16];

    stl_le_p(head, type);
    stl_le_p(head + 4, 0);
    stq_le_p(head + 8, sector);
    q.data = QEMU_ALIGN_UP(qmalloc(r->qs, bytes + 3 * 4096), 4096) + page_offset;
    q.header = qmalloc(r->qs, 32);
    q.status = q.header + 16;
    qtest_memwrite(r->qts, q.header, head, sizeof(head));
    if (data && bytes) {
        write_guest(r, q.data, data, bytes);
    }
    qtest_writeb(r->qts, q.status, 0xff);
    return q;
}

static void request_send(Rig *r, Request *q, bool to_device)
{
    q->head = qvirtqueue_add(r->qts, r->vq, q->header, 16, false, true);
    if (q->bytes) {
        qvirtqueue_add(r->qts, r->vq, q->data, q->bytes, !to_device, true);
    }
    qvirtqueue_add(r->qts, r->vq, q->status, 1, true, false);
    qvirtqueue_kick(r->qts, r->dev, r->vq, q->head);
}

/* One sector each, from the disk's start on; the same data for all. */
static void send_writes(Rig *r, Request *q, int n, const uint8_t *data)
{
    for (int i = 0; i < n; i++) {
        q[i] = request_alloc(r, VIRTIO_BLK_T_OUT, i, data, 512, 0);
        request_send(r, &q[i], true);
    }
}

/* The status byte tells, in whatever order requests end; libqos's own wait
 * wants an interrupt of its own for each. */
static uint8_t request_wait(Rig *r, Request *q)
{
    int64_t end = g_get_monotonic_time() + TIMEOUT_US;
    uint8_t status;

    while ((status = qtest_readb(r->qts, q->status)) == 0xff) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        qtest_clock_step(r->qts, 100);
    }
    r->vq->last_used_idx++;
    return status;
}

static uint8_t write_at(Rig *r, uint64_t sector, const void *data,
                        uint32_t bytes, uint32_t page_offset)
{
    Request q = request_alloc(r, VIRTIO_BLK_T_OUT, sector, data, bytes,
                              page_offset);

    request_send(r, &q, true);
    return request_wait(r, &q);
}

static uint8_t read_at(Rig *r, uint64_t sector, void *data, uint32_t bytes,
                       uint32_t page_offset)
{
    Request q = request_alloc(r, VIRTIO_BLK_T_IN, sector, NULL, bytes,
                              page_offset);
    uint8_t status;

    request_send(r, &q, false);
    status = request_wait(r, &q);
    read_guest(r, q.data, data, bytes);
    return status;
}

static uint8_t command(Rig *r, uint32_t type, const void *data, uint32_t bytes)
{
    Request q = request_alloc(r, type, 0, data, bytes, 0);

    request_send(r, &q, true);
    return request_wait(r, &q);
}

static uint8_t discard_at(Rig *r, uint64_t sector, uint32_t sectors,
                          uint32_t flags)
{
    uint8_t segment[16];

    stq_le_p(segment, sector);
    stl_le_p(segment + 8, sectors);
    stl_le_p(segment + 12, flags);
    return command(r, VIRTIO_BLK_T_DISCARD, segment, sizeof(segment));
}

static void fill(uint8_t *data, size_t bytes, uint32_t seed)
{
    for (size_t i = 0; i < bytes; i++) {
        data[i] = (seed * 2654435761u + i * 40503u) >> 13;
    }
}

/* What is in the image is what the guest wrote: no peeking by the device. */
static void assert_image(Rig *r, uint64_t offset, const uint8_t *data,
                         size_t bytes)
{
    g_autofree uint8_t *found = g_malloc(bytes);
    int fd = open(r->image, O_RDONLY);

    g_assert_cmpint(pread(fd, found, bytes, offset), ==, (ssize_t)bytes);
    close(fd);
    g_assert_cmpmem(found, bytes, data, bytes);
}

static void assert_works(Rig *r, uint32_t seed)
{
    uint8_t out[4096], in[4096] = {};

    fill(out, sizeof(out), seed);
    g_assert_cmpint(write_at(r, 64, out, sizeof(out), 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(read_at(r, 64, in, sizeof(in), 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
}

/* ---- throttling: the clock decides when a request is done ---------------- */

/* One request now, then one per second of virtual time. */
#define THROTTLED "-object throttle-group,id=tg,x-iops-total=1 " \
    "-blockdev driver=file,filename=%s,node-name=f0,discard=unmap " \
    "-blockdev driver=throttle,throttle-group=tg,file=f0,node-name=n0 "

static void step_seconds(Rig *r, int seconds)
{
    for (int i = 0; i < seconds; i++) {
        qtest_clock_step(r->qts, 1000 * MS);
    }
}

/* Buffers are taken to be a new driver's: nothing may be written there now. */
static void take_buffers(Rig *r, const Request *q, int n)
{
    for (int i = 0; i < n; i++) {
        qtest_memset(r->qts, q[i].data, 0xa5, q[i].bytes);
    }
}

static void assert_untouched(Rig *r, const Request *q, int n)
{
    for (int i = 0; i < n; i++) {
        g_autofree uint8_t *expected = g_malloc(q[i].bytes);
        g_autofree uint8_t *seen = g_malloc(q[i].bytes);

        memset(expected, 0xa5, q[i].bytes);
        qtest_memread(r->qts, q[i].data, seen, q[i].bytes);
        g_assert_cmpmem(seen, q[i].bytes, expected, q[i].bytes);
    }
}

/* ---- tests --------------------------------------------------------------- */

static void test_plan(const void *machine)
{
    Rig *r = rig_raw(machine);
    QDict *plan = get_dict(r, "plan");
    g_autofree char *summary = get_string(r, "summary");
    g_autofree char *qtree = qtest_hmp(r->qts, "info qtree");

    g_assert_cmpstr(qdict_get_str(plan, "protocol"), ==, "x86_64-abi");
    g_assert_cmpint(qdict_get_int(plan, "sectors"), ==, DISK_SECTORS);
    g_assert_cmpint(qdict_get_int(plan, "sector-size"), ==, 512);
    g_assert_cmpint(qdict_get_int(plan, "ring-entries"), ==,
                    ours(machine) ? 512 : 32);
    g_assert_cmpint(qdict_get_int(plan, "max-segments"), ==,
                    ours(machine) ? 32 : 11);
    g_assert_true(qdict_get_bool(plan, "flush"));
    g_assert_true(qdict_get_bool(plan, "discard"));
    g_assert_false(qdict_get_bool(plan, "read-only"));
    qobject_unref(plan);
    g_assert_nonnull(strstr(summary, "sectors=16384"));
    g_assert_nonnull(strstr(qtree, "state = \"connected\""));

    g_assert_cmpint(qvirtio_config_readq(r->dev, 0), ==, DISK_SECTORS);
    g_assert_cmpint(qvirtio_config_readl(r->dev, 20), ==, 512);
    g_assert_cmpint(qvirtio_config_readl(r->dev, 40), ==, 1);
    rig_shutdown(r);
}

static void test_pci_class(const void *machine)
{
    Rig *r = rig_raw(machine);

    /* Not STORAGE_SCSI: a Xen-aware guest would unplug it. */
    g_assert_cmphex(qpci_config_readw(r->pci->pdev, PCI_CLASS_DEVICE), ==,
                    0x0180);
    rig_shutdown(r);
}

static void test_data(const void *machine)
{
    static const uint32_t sizes[] = { 512, 4096, 5 * 512, 45056, 65536,
                                      1024 * 1024 };
    static const uint32_t offsets[] = { 0, 512, 16, 4095 };
    Rig *r = rig_raw(machine);
    g_autofree uint8_t *out = g_malloc(sizes[5]);
    g_autofree uint8_t *in = g_malloc(sizes[5]);
    uint64_t sector = 3;

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(offsets); j++) {
            fill(out, sizes[i], i * 7 + j);
            memset(in, 0, sizes[i]);
            g_assert_cmpint(write_at(r, sector, out, sizes[i], offsets[j]), ==,
                            VIRTIO_BLK_S_OK);
            assert_image(r, sector * 512, out, sizes[i]);
            g_assert_cmpint(read_at(r, sector, in, sizes[i], offsets[j]), ==,
                            VIRTIO_BLK_S_OK);
            g_assert_cmpmem(in, sizes[i], out, sizes[i]);
            sector += 5;
        }
    }
    rig_shutdown(r);
}

static void test_no_copy(const void *machine)
{
    Rig *r = rig_raw(machine);
    g_autofree uint8_t *out = g_malloc0(1024 * 1024);
    int each = ours(machine) ? 32 : 11;

    /* Aligned: 256 pages, so many a request, not one of them copied. */
    g_assert_cmpint(write_at(r, 0, out, 1024 * 1024, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(get_counter(r, "bounced-segments"), ==, 0);
    g_assert_cmpint(get_counter(r, "segments"), ==, 256);
    g_assert_cmpint(get_counter(r, "ring-writes"), ==,
                    (256 + each - 1) / each);
    g_assert_cmpint(get_counter(r, "bytes-written"), ==, 1024 * 1024);
    /* All of it in one batch, with one event. */
    g_assert_cmpint(get_counter(r, "batches"), ==, 1);
    g_assert_cmpint(get_counter(r, "events-sent"), ==, 1);

    /* 16 bytes off: all of it is. */
    g_assert_cmpint(write_at(r, 0, out, 8192, 16), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(get_counter(r, "bounced-segments"), ==, 2);
    rig_shutdown(r);
}

static void test_many_in_flight(const void *machine)
{
    enum { N = 60 }; /* three descriptors each, in a queue of 256 */
    Rig *r = rig_raw(machine);
    Request q[N];
    uint8_t data[4096];

    for (int i = 0; i < N; i++) {
        fill(data, sizeof(data), i);
        q[i] = request_alloc(r, VIRTIO_BLK_T_OUT, i * 8, data, sizeof(data), 0);
        q[i].head = qvirtqueue_add(r->qts, r->vq, q[i].header, 16, false, true);
        qvirtqueue_add(r->qts, r->vq, q[i].data, q[i].bytes, false, true);
        qvirtqueue_add(r->qts, r->vq, q[i].status, 1, true, false);
    }
    for (int i = 0; i < N; i++) {
        qvirtqueue_kick(r->qts, r->dev, r->vq, q[i].head);
    }
    wait_counter(r, "responses", N);
    for (int i = 0; i < N; i++) {
        g_assert_cmpint(qtest_readb(r->qts, q[i].status), ==, VIRTIO_BLK_S_OK);
        fill(data, sizeof(data), i);
        assert_image(r, i * 4096, data, sizeof(data));
    }
    g_assert_cmpint(get_counter(r, "ring-writes"), ==, N);
    g_assert_cmpint(get_counter(r, "in-flight"), ==, 0);
    rig_shutdown(r);
}

static void test_multiqueue(const void *machine)
{
    Rig *r = rig_start(machine, RAW, "drive=n0,num-queues=4");
    QVirtQueue *first = r->vq;
    QVirtQueue *others[3];

    g_assert_cmpint(qvirtio_config_readw(r->dev, 34), ==, 4);
    for (int i = 0; i < 3; i++) {
        others[i] = qvirtqueue_setup(r->dev, &r->qs->alloc, i + 1);
    }
    for (int i = 0; i < 3; i++) {
        r->vq = others[i];
        assert_works(r, i);
    }
    r->vq = first;
    assert_works(r, 9);
    for (int i = 0; i < 3; i++) {
        qvirtqueue_cleanup(r->dev->bus, others[i], &r->qs->alloc);
    }
    rig_shutdown(r);
}

static void test_driver_reset_in_flight(const void *machine)
{
    Rig *r = rig_start(machine, THROTTLED, "drive=n0");
    uint8_t data[4096];
    Request q[3];

    fill(data, sizeof(data), 1);
    for (int i = 0; i < 3; i++) {
        q[i] = request_alloc(r, VIRTIO_BLK_T_IN, 0, NULL, 4096, 0);
        request_send(r, &q[i], false);
    }
    g_assert_cmpint(request_wait(r, &q[0]), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(get_counter(r, "in-flight"), ==, 2);

    driver_restart(r);
    g_assert_cmpint(get_counter(r, "accepted"), ==, 0);
    /* What ends before the reset is over may say so. After it, nothing of the
     * old requests may land in memory that the new driver uses. */
    take_buffers(r, q + 1, 2);
    for (int i = 1; i < 3; i++) {
        qtest_writeb(r->qts, q[i].status, 0xff);
    }

    /* A new request waits for what the old ones hold up … */
    Request w = request_alloc(r, VIRTIO_BLK_T_OUT, 8, data, 4096, 0);
    request_send(r, &w, true);
    if (!ours(machine)) { /* Ours has done them when the reset is over. */
        g_assert_cmpint(get_counter(r, "ring-writes"), ==, 0);
    }
    /* … and is served then. */
    step_seconds(r, 4);
    g_assert_cmpint(request_wait(r, &w), ==, VIRTIO_BLK_S_OK);
    assert_image(r, 8 * 512, data, 4096);
    assert_untouched(r, q + 1, 2);
    for (int i = 1; i < 3; i++) {
        g_assert_cmphex(qtest_readb(r->qts, q[i].status), ==, 0xff);
    }
    rig_shutdown(r);
}

static void test_system_reset(const void *machine)
{
    Rig *r = rig_raw(machine);

    assert_works(r, 1);
    for (int i = 0; i < 3; i++) {
        qtest_qmp_assert_success(r->qts, "{'execute': 'system_reset'}");
        qtest_qmp_eventwait(r->qts, "RESET");
        wait_state(r, "connected");
        qvirtio_pci_device_enable(r->pci);
        driver_restart(r);
        assert_works(r, i + 2);
    }
    /* The connection to the backend outlives the machine's reset. */
    g_assert_cmpint(get_counter(r, "reconnects"), ==, 0);
    g_assert_cmpint(get_counter(r, "violations"), ==, 0);
    rig_shutdown(r);
}

static void reconnect(Rig *r)
{
    qtest_qmp_assert_success(r->qts, "{'execute': 'qom-set', 'arguments': "
                             "{'path': '/machine/peripheral/d0', "
                             "'property': 'reconnect', 'value': true}}");
}

static void test_reconnect(const void *machine)
{
    Rig *r = rig_raw(machine);

    for (int i = 0; i < 5; i++) {
        assert_works(r, i);
        reconnect(r);
        assert_works(r, 100 + i);
    }
    wait_counter(r, "reconnects", 5);
    rig_shutdown(r);
}

static void test_reconnect_in_flight(const void *machine)
{
    Rig *r = rig_start(machine, THROTTLED, "drive=n0");
    uint8_t data[3][512];
    Request q[3];

    for (int i = 0; i < 3; i++) {
        fill(data[i], 512, i);
        q[i] = request_alloc(r, VIRTIO_BLK_T_OUT, i, data[i], 512, 0);
        request_send(r, &q[i], true);
    }
    reconnect(r);
    wait_state(r, "draining");
    /* Accepted while it drains; sent on the new connection. */
    Request late = request_alloc(r, VIRTIO_BLK_T_OUT, 9, data[0], 512, 0);
    request_send(r, &late, true);
    step_seconds(r, 5);
    wait_state(r, "connected");
    step_seconds(r, 5);
    for (int i = 0; i < 3; i++) {
        assert_image(r, i * 512, data[i], 512);
        g_assert_cmpint(qtest_readb(r->qts, q[i].status), ==, VIRTIO_BLK_S_OK);
    }
    wait_counter(r, "responses", 4);
    g_assert_cmpint(qtest_readb(r->qts, late.status), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(get_counter(r, "ring-writes"), ==, 4);
    rig_shutdown(r);
}

/* Wait for the event of `id` itself: its children have events of their own. */
static void wait_deleted(Rig *r, const char *id)
{
    for (;;) {
        QDict *event = qtest_qmp_eventwait_ref(r->qts, "DEVICE_DELETED");
        const char *device = qdict_get_try_str(qdict_get_qdict(event, "data"),
                                               "device");
        bool done = device && g_str_equal(device, id);

        qobject_unref(event);
        if (done) {
            return;
        }
    }
}

/* Ask for the unplug and eject as a guest with ACPI does; pc only. */
static void unplug(Rig *r)
{
    enum { ACPI_PCIHP_EJECT = 0xae08 };

    qtest_qmp_device_del_send(r->qts, "d0");
    qtest_outl(r->qts, ACPI_PCIHP_EJECT, 1 << SLOT);
    wait_deleted(r, "d0");
}

static void test_unplug_in_flight(const void *machine)
{
    Rig *r = rig_start(machine, THROTTLED, "drive=n0");
    Request q[3];

    for (int i = 0; i < 3; i++) {
        q[i] = request_alloc(r, VIRTIO_BLK_T_OUT, i, NULL, 4096, 0);
        request_send(r, &q[i], true);
    }
    g_assert_cmpint(get_counter(r, "in-flight"), >, 0);
    qvirtqueue_cleanup(r->dev->bus, r->vq, &r->qs->alloc);
    r->vq = NULL;
    unplug(r);

    /* The node is free again: same id, same node, same slot. */
    qtest_qmp_device_add(r->qts, "xen-pvblk-pci", "d0",
                         "{'drive': 'n0', 'addr': '4.0'}");
    wait_state(r, "connected");
    qtest_qmp_assert_success(r->qts, "{'execute': 'qom-get', 'arguments': "
                             "{'path': '/machine/peripheral/d0', "
                             "'property': 'counters'}}");
    g_free(r->pci->pdev);
    g_free(r->pci);
    r->pci = NULL;
    rig_shutdown(r);
}

static void test_plug_many_times(const void *machine)
{
    Rig *r = rig_boot(machine, RAW);

    for (int i = 0; i < 40; i++) {
        qtest_qmp_device_add(r->qts, "xen-pvblk-pci", "d0",
                             "{'drive': 'n0', 'addr': '4.0'}");
        wait_state(r, "connected");
        unplug(r);
    }
    rig_shutdown(r);
}

static void test_io_error(const void *machine)
{
    Rig *r = rig_start(machine,
        "-blockdev driver=file,filename=%s,node-name=f0 "
        "-blockdev '{\"driver\":\"blkdebug\",\"node-name\":\"n0\","
        "\"image\":\"f0\",\"inject-error\":["
        "{\"event\":\"none\",\"iotype\":\"write\",\"sector\":100,\"once\":true},"
        "{\"event\":\"none\",\"iotype\":\"read\",\"sector\":200,\"once\":true},"
        "{\"event\":\"none\",\"iotype\":\"flush\",\"once\":true}]}' ",
        "drive=n0");
    uint8_t data[512] = {};

    g_assert_cmpint(write_at(r, 100, data, 512, 0), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(write_at(r, 100, data, 512, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(read_at(r, 200, data, 512, 0), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(read_at(r, 200, data, 512, 0), ==, VIRTIO_BLK_S_OK);
    /* The first flush fails: that is how some backends say that they have none.
     * The driver is told, and another connection gets another chance. */
    if (ours(machine)) { /* It has barriers, too, which do instead. */
        g_assert_cmpint(command(r, VIRTIO_BLK_T_FLUSH, NULL, 0), ==,
                        VIRTIO_BLK_S_OK);
        g_assert_cmpint(get_counter(r, "ring-barriers"), ==, 1);
    } else {
        g_assert_cmpint(command(r, VIRTIO_BLK_T_FLUSH, NULL, 0), ==,
                        VIRTIO_BLK_S_IOERR);
        g_assert_cmpint(command(r, VIRTIO_BLK_T_FLUSH, NULL, 0), ==,
                        VIRTIO_BLK_S_UNSUPP);
    }
    g_assert_cmpint(get_counter(r, "errors"), ==, 3);
    wait_state(r, "connected");
    reconnect(r);
    wait_counter(r, "reconnects", 1);
    g_assert_cmpint(command(r, VIRTIO_BLK_T_FLUSH, NULL, 0), ==,
                    VIRTIO_BLK_S_OK);
    rig_shutdown(r);
}

static void test_error_in_large_request(const void *machine)
{
    /* One of its 24 ring requests fails: the whole fails, once. */
    Rig *r = rig_start(machine,
        "-blockdev driver=file,filename=%s,node-name=f0 "
        "-blockdev '{\"driver\":\"blkdebug\",\"node-name\":\"n0\","
        "\"image\":\"f0\",\"inject-error\":["
        "{\"event\":\"none\",\"iotype\":\"write\",\"sector\":1000,\"once\":true}]}' ",
        "drive=n0");
    g_autofree uint8_t *data = g_malloc0(1024 * 1024);

    g_assert_cmpint(write_at(r, 0, data, 1024 * 1024, 0), ==,
                    VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(write_at(r, 0, data, 1024 * 1024, 0), ==, VIRTIO_BLK_S_OK);
    rig_shutdown(r);
}

static void test_read_only(const void *machine)
{
    Rig *r = rig_start(machine,
        "-blockdev driver=file,filename=%s,node-name=n0,read-only=on ",
        "drive=n0");
    uint8_t data[512] = {};

    g_assert_true(qvirtio_get_features(r->dev) & (1ull << VIRTIO_BLK_F_RO));
    g_assert_false(qvirtio_get_features(r->dev) &
                   (1ull << VIRTIO_BLK_F_DISCARD));
    g_assert_cmpint(read_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(write_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(discard_at(r, 0, 8, 0), ==, VIRTIO_BLK_S_UNSUPP);
    g_assert_cmpint(get_counter(r, "ring-writes"), ==, 0);
    g_assert_cmpint(get_counter(r, "ring-discards"), ==, 0);
    rig_shutdown(r);
}

static void test_cdrom(const void *machine)
{
    /* QEMU's xen-cdrom aborts on a discard to a writable node with
     * discard=unmap; no guest gets one through us. */
    Rig *r = rig_start(machine, RAW, "drive=n0,backend=xen-cdrom");
    uint8_t data[2048] = {};

    g_assert_true(qvirtio_get_features(r->dev) & (1ull << VIRTIO_BLK_F_RO));
    g_assert_cmpint(read_at(r, 0, data, 2048, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(discard_at(r, 0, 8, 0), ==, VIRTIO_BLK_S_UNSUPP);
    g_assert_cmpint(write_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_IOERR);
    rig_shutdown(r);
}

static void test_4096(const void *machine)
{
    Rig *r = rig_start(machine, RAW, "drive=n0,logical_block_size=4096,"
                       "physical_block_size=4096");
    uint8_t out[8192], in[8192];

    g_assert_cmpint(qvirtio_config_readq(r->dev, 0), ==, DISK_SECTORS);
    g_assert_cmpint(qvirtio_config_readl(r->dev, 20), ==, 4096);
    fill(out, sizeof(out), 4);
    /* Sector 8 is byte 4096, whatever the unit on the ring. */
    g_assert_cmpint(write_at(r, 8, out, 8192, 0), ==, VIRTIO_BLK_S_OK);
    assert_image(r, 4096, out, 8192);
    /* A buffer that is 512-aligned only has to be copied. */
    g_assert_cmpint(read_at(r, 8, in, 8192, 512), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
    g_assert_cmpint(write_at(r, 4, out, 4096, 0), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(write_at(r, 8, out, 512, 0), ==, VIRTIO_BLK_S_IOERR);
    /* The last sector, and one beyond. */
    g_assert_cmpint(write_at(r, DISK_SECTORS - 8, out, 4096, 0), ==,
                    VIRTIO_BLK_S_OK);
    assert_image(r, DISK_SIZE - 4096, out, 4096);
    g_assert_cmpint(write_at(r, DISK_SECTORS, out, 4096, 0), ==,
                    VIRTIO_BLK_S_IOERR);
    rig_shutdown(r);
}

/* One of the two sizes asks for large sectors, of either way to a backend. */
static void test_one_block_size(const void *machine)
{
    static const char *const backends[] = {
        RAW,
        RAW "-device xen-pvblk-backend,drive=n0,vdev=xvdb,"
            "logical_block_size=4096 ",
    };
    static const char *const devices[] = { "drive=n0,logical_block_size=4096",
                                           "vdev=xvdb" };

    for (int i = 0; i < 2; i++) {
        Rig *r = rig_start(machine, backends[i], devices[i]);
        QDict *plan = get_dict(r, "plan");

        g_assert_cmpint(qdict_get_int(plan, "sector-size"), ==, 4096);
        if (i || ours(machine)) { /* QEMU's has no node for it. */
            g_assert_cmpint(qdict_get_int(plan, "physical-sector-size"), ==,
                            4096);
        }
        qobject_unref(plan);
        assert_works(r, i);
        rig_shutdown(r);
    }
}

static void test_flush_and_id(const void *machine)
{
    Rig *r = rig_start(machine, RAW, "drive=n0,serial=pvblk-0123456789abcd");
    Request q;
    char id[20];

    g_assert_cmpint(command(r, VIRTIO_BLK_T_FLUSH, NULL, 0), ==,
                    VIRTIO_BLK_S_OK);
    g_assert_cmpint(get_counter(r, "ring-flushes"), ==, 1);
    q = request_alloc(r, VIRTIO_BLK_T_GET_ID, 0, NULL, 20, 0);
    request_send(r, &q, false);
    g_assert_cmpint(request_wait(r, &q), ==, VIRTIO_BLK_S_OK);
    qtest_memread(r->qts, q.data, id, sizeof(id));
    g_assert_cmpmem(id, 20, "pvblk-0123456789abcd", 20);
    g_assert_cmpint(command(r, VIRTIO_BLK_T_WRITE_ZEROES, NULL, 0), ==,
                    VIRTIO_BLK_S_UNSUPP);
    rig_shutdown(r);
}

static void test_writethrough(const void *machine)
{
    Rig *r = rig_raw(machine);
    uint8_t data[512] = {};

    g_assert_cmpint(write_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(get_counter(r, "ring-flushes"), ==, 0);

    /* A driver that cannot flush: each write is stable when it completes. */
    qvirtqueue_cleanup(r->dev->bus, r->vq, &r->qs->alloc);
    driver_start(r, ALL_FEATURES & ~((1ull << VIRTIO_BLK_F_FLUSH) |
                                     (1ull << VIRTIO_BLK_F_CONFIG_WCE)));
    g_assert_cmpint(write_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(get_counter(r, "ring-flushes"), ==, 1);
    rig_shutdown(r);
}

static void test_discard(const void *machine)
{
    Rig *r = rig_raw(machine);
    g_autofree uint8_t *data = g_malloc(65536);
    struct stat before, after;

    memset(data, 0x5a, 65536);
    g_assert_cmpint(write_at(r, 0, data, 65536, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(command(r, VIRTIO_BLK_T_FLUSH, NULL, 0), ==,
                    VIRTIO_BLK_S_OK);
    g_assert_cmpint(stat(r->image, &before), ==, 0);
    g_assert_cmpint(discard_at(r, 0, 128, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(get_counter(r, "bytes-discarded"), ==, 65536);
    g_assert_cmpint(stat(r->image, &after), ==, 0);
    if (after.st_blocks >= before.st_blocks) {
        g_test_message("this file system does not punch holes");
    }

    g_assert_cmpint(discard_at(r, 0, 0, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(discard_at(r, 0, 8, 1), ==, VIRTIO_BLK_S_UNSUPP);
    g_assert_cmpint(discard_at(r, DISK_SECTORS - 8, 16, 0), ==,
                    VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(discard_at(r, UINT64_MAX, 8, 0), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(discard_at(r, 0, UINT32_MAX, 0), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(get_counter(r, "ring-discards"), ==, 1);
    rig_shutdown(r);
}

static void test_resize_in_flight(const void *machine)
{
    Rig *r = rig_start(machine, THROTTLED, "drive=n0");
    uint8_t data[512];
    Request q[2];

    fill(data, sizeof(data), 5);
    send_writes(r, q, 2, data);
    g_assert_cmpint(request_wait(r, &q[0]), ==, VIRTIO_BLK_S_OK);
    qtest_qmp_assert_success(r->qts, "{'execute': 'block_resize', 'arguments': "
                             "{'node-name': 'n0', 'size': %d}}",
                             2 * DISK_SIZE);
    qvirtio_wait_config_isr(r->dev, TIMEOUT_US);
    g_assert_cmpint(qvirtio_config_readq(r->dev, 0), ==, 2 * DISK_SECTORS);
    step_seconds(r, 10);
    g_assert_cmpint(request_wait(r, &q[1]), ==, VIRTIO_BLK_S_OK);
    Request beyond = request_alloc(r, VIRTIO_BLK_T_OUT, 2 * DISK_SECTORS - 1,
                                   data, 512, 0);
    request_send(r, &beyond, true);
    step_seconds(r, 10);
    g_assert_cmpint(request_wait(r, &beyond), ==, VIRTIO_BLK_S_OK);
    rig_shutdown(r);
}

/* ---- malformed requests --------------------------------------------------- */

/* One descriptor chain, as given; {length, device-writable}. */
typedef struct Piece {
    uint32_t bytes;
    bool in;
} Piece;

static uint8_t send_raw(Rig *r, uint32_t type, uint64_t sector,
                        const Piece *pieces, int n, bool expect_status)
{
    uint64_t area = qmalloc(r->qs, 256 * 1024);
    uint8_t header[16] = {};
    uint32_t head = 0;
    uint64_t at = area, last = area;

    stl_le_p(header, type);
    stq_le_p(header + 8, sector);
    qtest_memset(r->qts, area, 0xee, 128 * 1024);
    qtest_memwrite(r->qts, area, header, sizeof(header));
    for (int i = 0; i < n; i++) {
        uint32_t d = qvirtqueue_add(r->qts, r->vq, at, pieces[i].bytes,
                                    pieces[i].in, i + 1 < n);

        head = i == 0 ? d : head;
        at += pieces[i].bytes;
        last = at - 1;
    }
    qvirtqueue_kick(r->qts, r->dev, r->vq, head);
    qvirtio_wait_used_elem(r->qts, r->dev, r->vq, head, NULL, TIMEOUT_US);
    return expect_status ? qtest_readb(r->qts, last) : 0xff;
}

static void test_malformed(const void *machine)
{
    static const struct {
        const char *what;
        uint32_t type;
        uint64_t sector;
        Piece pieces[4];
        int n;
        bool has_status;
    } cases[] = {
        { "short header", VIRTIO_BLK_T_IN, 0, {{ 8, 0 }, { 513, 1 }}, 2, true },
        { "no status byte", VIRTIO_BLK_T_OUT, 0, {{ 528, 0 }}, 1, false },
        { "no header at all", VIRTIO_BLK_T_IN, 0, {{ 513, 1 }}, 1, true },
        { "read into what the device may not write", VIRTIO_BLK_T_IN, 0,
          {{ 16, 0 }, { 512, 0 }, { 1, 1 }}, 3, true },
        { "write from what the device may not read", VIRTIO_BLK_T_OUT, 0,
          {{ 16, 0 }, { 513, 1 }}, 2, true },
        { "no whole sectors", VIRTIO_BLK_T_OUT, 0,
          {{ 16, 0 }, { 100, 0 }, { 1, 1 }}, 3, true },
        { "beyond the end", VIRTIO_BLK_T_OUT, DISK_SECTORS,
          {{ 16, 0 }, { 512, 0 }, { 1, 1 }}, 3, true },
        { "across the end", VIRTIO_BLK_T_OUT, DISK_SECTORS - 1,
          {{ 16, 0 }, { 1024, 0 }, { 1, 1 }}, 3, true },
        { "2^55 sectors wrap in bytes", VIRTIO_BLK_T_OUT, (1ull << 55) + 1,
          {{ 16, 0 }, { 512, 0 }, { 1, 1 }}, 3, true },
        { "2^64 sectors wrap", VIRTIO_BLK_T_OUT, UINT64_MAX,
          {{ 16, 0 }, { 1024, 0 }, { 1, 1 }}, 3, true },
        { "unknown type", 77, 0, {{ 16, 0 }, { 1, 1 }}, 2, true },
        { "discard without a segment", VIRTIO_BLK_T_DISCARD, 0,
          {{ 16, 0 }, { 1, 1 }}, 2, true },
        { "discard with half a segment", VIRTIO_BLK_T_DISCARD, 0,
          {{ 16, 0 }, { 8, 0 }, { 1, 1 }}, 3, true },
        { "id with no room", VIRTIO_BLK_T_GET_ID, 0, {{ 16, 0 }, { 1, 1 }}, 2,
          true },
    };
    Rig *r = rig_raw(machine);
    g_autofree uint8_t *zero = g_malloc0(DISK_SIZE);

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t status;

        g_test_message("%s", cases[i].what);
        status = send_raw(r, cases[i].type, cases[i].sector, cases[i].pieces,
                          cases[i].n, cases[i].has_status);
        g_assert_cmpint(status, !=, VIRTIO_BLK_S_OK);
        g_assert_cmpint(get_counter(r, "in-flight"), ==, 0);
    }
    /* Not a byte was written, nothing reached the ring, and it goes on. */
    assert_image(r, 0, zero, DISK_SIZE);
    g_assert_cmpint(get_counter(r, "ring-writes"), ==, 0);
    g_assert_cmpint(get_counter(r, "guest-requests"), ==, ARRAY_SIZE(cases));
    g_assert_cmpint(get_counter(r, "guest-errors"), ==, ARRAY_SIZE(cases));
    assert_works(r, 7);
    rig_shutdown(r);
}

/* Pages that a grant cannot name are copied, as for any device with DMA. */
static void test_buffer_is_not_memory(const void *machine)
{
    static const uint64_t places[] = { 0xfed40000, 0xfffff000 };
    Rig *r = rig_raw(machine);
    uint8_t pattern[4096], rom[4096], after[4096];

    memset(pattern, 0x5a, sizeof(pattern));
    g_assert_cmpint(write_at(r, 0, pattern, 4096, 0), ==, VIRTIO_BLK_S_OK);
    qtest_memread(r->qts, places[1], rom, sizeof(rom));
    for (int i = 0; i < 2; i++) {
        Request q = request_alloc(r, VIRTIO_BLK_T_IN, 0, NULL, 4096, 0);

        q.data = places[i];
        request_send(r, &q, false);
        g_assert_cmpint(request_wait(r, &q), ==, VIRTIO_BLK_S_OK);
    }
    g_assert_cmpint(get_counter(r, "bounced-segments"), ==, 2);
    /* The firmware is what it was. */
    qtest_memread(r->qts, places[1], after, sizeof(after));
    g_assert_cmpmem(after, sizeof(after), rom, sizeof(rom));
    assert_works(r, 3);
    rig_shutdown(r);
}

/* The data of a read goes to the device's own notification register, from
 * inside the completion: kicks, and nothing else. */
static void test_read_into_own_registers(const void *machine)
{
    Rig *r = rig_raw(machine);
    uint64_t bar = qpci_config_readl(r->pci->pdev, PCI_BASE_ADDRESS_4) & ~0xfull;
    uint8_t zero[4096] = {};
    Request q[8];

    g_assert_cmphex(bar, !=, 0);
    g_assert_cmpint(write_at(r, 0, zero, 4096, 0), ==, VIRTIO_BLK_S_OK);
    for (int i = 0; i < 8; i++) {
        q[i] = request_alloc(r, VIRTIO_BLK_T_IN, 0, NULL, 4096, 0);
        if (i == 3) {
            q[i].data = bar + r->pci->notify_cfg_offset;
        }
        q[i].head = qvirtqueue_add(r->qts, r->vq, q[i].header, 16, false, true);
        qvirtqueue_add(r->qts, r->vq, q[i].data, i == 3 ? 512 : 4096, true, true);
        qvirtqueue_add(r->qts, r->vq, q[i].status, 1, true, false);
    }
    for (int i = 0; i < 8; i++) {
        qvirtqueue_kick(r->qts, r->dev, r->vq, q[i].head);
    }
    for (int i = 0; i < 8; i++) {
        g_assert_cmpint(request_wait(r, &q[i]), ==, VIRTIO_BLK_S_OK);
    }
    g_assert_cmpint(get_counter(r, "violations"), ==, 0);
    assert_works(r, 3);
    rig_shutdown(r);
}

/* ---- hostile guests --------------------------------------------------------- */

/* A rig whose driver is about to set its device up in its own way. */
static Rig *rig_unset(const char *machine, const char *args)
{
    QPCIAddress addr = { .devfn = QPCI_DEVFN(SLOT, 0) };
    Rig *r = rig_boot(machine, args);

    wait_state(r, "connected");
    r->pci = virtio_pci_new(r->qs->pcibus, &addr);
    qvirtio_pci_device_enable(r->pci);
    r->dev = &r->pci->vdev;
    qvirtio_start_device(r->dev);
    return r;
}

static uint64_t common_config(Rig *r)
{
    return r->pci->bar.addr + r->pci->common_cfg_offset;
}

/* Q_SIZE of a packed ring made smaller than a batch that is in flight on it. */
static void test_packed_ring_shrinks(const void *machine)
{
    enum { N = 20, NEXT = 1, WRITE = 2, AVAIL = 1 << 7 };
    /* Real time, for once: they have to be done at the same moment. */
    Rig *r = rig_unset(machine, "-blockdev driver=null-co,node-name=n0,"
                       "size=8388608,latency-ns=300000000 "
                       "-device xen-pvblk-pci,id=d0,addr=4.0,drive=n0,"
                       "packed=on,disable-legacy=on");
    uint64_t ring = QEMU_ALIGN_UP(qmalloc(r->qs, 4 * 4096), 4096);
    uint64_t common = common_config(r);

    qvirtio_set_features(r->dev, qvirtio_get_features(r->dev) &
                         (ALL_FEATURES | (1ull << VIRTIO_F_RING_PACKED)));
    qtest_memset(r->qts, ring, 0, 3 * 4096);
    qtest_writew(r->qts, common + VIRTIO_PCI_COMMON_Q_SELECT, 0);
    for (int i = 0; i < 3; i++) { /* descriptors, driver, device areas */
        qtest_writel(r->qts, common + VIRTIO_PCI_COMMON_Q_DESCLO + 8 * i,
                     ring + 4096 * i);
        qtest_writel(r->qts, common + VIRTIO_PCI_COMMON_Q_DESCHI + 8 * i, 0);
    }
    qtest_writew(r->qts, common + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
    qvirtio_set_driver_ok(r->dev);
    for (uint64_t i = 0; i < N; i++) {
        Request q = request_alloc(r, VIRTIO_BLK_T_IN, i, NULL, 512, 0);
        struct {
            uint64_t addr;
            uint32_t len;
            uint16_t id, flags;
        } desc[3] = {
            { q.header, 16, i, NEXT | AVAIL },
            { q.data, 512, i, NEXT | WRITE | AVAIL },
            { q.status, 1, i, WRITE | AVAIL },
        };

        qtest_memwrite(r->qts, ring + i * sizeof(desc), desc, sizeof(desc));
    }
    qtest_writew(r->qts, r->pci->bar.addr + r->pci->notify_cfg_offset, 0);
    wait_counter(r, "ring-reads", N);
    qtest_writew(r->qts, common + VIRTIO_PCI_COMMON_Q_SELECT, 0);
    qtest_writew(r->qts, common + VIRTIO_PCI_COMMON_Q_SIZE, 4);
    wait_counter(r, "responses", N);
    r->vq = NULL;
    driver_start(r, ALL_FEATURES);
    rig_shutdown(r);
}

/* VIRTIO_F_RING_RESET: one queue, with requests in flight. */
static void test_queue_reset(const void *machine)
{
    Rig *r = rig_start(machine, THROTTLED, "drive=n0,disable-legacy=on");
    uint64_t common = common_config(r);
    Request q[3];

    for (int i = 0; i < 3; i++) {
        q[i] = request_alloc(r, VIRTIO_BLK_T_IN, 0, NULL, 512, 0);
        request_send(r, &q[i], false);
    }
    g_assert_cmpint(request_wait(r, &q[0]), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(get_counter(r, "accepted"), ==, 2);
    qtest_writew(r->qts, common + VIRTIO_PCI_COMMON_Q_SELECT, 0);
    qtest_writew(r->qts, common + VIRTIO_PCI_COMMON_Q_RESET, 1);
    g_assert_cmpint(get_counter(r, "accepted"), ==, 0);
    step_seconds(r, 4);
    if (!ours(machine)) { /* Ours may be done with it before the reset is. */
        g_assert_cmphex(qtest_readb(r->qts, q[1].status), ==, 0xff);
    }
    driver_restart(r);
    q[0] = request_alloc(r, VIRTIO_BLK_T_IN, 0, NULL, 512, 0);
    request_send(r, &q[0], false);
    step_seconds(r, 4);
    g_assert_cmpint(request_wait(r, &q[0]), ==, VIRTIO_BLK_S_OK);
    rig_shutdown(r);
}

/* As many requests as the queue has entries: one chain, offered in each. */
static void fill_queue(Rig *r, QVirtQueue *vq, const Request *q)
{
    g_autofree uint16_t *heads = g_new0(uint16_t, vq->size);
    uint16_t head = qvirtqueue_add(r->qts, vq, q->header, 16, false, true);

    qvirtqueue_add(r->qts, vq, q->data, q->bytes, true, true);
    qvirtqueue_add(r->qts, vq, q->status, 1, true, false);
    for (uint32_t i = 0; i < vq->size; i++) {
        heads[i] = cpu_to_le16(head);
    }
    qtest_memwrite(r->qts, vq->avail + 4, heads, vq->size * sizeof(*heads));
    qtest_writew(r->qts, vq->avail + 2, vq->size);
    r->dev->bus->virtqueue_kick(r->dev, vq);
}

/* The device takes 4096 requests. One more waits in its queue, and is served
 * when other queues are reset, without another kick. */
static void test_queue_reset_makes_room(const void *machine)
{
    enum { QUEUES = 5, SIZE = 1024, LAST = QUEUES - 1 };
    Rig *r = rig_start(machine, THROTTLED, "drive=n0,disable-legacy=on,"
                       "num-queues=5,queue-size=1024");
    uint64_t common = common_config(r);
    QVirtQueue *vq[QUEUES] = { r->vq };
    Request all, q;

    for (int i = 1; i < QUEUES; i++) {
        vq[i] = qvirtqueue_setup(r->dev, &r->qs->alloc, i);
    }
    r->vq = vq[LAST];
    all = request_alloc(r, VIRTIO_BLK_T_IN, 0, NULL, 512, 0);
    request_send(r, &all, false);
    g_assert_cmpint(request_wait(r, &all), ==, VIRTIO_BLK_S_OK);

    for (int i = 0; i < LAST; i++) {
        fill_queue(r, vq[i], &all);
    }
    g_assert_cmpint(get_counter(r, "accepted"), ==, LAST * SIZE);
    q = request_alloc(r, VIRTIO_BLK_T_IN, 0, NULL, 512, 0);
    request_send(r, &q, false);
    g_assert_cmpint(get_counter(r, "accepted"), ==, LAST * SIZE);
    for (int i = 0; i < LAST; i++) {
        qtest_writew(r->qts, common + VIRTIO_PCI_COMMON_Q_SELECT, i);
        qtest_writew(r->qts, common + VIRTIO_PCI_COMMON_Q_RESET, 1);
    }
    /* The backend may go on: what was cancelled ends first. */
    qtest_qmp_assert_success(r->qts, "{'execute': 'qom-set', 'arguments': "
                             "{'path': '/objects/tg', 'property': 'limits', "
                             "'value': {'iops-total': 0}}}");
    g_assert_cmpint(request_wait(r, &q), ==, VIRTIO_BLK_S_OK);
    for (int i = 0; i < LAST; i++) {
        qvirtqueue_cleanup(r->dev->bus, vq[i], &r->qs->alloc);
    }
    rig_shutdown(r);
}

/* Behind an IOMMU an address is not what a grant means, before DRIVER_OK no
 * less than after. q35: pc has no IOMMU. */
static void test_iommu(const void *machine)
{
    Rig *r = rig_unset("q35", "-device intel-iommu " RAW "-device "
                       "xen-pvblk-pci,id=d0,addr=4.0,drive=n0,"
                       "iommu_platform=on,disable-legacy=on");
    uint8_t data[4096] = {};

    qvirtio_set_features(r->dev, qvirtio_get_features(r->dev) &
                         (ALL_FEATURES | (1ull << VIRTIO_F_ACCESS_PLATFORM)));
    r->vq = qvirtqueue_setup(r->dev, &r->qs->alloc, 0);
    g_assert_cmpint(write_at(r, 8, data, 4096, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(get_counter(r, "bounced-segments"), ==, 1);
    qvirtio_set_driver_ok(r->dev);
    g_assert_cmpint(write_at(r, 8, data, 4096, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(get_counter(r, "bounced-segments"), ==, 2);
    rig_shutdown(r);
}

/*
 * The last two bytes of a read are a root port's Slot Control register, and
 * say "power off": the device is unplugged from inside its own completion.
 */
static void test_unplug_by_dma(const void *machine)
{
    const uint64_t ecam = 0xb0000000;
    const uint32_t port_devfn = QPCI_DEVFN(5, 0);
    Rig *r = rig_boot("q35", RAW "-global ICH9-LPC.acpi-pci-hotplug-with-"
                      "bridge-support=off -device pcie-root-port,id=rp,"
                      "addr=5.0,chassis=1 "
                      "-device xen-pvblk-pci,id=d0,bus=rp,drive=n0");
    QPCIAddress addr = { .devfn = 0x100 }; /* bus 1 */
    QPCIDevice *port;
    uint8_t sector[512] = {}, cap;
    Request q;

    wait_state(r, "connected");
    qtest_outl(r->qts, 0xcf8, 0x80000060); /* q35: PCIEXBAR */
    qtest_outl(r->qts, 0xcfc, ecam | 1);
    port = qpci_device_find(r->qs->pcibus, port_devfn);
    qpci_config_writeb(port, PCI_SECONDARY_BUS, 1);
    qpci_config_writeb(port, PCI_SUBORDINATE_BUS, 1);
    qpci_config_writew(port, PCI_MEMORY_BASE, 0xe000);
    qpci_config_writew(port, PCI_MEMORY_LIMIT, 0xeff0);
    qpci_config_writew(port, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY |
                       PCI_COMMAND_MASTER);
    cap = qpci_find_capability(port, PCI_CAP_ID_EXP, 0);
    r->pci = virtio_pci_new(r->qs->pcibus, &addr);
    g_assert_nonnull(r->pci);
    qvirtio_pci_device_enable(r->pci);
    r->dev = &r->pci->vdev;
    driver_start(r, ALL_FEATURES);

    stw_le_p(sector + 510, PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF);
    g_assert_cmpint(write_at(r, 3, sector, 512, 0), ==, VIRTIO_BLK_S_OK);
    q = request_alloc(r, VIRTIO_BLK_T_IN, 3, NULL, 512, 0);
    q.head = qvirtqueue_add(r->qts, r->vq, q.header, 16, false, true);
    qvirtqueue_add(r->qts, r->vq, q.data, 510, true, true);
    qvirtqueue_add(r->qts, r->vq, ecam + (port_devfn << 12) + cap +
                   PCI_EXP_SLTCTL, 2, true, true);
    qvirtqueue_add(r->qts, r->vq, q.status, 1, true, false);
    qvirtqueue_kick(r->qts, r->dev, r->vq, q.head);
    wait_deleted(r, "d0");
    g_free(port);
    r->vq = NULL;
    g_free(r->pci->pdev);
    g_free(r->pci);
    r->pci = NULL;
    rig_shutdown(r);
}

/* ---- backends that come and go -------------------------------------------- */

#define XEN_DISK RAW "-device xen-disk,id=be,drive=n0,vdev=xvdb "

static void test_attach(const void *machine)
{
    Rig *r = rig_start(machine, XEN_DISK, "vdev=xvdb");

    assert_works(r, 1);
    rig_shutdown(r);
}

/* xvdb has other names, too. */
static void test_attach_by_number(const void *machine)
{
    static const char *const names[] = { "vdev=d1p0", "vdev=xvdb0" };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        Rig *r = rig_start(machine, XEN_DISK, names[i]);

        assert_works(r, i);
        rig_shutdown(r);
    }
}

static void backend_gone(Rig *r)
{
    qtest_qmp_assert_success(r->qts, "{'execute': 'device_del', 'arguments': "
                             "{'id': 'be'}}");
    wait_deleted(r, "be");
}

static void test_backend_returns(const void *machine)
{
    Rig *r = rig_start(machine, XEN_DISK, "vdev=xvdb");
    uint8_t data[512];
    Request q;

    assert_works(r, 1);
    backend_gone(r);
    fill(data, sizeof(data), 2);
    q = request_alloc(r, VIRTIO_BLK_T_OUT, 5, data, 512, 0);
    request_send(r, &q, true);
    g_assert_cmpint(get_counter(r, "accepted"), ==, 1);
    qtest_qmp_device_add(r->qts, "xen-disk", "be",
                         "{'drive': 'n0', 'vdev': 'xvdb'}");
    wait_state(r, "connected");
    g_assert_cmpint(request_wait(r, &q), ==, VIRTIO_BLK_S_OK);
    assert_image(r, 5 * 512, data, 512);
    rig_shutdown(r);
}

static void test_backend_vanishes(const void *machine)
{
    Rig *r = rig_start(machine, XEN_DISK, "vdev=xvdb");
    uint8_t data[512] = {};
    Request q;

    assert_works(r, 1);
    backend_gone(r);
    q = request_alloc(r, VIRTIO_BLK_T_OUT, 5, data, 512, 0);
    request_send(r, &q, true);
    g_assert_cmpint(get_counter(r, "accepted"), ==, 1);
    /* The deadline of the wait for it passes: everything fails, at once. */
    step_seconds(r, 11);
    wait_state(r, "broken");
    g_assert_cmpint(request_wait(r, &q), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(write_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_IOERR);

    /* A reset of the device recovers, once there is a backend. */
    qtest_qmp_device_add(r->qts, "xen-disk", "be",
                         "{'drive': 'n0', 'vdev': 'xvdb'}");
    driver_restart(r);
    wait_state(r, "connected");
    assert_works(r, 2);
    rig_shutdown(r);
}

static void test_own_backend_pulled(const void *machine)
{
    /* The operator unplugs the backend that came with the device. */
    Rig *r = rig_raw(machine);
    uint8_t data[512] = {};

    assert_works(r, 1);
    qtest_qmp_assert_success(r->qts, "{'execute': 'device_del', 'arguments': "
        "{'id': '/machine/peripheral/d0/virtio-backend/xen-backend'}}");
    qtest_qmp_eventwait(r->qts, "DEVICE_DELETED");
    step_seconds(r, 11);
    wait_state(r, "broken");
    g_assert_cmpint(write_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_IOERR);
    rig_shutdown(r);
}

static void test_other_backend_than_before(const void *machine)
{
    /* A discard is accepted, the disk goes, a CD-ROM takes its place: sent to
     * QEMU's xen-cdrom, it would be the end of QEMU. */
    Rig *r = rig_start(machine, XEN_DISK, "vdev=xvdb");
    uint8_t segment[16] = {}, data[512] = {};
    Request q;

    backend_gone(r);
    stl_le_p(segment + 8, 8);
    q = request_alloc(r, VIRTIO_BLK_T_DISCARD, 0, segment, sizeof(segment), 0);
    request_send(r, &q, true);
    g_assert_cmpint(get_counter(r, "accepted"), ==, 1);
    qtest_qmp_device_add(r->qts, "xen-cdrom", "be",
                         "{'drive': 'n0', 'vdev': 'xvdb'}");
    wait_state(r, "connected");
    g_assert_cmpint(request_wait(r, &q), !=, VIRTIO_BLK_S_OK);
    g_assert_cmpint(write_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(read_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_OK);
    rig_shutdown(r);
}

/* The number in the frontend's path is in each of its requests. */
static void test_virtual_device(const void *machine)
{
    enum { NUMBER = 51728, ENTRIES = 64, ENTRY = 112, HANDLE = 2 };
    g_autofree char *args =
        g_strdup_printf("%s-device %s,id=be,drive=n0,vdev=xvdb ", THROTTLED,
                        ours(machine) ? "xen-pvblk-backend" : "xen-disk");
    g_autofree char *handle = g_strdup_printf("%02x%02x", NUMBER & 0xff,
                                              NUMBER >> 8);
    Rig *r = rig_start(machine, args, "vdev=xvdb");
    uint8_t data[512] = {};
    QDict *ring;
    Request q[2];

    send_writes(r, q, 2, data);
    g_assert_cmpint(request_wait(r, &q[0]), ==, VIRTIO_BLK_S_OK);
    /* The second one is not answered yet: no response lies on it. */
    ring = get_dict(r, "ring");
    g_assert_true(g_str_has_suffix(qdict_get_str(ring, "frontend"), "/51728"));
    g_assert_true(g_str_has_prefix(qdict_get_str(ring, "page") +
                                   2 * (ENTRIES + ENTRY + HANDLE), handle));
    qobject_unref(ring);
    step_seconds(r, 4);
    g_assert_cmpint(request_wait(r, &q[1]), ==, VIRTIO_BLK_S_OK);
    rig_shutdown(r);
}

static void test_late_answers(const void *machine)
{
    /* Given up, failed, and still in the backend: none of it may reach the
     * next connection. */
    Rig *r = rig_start(machine, THROTTLED, "drive=n0,request-timeout-ms=1500");
    uint8_t data[512] = {};
    Request q[4];

    send_writes(r, q, 4, data);
    qtest_clock_step(r->qts, 100 * MS);
    qtest_clock_step(r->qts, 1600 * MS);
    wait_state(r, "broken");
    driver_restart(r);
    wait_state(r, "connected");
    step_seconds(r, 6);
    wait_state(r, "connected");
    g_assert_cmpint(read_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(get_counter(r, "violations"), ==, 1);
    rig_shutdown(r);
}

static void test_second_frontend(const void *machine)
{
    /* Start over a live backend: the first frontend leaves, a second one
     * takes over; unplugged on pc only, see test_unplug_in_flight(). */
    Rig *r = rig_start(machine, XEN_DISK, "vdev=xvdb");

    assert_works(r, 1);
    qvirtqueue_cleanup(r->dev->bus, r->vq, &r->qs->alloc);
    r->vq = NULL;
    unplug(r);
    g_free(r->pci->pdev);
    g_free(r->pci);
    r->pci = NULL;
    qtest_qmp_device_add(r->qts, "xen-pvblk-pci", "d0",
                         "{'vdev': 'xvdb', 'addr': '4.0'}");
    wait_state(r, "connected");
    rig_shutdown(r);
}

/* ---- bad properties -------------------------------------------------------- */

static void assert_refused(Rig *r, const char *driver, const char *properties,
                           const char *sentence)
{
    QDict *args = qdict_from_jsonf_nofail("{'driver': %s, 'id': 'bad'}",
                                          driver);
    g_auto(GStrv) pairs = g_strsplit(properties, ",", 0);
    QDict *rsp;
    const char *desc;

    for (int i = 0; pairs[i]; i++) {
        g_auto(GStrv) pair = g_strsplit(pairs[i], "=", 2);

        if (pair[0] && pair[1] && !g_str_equal(pair[0], "serial") &&
            !g_str_equal(pair[0], "sector-units") &&
            strspn(pair[1], "0123456789") == strlen(pair[1])) {
            qdict_put_int(args, pair[0], strtoull(pair[1], NULL, 10));
        } else if (pair[0] && pair[1]) {
            qdict_put_str(args, pair[0], pair[1]);
        }
    }
    rsp = qtest_qmp(r->qts, "{'execute': 'device_add', 'arguments': %p}", args);
    g_assert_true(qdict_haskey(rsp, "error"));
    desc = qdict_get_str(qdict_get_qdict(rsp, "error"), "desc");
    if (!strstr(desc, sentence)) {
        g_error("%s: said \"%s\", expected \"%s\"", properties, desc, sentence);
    }
    qobject_unref(rsp);
}

/* QEMU does not start with these arguments, and says why. */
static void assert_no_start(const char *arguments, const char *sentence)
{
    g_autofree char *line =
        g_strdup_printf("timeout 60 %s -nodefaults -display none -accel qtest "
                        "%s", getenv("QTEST_QEMU_BINARY"), arguments);
    g_autofree char *said = NULL;

    g_assert_true(g_spawn_command_line_sync(line, NULL, &said, NULL, NULL));
    if (!strstr(said, sentence)) {
        g_error("%s: said \"%s\", expected \"%s\"", arguments, said, sentence);
    }
}

static void test_bad_properties(const void *machine)
{
    static const struct {
        const char *properties, *sentence;
    } cases[] = {
        { "", "either drive=" },
        { "drive=n0,vdev=xvdb", "either drive=" },
        { "drive=nosuch", "nosuch" },
        { "drive=used", "Permission conflict on node 'used'" },
        { "vdev=xvdq", "vdev=xvdq names no backend" },
        { "vdev=nonsense", "vdev=nonsense names no virtual disk" },
        { "vdev=xvdb", "another xen-pvblk device uses this backend" },
        { "drive=n0,backend=xen-floppy", "use xen-pvblk-backend" },
        { "drive=n0,num-queues=0", "num-queues=0" },
        { "drive=n0,num-queues=65", "num-queues=65" },
        { "drive=n0,queue-size=3", "queue-size=3" },
        { "drive=n0,queue-size=100", "queue-size=100" },
        { "drive=n0,queue-size=4096", "queue-size=4096" },
        { "drive=n0,handshake-timeout-ms=0", "handshake-timeout-ms=0" },
        { "drive=n0,serial=123456789012345678901", "longer than 20 bytes" },
        { "drive=n0,sector-units=4k", "use auto, 512 or device" },
        { "drive=n0,logical_block_size=1000", "logical_block_size" },
        { "drive=n0,logical_block_size=8192,physical_block_size=8192",
          "logical_block_size=8192 is larger than a page" },
        { "drive=n0,logical_block_size=8192",
          "logical_block_size=8192 is larger than a page" },
        { "drive=empty", "the drive is empty" },
        { "drive=n0,logical_block_size=4096,physical_block_size=512",
          "logical_block_size" },
        { "drive=n0,discard_granularity=1000", "discard_granularity" },
        { "vdev=xvde,sector-units=512", "sectors is not a multiple of sector-size" },
        { "drive=n0,ring-queues=17", "ring-queues=17" },
        { "drive=n0,ring-queues=2", "ring-queues=2 is more than num-queues=1" },
        { "drive=n0,max-ring-pages=3", "max-ring-pages=3" },
        { "drive=n0,max-ring-pages=32", "max-ring-pages=32" },
        { "drive=n0,max-indirect-segments=4097", "max-indirect-segments=4097" },
        { "drive=n0,abi=arm", "use auto, x86_64 or x86_32" },
    };
    /* xvde: 4096-byte sectors in QEMU's unit: what it publishes as sectors is
     * no whole number of them in 512-byte units. */
    Rig *r = rig_boot(machine, RAW
        "-blockdev driver=null-co,size=1048576,node-name=used "
        "-device virtio-blk-pci,drive=used "
        "-blockdev driver=null-co,size=1048576,node-name=n1 "
        "-device xen-disk,drive=n1,vdev=xvdb "
        "-device xen-pvblk-pci,vdev=xvdb "
        "-blockdev driver=null-co,size=1052672,node-name=n2 "
        "-device xen-disk,drive=n2,vdev=xvde,logical_block_size=4096,"
        "physical_block_size=4096 -drive if=none,id=empty ");

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_refused(r, "xen-pvblk-pci", cases[i].properties,
                       cases[i].sentence);
    }
    /* None of them left anything behind. */
    qtest_qmp_device_add(r->qts, "xen-pvblk-pci", "d0",
                         "{'drive': 'n0', 'addr': '9.0'}");
    wait_state(r, "connected");
    rig_shutdown(r);
}

/*
 * Xen devices are unrealized when QEMU exits, after the network was cleaned up:
 * a NIC whose peer is a hub must not clean that up once more.
 */
static void test_exit_with_network(const void *machine)
{
    QTestState *qts = qtest_initf("-nodefaults -machine %s,xen-emu=on "
                                  "-netdev hubport,id=hub,hubid=0 "
                                  "-device xen-net-device,netdev=hub",
                                  (const char *)machine);

    qtest_qmp_assert_success(qts, "{ 'execute': 'quit' }");
    qtest_wait_qemu(qts);
    qtest_quit(qts);
}

/* A backend that is refused leaves nothing behind. */
static void test_bad_backend_disks(const void *machine)
{
    static const struct {
        const char *properties, *sentence;
    } cases[] = {
        { "drive=nosuch", "nosuch" },
        { "drive=empty", "the drive is empty" },
        { "drive=n0,vdev=xvdb1x", "invalid virtual disk specifier" },
        { "drive=n0,logical_block_size=1000", "logical_block_size" },
        { "drive=n0,logical_block_size=8192",
          "logical_block_size=8192 is larger than a page" },
        { "drive=n0,logical_block_size=4096,physical_block_size=512",
          "logical_block_size > physical_block_size" },
    };
    Rig *r = rig_boot(machine, RAW "-drive if=none,id=empty ");
    g_autofree char *nodes = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_refused(r, "xen-pvblk-backend", cases[i].properties,
                       cases[i].sentence);
    }
    nodes = get_nodes(r);
    g_assert_null(strstr(nodes, "/vbd/51712"));
    g_assert_null(strstr(nodes, "/qdisk/1/51712"));
    qtest_qmp_device_add(r->qts, "xen-pvblk-backend", "be", "{'drive': 'n0'}");
    rig_shutdown(r);
}

static void assert_described(Rig *r, const char *type, const char *other)
{
    g_autoptr(GHashTable) common = g_hash_table_new_full(g_str_hash, g_str_equal,
                                                         g_free, NULL);
    const char *const types[] = { other, type };

    for (int i = other ? 0 : 1; i < 2; i++) {
        QDict *rsp = qtest_qmp(r->qts, "{'execute': 'device-list-properties', "
                               "'arguments': {'typename': %s}}", types[i]);
        QListEntry *entry;

        QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), entry) {
            QDict *property = qobject_to(QDict, qlist_entry_obj(entry));
            const char *name = qdict_get_str(property, "name");
            const char *text = qdict_get_try_str(property, "description");

            if (i == 0) {
                g_hash_table_add(common, g_strdup(name));
            } else if (!g_hash_table_contains(common, name) &&
                       (!text || !strchr(text, ' '))) {
                g_error("%s of %s: no more than \"%s\" says what it is", name,
                        type, text ?: "");
            }
        }
        qobject_unref(rsp);
    }
}

/* In -device …,help, but for those that any other device has: QEMU's own. */
static void test_properties_are_described(const void *machine)
{
    Rig *r = rig_boot(machine, "");

    assert_described(r, "xen-pvblk-pci", "virtio-rng-pci");
    assert_described(r, "xen-pvblk-device", "virtio-rng-device");
    assert_described(r, "xen-pvblk-backend", NULL);
    rig_shutdown(r);
}

static void test_no_xen(const void *machine)
{
    static const char *const drivers[] = { "xen-pvblk-pci",
                                           "xen-pvblk-backend" };
    static const char *const ways[] = { "add xen-emu=on to -machine",
                                        "-accel tcg,xen-version=0x40011" };
    g_autofree char *image = make_image();
    Rig r = { .qts = qtest_initf("-nodefaults -machine %s -blockdev "
                                 "driver=file,filename=%s,node-name=n0",
                                 (const char *)machine, image) };

    for (int i = 0; i < 4; i++) {
        const char *driver = drivers[i % 2], *way = ways[i / 2];
        g_autofree char *line =
            g_strdup_printf("-machine %s -blockdev driver=null-co,node-name=n0 "
                            "-device %s,drive=n0", (const char *)machine,
                            driver);

        assert_refused(&r, driver, "drive=n0", way);
        assert_no_start(line, way);
    }
    qtest_quit(r.qts);
    unlink(image);
}

static void test_backend_closes_in_flight(const void *machine)
{
    Rig *r = rig_start(machine, THROTTLED
                       "-device xen-disk,id=be,drive=n0,vdev=xvdb ",
                       "vdev=xvdb");
    Request q[3];

    send_writes(r, q, 3, NULL);
    g_assert_cmpint(request_wait(r, &q[0]), ==, VIRTIO_BLK_S_OK);
    /* The backend wants to close with two requests in flight: they finish
     * first, then it goes. */
    qtest_qmp_assert_success(r->qts, "{'execute': 'device_del', 'arguments': "
                             "{'id': 'be'}}");
    wait_state(r, "draining");
    step_seconds(r, 4);
    g_assert_cmpint(request_wait(r, &q[1]), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(request_wait(r, &q[2]), ==, VIRTIO_BLK_S_OK);
    wait_deleted(r, "be");
    rig_shutdown(r);
}

/* ---- our backend: fault plans, and a thread of its own ---------------------- */

#define OUR_BACKEND "-device xen-pvblk-backend,id=be,drive=n0,vdev=xvdb"
#define XEN_DISK_ON_NODE "-device xen-disk,id=be,drive=n0,vdev=xvdb"
#define IOTHREAD "-object iothread,id=io "

static char *make_plan(const char *text)
{
    char *path = make_file();

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    return path;
}

/* A plan at run time; returns QEMU's answer. */
static QDict *set_plan(Rig *r, const char *text)
{
    return qtest_qmp(r->qts, "{'execute': 'qom-set', 'arguments': {'path': "
                     "'/machine/peripheral/be', 'property': 'fault-plan', "
                     "'value': %s}}", text);
}

static void assert_set_plan(Rig *r, const char *text)
{
    QDict *rsp = set_plan(r, text);

    g_assert_true(qdict_haskey(rsp, "return"));
    qobject_unref(rsp);
}

static void assert_plan_is(Rig *r, const char *text)
{
    QDict *rsp = qom_get(r, BACKEND, "fault-plan");

    g_assert_cmpstr(qdict_get_str(rsp, "return"), ==, text);
    qobject_unref(rsp);
}

static int64_t times_fired(Rig *r, const char *rule)
{
    QDict *rsp = qom_get(r, BACKEND, "fault-counters");
    int64_t n = qdict_get_int(qdict_get_qdict(rsp, "return"), rule);

    qobject_unref(rsp);
    return n;
}

/* A backend that says how large its disk is when it is Connected. */
static void test_late_size(const void *machine)
{
    g_autofree char *file = make_plan("at publish-node name=sectors: store/node-missing\n"
                                      "at publish-node name=sector-size: store/node-missing\n");
    g_autofree char *args =
        g_strconcat(RAW OUR_BACKEND ",faults=", file, " -device xen-pvblk-pci,"
                    "id=d0,addr=4.0,vdev=xvdb", usual_backend(machine), NULL);
    Rig *r = rig_boot(machine, args);
    uint8_t data[512];

    /* A driver that is earlier than the size hears of it. */
    driver_start(r, ALL_FEATURES);
    g_assert_cmpint(qvirtio_config_readq(r->dev, 0), ==, 0);
    g_assert_cmpint(read_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_IOERR);
    qtest_clock_step(r->qts, 100 * MS);
    wait_state(r, "connected");
    qvirtio_wait_config_isr(r->dev, TIMEOUT_US);
    g_assert_cmpint(qvirtio_config_readq(r->dev, 0), ==, DISK_SECTORS);
    g_assert_cmpint(qvirtio_config_readl(r->dev, 20), ==, 512);
    assert_works(r, 1);
    reconnect(r);
    wait_state(r, "connected");
    assert_works(r, 2);
    rig_shutdown(r);
    unlink(file);
}

/* A file before the frontend is there, another plan under load, and none. */
static void test_fault_plan(const void *machine)
{
    g_autofree char *file = make_plan("# the first read\n"
                                      "at respond op=read: response/unknown-id\n");
    g_autofree char *args = g_strconcat(RAW OUR_BACKEND ",faults=", file, " ",
                                        NULL);
    Rig *r = rig_start(machine, args, "vdev=xvdb");
    uint8_t data[512] = {};
    QDict *rsp;

    g_assert_cmpint(write_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(times_fired(r, "2: at respond op=read: response/unknown-id"),
                    ==, 0);
    g_assert_cmpint(read_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_IOERR);
    wait_state(r, "broken");
    g_assert_cmpint(times_fired(r, "2: at respond op=read: response/unknown-id"),
                    ==, 1);

    assert_set_plan(r, "");
    assert_plan_is(r, "");
    driver_restart(r);
    wait_state(r, "connected");
    assert_works(r, 1);

    assert_set_plan(r, "at before-work op=write times=2: response/refused");
    g_assert_cmpint(write_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_IOERR);
    rsp = set_plan(r, "at before-work: response/refused\nat nowhere: data/short 1");
    g_assert_true(strstr(qdict_get_str(qdict_get_qdict(rsp, "error"), "desc"),
                         "line 2: no point is called 'nowhere'") != NULL);
    qobject_unref(rsp);
    /* The one before it stays, with its counters. */
    assert_plan_is(r, "at before-work op=write times=2: response/refused\n");
    g_assert_cmpint(write_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(write_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_OK);

    /* What it bent in the XenStore is true again with the next plan. */
    assert_set_plan(r, "at publish-node name=sector-size always: "
                    "geometry/sector-size-zero");
    reconnect(r);
    wait_state(r, "broken");
    assert_set_plan(r, "");
    driver_restart(r);
    wait_state(r, "connected");
    assert_works(r, 2);
    rig_shutdown(r);
    unlink(file);
}

static void test_bad_fault_plans(const void *machine)
{
    g_autofree char *file = make_plan("seed 1\nat rearm: response/lost\n");
    g_autofree char *bent = g_strdup_printf("drive=n0,vdev=xvdb,faults=%s", file);
    g_autofree char *threaded = g_strdup_printf("%s,iothread=io", bent);
    Rig *r = rig_boot(machine, RAW IOTHREAD);

    assert_refused(r, "xen-pvblk-backend", "drive=n0,vdev=xvdb,faults=/nonexistent",
                   "No such file or directory");
    assert_refused(r, "xen-pvblk-backend", bent,
                   "line 2: response/lost cannot happen at rearm");
    assert_refused(r, "xen-pvblk-backend", threaded,
                   "a fault plan needs one thread; remove iothread=");
    assert_refused(r, "xen-pvblk-backend", "drive=n0,vdev=xvdb,faults=/dev/zero",
                   "the fault plan is longer than 65536 bytes");
    assert_refused(r, "xen-pvblk-backend", "drive=n0,vdev=xvdb,faults=/",
                   "Is a directory");
    /* None of them left anything behind. */
    qtest_qmp_device_add(r->qts, "xen-pvblk-backend", "be",
                         "{'drive': 'n0', 'vdev': 'xvdb'}");
    rig_shutdown(r);
    unlink(file);
}

static void test_bad_backend_properties(const void *machine)
{
    static const struct {
        const char *properties, *sentence;
    } cases[] = {
        { "vdev=xvdb", "drive= is missing" },
        { "vdev=xvdb,drive=empty", "the drive is empty" },
        { "drive=n0,max-ring-page-order=5", "max-ring-page-order=5" },
        { "drive=n0,max-queues=0", "max-queues=0" },
        { "drive=n0,max-queues=17", "max-queues=17" },
        { "drive=n0,max-indirect-segments=4097", "max-indirect-segments=4097" },
        { "drive=n0,max-segments-in-flight=255", "max-segments-in-flight=255" },
        { "drive=n0,max-segments-in-flight=262145",
          "max-segments-in-flight=262145" },
        { "drive=n0,max-persistent=65537", "max-persistent=65537" },
        { "drive=n0,sector-units=4k", "use 512 or device" },
        { "drive=n0,logical_block_size=8192,physical_block_size=8192",
          "logical_block_size=8192 is larger than a page" },
    };
    Rig *r = rig_boot(machine, RAW "-drive if=none,id=empty ");

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_refused(r, "xen-pvblk-backend", cases[i].properties,
                       cases[i].sentence);
    }
    /* None of them left anything behind; each limit itself is allowed. */
    qtest_qmp_device_add(r->qts, "xen-pvblk-backend", "be",
                         "{'drive': 'n0', 'vdev': 'xvdb', "
                         "'max-ring-page-order': 4, 'max-queues': 16, "
                         "'max-indirect-segments': 4096, "
                         "'max-segments-in-flight': 262144, "
                         "'max-persistent': 65536}");
    assert_node(r, "/qdisk/1/51728/state = \"2\"");
    rig_shutdown(r);
}

/* The nodes that tell a guest which disk this is, and of what kind. */
static void test_backend_nodes(const void *machine)
{
    Rig *r = rig_boot(machine, RAW
        "-device xen-pvblk-backend,drive=n0,vdev=xvdb,cdrom=on,removable=on "
        "-blockdev driver=null-co,size=1048576,node-name=n1 "
        "-device xen-pvblk-backend,drive=n1,vdev=xvdc10 "
        "-blockdev driver=null-co,size=1048576,node-name=n2 "
        "-device xen-pvblk-backend,drive=n2,vdev=hda ");

    assert_node(r, "/device/vbd/51728/device-type = \"cdrom\"");
    assert_node(r, "/device/vbd/51728/virtual-device = \"51728\"");
    assert_node(r, "/qdisk/1/51728/dev = \"xvdb\"");
    assert_node(r, "/qdisk/1/51728/info = \"7\"");
    assert_node(r, "/qdisk/1/51728/mode = \"r\"");
    assert_node(r, "/qdisk/1/51728/removable = \"1\"");
    assert_node(r, "/device/vbd/51754/device-type = \"disk\"");
    assert_node(r, "/qdisk/1/51754/dev = \"xvdc10\"");
    assert_node(r, "/qdisk/1/51754/info = \"0\"");
    assert_node(r, "/qdisk/1/768/dev = \"hda\"");
    rig_shutdown(r);
}

/* The largest plan there is, and one that is a byte larger. */
static void test_largest_fault_plan(const void *machine)
{
    g_autofree char *text = g_strnfill(65537, '\n');
    g_autofree char *larger = make_plan(text);
    g_autofree char *bad = g_strconcat("drive=n0,vdev=xvdb,faults=", larger, NULL);
    Rig *r = rig_boot(machine, RAW);
    g_autofree char *largest = NULL;

    assert_refused(r, "xen-pvblk-backend", bad,
                   "the fault plan is longer than 65536 bytes");
    text[65536] = '\0';
    largest = make_plan(text);
    qtest_qmp_device_add(r->qts, "xen-pvblk-backend", "be",
                         "{'drive': 'n0', 'vdev': 'xvdb', 'faults': %s}",
                         largest);
    rig_shutdown(r);
    unlink(larger);
    unlink(largest);
}

/* ---- a virtual device is one disk's --------------------------------------------- */

static void test_vdev_is_taken_at_start(const void *machine)
{
    static const struct {
        const char *first, *second;
    } cases[] = {
        { "xen-pvblk-backend", "xen-pvblk-backend" },
        { "xen-disk", "xen-pvblk-backend" },
        { "xen-pvblk-backend", "xen-disk" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *line =
            g_strdup_printf("-machine %s,xen-emu=on "
                            "-blockdev driver=null-co,node-name=a "
                            "-blockdev driver=null-co,node-name=b "
                            "-device %s,id=first,drive=a,vdev=xvda "
                            "-device %s,drive=b,vdev=d0p0",
                            (const char *)machine, cases[i].first,
                            cases[i].second);

        assert_no_start(line, "vdev= is taken: device 'first' already is "
                        "virtual device 51712");
    }
}

/* The disk goes on as if nobody had asked for its number. */
static void test_vdev_is_taken_in_flight(const void *machine)
{
    g_autofree char *args =
        g_strconcat(THROTTLED "-blockdev driver=null-co,node-name=n1 ",
                    ours(machine) ? OUR_BACKEND : XEN_DISK_ON_NODE, NULL);
    Rig *r = rig_start(machine, args, "vdev=xvdb");
    g_autofree char *before = get_nodes(r);
    g_autofree char *after = NULL;
    uint8_t data[512];
    Request q[3];
    QDict *rsp;

    fill(data, sizeof(data), 1);
    send_writes(r, q, 3, data);
    g_assert_cmpint(request_wait(r, &q[0]), ==, VIRTIO_BLK_S_OK);
    assert_refused(r, "xen-pvblk-backend", "drive=n1,vdev=xvdb",
                   "vdev= is taken: device 'be' already is virtual device 51728");
    assert_refused(r, "xen-disk", "drive=n1,vdev=xvdb",
                   "vdev= is taken: device 'be' already is virtual device 51728");
    rsp = qtest_qmp(r->qts, "{'execute': 'device_del', 'arguments': "
                    "{'id': 'bad'}}");
    g_assert_true(qdict_haskey(rsp, "error"));
    qobject_unref(rsp);
    after = get_nodes(r);
    g_assert_cmpstr(after, ==, before);
    step_seconds(r, 4);
    for (int i = 1; i < 3; i++) {
        g_assert_cmpint(request_wait(r, &q[i]), ==, VIRTIO_BLK_S_OK);
        assert_image(r, i * 512, data, 512);
    }
    wait_state(r, "connected");
    g_assert_cmpint(get_counter(r, "reconnects"), ==, 0);

    /* Another number is free, and so is this one when its disk is gone. */
    qtest_qmp_device_add(r->qts, "xen-pvblk-backend", "second",
                         "{'drive': 'n1', 'vdev': 'xvdc'}");
    qtest_qmp_assert_success(r->qts, "{'execute': 'device_del', 'arguments': "
                             "{'id': 'be'}}");
    wait_deleted(r, "be");
    qtest_qmp_device_add(r->qts, "xen-pvblk-backend", "be",
                         "{'drive': 'n0', 'vdev': 'xvdb'}");
    wait_state(r, "connected");
    rig_shutdown(r);
}

/* ---- what else our two ends agree on ---------------------------------------------- */

static void assert_cdrom(Rig *r)
{
    uint8_t data[2048] = {};
    QDict *plan = get_dict(r, "plan");

    g_assert_true(qdict_get_bool(plan, "cdrom"));
    g_assert_true(qdict_get_bool(plan, "read-only"));
    qobject_unref(plan);
    g_assert_true(qvirtio_get_features(r->dev) & (1ull << VIRTIO_BLK_F_RO));
    g_assert_cmpint(read_at(r, 0, data, 2048, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(write_at(r, 0, data, 512, 0), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(discard_at(r, 0, 8, 0), ==, VIRTIO_BLK_S_UNSUPP);
}

/* The bits of info: a CD-ROM, one that can be taken out, and a disk that can. */
static void test_backend_kinds(const void *machine)
{
    static const struct {
        const char *properties, *info, *type;
        bool cdrom;
    } cases[] = {
        { ",cdrom=on", "/51728/info = \"5\"", "/device-type = \"cdrom\"", true },
        { ",cdrom=on,removable=on", "/51728/info = \"7\"",
          "/device-type = \"cdrom\"", true },
        { ",removable=on", "/51728/info = \"2\"", "/device-type = \"disk\"",
          false },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *args = g_strconcat(RAW OUR_BACKEND, cases[i].properties,
                                            NULL);
        Rig *r = rig_start(machine, args, "vdev=xvdb");

        assert_node(r, cases[i].info);
        assert_node(r, cases[i].type);
        if (cases[i].cdrom) {
            assert_cdrom(r);
        } else {
            assert_works(r, i);
        }
        rig_shutdown(r);
    }
}

/* Data at any place in a page, in requests of one page and of many. */
static void assert_transfers(Rig *r)
{
    static const uint32_t sizes[] = { 512, 4096, 45056, 1024 * 1024 };
    g_autofree uint8_t *out = g_malloc(sizes[3]);
    g_autofree uint8_t *in = g_malloc(sizes[3]);

    for (uint32_t i = 0; i < 8; i++) {
        uint32_t size = sizes[i % 4], offset = i < 4 ? 0 : 16;

        fill(out, size, i);
        g_assert_cmpint(write_at(r, 5 * i, out, size, offset), ==,
                        VIRTIO_BLK_S_OK);
        assert_image(r, 5 * i * 512, out, size);
        g_assert_cmpint(read_at(r, 5 * i, in, size, offset), ==,
                        VIRTIO_BLK_S_OK);
        g_assert_cmpmem(in, size, out, size);
    }
    g_assert_cmpint(get_counter(r, "violations"), ==, 0);
    g_assert_cmpint(get_counter(r, "errors"), ==, 0);
}

static void test_persistent(const void *machine)
{
    Rig *r = rig_start(machine, RAW OUR_BACKEND " ", "vdev=xvdb,persistent=on");
    QDict *plan = get_dict(r, "plan");
    QDict *counters;

    g_assert_true(qdict_get_bool(plan, "persistent"));
    qobject_unref(plan);
    assert_transfers(r);
    /* Whose pages the backend keeps mapped, from one request to the next. */
    counters = qom_get(r, BACKEND, "counters");
    g_assert_cmpint(qdict_get_int(qdict_get_qdict(counters, "return"),
                                  "persistent-hits"), >, 0);
    qobject_unref(counters);
    g_assert_cmpint(get_counter(r, "persistent-grants"), >, 0);
    reconnect(r);
    wait_counter(r, "reconnects", 1);
    assert_transfers(r);
    rig_shutdown(r);
}

/*
 * More segments than the host takes in one call (IOV_MAX), on a node that
 * takes them as they are, and on one that adds to them what aligns a request.
 */
static void test_largest_request(const void *machine)
{
    static const char *const nodes[] = {
        RAW,
        "-blockdev driver=file,filename=%s,node-name=f0 "
        "-blockdev '{\"driver\":\"blkdebug\",\"node-name\":\"n0\","
        "\"image\":\"f0\",\"align\":4096}' ",
    };
    const uint32_t size = DISK_SIZE - 4096;
    g_autofree uint8_t *out = g_malloc(size);
    g_autofree uint8_t *in = g_malloc0(size);

    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
        g_autofree char *args =
            g_strconcat(nodes[i], OUR_BACKEND ",max-indirect-segments=4096",
                        NULL);
        Rig *r = rig_start(machine, args,
                           "vdev=xvdb,max-indirect-segments=4096");

        /* From an odd sector on, and with the page beside it left alone. */
        fill(out, size, i);
        g_assert_cmpint(write_at(r, 1, out, size, 0), ==, VIRTIO_BLK_S_OK);
        assert_image(r, 512, out, size);
        g_assert_cmpint(read_at(r, 1, in, size, 0), ==, VIRTIO_BLK_S_OK);
        g_assert_cmpmem(in, size, out, size);
        g_assert_cmpint(get_counter(r, "ring-writes"), ==, 1);
        g_assert_cmpint(get_counter(r, "ring-reads"), ==, 1);
        g_assert_cmpint(get_counter(r, "errors"), ==, 0);
        rig_shutdown(r);
    }
}

static void test_x86_32(const void *machine)
{
    Rig *r = rig_start(machine, RAW, "drive=n0,abi=x86_32");
    QDict *plan = get_dict(r, "plan");

    g_assert_cmpstr(qdict_get_str(plan, "protocol"), ==, "x86_32-abi");
    qobject_unref(plan);
    assert_node(r, "/protocol = \"x86_32-abi\"");
    assert_transfers(r);
    g_assert_cmpint(discard_at(r, 0, 128, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(command(r, VIRTIO_BLK_T_FLUSH, NULL, 0), ==,
                    VIRTIO_BLK_S_OK);
    rig_shutdown(r);
}

/* The ring's thread is at work when the operator takes the disk away. */
static void test_iothread_unplug_in_flight(const void *machine)
{
    Rig *r = rig_start(machine, IOTHREAD THROTTLED OUR_BACKEND ",iothread=io ",
                       "vdev=xvdb");
    uint8_t data[512];
    Request q[3];

    fill(data, sizeof(data), 1);
    send_writes(r, q, 3, data);
    g_assert_cmpint(request_wait(r, &q[0]), ==, VIRTIO_BLK_S_OK);
    qtest_qmp_assert_success(r->qts, "{'execute': 'device_del', 'arguments': "
                             "{'id': 'be'}}");
    wait_state(r, "draining");
    step_seconds(r, 4);
    for (int i = 1; i < 3; i++) {
        g_assert_cmpint(request_wait(r, &q[i]), ==, VIRTIO_BLK_S_OK);
        assert_image(r, i * 512, data, 512);
    }
    wait_deleted(r, "be");
    qtest_qmp_device_add(r->qts, "xen-pvblk-backend", "be",
                         "{'drive': 'n0', 'vdev': 'xvdb', 'iothread': 'io'}");
    wait_state(r, "connected");
    rig_shutdown(r);
}

/* The ring's thread has requests, or is about to take them, when they are
 * cancelled: what it reads from the disk by then is nobody's any more. */
static void test_iothread_reset_in_flight(const void *machine)
{
    enum { REQUESTS = 4 };
    Rig *r = rig_start(machine, IOTHREAD THROTTLED OUR_BACKEND ",iothread=io ",
                       "vdev=xvdb");
    uint8_t data[512];
    Request q[REQUESTS], w;

    fill(data, sizeof(data), 1);
    for (int i = 0; i < REQUESTS; i++) {
        q[i] = request_alloc(r, VIRTIO_BLK_T_IN, 0, NULL, 16384, 0);
        request_send(r, &q[i], false);
    }
    driver_restart(r);
    take_buffers(r, q, REQUESTS);
    w = request_alloc(r, VIRTIO_BLK_T_OUT, 1, data, 512, 0);
    request_send(r, &w, true);
    while (qtest_readb(r->qts, w.status) == 0xff) {
        step_seconds(r, 1);
    }
    g_assert_cmpint(request_wait(r, &w), ==, VIRTIO_BLK_S_OK);
    assert_untouched(r, q, REQUESTS);
    rig_shutdown(r);
}

/* Each resize drains the node, with the ring's thread in full swing: nothing is
 * lost, and nothing waits for the end of what waits for it. */
static void test_iothread_drained(const void *machine)
{
    Rig *r = rig_start(machine, IOTHREAD RAW OUR_BACKEND ",iothread=io ",
                       "vdev=xvdb");
    uint8_t out[4096], in[4096];
    Request q[8];

    for (int round = 0; round < 36; round++) {
        if (round % 9 == 8) {
            driver_restart(r); /* libqos uses each descriptor once */
        }
        fill(out, sizeof(out), round);
        for (int i = 0; i < 8; i++) {
            q[i] = request_alloc(r, VIRTIO_BLK_T_OUT, i * 8, out, sizeof(out), 0);
            request_send(r, &q[i], true);
        }
        qtest_qmp_assert_success(r->qts, "{'execute': 'block_resize', "
                                 "'arguments': {'node-name': 'n0', "
                                 "'size': %d}}", DISK_SIZE + (round % 3) * 65536);
        for (int i = 0; i < 8; i++) {
            g_assert_cmpint(request_wait(r, &q[i]), ==, VIRTIO_BLK_S_OK);
        }
        g_assert_cmpint(read_at(r, 56, in, sizeof(in), 0), ==, VIRTIO_BLK_S_OK);
        g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
    }
    rig_shutdown(r);
}

/* ---- main ------------------------------------------------------------------ */

typedef void TestFn(const void *machine);

static void add(const char *name, TestFn *fn, bool pc_only)
{
    static const char *const machines[] = { "pc", "q35" };

    for (int i = 0; i < (pc_only ? 1 : 2); i++) {
        g_autofree char *path = g_strdup_printf("/xen-pvblk/%s/%s",
                                                machines[i], name);

        qtest_add_data_func(path, machines[i], fn);
    }
}

static void add_on_q35(const char *name, TestFn *fn)
{
    g_autofree char *path = g_strdup_printf("/xen-pvblk/q35/%s", name);

    qtest_add_data_func(path, "q35", fn);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    add("plan", test_plan, false);
    add("pci-class", test_pci_class, false);
    add("data", test_data, false);
    add("no-copy", test_no_copy, false);
    add("many-in-flight", test_many_in_flight, false);
    add("multiqueue", test_multiqueue, false);
    add("driver-reset-in-flight", test_driver_reset_in_flight, false);
    add("system-reset", test_system_reset, false);
    add("reconnect", test_reconnect, false);
    add("reconnect-in-flight", test_reconnect_in_flight, false);
    add("unplug-in-flight", test_unplug_in_flight, true);
    add("plug-many-times", test_plug_many_times, true);
    add("io-error", test_io_error, false);
    add("error-in-large-request", test_error_in_large_request, false);
    add("read-only", test_read_only, false);
    add("cdrom", test_cdrom, false);
    add("4096-byte-sectors", test_4096, false);
    add("one-block-size", test_one_block_size, false);
    add("flush-and-id", test_flush_and_id, false);
    add("writethrough", test_writethrough, false);
    add("discard", test_discard, false);
    add("resize-in-flight", test_resize_in_flight, false);
    add("malformed", test_malformed, false);
    add("buffer-is-not-memory", test_buffer_is_not_memory, false);
    add("read-into-own-registers", test_read_into_own_registers, false);
    add("packed-ring-shrinks", test_packed_ring_shrinks, false);
    add("queue-reset", test_queue_reset, false);
    add("queue-reset-makes-room", test_queue_reset_makes_room, false);
    add_on_q35("iommu", test_iommu);
    add_on_q35("unplug-by-dma", test_unplug_by_dma);
    add("attach", test_attach, false);
    add("attach-by-number", test_attach_by_number, false);
    add("backend-returns", test_backend_returns, false);
    add("backend-vanishes", test_backend_vanishes, false);
    add("backend-closes-in-flight", test_backend_closes_in_flight, false);
    add("other-backend-than-before", test_other_backend_than_before, false);
    add("late-answers", test_late_answers, false);
    add("virtual-device", test_virtual_device, false);
    add("own-backend-pulled", test_own_backend_pulled, false);
    add("late-size", test_late_size, false);
    add("fault-plan", test_fault_plan, false);
    add("bad-fault-plans", test_bad_fault_plans, false);
    add("largest-fault-plan", test_largest_fault_plan, false);
    add("vdev-is-taken-at-start", test_vdev_is_taken_at_start, false);
    add("vdev-is-taken-in-flight", test_vdev_is_taken_in_flight, false);
    add("backend-kinds", test_backend_kinds, false);
    add("persistent", test_persistent, false);
    add("x86-32", test_x86_32, false);
    add("largest-request", test_largest_request, false);
    add("iothread-unplug-in-flight", test_iothread_unplug_in_flight, false);
    add("iothread-reset-in-flight", test_iothread_reset_in_flight, false);
    add("iothread-drained", test_iothread_drained, false);
    add("second-frontend", test_second_frontend, true);
    /* These two plug devices at run time, which q35 takes on bridges only. */
    add("bad-properties", test_bad_properties, true);
    add("bad-backend-properties", test_bad_backend_properties, false);
    add("backend-nodes", test_backend_nodes, false);
    add("no-xen", test_no_xen, true);
    add("bad-backend-disks", test_bad_backend_disks, false);
    add("properties-are-described", test_properties_are_described, true);
    add("exit-with-network", test_exit_with_network, false);
    return g_test_run();
}
