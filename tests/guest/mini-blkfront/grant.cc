/* SPDX-License-Identifier: MIT */
#include "grant.h"

#include "console.h"

GrantTable grants;

namespace
{

/* One frame of the table, 512 references, is enough for a full ring of full requests and the ring
 * itself. */
Page table_page;

grant_entry_v1_t &entry(grant_ref_t ref)
{
    return reinterpret_cast<grant_entry_v1_t *>(&table_page)[ref];
}

} // namespace

void GrantTable::init()
{
    if (long error = map_xen_page(XENMAPSPACE_grant_table, 0, table_page))
        fail("cannot map the grant table, error ", error);
    for (grant_ref_t ref = kEntries - 1; ref >= GNTTAB_NR_RESERVED_ENTRIES; ref--)
        free_[nr_free_++] = ref;
}

grant_ref_t GrantTable::grant(domid_t to, const Page &page, Access access)
{
    if (!nr_free_)
        fail("out of grant references");
    grant_ref_t ref = free_[--nr_free_];
    store(entry(ref).domid, to);
    store(entry(ref).frame, static_cast<uint32_t>(page.frame()));
    /* grant_table.h, "Introducing a valid entry": the flags last. Partner: whoever maps it reads
     * the flags, sets GTF_reading by an atomic operation, and only then relies on the rest. */
    fence_release();
    uint16_t flags = GTF_permit_access | (access == Access::ReadOnly ? GTF_readonly : 0);
    store(entry(ref).flags, flags);
    return ref;
}

/*
 * grant_table.h, "Invalidating an unused GTF_permit_access entry": by an atomic operation, as the
 * other domain may be about to set GTF_reading. It is also the fence between the domain's last
 * access (partner: the atomic operation with which it clears GTF_reading) and our next use of the
 * page.
 */
void GrantTable::end(grant_ref_t ref)
{
    uint16_t flags = load(entry(ref).flags);
    do {
        if (flags & (GTF_reading | GTF_writing))
            fail("grant reference ", ref, " is still in use");
    } while (!__atomic_compare_exchange_n(&entry(ref).flags, &flags, uint16_t{0}, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    free_[nr_free_++] = ref;
}
