/* SPDX-License-Identifier: MIT */
/* U-Boot's driver in the suite's scenarios: facts, a line each. */
#include "frontends/play_main.h"
#include "in_process.h"

int main(int argc, char **argv)
{
    using namespace pvblk::conformance;
    return play_main({make_uboot, {}, {}, {}, false}, argc, argv);
}
