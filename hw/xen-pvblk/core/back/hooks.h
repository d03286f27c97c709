/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: where somebody else may look at a decision of the backend, or
 * make another one in its place. One function a decision; each of them does
 * nothing by itself and lets the backend be honest. A backend without hooks, or
 * whose hooks do not want to be asked yet, has a null pointer, and asks nobody.
 *
 * HookedBack and HookedQueue are what a hook may have the backend do.
 *
 * Threads: those of the backend (pvblk/back.h). Hooks that share something
 * between the two need a backend that has one thread only.
 */
#pragma once

#include "back/persistent_maps.h"
#include "proto/wire.h"
#include "pvblk/back.h"

#include <optional>

namespace pvblk
{

/* One ring, from opened() to closed(). */
class HookedQueue
{
public:
    virtual uint32_t index() const = 0;
    /* The shared area as it is, past every hook. */
    virtual SharedRing &area() = 0;
    /* Write the response to a request that was taken. */
    virtual void stage(const WireResponse &rsp) = 0;
    /* Store rsp_prod, as BackRing does; whether the frontend asked for an event. */
    virtual bool publish() = 0;
    /* What was staged is published, and the frontend told. Asks the hooks. */
    virtual void flush() = 0;
    /* Send one event on the channel of queue `to`. */
    virtual void send_event(uint32_t to) = 0;
    /* The request in this slot was kept before it was answered: the step that
     * it was kept from is taken. Until then it is not at the storage, and no
     * barrier waits for it. */
    virtual void proceed(uint32_t slot) = 0;
    /* It was kept after it: its pages are unmapped, and the slot is free. */
    virtual void release(uint32_t slot) = 0;
    /* A response that nobody asked for was written, past stage(). */
    virtual void count_unasked() = 0;

protected:
    ~HookedQueue() = default;
};

/* The backend, from attached() to ended(). */
class HookedBack
{
public:
    /* From now on the hooks are asked. Not from inside of another call. */
    virtual void ask_hooks() = 0;

    virtual const BackPorts &ports() const = 0;
    virtual const BackConfig &config() const = 0;
    virtual XenbusState state() const = 0;
    virtual bool connected() const = 0;

    /* A node of the backend's directory. */
    virtual void write(std::string_view name, std::string_view value) = 0;
    virtual void remove(std::string_view name) = 0;
    virtual void write_state(XenbusState state) = 0;
    /* Its node has a text of the hooks', or goes. */
    virtual void write_state(std::string_view text) = 0;
    virtual void remove_state() = 0;

    /* As the backend does it itself, with all the hooks that there are. */
    virtual void set_state(XenbusState state) = 0;
    virtual void publish_nodes() = 0;
    virtual Status publish() = 0;
    virtual void close() = 0;
    virtual void disconnect() = 0;
    virtual void disappear() = 0;
    virtual void later() = 0;
    /* All that publish() wrote, and the state. */
    virtual void remove_nodes() = 0;

protected:
    ~HookedBack() = default;
};

/* What a page is mapped for. */
struct PageUse {
    std::string_view name{};          /* ring, data, or indirect: a page of segments */
    const WireRequest *wire{nullptr}; /* none for a ring */
};

/* A request, and what it has mapped. */
struct HookedRequest {
    HookedQueue &queue;
    uint32_t slot; /* below the ring's entries */
    const WireRequest &wire;
    std::span<struct iovec> iov{}; /* of its data, one a page */
    std::span<const Mapping> pages{};
};

/* How a request goes on. */
struct HookStep {
    enum What : uint8_t {
        GoOn,   /* as it would */
        Answer, /* with `status`, without anything more being done */
        Keep,   /* not now; see HookedQueue::proceed() and release() */
    } what{GoOn};
    RspStatus status{RspStatus::Okay};
};

class BackHooks
{
public:
    /* ---- the backend's life */
    /* These two are called even before ask_hooks(). */
    virtual void attached(HookedBack &) {}
    virtual void ended() {}
    /* BackEvents::later() was called; from inside of no other call. */
    virtual void later() {}
    /* A node is about to be written, or left out. True: the hook has done it. */
    virtual bool publish_node(std::string_view, const std::optional<std::string> &)
    {
        return false;
    }
    /* The state changed from `before`, and is about to be written. True: the hook
     * has done it. */
    virtual bool set_state(XenbusState /* before */) { return false; }
    /* A frontend is ready. True: there is no connection now. */
    virtual bool connect() { return false; }
    virtual void connected() {}
    virtual void disconnected() {}
    /* The backend's nodes are about to go. */
    virtual void gone() {}
    /* Whether they go once the frontend is Closed. */
    virtual bool leaves() { return false; }
    /* The store changed, or an event came: `store` or `event`. True: ignore
     * the frontend's state now. */
    virtual bool tick(std::string_view) { return false; }

    /* ---- a ring's life. Of one that is up already when the backend begins to
     * ask, opened() comes then */
    /* `at`: where the next response goes. */
    virtual void opened(HookedQueue &, RingIndex /* at */) {}
    virtual void closed(HookedQueue &) {}
    /* True: nothing is taken from the ring now. */
    virtual bool rests(HookedQueue &) { return false; }

    /* ---- the way of a request, in this order */
    /* It was copied from the ring. True: it is not looked at. */
    virtual bool take(HookedQueue &, const WireRequest &) { return false; }
    /* No slot is free for it. */
    virtual void no_slot(HookedQueue &) {}
    /* It is about to be checked. */
    virtual HookStep before_work(const HookedRequest &) { return {}; }
    /* A page is about to be mapped. A result is given in place of it. */
    virtual std::optional<Result<std::byte *>> map(HookedQueue &, const PageUse &, GrantRef,
                                                   bool /* readonly */)
    {
        return std::nullopt;
    }
    /* A page could not be mapped: the answer to the request. */
    virtual RspStatus map_failed(HookedQueue &) { return RspStatus::Error; }
    /* It is about to go to the storage, as `req` says. */
    virtual HookStep data(const HookedRequest &, StorageRequest &) { return {}; }
    /* It went well there. Keep: its pages stay mapped, but it is answered. */
    virtual HookStep moved(const HookedRequest &) { return {}; }
    /* A page is about to be unmapped, or kept. True: the hook has done it. `maps`
     * has it, but for one of a ring. */
    virtual bool unmap(HookedQueue &, const PageUse &, const Mapping &, PersistentMaps *)
    {
        return false;
    }
    /* A response is about to be staged. True: the hook has done it. */
    virtual bool respond(HookedQueue &, const WireRequest &, const WireResponse &) { return false; }

    /* ---- the shared area */
    /* A response is written to the next slot. True: the hook has done it. */
    virtual bool put_response(HookedQueue &, const WireResponse &) { return false; }
    /* An index is about to be stored. True: the hook has done it. */
    virtual bool store(HookedQueue &, SringField, RingIndex) { return false; }
    /* An index was loaded. */
    virtual void loaded(HookedQueue &, SringField, RingIndex) {}
    /* What was staged is about to be published. In place of it: whether an
     * event is to be sent. */
    virtual std::optional<bool> publish(HookedQueue &) { return std::nullopt; }
    /* An event is about to be sent. True: the hook has done it. */
    virtual bool notify(HookedQueue &) { return false; }
    /* All that was to be published and sent was. */
    virtual void flushed(HookedQueue &) {}

protected:
    ~BackHooks() = default;
};

/* The backend's one pointer to its hooks, as its parts have it: null, and
 * nobody is asked, before HookedBack::ask_hooks(). */
using HooksPointer = BackHooks *const &;

} // namespace pvblk
