/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Properties of a xen-pvblk device for qom-get:
 *   state      the connection's state, and why it is broken; `info qtree`, too
 *   summary    plan and traffic in one line; `info qtree`, too
 *   plan       the negotiated terms, a dictionary
 *   counters   a dictionary
 *   ring       the shared pages, which have no address in the guest, and the
 *              frontend's path in XenStore: for a debugger
 *   reconnect  qom-set true: close, and connect again
 */
#include "front-inspect.h"

#include "dict.h"
#include "front-ports.h"
#include "front-queues.h"

#include "hw/qdev-properties.h"
#include "qapi/error.h"
#include "qapi/visitor.h"

static void visit_text(Visitor *v, const char *name, const char *text,
                       Error **errp)
{
    char *copy = g_strdup(text);

    visit_type_str(v, name, &copy, errp);
    g_free(copy);
}

static void get_state(Object *obj, Visitor *v, const char *name, void *opaque,
                      Error **errp)
{
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(obj);
    const char *why = s->dev ? pvblk_device_broken_because(s->dev) : "";
    g_autofree char *text =
        g_strdup_printf("%s%s%s",
                        s->dev ? pvblk_device_state(s->dev) : "unrealized",
                        *why ? ": " : "", why);

    visit_text(v, name, text, errp);
}

const PropertyInfo xen_pvblk_front_prop_state = {
    .type = "str",
    .description = "state of the connection to the backend (read only)",
    .get = get_state,
};

/* ---- dictionaries ----------------------------------------------------- */

static void plan_fields(Object *obj, pvblk_emit *emit, void *opaque)
{
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(obj);

    if (s->dev) {
        pvblk_device_plan(s->dev, emit, opaque);
    }
}

static void counter_fields(Object *obj, pvblk_emit *emit, void *opaque)
{
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(obj);

    if (s->dev) {
        pvblk_device_counters(s->dev, emit, opaque);
    }
}

/* ---- summary ---------------------------------------------------------- */

static void append_field(void *opaque, const struct pvblk_field *field)
{
    GString *line = opaque;

    if (field->kind == PVBLK_FIELD_TEXT) {
        g_string_append_printf(line, "%s=%s ", field->name, field->text);
    } else if (field->number) {
        g_string_append_printf(line, "%s=%" PRIu64 " ", field->name,
                               field->number);
    }
}

static void get_summary(Object *obj, Visitor *v, const char *name,
                        void *opaque, Error **errp)
{
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(obj);
    g_autoptr(GString) line = g_string_new(NULL);

    if (s->dev) {
        pvblk_device_plan(s->dev, append_field, line);
        pvblk_device_counters(s->dev, append_field, line);
        g_string_truncate(line, line->len ? line->len - 1 : 0);
    }
    visit_text(v, name, line->str, errp);
}

const PropertyInfo xen_pvblk_front_prop_summary = {
    .type = "str",
    .description = "negotiated plan, and the counters that are not 0 "
                   "(read only)",
    .get = get_summary,
};

/* ---- ring ------------------------------------------------------------- */

static void append_hex(GString *text, XenPvblkFrontend *s, int page)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = (const uint8_t *)xen_pvblk_front_pages_base(s) +
                           (size_t)page * XEN_PVBLK_PAGE;

    for (size_t i = 0; i < XEN_PVBLK_PAGE; i++) {
        uint8_t byte = qatomic_read(&bytes[i]); /* a backend may write */

        g_string_append_c(text, digits[byte >> 4]);
        g_string_append_c(text, digits[byte & 0xf]);
    }
}

/* A line each: where the page is among the private ones, and its content. */
static char *all_ring_pages(XenPvblkFrontend *s)
{
    GString *text = g_string_new(NULL);

    for (uint32_t q = 0; s->dev && q < PVBLK_MAX_QUEUES; q++) {
        for (uint32_t i = 0; i < PVBLK_MAX_RING_PAGES; i++) {
            int page = pvblk_device_ring_page(s->dev, q, i);

            if (page < 0) {
                break;
            }
            g_string_append_printf(text, "0x%x: ", page * XEN_PVBLK_PAGE);
            append_hex(text, s, page);
            g_string_append_c(text, '\n');
        }
    }
    return g_string_free(text, false);
}

static char *first_ring_page(XenPvblkFrontend *s)
{
    int page = s->dev ? pvblk_device_ring_page(s->dev, 0, 0) : -1;
    GString *text = g_string_new(NULL);

    if (page >= 0) {
        append_hex(text, s, page);
    }
    return g_string_free(text, false);
}

static void get_ring(Object *obj, Visitor *v, const char *name, void *opaque,
                     Error **errp)
{
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(obj);
    g_autofree char *path = g_strdup(s->peer.frontend_path ?: "");
    g_autofree char *first = first_ring_page(s);
    g_autofree char *all = all_ring_pages(s);

    if (!visit_start_struct(v, name, NULL, 0, errp)) {
        return;
    }
    if (visit_type_str(v, "frontend", &path, errp) &&
        visit_type_str(v, "page", &first, errp) &&
        visit_type_str(v, "pages", &all, errp)) {
        visit_check_struct(v, errp);
    }
    visit_end_struct(v, NULL);
}

/* ---- reconnect -------------------------------------------------------- */

static void set_reconnect(Object *obj, bool value, Error **errp)
{
    XenPvblkFrontend *s = XEN_PVBLK_FRONTEND(obj);

    if (!s->dev) {
        error_setg(errp, "reconnect: the device is not realized yet");
    } else if (value && xen_pvblk_front_enter(s)) {
        pvblk_device_reconnect(s->dev);
        xen_pvblk_front_leave(s);
    }
}

void xen_pvblk_front_inspect_class_init(ObjectClass *klass)
{
    xen_pvblk_add_dict(klass, "plan", "the terms agreed on with the backend",
                       plan_fields);
    xen_pvblk_add_dict(klass, "counters",
                       "requests, segments, grants, events, bytes and time "
                       "since the start", counter_fields);
    object_class_property_add(klass, "ring", "dict", get_ring, NULL, NULL,
                              NULL);
    object_class_property_set_description(klass, "ring",
        "the frontend's path in XenStore, the first page of its first ring in "
        "hexadecimal, and all pages of all rings: empty without a ring");
    object_class_property_add_bool(klass, "reconnect", NULL, set_reconnect);
    object_class_property_set_description(klass, "reconnect",
        "write true to close the connection and connect again");
}
