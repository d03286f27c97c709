/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: the nodes of the backend's own directory. Serves blkif.h
 * "Backend XenBus Nodes".
 */
#pragma once

#include "back/hooks.h"

#include <vector>

namespace pvblk
{

class BackNodes
{
public:
    /* `config` is the backend's; features that a toolstack forbids are removed. */
    BackNodes(BackPorts ports, BackConfig &config, HooksPointer hooks)
        : ports_(ports), config_(config), offers_discard_(config.discard), hooks_(hooks)
    {
    }

    /* Write all nodes but the state, with their current values. */
    void publish();
    /* Before the nodes of a new connection: read the toolstack's wishes. */
    void ask_toolstack();
    /* A toolstack's node for us: 0 forbids the feature, a missing node allows it. */
    bool allows(std::string_view name);
    void remove_all();
    void remove_directory() { ports_.store.remove(config_.backend_path); }

    void write(std::string_view name, std::string_view value);
    void remove(std::string_view name);
    /* The state has operations of its own (ports.h). */
    void write_state(std::string_view text);
    void remove_state();

private:
    struct Node {
        const char *name;
        std::optional<std::string> value; /* none: the node does not exist */
    };
    std::vector<Node> list() const;
    std::string path(std::string_view name) const;

    BackPorts ports_;
    BackConfig &config_;
    const bool offers_discard_; /* unless a toolstack forbids it */
    HooksPointer hooks_;
};

} // namespace pvblk
