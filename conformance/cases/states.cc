/* SPDX-License-Identifier: MIT */
/* Cases: states. */
#include "cases/cases.h"

namespace pvblk::conformance
{

std::span<const Case> state_cases()
{
    return {};
}

} // namespace pvblk::conformance
