/* SPDX-License-Identifier: MIT */
/* Layer `back`: BlockBack, the public face of a backend. */
#include "pvblk/back.h"

#include "back/life.h"

namespace pvblk
{

BlockBack::BlockBack(BackPorts ports, BackConfig config, BackHooks *hooks)
    : life_(std::make_unique<BackLife>(ports, std::move(config), hooks))
{
}

BlockBack::~BlockBack() = default;

Status BlockBack::start()
{
    auto published = publish();
    return published ? watch() : published;
}

Status BlockBack::publish()
{
    return life_->publish();
}

Status BlockBack::watch()
{
    return life_->watch();
}

void BlockBack::close()
{
    life_->close();
}

void BlockBack::vanish()
{
    life_->vanish();
}

void BlockBack::resized()
{
    life_->resized();
}

void BlockBack::store_changed()
{
    life_->store_changed();
}

void BlockBack::event_received(uint32_t queue)
{
    life_->event_received(queue);
}

void BlockBack::later()
{
    life_->later();
}

XenbusState BlockBack::state() const
{
    return life_->state();
}

const BackPlan &BlockBack::plan() const
{
    return life_->plan();
}

BackCounters BlockBack::counters() const
{
    return life_->counters();
}

const Error &BlockBack::last_error() const
{
    return life_->last_error();
}

bool BlockBack::halted() const
{
    return life_->halted();
}

} // namespace pvblk
