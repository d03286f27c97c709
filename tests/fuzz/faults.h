/* SPDX-License-Identifier: MIT */
/*
 * Target `faults`: any text as a fault plan. Nothing crashes; a refusal says
 * why in one sentence and on which line; the text of what is accepted is read
 * again as the same plan, which does the same at every decision.
 *
 * An input is the text itself, so that libFuzzer learns the words.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace pvblk::fuzz
{

struct FaultsOutcome {
    bool accepted{false};
    size_t rules{0};
    uint64_t fired{0};  /* at a few hundred decisions */
    std::string text{}; /* of the plan */
    std::string why{};  /* it was refused */
};

FaultsOutcome play_faults(const uint8_t *data, size_t size);

} // namespace pvblk::fuzz
