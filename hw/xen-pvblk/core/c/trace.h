/* SPDX-License-Identifier: MIT */
/* A frontend's trace as C has it. */
#pragma once

#include "pvblk/c/trace.h"
#include "pvblk/front.h"

namespace pvblk
{

pvblk_trace c_trace(const Trace &t);

} // namespace pvblk
