/* SPDX-License-Identifier: MIT */
/*
 * Layer `wire`: encoding of requests and responses, and the seam through
 * which every access to shared memory goes. Serves blkif.h (struct
 * blkif_request, blkif_request_discard, blkif_response) and ring.h (sring).
 */
#include "proto/wire.h"

#include <algorithm>
#include <cstring>

namespace pvblk
{

namespace
{

template <class T>
T get(const uint8_t *buf, uint32_t off)
{
    T v;
    std::memcpy(&v, buf + off, sizeof v);
    return v;
}

template <class T>
void put(uint8_t *buf, uint32_t off, T v)
{
    std::memcpy(buf + off, &v, sizeof v);
}

constexpr uint32_t kMaxEntry = 112;

void put_segment(uint8_t *buf, const WireSegment &segment)
{
    put<uint32_t>(buf, 0, segment.gref.value);
    put<uint8_t>(buf, 4, segment.first_sect);
    put<uint8_t>(buf, 5, segment.last_sect);
    put<uint16_t>(buf, 6, 0);
}

WireSegment get_segment(const uint8_t *buf)
{
    return {GrantRef(get<uint32_t>(buf, 0)), get<uint8_t>(buf, 4), get<uint8_t>(buf, 5)};
}

/*
 * Word by word, with relaxed atomics: each word is loaded exactly once, and
 * the compiler may not go back to shared memory for it. `len` and the address
 * are multiples of 4.
 */
void load_words(const std::byte *from, void *to, uint32_t len)
{
    auto *words = reinterpret_cast<const uint32_t *>(from);
    for (uint32_t i = 0; i < len / 4; i++) {
        uint32_t w = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
        std::memcpy(static_cast<uint8_t *>(to) + i * 4, &w, 4);
    }
}

void store_words(std::byte *to, const void *from, uint32_t len)
{
    auto *words = reinterpret_cast<uint32_t *>(to);
    for (uint32_t i = 0; i < len / 4; i++) {
        uint32_t w;
        std::memcpy(&w, static_cast<const uint8_t *>(from) + i * 4, 4);
        __atomic_store_n(&words[i], w, __ATOMIC_RELAXED);
    }
}

} // namespace

const char *abi_name(Abi abi)
{
    return abi == Abi::X86_32 ? "x86_32-abi" : "x86_64-abi";
}

uint32_t encode_request(Abi abi, const WireRequest &req, uint8_t *buf)
{
    const WireLayout &l = wire_layout(abi);
    put<uint8_t>(buf, 0, static_cast<uint8_t>(req.op));
    put<uint8_t>(buf, 1, req.nr_segments);
    put<uint16_t>(buf, 2, req.handle);
    if (l.req_id > 4)
        put<uint32_t>(buf, 4, 0); /* padding leaks nothing (XSA-216) */
    put<uint64_t>(buf, l.req_id, req.id.value);
    put<uint64_t>(buf, l.req_sector, req.sector);
    if (req.op == Op::Discard) {
        put<uint64_t>(buf, l.discard_nr_sectors, req.nr_sectors);
        return l.discard_nr_sectors + 8;
    }
    if (req.op == Op::Indirect) {
        put<uint8_t>(buf, 1, static_cast<uint8_t>(req.indirect_op));
        put<uint16_t>(buf, 2, req.nr_indirect_segments);
        put<uint16_t>(buf, l.indirect_handle, req.handle);
        put<uint16_t>(buf, l.indirect_handle + 2, 0);
        for (uint32_t i = 0; i < kMaxIndirectPages; i++)
            put<uint32_t>(buf, l.indirect_gref + i * 4, req.indirect[i].value);
        return l.indirect_gref + kMaxIndirectPages * 4;
    }
    uint32_t n = std::min<uint32_t>(req.nr_segments, kMaxDirectSegments);
    for (uint32_t i = 0; i < n; i++)
        put_segment(buf + l.req_seg + i * kSegmentSize, req.seg[i]);
    return l.req_seg + n * kSegmentSize;
}

WireRequest decode_request(Abi abi, const uint8_t *buf)
{
    const WireLayout &l = wire_layout(abi);
    WireRequest req;
    req.op = static_cast<Op>(get<uint8_t>(buf, 0));
    req.nr_segments = get<uint8_t>(buf, 1);
    req.handle = get<uint16_t>(buf, 2);
    req.id = RequestId(get<uint64_t>(buf, l.req_id));
    req.sector = get<uint64_t>(buf, l.req_sector);
    if (req.op == Op::Discard) {
        req.nr_sectors = get<uint64_t>(buf, l.discard_nr_sectors);
        return req;
    }
    if (req.op == Op::Indirect) {
        req.indirect_op = static_cast<Op>(req.nr_segments);
        req.nr_indirect_segments = req.handle;
        req.nr_segments = 0;
        req.handle = get<uint16_t>(buf, l.indirect_handle);
        for (uint32_t i = 0; i < kMaxIndirectPages; i++)
            req.indirect[i] = GrantRef(get<uint32_t>(buf, l.indirect_gref + i * 4));
        return req;
    }
    for (uint32_t i = 0; i < kMaxDirectSegments && i < req.nr_segments; i++)
        req.seg[i] = get_segment(buf + l.req_seg + i * kSegmentSize);
    return req;
}

void encode_response(Abi abi, const WireResponse &rsp, uint8_t *buf)
{
    const WireLayout &l = wire_layout(abi);
    std::memset(buf, 0, l.rsp_size); /* padding leaks nothing (XSA-216) */
    put<uint64_t>(buf, l.rsp_id, rsp.id.value);
    put<uint8_t>(buf, l.rsp_op, static_cast<uint8_t>(rsp.op));
    put<int16_t>(buf, l.rsp_status, rsp.status);
}

WireResponse decode_response(Abi abi, const uint8_t *buf)
{
    const WireLayout &l = wire_layout(abi);
    WireResponse rsp;
    rsp.id = RequestId(get<uint64_t>(buf, l.rsp_id));
    rsp.op = static_cast<Op>(get<uint8_t>(buf, l.rsp_op));
    rsp.status = get<int16_t>(buf, l.rsp_status);
    return rsp;
}

SharedRing::SharedRing(Abi abi, const std::array<std::byte *, kMaxRingPages> &pages,
                       uint32_t nr_pages)
    : pages_(pages), entries_(ring_entries(abi, nr_pages)), abi_(abi)
{
}

void SharedRing::init()
{
    store(SringField::ReqProd, RingIndex(0));
    store(SringField::RspProd, RingIndex(0));
    store(SringField::ReqEvent, RingIndex(1));
    store(SringField::RspEvent, RingIndex(1));
}

RingIndex SharedRing::load(SringField f) const
{
    auto *p = reinterpret_cast<uint32_t *>(pages_[0] + static_cast<uint32_t>(f));
    return RingIndex(__atomic_load_n(p, __ATOMIC_RELAXED));
}

void SharedRing::store(SringField f, RingIndex i)
{
    auto *p = reinterpret_cast<uint32_t *>(pages_[0] + static_cast<uint32_t>(f));
    __atomic_store_n(p, i.value, __ATOMIC_RELAXED);
}

uint32_t SharedRing::slot_offset(RingIndex i) const
{
    return kSringHeader + (i.value & (entries_ - 1)) * wire_layout(abi_).entry_size;
}

/* Offsets and lengths are multiples of 4 (entry sizes are 108 and 112), so
 * that a word never crosses the end of a page even where an entry does. */
void SharedRing::copy_out(uint32_t offset, void *dst, uint32_t len) const
{
    auto *out = static_cast<uint8_t *>(dst);
    while (len) {
        uint32_t n = std::min(len, kPageSize - offset % kPageSize);
        load_words(pages_[offset / kPageSize] + offset % kPageSize, out, n);
        offset += n, out += n, len -= n;
    }
}

void SharedRing::copy_in(uint32_t offset, const void *src, uint32_t len)
{
    auto *in = static_cast<const uint8_t *>(src);
    while (len) {
        uint32_t n = std::min(len, kPageSize - offset % kPageSize);
        store_words(pages_[offset / kPageSize] + offset % kPageSize, in, n);
        offset += n, in += n, len -= n;
    }
}

void put_segments(std::byte *page, std::span<const WireSegment> segments)
{
    for (size_t i = 0; i < segments.size(); i++) {
        uint8_t buf[kSegmentSize];
        put_segment(buf, segments[i]);
        store_words(page + i * kSegmentSize, buf, kSegmentSize);
    }
}

void get_segments(const std::byte *page, std::span<WireSegment> segments)
{
    for (size_t i = 0; i < segments.size(); i++) {
        uint8_t buf[kSegmentSize];
        load_words(page + i * kSegmentSize, buf, kSegmentSize);
        segments[i] = get_segment(buf);
    }
}

void SharedRing::put_request(RingIndex i, const WireRequest &req)
{
    uint8_t buf[kMaxEntry];
    uint32_t len = encode_request(abi_, req, buf);
    copy_in(slot_offset(i), buf, len);
}

WireRequest SharedRing::get_request(RingIndex i) const
{
    uint8_t buf[kMaxEntry];
    observe_slot(pages_[0], i, SlotHolds::Request);
    copy_out(slot_offset(i), buf, wire_layout(abi_).entry_size);
    return decode_request(abi_, buf);
}

void SharedRing::put_response(RingIndex i, const WireResponse &rsp)
{
    uint8_t buf[kMaxEntry];
    encode_response(abi_, rsp, buf);
    copy_in(slot_offset(i), buf, wire_layout(abi_).rsp_size);
}

WireResponse SharedRing::get_response(RingIndex i) const
{
    uint8_t buf[kMaxEntry];
    observe_slot(pages_[0], i, SlotHolds::Response);
    copy_out(slot_offset(i), buf, wire_layout(abi_).rsp_size);
    return decode_response(abi_, buf);
}

} // namespace pvblk
