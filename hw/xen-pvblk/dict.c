/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dict.h"

#include "qapi/error.h"
#include "qapi/visitor.h"

struct visit {
    Visitor *v;
    Error **errp;
    bool failed;
};

static void visit_field(void *opaque, const struct pvblk_field *field)
{
    struct visit *visit = opaque;
    uint64_t number = field->number;
    bool flag = field->number;

    if (visit->failed) {
        return;
    }
    switch (field->kind) {
    case PVBLK_FIELD_U64:
        visit->failed = !visit_type_uint64(visit->v, field->name, &number,
                                           visit->errp);
        break;
    case PVBLK_FIELD_BOOL:
        visit->failed = !visit_type_bool(visit->v, field->name, &flag,
                                         visit->errp);
        break;
    case PVBLK_FIELD_TEXT: {
        char *copy = g_strdup(field->text);

        visit->failed = !visit_type_str(visit->v, field->name, &copy,
                                        visit->errp);
        g_free(copy);
        break;
    }
    }
}

static void get_dict(Object *obj, Visitor *v, const char *name, void *opaque,
                     Error **errp)
{
    XenPvblkFields *fields = opaque;
    struct visit visit = { .v = v, .errp = errp };

    if (!visit_start_struct(v, name, NULL, 0, errp)) {
        return;
    }
    fields(obj, visit_field, &visit);
    if (!visit.failed) {
        visit_check_struct(v, errp);
    }
    visit_end_struct(v, NULL);
}

void xen_pvblk_add_dict(ObjectClass *klass, const char *name,
                        const char *description, XenPvblkFields *fields)
{
    object_class_property_add(klass, name, "dict", get_dict, NULL, NULL,
                              fields);
    object_class_property_set_description(klass, name, description);
}
