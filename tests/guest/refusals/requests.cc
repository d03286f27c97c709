/* SPDX-License-Identifier: MIT */
/* XenStore, with messages put on its ring by hand: what Store does not let a guest say. */
#include "check.h"

#include "store.h"
#include "text.h"
#include "timer.h"

#include <initializer_list>

namespace
{

constexpr uint32_t kSeconds = 5; /* that an answer may take */

uint32_t writes; /* that were not answered yet */

xenstore_domain_interface &ring()
{
    uint64_t frame = 0;
    if (get_parameter(HVM_PARAM_STORE_PFN, frame) || !frame)
        wrong("there is no ring");
    return *reinterpret_cast<xenstore_domain_interface *>(frame * kPageSize);
}

void notify()
{
    uint64_t port = 0;
    if (get_parameter(HVM_PARAM_STORE_EVTCHN, port) || !port)
        wrong("there is no port");
    events.notify(static_cast<evtchn_port_t>(port));
}

/* The ring is empty before each of our messages, and has room for all of them. */
void put(const void *data, uint32_t length)
{
    auto *from = static_cast<const char *>(data);
    XENSTORE_RING_IDX prod = ring().req_prod;
    while (length--)
        store(ring().req[MASK_XENSTORE_IDX(prod++)], *from++);
    /* Partner: XenStore's barrier after its load of req_prod. */
    fence_release();
    store(ring().req_prod, prod);
}

/* XenStore has all that was put. */
void expect_taken()
{
    xenstore_domain_interface &r = ring();
    if (!comes_true([&] { return load(r.req_cons) == r.req_prod; }))
        wrong("XenStore does not take a request");
}

void take(void *data, uint32_t length)
{
    auto *to = static_cast<char *>(data);
    for (; length; length--) {
        xenstore_domain_interface &r = ring();
        if (!wait_until([&] { return load(r.rsp_prod) != r.rsp_cons; }, kSeconds))
            wrong("XenStore does not answer");
        /* Partner: XenStore's barrier between the response and its store to rsp_prod. */
        fence_acquire();
        *to++ = load(r.rsp[MASK_XENSTORE_IDX(r.rsp_cons)]);
        /* Partner: XenStore's barrier after its load of rsp_cons. */
        fence_full();
        store(r.rsp_cons, r.rsp_cons + 1);
    }
}

xsd_sockmsg header(uint32_t type, uint32_t id, const char *text)
{
    return {type, id, 0, text ? static_cast<uint32_t>(strlen(text) + 1) : 0};
}

void put_message(uint32_t type, uint32_t id, const char *text)
{
    xsd_sockmsg message = header(type, id, text);
    put(&message, sizeof message);
    put(text, message.len);
}

/* The answer's type. */
uint32_t take_answer(uint32_t id, StoreText &text)
{
    xsd_sockmsg answer;
    take(&answer, sizeof answer);
    if (answer.req_id != id || answer.len > StoreText::kMax)
        wrong("answer ", answer.req_id, " of ", answer.len, " bytes, and not ", id);
    take(text.text, answer.len);
    text.text[answer.len] = 0;
    text.length = answer.len;
    return answer.type;
}

uint32_t ask(uint32_t type, uint32_t id, const char *text, StoreText &answer)
{
    put_message(type, id, text);
    notify();
    return take_answer(id, answer);
}

/* A header of which XenStore sees the first 10 bytes alone, and behind it another request, whose
 * bytes must not count for the first one. */
void put_in_pieces(uint32_t id, const char *text)
{
    constexpr uint32_t kFirst = 10;
    xsd_sockmsg message = header(XS_DIRECTORY, id, text);
    put(&message, kFirst);
    notify();
    expect_taken();
    put(reinterpret_cast<const char *>(&message) + kFirst, sizeof message - kFirst);
    put(text, message.len);
    put_message(XS_DIRECTORY, id + 1, "store");
    notify();
}

void expect_directory(uint32_t id)
{
    StoreText names;
    uint32_t type = take_answer(id, names);
    if (type != XS_DIRECTORY || strcmp(names.text, "port") != 0)
        wrong("message ", id, " got an answer of type ", type, ", '", names.text, "'");
}

/* As another kernel, to which nothing matters of what is on the ring. */
void begin_anew()
{
    soft_reset();
    bring_up_events();
    bring_up_rest();
    ring().rsp_cons = load(ring().rsp_prod);
}

} // namespace

/* xenstore.txt: MKDIR answers MKDIR if it went well, or if the node was there. */
void mkdir_answers_mkdir()
{
    StoreText text;
    for (uint32_t id = 100; id < 102; id++) {
        uint32_t type = ask(XS_MKDIR, id, "data/refusals", text);
        if (type != XS_MKDIR || strcmp(text.text, "OK") != 0)
            wrong("a new node's answer is of type ", type, ", '", text.text, "'");
    }
    if (!xenstore.directory("data/refusals", text))
        wrong("there is no node afterwards: ", text.text);
}

/* xenstore.txt: an error has a name. */
void mkdir_where_forbidden()
{
    StoreText text;
    for (const char *path : {"/tool/refusals", "/local/domain/0/refusals"}) {
        uint32_t type = ask(XS_MKDIR, 110, path, text);
        if (type != XS_ERROR || strcmp(text.text, "EACCES") != 0)
            wrong(path, " gets an answer of type ", type, ", '", text.text, "'");
    }
}

/* xs_wire.h: the ring is a stream of bytes, and an event may come anywhere in it. */
void header_in_pieces()
{
    put_in_pieces(120, "store");
    expect_directory(120);
    expect_directory(121);
}

