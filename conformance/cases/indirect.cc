/* SPDX-License-Identifier: MIT */
/* Cases: indirect. */
#include "cases/cases.h"

namespace pvblk::conformance
{

std::span<const Case> indirect_cases()
{
    return {};
}

} // namespace pvblk::conformance
