/* SPDX-License-Identifier: MIT */
/* Target `store`: read_nodes(), negotiate(), parse_decimal() and states. */
#include "store.h"

#include "front/negotiation.h"
#include "input.h"
#include "pvblk/xenbus.h"
#include "support/check.h"

#include <cstring>
#include <optional>

namespace pvblk::fuzz
{

namespace
{

constexpr std::string_view kBackPath = "/local/domain/0/backend/vbd/1/51712";
constexpr std::string_view kFrontPath = "/local/domain/1/device/vbd/51712";

/* One value a node; no other node may be asked for. */
class FlatStore final : public Store
{
public:
    enum class Kind : uint8_t { Missing, Value, Unreadable };
    struct Slot {
        Kind kind{Kind::Missing};
        std::string value{};
    };

    Result<size_t> read(std::string_view path, std::span<char> out) override
    {
        for (uint32_t i = 0; i < kNodes; i++) {
            std::string dir(i < kBackendNodes ? kBackPath : kFrontPath);
            if (path != dir + "/" + node_name(static_cast<Node>(i)))
                continue;
            const Slot &s = slots[i];
            if (s.kind == Kind::Missing)
                return Error{ErrorKind::Missing, "", "", 0};
            if (s.kind == Kind::Unreadable)
                return Error{ErrorKind::Io, "", "", 0};
            std::memcpy(out.data(), s.value.data(), std::min(out.size(), s.value.size()));
            return s.value.size();
        }
        check(false, "a node is read that negotiation does not know");
        return size_t{0};
    }
    Status write(std::string_view, std::string_view) override
    {
        check(false, "negotiation writes to XenStore");
        return Ok{};
    }
    void remove(std::string_view) override { check(false, "negotiation removes a node"); }
    Status watch(std::string_view) override { return Ok{}; }
    void unwatch() override {}

    Slot &at(uint32_t i) { return slots[i % kNodes]; }
    const Slot &of(Node n) const { return slots[static_cast<uint32_t>(n)]; }

    std::array<Slot, kNodes> slots{};
};

/* A decimal of 64 bits, found out in another way than parse_decimal() does. */
std::optional<uint64_t> decimal(const std::string &text)
{
    if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos)
        return std::nullopt;
    size_t digits = text.find_first_not_of('0');
    std::string number = digits == std::string::npos ? "0" : text.substr(digits);
    constexpr std::string_view max = "18446744073709551615";
    if (number.size() > max.size() || (number.size() == max.size() && number > max))
        return std::nullopt;
    uint64_t v = 0;
    for (char c : number)
        v = v * 10 + static_cast<uint64_t>(c - '0');
    return v;
}

void check_parsers(const std::string &text)
{
    check(parse_decimal(text) == decimal(text), "a number of XenStore is read wrongly");
    auto state = parse_xenbus_state(text);
    auto number = decimal(text);
    check(state.ok() == (number && *number < kXenbusStates), "a state is accepted that is none");
    check(!state || static_cast<uint64_t>(state.value()) == *number, "a state is read wrongly");
}

bool power_of_two(uint64_t v)
{
    return v && (v & (v - 1)) == 0;
}

void check_geometry(const Plan &p, const FrontPolicy &policy)
{
    check(power_of_two(p.sector_size) && p.sector_size >= 512 && p.sector_size <= 4096,
          "blkif:sector-size is accepted that is no power of two from 512 to 4096");
    check(power_of_two(p.physical_sector_size) && p.physical_sector_size >= p.sector_size,
          "blkif:physical-sector-size is accepted that is no multiple of sector-size");
    check(p.sectors <= static_cast<uint64_t>(INT64_MAX) / 512,
          "blkif:sectors is accepted that overflows bytes");
    check(p.sectors % (p.sector_size / 512) == 0, "blkif:sectors ends within a sector");
    check(p.units == SectorUnits::Bytes512 || p.sector_size > 512,
          "device units without large sectors");
    check(p.units == SectorUnits::Bytes512 || policy.large_sector_units == SectorUnits::Device,
          "device units that the policy does not know");
    check(power_of_two(p.ring_pages) && p.ring_pages <= policy.ring_pages(),
          "ring pages out of bounds");
    check(p.queues >= 1 && p.queues <= policy.queues(), "queues out of bounds");
    check(p.max_segments >= kMaxDirectSegments && p.max_segments <= policy.segments(),
          "segments out of bounds");
    check(p.abi == policy.abi, "the plan has another ABI than the policy");
}

void check_features(const Plan &p, const FrontPolicy &policy, const FlatStore &store)
{
    auto one = [&store](Node n) {
        return store.of(n).kind == FlatStore::Kind::Value && decimal(store.of(n).value) == 1u;
    };
    check(!p.flush || (policy.use_flush && one(Node::FeatureFlushCache)),
          "flush that was not offered or not wanted");
    check(!p.barrier || (policy.use_barrier && one(Node::FeatureBarrier)),
          "barriers that were not offered or not wanted");
    check(!p.persistent || (policy.use_persistent && one(Node::FeaturePersistent)),
          "persistent grants that were not offered or not wanted");
    check(!p.trusted || policy.trusted, "a backend is trusted against the policy");
    check(store.of(Node::Trusted).kind == FlatStore::Kind::Missing || one(Node::Trusted) ||
              !p.trusted,
          "a backend is trusted against the node");
    check(!p.discard || (policy.use_discard && one(Node::FeatureDiscard)),
          "discard that was not offered or not wanted");
    check(!p.discard_secure || (policy.use_secure_discard && one(Node::FeatureDiscard) &&
                                one(Node::DiscardSecure) && !p.read_only && !p.cdrom),
          "secure discard that was not offered or not wanted");
    check(!p.discard || (!p.read_only && !p.cdrom), "discard on what cannot be written");
    check(!p.discard || p.discard_granularity > 0, "discard without a granularity");
    check(p.discard_granularity % p.sector_size == 0, "granularity ends within a sector");
    check(p.discard_alignment % p.sector_size == 0, "alignment ends within a sector");
    check(p.discard_alignment < p.discard_granularity || p.discard_alignment == 0,
          "alignment is no offset within the granularity");
    const FlatStore::Slot &mode = store.of(Node::Mode);
    check(mode.kind != FlatStore::Kind::Value || mode.value == "w" || p.read_only,
          "blkif:mode is not w, and the disk may be written");
    const FlatStore::Slot &info = store.of(Node::Info);
    bool info_ro = info.kind == FlatStore::Kind::Value && (decimal(info.value).value_or(4) & 4);
    check(!info_ro || p.read_only, "blkif:info says read-only, and the disk may be written");
}

void check_accepted(const Plan &p, const FrontPolicy &policy, const FlatStore &store)
{
    check_geometry(p, policy);
    check_features(p, policy, store);
    for (const FlatStore::Slot &slot : store.slots)
        check(slot.kind != FlatStore::Kind::Unreadable, "a node that cannot be read has a default");
    auto missing = [&store](Node n) { return store.of(n).kind == FlatStore::Kind::Missing; };
    check(p.sized == (!missing(Node::Sectors) && !missing(Node::SectorSize)),
          "a plan without the size that the nodes have, or with one that they have not");
    if (!p.sized)
        return check(p.sectors == 0 && p.sector_size == 512, "a size out of nothing");
    auto sectors = decimal(store.of(Node::Sectors).value);
    auto size = decimal(store.of(Node::SectorSize).value);
    check(sectors && size == p.sector_size, "the plan has another sector-size than its node");
    uint64_t unit = p.units == SectorUnits::Device ? p.sector_size : 512;
    check(p.sectors * 512 == *sectors * unit, "the plan has another size than its node");
}

void apply(const Step &s, Input &in, FlatStore &store)
{
    FlatStore::Slot &slot = store.at(s.a);
    slot.kind = FlatStore::Kind::Value;
    switch (static_cast<StoreOp>(s.op % static_cast<uint8_t>(StoreOp::Count))) {
    case StoreOp::Number:
        slot.value = std::to_string((static_cast<uint64_t>(s.b) << s.c % 64) - s.wrong(1));
        break;
    case StoreOp::Text: slot.value = node_text(s.b, s.c); break;
    case StoreOp::Raw: slot.value = in.text(s.b % 40); break;
    case StoreOp::Missing: slot.kind = FlatStore::Kind::Missing; break;
    default: slot.kind = FlatStore::Kind::Unreadable; break;
    }
}

} // namespace

