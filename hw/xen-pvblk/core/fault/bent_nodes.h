/* SPDX-License-Identifier: MIT */
/*
 * Layer `fault`: the faults of nodes and of the state, and what of them
 * outlives a decision: a node that changes at the next connect, one that is
 * written late, one that no honest backend has.
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

    /* In place of writing a node. `honest`: what it should say; nullopt: there
     * should be none. False: nothing is wrong with it. */
    bool publish(std::string_view name, const std::optional<std::string> &honest);
    /* In place of writing the state, which follows `before`. */
    void set_state(XenbusState before);
    /* What changes at a connect changes now. */
    void connecting();
    /* Another value of a node that tells of the disk, and the state after it. */
    void resize(std::string_view name, uint64_t value);

    /* The plan is over, and nothing of it is left: neither a node that it
     * invented, if the backend is `there`. */
    void forget(bool there);
    /* There is another backend, with an empty directory. */
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
