/* SPDX-License-Identifier: MIT */
/* The error of a port call that LoopbackHub::fail() makes fail. */
#pragma once

#include "pvblk/result.h"

namespace pvblk
{

constexpr Error refused(const char *what)
{
    return {ErrorKind::Io, "loopback:fault", what, 0};
}

} // namespace pvblk
