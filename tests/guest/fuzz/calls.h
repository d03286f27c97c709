/* SPDX-License-Identifier: MIT */
/* One random hypercall: of those that Xen's emulation knows, or any. */
#pragma once

#include "processor.h"

void random_call(Processor &processor);

/* After SCHEDOP_shutdown or EVTCHNOP_reset there are no ports and no pages of Xen's: begin like a
 * new guest. */
void soft_reset(Processor &processor);
