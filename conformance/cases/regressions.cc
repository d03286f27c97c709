/* SPDX-License-Identifier: MIT */
/* Cases: regressions. */
#include "cases/cases.h"

namespace pvblk::conformance
{

std::span<const Case> regression_cases()
{
    return {};
}

} // namespace pvblk::conformance
