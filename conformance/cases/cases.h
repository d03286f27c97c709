/* SPDX-License-Identifier: MIT */
/* The areas of cases; each is a file of its name. */
#pragma once

#include "bench.h"

namespace pvblk::conformance
{

std::span<const Case> node_cases();
std::span<const Case> offer_cases();
std::span<const Case> state_cases();
std::span<const Case> request_cases();
std::span<const Case> segment_cases();
std::span<const Case> range_cases();
std::span<const Case> discard_cases();
std::span<const Case> flush_cases();
std::span<const Case> grant_cases();
std::span<const Case> indirect_cases();
std::span<const Case> persistent_cases();
std::span<const Case> ring_cases();
std::span<const Case> event_cases();
std::span<const Case> life_cases();
std::span<const Case> regression_cases();

} // namespace pvblk::conformance
