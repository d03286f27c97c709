/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: reads a frontend's nodes. Serves blkif.h "Frontend XenBus Nodes"
 * and its notes 3, 5, 6 and 8. If a node breaks its clause, the frontend is
 * refused. A default applies only if there is no node.
 *
 * Make a new object for each look at the store: it keeps the first error, and
 * plan() reads little more after it.
 */
#pragma once

#include "pvblk/back.h"

#include <optional>

namespace pvblk
{

class FrontReader
{
public:
    FrontReader(Store &store, const BackConfig &config) : store_(store), config_(config) {}

    /* Unknown, too, if the node is missing or holds no state of XenBus. */
    XenbusState state();
    Result<BackPlan> plan();

private:
    /* A node may be missing; a node that exists has to be valid. */
    std::optional<uint64_t> number(const std::string &name);
    bool flag(const std::string &name);
    Abi abi();
    uint32_t queues();
    uint32_t ring_pages();
    RingNodes ring(const std::string &dir, uint32_t pages);
    std::optional<uint64_t> ring_ref(const std::string &dir, uint32_t page, uint32_t pages);
    std::optional<std::string_view> text(const std::string &name, std::span<char> buffer);
    void refuse(const Error &error);
    void refuse_ring(const Error &error);

    Store &store_;
    const BackConfig &config_;
    std::optional<Error> error_{};
};

} // namespace pvblk
