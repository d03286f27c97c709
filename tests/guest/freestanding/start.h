/* SPDX-License-Identifier: MIT */
/* Each guest defines this. */
#pragma once

#include "text.h"

void guest_main(const CommandLine &options);
