/* SPDX-License-Identifier: MIT */
#include "ovmf/in_process.h"
#include "support/in_process_checks.h"

namespace
{

using namespace pvblk::conformance;

TEST(OvmfInProcess, DiskIsUsedFromStartToStop)
{
    check_a_life(make_ovmf);
}

TEST(OvmfInProcess, FrontendThatWaitsIsHung)
{
    check_a_hang(make_ovmf);
}

TEST(OvmfInProcess, FrontendThatHangsLeavesRoomForTheNext)
{
    check_another_life(make_ovmf);
}

} // namespace
