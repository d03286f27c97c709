/* SPDX-License-Identifier: MIT */
/*
 * Layer `shim`: what a virtio-blk driver, well-behaved or not, gets back
 * (VIRTIO-v1.2 5.2). Bits, types and the layout of the configuration are
 * checked against Linux's copy of the specification's header by the compiler.
 */
#include "support/rig.h"
#include "virtio/shim.h"

#include <cstddef>
#include <linux/virtio_blk.h>

namespace pvblk
{
namespace
{

static_assert(static_cast<int>(VirtioBlkFeature::SizeMax) == VIRTIO_BLK_F_SIZE_MAX);
static_assert(static_cast<int>(VirtioBlkFeature::SegMax) == VIRTIO_BLK_F_SEG_MAX);
static_assert(static_cast<int>(VirtioBlkFeature::Geometry) == VIRTIO_BLK_F_GEOMETRY);
static_assert(static_cast<int>(VirtioBlkFeature::Ro) == VIRTIO_BLK_F_RO);
static_assert(static_cast<int>(VirtioBlkFeature::BlkSize) == VIRTIO_BLK_F_BLK_SIZE);
static_assert(static_cast<int>(VirtioBlkFeature::Flush) == VIRTIO_BLK_F_FLUSH);
static_assert(static_cast<int>(VirtioBlkFeature::Topology) == VIRTIO_BLK_F_TOPOLOGY);
static_assert(static_cast<int>(VirtioBlkFeature::ConfigWce) == VIRTIO_BLK_F_CONFIG_WCE);
static_assert(static_cast<int>(VirtioBlkFeature::Mq) == VIRTIO_BLK_F_MQ);
static_assert(static_cast<int>(VirtioBlkFeature::Discard) == VIRTIO_BLK_F_DISCARD);
static_assert(static_cast<int>(VirtioBlkType::GetId) == VIRTIO_BLK_T_GET_ID);
static_assert(static_cast<int>(VirtioBlkType::Discard) == VIRTIO_BLK_T_DISCARD);
static_assert(kVirtioBlkIdBytes == VIRTIO_BLK_ID_BYTES);
static_assert(sizeof(struct virtio_blk_outhdr) == kVirtioBlkHeader);
static_assert(offsetof(struct virtio_blk_config, wce) == kVirtioBlkWceOffset);
static_assert(sizeof(struct virtio_blk_config) >= kVirtioBlkConfigSize);

constexpr uint8_t kUntouched = 0xff;
constexpr uint64_t kHeaderAt = 0, kDataAt = 8192, kStatusAt = 4096;

/* The device's side of the virtqueues, and a driver on top. */
class ShimRig final : public ShimOwner
{
public:
    explicit ShimRig(RigSetup setup = {}, ShimConfig config = {})
        : rig(std::move(setup)), shim(*this, std::move(config))
    {
        (void)rig.back->start();
        auto made = BlockFront::create(rig.hub.front_ports(), shim, rig.setup.front);
        if (!made) {
            ADD_FAILURE() << made.error().what;
            return;
        }
        front = std::move(made.value());
        rig.hub.attach(front.get());
        shim.attach(*front, rig.setup.front.max_requests);
        front->start();
        rig.hub.run();
    }
    ~ShimRig()
    {
        shim.reset();
        front->stop();
        rig.hub.run();
        rig.hub.detach_front();
        front.reset();
    }

    void give_back(void *cookie, uint32_t, uint32_t written) override
    {
        returned.push_back(cookie);
        used_bytes = written;
    }
    void forget(void *cookie, uint32_t) override { forgotten.push_back(cookie); }
    void batch_done() override { batches++; }
    void config_changed() override { config_changes++; }
    void log(const char *) override {}
    void trace(const Trace &) override {}

    ElementSide side(std::vector<Part> parts)
    {
        GuestBuffer b = rig.buffer(std::move(parts));
        return {b.gpa, b.iov, b.count};
    }
    void put_header(uint32_t type, uint64_t sector)
    {
        struct virtio_blk_outhdr h = {type, 0, sector};
        std::memcpy(rig.hub.guest.host(kHeaderAt), &h, sizeof h);
        status() = kUntouched;
    }
    uint8_t &status() { return *reinterpret_cast<uint8_t *>(rig.hub.guest.host(kStatusAt)); }

