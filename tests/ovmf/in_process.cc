/* SPDX-License-Identifier: MIT */
/* See in_process.h. */
#include "ovmf/in_process.h"

#include "frontends/driver_front.h"
#include "ovmf/seam.h"

namespace pvblk::conformance
{

std::unique_ptr<InProcess> make_ovmf(LoopbackHub &hub)
{
    return std::make_unique<DriverFront>(hub, ovmf_calls);
}

} // namespace pvblk::conformance
