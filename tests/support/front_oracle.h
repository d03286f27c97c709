/* SPDX-License-Identifier: MIT */
/*
 * What holds for a BlockFront on the loopback whatever its backend does: asked
 * after every step by the fuzz target `front` and by the simulator. Each
 * answers with a sentence for what is wrong, or nullptr.
 *
 * What is about data and requests is not here: the simulator's disk_model.h and
 * the fuzz targets' books are oracles of their own, and find out in other ways
 * than the code that they judge.
 */
#pragma once

#include "pvblk/loopback.h"

#include <vector>

namespace pvblk
{

/* Port calls and traces that one upcall may cost: several times what was seen. */
inline constexpr uint64_t kMaxWork = 20'000;

/* Of all kinds. */
inline uint64_t port_calls(const LoopbackHub &hub)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < kHubCalls; i++)
        n += hub.calls(static_cast<HubCall>(i));
    return n;
}

inline const char *hub_defect(const HubOracle &o)
{
    if (o.regrants)
        return "a grant is given that is in use";
    if (o.reused_while_mapped)
        return "a page is reused while the backend maps it (XSA-396)";
    if (o.bad_revokes)
        return "access ends that was never given";
    if (o.foreign_writes)
        return "the front writes outside its own nodes";
    if (o.bad_frames)
        return "a frame is granted that is no RAM";
    if (o.bad_unmaps)
        return "a page is unmapped that was not mapped";
    return nullptr;
}

/* `waiting`: requests that were accepted and are not completed. */
inline const char *front_defect(const LoopbackHub &hub, const BlockFront &front, uint64_t waiting)
{
    if (front.accepted() != waiting)
        return "accepted() is not what waits";
    if (front.state() != FrontState::Broken && front.state() != FrontState::Stopped)
        return nullptr;
    if (front.state() == FrontState::Broken && !*front.broken_because())
        return "Broken, and it does not say why";
    if (waiting || front.in_flight())
        return "a broken front keeps requests";
    if (hub.grants.in_use() != front.quarantined())
        return "a broken front keeps grants";
    if (hub.events.is_open())
        return "a broken front keeps its event channel";
    return nullptr;
}

/* A backend may make a front log: ten lines in any ten seconds at most, which
 * is two bursts that meet. */
class LogWatch
{
public:
    /* Each front has its own limit. */
    void new_front() { at_ns_.clear(); }
    /* False: one line too many. */
    bool line(int64_t now_ns)
    {
        at_ns_.push_back(now_ns);
        size_t n = at_ns_.size();
        return n <= kMost || at_ns_[n - 1] - at_ns_[n - 1 - kMost] >= kWindowNs;
    }

private:
    static constexpr size_t kMost = 10;
    static constexpr int64_t kWindowNs = 10'000'000'000;
    std::vector<int64_t> at_ns_{};
};

} // namespace pvblk
