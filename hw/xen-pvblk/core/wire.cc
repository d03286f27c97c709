/* SPDX-License-Identifier: MIT */
/*
 * Layer `wire`: encoding of requests and responses, and the seam through
 * which every access to shared memory goes. Serves blkif.h (struct
 * blkif_request, blkif_request_discard, blkif_response) and ring.h (sring).
 */
#include "pvblk/wire.h"

#include <cstring>

namespace pvblk {

namespace {

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
    uint32_t n = req.nr_segments;
    if (n > kMaxDirectSegments)
        n = kMaxDirectSegments;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t off = l.req_seg + i * kSegmentSize;
        put<uint32_t>(buf, off, req.seg[i].gref.value);
        put<uint8_t>(buf, off + 4, req.seg[i].first_sect);
        put<uint8_t>(buf, off + 5, req.seg[i].last_sect);
        put<uint16_t>(buf, off + 6, 0);
    }
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
    for (uint32_t i = 0; i < kMaxDirectSegments && i < req.nr_segments; i++) {
        uint32_t off = l.req_seg + i * kSegmentSize;
        req.seg[i].gref = GrantRef(get<uint32_t>(buf, off));
        req.seg[i].first_sect = get<uint8_t>(buf, off + 4);
        req.seg[i].last_sect = get<uint8_t>(buf, off + 5);
    }
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

/*
 * Word by word, with relaxed atomics: each word is loaded exactly once, and
 * the compiler may not go back to shared memory for it. Offsets and lengths
 * are multiples of 4 (entry sizes are 108 and 112), so that a word never
 * crosses the end of a page even where an entry does.
 */
void SharedRing::copy_out(uint32_t offset, void *dst, uint32_t len) const
{
    auto *out = static_cast<uint8_t *>(dst);
    for (uint32_t i = 0; i < len; i += 4) {
        uint32_t at = offset + i;
        auto *p = reinterpret_cast<uint32_t *>(pages_[at / kPageSize] + at % kPageSize);
        uint32_t w = __atomic_load_n(p, __ATOMIC_RELAXED);
        std::memcpy(out + i, &w, 4);
    }
}

void SharedRing::copy_in(uint32_t offset, const void *src, uint32_t len)
{
    auto *in = static_cast<const uint8_t *>(src);
    for (uint32_t i = 0; i < len; i += 4) {
        uint32_t at = offset + i;
        auto *p = reinterpret_cast<uint32_t *>(pages_[at / kPageSize] + at % kPageSize);
        uint32_t w;
        std::memcpy(&w, in + i, 4);
        __atomic_store_n(p, w, __ATOMIC_RELAXED);
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
    copy_out(slot_offset(i), buf, wire_layout(abi_).rsp_size);
    return decode_response(abi_, buf);
}

} // namespace pvblk
