/* SPDX-License-Identifier: MIT */
/* OVMF's driver in the suite's scenarios: facts, a line each. */
#include "frontends/play_main.h"
#include "in_process.h"

int main(int argc, char **argv)
{
    using namespace pvblk::conformance;
    return play_main({make_ovmf, {}, {}, {}, false}, argc, argv);
}