    /* Sends an element and waits for it; its status byte. */
    uint8_t send(std::vector<Part> out, std::vector<Part> in)
    {
        size_t before = returned.size();
        Element e{side(std::move(out)), side(std::move(in)), &returned, 0};
        EXPECT_TRUE(shim.take(e));
        shim.pump();
        rig.hub.run();
        EXPECT_EQ(returned.size(), before + 1) << "given back once, and only once";
        return status();
    }
    /* The backend goes, and another one comes: with a flush, or without one. */
    void replace_back(bool flush)
    {
        rig.back->vanish();
        rig.hub.run();
        rig.setup.back.flush = flush;
        rig.new_back();
        ASSERT_TRUE(rig.back->start());
        rig.hub.run();
    }

    /* The usual three descriptors. */
    uint8_t command(uint32_t type, uint64_t sector, uint64_t out_bytes, uint64_t in_bytes)
    {
        put_header(type, sector);
        std::vector<Part> out{{kHeaderAt, 16}}, in;
        if (out_bytes)
            out.push_back({kDataAt, out_bytes});
        if (in_bytes)
            in.push_back({kDataAt, in_bytes});
        in.push_back({kStatusAt, 1});
        return send(std::move(out), std::move(in));
    }
    uint8_t discard(uint64_t sector, uint32_t sectors, uint32_t flags)
    {
        struct virtio_blk_discard_write_zeroes d = {sector, sectors, flags};
        std::memcpy(rig.hub.guest.host(kDataAt), &d, sizeof d);
        return command(VIRTIO_BLK_T_DISCARD, 0, sizeof d, 0);
    }
    struct virtio_blk_config config()
    {
        struct virtio_blk_config c = {};
        uint8_t raw[kVirtioBlkConfigSize];
        shim.read_config(std::span<uint8_t, kVirtioBlkConfigSize>(raw));
        std::memcpy(&c, raw, sizeof raw);
        return c;
    }
    bool offers(VirtioBlkFeature f) { return shim.features() & feature_bit(f); }

    Rig rig;
    VirtioBlkShim shim;
    std::unique_ptr<BlockFront> front;
    std::vector<void *> returned, forgotten;
    uint32_t used_bytes{0}, batches{0}, config_changes{0};
};

TEST(Shim, ConfigurationIsThePlan)
{
    ShimConfig config;
    config.num_queues = 3;
    ShimRig r({}, config);
    auto c = r.config();
    EXPECT_EQ(c.capacity, r.front->plan().sectors);
    EXPECT_EQ(c.blk_size, 512u);
    EXPECT_EQ(c.seg_max, 254u);
    EXPECT_EQ(c.num_queues, 3u);
    EXPECT_EQ(c.wce, 1);
    EXPECT_EQ(c.max_discard_seg, 1u);
    EXPECT_EQ(c.discard_sector_alignment, r.front->plan().discard_granularity / 512);
    EXPECT_TRUE(r.offers(VirtioBlkFeature::Flush));
    EXPECT_TRUE(r.offers(VirtioBlkFeature::Discard));
    EXPECT_TRUE(r.offers(VirtioBlkFeature::Mq));
    EXPECT_FALSE(r.offers(VirtioBlkFeature::Ro));
}

TEST(Shim, ReadOnlyDiskOffersNoWrites)
{
    RigSetup s;
    s.back.read_only = true;
    ShimRig r(s);
    EXPECT_TRUE(r.offers(VirtioBlkFeature::Ro));
    EXPECT_FALSE(r.offers(VirtioBlkFeature::Discard));
    EXPECT_EQ(r.command(VIRTIO_BLK_T_IN, 0, 0, 512), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(r.front->counters().ring_writes, 0u);
}

TEST(Shim, DataAndUsedLengthAreRight)
{
    ShimRig r;
    auto *data = r.rig.hub.guest.host(kDataAt);
    std::memset(data, 0x5a, 1024);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_OUT, 7, 1024, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.used_bytes, 1u);
    std::memset(data, 0, 1024);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_IN, 7, 0, 1024), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.used_bytes, 1025u);
    EXPECT_EQ(data[0], std::byte{0x5a});
    EXPECT_EQ(data[1023], std::byte{0x5a});
}

