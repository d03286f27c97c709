/* SPDX-License-Identifier: MIT */
/*
 * Layer `front`: a frontend's XenStore. It reads and watches the backend's nodes,
 * and writes our own (blkif.h "Frontend XenBus Nodes"). It decides nothing:
 * Connection says when to write, and negotiate() judges the backend's nodes.
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

    /* The backend's directory has a state node, with any value. */
    bool backend_exists() const;
    /* Unknown if that end has no state node; an error if its value is no state. */
    Result<XenbusState> backend_state() const { return state_of(backend_); }
    Result<XenbusState> our_state() const { return state_of(frontend_); }
    NodeSet read() const { return read_nodes(store_, backend_, frontend_); }

    /* Watches all of the backend's nodes, because QEMU's backend writes size and
     * features after its state. */
    Status watch() { return store_.watch(backend_); }
    void unwatch() { store_.unwatch(); }

    /* A failed write is ignored: the backend does not see it, and our deadline
     * ends the wait. */
    void write_state(XenbusState state);
    /* Writes the nodes of the rings, and the plan's other nodes. */
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
