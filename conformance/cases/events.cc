/* SPDX-License-Identifier: MIT */
/* Cases: events. */
#include "cases/cases.h"

namespace pvblk::conformance
{

std::span<const Case> event_cases()
{
    return {};
}

} // namespace pvblk::conformance
