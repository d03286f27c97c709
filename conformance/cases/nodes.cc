/* SPDX-License-Identifier: MIT */
/* Cases: nodes. */
#include "cases/cases.h"

namespace pvblk::conformance
{

std::span<const Case> node_cases()
{
    return {};
}

} // namespace pvblk::conformance