StoreOutcome play_store(const uint8_t *data, size_t size)
{
    Input in(data, size);
    uint32_t setup = in.setup();
    FrontPolicy policy;
    policy.abi = setup & 1 ? Abi::X86_32 : Abi::X86_64;
    policy.large_sector_units = setup & 2 ? SectorUnits::Device : SectorUnits::Bytes512;
    policy.use_flush = !(setup & 4);
    policy.use_discard = !(setup & 8);
    policy.use_barrier = !(setup & 16);
    policy.use_persistent = setup & 32;
    policy.trusted = !(setup & 64);
    policy.max_queues = 1 + (setup >> 8 & 31) % 20;
    policy.max_ring_pages = 16 - (setup >> 13 & 31) % 17;
    policy.max_indirect_segments = (setup >> 18) % 5000;

    FlatStore store;
    store.at(static_cast<uint32_t>(Node::Sectors)) = {FlatStore::Kind::Value, "8192"};
    store.at(static_cast<uint32_t>(Node::SectorSize)) = {FlatStore::Kind::Value, "512"};
    for (uint32_t i = 0; i < 64 && in.more(); i++) {
        Step s = in.step();
        show(s, kStoreOps);
        apply(s, in, store);
    }
    for (const FlatStore::Slot &s : store.slots)
        check_parsers(s.value);

    StoreOutcome out;
    auto plan = negotiate(read_nodes(store, kBackPath, kFrontPath), policy);
    auto again = negotiate(read_nodes(store, kBackPath, kFrontPath), policy);
    check(plan.ok() == again.ok(), "the same nodes are judged in two ways");
    out.accepted = plan.ok();
    if (plan) {
        check_accepted(plan.value(), policy, store);
        out.sectors = plan.value().sectors;
        out.sector_size = plan.value().sector_size;
        out.discard = plan.value().discard;
        out.queues = plan.value().queues;
        out.ring_pages = plan.value().ring_pages;
        out.max_segments = plan.value().max_segments;
    } else {
        out.clause = plan.error().clause;
        check(!out.clause.empty() && *plan.error().what, "a refusal that does not say why");
    }
    return out;
}

} // namespace pvblk::fuzz
