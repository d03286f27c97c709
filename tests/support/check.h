/* SPDX-License-Identifier: MIT */
/*
 * The oracle's voice: what must hold, and one sentence for what it means when
 * it does not. Ends the process, so that libFuzzer keeps the input.
 */
#pragma once

#include <cstdio>
#include <cstdlib>

namespace pvblk
{

inline void check(bool holds, const char *defect)
{
    if (holds)
        return;
    std::fprintf(stderr, "ORACLE: %s\n", defect);
    std::abort();
}

} // namespace pvblk
