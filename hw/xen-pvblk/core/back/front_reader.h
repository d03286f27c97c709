/* SPDX-License-Identifier: MIT */
/*
 * Layer `back`: what a frontend's nodes ask for. Serves blkif.h "Frontend
 * XenBus Nodes" and its notes 3, 5, 6 and 8. A node that breaks its clause
 * refuses the frontend; a default is taken only where there is no node.
 *
 * One object a look at the store: it keeps the first error, and plan() reads
 * little more after it.
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

    /* Unknown, too, where there is none, or none of XenBus's. */
    XenbusState state();
    Result<BackPlan> plan();

private:
    /* A node may be missing; one that is there has to be good. */
    std::optional<uint64_t> number(const std::string &name);
    bool flag(const std::string &name);
    Abi abi();
    uint32_t queues();
    uint32_t ring_pages();
    RingNodes ring(const std::string &dir, uint32_t pages);
    std::optional<uint64_t> ring_ref(const std::string &dir, uint32_t page, uint32_t pages);
    std::optional<std::string_view> text(const std::string &name, std::span<char> buffer);
    void refuse(const Error &error);

    Store &store_;
    const BackConfig &config_;
    std::optional<Error> error_{};
};

} // namespace pvblk
