/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`: the faults of nodes and of the state. Some outlast a decision: a
 * node that changes at the next connect, one that is written late, one that no
 * honest backend has.
 */
#pragma once

#include "fault/plan_in_force.h"

#include <string>
#include <vector>

namespace pvblk
{

class BentNodes
{
public:
    explicit BentNodes(PlanInForce &plan) : plan_(plan) {}

    /* Replaces the write of a node. `honest`: its true value; nullopt: it should
     * not exist. False: no fault, write it. */
    bool publish(std::string_view name, const std::optional<std::string> &honest);
    /* Replaces the write of the state, which follows `before`. */
    void set_state(XenbusState before);
    /* Changes the nodes that change at a connect. */
    void connecting();
    /* Writes another value to a node that describes the disk, and then the state. */
    void resize(std::string_view name, uint64_t value);

    /* The plan is over: forgets everything, and removes the nodes that it invented
     * if the backend is `there`. */
    void forget(bool there);
    /* Another backend begins, with an empty directory. */
    void reset();

private:
    struct Node {
        std::string name, value;
        bool holds{true};
    };
    static Node &entry(std::vector<Node> &nodes, std::string_view name);
    const std::string *changed(std::string_view name) const;
    void change(std::string_view name, std::string_view value);
    void write_late();

    PlanInForce &plan_;
    std::vector<Node> changed_{}, late_{}, invented_{}; /* one entry a name */
};

} // namespace pvblk
