/* SPDX-License-Identifier: MIT */
/* Cases: rings. */
#include "cases/cases.h"

namespace pvblk::conformance
{

std::span<const Case> ring_cases()
{
    return {};
}

} // namespace pvblk::conformance
