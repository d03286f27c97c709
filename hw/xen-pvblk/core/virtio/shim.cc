/* SPDX-License-Identifier: MIT */
/*
 * Layer `shim`: virtio-blk requests to BlockFront requests, and the
 * negotiated plan to virtio features and configuration (VIRTIO-v1.2 5.2).
 */
#include "virtio/shim.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace pvblk
{

namespace
{

constexpr uint32_t kTypeBarrier = 0x80000000u; /* legacy flag, ignored as QEMU does */

uint64_t side_size(const ElementSide &side)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < side.count; i++)
        n += side.iov[i].iov_len;
    return n;
}

/* Copy `len` bytes at `skip` out of a side; the caller checked its size. */
void copy_from(const ElementSide &side, uint64_t skip, void *dst, size_t len)
{
    auto *out = static_cast<uint8_t *>(dst);
    for (uint32_t i = 0; i < side.count && len; i++) {
        uint64_t have = side.iov[i].iov_len;
        if (skip >= have) {
            skip -= have;
            continue;
        }
        size_t n = std::min<uint64_t>(have - skip, len);
        std::memcpy(out, static_cast<uint8_t *>(side.iov[i].iov_base) + skip, n);
        out += n;
        len -= n;
        skip = 0;
    }
}

void copy_to(const ElementSide &side, const void *src, size_t len)
{
    auto *in = static_cast<const uint8_t *>(src);
    for (uint32_t i = 0; i < side.count && len; i++) {
        size_t n = std::min<size_t>(side.iov[i].iov_len, len);
        std::memcpy(side.iov[i].iov_base, in, n);
        in += n;
        len -= n;
    }
}

/* The last byte that the driver can read: VIRTIO-v1.2 5.2.6, status. */
uint8_t *last_byte(const ElementSide &side)
{
    for (uint32_t i = side.count; i-- > 0;)
        if (side.iov[i].iov_len)
            return static_cast<uint8_t *>(side.iov[i].iov_base) + side.iov[i].iov_len - 1;
    return nullptr;
}

template <class T>
T little(const uint8_t *p)
{
    T v = 0;
    for (size_t i = sizeof(T); i-- > 0;)
        v = static_cast<T>(v << 8 | p[i]);
    return v;
}

template <class T>
void put_little(std::span<uint8_t, kVirtioBlkConfigSize> out, size_t at, T v)
{
    for (size_t i = 0; i < sizeof(T); i++)
        out[at + i] = static_cast<uint8_t>(v >> (8 * i));
}

uint32_t clamp32(uint64_t v)
{
    return static_cast<uint32_t>(std::min<uint64_t>(v, UINT32_MAX));
}

} // namespace

VirtioBlkShim::VirtioBlkShim(ShimOwner &owner, ShimConfig config)
    : owner_(owner), config_(std::move(config))
{
}

void VirtioBlkShim::attach(BlockFront &front, uint32_t max_requests)
{
    front_ = &front;
    tickets_.resize(max_requests);
    free_tickets_.reserve(max_requests);
    for (uint32_t i = max_requests; i-- > 0;)
        free_tickets_.push_back(i);

    using F = VirtioBlkFeature;
    const Plan &plan = front.plan();
    features_ = feature_bit(F::SizeMax) | feature_bit(F::SegMax) | feature_bit(F::Geometry) |
                feature_bit(F::BlkSize) | feature_bit(F::Topology);
    if (plan.read_only)
        features_ |= feature_bit(F::Ro);
    if (plan.can_flush())
        features_ |= feature_bit(F::Flush);
    if (plan.can_flush() && config_.config_wce)
        features_ |= feature_bit(F::ConfigWce);
    if (plan.discard)
        features_ |= feature_bit(F::Discard);
    if (config_.num_queues > 1)
        features_ |= feature_bit(F::Mq);
}

uint64_t VirtioBlkShim::features() const
{
    return features_;
}

