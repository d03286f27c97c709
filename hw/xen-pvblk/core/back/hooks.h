/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: hooks see a decision of the backend, or replace it. Each decision
 * has one function. Its default does nothing, and the backend stays honest. A
 * backend without hooks has a null pointer and asks nobody; so has one whose
 * hooks have not called ask_hooks() yet.
 *
 * A hook controls the backend through HookedBack and HookedQueue.
 *
 * Threads: the backend's (pvblk/back.h). Hooks that share data between the two
 * threads need a backend with one thread only.
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
    /* The shared area itself, without hooks. */
    virtual SharedRing &area() = 0;
    /* Write the response to a request that was taken. */
    virtual void stage(const WireResponse &rsp) = 0;
    /* Store rsp_prod, as BackRing does. Returns whether the frontend asked for an event. */
    virtual bool publish() = 0;
    /* Publish the staged responses, and send an event if asked. Asks the hooks. */
    virtual void flush() = 0;
    /* Send one event on the channel of queue `to`. */
    virtual void send_event(uint32_t to) = 0;
    /* A hook kept the request in this slot before its answer: take the step now.
     * Until then the request is not at the storage, and no barrier waits for
     * it. */
    virtual void proceed(uint32_t slot) = 0;
    /* A hook kept it after its answer: unmap its pages, and free the slot. */
    virtual void release(uint32_t slot) = 0;
    /* A response without a request was written, without stage(). */
    virtual void count_unasked() = 0;

protected:
    ~HookedQueue() = default;
};

/* The backend, from attached() to ended(). */
class HookedBack
{
public:
    /* From now on the backend asks the hooks. Not from inside another call. */
    virtual void ask_hooks() = 0;

    virtual const BackPorts &ports() const = 0;
    virtual const BackConfig &config() const = 0;
    virtual XenbusState state() const = 0;
    virtual bool connected() const = 0;
    /* The terms of the connection, or of the last one. */
    virtual const BackPlan &plan() const = 0;

    /* A node of the backend's directory. */
    virtual void write(std::string_view name, std::string_view value) = 0;
    virtual void remove(std::string_view name) = 0;
    virtual void write_state(XenbusState state) = 0;
    /* Write the hooks' own text to the state node, or remove the node. */
    virtual void write_state(std::string_view text) = 0;
    virtual void remove_state() = 0;

    /* Do it as the backend does, and ask all hooks. */
    virtual void set_state(XenbusState state) = 0;
    virtual void publish_nodes() = 0;
    virtual Status publish() = 0;
    virtual void close() = 0;
    virtual void disconnect() = 0;
    virtual void disappear() = 0;
    virtual void later() = 0;
    /* Remove every node that publish() wrote, and the state. */
    virtual void remove_nodes() = 0;

protected:
    ~HookedBack() = default;
};

/* The use of a mapped page. */
struct PageUse {
    std::string_view name{};          /* ring, data, or indirect: a page of segments */
    const WireRequest *wire{nullptr}; /* none for a ring */
};

/* A request, and its mapped pages. */
struct HookedRequest {
    HookedQueue &queue;
    uint32_t slot; /* below the ring's entries */
    const WireRequest &wire;
    /* Of its data, one per page; in moved() those that touch are one. */
    std::span<struct iovec> iov{};
    std::span<const Mapping> pages{};
};

/* The next step of a request. */
struct HookStep {
    enum What : uint8_t {
        GoOn,   /* as without hooks */
        Answer, /* with `status`, and do nothing more */
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
    /* Whether the hooks may write to a ring, or have done so. */
    virtual bool bends() const { return false; }
    /* Follows BackEvents::later(); from inside no other call. */
    virtual void later() {}
    /* The backend is about to write a node, or leave it out. True: the hook has done it. */
    virtual bool publish_node(std::string_view, const std::optional<std::string> &)
    {
        return false;
    }
    /* The state changed from `before`; the backend is about to write it. True: the
     * hook has done it. */
    virtual bool set_state(XenbusState /* before */) { return false; }
    /* A frontend is ready. True: do not connect now. */
    virtual bool connect() { return false; }
    virtual void connected() {}
    virtual void disconnected() {}
    /* The backend is about to remove its nodes. */
    virtual void gone() {}
    /* Whether to remove them once the frontend is Closed. */
    virtual bool leaves() { return false; }
    /* The store changed (`store`), or an event came (`event`). True: ignore the
     * frontend's state now. */
    virtual bool tick(std::string_view) { return false; }

    /* ---- a ring's life. If a ring is up already at ask_hooks(), opened() comes
     * then */
    /* `at`: where the next response goes. */
    virtual void opened(HookedQueue &, RingIndex /* at */) {}
    virtual void closed(HookedQueue &) {}
    /* True: take no request from the ring now. */
    virtual bool rests(HookedQueue &) { return false; }

    /* ---- the way of a request, in this order */
    /* It was copied from the ring. True: ignore it. */
    virtual bool take(HookedQueue &, const WireRequest &) { return false; }
    /* No slot is free for it. */
    virtual void no_slot(HookedQueue &) {}
    /* It is about to be checked. */
    virtual HookStep before_work(const HookedRequest &) { return {}; }
    /* The backend is about to map a page. A result replaces the mapping. */
    virtual std::optional<Result<std::byte *>> map(HookedQueue &, const PageUse &, GrantRef,
                                                   bool /* readonly */)
    {
        return std::nullopt;
    }
    /* A page could not be mapped: the answer to the request. */
    virtual RspStatus map_failed(HookedQueue &) { return RspStatus::Error; }
    /* It is about to go to the storage, as `req` says. */
    virtual HookStep data(const HookedRequest &, StorageRequest &) { return {}; }
    /* The storage has done it. Keep: answer it, but leave its pages mapped. */
    virtual HookStep moved(const HookedRequest &) { return {}; }
    /* The backend is about to unmap a page, or to keep it. True: the hook has done
     * it. `maps` owns the mapping; null for a page of a ring. */
    virtual bool unmap(HookedQueue &, const PageUse &, const Mapping &, PersistentMaps *)
    {
        return false;
    }
    /* The backend is about to stage a response. True: the hook has done it. */
    virtual bool respond(HookedQueue &, const WireRequest &, const WireResponse &) { return false; }

    /* ---- the shared area */
    /* A response is written to the next slot. True: the hook has done it. */
    virtual bool put_response(HookedQueue &, const WireResponse &) { return false; }
    /* The backend is about to store an index. True: the hook has done it. */
    virtual bool store(HookedQueue &, SringField, RingIndex) { return false; }
    /* An index was loaded. */
    virtual void loaded(HookedQueue &, SringField, RingIndex) {}
    /* The backend is about to publish staged responses. A value: the hook has done
     * it; true asks for an event. */
    virtual std::optional<bool> publish(HookedQueue &) { return std::nullopt; }
    /* The backend is about to send an event. True: the hook has done it. */
    virtual bool notify(HookedQueue &) { return false; }
    /* Everything is published and sent. */
    virtual void flushed(HookedQueue &) {}

protected:
    ~BackHooks() = default;
};

/* The backend's one pointer to its hooks, shared by its parts. It is null before
 * HookedBack::ask_hooks(), so no hook is asked. */
using HooksPointer = BackHooks *const &;

} // namespace pvblk
