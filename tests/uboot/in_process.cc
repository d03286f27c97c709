/* SPDX-License-Identifier: MIT */
/* See in_process.h. */
#include "uboot/in_process.h"

#include "frontends/driver_front.h"
#include "uboot/seam.h"

namespace pvblk::conformance
{

std::unique_ptr<InProcess> make_uboot(LoopbackHub &hub)
{
    return std::make_unique<DriverFront>(hub, uboot_calls);
}

} // namespace pvblk::conformance
