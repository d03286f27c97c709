/* SPDX-License-Identifier: MIT */
/*
 * A block frontend: blkif.h, all that one ring of one page needs. A request names up to 11 pieces
 * of pages; the backend answers in any order.
 */
#pragma once

#include "evtchn.h"
#include "grant.h"
#include "store.h"

#include <xen/io/blkif.h>
#include <xen/io/xenbus.h>

/* Sectors `first` to `last` of a page, counted in 512 bytes. */
struct Piece {
    Page *page;
    uint8_t first, last;
};

class Blkfront
{
public:
    /* From the states Initialising to Connected. `vbd` is a name in device/vbd. */
    void connect(const char *vbd);
    /* Closing and Closed; takes every grant back. */
    void close();

    uint64_t sectors() const { return sectors_; }
    uint32_t sector_size() const { return sector_size_; }
    bool can_flush() const { return can_flush_; }

    static constexpr uint32_t kMaxPieces = BLKIF_MAX_SEGMENTS_PER_REQUEST;

    /* Sends one request and does not wait; the ring must have room. The result is for wait(). */
    uint32_t submit(uint8_t operation, uint64_t sector, const Piece *pieces, uint32_t nr_pieces);
    /* Sleeps until the request was answered; fails if the answer is an error or does not come. */
    void wait(uint32_t request);

private:
    /* blkif.h, DEFINE_RING_TYPES: the number of entries is the largest power of two that fits. */
    static constexpr uint32_t kEntries = 32;
    static_assert(offsetof(blkif_sring, ring) + kEntries * sizeof(blkif_sring_entry) <= kPageSize);

    struct Request {
        bool in_flight;
        uint8_t operation;
        uint32_t nr_grants;
        grant_ref_t grant[kMaxPieces];
    };

    void find_backend(const char *vbd);
    void allocate();
    void negotiate();
    void learn();
    void set_state(XenbusState state);
    void expect(XenbusState wanted);

    void stage(uint32_t slot, uint64_t sector, const Piece *pieces, uint32_t nr_pieces);
    void publish();
    void take_responses();
    void answered(const blkif_response &response);

    char frontend_[64]{};
    StoreText backend_{};
    domid_t backend_domain_{0};
    blkif_vdev_t handle_{0};

    blkif_sring *ring_{nullptr};
    grant_ref_t ring_grant_{0};
    evtchn_port_t port_{0};
    uint32_t req_prod_{0}, rsp_cons_{0};
    Request request_[kEntries]{};

    uint64_t sectors_{0};
    uint32_t sector_size_{0};
    bool can_flush_{false};
};
