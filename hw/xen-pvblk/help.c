/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What -device …,help says of each property; docs/ gives reasons as well. */
#include "help.h"

#include "hw/xen/xen-block.h"

typedef struct Help {
    const char *property, *text;
} Help;

static void describe(ObjectClass *klass, const Help *help, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        object_class_property_set_description(klass, help[i].property,
                                              help[i].text);
    }
}

static const Help front[] = {
    { "drive", "block node or drive; the device makes a backend for it" },
    { "vdev", "instead of drive: the vdev of a backend that exists" },
    { "backend", "backend to make for drive: xen-pvblk-backend (default), "
                 "xen-disk or xen-cdrom" },
    { "serial", "serial number, up to 20 bytes" },
    { "num-queues", "number of virtqueues, 1 to 64" },
    { "queue-size", "descriptors per virtqueue, a power of two from 4 to "
                    "1024" },
    { "logical_block_size", "bytes per sector, a power of two from 512 to "
                            "4096; for drive" },
    { "physical_block_size", "bytes per physical sector, a power of two and "
                             "at least logical_block_size; for drive" },
    { "discard_granularity", "bytes that are discarded together; for drive" },
    { "write-cache", "whether the backend's cache is write-back (on/off/auto); "
                     "for drive" },
    { "share-rw", "let other devices write to the drive as well (on/off)" },
    { "discard", "offer DISCARD if the backend does (on/off)" },
    { "config-wce", "let the guest choose write-through or write-back, if the "
                    "backend can flush (on/off)" },
    { "sector-units", "unit of sector numbers on the ring: 512, device (the "
                      "sector size) or auto (as the backend counts)" },
    { "event-hold-off", "send an event only if the backend asks for one "
                        "(on/off/auto; auto: off with QEMU's backends)" },
    { "max-ring-pages", "most pages per ring: 1, 2, 4, 8 or 16" },
    { "ring-queues", "most rings, up to 16 and to num-queues (0: one per "
                     "virtqueue)" },
    { "max-indirect-segments", "segments of the largest request, up to 4096; "
                               "indirect requests begin at 12" },
    { "persistent", "use persistent grants if the backend offers them, which "
                    "copies all data (on/off)" },
    { "barrier", "flush by WRITE_BARRIER if the backend offers no flush "
                 "(on/off)" },
    { "secure-discard", "use secure discards if the backend offers them "
                        "(on/off)" },
    { "trusted", "off: the backend sees private pages only, never the guest's "
                 "(on/off)" },
    { "abi", "layout of the ring: x86_64 (auto) or x86_32" },
    { "handshake-timeout-ms", "time limit of each step of the handshake, in "
                              "virtual ms, at least 1" },
    { "request-timeout-ms", "time limit of the backend's answer to a request, "
                            "in virtual ms (0: no limit)" },
};

static const Help pci[] = {
    { "class", "PCI class (default: 0x0180, other storage)" },
    { "ioeventfd", "notify by ioeventfd if the host can (on/off)" },
    { "vectors", "number of MSI-X vectors (default: num-queues + 1)" },
};

static const Help back[] = {
    { "max-queues", "most rings that a frontend may use, 1 to 16" },
    { "max-indirect-segments", "segments of an indirect request, up to 4096 "
                               "(0: offer no indirect requests)" },
    { "max-segments-in-flight", "most segments in flight per queue, "
                                "max-indirect-segments to 262144; further "
                                "requests wait; each segment takes about 50 "
                                "bytes of memory" },
    { "persistent", "offer persistent grants (on/off)" },
    { "max-persistent", "most pages per queue that stay mapped, up to 65536" },
    { "flush", "offer FLUSH_DISKCACHE (on/off)" },
    { "barrier", "offer WRITE_BARRIER (on/off)" },
    { "discard", "offer DISCARD if the node has discard=unmap and is writable "
                 "(on/off)" },
    { "discard-secure", "offer secure DISCARD, which writes zeros (on/off)" },
    { "cdrom", "be a CD-ROM, which is read-only (on/off)" },
    { "removable", "say that the disk is removable (on/off)" },
    { "sector-units", "unit of sector numbers on the ring: 512 or device (the "
                      "sector size)" },
    { "faults", "file with a fault plan, which the backend obeys" },
    { "judge", "record which clauses the frontend keeps, for the property "
               "judgement (on/off)" },
};

/* Inherited, and so in the help of xen-disk and xen-cdrom, too. */
static const Help xen_block[] = {
    { "vdev", "virtual disk: xvda, sda, hda, d0p0 … (default: the first free "
              "xvd)" },
    { "drive", "block node or drive that is the disk" },
    { "iothread", "iothread for events and I/O of a connected frontend" },
    { "backend_defaults", "take block sizes from the drive (on/off/auto)" },
    { "logical_block_size", "bytes per sector, a power of two from 512 to "
                            "4096" },
    { "physical_block_size", "bytes per physical sector, a power of two and "
                             "at least logical_block_size" },
    { "min_io_size", "smallest sensible request; no frontend learns it" },
    { "opt_io_size", "best size of a request; no frontend learns it" },
    { "discard_granularity", "bytes that are discarded together" },
    { "write-cache", "whether the drive's cache is write-back (on/off/auto)" },
    { "share-rw", "let other devices write to the drive as well (on/off)" },
    { "account-invalid", "count invalid requests in the drive's statistics "
                         "(on/off/auto)" },
    { "account-failed", "count failed requests in the drive's statistics "
                        "(on/off/auto)" },
    { "max-ring-page-order", "a ring has up to 2^n pages, n from 0 to 4" },
};

static const Help xen_device[] = {
    { "frontend-id", "domain of the frontend (default: the guest)" },
};

void xen_pvblk_describe_front(ObjectClass *klass)
{
    describe(klass, front, ARRAY_SIZE(front));
}

void xen_pvblk_describe_pci(ObjectClass *klass)
{
    describe(klass, pci, ARRAY_SIZE(pci));
}

void xen_pvblk_describe_back(ObjectClass *klass)
{
    describe(klass, back, ARRAY_SIZE(back));
    describe(object_class_by_name(TYPE_XEN_BLOCK_DEVICE), xen_block,
             ARRAY_SIZE(xen_block));
    describe(object_class_by_name(TYPE_XEN_DEVICE), xen_device,
             ARRAY_SIZE(xen_device));
}
