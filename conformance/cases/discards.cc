/* SPDX-License-Identifier: MIT */
/* Cases: discards. */
#include "cases/cases.h"

namespace pvblk::conformance
{

std::span<const Case> discard_cases()
{
    return {};
}

} // namespace pvblk::conformance
