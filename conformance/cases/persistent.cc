/* SPDX-License-Identifier: MIT */
/* Cases: persistent. */
#include "cases/cases.h"

namespace pvblk::conformance
{

std::span<const Case> persistent_cases()
{
    return {};
}

} // namespace pvblk::conformance
