/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store.h"

int xen_pvblk_store_read(struct qemu_xs_handle *xsh, const char *path,
                         char *buf, size_t cap)
{
    unsigned int len = 0;
    char *value = qemu_xen_xs_read(xsh, XBT_NULL, path, &len);

    if (!value) {
        return errno ? -errno : -EIO;
    }
    memcpy(buf, value, MIN(cap, len));
    free(value);
    return len;
}

int xen_pvblk_store_write(struct qemu_xs_handle *xsh, const char *path,
                          const char *value, size_t len)
{
    if (!qemu_xen_xs_write(xsh, XBT_NULL, path, value, len)) {
        return errno ? -errno : -EIO;
    }
    return 0;
}