/* VIRTIO-v1.2 2.7.4: the device makes no assumption about framing. */
TEST(Shim, AnyFramingIsTaken)
{
    ShimRig r;
    r.put_header(VIRTIO_BLK_T_OUT, 3);
    std::memset(r.rig.hub.guest.host(kDataAt), 0x77, 512);
    /* The header in three pieces, data in pieces of no whole sector. */
    EXPECT_EQ(r.send({{kHeaderAt, 3},
                      {kHeaderAt + 3, 5},
                      {kHeaderAt + 8, 8},
                      {kDataAt, 100},
                      {kDataAt + 100, 412}},
                     {{kStatusAt, 1}}),
              VIRTIO_BLK_S_OK);
    /* Data and status in one descriptor; an empty one behind it. */
    r.put_header(VIRTIO_BLK_T_IN, 3);
    std::memset(r.rig.hub.guest.host(kDataAt), 0, 512);
    auto *status = reinterpret_cast<uint8_t *>(r.rig.hub.guest.host(kDataAt + 512));
    *status = kUntouched;
    r.send({{kHeaderAt, 16}}, {{kDataAt, 513}, {kStatusAt, 0}});
    EXPECT_EQ(*status, VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.rig.hub.guest.host(kDataAt)[511], std::byte{0x77});
}

struct Malformed {
    const char *what;
    uint32_t type;
    uint64_t sector;
    std::vector<Part> out, in;
};

TEST(Shim, MalformedRequestNeverReachesTheRing)
{
    const Part header{kHeaderAt, 16}, status{kStatusAt, 1};
    const Malformed cases[] = {
        {"short header", VIRTIO_BLK_T_IN, 0, {{kHeaderAt, 15}}, {{kDataAt, 512}, status}},
        {"no header", VIRTIO_BLK_T_IN, 0, {}, {{kDataAt, 512}, status}},
        {"no whole sector", VIRTIO_BLK_T_OUT, 0, {header, {kDataAt, 511}}, {status}},
        {"write with room to read", VIRTIO_BLK_T_OUT, 0, {header}, {{kDataAt, 512}, status}},
        {"read with data", VIRTIO_BLK_T_IN, 0, {header, {kDataAt, 512}}, {status}},
        {"2^55", VIRTIO_BLK_T_OUT, (1ull << 55) + 1, {header, {kDataAt, 512}}, {status}},
        {"2^64", VIRTIO_BLK_T_OUT, ~0ull, {header, {kDataAt, 1024}}, {status}},
        {"nothing, beyond the end", VIRTIO_BLK_T_IN, ~0ull, {header}, {status}},
        {"unknown type", 0x1234, 0, {header}, {status}},
        {"write zeroes", VIRTIO_BLK_T_WRITE_ZEROES, 0, {header, {kDataAt, 16}}, {status}},
        {"discard of half a segment", VIRTIO_BLK_T_DISCARD, 0, {header, {kDataAt, 8}}, {status}},
        {"discard of two", VIRTIO_BLK_T_DISCARD, 0, {header, {kDataAt, 32}}, {status}},
        {"ID with no room", VIRTIO_BLK_T_GET_ID, 0, {header}, {{kDataAt, 19}, status}},
    };
    ShimRig r;
    uint64_t errors = 0;
    for (const Malformed &m : cases) {
        SCOPED_TRACE(m.what);
        r.put_header(m.type, m.sector);
        uint8_t s = r.send(m.out, m.in);
        EXPECT_TRUE(s == VIRTIO_BLK_S_IOERR || s == VIRTIO_BLK_S_UNSUPP) << int{s};
        EXPECT_EQ(r.shim.counters().errors, ++errors);
    }
    EXPECT_EQ(r.front->counters().requests, 0u);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_OK) << "and it goes on";
}

