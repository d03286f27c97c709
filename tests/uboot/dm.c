/* SPDX-License-Identifier: MIT */
/*
 * U-Boot's driver model (drivers/core, blk-uclass.c), as far as its block
 * frontend uses it: a class device, and one block device below it. It
 * allocates and frees what U-Boot's does, at the same moments.
 */
#include <blk.h>
#include <dm.h>
#include <dm/device-internal.h>
#include <dm/uclass-internal.h>
#include <errno.h>
#include <malloc.h>
#include <pvblock.h>
#include <stdio.h>
#include <vsprintf.h>

#include <asm/global_data.h>

/* After U-Boot's types. */
#include "libc.h"
#include "seam.h"

static struct udevice class_device, block_device;
static struct global_data global;

struct global_data *gd = &global;

/* ---- drivers/core -------------------------------------------------------------- */

static struct udevice *device_of(enum uclass_id id)
{
    struct udevice *dev = id == UCLASS_PVBLOCK ? &class_device : &block_device;

    return dev->driver ? dev : NULL;
}

int device_bind_by_name(struct udevice *parent, bool pre_reloc_only, const struct driver_info *info,
                        struct udevice **devp)
{
    const struct driver *driver = DM_DRIVER_GET(pvblock_drv);
    struct udevice *dev = &class_device;

    (void)pre_reloc_only;
    if (parent) {
        driver = DM_DRIVER_GET(pvblock_blk);
        dev = &block_device;
    }
    if (strcmp(driver->name, info->name))
        return -ENOENT;
    dev->driver = driver;
    dev->parent = parent;
    dev->name = info->name;
    dev->plat_ = (void *)info->plat;
    if (parent)
        dev->uclass_plat_ = calloc(1, sizeof(struct blk_desc));
    if (devp)
        *devp = dev;
    return driver->bind ? driver->bind(dev) : 0;
}

void device_free(struct udevice *dev)
{
    if (!dev->driver->priv_auto)
        return;
    free(dev->priv_);
    dev->priv_ = NULL;
}

int device_probe(struct udevice *dev)
{
    int ret;

    if (dev_get_flags(dev) & DM_FLAG_ACTIVATED)
        return 0;
    if (dev->driver->priv_auto && !dev->priv_)
        dev->priv_ = calloc(1, dev->driver->priv_auto);
    dev->flags_ |= DM_FLAG_ACTIVATED;
    ret = dev->driver->probe(dev);
    if (ret) {
        dev->flags_ &= ~DM_FLAG_ACTIVATED;
        device_free(dev);
    }
    return ret;
}

int device_remove(struct udevice *dev, uint flags)
{
    int ret;

    if (!(dev_get_flags(dev) & DM_FLAG_ACTIVATED))
        return 0;
    if (!(dev->driver->flags & flags))
        return -EKEYREJECTED;
    ret = dev->driver->remove(dev);
    if (ret)
        return ret;
    device_free(dev);
    dev->flags_ &= ~DM_FLAG_ACTIVATED;
    return 0;
}

void *dev_get_priv(const struct udevice *dev)
{
    return dev->priv_;
}

void *dev_get_plat(const struct udevice *dev)
{
    return dev->plat_;
}

void *dev_get_uclass_plat(const struct udevice *dev)
{
    return dev->uclass_plat_;
}

int uclass_get(enum uclass_id id, struct uclass **uc)
{
    (void)id;
    *uc = NULL;
    return 0;
}

const char *uclass_get_name(enum uclass_id id)
{
    return id == UCLASS_PVBLOCK ? "pvblock" : "blk";
}

int uclass_probe_all(enum uclass_id id)
{
    struct udevice *dev = device_of(id);

    return dev ? device_probe(dev) : 0;
}

void uclass_first_device(enum uclass_id id, struct udevice **devp)
{
    *devp = device_of(id);
    if (*devp && device_probe(*devp))
        *devp = NULL;
}

void uclass_next_device(struct udevice **devp)
{
    *devp = NULL;
}

/* ---- blk-uclass.c ---------------------------------------------------------------- */

int blk_next_free_devnum(enum uclass_id uclass_id)
{
    (void)uclass_id;
    return 0;
}

int blk_first_device(int uclass_id, struct udevice **devp)
{
    (void)uclass_id;
    uclass_first_device(UCLASS_BLK, devp);
    return *devp ? 0 : -ENODEV;
}

int blk_next_device(struct udevice **devp)
{
    *devp = NULL;
    return -ENODEV;
}

/* ---- the calls --------------------------------------------------------------------- */

struct Transfer {
    bool write;
    uint64_t at;
    size_t bytes;
    void *buffer;
};

static bool active(void)
{
    return dev_get_flags(&block_device) & DM_FLAG_ACTIVATED;
}

/* A block device of U-Boot's cannot say that it is read-only. */
static struct DriverDisk call_disk(void)
{
    struct DriverDisk disk = {0};

    if (active()) {
        const struct blk_desc *desc = block_device.uclass_plat_;
        disk.blocks = desc->lba;
        disk.block_size = desc->blksz;
    }
    return disk;
}

static void say(char *text, bool success, const char *otherwise)
{
    snprintf(text, DRIVER_TEXT_SIZE, "%s", success ? "Success" : otherwise);
}

static void do_start(void *args, char *text)
{
    (void)args;
    pvblock_init();
    say(text, active(), "no device");
}

static void do_probe(void *args, char *text)
{
    (void)args;
    say(text, !device_probe(&block_device), "no device");
}

static void do_transfer(void *args, char *text)
{
    const struct Transfer *t = args;

    if (!active()) {
        say(text, false, "no device");
        return;
    }
    const struct blk_ops *ops = block_device.driver->ops;
    size_t block_size = call_disk().block_size;
    lbaint_t blocks = block_size ? t->bytes / block_size : 0;
    unsigned long done = t->write ? ops->write(&block_device, t->at, blocks, t->buffer)
                                  : ops->read(&block_device, t->at, blocks, t->buffer);
    if (blocks && done == blocks)
        say(text, true, "");
    else
        snprintf(text, DRIVER_TEXT_SIZE, "%lu of %lu blocks", done, (unsigned long)blocks);
}

static void do_stop(void *args, char *text)
{
    (void)args;
    say(text, !device_remove(&block_device, DM_REMOVE_OS_PREPARE), "not removed");
}

struct DriverOutcome uboot_probe_again(void)
{
    return driver_run(do_probe, NULL);
}

static struct DriverOutcome call_read(uint64_t block, size_t bytes, void *buffer)
{
    struct Transfer t = {false, block, bytes, buffer};

    return driver_run(do_transfer, &t);
}

static struct DriverOutcome call_write(uint64_t block, size_t bytes, void *buffer)
{
    struct Transfer t = {true, block, bytes, buffer};

    return driver_run(do_transfer, &t);
}

static struct DriverOutcome call_stop(void)
{
    return driver_run(do_stop, NULL);
}

/* The descriptor is the driver model's own. */
static size_t forget(void)
{
    free(block_device.uclass_plat_);
    memset(&class_device, 0, sizeof class_device);
    memset(&block_device, 0, sizeof block_device);
    return uboot_forget_heap();
}

static struct DriverOutcome call_start(void)
{
    forget();
    return driver_run(do_start, NULL);
}

const struct DriverCalls uboot_calls = {
    .start = call_start,
    .disk = call_disk,
    .read = call_read,
    .write = call_write,
    .stop = call_stop,
    .forget = forget,
};
