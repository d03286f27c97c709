/* SPDX-License-Identifier: MIT */
/* Cases: grants. */
#include "cases/cases.h"

namespace pvblk::conformance
{

std::span<const Case> grant_cases()
{
    return {};
}

} // namespace pvblk::conformance
