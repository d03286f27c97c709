/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen-pvblk-pci: xen-pvblk-device behind virtio's PCI transport, with the IDs
 * of a virtio block device, so that stock drivers bind to it.
 *
 * The PCI class is STORAGE_OTHER and not STORAGE_SCSI as virtio-blk-pci's: a
 * Xen-aware guest asks the platform device to unplug disks of that class.
 */
#include "front.h"
#include "help.h"

#include "hw/pci/pci_ids.h"
#include "hw/qdev-properties.h"
#include "hw/virtio/virtio-pci.h"
#include "qapi/error.h"
#include "qemu/module.h"

#define TYPE_XEN_PVBLK_PCI_BASE "xen-pvblk-pci-base"
OBJECT_DECLARE_SIMPLE_TYPE(XenPvblkPci, XEN_PVBLK_PCI_BASE)

struct XenPvblkPci {
    VirtIOPCIProxy parent_obj;
    XenPvblkFrontend vdev;
};

static const Property properties[] = {
    DEFINE_PROP_UINT32("class", VirtIOPCIProxy, class_code, 0),
    DEFINE_PROP_BIT("ioeventfd", VirtIOPCIProxy, flags,
                    VIRTIO_PCI_FLAG_USE_IOEVENTFD_BIT, true),
    DEFINE_PROP_UINT32("vectors", VirtIOPCIProxy, nvectors,
                       DEV_NVECTORS_UNSPECIFIED),
};

static void pci_realize(VirtIOPCIProxy *proxy, Error **errp)
{
    XenPvblkPci *dev = XEN_PVBLK_PCI_BASE(proxy);

    if (proxy->nvectors == DEV_NVECTORS_UNSPECIFIED) {
        proxy->nvectors = dev->vdev.num_queues + 1;
    }
    qdev_realize(DEVICE(&dev->vdev), BUS(&proxy->bus), errp);
}

static void pci_class_init(ObjectClass *klass, PVBLK_CLASS_DATA data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);
    device_class_set_props(dc, properties);
    xen_pvblk_describe_pci(klass);
    VIRTIO_PCI_CLASS(klass)->realize = pci_realize;
    pc->vendor_id = PCI_VENDOR_ID_REDHAT_QUMRANET;
    pc->device_id = PCI_DEVICE_ID_VIRTIO_BLOCK;
    pc->revision = VIRTIO_PCI_ABI_VERSION;
    pc->class_id = PCI_CLASS_STORAGE_OTHER;
}

static void pci_instance_init(Object *obj)
{
    XenPvblkPci *dev = XEN_PVBLK_PCI_BASE(obj);

    virtio_instance_init_common(obj, &dev->vdev, sizeof(dev->vdev),
                                TYPE_XEN_PVBLK_FRONTEND);
    object_property_add_alias(obj, "bootindex", OBJECT(&dev->vdev),
                              "bootindex");
}

static const VirtioPCIDeviceTypeInfo pci_info = {
    .base_name = TYPE_XEN_PVBLK_PCI_BASE,
    .generic_name = "xen-pvblk-pci",
    .transitional_name = "xen-pvblk-pci-transitional",
    .non_transitional_name = "xen-pvblk-pci-non-transitional",
    .instance_size = sizeof(XenPvblkPci),
    .instance_init = pci_instance_init,
    .class_init = pci_class_init,
};

static void pci_register(void)
{
    virtio_pci_types_register(&pci_info);
}

type_init(pci_register)
