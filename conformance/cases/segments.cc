/* SPDX-License-Identifier: MIT */
/* Cases: segments. */
#include "cases/cases.h"

namespace pvblk::conformance
{

std::span<const Case> segment_cases()
{
    return {};
}

} // namespace pvblk::conformance
