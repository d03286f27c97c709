/* SPDX-License-Identifier: MIT */
/*
 * Layer `shim`: serves a virtio-blk device's requests and configuration space by
 * a BlockFront. It knows neither QEMU's types nor Xen's.
 *
 * Clauses: virtio 1.2, 5.2 "Block Device" (VIRTIO-v1.2 5.2.3 features, 5.2.4
 * configuration layout, 5.2.6 device operation).
 *
 * The guest is hostile: the request header is copied once, then checked, then
 * used. Every malformed request is given back with an error status, or with
 * nothing written if it has no status byte, and the device goes on.
 *
 * Threads: the front's.
 */
#pragma once

#include "pvblk/front.h"

#include <span>
#include <string>
#include <vector>

namespace pvblk
{

/* VIRTIO-v1.2 5.2.6: virtio_blk_req.type. */
enum class VirtioBlkType : uint32_t {
    In = 0,
    Out = 1,
    Flush = 4,
    GetId = 8,
    Discard = 11,
};

/* VIRTIO-v1.2 5.2.6: virtio_blk_req.status. */
enum class VirtioBlkStatus : uint8_t { Ok = 0, IoErr = 1, Unsupp = 2 };

/* VIRTIO-v1.2 5.2.3: feature bits of a block device. */
enum class VirtioBlkFeature : uint32_t {
    SizeMax = 1,
    SegMax = 2,
    Geometry = 4,
    Ro = 5,
    BlkSize = 6,
    Flush = 9,
    Topology = 10,
    ConfigWce = 11,
    Mq = 12,
    Discard = 13,
};
constexpr uint64_t feature_bit(VirtioBlkFeature f)
{
    return 1ull << static_cast<uint32_t>(f);
}

inline constexpr uint32_t kVirtioBlkConfigSize = 60; /* up to secure erase */
inline constexpr uint32_t kVirtioBlkWceOffset = 32;
inline constexpr uint32_t kVirtioBlkIdBytes = 20;
inline constexpr uint32_t kVirtioBlkHeader = 16;

/* The SIZE_MAX that we tell drivers; larger descriptors work, too. The limit
 * keeps SIZE_MAX * SEG_MAX within the integers of drivers. */
inline constexpr uint32_t kSizeMax = 1u << 20;
/* One discard: 1 GiB. QEMU's backend submits 2 GiB pieces one by one. */
inline constexpr uint32_t kMaxDiscardSectors = 1u << 21;

/* One side of a virtqueue element: descriptors in order. Borrowed until the
 * element is given back. */
struct ElementSide {
    const uint64_t *gpa{nullptr}; /* guest-physical address of each */
    const struct iovec *iov{nullptr};
    uint32_t count{0};
};

struct Element {
    ElementSide out{}; /* the driver wrote these */
    ElementSide in{};  /* the driver reads these */
    void *cookie{nullptr};
    uint32_t queue{0};
    bool direct{true}; /* see IoRequest::direct */
};

class ShimOwner
{
public:
    /* Put the element on the used ring; `written` bytes of its in side are
     * valid. */
    virtual void give_back(void *cookie, uint32_t queue, uint32_t written) = 0;
    /* A reset cancelled the element: detach it, tell nobody. */
    virtual void forget(void *cookie, uint32_t queue) = 0;
    /* After the last give_back() of a batch: notify the guest. Also after a reset
     * of one queue. There may be room for what take() refused. */
    virtual void batch_done() = 0;
    virtual void config_changed() = 0;
    virtual void log(const char *text) = 0;
    virtual void trace(const Trace &trace) = 0;

protected:
    ~ShimOwner() = default;
};

struct ShimConfig {
    std::string serial;
    uint32_t num_queues{1};
    uint32_t queue_size{256};
    bool config_wce{true};
};

struct ShimCounters {
    uint64_t requests{0};  /* taken from the virtqueues */
    uint64_t malformed{0}; /* no header, no status byte, wrong direction … */
    uint64_t errors{0};    /* given back with any status but OK */
};

class VirtioBlkShim final : public FrontOwner
{
public:
    VirtioBlkShim(ShimOwner &owner, ShimConfig config);
    /* Make the front with this shim as its owner, then attach it once. The front
     * is not owned. */
    void attach(BlockFront &front, uint32_t max_requests);

    /* Features of this device, without the transport's. Constant while the
     * device exists. */
    uint64_t features() const;
    void read_config(std::span<uint8_t, kVirtioBlkConfigSize> out) const;
    /* CONFIG_WCE: the one writable field. */
    void write_wce(bool writeback);
    /* DRIVER_OK: the features that the driver accepted. A driver that cannot
     * flush gets write-through (VIRTIO-v1.2 5.2.6.2). */
    void driver_ok(uint64_t features);
    /* Device reset: every element in flight goes back through forget(). */
    void reset();

    /* Reset of one queue: its elements go back through forget(). */
    void reset_queue(uint32_t queue) { front_->cancel_queue(queue); }

    bool has_room() const { return front_->has_room(); }
    /* Take one element; false: no room, the element stays the caller's. */
    bool take(const Element &element);
    /* After a batch of take(). */
    void pump();

    const ShimCounters &counters() const { return counters_; }

    void completed(void *cookie, uint32_t queue, IoStatus status) override;
    void batch_done() override;
    void plan_changed() override { owner_.config_changed(); }
    void log(const char *text) override { owner_.log(text); }
    void trace(const Trace &trace) override { owner_.trace(trace); }

private:
    /* The data of an element to remember while the front has it. */
    struct Ticket {
        void *cookie{nullptr};
        uint8_t *status{nullptr};
        uint32_t written{0};
    };
    struct Header {
        uint32_t type;
        uint64_t sector;
    };

    bool read_write(const Element &element, const Header &header, uint8_t *status, bool is_write);
    bool discard(const Element &element, uint8_t *status);
    void get_id(const Element &element, uint8_t *status);
    bool offer(const Element &element, IoRequest req, uint8_t *status);
    void answer(const Element &element, uint8_t *status, VirtioBlkStatus value);

    ShimOwner &owner_;
    ShimConfig config_;
    BlockFront *front_{nullptr};
    uint64_t features_{0};
    bool writethrough_{false};
    bool writeback_config_{true};
    bool resetting_{false};
    bool made_room_{false}; /* since the last batch_done() */
    ShimCounters counters_{};
    std::vector<Ticket> tickets_;
    std::vector<uint32_t> free_tickets_;
};

} // namespace pvblk
