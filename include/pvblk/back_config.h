/* SPDX-License-Identifier: MIT */
/*
 * What a backend is, and how a test bends it.
 *
 * Units: 512-byte sectors unless a name says otherwise; with
 * BackConfig::units == Device (QEMU 10's reading) what lies on the wire and in
 * the node `sectors` counts in sector-size instead.
 */
#pragma once

#include "proto/wire.h"
#include "pvblk/plan.h"

#include <string>

namespace pvblk
{

struct BackConfig {
    std::string frontend_path;
    std::string backend_path;
    /* Nodes that a toolstack writes, and that some frontends want; "": none. */
    std::string type{}, dev{}, params{};

    uint32_t sector_size{kSectorSize}; /* bytes */
    uint32_t physical_sector_size{0};  /* bytes; 0: do not publish */
    SectorUnits units{SectorUnits::Bytes512};
    /* Bytes of a sector on the wire and in the node `sectors`. */
    uint32_t unit() const { return unit_bytes(units, sector_size); }
    bool read_only{false};
    bool cdrom{false};
    bool removable{false};

    bool flush{true};
    bool barrier{true};
    bool discard{true};
    bool discard_secure{false};
    uint32_t discard_granularity{0}; /* bytes; 0: sector_size */
    uint32_t discard_alignment{0};   /* bytes */

    uint32_t max_ring_page_order{4}; /* 0 … 4 */
    uint32_t max_queues{4};          /* 1 … kMaxQueues */
    /* 0: no indirect requests. Linux's blkback has 256, too. */
    uint32_t max_indirect_segments{256};
    bool persistent{true};
    /* Pages of a queue that stay mapped. Enough for Linux's 32 requests of 32
     * segments and their indirect pages. */
    uint32_t max_persistent{1056};
};

/* For tests, what no fault plan gives: a backend that waits for the test. */
struct BackKnobs {
    bool deaf_state{false};  /* do not look at the frontend's state */
    bool hold{false};        /* keep requests for complete(), not done yet */
    bool hold_mapped{false}; /* ... with their pages mapped meanwhile */
    bool keep_mapped{false}; /* never unmap data pages; see let_go() */
    bool keep_ring{false};   /* never unmap the ring; see let_go() */
};

} // namespace pvblk
