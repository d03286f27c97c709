/* SPDX-License-Identifier: MIT */
/*
 * U-Boot's Xen library (drivers/xen/{xenbus,gnttab,events}.c) on the loopback,
 * as far as its block frontend uses it, with its habits: an error of XenStore
 * is a string that the caller frees, a number that is missing is -1, a state is
 * polled, and a grant that the backend still maps stays.
 */
#include <malloc.h>
#include <stdio.h>
#include <vsprintf.h>

#include <asm/io.h>
#include <linux/bug.h>
#include <xen/events.h>
#include <xen/gnttab.h>
#include <xen/hvm.h>
#include <xen/xenbus.h>

/* After U-Boot's types. */
#include "seam.h"

/* Longest path or value of this protocol. */
#define TEXT_MAX 256

void uboot_fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!world_poll())
        driver_hung("polls the ring");
}

/* ---- xenbus.c ------------------------------------------------------------------ */

static char *error_of(enum WorldStatus status)
{
    switch (status) {
    case WORLD_OK: return NULL;
    case WORLD_MISSING: return strdup("ENOENT");
    default: return strdup("EIO");
    }
}

char *xenbus_read(xenbus_transaction_t xbt, const char *path, char **value)
{
    char text[TEXT_MAX];
    enum WorldStatus status = world_read(path, text, sizeof text);

    (void)xbt;
    if (!world_poll())
        driver_hung("reads XenStore again and again");
    *value = status == WORLD_OK ? strdup(text) : NULL;
    return error_of(status);
}

char *xenbus_write(xenbus_transaction_t xbt, const char *path, const char *value)
{
    (void)xbt;
    return error_of(world_write(path, value));
}

char *xenbus_rm(xenbus_transaction_t xbt, const char *path)
{
    (void)xbt;
    return error_of(world_remove(path));
}

char *xenbus_printf(xenbus_transaction_t xbt, const char *node, const char *path,
                    const char *format, ...)
{
    char full[TEXT_MAX], value[TEXT_MAX];
    va_list args;

    snprintf(full, sizeof full, "%s/%s", node, path);
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    return xenbus_write(xbt, full, value);
}

int xenbus_read_integer(const char *path)
{
    char *text;
    char *error = xenbus_read(XBT_NIL, path, &text);
    int number = 0; /* U-Boot leaves it undefined where the text is no number */

    if (error) {
        printf("Failed to read %s.\n", path);
        free(error);
        return -1;
    }
    sscanf(text, "%d", &number);
    free(text);
    return number;
}

char *xenbus_transaction_start(xenbus_transaction_t *xbt)
{
    *xbt = 1;
    world_transaction_start();
    return NULL;
}

char *xenbus_transaction_end(xenbus_transaction_t xbt, int abort, int *retry)
{
    enum WorldStatus status = world_transaction_end(abort);

    (void)xbt;
    *retry = status == WORLD_AGAIN;
    return *retry ? NULL : error_of(status);
}

/* In a transaction of its own, unless the caller has one. */
char *xenbus_switch_state(xenbus_transaction_t xbt, const char *path, XenbusState state)
{
    char *error, *end = NULL;
    int retry = 0;

    do {
        char *text, value[2];
        xenbus_transaction_t own = xbt;

        if (xbt == XBT_NIL)
            xenbus_transaction_start(&own);
        error = xenbus_read(own, path, &text);
        if (!error && text[0] - '0' != (int)state) {
            snprintf(value, sizeof value, "%d", state);
            error = xenbus_write(own, path, value);
        }
        free(text);
        if (xbt == XBT_NIL)
            end = xenbus_transaction_end(own, 0, &retry);
    } while (retry);
    if (error)
        free(end);
    return error ? error : end;
}

/* Reads the state each millisecond, for ever. */
char *xenbus_wait_for_state_change(const char *path, XenbusState *state)
{
    while (true) {
        char *text;
        char *error = xenbus_read(XBT_NIL, path, &text);

        if (error)
            return error;
        XenbusState now = text[0] - '0';
        free(text);
        if (now != *state) {
            *state = now;
            return NULL;
        }
    }
}

/* Here are the domain's own block devices, and no others. */
char *xenbus_ls(xenbus_transaction_t xbt, const char *prefix, char ***contents)
{
    (void)xbt;
    (void)prefix;
    *contents = malloc(2 * sizeof **contents);
    (*contents)[0] = strdup(strrchr(world_frontend(), '/') + 1);
    (*contents)[1] = NULL;
    return NULL;
}

/* ---- gnttab.c -------------------------------------------------------------------- */

grant_ref_t gnttab_grant_access(domid_t domid, unsigned long frame, int readonly)
{
    grant_ref_t ref = world_grant(frame, readonly);

    (void)domid;
    BUG_ON(!ref);
    return ref;
}

int gnttab_end_access(grant_ref_t ref)
{
    BUG_ON(ref < 8); /* NR_RESERVED_ENTRIES */
    if (world_end_access(ref))
        return 1;
    printf("WARNING: g.e. still in use!\n");
    return 0;
}

/* ---- events.c, hypervisor.c ------------------------------------------------------- */

int evtchn_alloc_unbound(domid_t pal, void (*handler)(evtchn_port_t, struct pt_regs *, void *),
                         void *data, evtchn_port_t *port)
{
    evtchn_port_t opened = world_open_port();

    (void)pal;
    (void)handler;
    (void)data;
    if (!opened) {
        printf("ERROR: alloc_unbound failed with rc=%d\n", -28);
        return -28; /* Xen's ENOSPC */
    }
    *port = opened;
    return 0;
}

void unbind_evtchn(evtchn_port_t port)
{
    world_close_port(port);
}

int HYPERVISOR_event_channel_op(int cmd, void *arg)
{
    const struct evtchn_send *send = arg;

    BUG_ON(cmd != EVTCHNOP_send);
    return world_notify(send->port) ? 0 : -22; /* Xen's EINVAL */
}

/* The driver polls; it needs no upcall. */
void mask_evtchn(uint32_t port)
{
    (void)port;
}

void unmask_evtchn(uint32_t port)
{
    (void)port;
}

void eventchn_poll(void) {}
