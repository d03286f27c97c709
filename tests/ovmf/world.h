/* SPDX-License-Identifier: MIT */
/* OVMF's driver in a test, and the backend that it meets: see BentWorld. */
#pragma once

#include "ovmf/seam.h"
#include "support/bent_world.h"

namespace pvblk
{

/* For a CD-ROM with a medium. */
inline WorldSetup cdrom_setup(const std::string &params = "aio:/images/cd.iso")
{
    WorldSetup s;
    s.back.cdrom = s.back.read_only = s.back.removable = true;
    s.front_nodes["device-type"] = "cdrom";
    s.back_nodes["params"] = params;
    return s;
}

struct World : BentWorld {
    explicit World(WorldSetup s = {}) : BentWorld(ovmf_calls, std::move(s)) {}
    OvmfDisk disk() const { return ovmf_disk(); }
};

} // namespace pvblk