TEST(Shim, RequestWithoutAStatusByteComesBack)
{
    ShimRig r;
    r.put_header(VIRTIO_BLK_T_OUT, 0);
    EXPECT_EQ(r.send({{kHeaderAt, 16}, {kDataAt, 512}}, {}), kUntouched);
    EXPECT_EQ(r.used_bytes, 0u);
    EXPECT_EQ(r.front->counters().requests, 0u);
}

TEST(Shim, SerialHasUpTo20Bytes)
{
    ShimConfig config;
    config.serial = "12345678901234567890";
    ShimRig r({}, config);
    auto *data = r.rig.hub.guest.host(kDataAt);
    std::memset(data, 0x11, 32);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_GET_ID, 0, 0, 20), VIRTIO_BLK_S_OK);
    EXPECT_EQ(std::memcmp(data, "12345678901234567890", 20), 0);
    EXPECT_EQ(data[20], std::byte{0x11});
}

/* The room that a driver gives may come in pieces, and be more than 20 bytes. */
TEST(Shim, SerialRunsOverDescriptors)
{
    ShimConfig config;
    config.serial = "short";
    ShimRig r({}, config);
    auto *data = r.rig.hub.guest.host(kDataAt);
    std::memset(data, 0x11, 64);
    r.put_header(VIRTIO_BLK_T_GET_ID, 0);
    EXPECT_EQ(r.send({{kHeaderAt, 16}}, {{kDataAt, 3}, {kDataAt + 32, 30}, {kStatusAt, 1}}),
              VIRTIO_BLK_S_OK);
    EXPECT_EQ(std::memcmp(data, "sho", 3), 0);
    EXPECT_EQ(data[3], std::byte{0x11});
    EXPECT_EQ(std::memcmp(data + 32, "rt\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 17), 0);
    EXPECT_EQ(data[32 + 17], std::byte{0x11});
}

/* A reconnect to a backend that cannot flush, and need not: the guest keeps the
 * feature, and its flushes have nothing to do. */
TEST(Shim, FlushSucceedsAfterTheCacheIsGone)
{
    ShimRig r;
    ASSERT_TRUE(r.offers(VirtioBlkFeature::Flush));
    ASSERT_NO_FATAL_FAILURE(r.replace_back(false));
    ASSERT_EQ(r.front->state(), FrontState::Connected);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
    r.shim.write_wce(false);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.front->counters().ring_flushes, 0u);
}

/* ... and the other way round: what the guest did not negotiate is not a lie. */
TEST(Shim, FlushOfALaterCacheIsDone)
{
    RigSetup s;
    s.back.flush = false;
    ShimRig r(s);
    ASSERT_NO_FATAL_FAILURE(r.replace_back(true));
    EXPECT_EQ(r.command(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.front->counters().ring_flushes, 1u);
    r.rig.obey("at before-work: features/unsupported");
    EXPECT_EQ(r.command(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_UNSUPP);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_UNSUPP);
}

/* VIRTIO-v1.2 5.2.5.2: a driver that reads 0 does not flush. So 0 is a promise for
 * later writes, which a withdrawn flush does not make, nor the backend of today. */
TEST(Shim, WriteThroughIsNotClaimedForWritesThatAreNotFlushed)
{
    ShimRig r;
    r.rig.obey("at before-work: features/unsupported");
    EXPECT_EQ(r.command(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_UNSUPP);
    r.shim.reset();
    r.shim.driver_ok(r.shim.features());
    EXPECT_EQ(r.config().wce, 1) << "the cache is still there";
    EXPECT_EQ(r.command(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_OK);
    r.shim.write_wce(false);
    EXPECT_EQ(r.config().wce, 0);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_IOERR);
    r.shim.write_wce(true);
    ASSERT_NO_FATAL_FAILURE(r.replace_back(false));
    ASSERT_FALSE(r.front->plan().can_flush());
    EXPECT_EQ(r.config().wce, 1) << "the next backend may have a cache";
}

/* VIRTIO-v1.2 5.2.6.2: where there is no cache, a flush has nothing to do, and
 * there is nothing to switch. */
TEST(Shim, FlushWithoutACacheSucceeds)
{
    RigSetup s;
    s.back.flush = false;
    ShimRig r(s);
    EXPECT_FALSE(r.offers(VirtioBlkFeature::Flush));
    EXPECT_FALSE(r.offers(VirtioBlkFeature::ConfigWce));
    EXPECT_EQ(r.command(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.front->counters().ring_flushes, 0u);
    EXPECT_EQ(r.config().wce, 0);
    r.shim.driver_ok(0);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.front->counters().ring_flushes, 0u);
    r.shim.write_wce(false);
    EXPECT_EQ(r.config().wce, 0);
}

/* ... and a driver that does without the switch does without its consequences. */
TEST(Shim, SwitchThatIsNotOfferedDoesNothing)
{
    ShimConfig config;
    config.config_wce = false;
    ShimRig r({}, config);
    EXPECT_TRUE(r.offers(VirtioBlkFeature::Flush));
    EXPECT_FALSE(r.offers(VirtioBlkFeature::ConfigWce));
    r.shim.driver_ok(r.shim.features());
    r.shim.write_wce(false);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.front->counters().ring_flushes, 0u);
    EXPECT_EQ(r.config().wce, 1);
}

TEST(Shim, WriteCacheStaysOffAfterDriverOk)
{
    ShimRig r;
    r.shim.write_wce(false);
    r.shim.driver_ok(r.shim.features());
    EXPECT_EQ(r.command(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.front->counters().ring_flushes, 1u);
}

TEST(Shim, EmptyWriteToAReadOnlyDiskFails)
{
    RigSetup s;
    s.back.read_only = true;
    ShimRig r(s);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_OUT, 0, 0, 0), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_IN, 0, 0, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.discard(0, 8, 0), VIRTIO_BLK_S_UNSUPP);
    EXPECT_EQ(r.front->counters().ring_discards, 0u);
}

/* A driver's reset is the one way out of Broken that a guest has. */
TEST(Shim, ResetMendsABrokenConnection)
{
    ShimRig r;
    r.rig.obey("at respond: response/unknown-id");
    EXPECT_EQ(r.command(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(r.front->state(), FrontState::Broken);
    r.shim.reset();
    r.rig.hub.run();
    EXPECT_EQ(r.front->state(), FrontState::Connected);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
}

TEST(Shim, DriverThatCannotFlushWritesThrough)
{
    ShimRig r;
    r.shim.driver_ok(r.shim.features());
    EXPECT_EQ(r.command(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.front->counters().ring_flushes, 0u);
    r.shim.driver_ok(0);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.front->counters().ring_flushes, 1u);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_IN, 0, 0, 512), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.front->counters().ring_flushes, 1u);
}

TEST(Shim, WriteCacheCanBeSwitchedOff)
{
    ShimRig r;
    r.shim.driver_ok(r.shim.features());
    r.shim.write_wce(false);
    EXPECT_EQ(r.config().wce, 0);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.front->counters().ring_flushes, 1u);
    r.shim.reset();
    EXPECT_EQ(r.config().wce, 1) << "a reset restores the default";
}