/* The same for a request of a header alone, here one that is to be refused. */
void header_in_pieces_without_payload()
{
    StoreText text;
    put_in_pieces(130, nullptr);
    uint32_t type = take_answer(130, text);
    if (type != XS_ERROR || strcmp(text.text, "EINVAL") != 0)
        wrong("an empty request gets an answer of type ", type, ", '", text.text, "'");
    expect_directory(131);
}

/* A guest without a full barrier may see XenStore at work, and send no event, when XenStore has
 * just looked for the last time. It looks once more: soon, so that we may be too late on a busy
 * host. */
void missed_event_is_made_up_for()
{
    constexpr uint32_t kTries = 10, kEnough = 3;
    constexpr uint64_t kTicks = 100'000; /* of the TSC: less than 0.1 ms */
    uint32_t seen = 0;
    for (uint32_t id = 150; id < 150 + kTries && seen < kEnough; id++) {
        xenstore_domain_interface &r = ring();
        xsd_sockmsg message = header(XS_DIRECTORY, id, "store");
        put(&message, sizeof message);
        put("store", 5);
        notify();
        while (load(r.req_cons) != r.req_prod) {
        }
        spin(kTicks);
        put("", 1);
        if (wait_until([&] { return load(r.rsp_prod) != r.rsp_cons; }, 1))
            seen++;
        else
            notify();
        expect_directory(id);
    }
    if (seen < kEnough)
        wrong("of ", kTries, " requests whose last byte came without an event, ", seen,
              " were answered");
}

void write_by_hand(const char *path, const char *value)
{
    xsd_sockmsg message{XS_WRITE, 170, 0, 0};
    message.len = static_cast<uint32_t>(strlen(path) + 1 + strlen(value));
    put(&message, sizeof message);
    put(path, static_cast<uint32_t>(strlen(path) + 1));
    put(value, static_cast<uint32_t>(strlen(value)));
    notify();
    writes++;
}

void take_answers_to_writes()
{
    StoreText text;
    for (; writes; writes--) {
        if (take_answer(170, text) != XS_WRITE)
            wrong("a WRITE is answered with ", text.text);
    }
}

/* The ring is our memory, and stays as it is while the VM is stopped. At the mark, the operator
 * stops the VM, adds a disk, which is an event for us, and tells us to go on. */
void store_works_while_stopped()
{
    constexpr char kWatch[] = "device\0token";
    xsd_sockmsg message{XS_WATCH, 180, 0, sizeof kWatch};
    StoreText text;
    put(&message, sizeof message);
    put(kWatch, sizeof kWatch);
    notify();
    if (uint32_t type = take_answer(180, text); type != XS_WATCH)
        wrong("a WATCH gets an answer of type ", type, ", '", text.text, "'");
    take_answer(0, text); /* each watch fires once at the beginning */
    mark("stop");
    while (!control.take()) {
    }
    if (take_answer(0, text) != XS_WATCH_EVENT)
        wrong("the new disk is no event, but '", text.text, "'");
    begin_anew();
}

/* There is always a request, and always room: the ring is full of equal ones, so that it takes one
 * store to make all of them anew. QEMU's timers have their turn all the same. */
void store_has_no_time_for_others()
{
    constexpr uint64_t kIdle =
        100'000'000; /* ticks of the TSC without an answer: XenStore sleeps */
    constexpr uint32_t kTurns = 20, kMost = 20'000;
    struct Request {
        xsd_sockmsg message{XS_DIRECTORY, 160, 0, sizeof path};
        char path[16] = "/local/domain/0";
    } const request;
    static_assert(XENSTORE_RING_SIZE % sizeof request == 0);

    xenstore_domain_interface &r = ring();
    for (size_t i = 0; i < XENSTORE_RING_SIZE / sizeof request; i++)
        put(&request, sizeof request);
    uint32_t ticks = timer.ticks(), turns = 0;
    XENSTORE_RING_IDX first = load(r.req_cons), last = first;
    uint64_t since = 0;
    while (turns < kTurns) {
        store(r.rsp_cons, load(r.rsp_prod));
        XENSTORE_RING_IDX cons = load(r.req_cons);
        store(r.req_prod, cons + XENSTORE_RING_SIZE);
        uint64_t now = __builtin_ia32_rdtsc();
        if (cons != last) {
            last = cons;
            since = now;
        } else if (now - since > kIdle) {
            notify();
            since = now;
        }
        if (timer.ticks() != ticks) {
            ticks = timer.ticks();
            first = cons;
            turns++;
        } else if ((cons - first) / sizeof request > kMost) {
            wrong("XenStore answers ", kMost, " requests, and no timer has a turn");
        }
    }
    notify();
    bool taken = comes_true([&] {
        store(r.rsp_cons, load(r.rsp_prod));
        return load(r.req_cons) == r.req_prod;
    });
    if (!taken)
        wrong("XenStore does not take all requests");
    begin_anew();
}

/* XENSTORE_PAYLOAD_MAX: a longer message ends the conversation. The next kernel begins a new one.
 */
void illegal_request_kills_store_for_good()
{
    xsd_sockmsg message{XS_READ, 140, 0, XENSTORE_PAYLOAD_MAX + 1};
    put(&message, sizeof message);
    notify();
    expect_taken(); /* or it would be the next kernel's first request */
    begin_anew();
    put_message(XS_DIRECTORY, 141, "store");
    notify();
    expect_directory(141);
}