void VirtioBlkShim::read_config(std::span<uint8_t, kVirtioBlkConfigSize> out) const
{
    const Plan &plan = front_->plan();
    constexpr uint32_t heads = 16, secs = 63; /* the usual guess for LBA disks */
    uint32_t phys = plan.physical_sector_size / plan.sector_size;

    std::fill(out.begin(), out.end(), uint8_t{0});
    put_little<uint64_t>(out, 0, plan.sectors);
    put_little<uint32_t>(out, 8, kSizeMax);
    put_little<uint32_t>(out, 12, config_.queue_size - 2); /* header and status take two */
    put_little<uint16_t>(
        out, 16,
        static_cast<uint16_t>(std::min<uint64_t>(plan.sectors / (heads * secs), UINT16_MAX)));
    out[18] = heads;
    out[19] = secs;
    put_little<uint32_t>(out, 20, plan.sector_size);
    out[24] = static_cast<uint8_t>(std::countr_zero(phys)); /* physical_block_exp */
    put_little<uint16_t>(out, 26, static_cast<uint16_t>(std::min<uint32_t>(phys, UINT16_MAX)));
    /* The mode of writes, whatever the backend of now can do: see driver_ok(). */
    out[kVirtioBlkWceOffset] =
        (features_ & feature_bit(VirtioBlkFeature::Flush)) && writeback_config_;
    put_little<uint16_t>(out, 34, static_cast<uint16_t>(config_.num_queues));
    if (features_ & feature_bit(VirtioBlkFeature::Discard)) {
        uint32_t align = std::max(plan.discard_granularity, kSectorSize);
        put_little<uint32_t>(out, 36, kMaxDiscardSectors);
        put_little<uint32_t>(out, 40, 1); /* segments per request */
        put_little<uint32_t>(out, 44, align / kSectorSize);
    }
}

void VirtioBlkShim::write_wce(bool writeback)
{
    if (!(features_ & feature_bit(VirtioBlkFeature::ConfigWce)))
        return;
    writeback_config_ = writeback;
    writethrough_ = !writeback;
}

void VirtioBlkShim::driver_ok(uint64_t features)
{
    uint64_t can_flush =
        feature_bit(VirtioBlkFeature::Flush) | feature_bit(VirtioBlkFeature::ConfigWce);
    writethrough_ = !(features & can_flush) || !writeback_config_;
}

void VirtioBlkShim::reset()
{
    resetting_ = true;
    front_->cancel_all();
    resetting_ = false;
    writeback_config_ = true;
    writethrough_ = false;
    if (front_->state() == FrontState::Broken)
        front_->reconnect();
}

void VirtioBlkShim::pump()
{
    front_->pump();
    batch_done(); /* for elements that take() answered itself */
}

/* The status byte is the last one of the in side, so all of it counts as
 * written, however the request ended. */
void VirtioBlkShim::answer(const Element &element, uint8_t *status, VirtioBlkStatus value)
{
    if (value != VirtioBlkStatus::Ok)
        counters_.errors++;
    *status = static_cast<uint8_t>(value);
    made_room_ = true;
    owner_.give_back(element.cookie, element.queue, clamp32(side_size(element.in)));
}

bool VirtioBlkShim::take(const Element &element)
{
    if (!has_room())
        return false;
    counters_.requests++;
    uint64_t out_size = side_size(element.out);
    uint8_t *status = last_byte(element.in);
    if (!status || out_size < kVirtioBlkHeader) {
        /* No status byte: no place for an error. Short header: an error. */
        counters_.malformed++;
        owner_.trace(TraceViolation{status ? "a virtio request has a short header"
                                           : "a virtio request has no status byte",
                                    out_size});
        if (status) {
            answer(element, status, VirtioBlkStatus::IoErr);
        } else {
            counters_.errors++;
            made_room_ = true;
            owner_.give_back(element.cookie, element.queue, 0);
        }
        return true;
    }
    uint8_t raw[kVirtioBlkHeader];
    copy_from(element.out, 0, raw, sizeof raw);
    Header header{little<uint32_t>(raw) & ~kTypeBarrier, little<uint64_t>(raw + 8)};

    switch (static_cast<VirtioBlkType>(header.type)) {
    case VirtioBlkType::In: return read_write(element, header, status, false);
    case VirtioBlkType::Out: return read_write(element, header, status, true);
    case VirtioBlkType::Flush: {
        IoRequest req;
        req.kind = IoKind::Flush;
        return offer(element, req, status);
    }
    case VirtioBlkType::GetId: get_id(element, status); return true;
    case VirtioBlkType::Discard: return discard(element, status);
    }
    answer(element, status, VirtioBlkStatus::Unsupp);
    return true;
}

bool VirtioBlkShim::read_write(const Element &element, const Header &header, uint8_t *status,
                               bool is_write)
{
    uint64_t out_data = side_size(element.out) - kVirtioBlkHeader;
    uint64_t in_data = side_size(element.in) - 1;
    uint64_t bytes = is_write ? out_data : in_data;
    /* Data in the other direction than the type says. */
    bool wrong_way = is_write ? in_data != 0 : out_data != 0;
    if (wrong_way || bytes % kSectorSize) {
        counters_.malformed++;
        answer(element, status, VirtioBlkStatus::IoErr);
        return true;
    }
    IoRequest req;
    req.kind = is_write ? IoKind::Write : IoKind::Read;
    req.sector = Sector(header.sector);
    req.sectors = bytes >> kSectorShift;
    const ElementSide &side = is_write ? element.out : element.in;
    req.buffer = {side.gpa, side.iov, side.count, is_write ? kVirtioBlkHeader : 0ull};
    req.flush_after = is_write && writethrough_;
    if (req.sectors == 0) {
        bool ok =
            header.sector <= front_->plan().sectors && !(is_write && front_->plan().read_only);
        answer(element, status, ok ? VirtioBlkStatus::Ok : VirtioBlkStatus::IoErr);
        return true;
    }
    return offer(element, req, status);
}

