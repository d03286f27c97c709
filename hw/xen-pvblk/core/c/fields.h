/* SPDX-License-Identifier: MIT */
/* A frontend's plan and counters as fields for C. front.cc and device.cc share this. */
#pragma once

#include "pvblk/c/types.h"
#include "pvblk/front.h"

namespace pvblk
{

/* Calls a host's pvblk_emit, one field after another. */
class Fields
{
public:
    Fields(pvblk_emit *emit, void *opaque) : emit_(emit), opaque_(opaque) {}
    void number(const char *name, uint64_t value)
    {
        give({name, pvblk_field::PVBLK_FIELD_U64, value, ""});
    }
    void flag(const char *name, bool value)
    {
        give({name, pvblk_field::PVBLK_FIELD_BOOL, value, ""});
    }
    void text(const char *name, const char *value)
    {
        give({name, pvblk_field::PVBLK_FIELD_TEXT, 0, value});
    }

private:
    void give(const pvblk_field &f) { emit_(opaque_, &f); }

    pvblk_emit *emit_;
    void *opaque_;
};

void emit_plan(Fields fields, const Plan &plan);
void emit_counters(Fields fields, const BlockFront &front);

} // namespace pvblk
