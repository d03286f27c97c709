/* SPDX-License-Identifier: MIT */
/* U-Boot's own build computes it for assembly code; here is none. */
#pragma once

#define GD_SIZE sizeof(struct global_data)
