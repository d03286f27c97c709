/* SPDX-License-Identifier: MIT */
/* Layer `back`: checks an owner's configuration. Serves blkif.h "Backend XenBus Nodes". */
#pragma once

#include "pvblk/back.h"

namespace pvblk
{

/* OutOfRange, with the clause of the node that would carry the wrong value. The
 * checks of requests and of a frontend's nodes rely on this one. */
Status check_config(const BackConfig &config);

/* The most segments of one request. */
uint32_t most_segments(const BackConfig &config);

} // namespace pvblk