TEST(Shim, DiscardOutOfRangeNeverReachesTheRing)
{
    ShimRig r;
    uint64_t sectors = r.front->plan().sectors;
    EXPECT_EQ(r.discard(0, 8, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.discard(0, 0, 0), VIRTIO_BLK_S_OK);
    EXPECT_EQ(r.discard(sectors - 4, 8, 0), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(r.discard(~0ull, 8, 0), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(r.discard(0, ~0u, 0), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(r.discard(0, 8, 1), VIRTIO_BLK_S_UNSUPP);
    EXPECT_EQ(r.front->counters().ring_discards, 1u);
}

/* A driver sends what the configuration allows, and no more: 1 GiB. */
TEST(Shim, DiscardIsAsLongAsTheConfigurationSays)
{
    constexpr uint32_t kGiB = (1u << 30) / 512;
    ShimRig r;
    EXPECT_EQ(r.config().max_discard_sectors, kGiB);
    r.rig.hub.put_node(r.rig.hub.config.backend_path + "/sectors", std::to_string(8ull * kGiB));
    r.rig.back->write_state_raw("4");
    r.rig.hub.run();
    ASSERT_EQ(r.front->plan().sectors, 8ull * kGiB);
    EXPECT_EQ(r.discard(0, kGiB + 1, 0), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(r.front->counters().ring_discards, 0u);
    r.discard(0, kGiB, 0); /* the backend knows that its disk is smaller */
    EXPECT_EQ(r.front->counters().ring_discards, 1u);
}

/* blkif.h: a feature may be withdrawn; UNSUPP is not success. */
TEST(Shim, UnsupportedIsToldAsSuch)
{
    ShimRig r;
    r.rig.obey("at before-work: features/unsupported");
    EXPECT_EQ(r.command(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_UNSUPP);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_UNSUPP);
    EXPECT_EQ(r.front->counters().ring_flushes, 1u) << "not asked twice";
}

TEST(Shim, ResetForgetsWhatIsInFlight)
{
    ShimRig r;
    r.rig.back->knobs().hold = true;
    r.put_header(VIRTIO_BLK_T_IN, 0);
    Element e{r.side({{kHeaderAt, 16}}), r.side({{kDataAt, 512}, {kStatusAt, 1}}), &r, 0};
    ASSERT_TRUE(r.shim.take(e));
    r.shim.pump();
    r.rig.hub.run();
    r.shim.reset();
    EXPECT_EQ(r.forgotten.size(), 1u);
    EXPECT_TRUE(r.returned.empty());
    r.rig.back->knobs().hold = false;
    r.rig.oracle_matters = false; /* the held read finds its page revoked */
    r.rig.back->complete_all();
    r.rig.hub.run();
    EXPECT_TRUE(r.returned.empty());
    EXPECT_EQ(r.status(), kUntouched);
    EXPECT_EQ(r.command(VIRTIO_BLK_T_IN, 0, 0, 512), VIRTIO_BLK_S_OK);
}

/* VIRTIO-v1.2 2.6.1: what one queue gave up, another may wait for. */
TEST(Shim, ResetOfAQueueMakesRoomForAnother)
{
    RigSetup s;
    s.front.max_requests = 2;
    ShimConfig config;
    config.num_queues = 2;
    ShimRig r(s, config);
    r.rig.back->knobs().hold = true;
    r.put_header(VIRTIO_BLK_T_IN, 0);
    Element e{r.side({{kHeaderAt, 16}}), r.side({{kDataAt, 512}, {kStatusAt, 1}}), &r, 0};
    Element other = e;
    other.queue = 1;
    EXPECT_TRUE(r.shim.take(e) && r.shim.take(e));
    r.shim.pump();
    r.rig.hub.run();
    EXPECT_FALSE(r.shim.take(other));
    uint32_t batches = r.batches;
    r.shim.reset_queue(0);
    EXPECT_EQ(r.forgotten.size(), 2u);
    EXPECT_EQ(r.batches, batches + 1) << "nobody says that there is room";
    EXPECT_TRUE(r.shim.take(other));
    r.rig.oracle_matters = false; /* the held reads find their page revoked */
    r.rig.back->knobs().hold = false;
    r.shim.pump();
    r.rig.back->complete_all();
    r.rig.hub.run();
    EXPECT_EQ(r.returned.size(), 1u);
    EXPECT_EQ(r.status(), VIRTIO_BLK_S_OK);
}

TEST(Shim, FullDeviceTakesNoMore)
{
    RigSetup s;
    s.front.max_requests = 2;
    ShimRig r(s);
    r.rig.back->knobs().hold = true;
    r.put_header(VIRTIO_BLK_T_IN, 0);
    Element e{r.side({{kHeaderAt, 16}}), r.side({{kDataAt, 512}, {kStatusAt, 1}}), &r, 0};
    EXPECT_TRUE(r.shim.take(e));
    EXPECT_TRUE(r.shim.take(e));
    EXPECT_FALSE(r.shim.has_room());
    EXPECT_FALSE(r.shim.take(e));
    EXPECT_EQ(r.shim.counters().requests, 2u);
}

} // namespace
} // namespace pvblk
