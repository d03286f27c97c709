/* SPDX-License-Identifier: MIT */
/* See command.h. */
#include "frontends/command.h"

#include "frontends/apart.h"
#include "frontends/our_front.h"

namespace pvblk::conformance
{

void play_our_front(const std::vector<const Scenario *> &scenarios,
                    const std::function<void(CaseResult)> &ended)
{
    std::vector<Facts> all;
    for (const Scenario *s : scenarios)
        for (FrontShape shape : kFrontShapes) {
            PlayedFrontend frontend{
                [shape](LoopbackHub &hub) { return make_our_front(hub, shape); },
                policy_of(shape),
                {{"virtual-device", "51712"}, {"device-type", "disk"}},
                {},
                true};
            Facts f = play_apart(*s, frontend);
            f.id += shape_suffix(shape);
            ended(verdict(*s, f));
            all.push_back(std::move(f));
        }
    for (CaseResult &r : clause_verdicts(all))
        ended(std::move(r));
}

} // namespace pvblk::conformance
