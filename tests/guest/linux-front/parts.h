/* SPDX-License-Identifier: MIT */
/* Tests of single ports on Linux's Xen devices, without a BlockFront. */
#pragma once

/* The program's status; fail() names a port that does not keep its promise. */
int test_parts();
