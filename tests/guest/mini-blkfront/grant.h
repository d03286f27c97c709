/* SPDX-License-Identifier: MIT */
/*
 * Grants: permission for another domain to access one page of ours, named by a number, the grant
 * reference (grant_table.h, version 1).
 */
#pragma once

#include "hypercall.h"

#include <xen/grant_table.h>

enum class Access { ReadWrite, ReadOnly };

class GrantTable
{
public:
    void init();

    grant_ref_t grant(domid_t to, const Page &page, Access access);
    /* Takes the permission back; fails if the page is still in use. */
    void end(grant_ref_t ref);

private:
    static constexpr uint32_t kEntries = kPageSize / sizeof(grant_entry_v1_t);

    grant_ref_t free_[kEntries];
    uint32_t nr_free_{0};
};

extern GrantTable grants;
