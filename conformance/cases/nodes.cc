/* SPDX-License-Identifier: MIT */
/*
 * Cases: the frontend's nodes. A frontend makes honest rings and nodes, bends one
 * node, and is Initialised. The text says which nodes a frontend may write, but
 * rarely what a backend does about others. Then a backend may refuse the
 * frontend: it stays in InitWait, or closes. Or it connects, and then it serves
 * the rings that the frontend made. The backend's nodes are in offers.cc.
 */
#include "cases/cases.h"

#include <algorithm>
#include <cstdio>

namespace pvblk::conformance
{

namespace
{

using S = XenbusState;

Shape of_pages(uint32_t n, Shape::Scheme scheme = Shape::Scheme::Both)
{
    Shape s;
    s.pages = n;
    s.scheme = scheme;
    return s;
}

Shape of_queues(uint32_t n)
{
    Shape s;
    s.queues = n;
    return s;
}

/* ---- what the frontend writes -------------------------------------------------- */

/* The nodes of an honest frontend, */
Bench &honest(Bench &b, const Shape &shape)
{
    b.make_rings(shape);
    return b;
}

/* but one has this value, */
Bench &bend(Bench &b, const std::string &name, const std::string &value, const Shape &shape = {})
{
    if (b.make_rings(shape))
        b.front.node(name, value);
    return b;
}

/* or is missing. */
Bench &lack(Bench &b, const std::string &name, const Shape &shape = {})
{
    if (b.make_rings(shape))
        b.front.remove(name);
    return b;
}

/* ring-ref, with text before and after its number. */
Bench &bend_ref(Bench &b, const std::string &before, const std::string &after = "")
{
    if (b.make_rings())
        b.front.node("ring-ref", before + std::to_string(b.front.ring_page().ref.value) + after);
    return b;
}

std::string hexadecimal(uint32_t value)
{
    char text[16];
    std::snprintf(text, sizeof text, "0x%x", value);
    return text;
}

/* A grant that its owner has ended, in the place of a ring's. */
Bench &end_grant(Bench &b, const std::string &name, const Shape &shape = {})
{
    if (!b.make_rings(shape))
        return b;
    auto page = b.domain.share(false);
    if (!page) {
        b.cannot(sentence(page.error()));
        return b;
    }
    b.domain.unshare(page.value());
    b.front.node(name, std::to_string(page.value().ref.value));
    return b;
}

/* More ring-ref%u nodes, so that there are as many as the frontend says. */
void more_ring_refs(Bench &b, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to && !b.failed(); i++)
        b.front.node("ring-ref" + std::to_string(i), std::to_string(b.own_page().ref.value));
}

/* ---- what the backend makes of it ---------------------------------------------- */

/* It connects, and a WRITE and a READ are done on each ring. */
void served(Bench &b)
{
    if (!b.finish_connect())
        return;
    for (uint32_t q = 0; q < b.front.queues(); q++) {
        b.write(0, 1, q);
        b.read(0, 1, q);
    }
}

/* More requests than a ring of one page holds: all pages are in use. */
void served_by_pages(Bench &b)
{
    constexpr uint32_t kOnePage = 32;
    served(b);
    for (uint32_t q = 0; q < b.front.queues(); q++)
        for (uint32_t i = 0; i < kOnePage + 8; i++)
            b.read(0, 1, q);
}

/* It does not connect. */
void refused(Bench &b)
{
    bool connected = b.try_connect();
    S state = b.front.their_state();
    std::string seen = std::string("its state is ") + xenbus_state_name(state);
    b.expect(!connected, "the backend does not connect", seen);
    b.expect(state == S::InitWait || state == S::Closing || state == S::Closed,
             "the backend waits or closes", seen);
    b.saw(std::string("refused: ") + xenbus_state_name(state));
}

/* Either. */
void refused_or_served(Bench &b)
{
    if (!b.try_connect())
        return refused(b);
    b.saw("Connected");
    b.write(0);
    b.read(0);
}

/* The backend has seen that the frontend is Connected. What its nodes say from now
 * on is of no effect. */
Front &settled(Bench &b)
{
    b.pause();
    return b.front;
}

void still_served(Bench &b)
{
    b.pause();
    b.write(0);
    b.read(0);
}

/* ---- bodies that take more than a line ------------------------------------------- */

void ring_ref_is_readonly(Bench &b)
{
    SharedPage page = b.own_page(true);
    bend(b, "ring-ref", std::to_string(page.ref.value));
    refused(b);
}

void protocol_changes(Bench &b)
{
    Shape s;
    s.abi = b.front.abi() == Abi::X86_32 ? Abi::X86_64 : Abi::X86_32;
    b.shape(s);
    b.reconnect();
    b.write(0);
    b.shape(Shape{});
    b.reconnect();
    b.read(0);
}

void order_zero_with_ring_ref0(Bench &b)
{
    if (bend(b, "ring-page-order", "0").failed())
        return;
    b.front.node("ring-ref0", b.front.ours("ring-ref").value_or(""));
    b.front.remove("ring-ref");
    refused_or_served(b);
}

void order_above_offer(Bench &b)
{
    uint32_t order = b.offer().order;
    bend(b, "ring-page-order", std::to_string(order + 1),
         of_pages(1u << order, Shape::Scheme::Order));
    more_ring_refs(b, 1u << order, 2u << order);
    refused(b);
}

void order_far_too_large(Bench &b)
{
    for (const char *order : {"31", "32", "63", "64", "4294967295"}) {
        bend(b, "ring-page-order", order, of_pages(2, Shape::Scheme::Order));
        refused(b);
        b.arrives(b.begin(), "the backend waits for the next frontend");
    }
}

void ring_page_twice(Bench &b)
{
    if (b.make_rings(of_pages(2)))
        b.front.node("ring-ref1", b.front.ours("ring-ref0").value_or(""));
    (void)b.try_connect();
    b.serve_or_leave();
}

void pages_contradict_order(Bench &b)
{
    bend(b, "num-ring-pages", "4", of_pages(2));
    more_ring_refs(b, 2, 4);
    refused_or_served(b);
}

void pages_uneven(Bench &b)
{
    bend(b, "num-ring-pages", "3", of_pages(2, Shape::Scheme::Pages));
    more_ring_refs(b, 2, 3);
    refused(b);
}

void pages_above_offer(Bench &b)
{
    uint32_t most = 1u << b.offer().order;
    bend(b, "num-ring-pages", std::to_string(2 * most), of_pages(most, Shape::Scheme::Pages));
    more_ring_refs(b, most, 2 * most);
    refused(b);
}

void one_queue_in_queue_0(Bench &b)
{
    if (bend(b, "multi-queue-num-queues", "1").failed())
        return;
    for (const char *name : {"ring-ref", "event-channel"}) {
        b.front.node(std::string("queue-0/") + name, b.front.ours(name).value_or(""));
        b.front.remove(name);
    }
    refused_or_served(b);
}

void queue_0_above(Bench &b)
{
    if (!b.make_rings(of_queues(2)))
        return;
    for (const char *name : {"ring-ref", "event-channel"})
        b.front.node(name, b.front.ours(std::string("queue-0/") + name).value_or(""));
    b.front.remove("queue-0");
    refused(b);
}

/* An offer may be above the rings that the suite can have: then some are missing. */
void queues_above_offer(Bench &b)
{
    uint64_t more = b.front.number("multi-queue-max-queues") + 1;
    bend(b, "multi-queue-num-queues", std::to_string(more),
         of_queues(std::min(b.offer().queues + 1, kMaxQueues)));
    refused(b);
}

void queues_share(Bench &b, const std::string &name)
{
    if (b.make_rings(of_queues(2)))
        b.front.node("queue-1/" + name, b.front.ours("queue-0/" + name).value_or(""));
    (void)b.try_connect();
    b.serve_or_leave();
}

void queues_of_pages(Bench &b)
{
    Shape s = of_queues(2);
    s.pages = 2;
    b.make_rings(s);
    served_by_pages(b);
}

void unknown_nodes(Bench &b)
{
    if (bend(b, "max-requests", "256").failed()) /* of a proposal; some frontends write it */
        return;
    b.front.node("feature-that-nobody-knows", "1");
    b.front.node("a/directory/of/its/own", "");
    served(b);
}

void nodes_change_and_state_repeats(Bench &b)
{
    b.front.node("ring-ref", "0");
    b.front.state(S::Connected);
    b.serve_or_leave();
}

constexpr auto kMust = Level::Must;
constexpr auto kPractice = Level::Practice;
constexpr auto kValid = Kind::Valid;
constexpr auto kBoundary = Kind::Boundary;
constexpr auto kHostile = Kind::Hostile;
constexpr auto kWaiting = Start::Waiting;

constexpr Case kCases[] = {
    /* ---- ring-ref */
    {"node/ring-ref/missing", "blkif:ring-ref", kMust, kHostile,
     "A frontend without ring-ref is not connected.",
     [](Bench &b) { refused(lack(b, "ring-ref")); }, kNothing, kPlain, kWaiting},
    {"node/ring-ref/empty", "blkif:ring-ref", kMust, kHostile,
     "A frontend whose ring-ref is empty is not connected.",
     [](Bench &b) { refused(bend(b, "ring-ref", "")); }, kNothing, kPlain, kWaiting},
    {"node/ring-ref/text", "blkif:ring-ref", kMust, kHostile,
     "A frontend whose ring-ref is a word is not connected.",
     [](Bench &b) { refused(bend(b, "ring-ref", "eight")); }, kNothing, kPlain, kWaiting},
    {"node/ring-ref/negative", "blkif:ring-ref", kMust, kHostile,
     "A frontend whose ring-ref has a minus sign is not connected.",
     [](Bench &b) { refused(bend_ref(b, "-")); }, kNothing, kPlain, kWaiting},
    {"node/ring-ref/plus-sign", "xenbus:decimal", kPractice, kHostile,
     "A ring-ref with a plus sign is refused, or taken for its number.",
     [](Bench &b) { refused_or_served(bend_ref(b, "+")); }, kNothing, kPlain, kWaiting},
    {"node/ring-ref/hexadecimal", "xenbus:decimal", kPractice, kHostile,
     "A ring-ref in hexadecimal is refused, or taken for its number.",
     [](Bench &b) {
         if (b.make_rings())
             b.front.node("ring-ref", hexadecimal(b.front.ring_page().ref.value));
         refused_or_served(b);
     },
     kNothing, kPlain, kWaiting},
    {"node/ring-ref/leading-zeros", "xenbus:decimal", kPractice, kHostile,
     "A ring-ref with zeros in front is refused, or taken for its decimal number.",
     [](Bench &b) { refused_or_served(bend_ref(b, "00")); }, kNothing, kPlain, kWaiting},
    {"node/ring-ref/leading-blank", "xenbus:decimal", kPractice, kHostile,
     "A ring-ref after a blank is refused, or taken for its number.",
     [](Bench &b) { refused_or_served(bend_ref(b, " ")); }, kNothing, kPlain, kWaiting},
    {"node/ring-ref/newline", "xenbus:decimal", kPractice, kHostile,
     "A ring-ref with a newline behind it is refused, or taken for its number.",
     [](Bench &b) { refused_or_served(bend_ref(b, "", "\n")); }, kNothing, kPlain, kWaiting},
    {"node/ring-ref/letters-behind", "xenbus:decimal", kPractice, kHostile,
     "A ring-ref with letters behind it is refused, or taken for its number.",
     [](Bench &b) { refused_or_served(bend_ref(b, "", "abc")); }, kNothing, kPlain, kWaiting},
    {"node/ring-ref/nul-behind", "xenbus:decimal", kPractice, kHostile,
     "A ring-ref with a zero byte behind it is refused, or taken for its number.",
     [](Bench &b) { refused_or_served(bend_ref(b, "", std::string(1, '\0'))); }, kNothing,
     kPlain, kWaiting},
    {"node/ring-ref/beyond-32-bits", "blkif:width", kPractice, kBoundary,
     "A ring-ref of 2^32 and a grant is refused, or taken for the grant.",
     [](Bench &b) {
         if (b.make_rings())
             b.front.node("ring-ref",
                          std::to_string(0x1'0000'0000 + b.front.ring_page().ref.value));
         refused_or_served(b);
     },
     kNothing, kPlain, kWaiting},
    {"node/ring-ref/largest", "blkif:ring-ref", kMust, kBoundary,
     "A frontend whose ring-ref is 2^32-1 is not connected: nothing is granted there.",
     [](Bench &b) { refused(bend(b, "ring-ref", "4294967295")); }, kNothing, kPlain, kWaiting},
    {"node/ring-ref/thousand-digits", "blkif:width", kMust, kHostile,
     "A frontend whose ring-ref has a thousand digits is not connected.",
     [](Bench &b) { refused(bend(b, "ring-ref", std::string(1000, '9'))); }, kNothing, kPlain,
     kWaiting},
    {"node/ring-ref/ended-grant", "grant:lifetime", kMust, kHostile,
     "A frontend whose ring-ref is a grant that has ended is not connected.",
     [](Bench &b) { refused(end_grant(b, "ring-ref")); }, kNothing, kPlain, kWaiting},
    {"node/ring-ref/read-only-grant", "grant:readonly", kMust, kHostile,
     "A frontend whose ring is granted for reading only is not connected.", ring_ref_is_readonly,
     kNothing, kPlain, kWaiting},
    {"node/ring-ref/beside-stale-ring-ref0", "blkif:ring-ref", kMust, kValid,
     "A ring of one page is the page of ring-ref, although an old ring-ref0 is still there.",
     [](Bench &b) { served(bend(b, "ring-ref0", "4294967295")); }, kNothing, kPlain, kWaiting},

    /* ---- event-channel */
    {"node/event-channel/missing", "blkif:event-channel", kMust, kHostile,
     "A frontend without event-channel is not connected.",
     [](Bench &b) { refused(lack(b, "event-channel")); }, kNothing, kPlain, kWaiting},
    {"node/event-channel/empty", "blkif:event-channel", kMust, kHostile,
     "A frontend whose event-channel is empty is not connected.",
     [](Bench &b) { refused(bend(b, "event-channel", "")); }, kNothing, kPlain, kWaiting},
    {"node/event-channel/text", "blkif:event-channel", kMust, kHostile,
     "A frontend whose event-channel is a word is not connected.",
     [](Bench &b) { refused(bend(b, "event-channel", "port")); }, kNothing, kPlain, kWaiting},
    {"node/event-channel/negative", "blkif:event-channel", kMust, kHostile,
     "A frontend whose event-channel is -1 is not connected.",
     [](Bench &b) { refused(bend(b, "event-channel", "-1")); }, kNothing, kPlain, kWaiting},
    {"node/event-channel/zero", "blkif:event-channel", kMust, kBoundary,
     "A frontend whose event-channel is 0 is not connected: no channel is.",
     [](Bench &b) { refused(bend(b, "event-channel", "0")); }, kNothing, kPlain, kWaiting},
    {"node/event-channel/largest", "blkif:event-channel", kMust, kBoundary,
     "A frontend whose event-channel is 2^32-1 is not connected: no channel is.",
     [](Bench &b) { refused(bend(b, "event-channel", "4294967295")); }, kNothing, kPlain,
     kWaiting},
    {"node/event-channel/beyond-32-bits", "blkif:width", kPractice, kBoundary,
     "An event-channel of 2^32 and a port is refused, or taken for the port.",
     [](Bench &b) {
         if (b.make_rings())
             b.front.node("event-channel", std::to_string(0x1'0000'0000 + b.front.port().value));
         refused_or_served(b);
     },
     kNothing, kPlain, kWaiting},
    {"node/event-channel/hexadecimal", "xenbus:decimal", kPractice, kHostile,
     "An event-channel in hexadecimal is refused, or taken for its number.",
     [](Bench &b) {
         if (b.make_rings())
             b.front.node("event-channel", hexadecimal(b.front.port().value));
         refused_or_served(b);
     },
     kNothing, kPlain, kWaiting},

    /* ---- protocol */
    {"node/protocol/missing", "blkif:protocol", kMust, kValid,
     "A frontend without protocol has the native ABI.",
     [](Bench &b) { served(lack(b, "protocol")); }, kNothing, kPlain, kWaiting,
     After::Reconnects},
    {"node/protocol/x86-32", "blkif:protocol", kMust, kValid,
     "A frontend that says x86_32-abi is served by the layout of that ABI.",
     [](Bench &b) {
         Shape s;
         s.abi = Abi::X86_32;
         b.make_rings(s);
         served(b);
     },
     kNothing, kPlain, kWaiting},
    {"node/protocol/other-in-next-session", "blkif:protocol", kMust, kValid,
     "A frontend may connect again with another ABI.", protocol_changes},
    {"node/protocol/empty", "blkif:protocol", kPractice, kHostile,
     "A frontend whose protocol is empty is refused, or has the native ABI.",
     [](Bench &b) { refused_or_served(bend(b, "protocol", "")); }, kNothing, kPlain, kWaiting},
    {"node/protocol/unknown", "blkif:protocol", kPractice, kHostile,
     "A frontend whose protocol nobody knows is refused, or has the native ABI.",
     [](Bench &b) { refused_or_served(bend(b, "protocol", "mips64-abi")); }, kNothing, kPlain,
     kWaiting},
    {"node/protocol/arm", "blkif:protocol", kPractice, kHostile,
     "A frontend that says arm-abi is refused, or has that layout, which x86_64 shares.",
     [](Bench &b) { refused_or_served(bend(b, "protocol", "arm-abi")); }, kNothing, kPlain,
     kWaiting},
    {"node/protocol/capitals", "blkif:protocol", kPractice, kHostile,
     "A frontend that says X86_64-ABI is refused, or has that ABI.",
     [](Bench &b) { refused_or_served(bend(b, "protocol", "X86_64-ABI")); }, kNothing, kPlain,
     kWaiting},
    {"node/protocol/trailing-blank", "blkif:protocol", kPractice, kHostile,
     "A frontend whose protocol has a blank behind it is refused, or has that ABI.",
     [](Bench &b) { refused_or_served(bend(b, "protocol", "x86_64-abi ")); }, kNothing, kPlain,
     kWaiting},
    {"node/protocol/two-thousand-letters", "blkif:protocol", kPractice, kHostile,
     "A frontend whose protocol has 2000 letters is refused, or has the native ABI.",
     [](Bench &b) { refused_or_served(bend(b, "protocol", std::string(2000, 'x'))); }, kNothing,
     kPlain, kWaiting},

    /* ---- ring-page-order */
    {"node/ring-page-order/zero", "blkif:ring-page-order", kMust, kBoundary,
     "A frontend with ring-page-order 0 has a ring of one page, in ring-ref.",
     [](Bench &b) { served(bend(b, "ring-page-order", "0")); }, kNothing, kPlain, kWaiting},
    {"node/ring-page-order/zero-and-one-page", "blkif:ring-schemes", kMust, kBoundary,
     "A frontend that says one page in both schemes has a ring of one page.",
     [](Bench &b) {
         bend(b, "ring-page-order", "0");
         b.front.node("num-ring-pages", "1");
         served(b);
     },
     kNothing, kPlain, kWaiting},
    {"node/ring-page-order/zero-with-ring-ref0", "blkif:ring-refs", kPractice, kHostile,
     "A ring of one page in ring-ref0 is refused or served.", order_zero_with_ring_ref0, kNothing,
     kPlain, kWaiting},
    {"node/ring-page-order/alone", "blkif:ring-page-order", kMust, kValid,
     "A ring of several pages may be announced by ring-page-order alone.",
     [](Bench &b) {
         b.make_rings(of_pages(1u << b.offer().order, Shape::Scheme::Order));
         served_by_pages(b);
     },
     kNeedsPages, kPlain, kWaiting},
    {"node/ring-page-order/smaller-than-offer", "blkif:ring-page-order", kMust, kValid,
     "A ring may have fewer pages than the backend offers.",
     [](Bench &b) { served_by_pages(honest(b, of_pages(2))); }, kNeedsPages, kPlain, kWaiting},
    {"node/ring-page-order/empty", "blkif:ring-page-order", kPractice, kHostile,
     "A frontend whose ring-page-order is empty is refused, or has a ring of one page.",
     [](Bench &b) { refused_or_served(bend(b, "ring-page-order", "")); }, kNothing, kPlain,
     kWaiting},
    {"node/ring-page-order/text", "blkif:ring-page-order", kPractice, kHostile,
     "A frontend whose ring-page-order is a word is refused, or has a ring of one page.",
     [](Bench &b) { refused_or_served(bend(b, "ring-page-order", "one")); }, kNothing, kPlain,
     kWaiting},
    {"node/ring-page-order/negative", "blkif:ring-page-order", kPractice, kHostile,
     "A frontend whose ring-page-order is -1 is refused, or has a ring of one page.",
     [](Bench &b) { refused_or_served(bend(b, "ring-page-order", "-1")); }, kNothing, kPlain,
     kWaiting},
    {"node/ring-page-order/above-offer", "blkif:ring-page-order", kMust, kBoundary,
     "A ring of twice as many pages as the backend offers is refused.", order_above_offer,
     kNeedsPages, kPlain, kWaiting},
    {"node/ring-page-order/far-too-large", "blkif:ring-page-order", kMust, kHostile,
     "A ring-page-order by which a 32-bit or 64-bit number overflows is refused.",
     order_far_too_large, kNeedsPages, kPlain, kWaiting},
    {"node/ring-page-order/without-ring-refs", "blkif:ring-refs", kMust, kHostile,
     "A frontend that says two pages, and has only ring-ref, is not connected.",
     [](Bench &b) { refused(bend(b, "ring-page-order", "1")); }, kNeedsPages, kPlain, kWaiting},
    {"node/ring-page-order/page-missing", "blkif:ring-refs", kMust, kHostile,
     "A frontend that says two pages, and has only ring-ref0, is not connected.",
     [](Bench &b) { refused(lack(b, "ring-ref1", of_pages(2))); }, kNeedsPages, kPlain,
     kWaiting},
    {"node/ring-page-order/page-not-granted", "blkif:ring-refs", kMust, kHostile,
     "A ring of two pages, of which only the first is granted, is not connected.",
     [](Bench &b) { refused(end_grant(b, "ring-ref1", of_pages(2))); }, kNeedsPages,
     kPlain, kWaiting},
    {"node/ring-page-order/page-twice", "blkif:ring-refs", kPractice, kHostile,
     "If the backend takes the same page twice in a ring, it serves.", ring_page_twice, kNeedsPages,
     kPlain, kWaiting, After::Reconnects},
    {"node/ring-page-order/beside-stale-ring-ref", "blkif:ring-refs", kPractice, kValid,
     "A ring of several pages has no page in ring-ref: an old one there is of no effect.",
     [](Bench &b) { served_by_pages(bend(b, "ring-ref", "4294967295", of_pages(2))); }, kNeedsPages,
     kPlain, kWaiting},

    /* ---- num-ring-pages */
    {"node/num-ring-pages/alone", "blkif:num-ring-pages", kMust, kValid,
     "If the backend has max-ring-pages, num-ring-pages alone announces several pages.",
     [](Bench &b) {
         b.make_rings(of_pages(1u << b.offer().order, Shape::Scheme::Pages));
         served_by_pages(b);
     },
     kNeedsRingPages, kPlain, kWaiting},
    {"node/num-ring-pages/contradicts-order", "blkif:ring-schemes", kPractice, kHostile,
     "A frontend that says 2 pages in one scheme and 4 in the other is refused, or has 2.",
     pages_contradict_order, kNeedsPages, kPlain, kWaiting},
    {"node/num-ring-pages/zero", "blkif:num-ring-pages", kPractice, kBoundary,
     "A frontend whose num-ring-pages is 0 is refused, or has a ring of one page.",
     [](Bench &b) { refused_or_served(bend(b, "num-ring-pages", "0")); }, kNothing, kPlain,
     kWaiting},
    {"node/num-ring-pages/text", "blkif:num-ring-pages", kPractice, kHostile,
     "A frontend whose num-ring-pages is a word is refused, or has a ring of one page.",
     [](Bench &b) { refused_or_served(bend(b, "num-ring-pages", "many")); }, kNothing, kPlain,
     kWaiting},
    {"node/num-ring-pages/three", "blkif:num-ring-pages", kMust, kBoundary,
     "A ring of three pages is refused: only powers of two exist.", pages_uneven, kNeedsRingPages,
     kPlain, kWaiting},
    {"node/num-ring-pages/above-offer", "blkif:num-ring-pages", kMust, kBoundary,
     "A num-ring-pages of twice the backend's offer is refused.", pages_above_offer,
     kNeedsRingPages, kPlain, kWaiting},
    {"node/num-ring-pages/two-to-the-31", "blkif:num-ring-pages", kMust, kHostile,
     "A num-ring-pages of 2^31, a power of two, is refused.",
     [](Bench &b) {
         bend(b, "num-ring-pages", "2147483648", of_pages(2, Shape::Scheme::Pages));
         refused(b);
     },
     kNeedsRingPages, kPlain, kWaiting},

    /* ---- multi-queue-num-queues */
    {"node/multi-queue-num-queues/one", "blkif:one-queue", kMust, kBoundary,
     "A frontend that says one queue has its ring where one without the node has it.",
     [](Bench &b) { served(bend(b, "multi-queue-num-queues", "1")); }, kNothing, kPlain,
     kWaiting},
    {"node/multi-queue-num-queues/one-in-queue-0", "blkif:one-queue", kPractice, kHostile,
     "A frontend that says one queue, and names its ring in queue-0, is refused or served.",
     one_queue_in_queue_0, kNothing, kPlain, kWaiting},
    {"node/multi-queue-num-queues/two", "blkif:multi-queue", kMust, kValid,
     "Each of two queues serves requests.", [](Bench &b) { served(honest(b, of_queues(2))); },
     kNeedsQueues, kPlain, kWaiting},
    {"node/multi-queue-num-queues/with-pages", "blkif:multi-queue-pages", kMust, kValid,
     "Each of two queues of two pages serves requests.", queues_of_pages,
     kNeedsQueues | kNeedsPages, kPlain, kWaiting},
    {"node/multi-queue-num-queues/zero", "blkif:multi-queue-num-queues", kPractice, kBoundary,
     "A frontend that says no queue is refused, or has one.",
     [](Bench &b) { refused_or_served(bend(b, "multi-queue-num-queues", "0")); }, kNothing,
     kPlain, kWaiting},
    {"node/multi-queue-num-queues/empty", "blkif:multi-queue-num-queues", kPractice, kHostile,
     "A frontend whose number of queues is empty is refused, or has one.",
     [](Bench &b) { refused_or_served(bend(b, "multi-queue-num-queues", "")); }, kNothing,
     kPlain, kWaiting},
    {"node/multi-queue-num-queues/text", "blkif:multi-queue-num-queues", kPractice, kHostile,
     "A frontend whose number of queues is a word is refused, or has one.",
     [](Bench &b) { refused_or_served(bend(b, "multi-queue-num-queues", "two")); }, kNothing,
     kPlain, kWaiting},
    {"node/multi-queue-num-queues/negative", "blkif:multi-queue-num-queues", kPractice, kHostile,
     "A frontend that says -1 queues is refused, or has one.",
     [](Bench &b) { refused_or_served(bend(b, "multi-queue-num-queues", "-1")); }, kNothing,
     kPlain, kWaiting},
    {"node/multi-queue-num-queues/above-offer", "blkif:multi-queue-num-queues", kMust, kBoundary,
     "A frontend with one queue more than the backend offers is refused.",
     queues_above_offer, kNeedsQueues, kPlain, kWaiting},
    {"node/multi-queue-num-queues/largest", "blkif:multi-queue-num-queues", kMust, kHostile,
     "A frontend that says 2^32-1 queues is refused.",
     [](Bench &b) {
         bend(b, "multi-queue-num-queues", "4294967295", of_queues(2));
         refused(b);
     },
     kNeedsQueues, kPlain, kWaiting},
    {"node/multi-queue-num-queues/queue-1-missing", "blkif:multi-queue", kMust, kHostile,
     "A frontend of two queues without queue-1 is not connected.",
     [](Bench &b) { refused(lack(b, "queue-1", of_queues(2))); }, kNeedsQueues, kPlain,
     kWaiting},
    {"node/multi-queue-num-queues/queue-0-above", "blkif:multi-queue", kMust, kHostile,
     "A frontend of two queues, which names the first one above queue-0, is not connected.",
     queue_0_above, kNeedsQueues, kPlain, kWaiting},
    {"node/multi-queue-num-queues/ring-ref-missing", "blkif:multi-queue", kMust, kHostile,
     "A frontend of two queues without queue-1/ring-ref is not connected.",
     [](Bench &b) { refused(lack(b, "queue-1/ring-ref", of_queues(2))); }, kNeedsQueues, kPlain,
     kWaiting},
    {"node/multi-queue-num-queues/event-channel-missing", "blkif:multi-queue", kMust, kHostile,
     "A frontend of two queues without queue-1/event-channel is not connected.",
     [](Bench &b) { refused(lack(b, "queue-1/event-channel", of_queues(2))); }, kNeedsQueues,
     kPlain, kWaiting},
    {"node/multi-queue-num-queues/ring-twice", "blkif:multi-queue", kPractice, kHostile,
     "If the backend takes the same ring for two queues, it serves.",
     [](Bench &b) { queues_share(b, "ring-ref"); }, kNeedsQueues, kPlain, kWaiting,
     After::Reconnects},
    {"node/multi-queue-num-queues/event-channel-twice", "blkif:multi-queue", kPractice, kHostile,
     "If the backend takes the same event channel for two queues, it serves.",
     [](Bench &b) { queues_share(b, "event-channel"); }, kNeedsQueues, kPlain, kWaiting,
     After::Reconnects},
    {"node/multi-queue-num-queues/beside-stale-ring-ref", "blkif:multi-queue", kPractice, kValid,
     "Two queues are served, although an old frontend's ring-ref is still there.",
     [](Bench &b) { served(bend(b, "ring-ref", "4294967295", of_queues(2))); }, kNeedsQueues,
     kPlain, kWaiting},

    /* ---- features of the frontend */
    {"node/feature-persistent/zero", "blkif:front-persistent", kMust, kValid,
     "A frontend whose feature-persistent is 0 is served.",
     [](Bench &b) { served(bend(b, "feature-persistent", "0")); }, kNothing, kPlain, kWaiting},
    {"node/feature-persistent/two", "blkif:front-persistent", kPractice, kBoundary,
     "A frontend whose feature-persistent is 2 is refused or served.",
     [](Bench &b) { refused_or_served(bend(b, "feature-persistent", "2")); }, kNothing, kPlain,
     kWaiting},
    {"node/feature-persistent/empty", "blkif:front-persistent", kPractice, kHostile,
     "A frontend whose feature-persistent is empty is refused or served.",
     [](Bench &b) { refused_or_served(bend(b, "feature-persistent", "")); }, kNothing, kPlain,
     kWaiting},
    {"node/feature-persistent/text", "blkif:front-persistent", kPractice, kHostile,
     "A frontend whose feature-persistent is a word is refused or served.",
     [](Bench &b) { refused_or_served(bend(b, "feature-persistent", "yes")); }, kNothing, kPlain,
     kWaiting},
    {"node/feature-large-sector-size/one", "blkif:feature-large-sector-size", kMust, kValid,
     "A frontend that can count in large sectors is served on a disk of 512-byte sectors.",
     [](Bench &b) { served(bend(b, "feature-large-sector-size", "1")); }, kNothing, kPlain,
     kWaiting},
    {"node/feature-large-sector-size/text", "blkif:feature-large-sector-size", kPractice, kHostile,
     "A frontend whose feature-large-sector-size is a word is refused or served.",
     [](Bench &b) { refused_or_served(bend(b, "feature-large-sector-size", "yes")); }, kNothing,
     kPlain, kWaiting},
    {"node/unknown/ignored", "blkif:extra-nodes", kPractice, kValid,
     "A frontend may have nodes that its backend does not know.", unknown_nodes, kNothing, kPlain,
     kWaiting},

    /* ---- nodes that change half-way */
    {"node/connected/ring-ref-changes", "xenbus:nodes", kPractice, kHostile,
     "A ring-ref that changes after the connection is of no effect.",
     [](Bench &b) {
         settled(b).node("ring-ref", "0");
         still_served(b);
     }},
    {"node/connected/protocol-changes", "xenbus:nodes", kPractice, kHostile,
     "A protocol that changes after the connection is of no effect.",
     [](Bench &b) {
         settled(b).node("protocol", "x86_32-abi");
         still_served(b);
     }},
    {"node/connected/nodes-go", "xenbus:nodes", kPractice, kHostile,
     "Nodes that go after the connection are of no effect.",
     [](Bench &b) {
         settled(b).forget_nodes();
         still_served(b);
     }},
    {"node/connected/ring-ref-changes-and-state-repeats", "xenbus:crash", kPractice, kHostile,
     "If ring-ref changes, and Connected is written again, the backend serves or leaves.",
     nodes_change_and_state_repeats, kNothing, kPlain, Start::Connected, After::Reconnects},
};

} // namespace

std::span<const Case> node_cases()
{
    return kCases;
}

} // namespace pvblk::conformance
