/* SPDX-License-Identifier: MIT */
/* U-Boot's driver in a test, and the backend that it meets: see BentWorld. */
#pragma once

#include "support/bent_world.h"
#include "uboot/seam.h"

namespace pvblk
{

struct World : BentWorld {
    explicit World(WorldSetup s = {}) : BentWorld(uboot_calls, std::move(s)) {}
};

} // namespace pvblk
