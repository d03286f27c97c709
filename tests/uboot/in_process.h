/* SPDX-License-Identifier: MIT */
/* U-Boot's driver as a frontend in this process. */
#pragma once

#include "frontends/in_process.h"

namespace pvblk::conformance
{

std::unique_ptr<InProcess> make_uboot(LoopbackHub &hub);

} // namespace pvblk::conformance
