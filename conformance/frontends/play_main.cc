/* SPDX-License-Identifier: MIT */
/* See play_main.h. */
#include "frontends/play_main.h"

#include "frontends/apart.h"
#include "registry.h"

#include <cstdio>

namespace pvblk::conformance
{

int play_main(const PlayedFrontend &frontend, int argc, char **argv)
{
    std::vector<std::string> unknown;
    auto cases = select(all_front_cases(), {argv + 1, argv + argc}, unknown);
    if (!unknown.empty()) {
        std::fprintf(stderr, "no case is called %s\n", unknown[0].c_str());
        return 2;
    }
    for (const Case *c : cases) {
        const Scenario *s = find_scenario(c->id);
        if (!s)
            continue;
        std::string line = facts_line(play_apart(*s, frontend));
        if (std::fputs(line.c_str(), stdout) < 0 || std::fflush(stdout))
            return 3;
    }
    return 0;
}

} // namespace pvblk::conformance
