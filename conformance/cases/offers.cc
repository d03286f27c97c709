/* SPDX-License-Identifier: MIT */
/*
 * Cases: the backend's nodes. They are there when they have to be, well formed,
 * and do not contradict one another.
 */
#include "cases/cases.h"

#include <bit>

namespace pvblk::conformance
{

namespace
{

constexpr const char *kSwitches[] = {"feature-barrier", "feature-flush-cache", "feature-discard",
                                     "feature-persistent", "discard-secure"};
constexpr const char *kNumbers[] = {"sector-size",
                                    "physical-sector-size",
                                    "info",
                                    "max-ring-page-order",
                                    "max-ring-pages",
                                    "multi-queue-max-queues",
                                    "discard-granularity",
                                    "feature-max-indirect-segments",
                                    "discard-alignment"};
/* blkif.h: the features, and the parameters of rings, come before InitWait. */
constexpr const char *kBeforeInitWait[] = {
    "feature-barrier",     "feature-flush-cache", "feature-discard",       "feature-persistent",
    "max-ring-page-order", "max-ring-pages",      "multi-queue-max-queues"};

std::string quoted(const std::optional<std::string> &value)
{
    return value ? "\"" + *value + "\"" : "no node";
}

/* The number of a node; nothing: it is not there, or is no number, which other
 * cases judge. */
std::optional<uint64_t> number(Bench &b, const char *name)
{
    auto text = b.front.theirs(name);
    return text ? parse_decimal(*text) : std::nullopt;
}

/* What is there satisfies a rule. */
void each(Bench &b, std::span<const char *const> names, const char *rule,
          bool (*holds)(const std::string &))
{
    for (const char *name : names)
        if (auto value = b.front.theirs(name))
            b.expect(holds(*value), rule, std::string(name) + " is " + quoted(value));
}

void switches_are_0_or_1(Bench &b)
{
    each(b, kSwitches, "a switch is 0 or 1",
         [](const std::string &v) { return v == "0" || v == "1"; });
}

void numbers_are_decimal(Bench &b)
{
    auto decimal = [](const std::string &v) { return parse_decimal(v).has_value(); };
    constexpr const char *kSectors[] = {"sectors"};
    each(b, kNumbers, "a number has decimal digits only", decimal);
    each(b, kSectors, "a number has decimal digits only", decimal);
}

void numbers_fit_32_bits(Bench &b)
{
    each(b, kNumbers, "a number fits 32 bits",
         [](const std::string &v) { return parse_decimal(v).value_or(0) <= UINT32_MAX; });
}

void features_come_before_init_wait(Bench &b)
{
    b.arrives(b.close() && b.begin(), "the backend waits for the next frontend");
    std::optional<std::string> early[std::size(kBeforeInitWait)];
    for (size_t i = 0; i < std::size(kBeforeInitWait); i++)
        early[i] = b.front.theirs(kBeforeInitWait[i]);
    b.connect();
    for (size_t i = 0; i < std::size(kBeforeInitWait); i++) {
        auto late = b.front.theirs(kBeforeInitWait[i]);
        b.expect(early[i] == late,
                 std::string(kBeforeInitWait[i]) + " is final when the backend is in InitWait",
                 quoted(early[i]) + " in InitWait, " + quoted(late) + " when Connected");
    }
}

void properties_come_before_connected(Bench &b)
{
    for (const char *name : {"sectors", "sector-size", "info"}) {
        auto value = b.front.theirs(name);
        b.expect(value.has_value(), std::string(name) + " is there when the backend is Connected",
                 quoted(value));
    }
}

void next_session_offers_the_same(Bench &b)
{
    std::vector<std::string> before;
    auto look = [&b](auto tell) {
        for (const char *name : kSwitches)
            tell(name, quoted(b.front.theirs(name)));
        for (const char *name : kNumbers)
            tell(name, quoted(b.front.theirs(name)));
        tell("sectors", quoted(b.front.theirs("sectors")));
    };
    look([&](const char *, const std::string &value) { before.push_back(value); });
    b.reconnect();
    size_t i = 0;
    look([&](const char *name, const std::string &value) {
        b.expect(value == before[i], std::string(name) + " is " + before[i] + " as before", value);
        i++;
    });
}

void state_is_a_digit(Bench &b)
{
    auto is = [&b](const char *digit) {
        auto state = b.front.theirs("state");
        b.expect(state == digit, std::string("state is \"") + digit + "\"", quoted(state));
    };
    is("2");
    b.connect();
    is("4");
}

/* ---- the disk -------------------------------------------------------------------- */

/* The size as either edition of blkif.h counts it; 0: more than 63 bits. */
uint64_t bytes(uint64_t sectors, uint64_t unit)
{
    return unit && sectors > INT64_MAX / unit ? 0 : sectors * unit;
}

void sectors_fit_63_bits(Bench &b)
{
    uint64_t sectors = number(b, "sectors").value_or(0);
    b.expect(bytes(sectors, kSectorSize) > 0, "the disk has 1 to 2^63-1 bytes",
             std::to_string(sectors) + " sectors");
}

void sector_size_is_a_power_of_two(Bench &b)
{
    uint64_t size = number(b, "sector-size").value_or(0);
    b.expect(std::has_single_bit(size) && size >= kSectorSize,
             "sector-size is a power of two, at least 512", std::to_string(size));
}

void sector_size_fits_a_page(Bench &b)
{
    uint64_t size = number(b, "sector-size").value_or(kSectorSize);
    b.expect(size <= kPageSize, "sector-size is at most 4096", std::to_string(size));
}

void physical_is_a_multiple(Bench &b)
{
    auto physical = number(b, "physical-sector-size");
    uint64_t size = number(b, "sector-size").value_or(0);
    b.expect(!physical || (size && *physical && *physical % size == 0),
             "physical-sector-size is a multiple of sector-size",
             std::to_string(physical.value_or(0)) + " and " + std::to_string(size));
}

void physical_divides_the_disk(Bench &b)
{
    uint64_t physical = number(b, "physical-sector-size").value_or(1);
    uint64_t sectors = number(b, "sectors").value_or(0);
    uint64_t size = number(b, "sector-size").value_or(kSectorSize);
    b.expect(physical && (bytes(sectors, kSectorSize) % physical == 0 ||
                          bytes(sectors, size) % physical == 0),
             "the disk is a multiple of physical-sector-size",
             std::to_string(sectors) + " sectors, " + std::to_string(physical) + " bytes");
}

void info_has_known_bits(Bench &b)
{
    constexpr uint64_t kKnown = 1 | 2 | 4; /* VDISK_CDROM, VDISK_REMOVABLE, VDISK_READONLY */
    uint64_t info = number(b, "info").value_or(0);
    b.expect((info & ~kKnown) == 0, "info has VDISK_* bits only", std::to_string(info));
}

void mode_is_r_or_w(Bench &b)
{
    auto mode = b.front.theirs("mode");
    b.expect(!mode || *mode == "r" || *mode == "w", "mode is \"r\" or \"w\"", quoted(mode));
}

/* Toolstacks write "w!" and the like, too: only the first letter counts here. */
void info_agrees_with_mode(Bench &b)
{
    auto mode = b.front.theirs("mode");
    uint64_t info = number(b, "info").value_or(0);
    b.expect(!mode || mode->starts_with('r') == ((info & 4) != 0),
             "mode and info agree whether the disk is read-only",
             "mode is " + quoted(mode) + ", info is " + std::to_string(info));
}

void read_only_disk_says_so(Bench &b)
{
    uint64_t info = number(b, "info").value_or(0);
    b.expect(info & 4, "info has the bit VDISK_READONLY", std::to_string(info));
}

/* ---- rings and requests ------------------------------------------------------------ */

void ring_schemes_agree(Bench &b)
{
    uint64_t order = number(b, "max-ring-page-order").value_or(0);
    uint64_t pages = number(b, "max-ring-pages").value_or(1);
    b.expect(order < 64 && pages == uint64_t{1} << order, "max-ring-pages is 2^max-ring-page-order",
             std::to_string(pages) + " pages, order " + std::to_string(order));
}

void ring_pages_are_a_power_of_two(Bench &b)
{
    uint64_t pages = number(b, "max-ring-pages").value_or(1);
    b.expect(std::has_single_bit(pages), "max-ring-pages is a power of two", std::to_string(pages));
}

void ring_order_is_possible(Bench &b)
{
    uint64_t order = number(b, "max-ring-page-order").value_or(0);
    b.expect(order < 32, "2^max-ring-page-order fits 32 bits", std::to_string(order));
}

void there_is_a_queue(Bench &b)
{
    uint64_t queues = number(b, "multi-queue-max-queues").value_or(1);
    b.expect(queues > 0, "multi-queue-max-queues is more than 0", std::to_string(queues));
}

void indirect_is_absent_or_more_than_0(Bench &b)
{
    auto most = number(b, "feature-max-indirect-segments");
    b.expect(!most || *most > 0, "a backend without indirect requests has no such node",
             quoted(b.front.theirs("feature-max-indirect-segments")));
}

void indirect_fits_a_request(Bench &b)
{
    uint64_t most = number(b, "feature-max-indirect-segments").value_or(0);
    b.expect(most <= kMaxIndirectSegments, "8 pages of 512 segments are the most of a request",
             std::to_string(most));
}

/* ---- discard ------------------------------------------------------------------------- */

void discard_nodes_are_a_pair(Bench &b)
{
    for (const char *name : {"discard-granularity", "discard-alignment"}) {
        auto value = b.front.theirs(name);
        b.expect(value.has_value(), std::string(name) + " is there with feature-discard",
                 quoted(value));
    }
}

void granularity_is_whole_sectors(Bench &b)
{
    uint64_t size = number(b, "sector-size").value_or(kSectorSize);
    uint64_t granularity = number(b, "discard-granularity").value_or(size);
    b.expect(size && granularity && granularity % size == 0,
             "discard-granularity is a multiple of sector-size", std::to_string(granularity));
}

void alignment_is_whole_sectors(Bench &b)
{
    uint64_t size = number(b, "sector-size").value_or(kSectorSize);
    uint64_t alignment = number(b, "discard-alignment").value_or(0);
    b.expect(size && alignment % size == 0, "discard-alignment is a multiple of sector-size",
             std::to_string(alignment));
}

void alignment_is_below_granularity(Bench &b)
{
    uint64_t size = number(b, "sector-size").value_or(kSectorSize);
    uint64_t granularity = number(b, "discard-granularity").value_or(size);
    uint64_t alignment = number(b, "discard-alignment").value_or(0);
    b.expect(alignment < granularity, "discard-alignment is less than discard-granularity",
             std::to_string(alignment) + " and " + std::to_string(granularity));
}

void secure_discard_is_a_discard(Bench &b)
{
    b.expect(!b.offer().secure || b.offer().discard,
             "discard-secure is 1 only where feature-discard is",
             "feature-discard is " + quoted(b.front.theirs("feature-discard")));
}

constexpr auto kMust = Level::Must;
constexpr auto kShould = Level::Should;
constexpr auto kPractice = Level::Practice;
constexpr auto kValid = Kind::Valid;

constexpr Case kCases[] = {
    {"node/offer/switches", "blkif:nodes", kMust, kValid, "Each switch of the backend is 0 or 1.",
     switches_are_0_or_1},
    {"node/offer/decimal", "xenbus:decimal", kPractice, kValid,
     "Each number of the backend has decimal digits only.", numbers_are_decimal},
    {"node/offer/width", "blkif:width", kMust, kValid,
     "Each number of the backend but sectors fits 32 bits.", numbers_fit_32_bits},
    {"node/offer/before-init-wait", "xenbus:init-wait", kMust, kValid,
     "Features and limits of rings are there, and final, when the backend is in InitWait.",
     features_come_before_init_wait},
    {"node/offer/before-connected", "xenbus:states", kMust, kValid,
     "The properties of the disk are there when the backend is Connected.",
     properties_come_before_connected},
    {"node/offer/same-in-next-session", "blkif:nodes", kPractice, kValid,
     "The next session has the same offer, if nothing happened to the disk.",
     next_session_offers_the_same},
    {"node/offer/state", "xenbus:state", kMust, kValid,
     "The backend's state is a decimal number: 2, then 4.", state_is_a_digit, kNothing, kPlain,
     Start::Waiting},
    {"node/sectors/63-bits", "blkif:sectors", kMust, kValid,
     "The size of the disk in bytes is more than 0 and fits 63 bits.", sectors_fit_63_bits},
    {"node/sector-size/power-of-two", "blkif:sector-size", kMust, kValid,
     "sector-size is a power of two, at least 512.", sector_size_is_a_power_of_two},
    {"node/sector-size/within-a-page", "blkif:sector-size", kPractice, kValid,
     "sector-size is at most a page, in which each segment lies.", sector_size_fits_a_page},
    {"node/physical-sector-size/multiple", "blkif:physical-sector-size", kMust, kValid,
     "physical-sector-size is a multiple of sector-size.", physical_is_a_multiple},
    {"node/physical-sector-size/divides-disk", "blkif:sectors-physical", kMust, kValid,
     "The disk is a whole number of physical sectors.", physical_divides_the_disk},
    {"node/info/known-bits", "blkif:info", kShould, kValid, "info has bits of blkif.h only.",
     info_has_known_bits},
    {"node/info/agrees-with-mode", "blkif:info", kPractice, kValid,
     "mode and info agree whether the disk is read-only.", info_agrees_with_mode},
    {"node/info/read-only", "blkif:info", kMust, kValid, "The info of a read-only disk says so.",
     read_only_disk_says_so, kNeedsReadOnly},
    {"node/mode/r-or-w", "blkif:mode", kMust, kValid,
     "If the frontend can read mode, it is r or w.", mode_is_r_or_w},
    {"node/max-ring-page-order/agrees-with-pages", "blkif:ring-schemes", kShould, kValid,
     "The backend offers the same number of ring pages in both schemes.", ring_schemes_agree},
    {"node/max-ring-page-order/possible", "blkif:max-ring-page-order", kPractice, kValid,
     "The number of ring pages that max-ring-page-order offers fits 32 bits.",
     ring_order_is_possible},
    {"node/max-ring-pages/power-of-two", "blkif:max-ring-pages", kMust, kValid,
     "max-ring-pages is a power of two.", ring_pages_are_a_power_of_two},
    {"node/multi-queue-max-queues/not-zero", "blkif:multi-queue-max-queues", kPractice, kValid,
     "A backend that speaks of queues has at least one.", there_is_a_queue},
    {"node/feature-max-indirect-segments/not-zero", "blkif:feature-max-indirect-segments", kMust,
     kValid, "A backend without indirect requests has no node for them.",
     indirect_is_absent_or_more_than_0},
    {"node/feature-max-indirect-segments/fits-request", "blkif:feature-max-indirect-segments",
     kMust, kValid, "A request can name as many segments as the backend offers.",
     indirect_fits_a_request},
    {"node/discard/pair", "blkif:discard-pair", kShould, kValid,
     "A backend that discards has both discard-granularity and discard-alignment.",
     discard_nodes_are_a_pair, kNeedsDiscard},
    {"node/discard/granularity-whole-sectors", "blkif:discard-granularity", kPractice, kValid,
     "discard-granularity is a multiple of sector-size.", granularity_is_whole_sectors,
     kNeedsDiscard},
    {"node/discard/alignment-whole-sectors", "blkif:discard-alignment", kPractice, kValid,
     "discard-alignment is a multiple of sector-size.", alignment_is_whole_sectors, kNeedsDiscard},
    {"node/discard/alignment-below-granularity", "blkif:discard-alignment", kPractice, kValid,
     "discard-alignment is less than discard-granularity.", alignment_is_below_granularity,
     kNeedsDiscard},
    {"node/discard/secure-with-discard", "blkif:discard-secure", kPractice, kValid,
     "A backend that discards securely discards.", secure_discard_is_a_discard},
};

} // namespace

std::span<const Case> offer_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
