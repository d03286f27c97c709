/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Properties of a xen-pvblk-backend for qom-get:
 *   plan            the terms agreed with the frontend, a dictionary
 *   counters        a dictionary
 *   judgement       with judge=on, a text for each clause that was kept or
 *                   broken, a dictionary
 *   last-error      why the last frontend was refused, or its ring halted
 *   fault-plan      the plan of its faults; also qom-set
 *   fault-counters  how often each rule's fault happened, a dictionary
 */
#include "back-inspect.h"

#include "back-ports.h"
#include "dict.h"
#include "qapi/error.h"

/* ---- what goes on ----------------------------------------------------- */

static void get_plan(Object *obj, pvblk_emit *emit, void *opaque)
{
    XenPvblkBackend *s = XEN_PVBLK_BACKEND(obj);

    if (s->back) {
        pvblk_back_plan(s->back, emit, opaque);
    }
}

static void get_counters(Object *obj, pvblk_emit *emit, void *opaque)
{
    XenPvblkBackend *s = XEN_PVBLK_BACKEND(obj);

    if (s->back) {
        pvblk_back_counters(s->back, emit, opaque);
    }
}

static void get_judgement(Object *obj, pvblk_emit *emit, void *opaque)
{
    XenPvblkBackend *s = XEN_PVBLK_BACKEND(obj);

    /* It asks the grant table, which an unplug may have closed. */
    if (s->back && xen_pvblk_back_enter(s)) {
        pvblk_back_judgement(s->back, emit, opaque);
        xen_pvblk_back_leave(s);
    }
}

static char *get_last_error(Object *obj, Error **errp)
{
    XenPvblkBackend *s = XEN_PVBLK_BACKEND(obj);

    return g_strdup(s->back ? pvblk_back_last_error(s->back) : "");
}

/* ---- fault plans: docs/faults.rst ------------------------------------- */

/* A plan counts what happens, without any lock. */
static bool set_faults(XenPvblkBackend *s, const char *what, const char *text,
                       Error **errp)
{
    char error[512];

    if (XEN_BLOCK_DEVICE(s)->props.iothread) {
        error_setg(errp, "%s: a fault plan needs one thread; remove iothread=",
                   what);
        return false;
    }
    if (pvblk_back_set_faults(s->back, text, error, sizeof(error)) < 0) {
        error_setg(errp, "%s: %s", what, error);
        return false;
    }
    return true;
}

/* A pipe or a device may have no end: a byte more than a plan has is enough. */
bool xen_pvblk_back_load_faults(XenPvblkBackend *s, Error **errp)
{
    g_autofree char *what = g_strdup_printf("faults=%s", s->faults);
    g_autofree char *text = g_malloc0(PVBLK_MAX_FAULT_PLAN + 2);
    FILE *file = fopen(s->faults, "r");
    size_t length = file ? fread(text, 1, PVBLK_MAX_FAULT_PLAN + 1, file) : 0;
    int error = !file || ferror(file) ? errno : 0;

    if (file) {
        fclose(file);
    }
    if (error) {
        error_setg_errno(errp, error, "%s", what);
        return false;
    }
    if (length > PVBLK_MAX_FAULT_PLAN) {
        error_setg(errp, "%s: the fault plan is longer than %d bytes", what,
                   PVBLK_MAX_FAULT_PLAN);
        return false;
    }
    if (strlen(text) != length) {
        error_setg(errp, "%s: the fault plan contains a zero byte", what);
        return false;
    }
    return set_faults(s, what, text, errp);
}

static char *get_fault_plan(Object *obj, Error **errp)
{
    XenPvblkBackend *s = XEN_PVBLK_BACKEND(obj);

    return g_strdup(s->back ? pvblk_back_faults(s->back) : "");
}

static void set_fault_plan(Object *obj, const char *value, Error **errp)
{
    XenPvblkBackend *s = XEN_PVBLK_BACKEND(obj);

    if (!s->back) {
        error_setg(errp, "fault-plan: the backend is not realized yet; to "
                   "start with a plan, give its file with faults=");
        return;
    }
    /* A rule may be due at once, and end the connection. */
    if (!xen_pvblk_back_enter(s)) {
        error_setg(errp, "fault-plan: the backend is being unplugged");
        return;
    }
    set_faults(s, "fault-plan", value, errp);
    xen_pvblk_back_leave(s);
}

static void get_fault_counters(Object *obj, pvblk_emit *emit, void *opaque)
{
    XenPvblkBackend *s = XEN_PVBLK_BACKEND(obj);

    if (s->back) {
        pvblk_back_fault_counters(s->back, emit, opaque);
    }
}

/* ---- class ------------------------------------------------------------ */

void xen_pvblk_back_inspect_class_init(ObjectClass *klass)
{
    xen_pvblk_add_dict(klass, "plan", "the terms agreed on with the frontend",
                       get_plan);
    xen_pvblk_add_dict(klass, "counters",
                       "requests, segments, grants and events since the start",
                       get_counters);
    xen_pvblk_add_dict(klass, "judgement",
                       "the clauses that the frontend kept, and those that it "
                       "broke; needs judge=on", get_judgement);
    xen_pvblk_add_dict(klass, "fault-counters",
                       "number of times that each rule's fault happened",
                       get_fault_counters);
    object_class_property_add_str(klass, "fault-plan", get_fault_plan,
                                  set_fault_plan);
    object_class_property_set_description(klass, "fault-plan",
        "the fault plan that the backend obeys, one rule per line");
    object_class_property_add_str(klass, "last-error", get_last_error, NULL);
    object_class_property_set_description(klass, "last-error",
        "the reason for the last refusal of a frontend or halt of its ring");
}
