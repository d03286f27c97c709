/* SPDX-License-Identifier: MIT */
/* Layer `back`: whether a backend can be what its owner asks for. Serves blkif.h "Backend XenBus
 * Nodes". */
#pragma once

#include "pvblk/back.h"

namespace pvblk
{

/* OutOfRange, with the clause of the node that would tell a frontend so. What
 * a request or a frontend's nodes are checked against relies on it. */
Status check_config(const BackConfig &config);

} // namespace pvblk
