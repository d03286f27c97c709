/* SPDX-License-Identifier: MIT */
/* For EXPECT_EXIT: the signal, or the sanitizer that was faster, and says so. */
#pragma once

#include <gtest/gtest.h>

#include <csignal>

namespace pvblk
{

#ifdef __SANITIZE_ADDRESS__
inline auto dies_of(int)
{
    return [](int status) { return status != 0; };
}
inline constexpr const char *kLastWords = "AddressSanitizer|runtime error";
#else
inline auto dies_of(int signal)
{
    return testing::KilledBySignal(signal);
}
inline constexpr const char *kLastWords = "";
#endif

} // namespace pvblk
