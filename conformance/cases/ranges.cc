/* SPDX-License-Identifier: MIT */
/* Cases: ranges. */
#include "cases/cases.h"

namespace pvblk::conformance
{

std::span<const Case> range_cases()
{
    return {};
}

} // namespace pvblk::conformance
