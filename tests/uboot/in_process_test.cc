/* SPDX-License-Identifier: MIT */
#include "support/in_process_checks.h"
#include "uboot/in_process.h"

namespace
{

using namespace pvblk::conformance;

TEST(UBootInProcess, DiskIsUsedFromStartToStop)
{
    check_a_life(make_uboot, std::nullopt /* it cannot flush */);
}

TEST(UBootInProcess, FrontendThatWaitsIsHung)
{
    check_a_hang(make_uboot);
}

TEST(UBootInProcess, FrontendThatHangsLeavesRoomForTheNext)
{
    check_another_life(make_uboot, std::nullopt);
}

} // namespace
