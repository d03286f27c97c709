/* SPDX-License-Identifier: MIT */
#include "store.h"

#include "hypercall.h"
#include "text.h"

#include <xen/io/xs_wire.h>

namespace xenstore
{

namespace
{

/* Both processors use the one ring. They take turns, or what they want to say would never be
 * understood. */
class Turn
{
public:
    Turn()
    {
        while (__atomic_exchange_n(&taken, true, __ATOMIC_ACQUIRE))
            asm volatile("pause");
    }
    ~Turn() { __atomic_store_n(&taken, false, __ATOMIC_RELEASE); }

private:
    static bool taken;
};
bool Turn::taken;

/* It stays at the frame where it was at the start; another page of Xen's may come to lie there. */
xenstore_domain_interface *ring;

/* How often to look at a full ring, before what does not fit is dropped. After a ring index that
 * cannot be or a message that is too long, XenStore looks at nothing until a reset: then there is
 * no use in waiting. */
constexpr uint32_t kPatience = 2000;
bool deaf;

void notify(Processor &processor)
{
    uint64_t port = 0;
    if (get_parameter(HVM_PARAM_STORE_EVTCHN, port))
        return;
    evtchn_send op{static_cast<evtchn_port_t>(port)};
    event_channel_op(EVTCHNOP_send, op);
    processor.counters.calls += 2;
}

void take_replies()
{
    store(ring->rsp_cons, load(ring->rsp_prod));
}

bool full()
{
    return load(ring->req_prod) - load(ring->req_cons) >= XENSTORE_RING_SIZE;
}

void wait_for_room(Processor &processor)
{
    notify(processor);
    for (uint32_t n = 0; n < kPatience && full() && !deaf; n++) {
        take_replies();
        asm volatile("pause");
    }
    deaf = full();
}

/* Into the ring, as far as there is room. `cut`: an event after this many bytes, which shows half a
 * message. */
void put(Processor &processor, const uint8_t *data, uint32_t length, uint32_t cut)
{
    processor.counters.store_messages++;
    for (uint32_t i = 0; i < length;) {
        if (full())
            wait_for_room(processor);
        if (full())
            return;
        XENSTORE_RING_IDX prod = load(ring->req_prod);
        store(ring->req[MASK_XENSTORE_IDX(prod)], static_cast<char>(data[i]));
        /* Partner: XenStore's barrier after its load of req_prod. */
        fence_release();
        store(ring->req_prod, prod + 1);
        if (++i == cut)
            notify(processor);
    }
    notify(processor);
}

struct Message {
    xsd_sockmsg header;
    uint8_t payload[XENSTORE_PAYLOAD_MAX];
    uint32_t length;

