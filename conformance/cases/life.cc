/* SPDX-License-Identifier: MIT */
/* Cases: life. */
#include "cases/cases.h"

namespace pvblk::conformance
{

std::span<const Case> life_cases()
{
    return {};
}

} // namespace pvblk::conformance
