/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: XenStore as a frontend uses it. The backend's nodes are read
 * and watched, our own written (blkif.h "Frontend XenBus Nodes"). Decides
 * nothing: what is written when is Connection's business, what the backend's
 * nodes come to that of negotiate().
 */
#pragma once

#include "front/negotiation.h"
#include "front/rings.h"
#include "pvblk/xenbus.h"

#include <string>

namespace pvblk
{

class FrontNodes
{
public:
    /* The paths outlive this. */
    FrontNodes(Store &store, const std::string &frontend, const std::string &backend)
        : store_(store), frontend_(frontend), backend_(backend)
    {
    }

    /* A backend's directory with a state in it, whatever it says. */
    bool backend_exists() const;
    /* Unknown where that end has none; an error where it is no state. */
    Result<XenbusState> backend_state() const { return state_of(backend_); }
    Result<XenbusState> our_state() const { return state_of(frontend_); }
    NodeSet read() const { return read_nodes(store_, backend_, frontend_); }

    /* All of the backend's nodes, not just its state: size and features come
     * after it (QEMU's backend). */
    Status watch() { return store_.watch(backend_); }
    void unwatch() { store_.unwatch(); }

    /* What cannot be written is not: a backend that waits for it meets the
     * deadline. */
    void write_state(XenbusState state);
    /* Rings as they are, and what else the plan says. */
    Status publish(const Plan &plan, const Rings &rings);

private:
    Result<XenbusState> state_of(const std::string &end) const;
    void remove_stale_nodes();
    bool write_nodes(const Plan &plan, const Rings &rings);
    bool write_ring_nodes(const Plan &plan, const Rings &rings, uint32_t ring);
    bool write_node(std::string_view name, std::string_view value);
    bool write_number(std::string_view name, uint64_t value);
    void remove_node(std::string_view name);

    Store &store_;
    const std::string &frontend_;
    const std::string &backend_;
};

} // namespace pvblk
