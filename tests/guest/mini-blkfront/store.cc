/* SPDX-License-Identifier: MIT */
#include "store.h"

#include "console.h"
#include "evtchn.h"
#include "timer.h"

Store xenstore;

namespace
{

constexpr uint32_t kSeconds = 10; /* that XenStore may take for anything */

constexpr const char *kToken = "mini";

} // namespace

StorePath::StorePath(const char *folder, const char *name)
{
    size_t f = strlen(folder), n = strlen(name);
    if (f + 1 + n >= sizeof text)
        fail("a XenStore path is too long");
    memcpy(text, folder, f);
    text[f] = '/';
    memcpy(text + f + 1, name, n + 1);
}

/* hvm/params.h: an HVM guest asks where the ring is, and which port goes with it. */
void Store::init()
{
    uint64_t frame = 0, port = 0;
    if (get_parameter(HVM_PARAM_STORE_PFN, frame) || get_parameter(HVM_PARAM_STORE_EVTCHN, port) ||
        !frame || !port)
        fail("there is no XenStore");
    ring_ = reinterpret_cast<xenstore_domain_interface *>(frame * kPageSize);
    port_ = static_cast<evtchn_port_t>(port);
    events.adopt(port_);
}

bool Store::read(const char *path, StoreText &value)
{
    return call(XS_READ, path, nullptr, 0, value);
}

bool Store::directory(const char *path, StoreText &names)
{
    return call(XS_DIRECTORY, path, nullptr, 0, names);
}

void Store::write(const char *path, const char *value)
{
    must(XS_WRITE, path, value, static_cast<uint32_t>(strlen(value)));
}

void Store::watch(const char *path)
{
    must(XS_WATCH, path, kToken, static_cast<uint32_t>(strlen(kToken) + 1));
}

void Store::unwatch(const char *path)
{
    must(XS_UNWATCH, path, kToken, static_cast<uint32_t>(strlen(kToken) + 1));
}

void Store::begin()
{
    StoreText id;
    if (!call(XS_TRANSACTION_START, "", nullptr, 0, id))
        fail("XenStore starts no transaction: ", id.text);
    transaction_ = static_cast<uint32_t>(parse_decimal(id.text));
}

/* A transaction that met another one fails with EAGAIN, and is to be tried again. Ours meets none.
 */
void Store::commit()
{
    must(XS_TRANSACTION_END, "T", nullptr, 0);
    transaction_ = 0;
}

bool Store::changed()
{
    while (load(ring_->rsp_prod) != ring_->rsp_cons) {
        StoreText payload;
        xsd_sockmsg header;
        if (receive(payload, header))
            fail("a reply from XenStore to no request, type ", header.type);
    }
    bool was = changed_;
    changed_ = false;
    return was;
}

unsigned long Store::number(const char *path, unsigned long otherwise)
{
    StoreText value;
    return read(path, value) ? parse_decimal(value.text) : otherwise;
}

/*
 * Every request is a string with its NUL, and for some something more. False if the reply is an
 * error, whose name is then what `reply` says.
 */
bool Store::call(uint32_t type, const char *first, const void *rest, uint32_t rest_length,
                 StoreText &reply)
{
    auto first_length = static_cast<uint32_t>(strlen(first) + 1);
    xsd_sockmsg header{type, next_id_++, transaction_, first_length + rest_length};
    put(&header, sizeof header);
    put(first, first_length);
    put(rest, rest_length);

    xsd_sockmsg answer;
    while (!receive(reply, answer)) {
    }
    if (answer.req_id != header.req_id)
        fail("XenStore answers request ", answer.req_id, " and not ", header.req_id);
    return answer.type != XS_ERROR;
}

void Store::must(uint32_t type, const char *first, const char *rest, uint32_t rest_length)
{
    StoreText reply;
    if (!call(type, first, rest, rest_length, reply))
        fail("XenStore refuses request ", type, " for '", first, "': ", reply.text);
}

/* One message. True if it is a reply, false for a watch event, which is noted. */
bool Store::receive(StoreText &payload, xsd_sockmsg &header)
{
    get(&header, sizeof header);
    if (header.len > StoreText::kMax)
        fail("XenStore sends ", header.len, " bytes");
    get(payload.text, header.len);
    payload.text[header.len] = 0;
    payload.length = header.len;
    if (header.type != XS_WATCH_EVENT)
        return true;
    changed_ = true;
    return false;
}

void Store::put(const void *data, uint32_t length)
{
    auto *from = static_cast<const char *>(data);
    while (length) {
        if (!wait_until(
                [&] { return ring_->req_prod - load(ring_->req_cons) < XENSTORE_RING_SIZE; },
                kSeconds))
            fail("XenStore takes no request");
        XENSTORE_RING_IDX prod = ring_->req_prod;
        uint32_t n = XENSTORE_RING_SIZE - (prod - load(ring_->req_cons));
        /* Partner: XenStore's barrier between its last load of a request and its store to req_cons.
         * We overwrite nothing that it still reads. */
        fence_full();
        for (n = n < length ? n : length; n; n--, length--)
            store(ring_->req[MASK_XENSTORE_IDX(prod++)], *from++);
        /* Partner: XenStore's barrier after its load of req_prod. */
        fence_release();
        store(ring_->req_prod, prod);
        events.notify(port_);
    }
}

void Store::get(void *data, uint32_t length)
{
    auto *to = static_cast<char *>(data);
    while (length) {
        if (!wait_until([&] { return load(ring_->rsp_prod) != ring_->rsp_cons; }, kSeconds))
            fail("XenStore does not answer");
        XENSTORE_RING_IDX cons = ring_->rsp_cons;
        uint32_t n = load(ring_->rsp_prod) - cons;
        if (n > XENSTORE_RING_SIZE)
            fail("XenStore's response producer is more than a ring ahead");
        /* Partner: XenStore's barrier between the response and its store to rsp_prod. */
        fence_acquire();
        for (n = n < length ? n : length; n; n--, length--)
            *to++ = load(ring_->rsp[MASK_XENSTORE_IDX(cons++)]);
        /* Partner: XenStore's barrier after its load of rsp_cons. It overwrites nothing that we
         * still read. */
        fence_full();
        store(ring_->rsp_cons, cons);
        events.notify(port_); /* it may have waited for room */
    }
}