    void add(const void *bytes, uint32_t n)
    {
        if (n > sizeof payload - length)
            n = static_cast<uint32_t>(sizeof payload) - length;
        memcpy(payload + length, bytes, n);
        length += n;
    }
    void add_string(const char *s) { add(s, static_cast<uint32_t>(strlen(s) + 1)); }
    void add_text(const char *s) { add(s, static_cast<uint32_t>(strlen(s))); }
};

constexpr const char *paths[] = {
    "device/vbd/51712/state",
    "device/vbd/51712/ring-ref",
    "device/vbd/51712/event-channel",
    "device/vbd/51712/protocol",
    "device/vbd/51712/ring-page-order",
    "device/vbd/51712/multi-queue-num-queues",
    "device/vbd/51712/queue-0/ring-ref",
    "device/vbd/51712",
    "device/vbd",
    "device",
    "data",
    "data/a",
    "data/a/b/c/d/e/f",
    "/",
    "",
    ".",
    "/local/domain/1",
    "/local/domain/1/device/vbd/51712/state",
    "/local/domain/0",
    "/local/domain/0/backend/qdisk/1/51712/state",
    "/local/domain/0/backend/qdisk/1/51712",
    "/local/domain/1/xen-pvblk/vbd",
    "store/port",
    "console/ring-ref",
    "@introduceDomain",
    "@releaseDomain",
    "//",
    "a//b",
    "data/",
    "no such/path!",
};

constexpr const char *values[] = {"",   "0",  "1",  "3",  "4", "5", "6",    "n1",
                                  "b0", "r1", "w0", "n0", "T", "F", "token"};

void add_path(Random &random, Message &message)
{
    message.add_text(random.of(paths));
    if (random.one_in(4)) {
        message.add_text("/");
        message.add_text(Decimal(random.below(64)).text);
    }
    if (random.one_in(32)) { /* longer than XENSTORE_ABS_PATH_MAX or not */
        for (uint32_t n = random.below(XENSTORE_PAYLOAD_MAX); n; n--)
            message.add_text("x");
    }
    if (!random.one_in(32))
        message.add("", 1);
}

void build(Random &random, Message &message)
{
    constexpr uint32_t likely[] = {XS_DIRECTORY,
                                   XS_READ,
                                   XS_GET_PERMS,
                                   XS_WATCH,
                                   XS_UNWATCH,
                                   XS_TRANSACTION_START,
                                   XS_TRANSACTION_END,
                                   XS_WRITE,
                                   XS_WRITE,
                                   XS_MKDIR,
                                   XS_RM,
                                   XS_SET_PERMS,
                                   XS_RESET_WATCHES,
                                   XS_DIRECTORY_PART};
    message.length = 0;
    message.header.type =
        random.one_in(16) ? static_cast<uint32_t>(random.any()) : random.of(likely);
    message.header.req_id = static_cast<uint32_t>(random.any());
    message.header.tx_id = random.one_in(2) ? 0 : random.below(200);
    switch (message.header.type) {
    case XS_TRANSACTION_START: message.add("", 1); break;
    case XS_TRANSACTION_END: message.add_string(random.one_in(2) ? "T" : "F"); break;
    default: add_path(random, message);
    }
    switch (message.header.type) {
    case XS_DIRECTORY_PART: message.add_string(Decimal(random.any()).text); break;
    case XS_WATCH:
    case XS_UNWATCH:
    case XS_SET_PERMS:
        for (uint32_t n = random.below(4); n; n--)
            message.add_string(random.of(values));
        break;
    case XS_WRITE: message.add_text(random.of(values)); break;
    }
    if (random.one_in(32)) {
        for (uint32_t n = random.below(XENSTORE_PAYLOAD_MAX); n; n--)
            message.add(&n, 1);
    }
    message.header.len = message.length;
    if (random.one_in(
            32)) { /* says too much or too little; what follows is then taken for the rest */
        message.header.len = random.below(XENSTORE_PAYLOAD_MAX + 1);
        message.length = random.below(message.length + 1);
    }
}

} // namespace

bool init()
{
    uint64_t frame = 0;
    if (get_parameter(HVM_PARAM_STORE_PFN, frame) || !frame)
        return false;
    ring = reinterpret_cast<xenstore_domain_interface *>(frame * kPageSize);
    return true;
}

void restart()
{
    Turn turn;
    store(ring->req_prod, load(ring->req_cons));
    take_replies();
    deaf = false;
}

void random_request(Processor &processor)
{
    static Message messages[2];
    Random &random = processor.random();
    Message &message = messages[processor.number()];
    build(random, message);
    bool take = !random.one_in(8), index = random.one_in(2048), too_long = random.one_in(2048);
    uint32_t cut = random.one_in(8) ? random.below(sizeof message.header + 4) : 0;
    uint64_t any = random.any();
    if (too_long)
        message.header.len = static_cast<uint32_t>(any) | 1u << 13;
    Turn turn;
    if (take)
        take_replies();
    put(processor, reinterpret_cast<const uint8_t *>(&message),
        sizeof message.header + message.length, cut);
    if (index)
        store(any & 1 ? ring->req_prod : ring->rsp_cons, static_cast<XENSTORE_RING_IDX>(any));
}

void write(Processor &processor, const char *folder, const char *name, const char *value)
{
    static Message message;
    Turn turn;
    take_replies();
    message.length = 0;
    message.add_text(folder);
    message.add_text("/");
    message.add_string(name);
    message.add_text(value);
    message.header = {XS_WRITE, 0, 0, message.length};
    put(processor, reinterpret_cast<const uint8_t *>(&message),
        sizeof message.header + message.length, 0);
}

} // namespace xenstore
