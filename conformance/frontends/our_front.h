/* SPDX-License-Identifier: MIT */
/* Our own frontend, BlockFront, as one that is judged in this process. */
#pragma once

#include "frontends/in_process.h"

namespace pvblk::conformance
{

/* How it is used. */
enum class FrontShape : uint8_t {
    Plain,     /* as an owner gets it: the guest's own pages */
    All,       /* every queue, page and segment, and persistent grants */
    Untrusted, /* every page is a private one */
};
inline constexpr FrontShape kFrontShapes[] = {FrontShape::Plain, FrontShape::All,
                                              FrontShape::Untrusted};
const char *shape_suffix(FrontShape s); /* "~all"; "" for Plain */

/* For the hub's pools. */
FrontPolicy policy_of(FrontShape s);
std::unique_ptr<InProcess> make_our_front(LoopbackHub &hub, FrontShape shape);

} // namespace pvblk::conformance
