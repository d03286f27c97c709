/* SPDX-License-Identifier: MIT */
/* Cases: flushes. */
#include "cases/cases.h"

namespace pvblk::conformance
{

std::span<const Case> flush_cases()
{
    return {};
}

} // namespace pvblk::conformance