/* VIRTIO-v1.2 5.2.6: struct virtio_blk_discard_write_zeroes. */
bool VirtioBlkShim::discard(const Element &element, uint8_t *status)
{
    constexpr uint32_t segment = 16;
    if (side_size(element.out) != kVirtioBlkHeader + segment) {
        /* max_discard_seg is 1; anything shorter is no segment at all. */
        counters_.malformed++;
        bool more = side_size(element.out) > kVirtioBlkHeader + segment;
        answer(element, status, more ? VirtioBlkStatus::Unsupp : VirtioBlkStatus::IoErr);
        return true;
    }
    uint8_t raw[segment];
    copy_from(element.out, kVirtioBlkHeader, raw, sizeof raw);
    uint64_t sector = little<uint64_t>(raw);
    uint32_t sectors = little<uint32_t>(raw + 8), flags = little<uint32_t>(raw + 12);
    /* "unmap" belongs to write zeroes; VIRTIO-v1.2 5.2.6.2: UNSUPP. */
    if (flags || !(features_ & feature_bit(VirtioBlkFeature::Discard))) {
        answer(element, status, VirtioBlkStatus::Unsupp);
        return true;
    }
    if (sectors > kMaxDiscardSectors) {
        answer(element, status, VirtioBlkStatus::IoErr);
        return true;
    }
    if (sectors == 0) {
        answer(element, status, VirtioBlkStatus::Ok);
        return true;
    }
    IoRequest req;
    req.kind = IoKind::Discard;
    req.sector = Sector(sector);
    req.sectors = sectors;
    return offer(element, req, status);
}

void VirtioBlkShim::get_id(const Element &element, uint8_t *status)
{
    uint64_t room = side_size(element.in) - 1;
    if (room < kVirtioBlkIdBytes) {
        counters_.malformed++;
        answer(element, status, VirtioBlkStatus::IoErr);
        return;
    }
    char id[kVirtioBlkIdBytes] = {}; /* no terminator if it fills all of it */
    std::memcpy(id, config_.serial.data(), std::min(config_.serial.size(), sizeof id));
    copy_to(element.in, id, sizeof id);
    answer(element, status, VirtioBlkStatus::Ok);
}

bool VirtioBlkShim::offer(const Element &element, IoRequest req, uint8_t *status)
{
    uint32_t index = free_tickets_.back(); /* as many tickets as the front has room */
    req.cookie = &tickets_[index];
    req.queue = element.queue;
    req.direct = element.direct;
    Intake intake = front_->submit(req);
    switch (intake.verdict) {
    case Verdict::Accepted:
        free_tickets_.pop_back();
        tickets_[index] = {element.cookie, status, clamp32(side_size(element.in))};
        return true;
    case Verdict::Retry: counters_.requests--; return false;
    case Verdict::Rejected: break;
    }
    answer(element, status,
           intake.why == IoStatus::Unsupported ? VirtioBlkStatus::Unsupp : VirtioBlkStatus::IoErr);
    return true;
}

void VirtioBlkShim::completed(void *cookie, uint32_t queue, IoStatus status)
{
    Ticket *ticket = static_cast<Ticket *>(cookie);
    Ticket t = *ticket;
    free_tickets_.push_back(static_cast<uint32_t>(ticket - tickets_.data()));
    if (status == IoStatus::Cancelled || resetting_) {
        /* Other queues may wait for this room, unless they are reset as well. */
        made_room_ |= !resetting_;
        owner_.forget(t.cookie, queue);
        return;
    }
    /* The one place that turns an I/O's status into virtio's. */
    VirtioBlkStatus value = VirtioBlkStatus::IoErr;
    if (status == IoStatus::Ok)
        value = VirtioBlkStatus::Ok;
    else if (status == IoStatus::Unsupported)
        value = VirtioBlkStatus::Unsupp;
    if (value != VirtioBlkStatus::Ok)
        counters_.errors++;
    *t.status = static_cast<uint8_t>(value);
    made_room_ = true;
    owner_.give_back(t.cookie, queue, t.written);
}

void VirtioBlkShim::batch_done()
{
    if (!made_room_)
        return;
    made_room_ = false;
    owner_.batch_done();
}

} // namespace pvblk
