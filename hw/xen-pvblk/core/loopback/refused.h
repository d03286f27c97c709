/* SPDX-License-Identifier: MIT */
/* What a port call says that LoopbackHub::fail() lets fail. */
#pragma once

#include "pvblk/result.h"

namespace pvblk
{

constexpr Error refused(const char *what)
{
    return {ErrorKind::Io, "loopback:fault", what, 0};
}

} // namespace pvblk
