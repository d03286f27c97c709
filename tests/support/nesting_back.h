/* SPDX-License-Identifier: MIT */
/* A storage whose drain() lets other things happen, and a backend over it. */
#pragma once

#include "support/pass_ports.h"
#include "support/rig.h"

#include <functional>

namespace pvblk
{

/* A host's drain() may run whatever else there is: another change of the state,
 * and requests that the frontend pushed meanwhile. */
class NestingStorage final : public PassStorage
{
public:
    using PassStorage::PassStorage;
    void drain() override
    {
        if (meanwhile)
            std::exchange(meanwhile, nullptr)();
        PassStorage::drain();
    }
    std::function<void()> meanwhile;
};

/* A backend over it, in the place of the rig's. */
struct NestingBack {
    explicit NestingBack(Rig &r, BackHooks *hooks = nullptr)
        : rig(r), storage(r.hub.storage), ports(r.hub.back_ports()),
          back({ports.store, ports.grants, ports.events, storage, nullptr}, r.setup.back, hooks)
    {
        rig.back->vanish();
        rig.hub.attach(&back);
    }
    ~NestingBack() { rig.hub.detach_back(); }

    Rig &rig;
    NestingStorage storage;
    BackPorts ports;
    BlockBack back;
};

} // namespace pvblk
