/* SPDX-License-Identifier: MIT */
/* Layer `judge`: BackJudge, the public face of a watcher. */
#include "pvblk/judge.h"

#include "judge/watcher.h"

namespace pvblk
{

BackJudge::BackJudge(BackHooks *next, BackOwner *owner, JudgeListener *listener)
    : watcher_(std::make_unique<Watcher>(next, owner, listener))
{
}

BackJudge::~BackJudge() = default;

BackHooks *BackJudge::hooks()
{
    return watcher_.get();
}

BackOwner *BackJudge::owner()
{
    return watcher_.get();
}

void BackJudge::look()
{
    watcher_->look();
}

uint32_t BackJudge::grants_left()
{
    return watcher_->grants_left();
}

const JudgeRecord &BackJudge::record(JudgeRule rule) const
{
    return watcher_->record(rule);
}

uint64_t BackJudge::connections() const
{
    return watcher_->connections();
}

XenbusState BackJudge::frontend_state() const
{
    return watcher_->frontend_state();
}

} // namespace pvblk
